package reconcile

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
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
	iscsiHosts = []string{initiator, "iqn.1993-08.org.debian:01:open"}
	nvmeHosts  = []string{"nqn.2014-08.org.nvmexpress:uuid:0b1e1f00-0000-4000-8000-000000000001", "nqn.2026-11.com.example:host"}
	wwpns      = []string{"naa.2000001b32a1b2c4", "naa.2000001b32a1b2c5"}
	keys       = &spec.Auth{CHAP: &spec.Credentials{Password: spec.NewSecret("DHHC-1:00:key:")}}
	chaps      = &spec.Auth{CHAP: &spec.Credentials{Username: "u", Password: spec.NewSecret("secretsecret")}}

	fabricsUnderTest = []over{
		{spec.ProtocolISCSI, false, observe.TargetID{Fabric: observe.ISCSI, Name: iqn}, iscsiHosts, []string{"0.0.0.0:3260"}, chaps},
		{spec.ProtocolISER, false, observe.TargetID{Fabric: observe.ISCSI, Name: iqn}, iscsiHosts, []string{"10.0.0.1:3260"}, chaps},
		{spec.ProtocolISCSI, true, observe.TargetID{Fabric: observe.TGTISCSI, Name: iqn}, iscsiHosts, []string{"0.0.0.0:3260"}, chaps},
		{spec.ProtocolNVMeTCP, false, observe.TargetID{Fabric: observe.NVMe, Name: "nqn.2026-11.io.volreconciler:db"}, nvmeHosts, []string{"0.0.0.0:4420", "[::1]:4421"}, keys},
		{spec.ProtocolNVMeRDMA, false, observe.TargetID{Fabric: observe.NVMe, Name: "nqn.2026-11.com.example:explicit"}, nvmeHosts, []string{"10.0.0.1:4420"}, keys},
		{spec.ProtocolFC, false, observe.TargetID{Fabric: observe.FC, Name: "naa.2000001b32a1b2c3"}, wwpns, nil, nil},
	}
)

// nodeOver is a node whose export is of that kind.
func nodeOver(o over) *node {
	n := newNode()
	n.input.TGT = o.tgt
	n.editExport(func(e *spec.ExportSpec) {
		e.Protocol, e.Target, e.Portals = o.protocol, o.target.Name, o.portals
		e.LUNs = []spec.LUN{{Volume: "data", Number: ptr(0)}, {Volume: "thick", Number: ptr(1)}}
		e.Initiators = []spec.Initiator{{Name: o.initiators[0], Auth: o.auth}, {Name: o.initiators[1], Auth: o.auth}}
	})
	return n
}

