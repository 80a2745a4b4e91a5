package reconcile

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Diff and what is of no use any more", func() {
	// copied returns a node on which a Volume was filled from the snapshot of the name.
	copied := func() (n *node, name string) {
		n = converged()
		n.desireCopy("slow", 200*mib, fromData)
		n.apply(n.plan())
		n.apply(n.plan())
		return n, "volreconciler-source-copy"
	}
	// moved returns one on which another logical volume came in the place of that of the name.
	moved := func() (n *node, name string) {
		n = movable()
		n.moveTo("thick", "farthin")
		for range 10 {
			if n.lvs("vg0")["thick"].ReplacedBy() != "" {
				break
			}
			n.apply(n.plan())
		}
		n.apply(n.plan()) // which gives names and marks
		return n, "thick"
	}
	stepsOn := func(p Plan, name string) (found []string) {
		for _, s := range p.Steps {
			switch c := s.Change.(type) {
			case change.RemoveLV:
				if c.Name == name {
					found = append(found, change.Name(c))
				}
			case change.StartClearing:
				if c.Name == name {
					found = append(found, change.Name(c))
				}
			}
		}
		return found
	}

	for _, of := range []struct {
		what string
		made func() (n *node, name string)
	}{{"a snapshot that was copied from", copied}, {"what a move left", moved}} {
		It("removes "+of.what+", and whoever waits for the object does not wait for that", func() {
			n, name := of.made()
			p := n.plan()
			Expect(stepsOn(p, name)).To(Equal([]string{"RemoveLV"}))
			for _, o := range p.Objects {
				if o.Kind == spec.KindVolume {
					Expect(o.Message).NotTo(ContainSubstring(name), "%s", o.ID())
				}
			}
		})
		It("says what keeps "+of.what, func() {
			n, name := of.made()
			n.edit("vg0/"+name, func(lv *observe.LogicalVolume) { lv.Open, lv.HeldBy = true, []string{"mounted on /mnt"} })
			var messages []string
			for _, o := range n.plan().Objects {
				messages = append(messages, o.Message)
			}
			Expect(messages).To(ContainElement("vg0/" + n.lvs("vg0")[name].Name + ", which is of no use any more, is removed when it is no longer mounted on /mnt"))
		})
		DescribeTable("leaves "+of.what,
			func(interfere func(*node, string)) {
				n, name := of.made()
				interfere(n, name)
				Expect(stepsOn(n.plan(), name)).To(BeEmpty())
			},
			Entry("while it is open", func(n *node, name string) {
				n.edit("vg0/"+name, func(lv *observe.LogicalVolume) { lv.Open = true })
			}),
			Entry("while somebody holds it", func(n *node, name string) {
				n.edit("vg0/"+name, func(lv *observe.LogicalVolume) { lv.HeldBy = []string{"md0"} })
			}),
			Entry("while physical volumes are missing", func(n *node, _ string) { n.missing(1) }),
			Entry("while anything cannot be read", func(n *node, _ string) {
				n.state.Unknown = map[observe.System]error{observe.NVMet: ErrNeeds}
			}),
			Entry("while it has a snapshot that would be lost with it", func(n *node, name string) {
				n.add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "mine", Type: observe.ThickSnapshot, Origin: name})
			}),
			Entry("while a thin volume has it as external origin", func(n *node, name string) {
				n.edit("vg0/"+name, func(lv *observe.LogicalVolume) { lv.TakesAlong = []string{"vg0/mine, a thin volume"} })
			}),
			Entry("when somebody made another kind of it, which cannot be cleared", func(n *node, name string) {
				slow := n.desired.Pools["slow"]
				slow.Spec.Clear = spec.ClearZero
				n.desired.Pools["slow"] = slow
				n.edit("vg0/"+name, func(lv *observe.LogicalVolume) { lv.Type = observe.OtherLV })
			}),
		)
	}

	It("says of an object that no file names only that it is removed", func() {
		n := converged()
		n.desireCopy("slow", 200*mib, fromData)
		n.apply(n.plan())
		delete(n.lvs("vg0"), "copy")
		delete(n.desired.Volumes, "copy")
		p := n.plan()
		Expect(stepsOn(p, "volreconciler-source-copy")).To(Equal([]string{"RemoveLV"}))
		Expect(objectOf(p, volumeID("copy"))).To(beIn(Deleting, ReasonRemoving))
	})
	It("warns of a snapshot that is all that is left of its origin", func() {
		n, name := copied()
		Expect(n.plan().Steps).To(ContainElement(And(HaveField("Change", HaveField("Name", name)), HaveField("Danger", Harmless))))
		n.edit("vg0/"+name, func(lv *observe.LogicalVolume) { lv.Origin = "" })
		Expect(n.plan().Steps).To(ContainElement(And(HaveField("Change", HaveField("Name", name)), HaveField("Danger", Destructive))))
	})
})
