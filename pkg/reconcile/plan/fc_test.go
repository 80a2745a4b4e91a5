package plan_test

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/actuators/target/lio"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const fcPort, fcInitiator = "naa.2000525400123456", "naa.2000525400abcdef"

// fcNode is a machine in memory with a Fibre Channel port, a volume, and what an
// agent wants and remembers of it.
type fcNode struct {
	*fakehost.Host
	input Input
}

func newFCNode() *fcNode {
	GinkgoHelper()
	h, err := fakehost.New(fakehost.Node{
		VolumeGroups: []fakehost.VolumeGroup{{Name: "vg0", ExtentSize: 4 * MiB, Extents: 100, LogicalVolumes: []fakehost.LogicalVolume{{
			Name: "data", Type: "thick", Size: 4 * MiB, Active: true, Minor: 1,
			Tags: append(ondisk.OwnerTags(VolumeID("data")), ondisk.DeletionTag(spec.Retain)),
		}}}},
		FCPorts: []fakehost.FCPort{{WWPN: "2000525400123456", Driver: "fcoe"}},
	})
	Expect(err).NotTo(HaveOccurred())
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	return &fcNode{Host: h, input: Input{
		Declared: spec.Set{
			Complete: true,
			Pools:    map[string]spec.Pool{"slow": {Metadata: Meta("slow"), Spec: spec.PoolSpec{VolumeGroup: "vg0", Trash: Ptr(spec.Duration(0))}}},
			Volumes: map[string]spec.Volume{"data": {Metadata: Meta("data"), Spec: spec.VolumeSpec{
				Pool: "slow", Size: 4 * MiB, LVName: "data", DeletionPolicy: spec.Retain,
			}}},
			Exports: map[string]spec.Export{"db": {Metadata: Meta("db"), Spec: spec.ExportSpec{
				Protocol: spec.ProtocolFC, Target: fcPort,
				LUNs:       []spec.LUN{{Volume: "data", Number: Ptr(0)}},
				Initiators: []spec.Initiator{{Name: fcInitiator}},
			}}},
		},
		Known:   map[spec.ID]Identity{},
		Started: now.Add(-time.Hour), Now: now, Elapsed: time.Hour, MaxDeletions: 100,
	}}
}

func (n *fcNode) diff(ctx context.Context) Plan {
	GinkgoHelper()
	n.input.Observed = observe.New(n).Observe(ctx)
	Expect(n.input.Observed.Err()).NotTo(HaveOccurred())
	n.input.Known = Learned(n.input.Known, n.input.Declared, n.input.Observed)
	return Make(n.input)
}

// pass applies one plan, as far as the machine does not stop it.
func (n *fcNode) pass(ctx context.Context, after func(fakehost.Call, error) error) {
	a := lio.New(&fakehost.Tap{Host: n.Host, After: after})
	for _, s := range n.diff(ctx).Steps {
		_ = a.Apply(ctx, s.Change)
	}
}

func (n *fcNode) converge(ctx context.Context) Plan {
	GinkgoHelper()
	for range 5 {
		if p := n.diff(ctx); p.Empty() {
			return p
		}
		n.pass(ctx, nil)
	}
	Expect(ChangesIn(n.diff(ctx))).To(BeEmpty())
	return Plan{}
}

func (n *fcNode) target() observe.Target { return n.input.Observed.LIO.FC[fcPort] }

