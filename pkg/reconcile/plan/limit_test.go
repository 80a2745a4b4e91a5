package plan_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Make and the number of deletions", func() {
	// The node has two Volumes, two Snapshots and one Export.
	const everything = 5
	var n *Node
	BeforeEach(func() { n = Converged() })
	refused := BeIn(status.Blocked, status.ReasonTooManyDeletions)

	It("deletes as many as are allowed", func() {
		n.UndeclareAll()
		n.Input.MaxDeletions = everything
		n.Converge()
		Expect(n.LVs("vg0")).To(HaveLen(1))
	})
	DescribeTable("deletes and unexports none of them if there is one more", func(trash time.Duration) {
		n.SetTrashPeriod(trash)
		n.UndeclareAll()
		n.Input.MaxDeletions = everything - 1
		p := n.Plan()
		Expect(ChangesIn(p)).To(BeEmpty())
		for _, o := range p.Objects {
			if o.Kind != spec.KindPool {
				Expect(o).To(refused)
			}
		}
		Expect(ObjectOf(p, VolumeID("data")).Message).To(MatchRegexp(
			`^5 objects would be deleted at once, more than --max-deletions 4: ` +
				`Export/db, Snapshot/nightly, Snapshot/tnightly, Volume/data, Volume/thick\. None is\. If that is not intended, restore their files\. ` +
				`To allow exactly these, annotate any Pool with volreconciler/allow-deletions: "[0-9a-f]{16}", and remove the annotation afterwards$`))
		Expect(status.Report{Objects: p.Objects}.Converged()).To(BeFalse())
	}, Entry("into the trash", 24*time.Hour), Entry("for good", time.Duration(0)))
	It("names ten of them", func() {
		for i := range 13 {
			id := VolumeID(fmt.Sprintf("v%02d", i))
			n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: id.Name, Type: observe.Thick, Active: true, Tags: append(ondisk.OwnerTags(id), ondisk.DeletionTag(spec.Delete))})
			n.MarkDeclared(id)
		}
		n.Input.MaxDeletions = 10
		Expect(ObjectOf(n.Plan(), VolumeID("v00")).Message).To(ContainSubstring("Volume/v08, Volume/v09, and 3 more. None is. "))
		Expect(n.Plan().Steps).To(BeEmpty())
	})
	It("goes on with everything else", func() {
		n.UndeclareAll()
		n.Input.MaxDeletions = 0
		n.Declared.Volumes = map[string]spec.Volume{"new": {Metadata: Meta("new"), Spec: spec.VolumeSpec{Pool: "slow", Size: 8 * MiB, LVName: "new"}}}
		n.Converge()
		Expect(n.LVs("vg0")).To(And(HaveKey("new"), HaveLen(6)))
	})
	It("deletes nothing without permission where none is allowed", func() {
		n.Input.MaxDeletions = 0
		delete(n.Declared.Exports, "db")
		Expect(ChangesIn(n.Plan())).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), ExportID("db"))).To(And(refused, HaveField("Message", HavePrefix("1 object would be deleted"))))
		n.Permit(ExportID("db"))
		n.Converge()
		Expect(n.State.LIO.ISCSI).To(BeEmpty())
	})
	It("deletes what a Pool permits", func() {
		n.UndeclareAll()
		n.Input.MaxDeletions = 1
		n.Permit(VolumeID("data"))
		n.Converge()
		Expect(n.LVs("vg0")).To(HaveLen(1))
	})
	It("takes the permission for nothing but what it was given for", func() {
		all := n.Declared
		n.UndeclareAll()
		n.Input.MaxDeletions = 1
		n.Permit(VolumeID("data"))
		By("fewer")
		n.Declared.Exports = all.Exports
		n.Declared.Volumes, n.Declared.Snapshots = all.Volumes, all.Snapshots
		Expect(n.Plan().Steps).To(BeEmpty())
		n.Declared.Exports, n.Declared.Snapshots = nil, nil
		Expect(ObjectOf(n.Plan(), ExportID("db"))).To(refused)
		Expect(n.Plan().Steps).To(BeEmpty())
		By("the same names with other data")
		n.UndeclareAll()
		n.Edit("vg0/data", func(lv *observe.LogicalVolume) { lv.UUID = "another" })
		for id := range n.Input.Known {
			n.Input.Known[id] = plan.Identity{Declared: true}
		}
		Expect(n.Plan().Steps).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), VolumeID("data"))).To(refused)
	})
	DescribeTable("deletes nothing when no file names anything", func(limit int) {
		n.Declared = spec.Set{Complete: true}
		n.Input.MaxDeletions = limit
		p := n.Plan()
		Expect(ChangesIn(p)).To(BeEmpty())
		Expect(ObjectOf(p, VolumeID("data"))).To(And(refused, HaveField("Message", HavePrefix("no file declares anything, so 5 objects would be deleted"))))
	}, Entry(nil, everything-1), Entry(nil, everything), Entry(nil, 1000))
	It("counts what is still in its grace period", func() {
		n.Input.MaxDeletions = everything - 1
		n.UndeclareAll()
		n.Input.LastDeclared = map[spec.ID]time.Time{VolumeID("thick"): n.Input.Now, ExportID("db"): n.Input.Now}
		p := n.Plan()
		Expect(ChangesIn(p)).To(BeEmpty())
		Expect(ObjectOf(p, VolumeID("thick"))).To(refused)
		Expect(ObjectOf(p, VolumeID("data"))).To(refused)
		n.Input.MaxDeletions = everything
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Deleting, status.ReasonGracePeriod))
	})
	It("counts what is in use, so that a mistake does not get through piece by piece", func() {
		n.Input.MaxDeletions = everything - 1
		n.UndeclareAll()
		n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LoggedIn = true })
		Expect(ChangesIn(n.Plan())).To(BeEmpty())
	})
	It("counts what is in the trash no more, and what stays never", func() {
		n.SetTrashPeriod(24 * time.Hour)
		n.UndeclareAll()
		n.Edit("vg0/data", func(lv *observe.LogicalVolume) { lv.Tags[2] = ondisk.DeletionTag(spec.Retain) })
		n.Input.MaxDeletions = everything - 1
		n.Converge()
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Deleting, status.ReasonInTrash))
		Expect(ObjectOf(n.Plan(), VolumeID("data"))).To(BeIn(status.Orphaned, status.ReasonRetained))
		n.Input.MaxDeletions = 0
		n.Wait(24 * time.Hour)
		n.Converge()
		Expect(n.LVs("vg0")).To(HaveLen(2))
	})
	It("does not count what a named object no longer needs", func() {
		n.Input.MaxDeletions = 0
		e := n.Declared.Exports["db"]
		e.Spec.Target, e.Spec.LUNs = IQN+"2", e.Spec.LUNs[:1]
		n.Declared.Exports["db"] = e
		n.Converge()
		Expect(n.State.LIO.ISCSI).To(And(HaveLen(1), HaveKey(IQN+"2")))
		Expect(n.State.LIO.Backstores).To(HaveLen(1))
	})
	It("changes no word on what is held back for another reason", func() {
		n.UndeclareAll()
		n.Input.MaxDeletions = 0
		n.Declared.Complete = false
		Expect(ObjectOf(n.Plan(), VolumeID("data"))).To(BeIn(status.Blocked, status.ReasonIncompleteInput))
	})
})
