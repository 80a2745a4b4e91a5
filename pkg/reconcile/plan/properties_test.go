package plan_test

import (
	"fmt"
	"iter"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// These tests hold for every spec on every node, whatever happened to it. To try
// many more cases than usual:
//
//	go test ./pkg/reconcile -run Properties -rapid.checks=20000

func TestPropertiesPlansConverge(t *testing.T) {
	properties(t, func(t *rapid.T, s scenario) { converge(t, s.again(), s.input) })
}

func TestPropertiesPlansAreTheSameEveryTime(t *testing.T) {
	properties(t, func(t *rapid.T, s scenario) {
		if a, b := Make(s.input), Make(s.input); !reflect.DeepEqual(a, b) {
			t.Fatalf("two plans for one input:\n%+v\n%+v", a, b)
		}
	})
}

// What was observed is shared with later passes.
func TestPropertiesPlansChangeNothingOfWhatWasObserved(t *testing.T) {
	properties(t, func(t *rapid.T, s scenario) {
		before := fmt.Sprintf("%+v", s.input.Observed)
		p := Make(s.input)
		index := NewIndex(s.input.Observed, Ownership{Installation: s.input.Installation, Known: s.input.Known})
		Learn(s.input.Known, s.input.Declared, s.input.Observed, index, s.input.Now)
		LearnExposures(s.input.Exposures, s.input.Observed, index, false, s.input.Now)
		NoteBeginning(s.input.Known, p, s.input.Declared, s.input.Observed, index)
		if after := fmt.Sprintf("%+v", s.input.Observed); after != before {
			t.Fatalf("it was\n%s\nand is\n%s", before, after)
		}
	})
}

func TestPropertiesOrderOfFilesChangesNothing(t *testing.T) {
	dir := t.TempDir()
	properties(t, func(t *rapid.T, s scenario) {
		files := make([][]document, 3)
		for _, d := range rapid.Permutation(s.documents).Draw(t, "order") {
			n := rapid.IntRange(0, 2).Draw(t, "file")
			files[n] = append(files[n], d)
		}
		if len(files[0])+len(files[1])+len(files[2]) == 0 {
			return
		}
		shuffled := s.input
		files = slices.DeleteFunc(files, func(docs []document) bool { return len(docs) == 0 })
		shuffled.Declared = load(dir, files, s.broken)
		a, b := Make(s.input), Make(shuffled)
		if !reflect.DeepEqual(a.Steps, b.Steps) {
			t.Fatalf("another order, another plan:\n%s\n\n%s", strings.Join(ChangesIn(a), "\n"), strings.Join(ChangesIn(b), "\n"))
		}
		phases := func(p Plan) (out []string) {
			for _, o := range p.Objects {
				out = append(out, fmt.Sprintf("%s %s %s", o.ID(), o.Phase, o.Reason))
			}
			return out
		}
		if !slices.Equal(phases(a), phases(b)) {
			t.Fatalf("another order, other statuses:\n%v\n%v", phases(a), phases(b))
		}
	})
}

func TestPropertiesStepsNeedEarlierSteps(t *testing.T) {
	properties(t, func(t *rapid.T, s scenario) {
		for i, step := range Make(s.input).Steps {
			if step.ID != StepID(i+1) {
				t.Fatalf("step %d is called %d", i+1, step.ID)
			}
			for _, n := range step.Needs {
				if n < 1 || n >= step.ID {
					t.Fatalf("step %d needs %d", step.ID, n)
				}
			}
		}
	})
}

// mayChange reports whether a logical volume is an object's, or made for one, by its tags, by
// what is left of them, by what is remembered, or because the spec adopts it.
func mayChange(in Input, lv observe.LogicalVolume) bool {
	_, owned := lv.LastOwner()
	_, source := lv.SourceOf()
	_, move := lv.MoveOf()
	if owned || source || move {
		return true
	}
	for _, id := range in.Declared.IDs() {
		var name, pool string
		adopt := false
		switch id.Kind {
		case spec.KindVolume:
			v := in.Declared.Volumes[id.Name]
			name, pool, adopt = v.Spec.LVName, v.Spec.Pool, v.Spec.Adopt
		case spec.KindSnapshot:
			name, pool = id.Name, in.Declared.Volumes[in.Declared.Snapshots[id.Name].Spec.Volume].Spec.Pool
		default: // the others have no logical volume that they name
			continue
		}
		if name != lv.Name || in.Declared.Pools[pool].Spec.VolumeGroup != lv.VolumeGroup {
			continue
		}
		left := slices.DeleteFunc(slices.Clone(lv.Tags), func(tag string) bool {
			return !strings.HasPrefix(tag, ondisk.TagKind) && !strings.HasPrefix(tag, ondisk.TagName)
		})
		others := slices.ContainsFunc(left, func(tag string) bool { return !slices.Contains(ondisk.OwnerTags(id), tag) })
		if lv.UUID == in.Known[id].UUID || lv.Marked() && !others || !lv.Marked() && adopt {
			return true
		}
	}
	return false
}

func TestPropertiesWhatIsNotOursStaysAsItIs(t *testing.T) {
	properties(t, func(t *rapid.T, s scenario) {
		m, in := s.again(), s.input
		p := pass(m, &in)
		carryOut(t, m, p, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "lane") }, never, func() {})
		after := map[string]observe.LogicalVolume{}
		for _, lv := range m.AllLVs() {
			after[lv.UUID] = lv
		}
		for _, lv := range s.again().AllLVs() {
			if lv.Type == observe.ThickSnapshot || len(m.WithThickSnapshots(NameOf(lv))) > 1 {
				lv.Active = after[lv.UUID].Active // both are, or none
			}
			lv.Open = after[lv.UUID].Open // what is ours may let go of it
			if is, there := after[lv.UUID]; lv.Type == observe.Thin && there {
				lv.Origin = is.Origin // it does without, if that was ours
			}
			for _, pool := range in.Declared.Pools { // a thin pool of somebody else's is used as it is, and so active
				if thin := pool.Spec.ThinPool; thin != nil && thin.Name == lv.Name && pool.Spec.VolumeGroup == lv.VolumeGroup && lv.Type == observe.ThinPool && !slices.Contains(lv.Tags, elsewhere.Tag()) {
					lv.Active = after[lv.UUID].Active
				}
			}
			if !mayChange(in, lv) && !reflect.DeepEqual(lv, after[lv.UUID]) {
				t.Fatalf("%+v became %+v:\n%s", lv, after[lv.UUID], strings.Join(ChangesIn(p), "\n"))
			}
		}
		for _, lv := range s.again().AllLVs() {
			of, _ := lv.BelongsTo()
			adopts := in.Declared.Volumes[of.Name].Spec.Adopt || in.Declared.Volumes[in.Declared.Snapshots[of.Name].Spec.Volume].Spec.Adopt
			is := after[lv.UUID]
			if adopts {
				is.Tags = append(withoutMaker(is.Tags), elsewhere.Tag())
			}
			if lv.Type == observe.Thin {
				lv.Origin = is.Origin
			}
			lv.Open, lv.HeldBy = is.Open, is.HeldBy
			if lv.Type == observe.ThickSnapshot || len(m.WithThickSnapshots(NameOf(lv))) > 1 {
				lv.Active = is.Active
			}
			theirs := slices.Contains(lv.Tags, elsewhere.Tag()) && !slices.Contains(in.Installation.Adopts, elsewhere.ID)
			if theirs && !reflect.DeepEqual(lv, is) {
				t.Fatalf("another installation's %+v became %+v:\n%s", lv, is, strings.Join(ChangesIn(p), "\n"))
			}
		}
		for _, target := range targetsOf(in.Observed) {
			_, ours := target.Owner()
			asked := slices.ContainsFunc(slices.Collect(maps.Values(in.Declared.Exports)), func(e spec.Export) bool { return servedAs(in, e) == idOf(target) })
			remembered := slices.ContainsFunc(slices.Collect(maps.Values(in.Known)), func(i Identity) bool { return slices.Contains(i.Targets, target.Name) })
			// Where the mark is in the group, one that is there without it is somebody else's.
			free := target.Empty() && (asked || remembered && (!target.HasTPG || target.Fabric != observe.ISCSI))
			is, _ := m.State.Target(idOf(target))
			if target.Fabric == observe.TGTISCSI {
				is.Portals = target.Portals // which all targets of tgtd share
			}
			if !ours && !free && !reflect.DeepEqual(target, is) {
				t.Fatalf("%+v became %+v", target, is)
			}
		}
		for path, b := range in.Observed.LIO.Backstores {
			if _, ours := b.Owner(); !ours && !reflect.DeepEqual(b, m.State.LIO.Backstores[path]) {
				t.Fatalf("%+v became %+v", b, m.State.LIO.Backstores[path])
			}
		}
		for _, step := range p.Steps {
			if lv, seen := logicalVolumeOf(in.Observed, step.Change); seen {
				if owner, owned := lv.Owner(); owned && owner != step.Object {
					t.Fatalf("%s on behalf of %s", step.Change, step.Object)
				}
			}
		}
	})
}

