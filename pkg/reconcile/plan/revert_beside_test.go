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
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Make and a revert while other things happen", func() {
	var n *Node
	BeforeEach(func() { n = Converged() })
	// swap applies plans until one has the take-over, and returns that.
	swap := func() Plan {
		GinkgoHelper()
		for range 6 {
			p := n.Plan()
			for _, s := range p.Steps {
				if _, ok := s.Change.(change.Cutover); ok {
					return p
				}
			}
			n.Apply(p)
		}
		Fail("no swap")
		return Plan{}
	}

	It("lets a copy of the Volume that was begun before the revert end with what it was begun from", func() {
		n.DeclareCopy("slow", 100*MiB, spec.VolumeSource{Volume: "data"})
		n.Apply(n.Plan()) // the volume to fill, and the snapshot to fill it from
		made := n.LVs("vg0")["volreconciler-source-copy"]
		Expect(made.UUID).NotTo(BeEmpty())
		Expect(kinds(n.Plan())).To(ContainElement("Populate"))
		n.DeclareRevert("data", "nightly", "one") // the job takes long: no step of it is applied
		for range 6 {
			for _, s := range n.Plan().Steps {
				if p, ok := s.Change.(change.Populate); ok {
					Expect(p.Volume.UUID).To(Equal(made.UUID), "the copy is of what the volume held when it was asked for")
					continue
				}
				n.Change(s.Change)
			}
			Expect(n.LVs("vg0")).To(HaveKey("volreconciler-source-copy"))
			Expect(n.LVs("vg0")["volreconciler-source-copy"].UUID).To(Equal(made.UUID))
		}
	})
	It("lets an Image of the Volume that was begun before the revert end with what it was begun from", func() {
		n.DeclareImage(spec.ImageSpec{Volume: "data"})
		n.Apply(n.Plan())
		var made observe.LogicalVolume
		for _, lv := range n.LVs("vg0") {
			if lv.Tag(ondisk.TagFor) == "image" {
				made = lv
			}
		}
		Expect(made.UUID).NotTo(BeEmpty())
		n.DeclareRevert("data", "nightly", "one")
		for range 6 {
			for _, s := range n.Plan().Steps {
				if _, ok := s.Change.(change.WriteImage); ok {
					continue
				}
				n.Change(s.Change)
			}
			Expect(n.LVs("vg0")[made.Name].UUID).To(Equal(made.UUID))
		}
	})

	for _, volume := range []string{"data", "thick"} {
		It("does not put "+volume+" back while a Snapshot of it that is named at the same time is not there", func() {
			snapshot := map[string]string{"data": "nightly", "thick": "tnightly"}[volume]
			n.Declared.Snapshots["before"] = spec.Snapshot{Metadata: Meta("before"), Spec: spec.SnapshotSpec{Volume: volume, Size: 100 * MiB}}
			n.DeclareRevert(volume, snapshot, "one")
			for range 5 {
				for _, s := range n.Plan().Steps {
					switch c := s.Change.(type) {
					case change.CreateSnapshot: // LVM refuses it, for now
						continue
					case change.RemoveLV, change.Restore:
						Fail("what was in it is gone, and no snapshot has it: " + c.String())
					}
					n.Change(s.Change)
				}
			}
		})
	}
	It("does not mark a thick one in the plan that makes a snapshot of it", func() {
		n.Declared.Snapshots["before"] = spec.Snapshot{Metadata: Meta("before"), Spec: spec.SnapshotSpec{Volume: "thick", Size: 100 * MiB}}
		n.DeclareRevert("thick", "tnightly", "one")
		Expect(kinds(n.Plan())).To(ConsistOf("CreateSnapshot"))
	})
	for _, volume := range []string{"data", "thick"} {
		It("does not put "+volume+" back before what is filled from it has a snapshot to be filled from", func() {
			n.DeclareCopy(map[string]string{"data": "slow", "thick": "fast"}[volume], 200*MiB, spec.VolumeSource{Volume: volume})
			n.DeclareRevert(volume, map[string]string{"data": "nightly", "thick": "tnightly"}[volume], "one")
			Expect(kinds(n.Plan())).To(ConsistOf("CreateVolume", "CreateSnapshot"))
			n.Converge()
			Expect(n.LVs("vg0")[volume].Tag(ondisk.TagReverted)).To(Equal("one"))
		})
		It("does not put "+volume+" back before the image that is to be written of it has a snapshot", func() {
			n.DeclareImage(spec.ImageSpec{Volume: volume})
			n.DeclareRevert(volume, map[string]string{"data": "nightly", "thick": "tnightly"}[volume], "one")
			Expect(kinds(n.Plan())).To(ConsistOf("CreateSnapshot"))
			n.Converge()
			Expect(n.LVs("vg0")[volume].Tag(ondisk.TagReverted)).To(Equal("one"))
		})
		It("does not put "+volume+" back while there are findings in the specs", func() {
			n.DeclareRevert(volume, map[string]string{"data": "nightly", "thick": "tnightly"}[volume], "one")
			n.Declared.Complete = false
			Expect(n.Plan().Steps).To(BeEmpty())
			Expect(ObjectOf(n.Plan(), VolumeID(volume))).To(BeIn(status.Blocked, status.ReasonIncompleteInput))
		})
	}

	It("does not let initiators in to the old one while its replacement is still being marked", func() {
		n.DeclareRevert("data", "nightly", "one")
		p := swap()
		last := p.Steps[len(p.Steps)-1]
		for _, s := range p.Steps[:len(p.Steps)-1] {
			n.Change(s.Change)
		}
		// lvchange takes longer than the plan is waited for; somebody takes the request
		// back (or has an error in another file) meanwhile.
		n.Input.Busy = map[string]bool{last.Change.Lane(): true}
		n.DeclareRevert("data", "", "")
		for _, s := range n.Plan().Steps {
			if s.Change.System() != observe.LVM { // that lane is busy
				n.Change(s.Change)
			}
		}
		n.Change(last.Change) // and then it is through
		n.Input.Busy = nil
		old := n.LVs("vg0")["data"]
		Expect(old.Phase()).To(Equal(ondisk.Superseded))
		for path, b := range n.State.LIO.Backstores {
			Expect(BoundTo(b, old)).To(BeFalse(), "%s serves what was replaced", path)
		}
	})

	It("serves what came in its place though that cannot be renamed", func() {
		n.DeclareRevert("data", "nightly", "one")
		n.Apply(swap())
		for i := range 4 { // lvrename fails, again and again; every other pass it is not tried
			n.Input.BackingOff = nil
			if i > 0 {
				n.Input.BackingOff = map[spec.ID]bool{VolumeID("data"): true}
			}
			failed := map[StepID]bool{}
			for _, s := range n.Plan().Steps {
				_, renames := s.Change.(change.Rename)
				failed[s.ID] = renames || n.Input.BackingOff[s.Object] && !s.AtOnce || slices.ContainsFunc(s.Needs, func(q StepID) bool { return failed[q] })
				if !failed[s.ID] {
					n.Change(s.Change)
				}
			}
		}
		Expect(n.State.LIO.ISCSI[IQN].Enabled).To(BeTrue())
		Expect(n.State.LIO.ISCSI[IQN].LUNs).To(HaveKey(0))
		n.Input.BackingOff = nil
		n.Converge()
		Expect(n.LVs("vg0")["data"].Origin).To(Equal("nightly"))
		Expect(n.LVs("vg0")).NotTo(Or(HaveKey(ondisk.StagedName(VolumeID("data"))), HaveKey(ondisk.SupersededName(VolumeID("data")))))
		Expect(n.State.LIO.ISCSI[IQN].Enabled).To(BeTrue())
	})

	It("is itself again when its tags were lost while the clone was there", func() {
		n.DeclareRevert("data", "nightly", "one")
		n.Apply(n.Plan())
		n.Edit("vg0/data", func(lv *observe.LogicalVolume) { lv.Tags = nil })
		n.Converge()
		n.Remember()
		Expect(ObjectOf(n.Plan(), VolumeID("data"))).To(BeIn(status.Ready, status.ReasonAsDesired))
	})
	It("is itself though its first tags could not be set when it was adopted", func() {
		n.Edit("vg0/data", func(lv *observe.LogicalVolume) { lv.Tags = nil })
		n.DeclareRevert("data", "nightly", "one")
		for _, s := range n.Plan().Steps {
			if _, ok := s.Change.(change.SetTags); !ok {
				n.Change(s.Change)
			}
		}
		n.Converge()
		Expect(ObjectOf(n.Plan(), VolumeID("data"))).To(BeIn(status.Ready, status.ReasonAsDesired))
	})
	It("does not leave a clone behind when the request is withdrawn and the Pool changed", func() {
		n.DeclareRevert("data", "nightly", "one")
		n.Apply(n.Plan())
		n.DeclareRevert("data", "", "")
		v := n.Declared.Volumes["data"]
		v.Spec.Pool = "slow"
		n.Declared.Volumes["data"] = v
		n.Converge()
		Expect(n.LVs("vg0")).NotTo(HaveKey(ondisk.StagedName(VolumeID("data"))))
	})
})

