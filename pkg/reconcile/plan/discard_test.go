package plan_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/execute"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Make and what is of no use any more", func() {
	// copied returns a node on which a Volume was filled from the snapshot of the name.
	copied := func() (n *Node, name string) {
		n = Converged()
		n.DeclareCopy("slow", 200*MiB, fromData)
		n.Apply(n.Plan())
		n.Apply(n.Plan())
		return n, "volreconciler-source-copy"
	}
	// moved returns one on which another logical volume came in the place of that of the name.
	moved := func() (n *Node, name string) {
		n = Movable()
		n.MoveTo("thick", "farthin")
		for range 10 {
			if n.LVs("vg0")["thick"].SupersededBy() != "" {
				break
			}
			n.Apply(n.Plan())
		}
		n.Apply(n.Plan()) // which gives names and marks
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
		made func() (n *Node, name string)
	}{{"a snapshot that was copied from", copied}, {"what a move left", moved}} {
		It("removes "+of.what+", and whoever waits for the object does not wait for that", func() {
			n, name := of.made()
			p := n.Plan()
			Expect(stepsOn(p, name)).To(Equal([]string{"RemoveLV"}))
			for _, o := range p.Objects {
				if o.Kind == spec.KindVolume {
					Expect(o.Message).NotTo(ContainSubstring(name), "%s", o.ID())
				}
			}
		})
		It("says what keeps "+of.what, func() {
			n, name := of.made()
			n.Edit("vg0/"+name, func(lv *observe.LogicalVolume) { lv.Open, lv.HeldBy = true, []string{"mounted on /mnt"} })
			var messages []string
			for _, o := range n.Plan().Objects {
				messages = append(messages, o.Message)
			}
			Expect(messages).To(ContainElement("vg0/" + n.LVs("vg0")[name].Name + " is no longer needed; waiting to remove it until it is no longer mounted on /mnt"))
		})
		DescribeTable("leaves "+of.what,
			func(interfere func(*Node, string)) {
				n, name := of.made()
				interfere(n, name)
				Expect(stepsOn(n.Plan(), name)).To(BeEmpty())
			},
			Entry("while it is open", func(n *Node, name string) {
				n.Edit("vg0/"+name, func(lv *observe.LogicalVolume) { lv.Open = true })
			}),
			Entry("while somebody holds it", func(n *Node, name string) {
				n.Edit("vg0/"+name, func(lv *observe.LogicalVolume) { lv.HeldBy = []string{"md0"} })
			}),
			Entry("while physical volumes are missing", func(n *Node, _ string) { n.LosePVs(1) }),
			Entry("while anything cannot be read", func(n *Node, _ string) {
				n.State.Unknown = map[observe.System]error{observe.NVMet: execute.ErrNeeds}
			}),
			Entry("while it has a snapshot that would be lost with it", func(n *Node, name string) {
				n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "mine", Type: observe.ThickSnapshot, Origin: name})
			}),
			Entry("while a thin volume has it as external origin", func(n *Node, name string) {
				n.Edit("vg0/"+name, func(lv *observe.LogicalVolume) { lv.TakesAlong = []string{"vg0/mine, a thin volume"} })
			}),
			Entry("when somebody made another kind of it, which cannot be cleared", func(n *Node, name string) {
				slow := n.Declared.Pools["slow"]
				slow.Spec.Clear = spec.ClearZero
				n.Declared.Pools["slow"] = slow
				n.Edit("vg0/"+name, func(lv *observe.LogicalVolume) { lv.Type = observe.OtherLV })
			}),
		)
	}

	It("says of an object that no file names only that it is removed", func() {
		n := Converged()
		n.DeclareCopy("slow", 200*MiB, fromData)
		n.Apply(n.Plan())
		delete(n.LVs("vg0"), "copy")
		delete(n.Declared.Volumes, "copy")
		p := n.Plan()
		Expect(stepsOn(p, "volreconciler-source-copy")).To(Equal([]string{"RemoveLV"}))
		Expect(ObjectOf(p, VolumeID("copy"))).To(BeIn(status.Deleting, status.ReasonRemoving))
	})
	It("warns of a snapshot that is all that is left of its origin", func() {
		n, name := copied()
		Expect(n.Plan().Steps).To(ContainElement(And(HaveField("Change", HaveField("Name", name)), HaveField("Danger", Harmless))))
		n.Edit("vg0/"+name, func(lv *observe.LogicalVolume) { lv.Origin = "" })
		Expect(n.Plan().Steps).To(ContainElement(And(HaveField("Change", HaveField("Name", name)), HaveField("Danger", Destructive))))
	})
})
