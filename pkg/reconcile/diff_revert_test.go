package reconcile

import (
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Diff and a volume that is put back to a snapshot", func() {
	var n *node
	BeforeEach(func() { n = converged() })

	passes := func() (all [][]string) {
		for range 9 {
			if p := n.plan(); !p.Empty() {
				all = append(all, kinds(p))
				n.apply(p)
			}
		}
		return all
	}
	It("is closed, put back, and served again, once for each request", func() {
		before, snapBefore := n.lvs("vg0")["thick"], n.lvs("vg0")["tnightly"]
		n.putBack("thick", "tnightly", "one")
		done := passes()
		Expect(done).To(HaveLen(4))
		Expect(done[0]).To(Equal([]string{"SetTags"}))
		Expect(done[1]).To(Equal([]string{"RemoveLUN", "RemoveBackstore"}))
		Expect(done[2]).To(Equal([]string{"Restore"}))
		Expect(done[3]).To(ContainElements("CreateBackstore", "AddLUN"))
		after, snapAfter := n.lvs("vg0")["thick"], n.lvs("vg0")["tnightly"]
		Expect(after.UUID).To(Equal(before.UUID))
		Expect(after.Tag(ondisk.TagReverted)).To(Equal("one"))
		Expect(after.Phase()).To(BeEmpty())
		Expect(snapAfter.UUID).To(Equal(snapBefore.UUID), "the snapshot stays usable")
		Expect(n.plan().Steps).To(BeEmpty())
		Expect(objectOf(n.plan(), volumeID("thick"))).To(beIn(Ready, ReasonAsDesired))
		n.putBack("thick", "tnightly", "two")
		Expect(kinds(n.plan())).To(Equal([]string{"SetTags"}))
	})
	It("has a clone of the snapshot come in its place in a thin pool", func() {
		before, snapBefore := n.lvs("vg0")["data"], n.lvs("vg0")["nightly"]
		wwn := objectOf(n.plan(), volumeID("data")).Volume.WWN
		for _, request := range []string{"one", "two"} {
			n.putBack("data", "nightly", request)
			Expect(n.plan().Steps).To(ConsistOf(HaveField("Danger", Destructive)), "what a plan is read for")
			done := passes()
			Expect(done).To(HaveLen(4)) // more in a row would be delayed, and nobody served meanwhile
			Expect(done[0]).To(Equal([]string{"CloneVolume"}))
			Expect(done[1]).To(Equal([]string{"DisableTarget", "RemoveLUN", "RemoveBackstore", "TakeOver"}))
			Expect(done[2]).To(ContainElements("Rename", "CreateBackstore", "AddLUN", "EnableTarget"))
			Expect(done[3]).To(Equal([]string{"RemoveLV"}))
			after := n.lvs("vg0")["data"]
			Expect(after.UUID).NotTo(Equal(before.UUID))
			Expect(after.Origin).To(Equal("nightly"))
			Expect(after.Size).To(Equal(before.Size))
			Expect(after.TagsWith(ondisk.TagReverted)).To(Equal([]string{ondisk.TagReverted + request}))
			Expect(after.Phase()).To(BeEmpty())
			Expect(n.plan().Steps).To(BeEmpty())
			Expect(objectOf(n.plan(), volumeID("data"))).To(beIn(Ready, ReasonAsDesired))
			Expect(objectOf(n.plan(), volumeID("data")).Volume.WWN).To(Equal(wwn))
			Expect(objectOf(n.plan(), snapshotID("nightly"))).To(beIn(Ready, ReasonAsDesired))
			Expect(n.lvs("vg0")["nightly"].UUID).To(Equal(snapBefore.UUID), "the snapshot stays usable")
		}
	})
	It("gives the clone the volume's size before it is served", func() {
		v := n.desired.Volumes["data"]
		v.Spec.Size *= 2
		n.desired.Volumes["data"] = v
		n.converge()
		n.putBack("data", "nightly", "one")
		n.converge()
		Expect(n.lvs("vg0")["data"].Origin).To(Equal("nightly"))
		Expect(n.lvs("vg0")["data"].Size).To(Equal(uint64(v.Spec.Size)))
	})
	It("makes another clone when another snapshot is asked for", func() {
		n.desired.Snapshots["later"] = spec.Snapshot{Metadata: meta("later"), Spec: spec.SnapshotSpec{Volume: "data"}}
		n.converge()
		n.putBack("data", "nightly", "one")
		n.apply(n.plan())
		Expect(n.lvs("vg0")).To(HaveKey(ondisk.StagedName(volumeID("data"))))
		n.putBack("data", "later", "one")
		n.converge()
		Expect(n.lvs("vg0")["data"].Origin).To(Equal("later"))
		Expect(n.lvs("vg0")).NotTo(HaveKey(ondisk.StagedName(volumeID("data"))))
	})
	It("waits for who has opened it since the clone was made", func() {
		n.desired.Exports = nil
		n.converge()
		n.putBack("data", "nightly", "one")
		n.apply(n.plan())
		n.edit("vg0/data", func(lv *observe.LogicalVolume) { lv.Open = true })
		Expect(kinds(n.plan())).To(Equal([]string{"RemoveLV"})) // of the clone
		Expect(objectOf(n.plan(), volumeID("data"))).To(beIn(Blocked, ReasonInUse))
	})
	It("waits for who has logged in since the clone was made", func() {
		n.putBack("data", "nightly", "one")
		n.apply(n.plan())
		n.logIn()
		Expect(kinds(n.plan())).To(Equal([]string{"RemoveLV"})) // of the clone
		Expect(objectOf(n.plan(), volumeID("data"))).To(beIn(Blocked, ReasonSessionsActive))
		Expect(n.state.LIO.ISCSI[iqn].LUNs).To(HaveKey(0))
	})
	It("is served as it was if the tag cannot be set", func() {
		n.putBack("data", "nightly", "one")
		n.apply(n.plan())
		p := n.plan()
		p.Steps = p.Steps[:len(p.Steps)-1]
		n.apply(p)
		n.input.Held = map[spec.ID]bool{volumeID("data"): true}
		Expect(kinds(n.plan())).To(ContainElements("CreateBackstore", "AddLUN", "EnableTarget", "TakeOver"))
		n.input.Held = nil
		n.converge()
		Expect(n.lvs("vg0")["data"].Tag(ondisk.TagReverted)).To(Equal("one"))
	})
	It("leaves what is read-only as it is", func() {
		n.edit("vg0/data", func(lv *observe.LogicalVolume) { lv.ReadOnly = true })
		n.putBack("data", "nightly", "one")
		Expect(n.plan().Steps).To(BeEmpty())
		Expect(objectOf(n.plan(), volumeID("data"))).To(beIn(Blocked, ReasonImmutableField))
	})
	It("does not move to another Pool while the snapshot has lost its origin by that", func() {
		n.putBack("data", "nightly", "one")
		n.converge()
		Expect(n.lvs("vg0")["nightly"].Origin).To(BeEmpty())
		v := n.desired.Volumes["data"]
		v.Spec.Pool = n.desired.Volumes["thick"].Spec.Pool
		n.desired.Volumes["data"] = v
		Expect(n.plan().Steps).To(BeEmpty())
		Expect(objectOf(n.plan(), volumeID("data"))).To(beIn(Blocked, ReasonSnapshotsExist))
	})
	It("is served as it was if the file no longer asks before anything was written", func() {
		for volume, snapshot := range map[string]string{"data": "nightly", "thick": "tnightly"} {
			before := n.lvs("vg0")[volume]
			n.putBack(volume, snapshot, "one")
			for !slices.Contains(kinds(n.plan()), "Restore") && !slices.Contains(kinds(n.plan()), "DisableTarget") {
				n.apply(n.plan())
			}
			n.putBack(volume, "", "")
			n.converge()
			Expect(n.lvs("vg0")[volume].UUID).To(Equal(before.UUID))
			Expect(n.lvs("vg0")).NotTo(HaveKey(ondisk.StagedName(volumeID(volume))))
			Expect(objectOf(n.plan(), volumeID(volume))).To(beIn(Ready, ReasonAsDesired))
		}
	})
	It("waits for live sessions", func() {
		n.logIn()
		n.putBack("thick", "tnightly", "one")
		Expect(n.plan().Steps).To(BeEmpty())
		Expect(objectOf(n.plan(), volumeID("thick"))).To(beIn(Blocked, ReasonSessionsActive))
	})
	It("waits for who has it mounted", func() {
		n.desired.Exports = nil
		n.converge()
		n.edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Open, lv.HeldBy = true, []string{"mounted on /mnt"} })
		n.putBack("thick", "tnightly", "one")
		Expect(n.plan().Steps).To(BeEmpty())
		Expect(objectOf(n.plan(), volumeID("thick"))).To(beIn(Blocked, ReasonInUse))
	})
	It("refuses a snapshot that overflowed, or that is of another volume", func() {
		n.edit("vg0/tnightly", func(lv *observe.LogicalVolume) { lv.SnapshotInvalid = true })
		n.putBack("thick", "tnightly", "one")
		Expect(kinds(n.plan())).NotTo(ContainElement("SetTags"))
		Expect(objectOf(n.plan(), volumeID("thick"))).To(beIn(Blocked, ReasonSnapshotOverflow))
		n.putBack("thick", "nightly", "one")
		Expect(objectOf(n.plan(), volumeID("thick"))).To(beIn(Blocked, ReasonImmutableField))
	})
	It("refuses to overflow another snapshot", func() {
		n.desired.Snapshots["small"] = spec.Snapshot{Metadata: meta("small"), Spec: spec.SnapshotSpec{Volume: "thick", Size: 4 * mib}}
		n.converge()
		n.edit("vg0/tnightly", func(lv *observe.LogicalVolume) { lv.DataPercent = 50 })
		n.putBack("thick", "tnightly", "one")
		Expect(n.plan().Steps).To(BeEmpty())
		Expect(objectOf(n.plan(), volumeID("thick"))).To(beIn(Blocked, ReasonSnapshotsExist))
	})
	It("is not served half put back, and says what to do, when the file no longer asks", func() {
		n.putBack("thick", "tnightly", "one")
		n.apply(n.plan())
		n.edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Tags = append(lv.Tags, ondisk.CheckpointTag("snapshot", 0)) })
		n.putBack("thick", "", "")
		n.converge()
		Expect(objectOf(n.plan(), volumeID("thick"))).To(beIn(Blocked, ReasonReverting))
		Expect(n.state.LIO.ISCSI[iqn].LUNs).NotTo(HaveKey(1))
	})
	It("ends with what was asked for last", func() {
		n.putBack("thick", "tnightly", "one")
		n.apply(n.plan())
		n.putBack("thick", "tnightly", "two")
		n.converge()
		Expect(n.lvs("vg0")["thick"].Tag(ondisk.TagReverted)).To(Equal("two"))
		Expect(n.lvs("vg0")["thick"].TagsWith(ondisk.TagReverted)).To(HaveLen(1))
	})
	It("is not served half put back while its file has an error", func() {
		n.putBack("thick", "tnightly", "one")
		n.apply(n.plan())
		n.apply(n.plan()) // exports have let go of it, and it is being written
		n.invalidate(volumeID("thick"))
		for range 3 {
			n.apply(n.plan())
			Expect(n.lvs("vg0")["thick"].Phase()).To(Equal(ondisk.Reverting))
		}
		Expect(n.state.LIO.ISCSI[iqn].LUNs).NotTo(HaveKey(1))
	})
	Context("half put back", func() {
		const volume, snapshot = "thick", "tnightly"
		BeforeEach(func() {
			delete(n.desired.Exports, "db")
			n.converge()
			n.putBack(volume, snapshot, "one")
			n.apply(n.plan())
			n.edit("vg0/"+volume, func(lv *observe.LogicalVolume) {
				lv.Tags = append(lv.Tags, ondisk.CheckpointTag(n.lvs("vg0")[snapshot].UUID, 8*mib))
			})
			n.putBack(volume, "", "")
			delete(n.desired.Snapshots, snapshot)
		})
		It("keeps the snapshot until it is put back, even if no file names that any more", func() {
			n.converge()
			Expect(n.lvs("vg0")).To(HaveKey(snapshot))
			Expect(objectOf(n.plan(), snapshotID(snapshot))).To(beIn(Blocked, ReasonInUse))
			n.putBack(volume, snapshot, "one")
			n.converge()
			Expect(n.lvs("vg0")[volume].Phase()).To(BeEmpty())
			Expect(n.lvs("vg0")).NotTo(HaveKey(snapshot))
		})
		It("goes with its snapshot when both are given up", func() {
			delete(n.desired.Volumes, volume)
			n.converge()
			Expect(n.lvs("vg0")).NotTo(Or(HaveKey(snapshot), HaveKey(volume)))
		})
	})
})
