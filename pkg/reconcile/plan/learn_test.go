package plan_test

import (
	"maps"
	"slices"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// place is where an identity says that an object is.
func place(i Identity) Identity { return Identity{UUID: i.UUID, VolumeGroup: i.VolumeGroup} }

var _ = Describe("What is learnt of a Volume that moves to another Pool", func() {
	const old, staged, stranger = "uuid-old", "uuid-staged", "uuid-stranger"
	id := VolumeID("data")
	volume := func(group, uuid string, tags ...string) observe.LogicalVolume {
		return observe.LogicalVolume{VolumeGroup: group, Name: "data-" + uuid, UUID: uuid, Tags: slices.Concat(ondisk.OwnerTags(id), tags)}
	}
	moving := ondisk.PhaseTag(ondisk.Staged)
	first := ondisk.TagIdentity + old
	state := func(lvs ...observe.LogicalVolume) observe.State {
		groups := map[string]observe.VolumeGroup{}
		for _, name := range []string{"vg0", "vg1"} {
			groups[name] = observe.VolumeGroup{Name: name, LogicalVolumes: map[string]observe.LogicalVolume{}}
		}
		for _, lv := range lvs {
			groups[lv.VolumeGroup].LogicalVolumes[lv.Name] = lv
		}
		return observe.State{VolumeGroups: groups}
	}
	there := Identity{UUID: old, VolumeGroup: "vg0"}
	moved := Identity{UUID: old, VolumeGroup: "vg1"}

	DescribeTable("that is unknown, or was known before", func(unknown, known Identity, lvs ...observe.LogicalVolume) {
		set := spec.Set{Complete: true, Volumes: map[string]spec.Volume{"data": {Metadata: Meta("data")}}}
		for range 10 { // in whatever order they are found
			Expect(place(Learned(map[spec.ID]Identity{}, set, state(lvs...))[id])).To(Equal(unknown))
			Expect(place(Learned(map[spec.ID]Identity{id: there}, set, state(lvs...))[id])).To(Equal(known))
		}
	},
		Entry("before it does", there, there, volume("vg0", old)),
		Entry("while it is copied", there, there, volume("vg0", old), volume("vg1", staged, moving, first)),
		Entry("while it is copied, and somebody took the phase away", there, there, volume("vg0", old), volume("vg1", staged, ondisk.SyncedTag("s", 1), first)),
		Entry("when it is replaced", moved, moved, volume("vg0", old, ondisk.TagReplacedBy+staged), volume("vg1", staged, moving, first)),
		Entry("when the one in its place is like any other", moved, moved, volume("vg0", old, ondisk.TagReplacedBy+staged), volume("vg1", staged, first)),
		Entry("when the old one is gone", moved, moved, volume("vg1", staged, first)),
		Entry("when the old one is cleared", moved, moved, volume("vg0", old, ondisk.TagReplacedBy+staged, ondisk.PhaseTag(ondisk.Clearing)), volume("vg1", staged, first)),
		Entry("when it moves once more", moved, moved, volume("vg1", staged, first), volume("vg0", stranger, moving, first)),
		Entry("of which only the staged one is there", Identity{}, there, volume("vg1", staged, moving, first)),
		Entry("of which only the replaced one is there", Identity{}, there, volume("vg0", old, ondisk.TagReplacedBy+staged)),
		Entry("that is replaced by none of those that are there", Identity{}, there, volume("vg0", old, ondisk.TagReplacedBy+stranger), volume("vg1", staged, moving, first)),
		Entry("of which somebody made a copy", Identity{}, there, volume("vg0", old), volume("vg1", stranger)),
		Entry("of which somebody made a copy while it is copied", Identity{}, there, volume("vg0", old), volume("vg0", stranger), volume("vg1", staged, moving, first)),
		Entry("in whose place somebody put another one", Identity{UUID: stranger, VolumeGroup: "vg1"}, there, volume("vg1", stranger)),
	)

	It("is not forgotten while anything of it is there", func() {
		set := spec.Set{Complete: true}
		known := map[spec.ID]Identity{id: there}
		Expect(Learned(known, set, state(volume("vg1", staged, moving, first)))).To(HaveKeyWithValue(id, WithTransform(place, Equal(there))))
		Expect(Learned(known, set, state(volume("vg0", old, ondisk.TagReplacedBy+staged)))).To(HaveKeyWithValue(id, WithTransform(place, Equal(there))))
		Expect(Learned(known, set, state())).To(BeEmpty())
	})

	It("is what another one says, once the annotation gives the old one up", func() {
		m := Meta("data")
		m.Annotations = map[string]string{spec.AnnotationRecreate: old}
		set := spec.Set{Complete: true, Volumes: map[string]spec.Volume{"data": {Metadata: m}}}
		known := map[spec.ID]Identity{id: there}
		Expect(place(Learned(known, set, state(volume("vg1", stranger)))[id])).To(Equal(Identity{UUID: stranger, VolumeGroup: "vg1"}))
		Expect(place(Learned(known, set, state(volume("vg1", staged, moving, first)))[id])).To(Equal(there))
	})
})

var _ = Describe("A Volume that was moved", func() {
	eachFabric("is the same to its initiators, and to the agent", func(n *Node, o over) {
		before := targetOf(n, o)
		stores := maps.Clone(n.State.LIO.Backstores)
		was := ObjectOf(n.Plan(), VolumeID("data")).Volume
		n.MarkMoved("vg0/data", "uuid-moved")
		Expect(ChangesIn(n.Plan())).To(BeEmpty())

		By("also where all has to be exported anew")
		n.State.LIO = observe.Targets{Backstores: map[string]observe.Backstore{}, ISCSI: map[string]observe.Target{}, FC: map[string]observe.Target{}}
		n.State.NVMe, n.State.TGT = map[string]observe.Target{}, map[string]observe.Target{}
		for name := range n.LVs("vg0") {
			n.Edit("vg0/"+name, func(lv *observe.LogicalVolume) { lv.Open = false })
		}
		p := n.Converge()
		t := targetOf(n, o)
		t.AuthMark, before.AuthMark = "", "" // it has another salt
		Expect(t).To(Equal(before))
		for path, b := range n.State.LIO.Backstores {
			Expect(b).To(HaveField("Serial", stores[path].Serial))
		}
		now := ObjectOf(p, VolumeID("data")).Volume
		Expect(now).To(And(HaveField("Serial", was.Serial), HaveField("WWN", was.WWN), HaveField("NamespaceUUID", was.NamespaceUUID)))
		Expect(now.LVUUID).To(Equal("uuid-moved"))
	})

	It("is not the one that the agent knew if it does not say so", func() {
		n := Converged()
		n.Edit("vg0/data", func(lv *observe.LogicalVolume) { lv.UUID = "uuid-other" })
		Expect(ObjectOf(n.Plan(), VolumeID("data"))).To(BeIn(status.Blocked, status.ReasonVanished))
	})

	DescribeTable("stays exported while its file is invalid", func(staged, replaced bool, serves string) {
		n := Converged()
		n.MarkMoved("vg0/data", "uuid-old")
		lv := n.LVs("vg0")["data"]
		n.LVs("vg0")["new"] = observe.LogicalVolume{VolumeGroup: "vg0", Name: "new", UUID: "uuid-new", Type: observe.Thin, Pool: "pool0", Size: lv.Size, Active: true, Minor: 77, Tags: slices.Clone(lv.Tags)}
		if staged {
			n.Edit("vg0/new", func(lv *observe.LogicalVolume) { lv.Tags = append(lv.Tags, ondisk.PhaseTag(ondisk.Staged)) })
		}
		if replaced {
			n.Edit("vg0/data", func(lv *observe.LogicalVolume) { lv.Tags = append(lv.Tags, ondisk.TagReplacedBy+"uuid-new") })
		}
		n.InvalidateVolume(VolumeID("data"))
		n.Plan()
		name, there := Served(n.Input, VolumeID("data"))
		Expect(there).To(Equal(serves != ""))
		if there {
			Expect(name).To(Equal(serves))
		}
	},
		Entry("and copied", true, false, "data"),
		Entry("and was replaced", true, true, "new"),
		Entry("and was replaced, and the new one is like any other", false, true, "new"),
		Entry("but not if it cannot be told which one counts", false, false, ""),
	)
})

func TestLearningNothingNewCopiesNothing(t *testing.T) {
	in := manyConverged(t, 500)
	index := NewIndex(in.Observed, Ownership{})
	known := Learn(in.Known, in.Declared, in.Observed, index, noon)
	// An identity that is copied or compared as a whole costs at least as many.
	if n := testing.AllocsPerRun(5, func() { Learn(known, in.Declared, in.Observed, index, noon) }); n > 100 {
		t.Fatalf("memory is allocated %.0f times", n)
	}

	before := maps.Clone(known)
	delete(in.Declared.Exports, "v000007")
	in.Observed.LIO.ISCSI = maps.Clone(in.Observed.LIO.ISCSI)
	delete(in.Observed.LIO.ISCSI, spec.DefaultTargetPrefix+":v000007")
	next := Learn(known, in.Declared, in.Observed, NewIndex(in.Observed, Ownership{}), noon)
	if _, there := next[ExportID("v000007")]; there || len(next) != len(known)-1 {
		t.Fatalf("%d of %d are known", len(next), len(known))
	}
	if !maps.EqualFunc(before, known, func(a, b Identity) bool { return slices.Equal(a.Targets, b.Targets) }) {
		t.Fatal("what was known before was changed")
	}
}
