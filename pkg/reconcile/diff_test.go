package reconcile

import (
	"errors"
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
// both, and a thick pool with the same.
func newNode() *node {
	set := spec.Set{
		Complete: true,
		Pools: map[string]spec.Pool{
			"fast": {Metadata: meta("fast"), Spec: spec.PoolSpec{VolumeGroup: "vg0", ThinPool: &spec.ThinPool{Name: "pool0", Size: spec.SizeOrPercent{Percent: 50}}}},
			"slow": {Metadata: meta("slow"), Spec: spec.PoolSpec{VolumeGroup: "vg0"}},
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
	return &node{model: newModel(), desired: set, input: Input{Started: now.Add(-time.Hour), Now: now, Grace: 30 * time.Second}}
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
	for range 5 {
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

var _ = DescribeTable("Diff corrects drift and touches nothing else",
	func(drift func(n *node), want ...string) {
		n := converged()
		drift(n)
		Expect(changes(n.diff())).To(Equal(want))
		n.converge()
	},
	Entry("an inactive volume", func(n *node) {
		n.edit("vg0/data", func(lv *observe.LogicalVolume) { lv.Active = false })
	}, "activate vg0/data"),
	Entry("an inactive exported thin snapshot", func(n *node) {
		n.edit("vg0/nightly", func(lv *observe.LogicalVolume) { lv.Active = false })
	}, "activate vg0/nightly"),
	Entry("a lost name tag", func(n *node) {
		n.edit("vg0/data", func(lv *observe.LogicalVolume) {
			lv.Tags = slices.DeleteFunc(slices.Clone(lv.Tags), func(t string) bool { return t == "volreconciler/name=data" })
		})
	}, "set tags of vg0/data: +volreconciler/name=data"),
	Entry("all tags lost, of a logical volume that is known", func(n *node) {
		n.edit("vg0/data", func(lv *observe.LogicalVolume) { lv.Tags = []string{"theirs"} })
	}, "set tags of vg0/data: +volreconciler/kind=volume +volreconciler/name=data +volreconciler/deletion=delete"),
	Entry("a changed deletion policy", func(n *node) {
		n.edit("vg0/data", func(lv *observe.LogicalVolume) { lv.Tags[2] = "volreconciler/deletion=retain" })
	}, "set tags of vg0/data: +volreconciler/deletion=delete -volreconciler/deletion=retain"),
	Entry("a removed LUN", func(n *node) {
		n.changeTarget(change.RemoveLUN{Target: change.Target{IQN: iqn}, LUN: 1})
	},
		"add LUN 1 to "+iqn+": iblock_900/volreconciler:volume:thick",
		"map LUN 1 of "+iqn+" to initiator "+initiator,
		"map LUN 1 of "+iqn+" to initiator iqn.1993-08.org.debian:01:open, read-only"),
	Entry("a removed ACL", func(n *node) {
		n.changeTarget(change.RemoveInitiator{Target: change.Target{IQN: iqn}, Initiator: initiator})
	},
		"admit initiator "+initiator+" to "+iqn+", CHAP",
		"map LUN 0 of "+iqn+" to initiator "+initiator,
		"map LUN 7 of "+iqn+" to initiator "+initiator+", read-only",
		"map LUN 1 of "+iqn+" to initiator "+initiator),
	Entry("a changed password", func(n *node) {
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.Auth.Password = spec.NewSecret("guessed") })
	}, "set authentication of initiator "+initiator+" at "+iqn+": CHAP"),
	Entry("authentication switched off", func(n *node) {
		n.editTarget(iqn, func(t *observe.Target) { t.Attrib.Authentication = false })
	}, "set target "+iqn+" to admit listed initiators only"),
	Entry("authentication of an ACL switched off", func(n *node) {
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.Authentication = "0" })
	}, "set authentication of initiator "+initiator+" at "+iqn+": CHAP"),
	Entry("write protection taken off", func(n *node) {
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.LUNs[7] = observe.MappedLUN{LUN: 7} })
	}, "set write protection of LUN 7 of "+iqn+" for initiator "+initiator+" to true"),
	Entry("a disabled target", func(n *node) {
		n.editTarget(iqn, func(t *observe.Target) { t.Enabled = false })
	}, "enable target "+iqn),
	Entry("a removed portal, another in its place", func(n *node) {
		n.editTarget(iqn, func(t *observe.Target) { t.Portals = map[string]bool{"0.0.0.0:3260": true, "10.0.0.1:3262": true} })
	}, "add portal [::1]:3261 to "+iqn, "remove portal 10.0.0.1:3262 from "+iqn),
	Entry("an initiator let in by hand", func(n *node) {
		n.editTarget(iqn, func(t *observe.Target) { t.ACLs["iqn.2000-01.a.b:c"] = observe.ACL{Initiator: "iqn.2000-01.a.b:c"} })
	}, "remove initiator iqn.2000-01.a.b:c from "+iqn),
	Entry("unmap switched off", func(n *node) {
		n.change(change.SetUnmap{Backstore: change.Backstore{HBA: observe.HBA, Name: "volreconciler:volume:data"}, Unmap: false})
	}, "set unmap of backstore iblock_900/volreconciler:volume:data to true"),
)

