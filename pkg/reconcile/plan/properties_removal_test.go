package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// takesAway reports whether a change puts a logical volume into the trash, or
// removes it, at once or after what is in it was overwritten.
func takesAway(c change.Change) (trash, removal bool) {
	switch c := c.(type) {
	case change.SetTags:
		return slices.ContainsFunc(c.Add, func(tag string) bool { return strings.HasPrefix(tag, ondisk.TagDeleted) }), false
	case change.RemoveLV, change.StartClearing:
		return false, true
	}
	return false, false
}

// stepsBefore returns all steps that must have succeeded before a step.
func stepsBefore(p Plan, s Step) []Step {
	var all []Step
	for _, n := range s.Needs {
		all = append(append(all, p.Steps[n-1]), stepsBefore(p, p.Steps[n-1])...)
	}
	return all
}

// before returns what must have been done before a step.
func before(p Plan, s Step) map[string]bool {
	all := map[string]bool{}
	for _, need := range stepsBefore(p, s) {
		all[need.Change.String()] = true
	}
	return all
}

func namedByFiles(set spec.Set, id spec.ID) bool {
	_, invalid := set.Invalid[id]
	return invalid || set.Has(id)
}

func TestPropertiesNoDataIsTakenAwayThatMayBeNeeded(t *testing.T) {
	properties(t, func(t *rapid.T, s scenario) {
		p := Make(s.input)
		for _, step := range p.Steps {
			trash, removal := takesAway(step.Change)
			if !trash && !removal {
				continue
			}
			lv, _ := logicalVolumeOf(s.input.Observed, step.Change)
			if reason := neededFor(s, p, step, lv); reason != "" {
				t.Fatalf("%s, though %s:\n%+v\n%s", step.Change, reason, lv, strings.Join(ChangesIn(p), "\n"))
			}
			if removal && !leftover(lv) { // the trash is for what somebody might want back
				if reason := tooEarly(s.input, lv); reason != "" {
					t.Fatalf("%s, though %s: %+v", step.Change, reason, lv)
				}
			}
		}
	})
}

// leftover reports whether a logical volume was made to copy from, or to take the place of
// another one, or another one took its place.
func leftover(lv observe.LogicalVolume) bool {
	phase := lv.Phase()
	return phase == ondisk.Staged || phase == ondisk.Superseded || lv.Tag(ondisk.TagKind) == ondisk.KindSource
}

// neededFor returns why a logical volume must not be taken away; empty: it may.
func neededFor(s scenario, p Plan, step Step, lv observe.LogicalVolume) string {
	in := s.input
	if leftover(lv) {
		return countsAlone(s, lv)
	}
	id, _ := lv.Owner()
	needs := before(p, step)
	policies := strings.Count(strings.Join(lv.Tags, " "), ondisk.TagDeletion)
	switch {
	case namedByFiles(in.Declared, id):
		return "files name " + id.String()
	case policies != 1 || !slices.Contains(lv.Tags, ondisk.DeletionTag(spec.Delete)) || in.Known[id].Retain:
		return "it is to be retained"
	case len(lv.HeldBy) > 0:
		return "somebody holds it"
	case in.Grace > 0 && in.Now.Sub(lastNamed(in, id)) < in.Grace:
		return "it was named just now"
	case in.Now.Sub(in.SteadySince) < in.Grace:
		return "files are still coming"
	}
	for _, other := range s.again().AllLVs() {
		if owner, _ := other.Owner(); owner == id && other.UUID != lv.UUID {
			return "there are several"
		}
		if other.Type == observe.ThickSnapshot && other.VolumeGroup == lv.VolumeGroup && other.Origin == lv.Name {
			_, removal := takesAway(step.Change)
			inTrash := strings.Contains(strings.Join(other.Tags, " "), ondisk.TagDeleted) || anyPrefix(needs, "set tags of "+other.FullName()+": +"+ondisk.TagDeleted)
			gone := needs[change.RemoveLV{LV: NameOf(other)}.String()] || needs[change.SplitSnapshot{LV: NameOf(other)}.String()]
			if !gone && (removal || !inTrash) {
				return "there is its snapshot " + other.Name
			}
		}
	}
	for name, v := range in.Declared.Volumes {
		if v.Spec.LVName == lv.Name && in.Declared.Pools[v.Spec.Pool].Spec.VolumeGroup == lv.VolumeGroup {
			return "Volume/" + name + " names it"
		}
	}
	for path, b := range in.Observed.LIO.Backstores {
		if BoundTo(b, lv) && !needs["remove backstore "+path] {
			return "backstore " + path + " holds it"
		}
	}
	return servedTo(s.again(), in, p, step, lv)
}

