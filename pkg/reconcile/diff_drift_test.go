package reconcile

import (
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = DescribeTable("Diff corrects drift and touches nothing else",
	func(drift func(n *node), want ...string) {
		n := converged()
		drift(n)
		Expect(changesIn(n.plan())).To(Equal(want))
		n.converge()
	},
	Entry("an inactive volume", func(n *node) {
		n.edit("vg0/data", func(lv *observe.LogicalVolume) { lv.Active = false })
	}, "activate vg0/data"),
	Entry("an inactive exported thin snapshot", func(n *node) {
		n.edit("vg0/nightly", func(lv *observe.LogicalVolume) { lv.Active = false })
	}, "activate vg0/nightly"),
	Entry("a lost name tag", func(n *node) {
		n.edit("vg0/data", func(lv *observe.LogicalVolume) {
			lv.Tags = slices.DeleteFunc(slices.Clone(lv.Tags), func(t string) bool { return t == "volreconciler/name=data" })
		})
	}, "set tags of vg0/data: +volreconciler/name=data"),
	Entry("all tags lost, of a logical volume that is known", func(n *node) {
		n.edit("vg0/data", func(lv *observe.LogicalVolume) { lv.Tags = []string{"theirs"} })
	}, "set tags of vg0/data: +volreconciler/kind=volume +volreconciler/name=data +volreconciler/deletion=delete"),
	Entry("a changed deletion policy", func(n *node) {
		n.edit("vg0/data", func(lv *observe.LogicalVolume) { lv.Tags[2] = "volreconciler/deletion=retain" })
	}, "set tags of vg0/data: +volreconciler/deletion=delete -volreconciler/deletion=retain"),
	Entry("a removed LUN", func(n *node) {
		n.changeTarget(change.RemoveLUN{Target: change.Target{Fabric: observe.ISCSI, Name: iqn}, LUN: 1})
	},
		"add LUN 1 to "+iqn+": iblock_900/volreconciler:volume:thick",
		"map LUN 1 of "+iqn+" to initiator "+initiator,
		"map LUN 1 of "+iqn+" to initiator iqn.1993-08.org.debian:01:open, read-only"),
	Entry("a removed ACL", func(n *node) {
		n.changeTarget(change.RemoveInitiator{Target: change.Target{Fabric: observe.ISCSI, Name: iqn}, Initiator: initiator})
	},
		"admit initiator "+initiator+" to "+iqn+", CHAP",
		"map LUN 0 of "+iqn+" to initiator "+initiator,
		"map LUN 7 of "+iqn+" to initiator "+initiator+", read-only",
		"map LUN 1 of "+iqn+" to initiator "+initiator),
	Entry("a changed password", func(n *node) {
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.Auth.Password = spec.NewSecret("guessed") })
	}, "set authentication of initiator "+initiator+" at "+iqn+": CHAP"),
	Entry("a mark in the alias, as older agents put it", func(n *node) {
		n.editTarget(iqn, func(t *observe.Target) { t.MarkInAlias = true })
	}, "move volreconciler's mark of target "+iqn+" out of its alias"),
	Entry("authentication switched off", func(n *node) {
		n.editTarget(iqn, func(t *observe.Target) { t.Attrib.Authentication = false })
	}, "set target "+iqn+" to admit listed initiators only"),
	Entry("authentication of an ACL switched off", func(n *node) {
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.Authentication = "0" })
	}, "set authentication of initiator "+initiator+" at "+iqn+": CHAP"),
	Entry("write protection taken off", func(n *node) {
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.LUNs[7] = observe.MappedLUN{LUN: 7} })
	}, "set write protection of LUN 7 of "+iqn+" for initiator "+initiator+" to true"),
	Entry("a disabled target", func(n *node) {
		n.editTarget(iqn, func(t *observe.Target) { t.Enabled = false })
	}, "enable target "+iqn),
	Entry("a removed portal, another in its place", func(n *node) {
		n.editTarget(iqn, func(t *observe.Target) {
			t.Portals = map[string]observe.Transport{"0.0.0.0:3260": observe.TCP, "10.0.0.1:3262": observe.TCP}
		})
	}, "add portal [::1]:3261 to "+iqn, "remove portal 10.0.0.1:3262 from "+iqn),
	Entry("an initiator let in by hand", func(n *node) {
		n.editTarget(iqn, func(t *observe.Target) { t.ACLs["iqn.2000-01.a.b:c"] = observe.ACL{Initiator: "iqn.2000-01.a.b:c"} })
	}, "remove initiator iqn.2000-01.a.b:c from "+iqn),
	Entry("unmap switched off", func(n *node) {
		n.change(change.SetUnmap{Backstore: change.Backstore{HBA: ondisk.HBA, Name: "volreconciler:volume:data"}, Unmap: false})
	}, "set unmap of backstore iblock_900/volreconciler:volume:data to true"),
	Entry("a newer kernel, whose limits of UNMAP Linux initiators do not find", func(n *node) {
		n.editBackstore("volume:data", func(b *observe.Backstore) { b.HidesLimits = true })
	}, "set unmap of backstore iblock_900/volreconciler:volume:data to true"),
	Entry("unmap by WRITE SAME switched on where none should get through", func(n *node) {
		n.editBackstore("volume:thick", func(b *observe.Backstore) { b.UnmapBySame = true })
	}, "set unmap of backstore iblock_900/volreconciler:volume:thick to false"),
	Entry("unmap by WRITE SAME switched on where UNMAP does it", func(n *node) {
		n.editBackstore("volume:data", func(b *observe.Backstore) { b.UnmapBySame = true })
	}, "set unmap of backstore iblock_900/volreconciler:volume:data to true"),
)

