package fakehost

import (
	"regexp"
	"slices"
	"strings"
)

// condition is a selection (lvmreport(7)): field=value, field!=value, field=~pattern
// and field!~pattern, !(…), && or a comma, || or #, and parentheses. Of a field that
// is a list, a value is one of its members, and a pattern is refused. Numbers are not
// compared as such.
type condition func(row) bool

func (c condition) holds(r row) bool { return c == nil || c(r) }

// parseSelection parses a selection; an empty one selects all.
func parseSelection(s string) (condition, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	p := &selection{rest: s}
	c := p.or()
	p.space()
	if p.unknown != "" {
		return nil, failure("Unrecognised selection field: %s\nSelection syntax error at '%s'.\nUse 'help' for selection to get more help.", p.unknown, s)
	}
	if p.bad || p.rest != "" {
		return nil, failure("Selection syntax error at '%s'.\nUse 'help' for selection to get more help.", p.rest)
	}
	return c, nil
}

// selection is a selection that is being parsed. A function that finds no part
// of one where it has to be sets bad.
type selection struct {
	rest    string
	bad     bool
	unknown string // the first field that there is not
}

func (p *selection) space() { p.rest = strings.TrimLeft(p.rest, " \t") }

// accept skips one of some words.
func (p *selection) accept(words ...string) bool {
	p.space()
	for _, w := range words {
		if rest, ok := strings.CutPrefix(p.rest, w); ok {
			p.rest = rest
			return true
		}
	}
	return false
}

func (p *selection) or() condition {
	all := []condition{p.and()}
	for !p.bad && p.accept("||", "#") {
		all = append(all, p.and())
	}
	return func(r row) bool { return slices.ContainsFunc(all, func(c condition) bool { return c(r) }) }
}

func (p *selection) and() condition {
	all := []condition{p.term()}
	for !p.bad && p.accept("&&", ",") {
		all = append(all, p.term())
	}
	return func(r row) bool { return !slices.ContainsFunc(all, func(c condition) bool { return !c(r) }) }
}

func (p *selection) term() condition {
	not := p.accept("!")
	if p.accept("(") {
		c := p.or()
		p.bad = p.bad || !p.accept(")")
		return func(r row) bool { return c(r) != not }
	}
	name := p.word()
	unlike := p.accept("!~")
	like := unlike || p.accept("=~")
	negated := unlike || !like && p.accept("!=")
	if not || name == "" || !like && !negated && !p.accept("=") {
		p.bad = true
		return func(row) bool { return false }
	}
	value := p.value()
	f := fieldNamed(name)
	if f == nil {
		if p.unknown == "" {
			p.unknown = name
		}
		return func(row) bool { return false }
	}
	if like {
		pattern, err := regexp.Compile(value)
		if err != nil || f.list {
			p.bad = true
			return func(row) bool { return false }
		}
		return func(r row) bool { return pattern.MatchString(f.of(r)) != negated }
	}
	return func(r row) bool { return f.is(r, value) != negated }
}

func (p *selection) word() string {
	p.space()
	name := p.rest[:len(p.rest)-len(strings.TrimLeft(p.rest, alphanumeric+"_"))]
	p.rest = p.rest[len(name):]
	return name
}

// value reads a value: quoted, or up to what can follow one.
func (p *selection) value() string {
	p.space()
	if p.rest != "" && strings.Contains(`'"`, p.rest[:1]) {
		v, rest, found := strings.Cut(p.rest[1:], p.rest[:1])
		p.bad = p.bad || !found
		p.rest = rest
		return v
	}
	end := len(p.rest)
	for _, stop := range []string{" ", "&&", "||", ",", ")", "#"} {
		if i := strings.Index(p.rest, stop); i >= 0 {
			end = min(end, i)
		}
	}
	v := p.rest[:end]
	p.rest = p.rest[end:]
	return v
}