// servedTo returns which target shows a logical volume after all that must be done before a
// step, or which initiator uses it then; empty: nothing does.
func servedTo(m *Model, in Input, p Plan, step Step, lv observe.LogicalVolume) string {
	gone := func(id observe.TargetID, n int) bool {
		for _, earlier := range stepsBefore(p, step) {
			switch c := earlier.Change.(type) {
			case change.RemoveTarget:
				if c.ID() == id {
					return true
				}
			case change.RemoveLUN:
				if c.ID() == id && c.LUN == n {
					return true
				}
			}
		}
		return false
	}
	for _, target := range targetsOf(in.Observed) {
		for n, l := range target.LUNs {
			behind, found := m.VolumeBehind(l)
			if !found || behind.UUID != lv.UUID {
				continue
			}
			if !gone(idOf(target), n) {
				return fmt.Sprintf("LUN %d of %s shows it", n, target.Name)
			}
			if who := sessionsThatSee(target, n); len(who) > 0 && !mayEnd(in, target) {
				return who[0] + " uses it"
			}
		}
	}
	return ""
}

// mayEnd reports whether sessions of a target may be ended, as its export says or said last.
func mayEnd(in Input, target observe.Target) bool {
	owner := ownerOf(in, target)
	if export, named := in.Declared.Exports[owner.Name]; named {
		return export.Spec.Disconnect == spec.DisconnectForce
	}
	return in.Known[owner].Force && slices.Contains(in.Known[owner].Targets, target.Name)
}

// ownerOf returns the export whose mark a target carries.
func ownerOf(in Input, target observe.Target) spec.ID {
	state := WithOwners(in.Observed, in.Declared, in.Known)
	with, _ := state.Target(idOf(target))
	id, _ := with.Owner()
	return id
}

// countsAlone returns why what a move left must not be taken away: it may be all that
// there is.
func countsAlone(s scenario, lv observe.LogicalVolume) string {
	id, _ := lv.Owner()
	counts := func(other observe.LogicalVolume) bool {
		owner, _ := other.Owner()
		return owner == id && other.Phase() != ondisk.Staged && other.Phase() != ondisk.Superseded
	}
	switch all := s.again().AllLVs(); {
	case lv.Tag(ondisk.TagKind) == ondisk.KindSource:
	case lv.Open || len(lv.HeldBy) > 0:
		return "it is open"
	case lv.Phase() == ondisk.Superseded && !slices.ContainsFunc(all, func(other observe.LogicalVolume) bool { return counts(other) && other.UUID == lv.SupersededBy() }):
		return "what came in its place is not there, or may be incomplete"
	case lv.Phase() == ondisk.Staged && !slices.ContainsFunc(all, counts):
		return "nothing else is there"
	}
	return ""
}

