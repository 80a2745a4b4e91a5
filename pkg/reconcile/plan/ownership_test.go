package plan_test

import (
	"errors"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// installed returns a node on which an installation has made all that is desired.
func installed(by ondisk.Maker) *Node {
	n := NewNode()
	n.Input.Installation.Maker = by
	n.Apply(n.Plan())
	n.Remember()
	Expect(n.Plan().Steps).To(BeEmpty())
	return n
}

// moved returns the disks of one installation at another one, with the same files.
func moved() *Node {
	n := installed(elsewhere)
	n.Input.Installation = here
	n.Input.Known = nil
	n.State.LIO = NewModel().State.LIO
	for _, lv := range n.AllLVs() {
		n.Edit(lv.FullName(), func(lv *observe.LogicalVolume) { lv.Active, lv.Open = false, false })
	}
	return n
}

// onVolumes are the steps of a plan that are made to logical volumes.
func onVolumes(n *Node, p Plan) []string {
	var changes []string
	for _, step := range p.Steps {
		if _, is := logicalVolumeOf(n.State, step.Change); is {
			changes = append(changes, step.Change.String())
		}
	}
	return changes
}

func makersOf(n *Node) map[string]string {
	makers := map[string]string{}
	for _, lv := range n.AllLVs() {
		makers[lv.FullName()] = strings.Join(lv.TagsWith(ondisk.TagBy), " ")
	}
	return makers
}

var _ = Describe("Make and other installations", func() {
	everything := []spec.ID{{Kind: spec.KindPool, Name: "fast"}, VolumeID("data"), VolumeID("thick"), SnapshotID("nightly"), SnapshotID("tnightly")}

	It("writes on all that it makes who made it", func() {
		Expect(makersOf(installed(here.Maker))).To(HaveEach(here.Tag()))
	})
	It("changes nothing of what another one made, and says so", func() {
		n := moved()
		p := n.Plan()
		for _, id := range everything {
			Expect(ObjectOf(p, id)).To(BeIn(status.Foreign, status.ReasonForeign), "%s", id)
		}
		Expect(ObjectOf(p, VolumeID("data")).Message).To(And(ContainSubstring("installation 00000000cafecafe (elsewhere)"), ContainSubstring("volreconciler adopt-node 00000000cafecafe"), ContainSubstring("adopt: true")))
		before := makersOf(n)
		n.Converge()
		Expect(makersOf(n)).To(Equal(before))
	})
	It("deletes nothing of it, whatever no file names any more", func() {
		n := moved()
		before := n.AllLVs()
		n.UndeclareAll()
		p := n.Converge()
		Expect(n.AllLVs()).To(Equal(before))
		Expect(ObjectOf(p, VolumeID("data"))).To(BeIn(status.Foreign, status.ReasonNotDeclared))
		Expect(ObjectOf(p, VolumeID("data")).Volume).NotTo(BeNil())
	})
	It("takes over what it is told to, with the same names, content and serials", func() {
		n := moved()
		uuids := uuidsOf(n.Model)
		n.Input.Installation.Adopts = []string{elsewhere.ID}
		Expect(n.Plan().Adopted).To(BeEmpty())
		n.Converge()
		Expect(makersOf(n)).To(HaveEach(here.Tag()))
		Expect(uuidsOf(n.Model)).To(Equal(uuids))
		Expect(n.Plan().Adopted).To(Equal([]string{elsewhere.ID}))
	})
	It("is not done with that while a file cannot be read, or a disk is missing", func() {
		n := moved()
		n.Input.Installation.Adopts = []string{elsewhere.ID}
		vg := n.State.VolumeGroups["vg0"]
		vg.MissingPVs = 1
		n.State.VolumeGroups["vg0"] = vg
		Expect(onVolumes(n, n.Plan())).To(HaveEach(HavePrefix("activate ")))
		Expect(n.Plan().Adopted).To(BeEmpty())
		vg.MissingPVs = 0
		n.State.VolumeGroups["vg0"] = vg
		n.Converge()
		n.Declared.Complete, n.Declared.Findings = false, []spec.Finding{{Err: errors.New("a typo")}}
		Expect(n.Plan().Adopted).To(BeEmpty())
	})
	It("deletes nothing that it took over, unless a file names it first", func() {
		n := moved()
		n.Input.Installation.Adopts = []string{elsewhere.ID}
		n.UndeclareAll()
		p := n.Converge()
		Expect(n.LVs("vg0")).To(HaveKey("data"))
		Expect(ObjectOf(p, VolumeID("data"))).To(BeIn(status.Orphaned, status.ReasonNotDeclared))
	})
	It("takes over nothing in a volume group that no Pool names", func() {
		n := moved()
		n.Input.Installation.Adopts = []string{elsewhere.ID}
		n.UndeclareAll()
		n.Declared.Pools = nil
		before := makersOf(n)
		n.Converge()
		Expect(makersOf(n)).To(Equal(before))
	})

	Describe("of which one object is adopted", func() {
		adopt := func(n *Node, name string) {
			v := n.Declared.Volumes[name]
			v.Spec.Adopt = true
			n.Declared.Volumes[name] = v
		}
		It("takes over that and its snapshots alone", func() {
			n := moved()
			adopt(n, "thick")
			p := n.Converge()
			Expect(ObjectOf(p, VolumeID("thick"))).To(BeIn(status.Ready, status.ReasonAsDesired))
			Expect(ObjectOf(p, SnapshotID("tnightly"))).To(BeIn(status.Ready, status.ReasonAsDesired))
			Expect(makersOf(n)).To(Equal(map[string]string{
				"vg0/thick": here.Tag(), "vg0/tnightly": here.Tag(),
				"vg0/data": elsewhere.Tag(), "vg0/nightly": elsewhere.Tag(), "vg0/pool0": elsewhere.Tag(),
			}))
		})
		It("takes over what a move left together with it, and that last", func() {
			n := moved()
			adopt(n, "thick")
			n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "volreconciler-old-thick", Type: observe.Thick, Size: 104 * MiB,
				Tags: append(ondisk.OwnerTags(VolumeID("thick")), elsewhere.Tag(), ondisk.TagReplacedBy+n.LVs("vg0")["thick"].UUID)})
			p := n.Plan()
			var signed []string
			for _, s := range p.Steps {
				if s.Object == VolumeID("thick") {
					signed = append(signed, s.Change.String())
				}
			}
			Expect(signed).To(HaveLen(2))
			Expect(signed[1]).To(HavePrefix("set tags of vg0/thick:"))
			Expect(p.Steps[len(p.Steps)-1].Needs).NotTo(BeEmpty())
		})
		It("takes over none of two", func() {
			n := moved()
			adopt(n, "thick")
			thick := n.LVs("vg0")["thick"]
			n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "copy", Type: observe.Thick, Size: 104 * MiB, Tags: thick.Tags})
			Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Foreign, status.ReasonForeign))
			Expect(onVolumes(n, n.Plan())).To(BeEmpty())
		})
		It("takes nothing of a suspended one", func() {
			n := moved()
			adopt(n, "thick")
			v := n.Declared.Volumes["thick"]
			v.Metadata.Annotations = map[string]string{spec.AnnotationReconcile: "suspended"}
			n.Declared.Volumes["thick"] = v
			Expect(onVolumes(n, n.Plan())).To(BeEmpty())
		})
	})

	It("does not take what carries the name of another of its objects", func() {
		n := moved()
		v := n.Declared.Volumes["thick"]
		v.Metadata.Name, v.Spec.Adopt = "new", true
		n.Declared.Volumes = map[string]spec.Volume{"new": v, "data": n.Declared.Volumes["data"]}
		n.Declared.Exports, n.Declared.Snapshots = nil, nil
		Expect(ObjectOf(n.Plan(), VolumeID("new"))).To(BeIn(status.Foreign, status.ReasonForeign))
		Expect(n.Plan().Steps).To(BeEmpty())
	})
	It("keeps its own when a disk with the same names is plugged in", func() {
		n := installed(here.Maker)
		theirs := n.LVs("vg0")["thick"]
		vg := n.State.VolumeGroups["vg0"]
		vg.Name, vg.UUID, vg.LogicalVolumes = "vg9", "vg9-uuid", map[string]observe.LogicalVolume{}
		n.State.VolumeGroups["vg9"] = vg
		n.Add(observe.LogicalVolume{VolumeGroup: "vg9", Name: "thick", Type: observe.Thick, Size: theirs.Size, Tags: append(ondisk.OwnerTags(VolumeID("thick")), elsewhere.Tag())})
		p := n.Plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(ObjectOf(p, VolumeID("thick"))).To(BeIn(status.Ready, status.ReasonAsDesired))
		Expect(ObjectOf(p, VolumeID("thick")).Message).To(ContainSubstring("another installation made vg9/thick with the same name"))
	})
	It("does not believe two that say that they made the same", func() {
		n := installed(here.Maker)
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Tags = append(slices.Clone(lv.Tags), elsewhere.Tag()) })
		n.UndeclareAll()
		p := n.Converge()
		Expect(n.LVs("vg0")).To(HaveKey("thick"))
		Expect(ObjectOf(p, VolumeID("thick"))).To(BeIn(status.Foreign, status.ReasonNotDeclared))
	})

	Describe("that is older and does not say who it is", func() {
		old := func() *Node {
			n := installed(ondisk.Maker{})
			n.Input.Installation = here
			return n
		}
		It("is this one for all that is remembered", func() {
			n := old()
			n.Converge()
			Expect(makersOf(n)).To(HaveEach(here.Tag()))
		})
		It("is another one if nothing is remembered", func() {
			n := old()
			n.Input.Known = nil
			p := n.Plan()
			Expect(p.Steps).To(BeEmpty())
			Expect(ObjectOf(p, VolumeID("data"))).To(BeIn(status.Foreign, status.ReasonForeign))
			Expect(ObjectOf(p, VolumeID("data")).Message).To(ContainSubstring("volreconciler adopt-node unmarked"))
		})
		It("is this one for what is left without a memory of it, where an agent was replaced by a later one", func() {
			n := old()
			n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "gone", Type: observe.Thick, Size: 8 * MiB,
				Tags: append(ondisk.OwnerTags(VolumeID("gone")), ondisk.PhaseTag(ondisk.Clearing))})
			n.Input.Installation.Adopts = []string{Unmarked}
			n.Converge()
			Expect(n.LVs("vg0")).NotTo(HaveKey("gone"))
			Expect(n.Plan().Adopted).To(Equal([]string{Unmarked}))
		})
		It("ends what that one has begun, at whatever step it was replaced", func() {
			places := func(n *Node) (all []string) {
				for _, lv := range n.AllLVs() {
					all = append(all, lv.FullName()+" "+string(lv.Phase()))
				}
				return all
			}
			begun := func() *Node {
				n := Movable()
				n.MoveTo("thick", "far")
				return n
			}
			want := places(begun().Settle())
			for steps := 1; ; steps++ {
				n := begun()
				for range steps {
					n.Pass(1)
				}
				done := n.Plan().Empty()
				n.Input.Installation = Installation{Maker: here.Maker, Adopts: []string{Unmarked}}
				n.Settle()
				Expect(places(n)).To(Equal(want), "after %d steps", steps)
				Expect(makersOf(n)).To(HaveEach(here.Tag()))
				Expect(n.Plan().Adopted).To(Equal([]string{Unmarked}))
				if done {
					break
				}
			}
		})
		It("loses nothing before it says who it is", func() {
			n := old()
			n.Input.Grace = 0
			n.UndeclareAll()
			Expect(onVolumes(n, n.Plan())).To(HaveEach(HavePrefix("set tags of ")))
			Expect(onVolumes(n, n.Plan())).NotTo(ContainElement(ContainSubstring("deleted=")))
			n.Converge()
			Expect(n.LVs("vg0")).NotTo(HaveKey("data"))
		})
	})
})