var _ = Describe("Diff after a whole target was removed by hand", func() {
	It("makes it anew on the same backstores", func() {
		n := converged()
		delete(n.state.LIO.ISCSI, iqn)
		Expect(changes(n.diff())).NotTo(ContainElement(ContainSubstring("backstore iblock")))
		n.converge()
	})
	It("makes a removed backstore anew with it", func() {
		n := converged()
		delete(n.state.LIO.ISCSI, iqn)
		n.change(change.RemoveBackstore{Backstore: change.Backstore{HBA: observe.HBA, Name: "volreconciler:volume:data"}})
		n.converge()
		Expect(n.state.LIO.Backstores).To(HaveLen(3))
	})
	It("claims the empty shell that an interrupted creation leaves", func() {
		n := newNode()
		n.state.LIO.ISCSI[iqn] = observe.Target{IQN: iqn}
		n.converge()
		Expect(n.state.LIO.ISCSI[iqn].Alias).To(Equal("volreconciler:db"))
	})
})

var _ = DescribeTable("Diff after a reboot", func(gone func(n *node)) {
	n := converged()
	before := n.state.LIO.Backstores
	n.state.LIO = observe.Targets{Backstores: map[string]observe.Backstore{}, ISCSI: map[string]observe.Target{}}
	for name := range n.lvs("vg0") {
		n.edit("vg0/"+name, func(lv *observe.LogicalVolume) { lv.Active, lv.Open = lv.Type == observe.ThinPool, false })
	}
	gone(n)
	n.converge()
	Expect(n.state.LIO.Backstores).To(Equal(before), "initiators see other devices than before")
},
	Entry("exports all again, with the same serials", func(*node) {}),
	Entry("without the memory too", func(n *node) { n.input.Known = nil }),
)

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

