package reconcile

import (
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
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
		if a, b := Diff(s.input), Diff(s.input); !reflect.DeepEqual(a, b) {
			t.Fatalf("two plans for one input:\n%+v\n%+v", a, b)
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
		shuffled.Desired = load(dir, files, s.broken)
		a, b := Diff(s.input), Diff(shuffled)
		if !reflect.DeepEqual(a.Steps, b.Steps) {
			t.Fatalf("another order, another plan:\n%s\n\n%s", strings.Join(changes(a), "\n"), strings.Join(changes(b), "\n"))
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
		for i, step := range Diff(s.input).Steps {
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

// mayChange reports whether a logical volume is an object's by its tags, by what
// is left of them, by what is remembered, or because the spec adopts it.
func mayChange(in Input, lv observe.LogicalVolume) bool {
	if _, ours := lv.Owner(); ours {
		return true
	}
	for _, id := range in.Desired.IDs() {
		var name, pool string
		adopt := false
		switch id.Kind {
		case spec.KindVolume:
			v := in.Desired.Volumes[id.Name]
			name, pool, adopt = v.Spec.LVName, v.Spec.Pool, v.Spec.Adopt
		case spec.KindSnapshot:
			name, pool = id.Name, in.Desired.Volumes[in.Desired.Snapshots[id.Name].Spec.Volume].Spec.Pool
		case spec.KindPool, spec.KindExport, spec.KindImage:
			continue
		}
		if name != lv.Name || in.Desired.Pools[pool].Spec.VolumeGroup != lv.VolumeGroup {
			continue
		}
		left := slices.DeleteFunc(slices.Clone(lv.Tags), func(tag string) bool {
			return !strings.HasPrefix(tag, observe.TagKind) && !strings.HasPrefix(tag, observe.TagName)
		})
		others := slices.ContainsFunc(left, func(tag string) bool { return !slices.Contains(observe.OwnerTags(id), tag) })
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
		execute(t, m, p, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "lane") }, never, func() {})
		after := map[string]observe.LogicalVolume{}
		for _, lv := range m.allLVs() {
			after[lv.UUID] = lv
		}
		for _, lv := range s.again().allLVs() {
			if lv.Type == observe.ThickSnapshot {
				lv.Active = after[lv.UUID].Active // as its origin is
			}
			if !mayChange(in, lv) && !reflect.DeepEqual(lv, after[lv.UUID]) {
				t.Fatalf("%+v became %+v:\n%s", lv, after[lv.UUID], strings.Join(changes(p), "\n"))
			}
		}
		for iqn, target := range in.Observed.LIO.ISCSI {
			_, ours := target.Owner()
			asked := slices.ContainsFunc(slices.Collect(maps.Values(in.Desired.Exports)), func(e spec.Export) bool { return e.Spec.Target == iqn })
			remembered := slices.ContainsFunc(slices.Collect(maps.Values(in.Known)), func(i Identity) bool { return slices.Contains(i.Targets, iqn) })
			free := target.Empty() && (asked || remembered && !target.HasTPG)
			if !ours && !free && !reflect.DeepEqual(target, m.state.LIO.ISCSI[iqn]) {
				t.Fatalf("%+v became %+v", target, m.state.LIO.ISCSI[iqn])
			}
		}
		for path, b := range in.Observed.LIO.Backstores {
			if _, ours := b.Owner(); !ours && !reflect.DeepEqual(b, m.state.LIO.Backstores[path]) {
				t.Fatalf("%+v became %+v", b, m.state.LIO.Backstores[path])
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

// takesAway reports whether a change puts a logical volume into the trash, or
// removes it.
func takesAway(c change.Change) (trash, removal bool) {
	switch c := c.(type) {
	case change.SetTags:
		return slices.ContainsFunc(c.Add, func(tag string) bool { return strings.HasPrefix(tag, observe.TagDeleted) }), false
	case change.RemoveLV:
		return false, true
	}
	return false, false
}

// before returns all steps that must have succeeded before a step.
func before(p Plan, s Step) map[string]bool {
	all := map[string]bool{}
	for _, n := range s.Needs {
		need := p.Steps[n-1]
		all[need.Change.String()] = true
		maps.Copy(all, before(p, need))
	}
	return all
}

func namedByFiles(set spec.Set, id spec.ID) bool {
	_, invalid := set.Invalid[id]
	return invalid || set.Has(id)
}

func TestPropertiesNoDataIsTakenAwayThatMayBeNeeded(t *testing.T) {
	properties(t, func(t *rapid.T, s scenario) {
		p := Diff(s.input)
		for _, step := range p.Steps {
			trash, removal := takesAway(step.Change)
			if !trash && !removal {
				continue
			}
			lv, _ := logicalVolumeOf(s.input.Observed, step.Change)
			if reason := neededFor(s, p, step, lv); reason != "" {
				t.Fatalf("%s, though %s:\n%+v\n%s", step.Change, reason, lv, strings.Join(changes(p), "\n"))
			}
			if removal {
				if reason := tooEarly(s.input, lv); reason != "" {
					t.Fatalf("%s, though %s: %+v", step.Change, reason, lv)
				}
			}
		}
	})
}

// neededFor returns why a logical volume must not be taken away; empty: it may.
func neededFor(s scenario, p Plan, step Step, lv observe.LogicalVolume) string {
	in := s.input
	if phase := lv.Phase(); phase == observe.Staged || phase == observe.Replaced || lv.Tag(observe.TagKind) == observe.KindSource {
		return countsAlone(s, lv)
	}
	id, _ := lv.Owner()
	needs := before(p, step)
	policies := strings.Count(strings.Join(lv.Tags, " "), observe.TagDeletion)
	switch {
	case namedByFiles(in.Desired, id):
		return "files name " + id.String()
	case policies != 1 || !slices.Contains(lv.Tags, observe.DeletionTag(spec.Delete)) || in.Known[id].Retain:
		return "it is to be retained"
	case len(lv.HeldBy) > 0:
		return "somebody holds it"
	case in.Grace > 0 && in.Now.Sub(lastNamed(in, id)) < in.Grace:
		return "it was named just now"
	}
	for _, other := range s.again().allLVs() {
		if owner, _ := other.Owner(); owner == id && other.UUID != lv.UUID {
			return "there are several"
		}
		if other.Type == observe.ThickSnapshot && other.VolumeGroup == lv.VolumeGroup && other.Origin == lv.Name {
			_, removal := takesAway(step.Change)
			inTrash := strings.Contains(strings.Join(other.Tags, " "), observe.TagDeleted) || anyPrefix(needs, "set tags of "+other.FullName()+": +"+observe.TagDeleted)
			if !needs[change.RemoveLV{LV: nameOf(other)}.String()] && (removal || !inTrash) {
				return "there is its snapshot " + other.Name
			}
		}
	}
	for name, v := range in.Desired.Volumes {
		if v.Spec.LVName == lv.Name && in.Desired.Pools[v.Spec.Pool].Spec.VolumeGroup == lv.VolumeGroup {
			return "Volume/" + name + " names it"
		}
	}
	for path, b := range in.Observed.LIO.Backstores {
		if !boundTo(b, lv) {
			continue
		}
		if !needs["remove backstore "+path] {
			return "backstore " + path + " holds it"
		}
		if who := attached(in, path); who != "" {
			return who + " uses it"
		}
	}
	return ""
}

// countsAlone returns why what a move left must not be taken away: it may be all that
// there is.
func countsAlone(s scenario, lv observe.LogicalVolume) string {
	id, _ := lv.Owner()
	counts := func(other observe.LogicalVolume) bool {
		owner, _ := other.Owner()
		return owner == id && other.Phase() != observe.Staged && other.Phase() != observe.Replaced
	}
	switch all := s.again().allLVs(); {
	case lv.Tag(observe.TagKind) == observe.KindSource:
	case lv.Open || len(lv.HeldBy) > 0:
		return "it is open"
	case lv.Phase() == observe.Replaced && !slices.ContainsFunc(all, func(other observe.LogicalVolume) bool { return counts(other) && other.UUID == lv.ReplacedBy() }):
		return "what came in its place is not there, or may be incomplete"
	case lv.Phase() == observe.Staged && !slices.ContainsFunc(all, counts):
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
	if at, ok := in.LastNamed[id]; ok {
		return at
	}
	return in.Started
}

// attached returns an initiator that is logged in and sees a backstore, if the
// target is not one whose sessions may be ended.
func attached(in Input, backstore string) string {
	for iqn, target := range in.Observed.LIO.ISCSI {
		owner, _ := target.Owner()
		export, named := in.Desired.Exports[owner.Name]
		force := named && export.Spec.Disconnect == spec.DisconnectForce ||
			!named && in.Known[owner].Force && slices.Contains(in.Known[owner].Targets, iqn)
		for n, l := range target.LUNs {
			if l.Backstore != backstore || force {
				continue
			}
			if len(target.DynamicSessions) > 0 {
				return target.DynamicSessions[0]
			}
			for name, acl := range target.ACLs {
				for _, mapped := range acl.LUNs {
					if acl.LoggedIn && mapped.LUN == n {
						return name
					}
				}
			}
		}
	}
	return ""
}

// tooEarly returns why a logical volume must not leave the trash yet.
func tooEarly(in Input, lv observe.LogicalVolume) string {
	id, _ := lv.Owner()
	keep := time.Duration(-1)
	for _, p := range in.Desired.Pools {
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
		text, ok := strings.CutPrefix(tag, observe.TagDeleted)
		if !ok {
			continue
		}
		marked = true
		at, err := time.Parse(observe.TimeOfTag, text)
		if err != nil {
			return "its tag says no time"
		}
		if at.After(latest) {
			latest = at
		}
	}
	cameBack := in.LastNamed[id].Truncate(time.Second).After(latest)
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
		for _, step := range Diff(in).Steps {
			trash, removal := takesAway(step.Change)
			switch step.Change.(type) {
			case change.RemoveTarget, change.RemoveLUN, change.RemoveInitiator, change.RemovePortal, change.UnmapLUN, change.Deactivate:
				removal = true
			}
			if (trash || removal) && !in.Desired.Complete {
				t.Fatalf("%s, though there are findings: %v", step.Change, in.Desired.Findings)
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

func TestPropertiesSuspendedObjectsAreLeftAlone(t *testing.T) {
	properties(t, func(t *rapid.T, s scenario) {
		for _, step := range Diff(s.input).Steps {
			// An export that is not suspended may bind what it exports.
			_, binds := step.Change.(change.CreateBackstore)
			if !binds && s.input.Desired.Annotation(step.Object, spec.AnnotationReconcile) == "suspended" {
				t.Fatalf("%s, though %s is suspended", step.Change, step.Object)
			}
			lv, seen := logicalVolumeOf(s.input.Observed, step.Change)
			if owner, _ := lv.Owner(); seen && s.input.Desired.Annotation(owner, spec.AnnotationReconcile) == "suspended" {
				t.Fatalf("%s, though %s is suspended", step.Change, owner)
			}
		}
	})
}

// deletes returns the objects that no file names and that lose what they had.
func deletes(in Input, p Plan) map[spec.ID]bool {
	lost := map[spec.ID]bool{}
	for _, step := range p.Steps {
		if namedByFiles(in.Desired, step.Object) {
			continue
		}
		switch c := step.Change.(type) {
		case change.RemoveTarget:
			if _, ours := in.Observed.LIO.ISCSI[c.Name].Owner(); ours {
				lost[step.Object] = true
			}
		case change.SetTags:
			lost[step.Object] = true
		case change.RemoveLV:
			lv, _ := logicalVolumeOf(in.Observed, c)
			if lv.Tag(observe.TagDeleted) == "" && !slices.Contains(lv.Tags, observe.TagDeleted) {
				lost[step.Object] = true
			}
		}
	}
	return lost
}

func TestPropertiesNoMoreIsDeletedAtOnceThanAllowed(t *testing.T) {
	properties(t, func(t *rapid.T, s scenario) {
		in := s.input
		p := Diff(in)
		lost := deletes(in, p)
		if len(lost) > in.MaxDeletions {
			t.Fatalf("%d are deleted, %d are allowed: %v", len(lost), in.MaxDeletions, lost)
		}
		if len(lost) > 0 && len(in.Desired.IDs())+len(in.Desired.Invalid) == 0 {
			t.Fatalf("no file names anything, and these are deleted: %v", lost)
		}
		token := ""
		for _, o := range p.Objects {
			if found := tokenIn.FindStringSubmatch(o.Message); found != nil {
				token = found[1]
			}
		}
		if token == "" || len(in.Desired.Pools) == 0 {
			return
		}
		unlimited := in
		unlimited.MaxDeletions = 1000
		all := deletes(in, Diff(unlimited))
		name := sorted(in.Desired.Pools)[0]
		pool := in.Desired.Pools[name]
		pool.Metadata.Annotations = maps.Clone(pool.Metadata.Annotations)
		if pool.Metadata.Annotations == nil {
			pool.Metadata.Annotations = map[string]string{}
		}
		pool.Metadata.Annotations[spec.AnnotationAllowDeletions] = token
		in.Desired.Pools = maps.Clone(in.Desired.Pools)
		in.Desired.Pools[name] = pool
		if permitted := deletes(in, Diff(in)); !maps.Equal(permitted, all) {
			t.Fatalf("permitted were %v, deleted are %v", all, permitted)
		}
		pool.Metadata.Annotations[spec.AnnotationAllowDeletions] = "0123456789abcdef"
		if other := deletes(in, Diff(in)); len(other) > in.MaxDeletions {
			t.Fatalf("with another token %v are deleted", other)
		}
	})
}

// normal is a state in which what was created later has no identity of its own:
// it depends on the order of steps.
func normal(was, is observe.State) observe.State {
	m := &model{state: is}
	out := &model{state: m.copy()}
	old := map[string]bool{}
	for _, lv := range (&model{state: was}).allLVs() {
		old[lv.UUID] = true
	}
	for _, lv := range m.allLVs() {
		if old[lv.UUID] {
			continue
		}
		for path, b := range out.state.LIO.Backstores {
			if boundTo(b, lv) {
				b.BlockDevice = "of " + lv.FullName()
				if b.Serial == observe.UnitSerial(lv.UUID) {
					b.Serial = "of " + lv.FullName()
				}
				out.state.LIO.Backstores[path] = b
			}
		}
		out.edit(lv.FullName(), func(lv *observe.LogicalVolume) { lv.UUID, lv.Minor = "new", -1 })
	}
	for _, lv := range out.allLVs() {
		out.edit(lv.FullName(), func(lv *observe.LogicalVolume) { lv.Tags = slices.Sorted(namingNone(lv.Tags, old)) })
	}
	return out.state
}

// namingNone returns tags without the UUIDs of logical volumes that are new.
func namingNone(tags []string, old map[string]bool) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, tag := range tags {
			for _, prefix := range []string{observe.TagSynced, observe.TagSince, observe.TagIdentity, observe.TagReplacedBy} {
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

func uuidsOf(m *model) map[string]string {
	all := map[string]string{}
	for _, lv := range m.allLVs() {
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
			execute(t, m, p, func(n int) int {
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
		want, got := normal(s.input.Observed, straight.state), normal(s.input.Observed, m.state)
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("without a crash:\n%+v\nwith one:\n%+v", want, got)
		}
	})
}

// view is what an initiator can reach.
type view struct {
	initiator, iqn, backstore, uuid string
	write                           bool
}

const anybody = "*"

// views returns all that any initiator can reach, and where: the number is that
// which the initiator sees.
func views(m *model) map[view][]int {
	all := map[view][]int{}
	for iqn, target := range m.state.LIO.ISCSI {
		if !target.Enabled {
			continue
		}
		add := func(initiator string, seen, lun int, write bool) {
			b, linked := m.state.LIO.Backstores[target.LUNs[lun].Backstore]
			if !linked {
				return
			}
			v := view{initiator: initiator, iqn: iqn, backstore: b.Path(), write: write && !b.ReadOnly}
			for _, lv := range m.allLVs() {
				if boundTo(b, lv) {
					v.uuid = lv.UUID
				}
			}
			all[v] = append(all[v], seen)
		}
		if target.Attrib.GenerateNodeACLs {
			for n := range target.LUNs {
				add(anybody, n, n, !target.Attrib.DemoModeWriteProtect)
			}
		}
		for name, acl := range target.ACLs {
			for n, mapped := range acl.LUNs {
				if mapped.LUN >= 0 {
					add(name, n, mapped.LUN, !mapped.WriteProtect)
				}
			}
		}
	}
	return all
}

// had reports whether somebody could reach the same already.
func had(old map[view][]int, v view) bool {
	for _, who := range []string{v.initiator, anybody} {
		for _, write := range []bool{v.write, true} {
			was := v
			was.initiator, was.write = who, write
			if len(old[was]) > 0 {
				return true
			}
		}
	}
	return false
}

// allows reports whether the spec lets an initiator see a LUN.
func allows(set spec.Set, v view, number int, owner spec.ID) bool {
	for _, e := range set.Exports {
		if e.Spec.Target != v.iqn {
			continue
		}
		i := slices.IndexFunc(e.Spec.Initiators, func(i spec.Initiator) bool { return i.Name == v.initiator })
		if i < 0 && !e.Spec.AllowAnyInitiator {
			return false
		}
		for _, l := range e.Spec.LUNs {
			readOnly := l.ReadOnly || i >= 0 && e.Spec.Initiators[i].ReadOnly
			if *l.Number == number && l.Backing() == owner && (!readOnly || !v.write) {
				return true
			}
		}
	}
	return false
}

func TestPropertiesNoInstantIsMoreOpenThanBeforeOrAfter(t *testing.T) {
	properties(t, func(t *rapid.T, s scenario) {
		m, in := s.again(), s.input
		old := views(m)
		p := pass(m, &in)
		broken := map[StepID]bool{}
		for _, step := range p.Steps {
			broken[step.ID] = oneIn(t, 12, "fails")
		}
		check := func() {
			for v, numbers := range views(m) {
				owner, _ := m.state.LIO.Backstores[v.backstore].Owner()
				for _, n := range numbers {
					if !had(old, v) && !allows(in.Desired, v, n, owner) {
						t.Fatalf("%+v can be reached as LUN %d, and should not:\n%s", v, n, strings.Join(changes(p), "\n"))
					}
				}
				if len(numbers) > 1 && len(old[v]) < 2 {
					t.Fatalf("%+v is there several times: %v\n%s", v, numbers, strings.Join(changes(p), "\n"))
				}
			}
			authenticated(t, in, m, p)
		}
		// With steps that fail, others may find what no plan would ask of the
		// machine; actuators refuse it then.
		func() {
			defer func() {
				if r := recover(); r != nil && !slices.Contains(slices.Collect(maps.Values(broken)), true) {
					panic(r)
				}
			}()
			execute(t, m, p, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "lane") }, func(id StepID) bool { return broken[id] }, check)
		}()
	})
}

// authenticated fails if an initiator gets in without the password that the spec
// asks of it, and did not before.
func authenticated(t *rapid.T, in Input, m *model, p Plan) {
	for _, e := range in.Desired.Exports {
		target := m.state.LIO.ISCSI[e.Spec.Target]
		before := in.Observed.LIO.ISCSI[e.Spec.Target]
		owner, ours := target.Owner()
		if !target.Enabled || !ours || owner.Name != e.Metadata.Name {
			continue
		}
		for _, i := range e.Spec.Initiators {
			acl, there := target.ACLs[i.Name]
			was, wasThere := before.ACLs[i.Name]
			asked := func(acl observe.ACL, group observe.TPGAttrib) bool {
				return acl.Authentication == "1" || acl.Authentication == "-1" && group.Authentication
			}
			// With the credentials of before, to be asked for them is no more open.
			unchanged := wasThere && before.Enabled && acl.Auth == was.Auth && (asked(acl, target.Attrib) || !asked(was, before.Attrib))
			if there && authOf(i.Auth).Needed() && !unchanged && (!asked(acl, target.Attrib) || acl.Auth != chap(authOf(i.Auth))) {
				t.Fatalf("%s of %s gets in without its password:\n%s", i.Name, e.Spec.Target, strings.Join(changes(p), "\n"))
			}
		}
	}
}

func TestPropertiesSessionsKeepTheirVolumes(t *testing.T) {
	type number struct {
		iqn, initiator string
		lun            int
	}
	// what is behind the numbers that live sessions see
	behind := func(m *model) map[number]string {
		all := map[number]string{}
		for iqn, target := range m.state.LIO.ISCSI {
			for name, acl := range target.ACLs {
				for n, mapped := range acl.LUNs {
					if b := m.state.LIO.Backstores[target.LUNs[mapped.LUN].Backstore]; acl.LoggedIn && b.BlockDevice != "" {
						all[number{iqn, name, n}] = b.BlockDevice
					}
				}
			}
		}
		return all
	}
	properties(t, func(t *rapid.T, s scenario) {
		m, in := s.again(), s.input
		old := behind(m)
		p := pass(m, &in)
		execute(t, m, p, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "lane") }, never, func() {
			for n, device := range behind(m) {
				if old[n] != "" && old[n] != device {
					t.Fatalf("%+v was %s and is %s:\n%s", n, old[n], device, strings.Join(changes(p), "\n"))
				}
			}
		})
	})
}

func TestPropertiesMemoryForgetsNothingThatCannotBeSeen(t *testing.T) {
	properties(t, func(t *rapid.T, s scenario) {
		in := s.input
		next := learn(in.Known, in.Desired, in.Observed)
		owned := map[spec.ID]bool{}
		for _, lv := range s.again().allLVs() {
			id, _ := lv.Owner()
			owned[id] = true
		}
		for id, was := range in.Known {
			_, seen := in.Observed.VolumeGroups[was.VolumeGroup]
			givenUp := owned[id] && in.Desired.Annotation(id, spec.AnnotationRecreate) == was.UUID
			if id.Kind != spec.KindExport && !seen && !givenUp && next[id].UUID != was.UUID {
				t.Fatalf("%s was %+v, is %+v, though its volume group cannot be seen", id, was, next[id])
			}
			if id.Kind == spec.KindExport && in.Observed.Unknown[observe.LIO] != nil {
				for _, iqn := range was.Targets {
					if !slices.Contains(next[id].Targets, iqn) {
						t.Fatalf("%s was %+v, is %+v, though targets cannot be seen", id, was, next[id])
					}
				}
			}
			if was.Retain && next[id].UUID == was.UUID && !in.Desired.Has(id) && !next[id].Retain {
				t.Fatalf("%s is no longer retained", id)
			}
		}
	})
}

func TestPropertiesNothingIsPutInThePlaceOfWhatVanished(t *testing.T) {
	properties(t, func(t *rapid.T, s scenario) {
		for _, step := range Diff(s.input).Steps {
			known := s.input.Known[step.Object].UUID
			if known == "" || !s.input.Desired.Has(step.Object) || s.input.Desired.Annotation(step.Object, spec.AnnotationRecreate) == known {
				continue
			}
			lv, seen := logicalVolumeOf(s.input.Observed, step.Change)
			switch c := step.Change.(type) {
			case change.CreateVolume:
				if !slices.Contains(c.Tags, observe.PhaseTag(observe.Staged)) {
					t.Fatalf("%s, though %s is known to be %s", step.Change, step.Object, known)
				}
			case change.CreateSnapshot:
				if !slices.Contains(c.Tags, observe.TagKind+observe.KindSource) {
					t.Fatalf("%s, though %s is known to be %s", step.Change, step.Object, known)
				}
			case change.CreateThinPool:
				t.Fatalf("%s, though %s is known to be %s", step.Change, step.Object, known)
			}
			if lv.Phase() == observe.Replaced || lv.Tag(observe.TagKind) == observe.KindSource {
				continue // what is left of a move, and of no use
			}
			if seen && lv.Identity() != known && step.Object.Kind != spec.KindPool {
				t.Fatalf("%s, which is %s, though %s is known to be %s", step.Change, lv.UUID, step.Object, known)
			}
		}
	})
}

// What is remembered of data may only keep it from being taken away or covered
// by something new; what is remembered of exports lets sessions be ended, and
// empty directories be removed.
func TestPropertiesMemoryOnlyMakesCareful(t *testing.T) {
	properties(t, func(t *rapid.T, s scenario) {
		in := s.input
		in.MaxDeletions = 1000 // what is retained is not counted
		targets := map[spec.ID]Identity{}
		for id, known := range in.Known {
			targets[id] = Identity{Targets: known.Targets, Force: known.Force}
		}
		with, without, blank := in, in, in
		without.Known, blank.Known = targets, map[spec.ID]Identity{}
		lost, lostWithout := dataSteps(Diff(with)), dataSteps(Diff(without))
		for c := range lost {
			if !lostWithout[c] {
				t.Fatalf("%s, only because of what is remembered", c)
			}
		}
		for _, step := range Diff(blank).Steps {
			c, removes := step.Change.(change.RemoveTarget)
			if removes && c.Force && in.Desired.Exports[c.Export].Spec.Disconnect != spec.DisconnectForce {
				t.Fatalf("%s ends sessions, and nothing said so", c)
			}
			if target := in.Observed.LIO.ISCSI[c.Name]; removes && !target.HasTPG {
				t.Fatalf("%s, and nothing says whose it is", c)
			}
		}
	})
}

// dataSteps are the changes that take data away or create something in its place.
func dataSteps(p Plan) map[string]bool {
	all := map[string]bool{}
	for _, step := range p.Steps {
		trash, removal := takesAway(step.Change)
		switch step.Change.(type) {
		case change.CreateVolume, change.CreateThinPool:
			removal = true
		}
		if trash || removal {
			all[step.Change.String()] = true
		}
	}
	return all
}
