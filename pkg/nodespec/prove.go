package nodespec

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Prove plans with what was written, as it was read back. It leaves out every object that is refused,
// that would change more than a tag or a mark, or by which initiators would see another disk. It
// reports true if there was none. Otherwise what is written now has to be proved again.
//
// Afterwards it applies the tags and marks to what was observed, and plans once more: then there
// must be nothing to do.
func (d *Draft) Prove(declared spec.Set, in plan.Input) (proven bool, err error) {
	proven = true
	leave := func(id spec.ID, format string, args ...any) {
		if d.leave(id, format, args...) {
			proven = false
		}
	}
	for _, f := range declared.Findings {
		leave(f.Object, "%s: %v", f.Path, f.Err)
	}
	for _, id := range slices.SortedFunc(maps.Keys(declared.Invalid), func(a, b spec.ID) int { return cmp.Compare(a.String(), b.String()) }) {
		leave(id, "%v", declared.Invalid[id])
	}
	if !proven {
		d.leaveDependants()
		return false, nil
	}
	if len(declared.Findings) > 0 {
		return false, fmt.Errorf("what was written is refused: %w", declared.Findings[0])
	}
	in.Declared, in.Observed = declared, d.request.State
	marked := d.request.State
	for n := range 2 {
		made := plan.Make(in)
		for _, s := range made.Steps {
			if n > 0 || !isMark(s.Change) {
				leave(s.Object, "it would change the node: %s (%s)", s.Change, s.Why)
			}
		}
		for _, o := range made.Objects {
			if o.Phase == status.Blocked || o.Phase == status.Failed {
				leave(o.ID(), "%s: %s", o.Reason, o.Message)
			}
			d.compareSerials(o, leave)
		}
		if !proven {
			d.leaveDependants()
			return false, nil
		}
		marked = withMarks(marked, made.Steps)
		in.Observed, in.Index = marked, nil
	}
	return true, nil
}

// isMark reports whether a change only adds tags or marks.
func isMark(c change.Change) bool {
	switch c := c.(type) {
	case change.SetTags:
		return len(c.Remove) == 0 && !slices.ContainsFunc(c.Add, func(t string) bool { return strings.HasPrefix(t, ondisk.TagDeleted) })
	case change.AdoptBackstore, change.AdoptTarget:
		return true
	default:
		return false
	}
}

// compareSerials leaves out the Exports of a Volume whose serial would be another one than
// initiators see now.
func (d *Draft) compareSerials(o status.Object, leave func(spec.ID, string, ...any)) {
	if o.Volume == nil {
		return
	}
	for _, doc := range d.documents {
		if serial, exports := doc.serials[o.Name]; exports && o.Kind == spec.KindVolume && serial != o.Volume.Serial {
			leave(doc.id, "Volume/%s would get serial %s; initiators see %s", o.Name, o.Volume.Serial, serial)
		}
	}
}

// withMarks returns a state with the tags and marks of a plan.
func withMarks(state observe.State, steps []plan.Step) observe.State {
	state.VolumeGroups = maps.Clone(state.VolumeGroups)
	state.LIO.Backstores, state.LIO.ISCSI = maps.Clone(state.LIO.Backstores), maps.Clone(state.LIO.ISCSI)
	for name, vg := range state.VolumeGroups {
		vg.LogicalVolumes = maps.Clone(vg.LogicalVolumes)
		state.VolumeGroups[name] = vg
	}
	for _, s := range steps {
		switch c := s.Change.(type) {
		case change.SetTags:
			lvs := state.VolumeGroups[c.VolumeGroup].LogicalVolumes
			lv := lvs[c.Name]
			lv.Tags = slices.Concat(lv.Tags, c.Add)
			lvs[c.Name] = lv
		case change.AdoptBackstore:
			b := state.LIO.Backstores[c.Path()]
			b.Mark = c.Mark
			state.LIO.Backstores[c.Path()] = b
		case change.AdoptTarget:
			t := state.LIO.ISCSI[c.Name]
			t.Mark = ondisk.TargetMark(c.Export)
			state.LIO.ISCSI[c.Name] = t
		}
	}
	return state
}

// Input is what a proof plans with, besides the specs and what was observed: nothing is remembered, and
// nothing was deleted.
func Input(installation plan.Installation, tgt bool, now time.Time) plan.Input {
	return plan.Input{Installation: installation, TGT: tgt, Started: now, Now: now}
}