var _ = Describe("Diff and what was removed by hand", func() {
	var n *node
	BeforeEach(func() {
		n = converged()
		delete(n.state.LIO.ISCSI, iqn)
		n.change(change.RemoveBackstore{Backstore: change.Backstore{HBA: observe.HBA, Name: "volreconciler:volume:data"}})
		delete(n.lvs("vg0"), "data")
	})
	It("never puts an empty volume in its place, and exports the rest", func() {
		p := n.converge()
		Expect(n.lvs("vg0")).NotTo(HaveKey("data"))
		Expect(status(p, volumeID("data"))).To(beIn(Blocked, ReasonVanished))
		Expect(status(p, exportID("db"))).To(beIn(Blocked, ReasonNotReady))
		Expect(n.state.LIO.ISCSI[iqn].LUNs).To(And(HaveLen(2), Not(HaveKey(0))))
	})
	It("does not take another logical volume of that name for it", func() {
		n.add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "data", Type: observe.Thin, Pool: "pool0", Size: 100 * mib, Active: true})
		v := n.desired.Volumes["data"]
		v.Spec.Adopt = true
		n.desired.Volumes["data"] = v
		Expect(status(n.converge(), volumeID("data"))).To(beIn(Blocked, ReasonVanished))
	})
	It("does not take a copy that carries its tags for it", func() {
		n.add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "data", Type: observe.Thin, Pool: "pool0", Size: 100 * mib, Active: true, Tags: observe.OwnerTags(volumeID("data"))})
		Expect(status(n.converge(), volumeID("data"))).To(beIn(Blocked, ReasonVanished))
	})
	It("makes a new one when the annotation gives up the old one by its UUID", func() {
		lost := n.input.Known[volumeID("data")].UUID
		v := n.desired.Volumes["data"]
		v.Metadata.Annotations = map[string]string{spec.AnnotationRecreate: "another-uuid"}
		n.desired.Volumes["data"] = v
		n.converge()
		Expect(n.lvs("vg0")).NotTo(HaveKey("data"))
		v.Metadata.Annotations[spec.AnnotationRecreate] = lost
		n.converge()
		Expect(n.lvs("vg0")).To(HaveKey("data"))

		n.input.Known = learn(n.input.Known, n.desired, n.state)
		Expect(n.input.Known[volumeID("data")].UUID).To(Equal(n.lvs("vg0")["data"].UUID))
		delete(n.lvs("vg0"), "data")
		Expect(status(n.diff(), volumeID("data"))).To(beIn(Blocked, ReasonVanished), "the annotation holds for one time only")
	})
	It("keeps a vanished snapshot vanished", func() {
		delete(n.lvs("vg0"), "tnightly")
		Expect(status(n.converge(), snapshotID("tnightly"))).To(beIn(Blocked, ReasonVanished))
	})
})

var _ = Describe("Diff and what is not ours", func() {
	foreign := observe.LogicalVolume{VolumeGroup: "vg0", Name: "thick", Type: observe.Thick, Size: 104 * mib, Active: true}
	It("leaves a logical volume in the way as it is", func() {
		n := newNode()
		n.add(foreign)
		p := n.converge()
		Expect(status(p, volumeID("thick"))).To(beIn(Blocked, ReasonNotOwned))
		Expect(n.lvs("vg0")["thick"].Tags).To(BeEmpty())
		Expect(status(p, exportID("db"))).To(beIn(Blocked, ReasonNotReady))
	})
	It("adopts it when told to", func() {
		n := newNode()
		n.add(foreign)
		v := n.desired.Volumes["thick"]
		v.Spec.Adopt = true
		n.desired.Volumes["thick"] = v
		Expect(changes(n.diff())).To(ContainElement("set tags of vg0/thick: +volreconciler/kind=volume +volreconciler/name=thick +volreconciler/deletion=delete"))
		n.converge()
	})
	It("never adopts what another object owns, or what is of another kind", func() {
		n := newNode()
		n.add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "thick", Type: observe.Thick, Size: 104 * mib, Tags: observe.OwnerTags(volumeID("other"))})
		n.add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "data", Type: observe.Thick, Size: 104 * mib})
		for name, v := range n.desired.Volumes {
			v.Spec.Adopt = true
			n.desired.Volumes[name] = v
		}
		p := n.converge()
		Expect(status(p, volumeID("thick"))).To(beIn(Blocked, ReasonNotOwned))
		Expect(status(p, volumeID("data"))).To(beIn(Blocked, ReasonImmutableField))
		Expect(n.lvs("vg0")["data"].Tags).To(BeEmpty())
		Expect(n.state.LIO.Backstores).To(BeEmpty())
	})
	It("leaves a target in the way, and one beside, as they are", func() {
		n := newNode()
		theirs := observe.Target{IQN: iqn, HasTPG: true, Alias: "LIO Target", Enabled: true}
		n.state.LIO.ISCSI[iqn] = theirs
		n.state.LIO.ISCSI["iqn.2000-01.a.b:c"] = theirs
		p := n.converge()
		Expect(status(p, exportID("db"))).To(beIn(Blocked, ReasonNotOwned))
		Expect(n.state.LIO.ISCSI).To(HaveEach(theirs))
	})
	It("says who holds a device that it would export", func() {
		n := newNode()
		n.desired.Exports = nil
		n.converge()
		n.state.LIO.Backstores["iblock_0/x"] = observe.Backstore{HBA: "iblock_0", Name: "x", Enabled: true, Device: "/dev/vg0/data"}
		n.desired.Exports = newNode().desired.Exports
		Expect(status(n.converge(), volumeID("data"))).To(And(beIn(Blocked, ReasonInUse), HaveField("Message", ContainSubstring("iblock_0/x"))))
	})
	It("refuses to choose between two copies", func() {
		n := converged()
		n.add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "copy", Type: observe.Thick, Tags: observe.OwnerTags(volumeID("thick"))})
		Expect(status(n.diff(), volumeID("thick"))).To(beIn(Blocked, ReasonAmbiguous))
		Expect(n.diff().Steps).To(BeEmpty())
	})
})