// logicalVolumeOf returns the logical volume that a change is made to, if it is
// there.
func logicalVolumeOf(state observe.State, c change.Change) (observe.LogicalVolume, bool) {
	field := reflect.ValueOf(c).FieldByName("LV")
	if !field.IsValid() {
		return observe.LogicalVolume{}, false
	}
	name := field.Interface().(change.LV)
	lv, seen := state.VolumeGroups[name.VolumeGroup].LogicalVolumes[name.Name]
	return lv, seen
}

func TestPropertiesSuspendedObjectsAreLeftAlone(t *testing.T) {
	properties(t, func(t *rapid.T, s scenario) {
		for _, step := range Make(s.input).Steps {
			// An export that is not suspended may bind what it exports.
			_, binds := step.Change.(change.CreateBackstore)
			if !binds && s.input.Declared.Annotation(step.Object, spec.AnnotationReconcile) == "suspended" {
				t.Fatalf("%s, though %s is suspended", step.Change, step.Object)
			}
			lv, seen := logicalVolumeOf(s.input.Observed, step.Change)
			if owner, _ := lv.Owner(); seen && s.input.Declared.Annotation(owner, spec.AnnotationReconcile) == "suspended" {
				t.Fatalf("%s, though %s is suspended", step.Change, owner)
			}
		}
	})
}

