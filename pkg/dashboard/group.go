package dashboard

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const (
	// fewNames is how many of many objects a group names.
	fewNames = 3
	// fewMessages is how many messages of one reason are shown, each with its objects. Beyond, one of them
	// is an example for all.
	fewMessages = 3
)

// group is objects with one phase, one reason and, but for their names, one message.
type group struct {
	Phase  status.Phase
	Reason string
	// IDs are the first few objects, and Count is the number of all of them.
	IDs   []spec.ID
	Count int
	// Message is that of the first object; Example is true if those of the others differ.
	Message string
	Example bool
	// Since is when the first of them became so.
	Since time.Time
	// URL lists the objects of the same phase and reason.
	URL string
}

// More is the number of objects that the group does not name.
func (g group) More() int { return g.Count - len(g.IDs) }

// groupsOf returns objects by what is the matter with them, the worst first.
func groupsOf(objects []status.Object) groupList {
	type cause struct {
		phase  status.Phase
		reason string
	}
	shapes := map[cause]map[string][]status.Object{}
	for _, o := range objects {
		c := cause{o.Phase, o.Reason}
		if shapes[c] == nil {
			shapes[c] = map[string][]status.Object{}
		}
		shape := strings.ReplaceAll(o.Message, o.Name, "\x00")
		shapes[c][shape] = append(shapes[c][shape], o)
	}
	var groups []group
	for _, of := range shapes {
		if len(of) <= fewMessages {
			for _, same := range of {
				groups = append(groups, groupOf(same))
			}
			continue
		}
		var all []status.Object
		for _, same := range of {
			all = append(all, same...)
		}
		slices.SortFunc(all, func(a, b status.Object) int { return spec.CompareIDs(a.ID(), b.ID()) })
		groups = append(groups, groupOf(all))
		groups[len(groups)-1].Example = true
	}
	slices.SortFunc(groups, compareGroups)
	shown, _ := first(groups, maxGroups)
	list := groupList{Groups: shown}
	for _, g := range groups[len(shown):] {
		list.More += g.Count
	}
	return list
}

func groupOf(objects []status.Object) group {
	o := objects[0]
	g := group{
		Phase: o.Phase, Reason: o.Reason, Count: len(objects), Message: o.Message, Since: o.Since,
		URL: filter{Phase: o.Phase, Reason: o.Reason}.URL(),
	}
	for i := range objects {
		if i < fewNames {
			g.IDs = append(g.IDs, objects[i].ID())
		}
		if objects[i].Since.Before(g.Since) {
			g.Since = objects[i].Since
		}
	}
	return g
}

// compareGroups sorts by phase; then what only waits comes last, then by the number of objects.
func compareGroups(a, b group) int {
	return cmp.Or(
		severity(a.Phase)-severity(b.Phase),
		waits(a.Reason)-waits(b.Reason),
		b.Count-a.Count,
		strings.Compare(a.Reason, b.Reason),
		spec.CompareIDs(a.IDs[0], b.IDs[0]),
	)
}

// severity is the place of a phase, from the worst; a phase that is not known is the worst.
func severity(p status.Phase) int { return slices.Index(phases, p) }

// waits is 1 for reasons that end by themselves, or with the cause that another object has.
func waits(reason string) int {
	switch reason {
	case status.ReasonNotReady, status.ReasonInTrash, status.ReasonGracePeriod:
		return 1
	}
	return 0
}
