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

var _ = Describe("Diff and a revert while other things happen", func() {
	var n *node
	BeforeEach(func() { n = converged() })
	// swap applies plans until one has the take-over, and returns that.
	swap := func() Plan {
		GinkgoHelper()
		for range 6 {
			p := n.plan()
			for _, s := range p.Steps {
				if _, ok := s.Change.(change.TakeOver); ok {
					return p
				}
			}
			n.apply(p)
		}
		Fail("no swap")
		return Plan{}
	}

	It("lets a copy of the Volume that was begun before the revert end with what it was begun from", func() {
		n.desireCopy("slow", 100*mib, spec.VolumeSource{Volume: "data"})
		n.apply(n.plan()) // the volume to fill, and the snapshot to fill it from
		made := n.lvs("vg0")["volreconciler-source-copy"]
		Expect(made.UUID).NotTo(BeEmpty())
		Expect(kinds(n.plan())).To(ContainElement("Populate"))
		n.putBack("data", "nightly", "one") // the job takes long: no step of it is applied
		for range 6 {
			for _, s := range n.plan().Steps {
				if p, ok := s.Change.(change.Populate); ok {
					Expect(p.Volume.UUID).To(Equal(made.UUID), "the copy is of what the volume held when it was asked for")
					continue
				}
				n.change(s.Change)
			}
			Expect(n.lvs("vg0")).To(HaveKey("volreconciler-source-copy"))
			Expect(n.lvs("vg0")["volreconciler-source-copy"].UUID).To(Equal(made.UUID))
		}
	})
	It("lets an Image of the Volume that was begun before the revert end with what it was begun from", func() {
		n.desireImage(spec.ImageSpec{Volume: "data"})
		n.apply(n.plan())
		var made observe.LogicalVolume
		for _, lv := range n.lvs("vg0") {
			if lv.Tag(ondisk.TagFor) == "image" {
				made = lv
			}
		}
		Expect(made.UUID).NotTo(BeEmpty())
		n.putBack("data", "nightly", "one")
		for range 6 {
			for _, s := range n.plan().Steps {
				if _, ok := s.Change.(change.WriteImage); ok {
					continue
				}
				n.change(s.Change)
			}
			Expect(n.lvs("vg0")[made.Name].UUID).To(Equal(made.UUID))
		}
	})

	for _, volume := range []string{"data", "thick"} {
		It("does not put "+volume+" back while a Snapshot of it that is named at the same time is not there", func() {
			snapshot := map[string]string{"data": "nightly", "thick": "tnightly"}[volume]
			n.desired.Snapshots["before"] = spec.Snapshot{Metadata: meta("before"), Spec: spec.SnapshotSpec{Volume: volume, Size: 100 * mib}}
			n.putBack(volume, snapshot, "one")
			for range 5 {
				for _, s := range n.plan().Steps {
					switch c := s.Change.(type) {
					case change.CreateSnapshot: // LVM refuses it, for now
						continue
					case change.RemoveLV, change.Restore:
						Fail("what was in it is gone, and no snapshot has it: " + c.String())
					}
					n.change(s.Change)
				}
			}
		})
	}
	It("does not mark a thick one in the plan that makes a snapshot of it", func() {
		n.desired.Snapshots["before"] = spec.Snapshot{Metadata: meta("before"), Spec: spec.SnapshotSpec{Volume: "thick", Size: 100 * mib}}
		n.putBack("thick", "tnightly", "one")
		Expect(kinds(n.plan())).To(ConsistOf("CreateSnapshot"))
	})
	for _, volume := range []string{"data", "thick"} {
		It("does not put "+volume+" back before what is filled from it has a snapshot to be filled from", func() {
			n.desireCopy(map[string]string{"data": "slow", "thick": "fast"}[volume], 200*mib, spec.VolumeSource{Volume: volume})
			n.putBack(volume, map[string]string{"data": "nightly", "thick": "tnightly"}[volume], "one")
			Expect(kinds(n.plan())).To(ConsistOf("CreateVolume", "CreateSnapshot"))
			n.converge()
			Expect(n.lvs("vg0")[volume].Tag(ondisk.TagReverted)).To(Equal("one"))
		})
		It("does not put "+volume+" back before the image that is to be written of it has a snapshot", func() {
			n.desireImage(spec.ImageSpec{Volume: volume})
			n.putBack(volume, map[string]string{"data": "nightly", "thick": "tnightly"}[volume], "one")
			Expect(kinds(n.plan())).To(ConsistOf("CreateSnapshot"))
			n.converge()
			Expect(n.lvs("vg0")[volume].Tag(ondisk.TagReverted)).To(Equal("one"))
		})
		It("does not put "+volume+" back while there are findings in the specs", func() {
			n.putBack(volume, map[string]string{"data": "nightly", "thick": "tnightly"}[volume], "one")
			n.desired.Complete = false
			Expect(n.plan().Steps).To(BeEmpty())
			Expect(objectOf(n.plan(), volumeID(volume))).To(beIn(Blocked, ReasonIncompleteInput))
		})
	}

	It("does not let initiators in to the old one while its replacement is still being marked", func() {
		n.putBack("data", "nightly", "one")
		p := swap()
		last := p.Steps[len(p.Steps)-1]
		for _, s := range p.Steps[:len(p.Steps)-1] {
			n.change(s.Change)
		}
		// lvchange takes longer than the plan is waited for; somebody takes the request
		// back (or has an error in another file) meanwhile.
		n.input.Busy = map[string]bool{last.Change.Lane(): true}
		n.putBack("data", "", "")
		for _, s := range n.plan().Steps {
			if s.Change.System() != observe.LVM { // that lane is busy
				n.change(s.Change)
			}
		}
		n.change(last.Change) // and then it is through
		n.input.Busy = nil
		old := n.lvs("vg0")["data"]
		Expect(old.Phase()).To(Equal(ondisk.Replaced))
		for path, b := range n.state.LIO.Backstores {
			Expect(BoundTo(b, old)).To(BeFalse(), "%s serves what was replaced", path)
		}
	})

	It("serves what came in its place though that cannot be renamed", func() {
		n.putBack("data", "nightly", "one")
		n.apply(swap())
		for i := range 4 { // lvrename fails, again and again; every other pass it is not tried
			n.input.Held = nil
			if i > 0 {
				n.input.Held = map[spec.ID]bool{volumeID("data"): true}
			}
			failed := map[StepID]bool{}
			for _, s := range n.plan().Steps {
				_, renames := s.Change.(change.Rename)
				failed[s.ID] = renames || n.input.Held[s.Object] && !s.AtOnce || slices.ContainsFunc(s.Needs, func(q StepID) bool { return failed[q] })
				if !failed[s.ID] {
					n.change(s.Change)
				}
			}
		}
		Expect(n.state.LIO.ISCSI[iqn].Enabled).To(BeTrue())
		Expect(n.state.LIO.ISCSI[iqn].LUNs).To(HaveKey(0))
		n.input.Held = nil
		n.converge()
		Expect(n.lvs("vg0")["data"].Origin).To(Equal("nightly"))
		Expect(n.lvs("vg0")).NotTo(Or(HaveKey(ondisk.StagedName(volumeID("data"))), HaveKey(ondisk.ReplacedName(volumeID("data")))))
		Expect(n.state.LIO.ISCSI[iqn].Enabled).To(BeTrue())
	})

	It("is itself again when its tags were lost while the clone was there", func() {
		n.putBack("data", "nightly", "one")
		n.apply(n.plan())
		n.edit("vg0/data", func(lv *observe.LogicalVolume) { lv.Tags = nil })
		n.converge()
		n.remember()
		Expect(objectOf(n.plan(), volumeID("data"))).To(beIn(Ready, ReasonAsDesired))
	})
	It("is itself though its first tags could not be set when it was adopted", func() {
		n.edit("vg0/data", func(lv *observe.LogicalVolume) { lv.Tags = nil })
		n.putBack("data", "nightly", "one")
		for _, s := range n.plan().Steps {
			if _, ok := s.Change.(change.SetTags); !ok {
				n.change(s.Change)
			}
		}
		n.converge()
		Expect(objectOf(n.plan(), volumeID("data"))).To(beIn(Ready, ReasonAsDesired))
	})
	It("does not leave a clone behind when the request is withdrawn and the Pool changed", func() {
		n.putBack("data", "nightly", "one")
		n.apply(n.plan())
		n.putBack("data", "", "")
		v := n.desired.Volumes["data"]
		v.Spec.Pool = "slow"
		n.desired.Volumes["data"] = v
		n.converge()
		Expect(n.lvs("vg0")).NotTo(HaveKey(ondisk.StagedName(volumeID("data"))))
	})
})

