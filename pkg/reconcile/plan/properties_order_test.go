package plan_test

import (
	"fmt"
	"maps"
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

// unordered renders a plan without the order and the numbers of its steps.
func unordered(p Plan) []string {
	var lines []string
	for _, s := range p.Steps {
		var needs []string
		for _, n := range s.Needs {
			needs = append(needs, p.Steps[n-1].Change.String())
		}
		slices.Sort(needs)
		lines = append(lines, fmt.Sprintf("%s: %s: %s %s %v at once=%t needs %s", s.Object, s.Change, s.Why, s.Danger, s.Affects, s.AtOnce, strings.Join(needs, "; ")))
	}
	slices.Sort(lines)
	for _, o := range p.Objects {
		lines = append(lines, fmt.Sprintf("%s %s %s %s", o.ID(), o.Phase, o.Reason, o.Message))
	}
	return append(lines, fmt.Sprint(p.KeepJobs))
}

// shuffled returns the phases in any order that they allow.
func shuffled(t *rapid.T) []string {
	left, after := PhaseNames()
	var order []string
	for len(left) > 0 {
		var ready []int
		for i, name := range left {
			waits := slices.ContainsFunc(left, func(other string) bool { return slices.Contains(after[name], other) })
			if !waits {
				ready = append(ready, i)
			}
		}
		i := rapid.SampledFrom(ready).Draw(t, "phase")
		order, left = append(order, left[i]), slices.Delete(left, i, i+1)
	}
	return order
}

// leaveBehind puts what is wiped, or was copied from, on the node, and a cutover that goes on.
func (s *scenario) leaveBehind(t *rapid.T) {
	if oneIn(t, 3, "discovery") {
		s.input.Discovery = &change.Auth{Username: "u", Password: spec.NewSecret("secret")}
	}
	s.input.Busy = map[string]bool{}
	for _, lv := range s.input.Observed.VolumeGroups["vg0"].LogicalVolumes {
		if lv.Phase() == ondisk.Staged {
			s.input.Busy[change.Cutover{Staged: NameOf(lv)}.Lane()] = true
		}
	}
	m := s.again()
	for _, lv := range m.AllLVs() {
		owner, owned := lv.Owner()
		leaf := len(m.WithThickSnapshots(NameOf(lv))) == 1
		if owned && leaf && !lv.Open && lv.Type != observe.ThinPool && oneIn(t, 6, "wiped") {
			m.Edit(lv.FullName(), func(lv *observe.LogicalVolume) {
				lv.Tags = append(slices.Clone(lv.Tags), ondisk.PhaseTag(ondisk.Clearing))
			})
			continue
		}
		name := "volreconciler-source-" + owner.Name
		if _, taken := m.LVs(lv.VolumeGroup)[name]; owned && !taken && owner.Kind == spec.KindVolume && lv.Type == observe.Thick && oneIn(t, 4, "copied from") {
			m.Add(observe.LogicalVolume{
				VolumeGroup: lv.VolumeGroup, Name: name, Type: observe.ThickSnapshot, Origin: lv.Name, Size: lv.Size, COWSize: lv.Size, Active: lv.Active,
				Tags: append(ondisk.SourceTags(pick(t, "for", owner, spec.ID{Kind: spec.KindImage, Name: imageNames[0]})), ondisk.TagSource+(spec.VolumeSource{Volume: owner.Name}).Tag()),
			})
		}
	}
	if len(m.State.VolumeGroups) > 0 && oneIn(t, 2, "something is gone") {
		leaveGone(t, m)
	}
	s.input.Observed = m.State
	// What no file names is taken away only where nothing is in doubt.
	if len(s.input.Declared.Invalid)+len(s.input.Declared.Findings) == 0 && !oneIn(t, 3, "not sure") {
		s.input.Grace, s.input.Observed.Unknown, s.input.Observed.UnknownGroups = 0, nil, nil
	}
}

// leaveGone puts what there may be of a Volume and an Image on the node that no file names.
func leaveGone(t *rapid.T, m *Model) {
	group := pick(t, "group", slices.Sorted(maps.Keys(m.State.VolumeGroups))...)
	id := VolumeID("gone")
	owner := append(ondisk.OwnerTags(id), ondisk.DeletionTag(spec.Delete))
	add := func(lv observe.LogicalVolume) observe.LogicalVolume {
		lv.VolumeGroup, lv.Size, lv.COWSize, lv.Active = group, 8*MiB, 4*MiB, true
		if _, taken := m.LVs(group)[lv.Name]; !taken {
			m.Add(lv)
		}
		return m.LVs(group)[lv.Name]
	}
	wiped := ondisk.PhaseTag(ondisk.Clearing)
	var of observe.LogicalVolume
	switch pick(t, "its volume", "there", "there", "wiped", "none") {
	case "there":
		of = add(observe.LogicalVolume{Name: "gone", Type: observe.Thick, Tags: owner})
	case "wiped":
		add(observe.LogicalVolume{Name: "gone-wiped", Type: observe.Thick, Tags: append(slices.Clone(owner), wiped)})
	}
	origin := add(observe.LogicalVolume{Name: "gone-origin", Type: observe.Thick})
	if of.Name != "" {
		origin = of
	}
	if oneIn(t, 2, "it moved") && of.Name != "" {
		old := add(observe.LogicalVolume{Name: ondisk.SupersededName(id), Type: observe.Thick, Tags: append(slices.Clone(owner), ondisk.TagReplacedBy+of.UUID)})
		if oneIn(t, 2, "a snapshot of it is wiped") {
			add(observe.LogicalVolume{Name: "gone-wiped-snapshot", Type: observe.ThickSnapshot, Origin: old.Name, Tags: append(ondisk.OwnerTags(SnapshotID("gone")), wiped)})
		}
	}
	if oneIn(t, 2, "it was to move") {
		add(observe.LogicalVolume{Name: "gone-move", Type: observe.ThickSnapshot, Origin: origin.Name, Tags: ondisk.MoveTags(id.Name)})
	}
	if oneIn(t, 2, "it was copied") {
		to := pick(t, "to", id, spec.ID{Kind: spec.KindVolume, Name: "gone-copy"}, spec.ID{Kind: spec.KindImage, Name: "gone"})
		source := append(ondisk.SourceTags(to), ondisk.TagSource+(spec.VolumeSource{Volume: id.Name}).Tag())
		add(observe.LogicalVolume{Name: "gone-source", Type: observe.ThickSnapshot, Origin: origin.Name, Tags: source})
	}
}

func TestPropertiesOrderOfIndependentPhasesChangesNothing(t *testing.T) {
	properties(t, func(t *rapid.T, s scenario) {
		s.leaveBehind(t)
		order, _ := PhaseNames()
		other := shuffled(t)
		want, got := unordered(MakeInOrder(s.input, order)), unordered(MakeInOrder(s.input, other))
		for i := range min(len(want), len(got)) {
			if want[i] != got[i] {
				t.Fatalf("in this order the plan is another one: %s\n%s\n%s", strings.Join(other, ", "), want[i], got[i])
			}
		}
		if len(want) != len(got) {
			t.Fatalf("in this order the plan is another one: %s\n%s\n\n%s", strings.Join(other, ", "), strings.Join(want, "\n"), strings.Join(got, "\n"))
		}
	})
}

func TestPhasesComeAfterThoseThatTheyNeed(t *testing.T) {
	var done []string
	names, after := PhaseNames()
	for _, name := range names {
		for _, earlier := range after[name] {
			if !slices.Contains(done, earlier) {
				t.Errorf("%q comes before %q", name, earlier)
			}
		}
		done = append(done, name)
	}
}
