package reconcile

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Diff and a volume that is put back to a snapshot", func() {
	var n *node
	ask := func(volume, snapshot, request string) {
		v := n.desired.Volumes[volume]
		v.Spec.Revert = &spec.Revert{Snapshot: snapshot, Request: request}
		if snapshot == "" {
			v.Spec.Revert = nil
		}
		n.desired.Volumes[volume] = v
	}
	BeforeEach(func() { n = converged() })

	for volume, snapshot := range map[string]string{"data": "nightly", "thick": "tnightly"} {
		It("is closed, put back, and served again, once for each request: "+volume, func() {
			lvs := func() (observe.LogicalVolume, observe.LogicalVolume) {
				return n.lvs("vg0")[volume], n.lvs("vg0")[snapshot]
			}
			before, snapBefore := lvs()
			ask(volume, snapshot, "one")
			var passes [][]string
			for range 6 {
				if p := n.diff(); !p.Empty() {
					passes = append(passes, kinds(p))
					n.apply(p)
				}
			}
			Expect(passes).To(HaveLen(4))
			Expect(passes[0]).To(Equal([]string{"SetTags"}))
			Expect(passes[1]).To(Equal([]string{"RemoveLUN", "RemoveBackstore"}))
			Expect(passes[2]).To(Equal([]string{"Restore"}))
			Expect(passes[3]).To(ContainElements("CreateBackstore", "AddLUN"))
			after, snapAfter := lvs()
			Expect(after.UUID).To(Equal(before.UUID))
			Expect(after.Tag(observe.TagReverted)).To(Equal("one"))
			Expect(after.Phase()).To(BeEmpty())
			Expect(snapAfter.UUID).To(Equal(snapBefore.UUID), "the snapshot stays usable")
			Expect(n.diff().Steps).To(BeEmpty())
			Expect(status(n.diff(), volumeID(volume))).To(beIn(Ready, ReasonAsDesired))
			ask(volume, snapshot, "two")
			Expect(kinds(n.diff())).To(Equal([]string{"SetTags"}))
		})
	}
	It("waits for live sessions", func() {
		n.logIn()
		ask("thick", "tnightly", "one")
		Expect(n.diff().Steps).To(BeEmpty())
		Expect(status(n.diff(), volumeID("thick"))).To(beIn(Blocked, ReasonSessionsActive))
	})
	It("waits for who has it mounted", func() {
		n.desired.Exports = nil
		n.converge()
		n.edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Open, lv.HeldBy = true, []string{"mounted on /mnt"} })
		ask("thick", "tnightly", "one")
		Expect(n.diff().Steps).To(BeEmpty())
		Expect(status(n.diff(), volumeID("thick"))).To(beIn(Blocked, ReasonInUse))
	})
	It("refuses a snapshot that overflowed, or that is of another volume", func() {
		n.edit("vg0/tnightly", func(lv *observe.LogicalVolume) { lv.SnapshotInvalid = true })
		ask("thick", "tnightly", "one")
		Expect(kinds(n.diff())).NotTo(ContainElement("SetTags"))
		Expect(status(n.diff(), volumeID("thick"))).To(beIn(Blocked, ReasonSnapshotOverflow))
		ask("thick", "nightly", "one")
		Expect(status(n.diff(), volumeID("thick"))).To(beIn(Blocked, ReasonImmutableField))
	})
	It("refuses to overflow another snapshot", func() {
		n.desired.Snapshots["small"] = spec.Snapshot{Metadata: meta("small"), Spec: spec.SnapshotSpec{Volume: "thick", Size: 4 * mib}}
		n.converge()
		n.edit("vg0/tnightly", func(lv *observe.LogicalVolume) { lv.DataPercent = 50 })
		ask("thick", "tnightly", "one")
		Expect(n.diff().Steps).To(BeEmpty())
		Expect(status(n.diff(), volumeID("thick"))).To(beIn(Blocked, ReasonSnapshotsExist))
	})
	It("is not served half put back, and says what to do, when the file no longer asks", func() {
		ask("thick", "tnightly", "one")
		n.apply(n.diff())
		ask("thick", "", "")
		n.converge()
		Expect(status(n.diff(), volumeID("thick"))).To(beIn(Blocked, ReasonReverting))
		Expect(n.state.LIO.ISCSI[iqn].LUNs).NotTo(HaveKey(1))
	})
	It("ends with what was asked for last", func() {
		ask("thick", "tnightly", "one")
		n.apply(n.diff())
		ask("thick", "tnightly", "two")
		n.converge()
		Expect(n.lvs("vg0")["thick"].Tag(observe.TagReverted)).To(Equal("two"))
		Expect(n.lvs("vg0")["thick"].TagsWith(observe.TagReverted)).To(HaveLen(1))
	})
	It("is not served half put back while its file has an error", func() {
		ask("thick", "tnightly", "one")
		n.apply(n.diff())
		n.apply(n.diff()) // exports have let go of it, and it is being written
		n.invalidate(volumeID("thick"))
		for range 3 {
			n.apply(n.diff())
			Expect(n.lvs("vg0")["thick"].Phase()).To(Equal(observe.Reverting))
		}
		Expect(n.state.LIO.ISCSI[iqn].LUNs).NotTo(HaveKey(1))
	})
	for volume, snapshot := range map[string]string{"data": "nightly", "thick": "tnightly"} {
		halfPutBack := func() {
			delete(n.desired.Exports, "db")
			n.converge()
			ask(volume, snapshot, "one")
			n.apply(n.diff())
			n.edit("vg0/"+volume, func(lv *observe.LogicalVolume) {
				lv.Tags = append(lv.Tags, observe.CheckpointTag(n.lvs("vg0")[snapshot].UUID, 8*mib))
			})
			ask(volume, "", "")
			delete(n.desired.Snapshots, snapshot)
		}
		It("keeps the snapshot until it is put back, even if no file names that any more: "+volume, func() {
			halfPutBack()
			n.converge()
			Expect(n.lvs("vg0")).To(HaveKey(snapshot))
			Expect(status(n.diff(), snapshotID(snapshot))).To(beIn(Blocked, ReasonInUse))
			ask(volume, snapshot, "one")
			n.converge()
			Expect(n.lvs("vg0")[volume].Phase()).To(BeEmpty())
			Expect(n.lvs("vg0")).NotTo(HaveKey(snapshot))
		})
		It("goes with its snapshot when both are given up: "+volume, func() {
			halfPutBack()
			delete(n.desired.Volumes, volume)
			n.converge()
			Expect(n.lvs("vg0")).NotTo(Or(HaveKey(snapshot), HaveKey(volume)))
		})
	}
})