var _ = Describe("Diff and a revert over any fabric", func() {
	eachFabric("is put back and served again as it was", func(n *node, o over) {
		n.putBack("data", "nightly", "one")
		before := targetOf(n, o)
		n.converge()
		Expect(n.lvs("vg0")["data"].Origin).To(Equal("nightly"))
		Expect(targetOf(n, o)).To(Equal(before))
	})
	eachFabric("neither waits for initiators that do not see the Volume, nor ends their sessions", func(n *node, o over) {
		if o.target.Fabric == observe.NVMe || o.target.Fabric == observe.TGTISCSI {
			return // all see all
		}
		n.putBack("data", "nightly", "one")
		n.editTargetOf(o.target, func(t *observe.Target) {
			for name, acl := range t.ACLs { // this one sees other LUNs only
				acl.LoggedIn = true
				for number, l := range acl.LUNs {
					if t.LUNs[l.LUN].Backstore != "" && n.state.LIO.Backstores[t.LUNs[l.LUN].Backstore].Name == ondisk.BackstoreName(volumeID("data")) {
						delete(acl.LUNs, number)
					}
				}
				t.ACLs[name] = acl
				break
			}
		})
		n.editExport(func(e *spec.ExportSpec) {
			for i := range e.Initiators {
				if targetOf(n, o).ACLs[e.Initiators[i].Name].LoggedIn {
					e.Initiators[i].LUNs = []int{1, 7}
				}
			}
		})
		for p := n.plan(); !p.Empty(); p = n.plan() {
			Expect(kinds(p)).NotTo(ContainElement("DisableTarget"))
			n.apply(p)
		}
		Expect(n.lvs("vg0")["data"].Origin).To(Equal("nightly"))
		Expect(objectOf(n.plan(), volumeID("data"))).To(beIn(Ready, ReasonAsDesired))
	})
})
