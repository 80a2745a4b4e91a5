package plan_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// split lets volumes be in a volume group of their own; what is in vg0 stays.
func split(n *Node, group string, names ...string) {
	vg := n.State.VolumeGroups["vg0"]
	vg.Name, vg.UUID, vg.LogicalVolumes = group, "of "+group, map[string]observe.LogicalVolume{}
	for _, name := range names {
		lv := n.LVs("vg0")[name]
		lv.VolumeGroup, lv.Active, lv.Open = group, false, false
		vg.LogicalVolumes[name] = lv
	}
	n.State.VolumeGroups[group] = vg
}

var _ = Describe("Make and a logical volume in a volume group that no Pool names", func() {
	untouched := func(n *Node) {
		GinkgoHelper()
		for range 3 {
			Expect(n.Pass(-1).Steps).NotTo(ContainElement(HaveField("Object", VolumeID("thick"))))
		}
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(And(BeIn(status.Blocked, status.ReasonVanished), HaveField("Message", ContainSubstring("other/thick"))))
	}

	It("does not put that of a copy of the disk in the place of one that is gone", func() {
		n := Movable()
		split(n, "other", "thick")
		Expect(n.Pass(-1).Steps).To(BeEmpty())
		delete(n.LVs("vg0"), "thick")
		untouched(n)
		n.Restart()
		untouched(n)
	})
	It("neither moves nor serves what was taken there, until it is back or a Pool names it", func() {
		for _, back := range []func(*Node){
			func(n *Node) {
				n.LVs("vg0")["thick"] = func() observe.LogicalVolume {
					lv := n.LVs("other")["thick"]
					lv.VolumeGroup = "vg0"
					return lv
				}()
				delete(n.State.VolumeGroups, "other")
			},
			func(n *Node) {
				p := n.Declared.Pools["slow"]
				p.Spec.VolumeGroup = "other"
				n.Declared.Pools["slow"] = p
			},
		} {
			n := Movable()
			split(n, "other", "thick")
			delete(n.LVs("vg0"), "thick")
			untouched(n)
			back(n)
			n.Pass(0)
			Expect(ObjectOf(n.Plan(), VolumeID("thick")).Reason).NotTo(Equal(status.ReasonVanished))
		}
	})
	It("moves a Volume from where no Pool names it any more", func() {
		n := Movable()
		p := n.Declared.Pools["slow"]
		p.Spec.VolumeGroup = "vg1"
		n.Declared.Pools = map[string]spec.Pool{"slow": p}
		for name := range n.Declared.Volumes {
			if name != "thick" {
				delete(n.Declared.Volumes, name)
			}
		}
		Expect(ChangesIn(n.Plan())).To(ContainElement(ContainSubstring("vg1/thick")))
	})
})