// withoutHBAs forgets in which directories our backstores are: it depends on what was there
// when they were made.
func withoutHBAs(s observe.State) {
	for at, b := range s.LIO.Backstores {
		if _, ours := b.Owner(); !ours || !ondisk.OwnHBA(b.HBA) {
			continue
		}
		delete(s.LIO.Backstores, at)
		b.HBA = "own"
		s.LIO.Backstores[b.Path()] = b
	}
	for _, target := range targetsOf(s) {
		for n, l := range target.LUNs {
			hba, name := path.Split(l.Backstore)
			if _, ours := ondisk.BackstoreOwner(name); ours && ondisk.OwnHBA(path.Clean(hba)) {
				l.Backstore = "own/" + name
				target.LUNs[n] = l
			}
		}
	}
}

// normal is a state in which what was created later has no identity of its own:
// it depends on the order of steps.
func normal(was, is observe.State) observe.State {
	m := &Model{State: is}
	out := &Model{State: m.Copy()}
	old := map[string]bool{}
	for _, lv := range (&Model{State: was}).AllLVs() {
		old[lv.UUID] = true
	}
	for _, lv := range m.AllLVs() {
		if old[lv.UUID] {
			continue
		}
		identity := lv.Identity() // of what came in the place of something as new
		if old[identity] {
			identity = lv.UUID
		}
		for path, b := range out.State.LIO.Backstores {
			if BoundTo(b, lv) {
				b.BlockDevice = "of " + lv.FullName()
				if b.Serial == ondisk.UnitSerial(identity) {
					b.Serial = "of " + lv.FullName()
				}
				out.State.LIO.Backstores[path] = b
			}
		}
		for _, target := range targetsOf(out.State) {
			for n, l := range target.LUNs {
				if l.Identity == ondisk.NamespaceUUID(identity) || l.Identity == ondisk.UnitSerial(identity) {
					l.Identity = "of " + lv.FullName()
					target.LUNs[n] = l
				}
			}
		}
		out.Edit(lv.FullName(), func(lv *observe.LogicalVolume) {
			// Room for a complete overwrite is that of the size that its origin was seen with.
			lv.UUID, lv.Minor, lv.COWSize = "new", -1, 0
		})
	}
	withoutRounds(out)
	withoutHBAs(out.State)
	for _, target := range targetsOf(out.State) {
		if target.AuthMark != "" {
			target.AuthMark = "salted" // anew each time
		}
		if len(target.DynamicSessions) == 0 {
			target.DynamicSessions = nil
		}
		out.State.Targets(target.Fabric)[target.Name] = target
	}
	for _, lv := range out.AllLVs() {
		out.Edit(lv.FullName(), func(lv *observe.LogicalVolume) { lv.Tags = slices.Sorted(namingNone(lv.Tags, old)) })
	}
	return out.State
}

// withoutRounds leaves out how far moves got that cannot go on: because of a Snapshot that was
// made meanwhile, for one.
func withoutRounds(m *Model) {
	waits := map[spec.ID]bool{}
	for _, lv := range m.AllLVs() {
		if owner, _ := lv.Owner(); lv.Phase() == ondisk.Staged {
			waits[owner] = true
			m.Edit(lv.FullName(), func(lv *observe.LogicalVolume) {
				lv.Tags = slices.DeleteFunc(slices.Clone(lv.Tags), func(t string) bool {
					return strings.HasPrefix(t, ondisk.TagSynced) || strings.HasPrefix(t, ondisk.TagCheckpoint)
				})
			})
		}
	}
	for _, lv := range m.AllLVs() {
		if of, moves := lv.MoveOf(); moves && waits[of] {
			delete(m.LVs(lv.VolumeGroup), lv.Name)
		}
	}
}