// target is what is there of the export.
func targetOf(n *node, o over) observe.Target {
	t, _ := n.state.Target(o.target)
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
func eachFabric(text string, body func(n *node, o over)) {
	for _, o := range fabricsUnderTest {
		name := string(o.protocol)
		if o.tgt {
			name += " on tgtd"
		}
		It(text+": "+name, func() {
			n := nodeOver(o)
			n.apply(n.plan())
			n.remember()
			Expect(changesIn(n.plan())).To(BeEmpty())
			body(n, o)
		})
	}
}

var _ = Describe("An Export of any fabric", func() {
	eachFabric("is there as the spec says, and stays", func(n *node, o over) {
		t := targetOf(n, o)
		Expect(slices.Sorted(maps.Keys(t.LUNs))).To(Equal([]int{0, 1}))
		Expect(slices.Sorted(maps.Keys(t.ACLs))).To(ConsistOf(o.initiators))
		Expect(slices.Sorted(maps.Keys(t.Portals))).To(ConsistOf(o.portals))
		Expect(objectOf(n.plan(), exportID("db"))).To(beIn(Ready, ReasonAsDesired))
		Expect(n.state.TargetIDs()).To(HaveExactElements(o.target))
	})

	eachFabric("is closed until all is in it", func(_ *node, o over) {
		n := nodeOver(o)
		order := map[string]int{}
		for i, s := range n.plan().Steps {
			order[change.Name(s.Change)] = i
		}
		opens := cmp.Or(map[observe.Fabric]string{observe.NVMe: "AddPortal", observe.TGTISCSI: "AddInitiator"}[o.target.Fabric], "EnableTarget")
		Expect(order[opens]).To(BeNumerically(">", order["AddLUN"]))
		Expect(order[opens]).To(BeNumerically(">=", order["AddInitiator"]))
	})

	eachFabric("gets back what somebody took away, and loses what somebody added", func(n *node, o over) {
		n.editTargetOf(o.target, func(t *observe.Target) {
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
		n.converge()
		t := targetOf(n, o)
		Expect(slices.Sorted(maps.Keys(t.LUNs))).To(Equal([]int{0, 1}))
		Expect(slices.Sorted(maps.Keys(t.ACLs))).To(ConsistOf(o.initiators))
		Expect(slices.Sorted(maps.Keys(t.Portals))).To(ConsistOf(o.portals))
	})

	eachFabric("admits listed initiators only, whatever somebody sets", func(n *node, o over) {
		if o.target.Fabric == observe.FC {
			return // has no such switch
		}
		n.editTargetOf(o.target, func(t *observe.Target) { t.Attrib.GenerateNodeACLs = true })
		n.converge()
		Expect(targetOf(n, o).Attrib.GenerateNodeACLs).To(BeFalse())
	})

	eachFabric("goes when no file names it, before its volumes do", func(n *node, _ over) {
		n.desired.Exports, n.desired.Volumes, n.desired.Snapshots = nil, nil, nil
		n.apply(n.plan())
		n.converge()
		Expect(n.state.TargetIDs()).To(BeEmpty())
		Expect(n.lvs("vg0")).To(HaveLen(1), "the thin pool stays")
	})

	eachFabric("stays while somebody is logged in, and so do its volumes", func(n *node, o over) {
		n.editTargetOf(o.target, func(t *observe.Target) {
			if o.target.Fabric == observe.NVMe {
				t.Unattributed = []string{"10.0.0.7"}
				return
			}
			acl := t.ACLs[o.initiators[0]]
			acl.LoggedIn = true
			t.ACLs[o.initiators[0]] = acl
		})
		n.desired.Exports, n.desired.Volumes, n.desired.Snapshots = nil, nil, nil
		p := n.plan()
		Expect(objectOf(p, exportID("db"))).To(beIn(Blocked, ReasonSessionsActive))
		Expect(objectOf(p, volumeID("data")).Phase).To(Or(Equal(Blocked), Equal(Deleting)))
		Expect(changesIn(p)).To(HaveEach(ContainSubstring("nightly")), "snapshots are not exported")
	})

	eachFabric("keeps an initiator that may be logged in", func(n *node, o over) {
		n.editTargetOf(o.target, func(t *observe.Target) {
			if o.target.Fabric == observe.NVMe {
				t.Unattributed = []string{"10.0.0.7"}
				return
			}
			acl := t.ACLs[o.initiators[1]]
			acl.LoggedIn = true
			t.ACLs[o.initiators[1]] = acl
		})
		n.editExport(func(e *spec.ExportSpec) { e.Initiators = e.Initiators[:1] })
		p := n.plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(objectOf(p, exportID("db"))).To(beIn(Blocked, ReasonSessionsActive))
		n.editExport(func(e *spec.ExportSpec) { e.Disconnect = spec.DisconnectForce })
		Expect(changesIn(n.plan())).To(HaveExactElements(HavePrefix("remove initiator " + o.initiators[1])))
	})

	eachFabric("is not ours if it carries another mark", func(n *node, o over) {
		n.editTargetOf(o.target, somebodyElses)
		p := n.plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(objectOf(p, exportID("db"))).To(beIn(Blocked, ReasonNotOwned))
		n.desired.Exports = nil
		Expect(n.plan().Steps).To(BeEmpty())
	})

	eachFabric("does not take away a volume that is in it under a name that is not ours", func(n *node, o over) {
		n.editTargetOf(o.target, somebodyElses)
		n.desired.Exports, n.desired.Volumes, n.desired.Snapshots = nil, nil, nil
		n.apply(n.plan())
		n.apply(n.plan())
		Expect(n.lvs("vg0")).To(And(HaveKey("data"), HaveKey("thick")))
	})

	eachFabric("is unknown when its system is", func(n *node, o over) {
		state := n.copy()
		n.state.LIO, n.state.NVMe, n.state.TGT = observe.Targets{}, nil, nil
		n.state.Unknown = map[observe.System]error{o.target.Fabric.System(): errors.New("broken")}
		n.desired.Volumes = nil
		p := n.plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(objectOf(p, exportID("db"))).To(beIn(Failed, ReasonObservationFailed))
		n.state = state
	})

	eachFabric("grows while it is used, and its initiators are told", func(n *node, o over) {
		v := n.desired.Volumes["data"]
		v.Spec.Size = 200 * mib
		n.desired.Volumes["data"] = v
		n.converge()
		told := 1
		if o.target.Fabric.System() == observe.LIO {
			told = 0 // LIO asks the device
		}
		Expect(n.resized).To(HaveLen(told))
	})

	eachFabric("gets another volume under a number only when nobody looks", func(n *node, o over) {
		swap := func(e *spec.ExportSpec) {
			e.LUNs = []spec.LUN{{Volume: "thick", Number: ptr(0)}, {Volume: "data", Number: ptr(1)}}
		}
		n.editExport(swap)
		n.editTargetOf(o.target, func(t *observe.Target) { t.DynamicSessions = []string{"somebody"} })
		Expect(changesIn(n.plan())).NotTo(ContainElement(Or(HavePrefix("remove LUN"), HavePrefix("add LUN"))))
		n.editTargetOf(o.target, func(t *observe.Target) { t.DynamicSessions = nil })
		n.converge()
		thick := n.lvs("vg0")["thick"]
		Expect(targetOf(n, o).LUNs[0]).To(Or(
			HaveField("Backstore", HaveSuffix(":thick")),
			HaveField("Identity", Or(Equal(ondisk.NamespaceUUID(thick.UUID)), Equal(ondisk.UnitSerial(thick.UUID)))),
		))
	})

	eachFabric("is the same after a reboot", func(n *node, o over) {
		before := targetOf(n, o)
		n.state.LIO = observe.Targets{Backstores: map[string]observe.Backstore{}, ISCSI: map[string]observe.Target{}, FC: map[string]observe.Target{}}
		n.state.NVMe, n.state.TGT = map[string]observe.Target{}, map[string]observe.Target{}
		for name := range n.lvs("vg0") {
			n.edit("vg0/"+name, func(lv *observe.LogicalVolume) { lv.Open = false })
		}
		n.converge()
		t := targetOf(n, o)
		t.AuthMark, before.AuthMark = "", "" // it has another salt
		Expect(t).To(Equal(before))
	})

	eachFabric("is opened to anybody when nobody is listed any more", func(n *node, o over) {
		if o.target.Fabric == observe.FC {
			return // has no such switch
		}
		anybody := func(e *spec.ExportSpec) { e.AllowAnyInitiator, e.Initiators = true, nil }
		n.editExport(anybody)
		n.editTargetOf(o.target, func(t *observe.Target) { t.Unattributed = []string{"10.0.0.7"} })
		if o.target.Fabric == observe.NVMe {
			Expect(changesIn(n.plan())).NotTo(ContainElement(HaveSuffix("to admit any initiator")))
		}
		n.editTargetOf(o.target, func(t *observe.Target) { t.Unattributed = nil })
		for _, s := range n.plan().Steps {
			if c, ok := s.Change.(change.SetAttributes); ok && c.Attrib.GenerateNodeACLs && o.target.Fabric == observe.NVMe {
				Expect(s.Needs).To(HaveLen(2), "both hosts are unlisted first")
			}
		}
		n.converge()
		Expect(targetOf(n, o).Attrib.GenerateNodeACLs).To(BeTrue())
		Expect(targetOf(n, o).ACLs).To(BeEmpty())
	})
})