func anyPrefix(all map[string]bool, prefix string) bool {
	for text := range all {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return false
}

func lastNamed(in Input, id spec.ID) time.Time {
	if at, ok := in.LastDeclared[id]; ok {
		return at
	}
	return in.Started
}

// tooEarly returns why a logical volume must not leave the trash yet.
func tooEarly(in Input, lv observe.LogicalVolume) string {
	id, _ := lv.Owner()
	keep := time.Duration(-1)
	for _, p := range in.Declared.Pools {
		thinPool := ""
		if p.Spec.ThinPool != nil {
			thinPool = p.Spec.ThinPool.Name
		}
		if p.Spec.VolumeGroup == lv.VolumeGroup && thinPool == lv.Pool {
			keep = max(keep, time.Duration(*p.Spec.Trash))
		}
	}
	if keep < 0 {
		return "no Pool says for how long the trash keeps it"
	}
	var latest time.Time
	marked := false
	for _, tag := range lv.Tags {
		text, ok := strings.CutPrefix(tag, ondisk.TagDeleted)
		if !ok {
			continue
		}
		marked = true
		at, err := time.Parse(ondisk.TimeOfTag, text)
		if err != nil {
			return "its tag says no time"
		}
		if at.After(latest) {
			latest = at
		}
	}
	cameBack := in.LastDeclared[id].Truncate(time.Second).After(latest)
	switch {
	case keep == 0 && (!marked || cameBack):
		return ""
	case !marked:
		return "it is not in the trash"
	case cameBack:
		return "a file named it since"
	case in.Now.Sub(latest) < keep:
		return "it is too early by the wall clock"
	case in.Started.Add(in.Elapsed).Sub(latest) < keep:
		return "it is too early by the other clock"
	case in.Elapsed < min(keep, in.TrashSettle):
		return "the clock may be wrong yet"
	}
	return ""
}

func TestPropertiesNothingIsTakenAwayWhileAnythingIsUnknown(t *testing.T) {
	properties(t, func(t *rapid.T, s scenario) {
		in := s.input
		for _, step := range Make(in).Steps {
			trash, removal := takesAway(step.Change)
			if lv, _ := logicalVolumeOf(in.Observed, step.Change); Temporary(lv) || lv.Phase() == ondisk.Clearing {
				removal = false // nothing is lost with it, or that was decided before
			}
			switch c := step.Change.(type) {
			case change.SetTags: // of a revert
				removal = removal || slices.Contains(c.Add, ondisk.PhaseTag(ondisk.Reverting))
			case change.CloneVolume:
				removal = removal || step.Danger == Destructive
			case change.Restore:
				if len(in.Observed.Unknown) > 0 {
					t.Fatalf("%s, though systems are unknown: %v", step.Change, in.Observed.Unknown)
				}
			case change.RemoveTarget, change.RemoveLUN, change.RemoveInitiator, change.RemovePortal, change.UnmapLUN, change.Deactivate:
				removal = true
			}
			if (trash || removal) && !in.Declared.Complete {
				t.Fatalf("%s, though there are findings: %v", step.Change, in.Declared.Findings)
			}
			if (trash || removal) && len(in.Observed.Unknown) > 0 {
				t.Fatalf("%s, though systems are unknown: %v", step.Change, in.Observed.Unknown)
			}
			if in.Observed.Unknown[step.Change.System()] != nil {
				t.Fatalf("%s, though its system is unknown", step.Change)
			}
			group, lvm := strings.CutPrefix(step.Change.Lane(), "vg/")
			if !lvm {
				continue
			}
			vg, there := in.Observed.VolumeGroups[group]
			if !there {
				t.Fatalf("%s, though the volume group is not to be seen", step.Change)
			}
			if _, writes := step.Change.(change.Activate); vg.MissingPVs > 0 && !writes {
				t.Fatalf("%s, though physical volumes are missing", step.Change)
			}
		}
	})
}

// deletes returns the objects that no file names and that lose what they had.
func deletes(in Input, p Plan) map[spec.ID]bool {
	lost := map[spec.ID]bool{}
	for _, step := range p.Steps {
		if namedByFiles(in.Declared, step.Object) {
			continue
		}
		switch c := step.Change.(type) {
		case change.RemoveTarget:
			target, _ := in.Observed.Target(c.ID())
			if _, ours := target.Owner(); ours {
				lost[step.Object] = true
			}
		case change.SetTags:
			if !slices.Equal(c.Add, []string{here.Tag()}) { // else it only says whose it is
				lost[step.Object] = true
			}
		case change.RemoveLV, change.StartClearing:
			lv, _ := logicalVolumeOf(in.Observed, c)
			if leftover(lv) {
				continue // it holds nothing that is not elsewhere
			}
			if lv.Tag(ondisk.TagDeleted) == "" && !slices.Contains(lv.Tags, ondisk.TagDeleted) {
				lost[step.Object] = true
			}
		}
	}
	return lost
}

func TestPropertiesNoMoreIsDeletedAtOnceThanAllowed(t *testing.T) {
	properties(t, func(t *rapid.T, s scenario) {
		in := s.input
		p := Make(in)
		lost := deletes(in, p)
		if len(lost) > in.MaxDeletions {
			t.Fatalf("%d are deleted, %d are allowed: %v", len(lost), in.MaxDeletions, lost)
		}
		if len(lost) > 0 && len(in.Declared.IDs())+len(in.Declared.Invalid) == 0 {
			t.Fatalf("no file names anything, and these are deleted: %v", lost)
		}
		token := ""
		for _, o := range p.Objects {
			if found := TokenIn.FindStringSubmatch(o.Message); found != nil {
				token = found[1]
			}
		}
		if token == "" || len(in.Declared.Pools) == 0 {
			return
		}
		unlimited := in
		unlimited.MaxDeletions = 1000
		all := deletes(in, Make(unlimited))
		name := slices.Sorted(maps.Keys(in.Declared.Pools))[0]
		pool := in.Declared.Pools[name]
		pool.Metadata.Annotations = maps.Clone(pool.Metadata.Annotations)
		if pool.Metadata.Annotations == nil {
			pool.Metadata.Annotations = map[string]string{}
		}
		pool.Metadata.Annotations[spec.AnnotationAllowDeletions] = token
		in.Declared.Pools = maps.Clone(in.Declared.Pools)
		in.Declared.Pools[name] = pool
		if permitted := deletes(in, Make(in)); !maps.Equal(permitted, all) {
			t.Fatalf("permitted were %v, deleted are %v", all, permitted)
		}
		pool.Metadata.Annotations[spec.AnnotationAllowDeletions] = "0123456789abcdef"
		if other := deletes(in, Make(in)); len(other) > in.MaxDeletions {
			t.Fatalf("with another token %v are deleted", other)
		}
	})
}
