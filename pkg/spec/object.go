package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// object is one document of a file, with the places of its fields.
type object struct {
	id ID
	// value is a *Pool, *Volume, *Snapshot, *Export, *Image, *Repository, *SnapshotSchedule or *Backup. It is shared by every
	// Set made of it and never changed after decoding.
	value any
	file  string
	// places has an entry for every field that the file gives, under its path;
	// "" is the document. It is nil for last good content whose file has changed
	// since: the old lines would point at something else.
	places map[string]place
	// restored is true of what the file said before the agent was started.
	restored bool
}

// place is the position of a field in its file.
type place struct {
	key   position // of the field's name; zero for list items
	value position
}

// position is a line and a column, both from 1; zero means unknown.
type position struct{ line, column int }

// asLastGood returns the object marked as content of an earlier version of its file.
func (o *object) asLastGood() *object {
	h := *o
	h.places = nil
	return &h
}

// hasField reports whether the file has the field.
func (o *object) hasField(path string) bool {
	_, ok := o.places[path]
	return ok
}

// position returns where the value of a field is, or that of the nearest
// field around it if the file does not have it (a default, a missing field).
func (o *object) position(path string) position {
	for {
		if p, ok := o.places[path]; ok {
			return p.value
		}
		if path == "" {
			return position{}
		}
		path = parentPath(path)
	}
}

// where names the place of a field for use inside the message about another.
func (o *object) where(path string) string {
	p := o.position(path)
	if p.line == 0 {
		return o.file + " (last good content)"
	}
	return fmt.Sprintf("%s:%d:%d", o.file, p.line, p.column)
}

// finding says what is wrong with a field of the object.
func (o *object) finding(path string, err error) Finding {
	p := o.position(path)
	return Finding{File: o.file, Line: p.line, Column: p.column, Path: path, Object: o.id, Err: err}
}

// joinPath returns the path of a field inside another.
func joinPath(parent, name string) string {
	switch {
	case !isPlainName(name):
		return parent + "[" + quote(name) + "]"
	case parent == "":
		return name
	default:
		return parent + "." + name
	}
}

// entryPath returns the path of an entry of a map with free keys.
func entryPath(parent, key string) string {
	if strings.Trim(key, labelCharacters+"/") != "" || len(key) > maxDNSName+len("/")+maxDNSLabel {
		key = quote(key) // shorter, too
	}
	return parent + "[" + key + "]"
}

// itemPath returns the path of an item of a list.
func itemPath(parent string, index int) string { return parent + "[" + strconv.Itoa(index) + "]" }

// parentPath returns the path of the field around another.
func parentPath(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

// isPlainName reports whether a key can stand in a path without quotes.
func isPlainName(name string) bool {
	if name == "" || len(name) > maxQuoted {
		return false
	}
	for i := range len(name) {
		if !isPlain[name[i]] {
			return false
		}
	}
	return true
}

// isPlain has the characters of a plain name: it is asked of every field of every object.
var isPlain = func() (plain [256]bool) {
	for _, c := range []byte(labelCharacters) {
		plain[c] = c != '.'
	}
	return plain
}()

// sameBranch reports whether one path is the other, or lies inside it.
func sameBranch(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	rest, ok := strings.CutPrefix(b, a)
	return ok && (rest == "" || a == "" || rest[0] == '.' || rest[0] == '[')
}

// sortFindings puts findings in the order of files and lines.
func sortFindings(findings []Finding) {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Path, b.Path),
		)
	})
}
