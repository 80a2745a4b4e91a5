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
	// content is to be used.
	problem error
	content content
}

// lastGood is the last good content of all files: the objects of each, by its path.
type lastGood map[string][]*object

// decideLastGood decides which content is in effect after a pass over the directory. gone is the
// content of files that were removed so recently that this may be the same removal. It is pure.
//
//   - A file without mistakes is used as it is.
//   - A broken file keeps its last good content, so that a typo deletes nothing. If it was
//     never read without mistakes, its valid objects are used.
//   - The content of a removed file is dropped, unless the file may only be hidden by a
//     directory that cannot be read.
//   - If no object at all is left, all last good content remains in effect: an empty
//     directory is more often a file system that is not mounted, or a failed checkout,
//     than an intention.
func decideLastGood(before, gone lastGood, dir string, now []reading, hides func(path string) bool) (lastGood, []Finding) {
	after := lastGood{}
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
			after[r.path] = asLastGood(old)
		}
	}
	for path, old := range before {
		if _, listed := after[path]; !listed && hides(path) {
			after[path] = asLastGood(old)
		}
	}
	if after.isEmpty() && len(findings) == 0 && !hides(dir) {
		findings = append(findings, Finding{File: dir, Err: noObjects(before, len(now))})
		after = lastGood{}
		for path, old := range before.withRemoved(gone) {
			after[path] = asLastGood(old)
		}
	}
	return after, findings
}

func noObjects(before lastGood, files int) error {
	text := "the directory contains no *.yaml or *.yml file"
	if files > 0 {
		text = "no file in the directory declares an object"
	}
	if !before.isEmpty() {
		text += "; the last good content remains in effect"
	}
	return fmt.Errorf("%s", text)
}

// asLastGood returns the objects marked as last good content, which their file no longer
// has. Doing so twice changes nothing.
func asLastGood(objects []*object) []*object {
	if !slices.ContainsFunc(objects, func(o *object) bool { return o.places != nil }) {
		return objects
	}
	marked := make([]*object, len(objects))
	for i, o := range objects {
		marked[i] = o.asLastGood()
	}
	return marked
}

// withRemoved adds those objects of removed files that no file has declared since.
func (h lastGood) withRemoved(gone lastGood) lastGood {
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

func (h lastGood) isEmpty() bool {
	for _, objects := range h {
		if len(objects) > 0 {
			return false
		}
	}
	return true
}

// objects returns all objects in the order of files.
func (h lastGood) objects() []*object {
	var all []*object
	for _, path := range slices.Sorted(maps.Keys(h)) {
		all = append(all, h[path]...)
	}
	return all
}

// invalid returns why declared objects are invalid, except those for which the last
// good content of the same file is in effect.
func (h lastGood) invalid(now []reading) map[ID]error {
	invalid := map[ID]error{}
	for _, r := range now {
		if len(r.content.invalid) == 0 {
			continue
		}
		known := make(map[ID]bool, len(h[r.path]))
		for _, o := range h[r.path] {
			known[o.id] = true
		}
		for id, reason := range r.content.invalid {
			if !known[id] {
				invalid[id] = reason
			}
		}
	}
	return invalid
}
