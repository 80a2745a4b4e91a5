package plan_test

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

func TestPlan(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "pkg/reconcile/plan")
}

var _ = Describe("Make on an empty volume group", func() {
	It("plans all, in an order that works, and nothing after that", func() {
		n := NewNode()
		p := n.Plan()
		for _, s := range p.Steps {
			for _, need := range s.Needs {
				Expect(need).To(BeNumerically("<", s.ID))
			}
			Expect(s.Danger).To(Equal(Harmless))
		}
		n.Apply(p)
		after := n.Plan()
		Expect(ChangesIn(after)).To(BeEmpty())
		for _, o := range after.Objects {
			Expect(o.Phase).To(Equal(status.Ready), "%s: %s", o.ID(), o.Message)
		}
	})
	It("gives the same plan for the same input", func() {
		n := NewNode()
		Expect(n.Plan()).To(Equal(n.Plan()))
	})
	It("never shows a secret", func() {
		json, err := NewNode().Plan().MarshalJSON()
		Expect(err).NotTo(HaveOccurred())
		Expect(string(json)).NotTo(ContainSubstring("secretsecret"))
	})
	It("closes a target to strangers before it lets anybody in", func() {
		var order []string
		for _, s := range NewNode().Plan().Steps {
			if s.Object == ExportID("db") {
				order = append(order, change.Name(s.Change))
			}
		}
		Expect(order[:2]).To(Equal([]string{"CreateTarget", "SetAttributes"}))
		Expect(order).To(ContainElement("AddInitiator"))
		Expect(order[len(order)-1]).To(Equal("EnableTarget"))
	})
	It("rounds sizes up to extents and percentages down", func() {
		n := NewNode()
		n.Apply(n.Plan())
		Expect(n.LVs("vg0")["thick"].Size).To(Equal(uint64(104 * MiB)))
		Expect(n.LVs("vg0")["pool0"].Size).To(Equal(uint64(5120 * MiB)))
	})
	It("names the origin of a snapshot by its UUID, if it has one yet", func() {
		n := NewNode()
		origin := func() string {
			for _, s := range n.Plan().Steps {
				if c, ok := s.Change.(change.CreateSnapshot); ok && c.Name == "nightly" {
					return c.OriginUUID
				}
			}
			return "none"
		}
		Expect(origin()).To(BeEmpty())
		n.Declared.Snapshots, n.Declared.Exports = nil, nil
		n.Converge()
		n.Declared.Snapshots = NewNode().Declared.Snapshots
		Expect(origin()).To(Equal(n.LVs("vg0")["data"].UUID))
	})
	It("shows what a thin pool will have promised", func() {
		n := NewNode()
		pool := spec.ID{Kind: spec.KindPool, Name: "fast"}
		n.Apply(n.Plan())
		v := n.Declared.Volumes["data"]
		v.Spec.Size = 200 * MiB
		n.Declared.Volumes["data"] = v
		Expect(ObjectOf(n.Plan(), pool).Pool).To(And(
			HaveField("Provisioned", uint64(100*MiB)), HaveField("ProvisionedAfter", uint64(200*MiB))))
	})
})

var _ = Describe("Make and growth", func() {
	grow := func(n *Node, name string, size spec.Size) {
		v := n.Declared.Volumes[name]
		v.Spec.Size = size
		n.Declared.Volumes[name] = v
	}
	It("grows a volume by one step", func() {
		n := Converged()
		grow(n, "data", 200*MiB)
		Expect(ChangesIn(n.Plan())).To(Equal([]string{"grow volume vg0/data from 100Mi to 200Mi"}))
		n.Converge()
	})
	It("names the initiators that have to rescan", func() {
		n := Converged()
		n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LoggedIn = true })
		grow(n, "data", 200*MiB)
		Expect(n.Plan().Steps).To(ConsistOf(HaveField("Affects", []string{Initiator})))
	})
	It("refuses to shrink", func() {
		n := Converged()
		grow(n, "data", 50*MiB)
		Expect(n.Plan().Steps).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), VolumeID("data"))).To(BeIn(status.Blocked, status.ReasonShrinkRefused))
	})
	It("says why a thick volume with snapshots cannot grow", func() {
		n := Converged()
		grow(n, "thick", 200*MiB)
		Expect(n.Plan().Steps).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonSnapshotsExist))
	})
	It("grows copy-on-write space, at most to the origin's size", func() {
		n := Converged()
		s := n.Declared.Snapshots["tnightly"]
		s.Spec.Size = 4096 * MiB
		n.Declared.Snapshots["tnightly"] = s
		n.Converge()
		Expect(n.LVs("vg0")["tnightly"].COWSize).To(Equal(uint64(104 * MiB)))
	})
	It("grows its thin pool, and never one that somebody else made", func() {
		n := Converged()
		n.Declared.Pools["fast"].Spec.ThinPool.Size = spec.SizeOrPercent{Percent: 60}
		Expect(ChangesIn(n.Plan())).To(Equal([]string{"grow thin pool vg0/pool0 from 5Gi to 6Gi"}))
		n.Edit("vg0/pool0", func(lv *observe.LogicalVolume) { lv.Tags = nil })
		Expect(n.Plan().Steps).To(BeEmpty())
	})
})

var _ = Describe("Make and suspended objects", func() {
	It("changes nothing of them, whatever happens", func() {
		n := Converged()
		suspended := map[string]string{spec.AnnotationReconcile: "suspended"}
		for name, v := range n.Declared.Volumes {
			v.Metadata.Annotations, v.Spec.Size = suspended, 900*MiB
			n.Declared.Volumes[name] = v
		}
		e := n.Declared.Exports["db"]
		e.Metadata.Annotations, e.Spec.LUNs = suspended, e.Spec.LUNs[:1]
		n.Declared.Exports["db"] = e
		p := n.Plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(ObjectOf(p, VolumeID("data"))).To(BeIn(status.Suspended, status.ReasonSuspended))
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Suspended, status.ReasonSuspended))
	})
})

var _ = Describe("Make and broken pools", func() {
	It("says which volume group is missing, and goes on with what is there", func() {
		n := NewNode()
		p := n.Declared.Pools["slow"]
		p.Spec.VolumeGroup = "vg1"
		n.Declared.Pools["slow"] = p
		plan := n.Converge()
		slow := ObjectOf(plan, spec.ID{Kind: spec.KindPool, Name: "slow"})
		Expect(slow).To(BeIn(status.Blocked, status.ReasonVolumeGroupMissing))
		Expect(slow.Message).To(HavePrefix("volume group vg1 is not on this node, which has vg0. "))
		Expect(ObjectOf(plan, VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonNotReady))
		Expect(ObjectOf(plan, VolumeID("data"))).To(BeIn(status.Ready, status.ReasonAsDesired))
	})
	It("does not mistake a missing volume group for a vanished volume", func() {
		n := Converged()
		delete(n.State.VolumeGroups, "vg0")
		Expect(n.Plan().Steps).To(BeEmpty())
		Expect(Learned(n.Input.Known, spec.Set{Complete: true}, n.State)).To(Equal(n.Input.Known))
	})
	It("reports a snapshot whose content is lost", func() {
		n := Converged()
		n.Edit("vg0/tnightly", func(lv *observe.LogicalVolume) { lv.SnapshotInvalid = true })
		Expect(ObjectOf(n.Plan(), SnapshotID("tnightly"))).To(BeIn(status.Failed, status.ReasonSnapshotOverflow))
	})
})
