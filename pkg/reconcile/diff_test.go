package reconcile

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

func TestReconcile(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "pkg/reconcile")
}

var _ = Describe("Diff on an empty volume group", func() {
	It("plans all, in an order that works, and nothing after that", func() {
		n := newNode()
		p := n.plan()
		for _, s := range p.Steps {
			for _, need := range s.Needs {
				Expect(need).To(BeNumerically("<", s.ID))
			}
			Expect(s.Danger).To(Equal(Harmless))
		}
		n.apply(p)
		after := n.plan()
		Expect(changesIn(after)).To(BeEmpty())
		for _, o := range after.Objects {
			Expect(o.Phase).To(Equal(Ready), "%s: %s", o.ID(), o.Message)
		}
	})
	It("gives the same plan for the same input", func() {
		n := newNode()
		Expect(n.plan()).To(Equal(n.plan()))
	})
	It("never shows a secret", func() {
		json, err := newNode().plan().MarshalJSON()
		Expect(err).NotTo(HaveOccurred())
		Expect(string(json)).NotTo(ContainSubstring("secretsecret"))
	})
	It("closes a target to strangers before it lets anybody in", func() {
		var order []string
		for _, s := range newNode().plan().Steps {
			if s.Object == exportID("db") {
				order = append(order, change.Name(s.Change))
			}
		}
		Expect(order[:2]).To(Equal([]string{"CreateTarget", "SetAttributes"}))
		Expect(order).To(ContainElement("AddInitiator"))
		Expect(order[len(order)-1]).To(Equal("EnableTarget"))
	})
	It("rounds sizes up to extents and percentages down", func() {
		n := newNode()
		n.apply(n.plan())
		Expect(n.lvs("vg0")["thick"].Size).To(Equal(uint64(104 * mib)))
		Expect(n.lvs("vg0")["pool0"].Size).To(Equal(uint64(5120 * mib)))
	})
	It("names the origin of a snapshot by its UUID, if it has one yet", func() {
		n := newNode()
		origin := func() string {
			for _, s := range n.plan().Steps {
				if c, ok := s.Change.(change.CreateSnapshot); ok && c.Name == "nightly" {
					return c.OriginUUID
				}
			}
			return "none"
		}
		Expect(origin()).To(BeEmpty())
		n.desired.Snapshots, n.desired.Exports = nil, nil
		n.converge()
		n.desired.Snapshots = newNode().desired.Snapshots
		Expect(origin()).To(Equal(n.lvs("vg0")["data"].UUID))
	})
	It("shows what a thin pool will have promised", func() {
		n := newNode()
		pool := spec.ID{Kind: spec.KindPool, Name: "fast"}
		n.apply(n.plan())
		v := n.desired.Volumes["data"]
		v.Spec.Size = 200 * mib
		n.desired.Volumes["data"] = v
		Expect(objectOf(n.plan(), pool).Pool).To(And(
			HaveField("Provisioned", uint64(100*mib)), HaveField("ProvisionedAfter", uint64(200*mib))))
	})
})

var _ = Describe("Diff and growth", func() {
	grow := func(n *node, name string, size spec.Size) {
		v := n.desired.Volumes[name]
		v.Spec.Size = size
		n.desired.Volumes[name] = v
	}
	It("grows a volume by one step", func() {
		n := converged()
		grow(n, "data", 200*mib)
		Expect(changesIn(n.plan())).To(Equal([]string{"grow volume vg0/data from 100Mi to 200Mi"}))
		n.converge()
	})
	It("names the initiators that have to rescan", func() {
		n := converged()
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.LoggedIn = true })
		grow(n, "data", 200*mib)
		Expect(n.plan().Steps).To(ConsistOf(HaveField("Affects", []string{initiator})))
	})
	It("refuses to shrink", func() {
		n := converged()
		grow(n, "data", 50*mib)
		Expect(n.plan().Steps).To(BeEmpty())
		Expect(objectOf(n.plan(), volumeID("data"))).To(beIn(Blocked, ReasonShrinkRefused))
	})
	It("says why a thick volume with snapshots cannot grow", func() {
		n := converged()
		grow(n, "thick", 200*mib)
		Expect(n.plan().Steps).To(BeEmpty())
		Expect(objectOf(n.plan(), volumeID("thick"))).To(beIn(Blocked, ReasonSnapshotsExist))
	})
	It("grows copy-on-write space, at most to the origin's size", func() {
		n := converged()
		s := n.desired.Snapshots["tnightly"]
		s.Spec.Size = 4096 * mib
		n.desired.Snapshots["tnightly"] = s
		n.converge()
		Expect(n.lvs("vg0")["tnightly"].COWSize).To(Equal(uint64(104 * mib)))
	})
	It("grows its thin pool, and never one that somebody else made", func() {
		n := converged()
		n.desired.Pools["fast"].Spec.ThinPool.Size = spec.SizeOrPercent{Percent: 60}
		Expect(changesIn(n.plan())).To(Equal([]string{"grow thin pool vg0/pool0 from 5Gi to 6Gi"}))
		n.edit("vg0/pool0", func(lv *observe.LogicalVolume) { lv.Tags = nil })
		Expect(n.plan().Steps).To(BeEmpty())
	})
})

var _ = Describe("Diff and suspended objects", func() {
	It("changes nothing of them, whatever happens", func() {
		n := converged()
		suspended := map[string]string{spec.AnnotationReconcile: "suspended"}
		for name, v := range n.desired.Volumes {
			v.Metadata.Annotations, v.Spec.Size = suspended, 900*mib
			n.desired.Volumes[name] = v
		}
		e := n.desired.Exports["db"]
		e.Metadata.Annotations, e.Spec.LUNs = suspended, e.Spec.LUNs[:1]
		n.desired.Exports["db"] = e
		p := n.plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(objectOf(p, volumeID("data"))).To(beIn(Suspended, ReasonSuspended))
		Expect(objectOf(p, exportID("db"))).To(beIn(Suspended, ReasonSuspended))
	})
})

var _ = Describe("Diff and broken pools", func() {
	It("says which volume group is missing, and goes on with what is there", func() {
		n := newNode()
		p := n.desired.Pools["slow"]
		p.Spec.VolumeGroup = "vg1"
		n.desired.Pools["slow"] = p
		plan := n.converge()
		Expect(objectOf(plan, spec.ID{Kind: spec.KindPool, Name: "slow"})).To(beIn(Blocked, ReasonVolumeGroupMissing))
		Expect(objectOf(plan, volumeID("thick"))).To(beIn(Blocked, ReasonNotReady))
		Expect(objectOf(plan, volumeID("data"))).To(beIn(Ready, ReasonAsDesired))
	})
	It("does not mistake a missing volume group for a vanished volume", func() {
		n := converged()
		delete(n.state.VolumeGroups, "vg0")
		Expect(n.plan().Steps).To(BeEmpty())
		Expect(Learn(n.input.Known, spec.Set{Complete: true}, n.state)).To(Equal(n.input.Known))
	})
	It("reports a snapshot whose content is lost", func() {
		n := converged()
		n.edit("vg0/tnightly", func(lv *observe.LogicalVolume) { lv.SnapshotInvalid = true })
		Expect(objectOf(n.plan(), snapshotID("tnightly"))).To(beIn(Failed, ReasonSnapshotOverflow))
	})
})
