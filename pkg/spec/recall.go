package spec

import (
	"slices"
	"time"
)

// recalled is what files said that have gone, by their path.
type recalled map[string]recollection

type recollection struct {
	objects []*object
	at      time.Time // when the file was found to be gone
}

// next returns what is to be recalled after a pass, in which one content took the place
// of another. Of an object only the last file that named it counts.
func (r recalled) next(before, after holding, now time.Time, keep time.Duration) recalled {
	next := recalled{}
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
	last := map[ID]string{} // the path of the last file that named an object
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
		next[path] = recollection{
			slices.DeleteFunc(slices.Clone(before[path]), func(o *object) bool { return last[o.id] != path }), now,
		}
	}
	return next
}

// holding returns what is recalled as long as it is recent enough.
func (r recalled) holding(now time.Time, keep time.Duration) holding {
	h := holding{}
	for path, old := range r {
		if now.Sub(old.at) <= keep {
			h[path] = old.objects
		}
	}
	return h
}
