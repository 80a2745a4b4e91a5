package dashboard

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// The overview names a few of many: it has to be read at once, and to be small.
const (
	maxGroups   = 40
	maxFindings = 20
	maxJobs     = 20
	maxSteps    = 20
	maxRecent   = 10
	maxPools    = 12
)

// overview is what needs somebody, and how the node is.
type overview struct {
	// Verdict says in one sentence whether somebody has to do anything, and Calm is true if nobody has.
	Verdict string
	Calm    bool
	Phases  []phaseCount
	// Needs are the objects that need somebody, the worst first; Kept are those that are left as they
	// are, and Working those that are being changed.
	Needs, Kept groupList
	Findings    []status.Finding
	Warnings    []string
	// MoreFindings are not shown.
	MoreFindings int
	Unwatched    []status.Source
	Jobs         []status.Object
	MoreJobs     int
	Working      int
	Steps        []stepRow
	MoreSteps    int
	Pools        []pool
	MorePools    int
	Recent       []eventRow
}

type phaseCount struct {
	Phase status.Phase
	Count int
	URL   string
}

// groupList is as many groups as are shown, and how many more objects there are.
type groupList struct {
	Groups []group
	More   int
}

func overviewPage(k known, _ *http.Request) view {
	o := overviewOf(k)
	return ok(o.Verdict, o)
}

func overviewOf(k known) overview {
	r := k.report
	o := overview{Phases: phaseCounts(r.Objects)}
	var needs, kept []status.Object
	var busy int
	for _, object := range r.Objects {
		switch object.Phase {
		case status.Failed, status.Blocked, status.Deleting:
			needs = append(needs, object)
		case status.Orphaned, status.Foreign, status.Suspended:
			kept = append(kept, object)
		case status.Progressing:
			busy++
		case status.Ready:
		}
		if object.Progress != nil {
			o.Jobs = append(o.Jobs, object)
		}
	}
	o.Needs, o.Kept, o.Working = groupsOf(needs), groupsOf(kept), busy
	o.Findings, o.MoreFindings = first(r.Findings, maxFindings)
	o.Jobs, o.MoreJobs = first(o.Jobs, maxJobs)
	steps, more := first(k.plan.Steps, maxSteps)
	o.Steps, o.MoreSteps = stepRows(steps), more
	pools := poolsOf(r.Objects)
	for _, p := range pools {
		if p.Pressure() != "" {
			o.Warnings = append(o.Warnings, p.warning())
		}
	}
	o.Warnings = append(o.Warnings, r.Warnings...)
	slices.SortStableFunc(pools, func(a, b pool) int { return cmp.Compare(b.UsedPercent, a.UsedPercent) })
	o.Pools, o.MorePools = first(pools, maxPools)
	for _, source := range r.Sources {
		if !source.Watching {
			o.Unwatched = append(o.Unwatched, source)
		}
	}
	o.Recent = eventRows(newest(k.events, maxRecent))
	o.Verdict, o.Calm = verdict(r, len(o.Warnings), busy)
	return o
}

// verdict says whether somebody has to do anything.
func verdict(r status.Report, warnings, busy int) (sentence string, calm bool) {
	need := 0
	for _, o := range r.Objects {
		if o.Phase == status.Failed || o.Phase == status.Blocked {
			need++
		}
	}
	switch {
	case need > 0:
		if need == 1 {
			return "1 of " + count(len(r.Objects), "object") + " needs you", false
		}
		return digits(need) + " of " + count(len(r.Objects), "object") + " need you", false
	case len(r.Findings) > 0:
		return count(len(r.Findings), "mistake") + " in the spec files", false
	case warnings > 0:
		return count(warnings, "warning") + " about this node", false
	case busy > 0:
		return count(busy, "object") + " being changed", true
	case len(r.Objects) == 0:
		return "No object is declared", true
	default:
		return "Everything is as declared", true
	}
}

func phaseCounts(objects []status.Object) (counts []phaseCount) {
	of := map[status.Phase]int{}
	for i := range objects {
		of[objects[i].Phase]++
	}
	for _, p := range phases {
		if n := of[p]; n > 0 {
			counts = append(counts, phaseCount{p, n, filter{Phase: p}.URL()})
		}
	}
	return counts
}

// first returns the first few of a list, and how many more there are.
func first[T any](list []T, few int) ([]T, int) {
	n := min(len(list), few)
	return list[:n], len(list) - n
}

// stepRow is a step of the plan as it is shown.
type stepRow struct {
	Object spec.ID
	// Effect is create, change or remove, with its sign as in plans.
	Sign, Effect string
	Change, Why  string
	Danger       plan.Danger
	Affects      []string
	MoreAffected int
	Dangerous    bool
}

// maxAffected is how many initiators and programs are named that a step hits.
const maxAffected = 10

func stepRows(steps []plan.Step) (rows []stepRow) {
	words := map[plan.Effect]string{plan.Creates: "create", plan.Changes: "change", plan.Removes: "remove"}
	for _, s := range steps {
		effect := s.OnThing()
		row := stepRow{
			Object: s.Object, Sign: string(effect), Effect: words[effect], Change: s.Change.String(), Why: s.Why,
			Danger: s.Danger, Dangerous: s.Danger != plan.Harmless && s.Danger != "",
		}
		row.Affects, row.MoreAffected = first(s.Affects, maxAffected)
		rows = append(rows, row)
	}
	return rows
}
