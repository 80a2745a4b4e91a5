package plan_test

import (
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = DescribeTable("Make corrects drift and touches nothing else",
	func(drift func(n *Node), want ...string) {
		n := Converged()
		drift(n)
		Expect(ChangesIn(n.Plan())).To(Equal(want))
		n.Converge()
	},
	Entry("an inactive volume", func(n *Node) {
		n.Edit("vg0/data", func(lv *observe.LogicalVolume) { lv.Active = false })
	}, "activate vg0/data"),
	Entry("an inactive exported thin snapshot", func(n *Node) {
		n.Edit("vg0/nightly", func(lv *observe.LogicalVolume) { lv.Active = false })
	}, "activate vg0/nightly"),
	Entry("a lost name tag", func(n *Node) {
		n.Edit("vg0/data", func(lv *observe.LogicalVolume) {
			lv.Tags = slices.DeleteFunc(slices.Clone(lv.Tags), func(t string) bool { return t == "volreconciler/name=data" })
		})
	}, "set tags of vg0/data: +volreconciler/name=data"),
	Entry("all tags lost, of a logical volume that is known", func(n *Node) {
		n.Edit("vg0/data", func(lv *observe.LogicalVolume) { lv.Tags = []string{"theirs"} })
	}, "set tags of vg0/data: +volreconciler/kind=volume +volreconciler/name=data +volreconciler/deletion=delete"),
	Entry("a changed deletion policy", func(n *Node) {
		n.Edit("vg0/data", func(lv *observe.LogicalVolume) { lv.Tags[2] = "volreconciler/deletion=retain" })
	}, "set tags of vg0/data: +volreconciler/deletion=delete -volreconciler/deletion=retain"),
	Entry("a removed LUN", func(n *Node) {
		n.ChangeTarget(change.RemoveLUN{Target: change.Target{Fabric: observe.ISCSI, Name: IQN}, LUN: 1})
	},
		"add LUN 1 to "+IQN+": iblock_902/volreconciler:volume:thick",
		"map LUN 1 of "+IQN+" to initiator "+Initiator,
		"map LUN 1 of "+IQN+" to initiator iqn.1993-08.org.debian:01:open, read-only"),
	Entry("a removed ACL", func(n *Node) {
		n.ChangeTarget(change.RemoveInitiator{Target: change.Target{Fabric: observe.ISCSI, Name: IQN}, Initiator: Initiator})
	},
		"admit initiator "+Initiator+" to "+IQN+", CHAP",
		"map LUN 0 of "+IQN+" to initiator "+Initiator,
		"map LUN 7 of "+IQN+" to initiator "+Initiator+", read-only",
		"map LUN 1 of "+IQN+" to initiator "+Initiator),
	Entry("a changed password", func(n *Node) {
		n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.Auth.Password = spec.NewSecret("guessed") })
	}, "set authentication of initiator "+Initiator+" at "+IQN+": CHAP"),
	Entry("a mark in the alias, as older agents put it", func(n *Node) {
		n.EditTarget(IQN, func(t *observe.Target) { t.MarkInAlias = true })
	}, "move volreconciler's mark of target "+IQN+" out of its alias"),
	Entry("authentication switched off", func(n *Node) {
		n.EditTarget(IQN, func(t *observe.Target) { t.Attrib.Authentication = false })
	}, "set target "+IQN+" to admit listed initiators only"),
	Entry("authentication of an ACL switched off", func(n *Node) {
		n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.Authentication = "0" })
	}, "set authentication of initiator "+Initiator+" at "+IQN+": CHAP"),
	Entry("write protection taken off", func(n *Node) {
		n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LUNs[7] = observe.MappedLUN{LUN: 7} })
	}, "set write protection of LUN 7 of "+IQN+" for initiator "+Initiator+" to true"),
	Entry("a disabled target", func(n *Node) {
		n.EditTarget(IQN, func(t *observe.Target) { t.Enabled = false })
	}, "enable target "+IQN),
	Entry("a removed portal, another in its place", func(n *Node) {
		n.EditTarget(IQN, func(t *observe.Target) {
			t.Portals = map[string]observe.Transport{"0.0.0.0:3260": observe.TCP, "10.0.0.1:3262": observe.TCP}
		})
	}, "add portal [::1]:3261 to "+IQN, "remove portal 10.0.0.1:3262 from "+IQN),
	Entry("an initiator let in by hand", func(n *Node) {
		n.EditTarget(IQN, func(t *observe.Target) { t.ACLs["iqn.2000-01.a.b:c"] = observe.ACL{Initiator: "iqn.2000-01.a.b:c"} })
	}, "remove initiator iqn.2000-01.a.b:c from "+IQN),
	Entry("unmap switched off", func(n *Node) {
		n.Change(change.SetUnmap{Backstore: change.Backstore{HBA: ondisk.HBA, Name: "volreconciler:volume:data"}, Unmap: false})
	}, "set unmap of backstore iblock_900/volreconciler:volume:data to true"),
	Entry("a newer kernel, whose limits of UNMAP Linux initiators do not find", func(n *Node) {
		n.EditBackstore("volume:data", func(b *observe.Backstore) { b.HidesLimits = true })
	}, "set unmap of backstore iblock_900/volreconciler:volume:data to true"),
	Entry("unmap by WRITE SAME switched on where none should get through", func(n *Node) {
		n.EditBackstore("volume:thick", func(b *observe.Backstore) { b.UnmapBySame = true })
	}, "set unmap of backstore iblock_902/volreconciler:volume:thick to false"),
	Entry("unmap by WRITE SAME switched on where UNMAP does it", func(n *Node) {
		n.EditBackstore("volume:data", func(b *observe.Backstore) { b.UnmapBySame = true })
	}, "set unmap of backstore iblock_900/volreconciler:volume:data to true"),
)

