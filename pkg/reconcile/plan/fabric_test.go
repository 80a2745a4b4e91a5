package plan_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// over is a way in which an Export can be served.
type over struct {
	protocol   spec.Protocol
	tgt        bool
	target     observe.TargetID
	initiators []string
	portals    []string
	auth       *spec.Auth
}

var (
	iscsiHosts = []string{Initiator, "iqn.1993-08.org.debian:01:open"}
	nvmeHosts  = []string{"nqn.2014-08.org.nvmexpress:uuid:0b1e1f00-0000-4000-8000-000000000001", "nqn.2026-11.com.example:host"}
	wwpns      = []string{"naa.2000001b32a1b2c4", "naa.2000001b32a1b2c5"}
	keys       = &spec.Auth{CHAP: &spec.Credentials{Password: spec.NewSecret("DHHC-1:00:key:")}}
	chaps      = &spec.Auth{CHAP: &spec.Credentials{Username: "u", Password: spec.NewSecret("secretsecret")}}

	fabricsUnderTest = []over{
		{spec.ProtocolISCSI, false, observe.TargetID{Fabric: observe.ISCSI, Name: IQN}, iscsiHosts, []string{"0.0.0.0:3260"}, chaps},
		{spec.ProtocolISER, false, observe.TargetID{Fabric: observe.ISCSI, Name: IQN}, iscsiHosts, []string{"10.0.0.1:3260"}, chaps},
		{spec.ProtocolISCSI, true, observe.TargetID{Fabric: observe.TGTISCSI, Name: IQN}, iscsiHosts, []string{"0.0.0.0:3260"}, chaps},
		{spec.ProtocolNVMeTCP, false, observe.TargetID{Fabric: observe.NVMe, Name: "nqn.2026-11.io.volreconciler:db"}, nvmeHosts, []string{"0.0.0.0:4420", "[::1]:4421"}, keys},
		{spec.ProtocolNVMeRDMA, false, observe.TargetID{Fabric: observe.NVMe, Name: "nqn.2026-11.com.example:explicit"}, nvmeHosts, []string{"10.0.0.1:4420"}, keys},
		{spec.ProtocolFC, false, observe.TargetID{Fabric: observe.FC, Name: "naa.2000001b32a1b2c3"}, wwpns, nil, nil},
	}
)

// newcomer is an initiator that is not listed.
func (o over) newcomer() string {
	name := o.initiators[0]
	return name[:len(name)-1] + "9"
}

// nodeOver is a node whose export is of that kind.
func nodeOver(o over) *Node {
	n := NewNode()
	n.Input.TGT = o.tgt
	n.EditExport(func(e *spec.ExportSpec) {
		e.Protocol, e.Target, e.Portals = o.protocol, o.target.Name, o.portals
		e.LUNs = []spec.LUN{{Volume: "data", Number: Ptr(0)}, {Volume: "thick", Number: Ptr(1)}}
		e.Initiators = []spec.Initiator{{Name: o.initiators[0], Auth: o.auth}, {Name: o.initiators[1], Auth: o.auth}}
	})
	return n
}

// target is what is there of the export.
func targetOf(n *Node, o over) observe.Target {
	t, _ := n.State.Target(o.target)
	return t
}

// somebodyElses takes our mark off a target.
func somebodyElses(t *observe.Target) {
	t.Mark = ""
	for n, l := range t.LUNs {
		if l.Link != "" {
			l.Link = "9afeecee37"
			t.LUNs[n] = l
		}
	}
}

// eachFabric runs a spec for each kind of export on a converged node.
func eachFabric(text string, body func(n *Node, o over)) {
	for _, o := range fabricsUnderTest {
		name := string(o.protocol)
		if o.tgt {
			name += " on tgtd"
		}
		It(text+": "+name, func() {
			n := nodeOver(o)
			n.Apply(n.Plan())
			n.Remember()
			Expect(ChangesIn(n.Plan())).To(BeEmpty())
			body(n, o)
		})
	}
}