// namingNone returns tags without the UUIDs of logical volumes that are new.
func namingNone(tags []string, old map[string]bool) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, tag := range tags {
			for _, prefix := range []string{ondisk.TagSynced, ondisk.TagSince, ondisk.TagIdentity, ondisk.TagReplacedBy} {
				uuid, _, _ := strings.Cut(strings.TrimPrefix(tag, prefix), ":")
				if strings.HasPrefix(tag, prefix) && uuid != "" && !old[uuid] {
					tag = prefix + "new"
				}
			}
			if !yield(tag) {
				return
			}
		}
	}
}

// withoutContestedReverts leaves out whether a Volume was reverted to a Snapshot that initiators
// may write to: that waits until they have logged out, and who was first is chance.
func withoutContestedReverts(set spec.Set, state observe.State) {
	m := &Model{State: state}
	for name, v := range set.Volumes {
		contested := func(e spec.Export) bool {
			return slices.ContainsFunc(e.Spec.LUNs, func(l spec.LUN) bool {
				return v.Spec.Revert != nil && l.Snapshot == v.Spec.Revert.Snapshot && !l.ReadOnly
			})
		}
		if !slices.ContainsFunc(slices.Collect(maps.Values(set.Exports)), contested) {
			continue
		}
		for _, lv := range m.AllLVs() {
			if owner, _ := lv.Owner(); owner == VolumeID(name) {
				m.Edit(lv.FullName(), func(lv *observe.LogicalVolume) {
					lv.Tags = slices.DeleteFunc(slices.Clone(lv.Tags), func(t string) bool {
						return strings.HasPrefix(t, ondisk.TagRevert) || strings.HasPrefix(t, ondisk.TagReverted) || t == ondisk.PhaseTag(ondisk.Reverting)
					})
				})
			}
		}
	}
}

// besides returns what is in one state only.
func besides(one, other observe.State) []string {
	lines := func(state observe.State) (all []string) {
		for _, lv := range (&Model{State: state}).AllLVs() {
			all = append(all, fmt.Sprintf("%+v", lv))
		}
		for _, target := range targetsOf(state) {
			all = append(all, fmt.Sprintf("%+v", target))
		}
		for _, path := range slices.Sorted(maps.Keys(state.LIO.Backstores)) {
			all = append(all, fmt.Sprintf("%+v", state.LIO.Backstores[path]))
		}
		for _, path := range slices.Sorted(maps.Keys(state.ImageFiles)) {
			all = append(all, fmt.Sprintf("%s %+v", path, state.ImageFiles[path]))
		}
		return all
	}
	theirs := lines(other)
	return slices.DeleteFunc(lines(one), func(line string) bool { return slices.Contains(theirs, line) })
}

func uuidsOf(m *Model) map[string]string {
	all := map[string]string{}
	for _, lv := range m.AllLVs() {
		all[lv.UUID] = lv.FullName()
	}
	return all
}

func TestPropertiesACrashChangesNothingOfTheOutcome(t *testing.T) {
	properties(t, func(t *rapid.T, s scenario) {
		straight := s.again()
		converge(t, straight, s.input)

		m, in := s.again(), s.input
		for range rapid.IntRange(1, 2).Draw(t, "crashes") {
			p := pass(m, &in)
			left := rapid.IntRange(0, len(p.Steps)).Draw(t, "steps before the crash")
			before := uuidsOf(m)
			carryOut(t, m, p, func(n int) int {
				if left--; left < 0 {
					return -1
				}
				return rapid.IntRange(0, n-1).Draw(t, "lane")
			}, never, func() {})
			for _, step := range p.Steps {
				switch c := step.Change.(type) {
				case change.RemoveLV:
					delete(before, c.UUID)
				case change.Clear:
					delete(before, c.UUID)
				}
			}
			after := uuidsOf(m)
			for uuid, name := range before {
				if after[uuid] == "" {
					t.Fatalf("%s is gone, and no step removed it", name)
				}
			}
		}
		converge(t, m, in)
		want, got := normal(s.input.Observed, straight.State), normal(s.input.Observed, m.State)
		withoutContestedReverts(s.input.Declared, want)
		withoutContestedReverts(s.input.Declared, got)
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("without a crash:\n%s\nwith one:\n%s", strings.Join(besides(want, got), "\n"), strings.Join(besides(got, want), "\n"))
		}
	})
}
