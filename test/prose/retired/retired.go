// Package retired finds words that the project does not use any longer: the prose linter those of
// ../retired.txt, and test/messages also those that only messages do not use.
package retired

import (
	"fmt"
	"regexp"
	"strings"
)

// word is a line of a list.
type word struct {
	retired *regexp.Regexp
	instead string
	// allowed is nil, or what a passage may say although retired is a part of it.
	allowed *regexp.Regexp
}

// Words are the lines of a list.
type Words struct {
	each []word
	any  *regexp.Regexp
}

// Parse reads lines of the form WORD -> INSTEAD, or WORD -> INSTEAD ! ALLOWED. WORD and ALLOWED are
// regular expressions, matched as whole words in any case. Lines that begin with # are comments.
func Parse(text string) (Words, error) {
	var w Words
	var all []string
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		pattern, rest, ok := strings.Cut(line, " -> ")
		if !ok {
			return w, fmt.Errorf("retired.txt:%d: write WORD -> INSTEAD", i+1)
		}
		instead, allowed, excepted := strings.Cut(rest, " ! ")
		next := word{instead: instead}
		var err error
		if next.retired, err = whole(pattern); err != nil {
			return w, fmt.Errorf("retired.txt:%d: %w", i+1, err)
		}
		if excepted {
			if next.allowed, err = whole(allowed); err != nil {
				return w, fmt.Errorf("retired.txt:%d: %w", i+1, err)
			}
		}
		w.each = append(w.each, next)
		all = append(all, pattern)
	}
	var err error
	w.any, err = whole(strings.Join(all, "|"))
	return w, err
}

func whole(pattern string) (*regexp.Regexp, error) {
	return regexp.Compile(`(?i)\b(?:` + pattern + `)\b`)
}

// Hit is a retired word in a text, from one offset to another.
type Hit struct {
	From, To int
	// Instead is what to write.
	Instead string
}

// In finds the retired words of a text.
func (w Words) In(text string) []Hit {
	if !w.any.MatchString(text) { // one pass where there is nothing, which is nearly everywhere
		return nil
	}
	var hits []Hit
	for _, next := range w.each {
		for _, at := range next.retired.FindAllStringIndex(text, -1) {
			if next.allowed == nil || !overlaps(next.allowed.FindAllStringIndex(text, -1), at) {
				hits = append(hits, Hit{at[0], at[1], next.instead})
			}
		}
	}
	return hits
}

func overlaps(several [][]int, one []int) bool {
	for _, s := range several {
		if s[0] < one[1] && one[0] < s[1] {
			return true
		}
	}
	return false
}
