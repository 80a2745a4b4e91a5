package spec

import (
	"slices"
	"time"
)

// removedFiles is the content of files that were removed a short while ago, by their path.
type removedFiles map[string]removedFile

type removedFile struct {
	objects []*object
	at      time.Time // when the file was found to be gone
}

// next returns what to remember after a pass that changed the last good content from
// before to after. An object is remembered only with the last file that declared it.
func (r removedFiles) next(before, after lastGood, now time.Time, keep time.Duration) removedFiles {
	next := removedFiles{}
	for path, old := range r {
		if _, back := after[path]; !back && now.Sub(old.at) <= keep {
			next[path] = old
		}
	}
	var gone []string
	for path := range before {
		if _, there := after[path]; !there {
			gone = append(gone, path)
		}
	}
	if len(gone) == 0 {
		return next
	}
	slices.Sort(gone)
	last := map[ID]string{} // the path of the last file that declared an object
	for _, path := range gone {
		for _, o := range before[path] {
			last[o.id] = path
		}
	}
	for path, old := range next {
		old.objects = slices.DeleteFunc(slices.Clone(old.objects), func(o *object) bool { return last[o.id] != "" })
		next[path] = old
	}
	for _, path := range gone {
		next[path] = removedFile{
			slices.DeleteFunc(slices.Clone(before[path]), func(o *object) bool { return last[o.id] != path }), now,
		}
	}
	return next
}

// recent returns the content that was removed no longer ago than keep.
func (r removedFiles) recent(now time.Time, keep time.Duration) lastGood {
	h := lastGood{}
	for path, old := range r {
		if now.Sub(old.at) <= keep {
			h[path] = old.objects
		}
	}
	return h
}