var _ = Describe("Diff and files that went away", func() {
	var n *node
	everything := func() {
		n.desired.Volumes, n.desired.Snapshots, n.desired.Exports = nil, nil, nil
	}
	BeforeEach(func() { n = converged() })

	It("removes exports first, then snapshots, then volumes", func() {
		everything()
		p := n.diff()
		var order []string
		for _, s := range p.Steps {
			order = append(order, change.Name(s.Change)+" "+s.Object.String())
		}
		Expect(order).To(Equal([]string{
			"RemoveTarget Export/db",
			"RemoveBackstore Volume/data", "RemoveBackstore Volume/thick", "RemoveBackstore Snapshot/nightly",
			"RemoveLV Snapshot/nightly", "RemoveLV Snapshot/tnightly", "RemoveLV Volume/data", "RemoveLV Volume/thick",
		}))
		n.converge()
		Expect(n.lvs("vg0")).To(HaveLen(1), "the thin pool stays")
		Expect(n.state.LIO.Backstores).To(BeEmpty())
		Expect(n.state.LIO.ISCSI).To(BeEmpty())
	})
	It("removes nothing before the grace period is over", func() {
		everything()
		n.input.LastNamed = map[spec.ID]time.Time{
			volumeID("data"): n.input.Now.Add(-29 * time.Second), volumeID("thick"): n.input.Now.Add(-29 * time.Second),
			snapshotID("nightly"): n.input.Now.Add(-29 * time.Second), snapshotID("tnightly"): n.input.Now.Add(-29 * time.Second),
			exportID("db"): n.input.Now.Add(-29 * time.Second),
		}
		Expect(n.diff().Steps).To(BeEmpty())
		Expect(status(n.diff(), volumeID("data"))).To(beIn(Deleting, ReasonGracePeriod))
		n.input.Now = n.input.Now.Add(2 * time.Second)
		Expect(n.diff().Steps).NotTo(BeEmpty())
	})
	It("removes nothing right after a start, when it was never seen to be named", func() {
		everything()
		n.input.Started = n.input.Now
		Expect(n.diff().Steps).To(BeEmpty())
	})
	It("removes nothing while there is any finding", func() {
		everything()
		n.desired.Complete = false
		Expect(n.diff().Steps).To(BeEmpty())
		Expect(status(n.diff(), volumeID("data"))).To(beIn(Blocked, ReasonIncompleteInput))
	})
	It("takes nothing out of an export while there is any finding", func() {
		e := n.desired.Exports["db"]
		e.Spec.LUNs, e.Spec.Initiators = e.Spec.LUNs[:1], e.Spec.Initiators[:1]
		n.desired.Exports["db"] = e
		n.desired.Complete = false
		Expect(n.diff().Steps).To(BeEmpty())
		n.desired.Complete = true
		n.converge()
		Expect(n.state.LIO.ISCSI[iqn].LUNs).To(HaveLen(1))
		Expect(n.state.LIO.ISCSI[iqn].ACLs).To(HaveLen(1))
		Expect(n.state.LIO.Backstores).To(HaveLen(1))
	})
	DescribeTable("removes nothing while a system cannot be read", func(system observe.System) {
		everything()
		n.state.Unknown = map[observe.System]error{system: errors.New("broken")}
		if system == observe.LVM {
			n.state.VolumeGroups = nil
		} else {
			n.state.LIO = observe.Targets{}
		}
		Expect(n.diff().Steps).To(BeEmpty())
	}, Entry("lvm", observe.LVM), Entry("lio", observe.LIO))
	DescribeTable("treats unknown as unknown, not as empty", func(system observe.System) {
		n.state.Unknown = map[observe.System]error{system: errors.New("broken")}
		if system == observe.LVM {
			n.state.VolumeGroups = nil
		} else {
			n.state.LIO = observe.Targets{}
		}
		Expect(n.diff().Steps).To(BeEmpty())
	}, Entry("lvm", observe.LVM), Entry("lio", observe.LIO))
	It("keeps what is Retain, and has it back with the file", func() {
		n.edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Tags[2] = "volreconciler/deletion=retain" })
		n.edit("vg0/tnightly", func(lv *observe.LogicalVolume) { lv.Tags = lv.Tags[:2] })
		before := n.desired
		everything()
		p := n.converge()
		Expect(n.lvs("vg0")).To(And(HaveKey("thick"), HaveKey("tnightly"), Not(HaveKey("data"))))
		Expect(status(p, volumeID("thick"))).To(beIn(Orphaned, ReasonRetained))
		Expect(status(p, snapshotID("tnightly"))).To(beIn(Orphaned, ReasonRetained))
		n.desired = before
		delete(n.input.Known, volumeID("data"))
		delete(n.input.Known, snapshotID("nightly"))
		n.converge()
		Expect(n.state.LIO.ISCSI[iqn].LUNs).To(HaveLen(3))
	})
	It("keeps a volume whose snapshot stays", func() {
		n.edit("vg0/tnightly", func(lv *observe.LogicalVolume) { lv.Tags = nil })
		everything()
		Expect(status(n.converge(), volumeID("thick"))).To(beIn(Blocked, ReasonSnapshotsExist))
		Expect(n.lvs("vg0")).To(HaveKey("thick"))
	})
	It("keeps an export with live sessions, and all below it", func() {
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.LoggedIn = true })
		everything()
		p := n.converge()
		Expect(status(p, exportID("db"))).To(And(beIn(Blocked, ReasonSessionsActive), HaveField("Message", ContainSubstring(initiator))))
		Expect(n.lvs("vg0")).To(And(HaveKey("data"), HaveKey("thick"), HaveKey("nightly")))
		Expect(n.state.LIO.Backstores).To(HaveLen(3))
	})
	It("takes no LUN and no ACL from an initiator that is logged in", func() {
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.LoggedIn = true })
		e := n.desired.Exports["db"]
		e.Spec.LUNs, e.Spec.Initiators = e.Spec.LUNs[:1], e.Spec.Initiators[1:]
		n.desired.Exports["db"] = e
		Expect(n.diff().Steps).To(BeEmpty())
		Expect(status(n.diff(), exportID("db"))).To(beIn(Blocked, ReasonSessionsActive))
	})
	DescribeTable("keeps an open volume", func(open func(n *node)) {
		delete(n.desired.Volumes, "thick")
		delete(n.desired.Snapshots, "tnightly")
		e := n.desired.Exports["db"]
		e.Spec.LUNs = e.Spec.LUNs[:2]
		n.desired.Exports["db"] = e
		open(n)
		Expect(status(n.diff(), volumeID("thick"))).To(beIn(Blocked, ReasonInUse))
		Expect(changes(n.diff())).NotTo(ContainElement(HavePrefix("remove vg0/thick")))
	},
		Entry("that is mounted besides being exported", func(n *node) {
			n.edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.HeldBy = []string{"mounted on /mnt"} })
		}),
		Entry("that is open for no reason that can be told", func(n *node) {
			n.applyAllButRemovals()
			n.edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Open = true })
		}),
	)
	It("leaves the objects of an unreadable file alone", func() {
		n.desired.Invalid = map[spec.ID]error{volumeID("data"): errors.New("bad size"), exportID("db"): errors.New("no such volume")}
		delete(n.desired.Volumes, "data")
		delete(n.desired.Exports, "db")
		delete(n.desired.Snapshots, "nightly")
		n.desired.Invalid[snapshotID("nightly")] = errors.New("Volume/data is invalid")
		n.desired.Complete = false
		p := n.diff()
		Expect(p.Steps).To(BeEmpty())
		Expect(status(p, volumeID("data"))).To(beIn(Blocked, ReasonInvalid))
	})
	It("goes on exporting what is there while its object is invalid", func() {
		n.desired.Invalid = map[spec.ID]error{volumeID("data"): errors.New("bad size"), snapshotID("nightly"): errors.New("its Volume/data is invalid")}
		delete(n.desired.Volumes, "data")
		delete(n.desired.Snapshots, "nightly")
		n.desired.Complete = false
		Expect(n.diff().Steps).To(BeEmpty())
		delete(n.state.LIO.ISCSI, iqn)
		n.converge()
		Expect(n.state.LIO.ISCSI[iqn].LUNs).To(HaveLen(3))
	})
	It("moves a target when its name changes, once nobody is logged in", func() {
		e := n.desired.Exports["db"]
		e.Spec.Target = iqn + "2"
		n.desired.Exports["db"] = e
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.LoggedIn = true })
		n.converge()
		Expect(n.state.LIO.ISCSI).To(And(HaveKey(iqn), HaveKey(iqn+"2")))
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.LoggedIn = false })
		n.converge()
		Expect(n.state.LIO.ISCSI).To(And(Not(HaveKey(iqn)), HaveKey(iqn+"2")))
	})
})

