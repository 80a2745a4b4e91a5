package model

import (
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const (
	// IQN is the target of Export db.
	IQN = "iqn.2026-11.io.volreconciler:db"
	// Initiator is one of its initiators.
	Initiator = "iqn.1993-08.org.debian:01:abc"
)

// Node is a machine, what is declared for it, and what an agent remembers.
type Node struct {
	*Model
	Declared spec.Set
	Input    plan.Input
	boot     string
}

// NewNode declares a thin pool with a volume, a snapshot of it, and an Export of both, and a thick
// pool with the same. Trash periods are 0.
func NewNode() *Node {
	set := spec.Set{
		Complete: true,
		Pools: map[string]spec.Pool{
			"fast": {Metadata: Meta("fast"), Spec: spec.PoolSpec{VolumeGroup: "vg0", Trash: Ptr(spec.Duration(0)), ThinPool: &spec.ThinPool{Name: "pool0", Size: spec.SizeOrPercent{Percent: 50}}}},
			"slow": {Metadata: Meta("slow"), Spec: spec.PoolSpec{VolumeGroup: "vg0", Trash: Ptr(spec.Duration(0)), Clear: spec.ClearNone}},
		},
		Volumes: map[string]spec.Volume{
			"data":  {Metadata: Meta("data"), Spec: spec.VolumeSpec{Pool: "fast", Size: 100 * MiB, LVName: "data", DeletionPolicy: spec.Delete}},
			"thick": {Metadata: Meta("thick"), Spec: spec.VolumeSpec{Pool: "slow", Size: 101 * MiB, LVName: "thick", DeletionPolicy: spec.Delete}},
		},
		Snapshots: map[string]spec.Snapshot{
			"nightly":  {Metadata: Meta("nightly"), Spec: spec.SnapshotSpec{Volume: "data", DeletionPolicy: spec.Delete}},
			"tnightly": {Metadata: Meta("tnightly"), Spec: spec.SnapshotSpec{Volume: "thick", Size: 20 * MiB, DeletionPolicy: spec.Delete}},
		},
		Exports: map[string]spec.Export{
			"db": {Metadata: Meta("db"), Spec: spec.ExportSpec{
				Protocol: spec.ProtocolISCSI, Target: IQN, Portals: []string{"0.0.0.0:3260", "[::1]:3261"},
				LUNs: []spec.LUN{{Volume: "data", Number: Ptr(0)}, {Snapshot: "nightly", Number: Ptr(7), ReadOnly: true}, {Volume: "thick", Number: Ptr(1)}},
				Initiators: []spec.Initiator{
					{Name: Initiator, Auth: &spec.Auth{CHAP: &spec.Credentials{Username: "u", Password: spec.NewSecret("secretsecret")}}},
					{Name: "iqn.1993-08.org.debian:01:open", ReadOnly: true},
				},
			}},
		},
		Invalid: map[spec.ID]error{},
	}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	n := &Node{Model: NewModel(), Declared: set, Input: plan.Input{
		Started: now.Add(-time.Hour), Now: now, Elapsed: time.Hour, Grace: 30 * time.Second, MaxDeletions: 100,
	}}
	n.Clock = func() time.Time { return n.Input.Now }
	return n
}

// Converged returns a node on which everything exists as declared.
func Converged() *Node {
	n := NewNode()
	n.Apply(n.Plan())
	n.Remember()
	Expect(n.Plan().Steps).To(BeEmpty())
	return n
}

// Plan plans for what is declared and exists now.
func (n *Node) Plan() plan.Plan {
	n.Input.Declared, n.Input.Observed = n.Declared, n.State
	return plan.Make(n.Input)
}

// Apply applies a plan, after the agent has remembered what it is about to do.
func (n *Node) Apply(p plan.Plan) {
	if n.Input.Known != nil {
		n.Input.Known = plan.NoteBeginning(n.Input.Known, p, n.Declared, n.State, plan.NewIndex(n.State, n.Input.Ownership()))
	}
	n.Model.Apply(p)
}

// Remember makes the agent learn the state of the node.
func (n *Node) Remember() {
	known := n.identities(n.Declared)
	for id, before := range n.Input.Known {
		if identity, still := known[id]; still && before.Declared {
			identity.Declared = true
			known[id] = identity
		}
	}
	n.Input.Known = known
}

// Converge applies plans until there is nothing to do.
func (n *Node) Converge() plan.Plan {
	GinkgoHelper()
	for range 8 {
		p := n.Plan()
		if p.Empty() {
			return p
		}
		n.Apply(p)
	}
	Expect(ChangesIn(n.Plan())).To(BeEmpty(), "plans never end")
	return plan.Plan{}
}

// Meta is the metadata of an object that has a name only.
func Meta(name string) spec.Metadata { return spec.Metadata{Name: name} }

// Ptr returns a pointer to a value.
func Ptr[T any](v T) *T { return &v }

// VolumeID names a Volume.
func VolumeID(name string) spec.ID { return spec.ID{Kind: spec.KindVolume, Name: name} }

// SnapshotID names a Snapshot.
func SnapshotID(name string) spec.ID { return spec.ID{Kind: spec.KindSnapshot, Name: name} }

// ExportID names an Export.
func ExportID(name string) spec.ID { return spec.ID{Kind: spec.KindExport, Name: name} }

// ObjectOf returns an object's status after a plan.
func ObjectOf(p plan.Plan, id spec.ID) status.Object {
	GinkgoHelper()
	i := slices.IndexFunc(p.Objects, func(o status.Object) bool { return o.ID() == id })
	Expect(i).To(BeNumerically(">=", 0), "no status for %s", id)
	return p.Objects[i]
}

// ChangesIn returns the changes of a plan in words.
func ChangesIn(p plan.Plan) []string {
	var names []string
	for _, s := range p.Steps {
		names = append(names, s.Change.String())
	}
	return names
}

// BeIn matches an object by phase and reason.
func BeIn(phase status.Phase, reason string) OmegaMatcher {
	return And(HaveField("Phase", phase), HaveField("Reason", reason))
}

// EditExport changes the declared export.
func (n *Node) EditExport(f func(*spec.ExportSpec)) {
	e := n.Declared.Exports["db"]
	f(&e.Spec)
	n.Declared.Exports = map[string]spec.Export{"db": e}
}

// LogIn makes an initiator of Export db log in.
func (n *Node) LogIn() {
	n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LoggedIn = true })
}

// DeclareCopy declares another volume, in a Pool, with a source.
func (n *Node) DeclareCopy(pool string, size spec.Size, source spec.VolumeSource) {
	n.Declared.Volumes["copy"] = spec.Volume{Metadata: Meta("copy"), Spec: spec.VolumeSpec{
		Pool: pool, Size: size, LVName: "copy", DeletionPolicy: spec.Delete, Source: &source,
	}}
}

// SetTrashPeriod sets the trash period of the Pools.
func (n *Node) SetTrashPeriod(d time.Duration) {
	for name, p := range n.Declared.Pools {
		p.Spec.Trash = Ptr(spec.Duration(d))
		n.Declared.Pools[name] = p
	}
}

// UndeclareAll removes all files but those of the Pools.
func (n *Node) UndeclareAll() {
	n.Declared.Volumes, n.Declared.Snapshots, n.Declared.Exports = nil, nil, nil
}

// GiB is in bytes.
const GiB = 1024 * MiB

// Learned is what an agent knows after it observed a node.
func Learned(known map[spec.ID]plan.Identity, declared spec.Set, observed observe.State) map[spec.ID]plan.Identity {
	return plan.Learn(known, declared, observed, plan.NewIndex(observed, plan.Ownership{}), time.Time{})
}