var _ = Describe("Make and a revert over any fabric", func() {
	eachFabric("is put back and served again as it was", func(n *Node, o over) {
		n.DeclareRevert("data", "nightly", "one")
		before := targetOf(n, o)
		n.Converge()
		Expect(n.LVs("vg0")["data"].Origin).To(Equal("nightly"))
		Expect(targetOf(n, o)).To(Equal(before))
	})
	eachFabric("neither waits for initiators that do not see the Volume, nor ends their sessions", func(n *Node, o over) {
		if o.target.Fabric == observe.NVMe || o.target.Fabric == observe.TGTISCSI {
			return // all see all
		}
		n.DeclareRevert("data", "nightly", "one")
		n.EditTargetOf(o.target, func(t *observe.Target) {
			for name, acl := range t.ACLs { // this one sees other LUNs only
				acl.LoggedIn = true
				for number, l := range acl.LUNs {
					if t.LUNs[l.LUN].Backstore != "" && n.State.LIO.Backstores[t.LUNs[l.LUN].Backstore].Name == ondisk.BackstoreName(VolumeID("data")) {
						delete(acl.LUNs, number)
					}
				}
				t.ACLs[name] = acl
				break
			}
		})
		n.EditExport(func(e *spec.ExportSpec) {
			for i := range e.Initiators {
				if targetOf(n, o).ACLs[e.Initiators[i].Name].LoggedIn {
					e.Initiators[i].LUNs = []int{1, 7}
				}
			}
		})
		for p := n.Plan(); !p.Empty(); p = n.Plan() {
			Expect(kinds(p)).NotTo(ContainElement("DisableTarget"))
			n.Apply(p)
		}
		Expect(n.LVs("vg0")["data"].Origin).To(Equal("nightly"))
		Expect(ObjectOf(n.Plan(), VolumeID("data"))).To(BeIn(status.Ready, status.ReasonAsDesired))
	})
})