var _ = Describe("Diff after a whole target was removed by hand", func() {
	It("makes it anew on the same backstores", func() {
		n := converged()
		delete(n.state.LIO.ISCSI, iqn)
		Expect(changesIn(n.plan())).NotTo(ContainElement(ContainSubstring("backstore iblock")))
		n.converge()
	})
	It("makes a removed backstore anew with it", func() {
		n := converged()
		delete(n.state.LIO.ISCSI, iqn)
		n.change(change.RemoveBackstore{Backstore: change.Backstore{HBA: ondisk.HBA, Name: "volreconciler:volume:data"}})
		n.converge()
		Expect(n.state.LIO.Backstores).To(HaveLen(3))
	})
	It("claims the empty shell that an interrupted creation leaves", func() {
		n := newNode()
		n.state.LIO.ISCSI[iqn] = observe.Target{Fabric: observe.ISCSI, Name: iqn}
		n.converge()
		Expect(n.state.LIO.ISCSI[iqn].Mark).To(Equal("volreconciler:db"))
	})
})

var _ = DescribeTable("Diff after a reboot", func(gone func(n *node)) {
	n := converged()
	before := n.state.LIO.Backstores
	n.state.LIO = observe.Targets{Backstores: map[string]observe.Backstore{}, ISCSI: map[string]observe.Target{}}
	for name := range n.lvs("vg0") {
		n.edit("vg0/"+name, func(lv *observe.LogicalVolume) { lv.Active, lv.Open = lv.Type == observe.ThinPool, false })
	}
	gone(n)
	n.converge()
	Expect(n.state.LIO.Backstores).To(Equal(before), "initiators see other devices than before")
},
	Entry("exports all again, with the same serials", func(*node) {}),
	Entry("without the memory too", func(n *node) { n.input.Known = nil }),
)

var _ = Describe("An initiator whose password is to be set", func() {
	It("is shown nothing more before it is", func() {
		n := converged()
		n.editACL(iqn, initiator, func(acl *observe.ACL) { acl.Authentication = "0" })
		n.desired.Volumes["new"] = spec.Volume{Metadata: meta("new"), Spec: spec.VolumeSpec{Pool: "slow", Size: 64 * mib, LVName: "new"}}
		e := n.desired.Exports["db"]
		e.Spec.LUNs = append(e.Spec.LUNs, spec.LUN{Volume: "new", Number: ptr(9)})
		n.desired.Exports["db"] = e
		p := n.plan()
		var set StepID
		for _, s := range p.Steps {
			switch c := s.Change.(type) {
			case change.SetAuth:
				set = s.ID
			case change.MapLUN:
				if c.Initiator == initiator {
					Expect(s.Needs).To(ContainElement(set))
				}
			}
		}
		Expect(set).NotTo(BeZero())
		Expect(changesIn(p)).To(ContainElement(HavePrefix("map LUN 9 of " + iqn + " to initiator " + initiator)))
	})
})