var _ = Describe("An Export of any fabric", func() {
	It("is tried over every protocol", func() {
		for _, p := range spec.Protocols() {
			Expect(slices.ContainsFunc(fabricsUnderTest, func(o over) bool { return o.protocol == p })).To(BeTrue(), "fabricsUnderTest lacks %s", p)
		}
	})
	eachFabric("is there as the spec says, and stays", func(n *Node, o over) {
		t := targetOf(n, o)
		Expect(slices.Sorted(maps.Keys(t.LUNs))).To(Equal([]int{0, 1}))
		Expect(slices.Sorted(maps.Keys(t.ACLs))).To(ConsistOf(o.initiators))
		Expect(slices.Sorted(maps.Keys(t.Portals))).To(ConsistOf(o.portals))
		Expect(ObjectOf(n.Plan(), ExportID("db"))).To(BeIn(status.Ready, status.ReasonAsDesired))
		Expect(n.State.TargetIDs()).To(HaveExactElements(o.target))
	})

	eachFabric("is closed until all is in it", func(_ *Node, o over) {
		n := nodeOver(o)
		order := map[string]int{}
		for i, s := range n.Plan().Steps {
			order[change.Name(s.Change)] = i
		}
		opens := cmp.Or(map[observe.Fabric]string{observe.NVMe: "AddPortal", observe.TGTISCSI: "AddInitiator"}[o.target.Fabric], "EnableTarget")
		Expect(order[opens]).To(BeNumerically(">", order["AddLUN"]))
		Expect(order[opens]).To(BeNumerically(">=", order["AddInitiator"]))
	})

	eachFabric("gets back what somebody took away, and loses what somebody added", func(n *Node, o over) {
		n.EditTargetOf(o.target, func(t *observe.Target) {
			delete(t.LUNs, 1)
			for _, acl := range t.ACLs {
				delete(acl.LUNs, 1)
			}
			delete(t.ACLs, o.initiators[0])
			t.ACLs["stranger"] = observe.ACL{Initiator: "stranger", LUNs: map[int]observe.MappedLUN{}}
			if o.target.Fabric != observe.FC && o.target.Fabric != observe.TGTISCSI {
				clear(t.Portals)
				t.Portals["10.9.9.9:1"] = observe.TCP
			}
		})
		n.Converge()
		t := targetOf(n, o)
		Expect(slices.Sorted(maps.Keys(t.LUNs))).To(Equal([]int{0, 1}))
		Expect(slices.Sorted(maps.Keys(t.ACLs))).To(ConsistOf(o.initiators))
		Expect(slices.Sorted(maps.Keys(t.Portals))).To(ConsistOf(o.portals))
	})

	eachFabric("admits listed initiators only, whatever somebody sets", func(n *Node, o over) {
		if o.target.Fabric == observe.FC {
			return // has no such switch
		}
		n.EditTargetOf(o.target, func(t *observe.Target) { t.Attrib.GenerateNodeACLs = true })
		n.Converge()
		Expect(targetOf(n, o).Attrib.GenerateNodeACLs).To(BeFalse())
	})

	eachFabric("goes when no file names it, before its volumes do", func(n *Node, _ over) {
		n.Declared.Exports, n.Declared.Volumes, n.Declared.Snapshots = nil, nil, nil
		n.Apply(n.Plan())
		n.Converge()
		Expect(n.State.TargetIDs()).To(BeEmpty())
		Expect(n.LVs("vg0")).To(HaveLen(1), "the thin pool stays")
	})

	eachFabric("stays while somebody is logged in, and so do its volumes", func(n *Node, o over) {
		n.EditTargetOf(o.target, func(t *observe.Target) {
			if o.target.Fabric == observe.NVMe {
				t.Unattributed = []string{"10.0.0.7"}
				return
			}
			acl := t.ACLs[o.initiators[0]]
			acl.LoggedIn = true
			t.ACLs[o.initiators[0]] = acl
		})
		n.Declared.Exports, n.Declared.Volumes, n.Declared.Snapshots = nil, nil, nil
		p := n.Plan()
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Blocked, status.ReasonSessionsActive))
		Expect(ObjectOf(p, VolumeID("data")).Phase).To(Or(Equal(status.Blocked), Equal(status.Deleting)))
		Expect(ChangesIn(p)).To(HaveEach(Or(ContainSubstring("nightly"), ContainSubstring("initiator"))), "snapshots are not exported")
	})

	eachFabric("keeps an initiator that may be logged in", func(n *Node, o over) {
		n.EditTargetOf(o.target, func(t *observe.Target) {
			if o.target.Fabric == observe.NVMe {
				t.Unattributed = []string{"10.0.0.7"}
				return
			}
			acl := t.ACLs[o.initiators[1]]
			acl.LoggedIn = true
			t.ACLs[o.initiators[1]] = acl
		})
		n.EditExport(func(e *spec.ExportSpec) { e.Initiators = e.Initiators[:1] })
		p := n.Pass(-1)
		remove := "remove initiator " + o.initiators[1] + " from " + o.target.Name
		if o.target.Fabric == observe.NVMe || o.tgt {
			Expect(ChangesIn(p)).To(HaveExactElements(remove + ", without ending its session"))
		} else {
			Expect(ChangesIn(p)).NotTo(ContainElement(HavePrefix("remove")))
		}
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Blocked, status.ReasonSessionsActive))
		Expect(n.Plan().Steps).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), ExportID("db"))).To(BeIn(status.Blocked, status.ReasonSessionsActive))
		n.EditExport(func(e *spec.ExportSpec) { e.Disconnect = spec.DisconnectForce })
		if o.target.Fabric == observe.NVMe { // whose sessions cannot be told apart
			Expect(ChangesIn(n.Plan())).To(And(HaveLen(len(o.portals)), HaveEach(HavePrefix("remove portal "))))
		} else {
			Expect(ChangesIn(n.Plan())).To(HaveExactElements(remove))
		}
	})

	eachFabric("is not ours if it carries another mark", func(n *Node, o over) {
		n.EditTargetOf(o.target, somebodyElses)
		p := n.Plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Blocked, status.ReasonNotOwned))
		n.Declared.Exports = nil
		Expect(n.Plan().Steps).To(BeEmpty())
	})

	eachFabric("does not take away a volume that is in it under a name that is not ours", func(n *Node, o over) {
		n.EditTargetOf(o.target, somebodyElses)
		n.Declared.Exports, n.Declared.Volumes, n.Declared.Snapshots = nil, nil, nil
		n.Apply(n.Plan())
		n.Apply(n.Plan())
		Expect(n.LVs("vg0")).To(And(HaveKey("data"), HaveKey("thick")))
	})

	eachFabric("admits nobody to a LUN that is on its way out", func(n *Node, o over) {
		n.EditExport(func(e *spec.ExportSpec) {
			e.LUNs, e.Initiators = e.LUNs[:1], append(slices.Clone(e.Initiators), spec.Initiator{Name: o.newcomer(), Auth: o.auth})
		})
		n.Declared.Complete = false // so that nothing is removed
		n.Apply(n.Plan())
		t := targetOf(n, o)
		Expect(t.LUNs).To(HaveKey(1))
		if acl, listed := t.ACLs[o.newcomer()]; listed {
			Expect(acl.LUNs).To(HaveKey(0), "it has a list of its own")
			Expect(acl.LUNs).NotTo(HaveKey(1))
		}
		n.Declared.Complete = true
		n.Converge()
		Expect(targetOf(n, o).ACLs).To(HaveKey(o.newcomer()))
	})

	eachFabric("is not opened while a number shows something else than its file says", func(n *Node, o over) {
		n.Declared.Volumes["image"] = spec.Volume{Metadata: Meta("image"), Spec: spec.VolumeSpec{
			Pool: "slow", Size: 64 * MiB, LVName: "image", DeletionPolicy: spec.Delete, Source: &spec.VolumeSource{Image: &spec.ImageSource{Path: "/srv/image.raw"}},
		}}
		closed := func() {
			n.EditTargetOf(o.target, func(t *observe.Target) {
				if t.Enabled = false; o.target.Fabric == observe.NVMe {
					clear(t.Portals)
				}
				if o.target.Fabric == observe.TGTISCSI {
					clear(t.ACLs)
				}
			})
		}
		closed()
		n.EditExport(func(e *spec.ExportSpec) {
			e.LUNs = []spec.LUN{{Volume: "image", Number: Ptr(0)}, {Volume: "thick", Number: Ptr(1)}}
		})
		n.Apply(n.Plan())
		Expect(targetOf(n, o).Enabled).To(BeFalse())
		n.Converge()
		Expect(targetOf(n, o).Enabled).To(BeTrue())
	})

	eachFabric("shows nothing new to an initiator that is on its way out", func(n *Node, o over) {
		third := spec.Volume{Metadata: Meta("third"), Spec: spec.VolumeSpec{Pool: "slow", Size: 64 * MiB, LVName: "third", DeletionPolicy: spec.Delete}}
		n.Declared.Volumes["third"] = third
		n.EditExport(func(e *spec.ExportSpec) {
			e.LUNs, e.Initiators = append(slices.Clone(e.LUNs), spec.LUN{Volume: "third", Number: Ptr(2)}), e.Initiators[:1]
		})
		n.EditTargetOf(o.target, func(t *observe.Target) {
			acl := t.ACLs[o.initiators[1]]
			acl.LoggedIn = true
			t.ACLs[o.initiators[1]] = acl
		})
		n.Apply(n.Plan())
		t := targetOf(n, o)
		if _, added := t.LUNs[2]; added {
			Expect(t.ACLs[o.initiators[1]].LUNs).To(HaveKey(0), "it has a list of its own")
			Expect(t.ACLs[o.initiators[1]].LUNs).NotTo(HaveKey(2))
		}
		n.EditTargetOf(o.target, func(t *observe.Target) {
			acl := t.ACLs[o.initiators[1]]
			acl.LoggedIn = false
			t.ACLs[o.initiators[1]] = acl
		})
		n.Converge()
		Expect(targetOf(n, o).LUNs).To(HaveKey(2))
		Expect(targetOf(n, o).ACLs).NotTo(HaveKey(o.initiators[1]))
	})

	eachFabric("is reached at a new portal before it loses the old one", func(n *Node, o over) {
		if o.target.Fabric == observe.FC || o.target.Fabric == observe.TGTISCSI {
			return // have none of their own
		}
		portalsBecome := func(portal string) []change.Change {
			n.EditExport(func(e *spec.ExportSpec) { e.Portals = []string{portal} })
			p := n.Plan()
			var all []change.Change
			for _, s := range p.Steps {
				all = append(all, s.Change)
				if _, removes := s.Change.(change.RemovePortal); removes && portal == "10.0.0.2:9999" {
					Expect(s.Needs).To(HaveLen(1))
					Expect(p.Steps[s.Needs[0]-1].Change).To(BeAssignableToTypeOf(change.AddPortal{}))
				}
			}
			n.Converge()
			Expect(slices.Sorted(maps.Keys(targetOf(n, o).Portals))).To(ConsistOf(portal))
			return all
		}
		Expect(portalsBecome("10.0.0.2:9999")).To(ContainElement(BeAssignableToTypeOf(change.RemovePortal{})))
		for _, s := range portalsBecome("0.0.0.0:9999") { // which cannot be served beside it
			Expect(s).To(Or(BeAssignableToTypeOf(change.RemovePortal{}), BeAssignableToTypeOf(change.AddPortal{})))
		}
	})

	eachFabric("lets nobody write who is on its way out", func(n *Node, o over) {
		if o.target.Fabric == observe.NVMe {
			return // where all may
		}
		readOnly := func(is bool) {
			n.EditExport(func(e *spec.ExportSpec) {
				e.LUNs = []spec.LUN{{Volume: "data", Number: Ptr(0), ReadOnly: is}, {Volume: "thick", Number: Ptr(1), ReadOnly: is}}
			})
		}
		readOnly(true)
		n.Converge()
		n.EditTargetOf(o.target, func(t *observe.Target) {
			acl := t.ACLs[o.initiators[1]]
			acl.LoggedIn = true
			t.ACLs[o.initiators[1]] = acl
		})
		readOnly(false)
		n.EditExport(func(e *spec.ExportSpec) { e.Initiators = e.Initiators[:1] })
		n.Apply(n.Plan())
		t := targetOf(n, o)
		Expect(t.LUNs[0].ReadOnly || t.ACLs[o.initiators[1]].LUNs[0].WriteProtect).To(BeTrue())
		n.EditTargetOf(o.target, func(t *observe.Target) {
			acl := t.ACLs[o.initiators[1]]
			acl.LoggedIn = false
			t.ACLs[o.initiators[1]] = acl
		})
		n.Converge()
		Expect(targetOf(n, o).LUNs[0].ReadOnly).To(BeFalse())
	})

	eachFabric("is not the only one that is asked whether its volume is in use", func(n *Node, o over) {
		if o.target.Fabric.System() == observe.LIO {
			return // which holds it for itself alone
		}
		thick := n.LVs("vg0")["thick"]
		n.State.LIO.Backstores["iblock_0/theirs"] = observe.Backstore{
			HBA: "iblock_0", Name: "theirs", Enabled: true, BlockDevice: fmt.Sprintf("dm-%d", thick.Minor), Device: thick.Path(), Serial: "theirs",
		}
		n.Declared.Exports, n.Declared.Volumes, n.Declared.Snapshots = nil, nil, nil
		p := n.Plan()
		Expect(ChangesIn(p)).To(ContainElement("remove target " + o.target.Name))
		Expect(ChangesIn(p)).NotTo(ContainElement(ContainSubstring("vg0/thick and the data in it")))
		Expect(ObjectOf(p, VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonInUse))
	})

	eachFabric("is unknown when its system is", func(n *Node, o over) {
		state := n.Copy()
		n.State.LIO, n.State.NVMe, n.State.TGT = observe.Targets{}, nil, nil
		n.State.Unknown = map[observe.System]error{o.target.Fabric.System(): errors.New("broken")}
		n.Declared.Volumes = nil
		p := n.Plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Failed, status.ReasonObservationFailed))
		n.State = state
	})

	eachFabric("grows while it is used, and its initiators are told", func(n *Node, o over) {
		v := n.Declared.Volumes["data"]
		v.Spec.Size = 200 * MiB
		n.Declared.Volumes["data"] = v
		n.Converge()
		told := 1
		if o.target.Fabric.System() == observe.LIO {
			told = 0 // LIO asks the device
		}
		Expect(n.Resized).To(HaveLen(told))
	})

	eachFabric("gets another volume under a number only when nobody looks", func(n *Node, o over) {
		swap := func(e *spec.ExportSpec) {
			e.LUNs = []spec.LUN{{Volume: "thick", Number: Ptr(0)}, {Volume: "data", Number: Ptr(1)}}
		}
		n.EditExport(swap)
		n.EditTargetOf(o.target, func(t *observe.Target) { t.DynamicSessions = []string{"somebody"} })
		Expect(ChangesIn(n.Plan())).NotTo(ContainElement(Or(HavePrefix("remove LUN"), HavePrefix("add LUN"))))
		n.EditTargetOf(o.target, func(t *observe.Target) { t.DynamicSessions = nil })
		n.Converge()
		thick := n.LVs("vg0")["thick"]
		Expect(targetOf(n, o).LUNs[0]).To(Or(
			HaveField("Backstore", HaveSuffix(":thick")),
			HaveField("Identity", Or(Equal(ondisk.NamespaceUUID(thick.UUID)), Equal(ondisk.UnitSerial(thick.UUID)))),
		))
	})

	eachFabric("is the same after a reboot", func(n *Node, o over) {
		before := targetOf(n, o)
		n.State.LIO = observe.Targets{Backstores: map[string]observe.Backstore{}, ISCSI: map[string]observe.Target{}, FC: map[string]observe.Target{}}
		n.State.NVMe, n.State.TGT = map[string]observe.Target{}, map[string]observe.Target{}
		for name := range n.LVs("vg0") {
			n.Edit("vg0/"+name, func(lv *observe.LogicalVolume) { lv.Open = false })
		}
		n.Converge()
		t := targetOf(n, o)
		t.AuthMark, before.AuthMark = "", "" // it has another salt
		Expect(t).To(Equal(before))
	})

	eachFabric("is opened to anybody when nobody is listed any more", func(n *Node, o over) {
		if o.target.Fabric == observe.FC {
			return // has no such switch
		}
		anybody := func(e *spec.ExportSpec) { e.AllowAnyInitiator, e.Initiators = true, nil }
		n.EditExport(anybody)
		n.EditTargetOf(o.target, func(t *observe.Target) { t.Unattributed = []string{"10.0.0.7"} })
		if o.target.Fabric == observe.NVMe {
			Expect(ChangesIn(n.Plan())).NotTo(ContainElement(HaveSuffix("to admit any initiator")))
		}
		n.EditTargetOf(o.target, func(t *observe.Target) { t.Unattributed = nil })
		for _, s := range n.Plan().Steps {
			if c, ok := s.Change.(change.SetAttributes); ok && c.Attrib.GenerateNodeACLs && o.target.Fabric == observe.NVMe {
				Expect(s.Needs).To(HaveLen(2), "both hosts are unlisted first")
			}
		}
		n.Converge()
		Expect(targetOf(n, o).Attrib.GenerateNodeACLs).To(BeTrue())
		Expect(targetOf(n, o).ACLs).To(BeEmpty())
	})
})