var _ = Describe("Make after a whole target was removed by hand", func() {
	It("makes it anew on the same backstores", func() {
		n := Converged()
		delete(n.State.LIO.ISCSI, IQN)
		Expect(ChangesIn(n.Plan())).NotTo(ContainElement(ContainSubstring("backstore iblock")))
		n.Converge()
	})
	It("makes a removed backstore anew with it", func() {
		n := Converged()
		delete(n.State.LIO.ISCSI, IQN)
		n.Change(change.RemoveBackstore{Backstore: change.Backstore{HBA: ondisk.HBA, Name: "volreconciler:volume:data"}})
		n.Converge()
		Expect(n.State.LIO.Backstores).To(HaveLen(3))
	})
	It("claims the empty shell that an interrupted creation leaves", func() {
		n := NewNode()
		n.State.LIO.ISCSI[IQN] = observe.Target{Fabric: observe.ISCSI, Name: IQN}
		n.Converge()
		Expect(n.State.LIO.ISCSI[IQN].Mark).To(Equal("volreconciler:db"))
	})
})

var _ = DescribeTable("Make after a reboot", func(gone func(n *Node)) {
	n := Converged()
	before := n.State.LIO.Backstores
	n.State.LIO = observe.Targets{Backstores: map[string]observe.Backstore{}, ISCSI: map[string]observe.Target{}}
	for name := range n.LVs("vg0") {
		n.Edit("vg0/"+name, func(lv *observe.LogicalVolume) { lv.Active, lv.Open = lv.Type == observe.ThinPool, false })
	}
	gone(n)
	n.Converge()
	Expect(n.State.LIO.Backstores).To(Equal(before), "initiators see other devices than before")
},
	Entry("exports all again, with the same serials", func(*Node) {}),
	Entry("without the memory too", func(n *Node) { n.Input.Known = nil }),
)

var _ = Describe("An initiator whose password is to be set", func() {
	It("is shown nothing more before it is", func() {
		n := Converged()
		n.EditACL(IQN, Initiator, func(acl *observe.ACL) { acl.Authentication = "0" })
		n.Declared.Volumes["new"] = spec.Volume{Metadata: Meta("new"), Spec: spec.VolumeSpec{Pool: "slow", Size: 64 * MiB, LVName: "new"}}
		e := n.Declared.Exports["db"]
		e.Spec.LUNs = append(e.Spec.LUNs, spec.LUN{Volume: "new", Number: Ptr(9)})
		n.Declared.Exports["db"] = e
		p := n.Plan()
		var set StepID
		for _, s := range p.Steps {
			switch c := s.Change.(type) {
			case change.SetAuth:
				set = s.ID
			case change.MapLUN:
				if c.Initiator == Initiator {
					Expect(s.Needs).To(ContainElement(set))
				}
			}
		}
		Expect(set).NotTo(BeZero())
		Expect(ChangesIn(p)).To(ContainElement(HavePrefix("map LUN 9 of " + IQN + " to initiator " + Initiator)))
	})
})
