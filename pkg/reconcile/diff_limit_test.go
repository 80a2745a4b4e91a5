package reconcile

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Diff and the number of deletions", func() {
	// The node has two Volumes, two Snapshots and one Export.
	const everything = 5
	var n *node
	BeforeEach(func() { n = converged() })
	refused := beIn(Blocked, ReasonTooManyDeletions)

	It("deletes as many as are allowed", func() {
		n.nameNothing()
		n.input.MaxDeletions = everything
		n.converge()
		Expect(n.lvs("vg0")).To(HaveLen(1))
	})
	DescribeTable("deletes and unexports none of them if there is one more", func(trash time.Duration) {
		n.keepFor(trash)
		n.nameNothing()
		n.input.MaxDeletions = everything - 1
		p := n.plan()
		Expect(changesIn(p)).To(BeEmpty())
		for _, o := range p.Objects {
			if o.Kind != spec.KindPool {
				Expect(o).To(refused)
			}
		}
		Expect(objectOf(p, volumeID("data")).Message).To(MatchRegexp(
			`^5 objects would be deleted at once, more than --max-deletions 4: ` +
				`Export/db, Snapshot/nightly, Snapshot/tnightly, Volume/data, Volume/thick\. ` +
				`To allow exactly these, annotate any Pool with volreconciler/allow-deletions: "[0-9a-f]{16}", and remove that afterwards$`))
		Expect(NodeStatus{Objects: p.Objects}.Converged()).To(BeFalse())
	}, Entry("into the trash", 24*time.Hour), Entry("for good", time.Duration(0)))
	It("names ten of them", func() {
		for i := range 13 {
			id := volumeID(fmt.Sprintf("v%02d", i))
			n.add(observe.LogicalVolume{VolumeGroup: "vg0", Name: id.Name, Type: observe.Thick, Active: true, Tags: append(ondisk.OwnerTags(id), ondisk.DeletionTag(spec.Delete))})
		}
		n.input.MaxDeletions = 10
		Expect(objectOf(n.plan(), volumeID("v00")).Message).To(ContainSubstring("Volume/v08, Volume/v09, and 3 more. To allow"))
		Expect(n.plan().Steps).To(BeEmpty())
	})
	It("goes on with everything else", func() {
		n.nameNothing()
		n.input.MaxDeletions = 0
		n.desired.Volumes = map[string]spec.Volume{"new": {Metadata: meta("new"), Spec: spec.VolumeSpec{Pool: "slow", Size: 8 * mib, LVName: "new"}}}
		n.converge()
		Expect(n.lvs("vg0")).To(And(HaveKey("new"), HaveLen(6)))
	})
	It("deletes nothing without permission where none is allowed", func() {
		n.input.MaxDeletions = 0
		delete(n.desired.Exports, "db")
		Expect(changesIn(n.plan())).To(BeEmpty())
		Expect(objectOf(n.plan(), exportID("db"))).To(And(refused, HaveField("Message", HavePrefix("1 object would be deleted"))))
		n.permit(exportID("db"))
		n.converge()
		Expect(n.state.LIO.ISCSI).To(BeEmpty())
	})
	It("deletes what a Pool permits", func() {
		n.nameNothing()
		n.input.MaxDeletions = 1
		n.permit(volumeID("data"))
		n.converge()
		Expect(n.lvs("vg0")).To(HaveLen(1))
	})
	It("takes the permission for nothing but what it was given for", func() {
		all := n.desired
		n.nameNothing()
		n.input.MaxDeletions = 1
		n.permit(volumeID("data"))
		By("fewer")
		n.desired.Exports = all.Exports
		n.desired.Volumes, n.desired.Snapshots = all.Volumes, all.Snapshots
		Expect(n.plan().Steps).To(BeEmpty())
		n.desired.Exports, n.desired.Snapshots = nil, nil
		Expect(objectOf(n.plan(), exportID("db"))).To(refused)
		Expect(n.plan().Steps).To(BeEmpty())
		By("the same names with other data")
		n.nameNothing()
		n.edit("vg0/data", func(lv *observe.LogicalVolume) { lv.UUID = "another" })
		n.input.Known = nil
		Expect(n.plan().Steps).To(BeEmpty())
		Expect(objectOf(n.plan(), volumeID("data"))).To(refused)
	})
	DescribeTable("deletes nothing when no file names anything", func(limit int) {
		n.desired = spec.Set{Complete: true}
		n.input.MaxDeletions = limit
		p := n.plan()
		Expect(changesIn(p)).To(BeEmpty())
		Expect(objectOf(p, volumeID("data"))).To(And(refused, HaveField("Message", HavePrefix("no file names anything any more, and 5 objects would be deleted"))))
	}, Entry(nil, everything-1), Entry(nil, everything), Entry(nil, 1000))
	It("counts what is still in its grace period", func() {
		n.input.MaxDeletions = everything - 1
		n.nameNothing()
		n.input.LastNamed = map[spec.ID]time.Time{volumeID("thick"): n.input.Now, exportID("db"): n.input.Now}
		p := n.plan()
		Expect(changesIn(p)).To(BeEmpty())
		Expect(objectOf(p, volumeID("thick"))).To(refused)
		Expect(objectOf(p, volumeID("data"))).To(refused)
		n.input.MaxDeletions = everything
		Expect(objectOf(n.plan(), volumeID("thick"))).To(beIn(Deleting, ReasonGracePeriod))
	})
	It("counts what is in use, so that a mistake does not get through piece by piece", func() {
		n.input.MaxDeletions = everything - 1
		n.nameNothing()
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.LoggedIn = true })
		Expect(changesIn(n.plan())).To(BeEmpty())
	})
	It("counts what is in the trash no more, and what stays never", func() {
		n.keepFor(24 * time.Hour)
		n.nameNothing()
		n.edit("vg0/data", func(lv *observe.LogicalVolume) { lv.Tags[2] = ondisk.DeletionTag(spec.Retain) })
		n.input.MaxDeletions = everything - 1
		n.converge()
		Expect(objectOf(n.plan(), volumeID("thick"))).To(beIn(Deleting, ReasonInTrash))
		Expect(objectOf(n.plan(), volumeID("data"))).To(beIn(Orphaned, ReasonRetained))
		n.input.MaxDeletions = 0
		n.wait(24 * time.Hour)
		n.converge()
		Expect(n.lvs("vg0")).To(HaveLen(2))
	})
	It("does not count what a named object no longer needs", func() {
		n.input.MaxDeletions = 0
		e := n.desired.Exports["db"]
		e.Spec.Target, e.Spec.LUNs = iqn+"2", e.Spec.LUNs[:1]
		n.desired.Exports["db"] = e
		n.converge()
		Expect(n.state.LIO.ISCSI).To(And(HaveLen(1), HaveKey(iqn+"2")))
		Expect(n.state.LIO.Backstores).To(HaveLen(1))
	})
	It("changes no word on what is held back for another reason", func() {
		n.nameNothing()
		n.input.MaxDeletions = 0
		n.desired.Complete = false
		Expect(objectOf(n.plan(), volumeID("data"))).To(beIn(Blocked, ReasonIncompleteInput))
	})
})
