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
	for path, objects := range before {
		if _, there := after[path]; there {
			continue
		}
		for other, old := range next {
			old.objects = slices.DeleteFunc(slices.Clone(old.objects), func(o *object) bool {
				return slices.ContainsFunc(objects, func(n *object) bool { return n.id == o.id })
			})
			next[other] = old
		}
		next[path] = recollection{objects, now}
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
