package reconcile

import (
	"slices"
	"testing"
	"time"

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

const (
	iqn       = "iqn.2026-11.io.volreconciler:db"
	initiator = "iqn.1993-08.org.debian:01:abc"
)

// node is a machine, what is desired of it, and what an agent remembers.
type node struct {
	*model
	desired spec.Set
	input   Input
}

// newNode desires a thin pool with a volume, a snapshot of it, and an export of
// both, and a thick pool with the same. No trash keeps anything.
func newNode() *node {
	set := spec.Set{
		Complete: true,
		Pools: map[string]spec.Pool{
			"fast": {Metadata: meta("fast"), Spec: spec.PoolSpec{VolumeGroup: "vg0", Trash: ptr(spec.Duration(0)), ThinPool: &spec.ThinPool{Name: "pool0", Size: spec.SizeOrPercent{Percent: 50}}}},
			"slow": {Metadata: meta("slow"), Spec: spec.PoolSpec{VolumeGroup: "vg0", Trash: ptr(spec.Duration(0)), Clear: spec.ClearNone}},
		},
		Volumes: map[string]spec.Volume{
			"data":  {Metadata: meta("data"), Spec: spec.VolumeSpec{Pool: "fast", Size: 100 * mib, LVName: "data", DeletionPolicy: spec.Delete}},
			"thick": {Metadata: meta("thick"), Spec: spec.VolumeSpec{Pool: "slow", Size: 101 * mib, LVName: "thick", DeletionPolicy: spec.Delete}},
		},
		Snapshots: map[string]spec.Snapshot{
			"nightly":  {Metadata: meta("nightly"), Spec: spec.SnapshotSpec{Volume: "data", DeletionPolicy: spec.Delete}},
			"tnightly": {Metadata: meta("tnightly"), Spec: spec.SnapshotSpec{Volume: "thick", Size: 20 * mib, DeletionPolicy: spec.Delete}},
		},
		Exports: map[string]spec.Export{
			"db": {Metadata: meta("db"), Spec: spec.ExportSpec{
				Protocol: spec.ProtocolISCSI, Target: iqn, Portals: []string{"0.0.0.0:3260", "[::1]:3261"},
				LUNs: []spec.LUN{{Volume: "data", Number: ptr(0)}, {Snapshot: "nightly", Number: ptr(7), ReadOnly: true}, {Volume: "thick", Number: ptr(1)}},
				Initiators: []spec.Initiator{
					{Name: initiator, Auth: &spec.Auth{CHAP: &spec.Credentials{Username: "u", Password: spec.NewSecret("secretsecret")}}},
					{Name: "iqn.1993-08.org.debian:01:open", ReadOnly: true},
				},
			}},
		},
		Invalid: map[spec.ID]error{},
	}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	return &node{model: newModel(), desired: set, input: Input{
		Started: now.Add(-time.Hour), Now: now, Elapsed: time.Hour, Grace: 30 * time.Second, MaxDeletions: 100,
	}}
}

// converged returns a node on which all of it is there.
func converged() *node {
	n := newNode()
	n.apply(n.diff())
	n.remember()
	Expect(n.diff().Steps).To(BeEmpty())
	return n
}

func (n *node) diff() Plan {
	n.input.Desired, n.input.Observed = n.desired, n.state
	return Diff(n.input)
}

func (n *node) remember() { n.input.Known = n.identities(n.desired) }

// converge applies plans until there is nothing to do.
func (n *node) converge() Plan {
	GinkgoHelper()
	for range 8 {
		p := n.diff()
		if p.Empty() {
			return p
		}
		n.apply(p)
	}
	Expect(changes(n.diff())).To(BeEmpty(), "plans go on and on")
	return Plan{}
}

func meta(name string) spec.Metadata { return spec.Metadata{Name: name} }
func ptr[T any](v T) *T              { return &v }

func volumeID(name string) spec.ID   { return spec.ID{Kind: spec.KindVolume, Name: name} }
func snapshotID(name string) spec.ID { return spec.ID{Kind: spec.KindSnapshot, Name: name} }
func exportID(name string) spec.ID   { return spec.ID{Kind: spec.KindExport, Name: name} }

func status(p Plan, id spec.ID) Object {
	GinkgoHelper()
	i := slices.IndexFunc(p.Objects, func(o Object) bool { return o.ID() == id })
	Expect(i).To(BeNumerically(">=", 0), "no status for %s", id)
	return p.Objects[i]
}

func changes(p Plan) []string {
	var names []string
	for _, s := range p.Steps {
		names = append(names, s.Change.String())
	}
	return names
}

func beIn(phase Phase, reason string) OmegaMatcher {
	return And(HaveField("Phase", phase), HaveField("Reason", reason))
}

var _ = Describe("Diff on an empty volume group", func() {
	It("plans all, in an order that works, and nothing after that", func() {
		n := newNode()
		p := n.diff()
		for _, s := range p.Steps {
			for _, need := range s.Needs {
				Expect(need).To(BeNumerically("<", s.ID))
			}
			Expect(s.Danger).To(Equal(Harmless))
		}
		n.apply(p)
		after := n.diff()
		Expect(changes(after)).To(BeEmpty())
		for _, o := range after.Objects {
			Expect(o.Phase).To(Equal(Ready), "%s: %s", o.ID(), o.Message)
		}
	})
	It("gives the same plan for the same input", func() {
		n := newNode()
		Expect(n.diff()).To(Equal(n.diff()))
	})
	It("never shows a secret", func() {
		json, err := newNode().diff().MarshalJSON()
		Expect(err).NotTo(HaveOccurred())
		Expect(string(json)).NotTo(ContainSubstring("secretsecret"))
	})
	It("closes a target to strangers before it lets anybody in", func() {
		var order []string
		for _, s := range newNode().diff().Steps {
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
		n.apply(n.diff())
		Expect(n.lvs("vg0")["thick"].Size).To(Equal(uint64(104 * mib)))
		Expect(n.lvs("vg0")["pool0"].Size).To(Equal(uint64(5120 * mib)))
	})
	It("names the origin of a snapshot by its UUID, if it has one yet", func() {
		n := newNode()
		origin := func() string {
			for _, s := range n.diff().Steps {
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
		n.apply(n.diff())
		v := n.desired.Volumes["data"]
		v.Spec.Size = 200 * mib
		n.desired.Volumes["data"] = v
		Expect(status(n.diff(), pool).Pool).To(And(
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
		Expect(changes(n.diff())).To(Equal([]string{"grow volume vg0/data from 100Mi to 200Mi"}))
		n.converge()
	})
	It("names the initiators that have to rescan", func() {
		n := converged()
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.LoggedIn = true })
		grow(n, "data", 200*mib)
		Expect(n.diff().Steps).To(ConsistOf(HaveField("Affects", []string{initiator})))
	})
	It("refuses to shrink", func() {
		n := converged()
		grow(n, "data", 50*mib)
		Expect(n.diff().Steps).To(BeEmpty())
		Expect(status(n.diff(), volumeID("data"))).To(beIn(Blocked, ReasonShrinkRefused))
	})
	It("says why a thick volume with snapshots cannot grow", func() {
		n := converged()
		grow(n, "thick", 200*mib)
		Expect(n.diff().Steps).To(BeEmpty())
		Expect(status(n.diff(), volumeID("thick"))).To(beIn(Blocked, ReasonSnapshotsExist))
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
		Expect(changes(n.diff())).To(Equal([]string{"grow thin pool vg0/pool0 from 5Gi to 6Gi"}))
		n.edit("vg0/pool0", func(lv *observe.LogicalVolume) { lv.Tags = nil })
		Expect(n.diff().Steps).To(BeEmpty())
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
		p := n.diff()
		Expect(p.Steps).To(BeEmpty())
		Expect(status(p, volumeID("data"))).To(beIn(Suspended, ReasonSuspended))
		Expect(status(p, exportID("db"))).To(beIn(Suspended, ReasonSuspended))
	})
})

var _ = Describe("Diff and broken pools", func() {
	It("says which volume group is missing, and goes on with what is there", func() {
		n := newNode()
		p := n.desired.Pools["slow"]
		p.Spec.VolumeGroup = "vg1"
		n.desired.Pools["slow"] = p
		plan := n.converge()
		Expect(status(plan, spec.ID{Kind: spec.KindPool, Name: "slow"})).To(beIn(Blocked, ReasonVolumeGroupMissing))
		Expect(status(plan, volumeID("thick"))).To(beIn(Blocked, ReasonNotReady))
		Expect(status(plan, volumeID("data"))).To(beIn(Ready, ReasonAsDesired))
	})
	It("does not mistake a missing volume group for a vanished volume", func() {
		n := converged()
		delete(n.state.VolumeGroups, "vg0")
		Expect(n.diff().Steps).To(BeEmpty())
		Expect(learn(n.input.Known, spec.Set{Complete: true}, n.state)).To(Equal(n.input.Known))
	})
	It("reports a snapshot whose content is lost", func() {
		n := converged()
		n.edit("vg0/tnightly", func(lv *observe.LogicalVolume) { lv.SnapshotInvalid = true })
		Expect(status(n.diff(), snapshotID("tnightly"))).To(beIn(Failed, ReasonSnapshotOverflow))
	})
})
