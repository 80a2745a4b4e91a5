package plan_test

import (
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Make and a volume that is put back to a snapshot", func() {
	var n *Node
	BeforeEach(func() { n = Converged() })

	passes := func() (all [][]string) {
		for range 9 {
			if p := n.Plan(); !p.Empty() {
				all = append(all, kinds(p))
				n.Apply(p)
			}
		}
		return all
	}
	It("is closed, put back, and served again, once for each request", func() {
		before, snapBefore := n.LVs("vg0")["thick"], n.LVs("vg0")["tnightly"]
		n.DeclareRevert("thick", "tnightly", "one")
		done := passes()
		Expect(done).To(HaveLen(4))
		Expect(done[0]).To(Equal([]string{"SetTags"}))
		Expect(done[1]).To(Equal([]string{"RemoveLUN", "RemoveBackstore"}))
		Expect(done[2]).To(Equal([]string{"Restore"}))
		Expect(done[3]).To(ContainElements("CreateBackstore", "AddLUN"))
		after, snapAfter := n.LVs("vg0")["thick"], n.LVs("vg0")["tnightly"]
		Expect(after.UUID).To(Equal(before.UUID))
		Expect(after.Tag(ondisk.TagReverted)).To(Equal("one"))
		Expect(after.Phase()).To(BeEmpty())
		Expect(snapAfter.UUID).To(Equal(snapBefore.UUID), "the snapshot stays usable")
		Expect(n.Plan().Steps).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Ready, status.ReasonAsDesired))
		n.DeclareRevert("thick", "tnightly", "two")
		Expect(kinds(n.Plan())).To(Equal([]string{"SetTags"}))
	})
	It("has a clone of the snapshot come in its place in a thin pool", func() {
		before, snapBefore := n.LVs("vg0")["data"], n.LVs("vg0")["nightly"]
		wwn := ObjectOf(n.Plan(), VolumeID("data")).Volume.WWN
		for _, request := range []string{"one", "two"} {
			n.DeclareRevert("data", "nightly", request)
			Expect(n.Plan().Steps).To(ConsistOf(HaveField("Danger", Destructive)), "what a plan is read for")
			done := passes()
			Expect(done).To(HaveLen(4)) // more in a row would be delayed, and nobody served meanwhile
			Expect(done[0]).To(Equal([]string{"CloneVolume"}))
			Expect(done[1]).To(Equal([]string{"DisableTarget", "RemoveLUN", "RemoveBackstore", "Cutover"}))
			Expect(done[2]).To(ContainElements("Rename", "CreateBackstore", "AddLUN", "EnableTarget"))
			Expect(done[3]).To(Equal([]string{"RemoveLV"}))
			after := n.LVs("vg0")["data"]
			Expect(after.UUID).NotTo(Equal(before.UUID))
			Expect(after.Origin).To(Equal("nightly"))
			Expect(after.Size).To(Equal(before.Size))
			Expect(after.TagsWith(ondisk.TagReverted)).To(ContainElement(ondisk.TagReverted + request))
			Expect(after.Phase()).To(BeEmpty())
			Expect(n.Plan().Steps).To(BeEmpty())
			Expect(ObjectOf(n.Plan(), VolumeID("data"))).To(BeIn(status.Ready, status.ReasonAsDesired))
			Expect(ObjectOf(n.Plan(), VolumeID("data")).Volume.WWN).To(Equal(wwn))
			Expect(ObjectOf(n.Plan(), SnapshotID("nightly"))).To(BeIn(status.Ready, status.ReasonAsDesired))
			Expect(n.LVs("vg0")["nightly"].UUID).To(Equal(snapBefore.UUID), "the snapshot stays usable")
		}
	})
	It("gives the clone the volume's size before it is served", func() {
		v := n.Declared.Volumes["data"]
		v.Spec.Size *= 2
		n.Declared.Volumes["data"] = v
		n.Converge()
		n.DeclareRevert("data", "nightly", "one")
		n.Converge()
		Expect(n.LVs("vg0")["data"].Origin).To(Equal("nightly"))
		Expect(n.LVs("vg0")["data"].Size).To(Equal(uint64(v.Spec.Size)))
	})
	It("makes another clone when another snapshot is asked for", func() {
		n.Declared.Snapshots["later"] = spec.Snapshot{Metadata: Meta("later"), Spec: spec.SnapshotSpec{Volume: "data"}}
		n.Converge()
		n.DeclareRevert("data", "nightly", "one")
		n.Apply(n.Plan())
		Expect(n.LVs("vg0")).To(HaveKey(ondisk.StagedName(VolumeID("data"))))
		n.DeclareRevert("data", "later", "one")
		n.Converge()
		Expect(n.LVs("vg0")["data"].Origin).To(Equal("later"))
		Expect(n.LVs("vg0")).NotTo(HaveKey(ondisk.StagedName(VolumeID("data"))))
	})
	It("waits for who has opened it since the clone was made", func() {
		n.Declared.Exports = nil
		n.Converge()
		n.DeclareRevert("data", "nightly", "one")
		n.Apply(n.Plan())
		n.Edit("vg0/data", func(lv *observe.LogicalVolume) { lv.Open = true })
		Expect(kinds(n.Plan())).To(Equal([]string{"RemoveLV"})) // of the clone
		Expect(ObjectOf(n.Plan(), VolumeID("data"))).To(BeIn(status.Blocked, status.ReasonInUse))
	})
	It("waits for who has logged in since the clone was made", func() {
		n.DeclareRevert("data", "nightly", "one")
		n.Apply(n.Plan())
		n.LogIn()
		Expect(kinds(n.Plan())).To(Equal([]string{"RemoveLV"})) // of the clone
		Expect(ObjectOf(n.Plan(), VolumeID("data"))).To(BeIn(status.Blocked, status.ReasonSessionsActive))
		Expect(n.State.LIO.ISCSI[IQN].LUNs).To(HaveKey(0))
	})
	It("is served as it was if the tag cannot be set", func() {
		n.DeclareRevert("data", "nightly", "one")
		n.Apply(n.Plan())
		p := n.Plan()
		p.Steps = p.Steps[:len(p.Steps)-1]
		n.Apply(p)
		n.Input.BackingOff = map[spec.ID]bool{VolumeID("data"): true}
		Expect(kinds(n.Plan())).To(ContainElements("CreateBackstore", "AddLUN", "EnableTarget", "Cutover"))
		n.Input.BackingOff = nil
		n.Converge()
		Expect(n.LVs("vg0")["data"].Tag(ondisk.TagReverted)).To(Equal("one"))
	})
	It("leaves what is read-only as it is", func() {
		n.Edit("vg0/data", func(lv *observe.LogicalVolume) { lv.ReadOnly = true })
		n.Converge()
		n.DeclareRevert("data", "nightly", "one")
		Expect(n.Plan().Steps).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), VolumeID("data"))).To(BeIn(status.Blocked, status.ReasonImmutableField))
	})
	It("does not move to another Pool while the snapshot has lost its origin by that", func() {
		n.DeclareRevert("data", "nightly", "one")
		n.Converge()
		Expect(n.LVs("vg0")["nightly"].Origin).To(BeEmpty())
		v := n.Declared.Volumes["data"]
		v.Spec.Pool = n.Declared.Volumes["thick"].Spec.Pool
		n.Declared.Volumes["data"] = v
		Expect(n.Plan().Steps).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), VolumeID("data"))).To(BeIn(status.Blocked, status.ReasonSnapshotsExist))
	})
	It("is served as it was if the file no longer asks before anything was written", func() {
		for volume, snapshot := range map[string]string{"data": "nightly", "thick": "tnightly"} {
			before := n.LVs("vg0")[volume]
			n.DeclareRevert(volume, snapshot, "one")
			for !slices.Contains(kinds(n.Plan()), "Restore") && !slices.Contains(kinds(n.Plan()), "DisableTarget") {
				n.Apply(n.Plan())
			}
			n.DeclareRevert(volume, "", "")
			n.Converge()
			Expect(n.LVs("vg0")[volume].UUID).To(Equal(before.UUID))
			Expect(n.LVs("vg0")).NotTo(HaveKey(ondisk.StagedName(VolumeID(volume))))
			Expect(ObjectOf(n.Plan(), VolumeID(volume))).To(BeIn(status.Ready, status.ReasonAsDesired))
		}
	})
	It("waits for live sessions", func() {
		n.LogIn()
		n.DeclareRevert("thick", "tnightly", "one")
		Expect(n.Plan().Steps).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonSessionsActive))
	})
	It("waits for who has it mounted", func() {
		n.Declared.Exports = nil
		n.Converge()
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Open, lv.HeldBy = true, []string{"mounted on /mnt"} })
		n.DeclareRevert("thick", "tnightly", "one")
		Expect(n.Plan().Steps).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonInUse))
	})
	It("refuses a snapshot that overflowed, or that is of another volume", func() {
		n.Edit("vg0/tnightly", func(lv *observe.LogicalVolume) { lv.SnapshotInvalid = true })
		n.DeclareRevert("thick", "tnightly", "one")
		Expect(kinds(n.Plan())).NotTo(ContainElement("SetTags"))
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonSnapshotOverflow))
		n.DeclareRevert("thick", "nightly", "one")
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonImmutableField))
	})
	It("refuses to overflow another snapshot", func() {
		n.Declared.Snapshots["small"] = spec.Snapshot{Metadata: Meta("small"), Spec: spec.SnapshotSpec{Volume: "thick", Size: 4 * MiB}}
		n.Converge()
		n.Edit("vg0/tnightly", func(lv *observe.LogicalVolume) { lv.DataPercent = 50 })
		n.DeclareRevert("thick", "tnightly", "one")
		Expect(n.Plan().Steps).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonSnapshotsExist))
	})
	It("is not served half put back, and says what to do, when the file no longer asks", func() {
		n.DeclareRevert("thick", "tnightly", "one")
		n.Apply(n.Plan())
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Tags = append(lv.Tags, ondisk.CheckpointTag("snapshot", 0)) })
		n.DeclareRevert("thick", "", "")
		n.Converge()
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonReverting))
		Expect(n.State.LIO.ISCSI[IQN].LUNs).NotTo(HaveKey(1))
	})
	It("ends with what was asked for last", func() {
		n.DeclareRevert("thick", "tnightly", "one")
		n.Apply(n.Plan())
		n.DeclareRevert("thick", "tnightly", "two")
		n.Converge()
		Expect(n.LVs("vg0")["thick"].Tag(ondisk.TagReverted)).To(Equal("two"))
		Expect(n.LVs("vg0")["thick"].TagsWith(ondisk.TagReverted)).To(HaveLen(1))
	})
	It("is not served half put back while its file has an error", func() {
		n.DeclareRevert("thick", "tnightly", "one")
		n.Apply(n.Plan())
		n.Apply(n.Plan()) // exports have let go of it, and it is being written
		n.InvalidateVolume(VolumeID("thick"))
		for range 3 {
			n.Apply(n.Plan())
			Expect(n.LVs("vg0")["thick"].Phase()).To(Equal(ondisk.Reverting))
		}
		Expect(n.State.LIO.ISCSI[IQN].LUNs).NotTo(HaveKey(1))
	})
	Context("half put back", func() {
		const volume, snapshot = "thick", "tnightly"
		BeforeEach(func() {
			delete(n.Declared.Exports, "db")
			n.Converge()
			n.DeclareRevert(volume, snapshot, "one")
			n.Apply(n.Plan())
			n.Edit("vg0/"+volume, func(lv *observe.LogicalVolume) {
				lv.Tags = append(lv.Tags, ondisk.CheckpointTag(n.LVs("vg0")[snapshot].UUID, 8*MiB))
			})
			n.DeclareRevert(volume, "", "")
			delete(n.Declared.Snapshots, snapshot)
		})
		It("keeps the snapshot until it is put back, even if no file names that any more", func() {
			n.Converge()
			Expect(n.LVs("vg0")).To(HaveKey(snapshot))
			Expect(ObjectOf(n.Plan(), SnapshotID(snapshot))).To(BeIn(status.Blocked, status.ReasonInUse))
			n.DeclareRevert(volume, snapshot, "one")
			n.Converge()
			Expect(n.LVs("vg0")[volume].Phase()).To(BeEmpty())
			Expect(n.LVs("vg0")).NotTo(HaveKey(snapshot))
		})
		It("goes with its snapshot when both are given up", func() {
			delete(n.Declared.Volumes, volume)
			n.Converge()
			Expect(n.LVs("vg0")).NotTo(Or(HaveKey(snapshot), HaveKey(volume)))
		})
	})
})
