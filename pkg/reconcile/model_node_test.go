package reconcile

import (
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

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
	n.apply(n.plan())
	n.remember()
	Expect(n.plan().Steps).To(BeEmpty())
	return n
}

func (n *node) plan() Plan {
	n.input.Desired, n.input.Observed = n.desired, n.state
	return Diff(n.input)
}

func (n *node) remember() { n.input.Known = n.identities(n.desired) }

// converge applies plans until there is nothing to do.
func (n *node) converge() Plan {
	GinkgoHelper()
	for range 8 {
		p := n.plan()
		if p.Empty() {
			return p
		}
		n.apply(p)
	}
	Expect(changesIn(n.plan())).To(BeEmpty(), "plans go on and on")
	return Plan{}
}

func meta(name string) spec.Metadata { return spec.Metadata{Name: name} }

func ptr[T any](v T) *T { return &v }

func volumeID(name string) spec.ID { return spec.ID{Kind: spec.KindVolume, Name: name} }

func snapshotID(name string) spec.ID { return spec.ID{Kind: spec.KindSnapshot, Name: name} }

func exportID(name string) spec.ID { return spec.ID{Kind: spec.KindExport, Name: name} }

func objectOf(p Plan, id spec.ID) Object {
	GinkgoHelper()
	i := slices.IndexFunc(p.Objects, func(o Object) bool { return o.ID() == id })
	Expect(i).To(BeNumerically(">=", 0), "no status for %s", id)
	return p.Objects[i]
}

func changesIn(p Plan) []string {
	var names []string
	for _, s := range p.Steps {
		names = append(names, s.Change.String())
	}
	return names
}

func beIn(phase Phase, reason string) OmegaMatcher {
	return And(HaveField("Phase", phase), HaveField("Reason", reason))
}

// editExport changes what is desired of the export.
func (n *node) editExport(f func(*spec.ExportSpec)) {
	e := n.desired.Exports["db"]
	f(&e.Spec)
	n.desired.Exports = map[string]spec.Export{"db": e}
}

func (n *node) logIn() {
	n.editACL(iqn, initiator, func(a *observe.ACL) { a.LoggedIn = true })
}

// desireCopy desires another volume, in a Pool, with a source.
func (n *node) desireCopy(pool string, size spec.Size, source spec.VolumeSource) {
	n.desired.Volumes["copy"] = spec.Volume{Metadata: meta("copy"), Spec: spec.VolumeSpec{
		Pool: pool, Size: size, LVName: "copy", DeletionPolicy: spec.Delete, Source: &source,
	}}
}

// keepFor sets the trash time of the Pools.
func (n *node) keepFor(d time.Duration) {
	for name, p := range n.desired.Pools {
		p.Spec.Trash = ptr(spec.Duration(d))
		n.desired.Pools[name] = p
	}
}

// nameNothing takes away all files but those of the Pools.
func (n *node) nameNothing() {
	n.desired.Volumes, n.desired.Snapshots, n.desired.Exports = nil, nil, nil
}

const gib = 1024 * mib
