package spec

import (
	"fmt"
	"maps"
	"slices"
)

// reading is what is known about one file of a listing.
type reading struct {
	path string
	// problem is why the file cannot be read, or cannot be trusted yet; nil if
	// content counts.
	problem error
	content content
}

// holding is what the files say that holds now: for each path, the objects of
// its last good content.
type holding map[string][]*object

// hold decides what holds after a pass over the directory. gone is what files said that
// have gone so recently that this may be the same removal. It is pure.
//
// A file that is well says what it says. One that is not goes on saying what it
// said before, so that a typo deletes nothing; if it was never read without
// mistakes, those of its objects count that are well. A file that is gone says
// nothing any more, unless it may just be hidden by a place that cannot be
// looked into. And if no object at all is left, everything goes on holding: a
// directory that is empty is a file system that is not mounted, or a checkout
// that failed, more often than it is a wish.
func hold(before, gone holding, dir string, now []reading, hides func(path string) bool) (holding, []Finding) {
	after := holding{}
	var findings []Finding
	for _, r := range now {
		old, known := before[r.path]
		switch {
		case r.problem != nil:
			findings = append(findings, Finding{File: r.path, Err: r.problem})
		case len(r.content.findings) > 0:
			findings = append(findings, r.content.findings...)
			if !known || slices.Equal(old, r.content.objects) { // first read like this, or still
				after[r.path] = r.content.objects
				continue
			}
		default:
			after[r.path] = r.content.objects
			continue
		}
		if known {
			after[r.path] = heldAll(old)
		}
	}
	for path, old := range before {
		if _, listed := after[path]; !listed && hides(path) {
			after[path] = heldAll(old)
		}
	}
	if after.empty() && len(findings) == 0 && !hides(dir) {
		findings = append(findings, Finding{File: dir, Err: noObjects(before, len(now))})
		after = holding{}
		for path, old := range before.with(gone) {
			after[path] = heldAll(old)
		}
	}
	return after, findings
}

func noObjects(before holding, files int) error {
	text := "the directory contains no *.yaml or *.yml file"
	if files > 0 {
		text = "no file in the directory declares an object"
	}
	if !before.empty() {
		text += "; the last good content remains in effect"
	}
	return fmt.Errorf("%s", text)
}

// heldAll marks objects as no longer what their file says. Doing so twice
// changes nothing.
func heldAll(objects []*object) []*object {
	if !slices.ContainsFunc(objects, func(o *object) bool { return o.places != nil }) {
		return objects
	}
	held := make([]*object, len(objects))
	for i, o := range objects {
		held[i] = o.held()
	}
	return held
}

// with returns what holds together with those objects of gone files that no file has
// named since.
func (h holding) with(gone holding) holding {
	all := maps.Clone(h)
	named := map[ID]bool{}
	for _, o := range h.objects() {
		named[o.id] = true
	}
	for path, objects := range gone {
		if _, there := h[path]; there {
			continue
		}
		all[path] = slices.DeleteFunc(slices.Clone(objects), func(o *object) bool { return named[o.id] })
	}
	return all
}

func (h holding) empty() bool {
	for _, objects := range h {
		if len(objects) > 0 {
			return false
		}
	}
	return true
}

// objects returns all objects in the order of files.
func (h holding) objects() []*object {
	var all []*object
	for _, path := range slices.Sorted(maps.Keys(h)) {
		all = append(all, h[path]...)
	}
	return all
}

// invalid returns why objects cannot be acted on that files name, except those
// for which the last good content of the same file holds.
func (h holding) invalid(now []reading) map[ID]error {
	invalid := map[ID]error{}
	for _, r := range now {
		if len(r.content.invalid) == 0 {
			continue
		}
		held := make(map[ID]bool, len(h[r.path]))
		for _, o := range h[r.path] {
			held[o.id] = true
		}
		for id, reason := range r.content.invalid {
			if !held[id] {
				invalid[id] = reason
			}
		}
	}
	return invalid
}