var _ = Describe("Make and Fibre Channel", func() {
	It("exports, follows the spec, and takes away", func(ctx SpecContext) {
		n := newFCNode()
		Expect(ObjectOf(n.converge(ctx), ExportID("db"))).To(BeIn(status.Ready, status.ReasonAsDesired))
		Expect(n.target().Mark).To(Equal("volreconciler:db"))
		n.input.Declared.Exports = nil
		n.converge(ctx)
		Expect(n.input.Observed.LIO.FC).To(BeEmpty())
		Expect(n.input.Observed.LIO.Backstores).To(BeEmpty())
		Expect(n.input.Known).NotTo(HaveKey(ExportID("db")))
	})

	// The machine fails after each single call that changes something, on the way
	// there and on the way back.
	It("heals whatever a crash leaves", func(ctx SpecContext) {
		for _, declared := range []bool{true, false} {
			for calls := 1; ; calls++ {
				n := newFCNode()
				exports := n.input.Declared.Exports
				if !declared {
					n.converge(ctx)
					n.input.Declared.Exports = nil
				}
				left := calls
				n.pass(ctx, func(c fakehost.Call, err error) error {
					if left > 0 && c.Changes() && err == nil {
						left--
					}
					if left == 0 {
						return errors.Join(err, context.Canceled)
					}
					return err
				})
				p := n.converge(ctx)
				if declared {
					Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Ready, status.ReasonAsDesired), "after %d calls", calls)
				} else {
					Expect(n.input.Observed.LIO.FC).To(BeEmpty(), "after %d calls", calls)
				}
				n.input.Declared.Exports = exports
				n.converge(ctx)
				Expect(n.target().LUNs).To(HaveLen(1))
				if left > 0 {
					Expect(calls).To(BeNumerically(">", 5))
					break
				}
			}
		}
	})

	It("does nothing again and again while there is nothing to export", func(ctx SpecContext) {
		n := newFCNode()
		v := n.input.Declared.Volumes["data"]
		v.Metadata.Annotations = map[string]string{spec.AnnotationReconcile: "suspended"}
		n.input.Declared.Volumes["data"] = v
		Expect(n.Edit(func(node *fakehost.Node) {
			lv := &node.VolumeGroups[0].LogicalVolumes[0]
			lv.Active, lv.Minor = false, 0
		})).To(Succeed())
		p := n.converge(ctx)
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Blocked, status.ReasonNotReady))
		Expect(n.target().ACLs).To(HaveKey(fcInitiator))
		n.input.Declared.Exports = nil
		n.converge(ctx)
		Expect(n.input.Observed.LIO.FC).To(BeEmpty())
	})

	It("leaves somebody else's target as it is", func(ctx SpecContext) {
		n := newFCNode()
		exports := n.input.Declared.Exports
		n.input.Declared.Exports = nil
		dir := observe.FCDrivers[0].Target(fcPort)
		_, err := n.Run(ctx, "modprobe", "tcm_fc")
		Expect(err).NotTo(HaveOccurred())
		_, err = n.Run(ctx, "modprobe", "target_core_iblock")
		Expect(err).NotTo(HaveOccurred())
		store := observe.BackstoreDir("iblock_0", "theirs")
		for _, d := range []string{observe.FCDrivers[0].Dir, dir.Path, dir.TPG(), dir.LUN(0), observe.HBADir("iblock_0"), store} {
			Expect(n.Mkdir(d)).To(Succeed())
		}
		Expect(n.WriteFile(store+"/control", []byte("udev_path=/dev/vg0/data"))).To(Succeed())
		Expect(n.WriteFile(store+"/enable", []byte("1"))).To(Succeed())
		Expect(n.Symlink(store, dir.LUN(0)+"/9afeecee37")).To(Succeed())
		before := n.Node()

		n.converge(ctx)
		n.input.Declared.Exports = exports
		Expect(ObjectOf(n.converge(ctx), ExportID("db"))).To(BeIn(status.Blocked, status.ReasonNotOwned))
		n.input.Declared.Exports = nil
		n.converge(ctx)
		Expect(n.Node()).To(Equal(before))
	})

	It("leaves a target without LUNs that nobody remembers", func(ctx SpecContext) {
		n := newFCNode()
		n.converge(ctx)
		n.input.Declared.Exports = nil
		dir := observe.FCDrivers[0].Target(fcPort)
		Expect(n.Remove(dir.MappedLUN(fcInitiator, 0) + "/volreconciler:db")).To(Succeed())
		Expect(n.Remove(dir.MappedLUN(fcInitiator, 0))).To(Succeed())
		Expect(n.Remove(dir.LUN(0) + "/volreconciler:db")).To(Succeed())
		n.input.Known = map[spec.ID]Identity{}
		n.converge(ctx)
		Expect(n.target().HasTPG).To(BeTrue())
	})
})