// applyAllButRemovals applies a plan up to the point where data would go.
func (n *node) applyAllButRemovals() {
	for _, s := range n.diff().Steps {
		if _, removal := s.Change.(change.RemoveLV); !removal {
			n.change(s.Change)
		}
	}
}

var _ = Describe("Diff and traps for data", func() {
	var n *node
	BeforeEach(func() { n = converged() })

	It("does not remove what another object names", func() {
		thick := n.desired.Volumes["thick"]
		delete(n.desired.Volumes, "thick")
		delete(n.desired.Snapshots, "tnightly")
		delete(n.desired.Exports, "db")
		thick.Metadata.Name, thick.Spec.Adopt = "renamed", true
		n.desired.Volumes["renamed"] = thick
		p := n.converge()
		Expect(n.lvs("vg0")).To(HaveKey("thick"))
		Expect(status(p, volumeID("thick"))).To(beIn(Blocked, ReasonInUse))
		Expect(status(p, volumeID("renamed"))).To(beIn(Blocked, ReasonNotOwned))
	})
	It("does not put an empty thin pool in place of a lost one", func() {
		for _, name := range []string{"pool0", "data", "nightly"} {
			delete(n.lvs("vg0"), name)
		}
		Expect(changes(n.diff())).NotTo(ContainElement(HavePrefix("create thin pool")))
		Expect(status(n.diff(), spec.ID{Kind: spec.KindPool, Name: "fast"})).To(beIn(Blocked, ReasonVanished))
	})
	It("opens no target to anybody while a LUN is in it that is not for them", func() {
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.LoggedIn = true })
		e := n.desired.Exports["db"]
		e.Spec.AllowAnyInitiator, e.Spec.Initiators, e.Spec.LUNs = true, nil, e.Spec.LUNs[1:2]
		n.desired.Exports["db"] = e
		n.converge()
		Expect(n.state.LIO.ISCSI[iqn].Attrib.GenerateNodeACLs).To(BeFalse())
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.LoggedIn = false })
		n.converge()
		Expect(n.state.LIO.ISCSI[iqn].LUNs).To(And(HaveLen(1), HaveKey(7)))
		Expect(n.state.LIO.ISCSI[iqn].Attrib.GenerateNodeACLs).To(BeTrue())
	})
	It("says who is still in after a target was closed", func() {
		n.editTarget(iqn, func(t *observe.Target) { t.DynamicSessions = []string{"iqn.2000-01.a.b:stranger"} })
		Expect(status(n.diff(), exportID("db"))).To(And(beIn(Blocked, ReasonSessionsActive), HaveField("Message", ContainSubstring("stranger"))))
	})
	It("removes a superseded target at once, however long the grace period", func() {
		e := n.desired.Exports["db"]
		e.Spec.Target = iqn + "2"
		n.desired.Exports["db"] = e
		n.input.LastNamed = map[spec.ID]time.Time{exportID("db"): n.input.Now}
		n.converge()
		Expect(n.state.LIO.ISCSI).NotTo(HaveKey(iqn))
	})
	DescribeTable("keeps what anything says to retain", func(keep func()) {
		keep()
		n.desired.Volumes, n.desired.Snapshots, n.desired.Exports = map[string]spec.Volume{"data": n.desired.Volumes["data"]}, nil, nil
		Expect(status(n.converge(), snapshotID("tnightly"))).To(beIn(Orphaned, ReasonRetained))
		Expect(n.lvs("vg0")).To(HaveKey("tnightly"))
	},
		Entry("the files, last, though the tag is older", func() {
			s := n.desired.Snapshots["tnightly"]
			s.Spec.DeletionPolicy, s.Metadata.Annotations = spec.Retain, map[string]string{spec.AnnotationReconcile: "suspended"}
			n.desired.Snapshots["tnightly"] = s
			n.converge()
			n.input.Known = learn(n.input.Known, n.desired, n.state)
		}),
		Entry("a tag added by hand", func() {
			n.edit("vg0/tnightly", func(lv *observe.LogicalVolume) {
				lv.Tags = append(slices.Clone(lv.Tags), "volreconciler/deletion=retain")
			})
		}),
	)
	It("takes no snapshot in another volume group than its volume's", func() {
		vg := n.state.VolumeGroups["vg0"]
		vg.Name, vg.LogicalVolumes = "vg1", map[string]observe.LogicalVolume{"data": {VolumeGroup: "vg1", Name: "data", Type: observe.Thick}}
		n.state.VolumeGroups["vg1"] = vg
		n.desired.Pools["other"] = spec.Pool{Metadata: meta("other"), Spec: spec.PoolSpec{VolumeGroup: "vg1"}}
		v := n.desired.Volumes["data"]
		v.Spec.Pool = "other"
		n.desired.Volumes["data"] = v
		n.desired.Snapshots["new"] = spec.Snapshot{Metadata: meta("new"), Spec: spec.SnapshotSpec{Volume: "data"}}
		Expect(status(n.diff(), snapshotID("new"))).To(beIn(Blocked, ReasonNotReady))
	})
	It("never shows one volume under two numbers", func() {
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.LoggedIn = true })
		e := n.desired.Exports["db"]
		e.Spec.LUNs = []spec.LUN{{Volume: "thick", Number: ptr(0)}, {Volume: "data", Number: ptr(1)}}
		n.desired.Exports["db"] = e
		Expect(n.diff().Steps).To(BeEmpty())
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.LoggedIn = false })
		n.converge()
		Expect(n.state.LIO.ISCSI[iqn].LUNs).To(And(HaveLen(2), HaveKeyWithValue(0, HaveField("Backstore", ContainSubstring("thick")))))
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
