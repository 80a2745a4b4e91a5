package reconcile

import (
	"maps"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Diff and the attributes of an Export", func() {
	// withAttributes is a machine in memory with an iSCSI export of the volume.
	withAttributes := func(attributes map[string]string) *fcNode {
		n := newFCNode()
		e := n.input.Desired.Exports["db"]
		e.Spec.Protocol, e.Spec.Target, e.Spec.Portals = spec.ProtocolISCSI, iqn, []string{"10.0.0.1:3260"}
		e.Spec.Initiators, e.Spec.Attributes = []spec.Initiator{{Name: initiator}}, attributes
		n.input.Desired.Exports["db"] = e
		return n
	}
	have := func(n *fcNode) map[string]string {
		all := maps.Clone(n.input.Observed.LIO.ISCSI[iqn].Attributes)
		for _, b := range n.input.Observed.LIO.Backstores {
			maps.Copy(all, b.Attributes)
		}
		return all
	}
	ask := func(n *fcNode, attributes map[string]string) {
		e := n.input.Desired.Exports["db"]
		e.Spec.Attributes = attributes
		n.input.Desired.Exports["db"] = e
	}

	It("sets them, corrects them, and gives the defaults back", func(ctx SpecContext) {
		asked := map[string]string{"MaxOutstandingR2T": "8", "DataDigest": "None", "default_cmdsn_depth": "128", "emulate_caw": "0", "queue_depth": "64"}
		n := withAttributes(asked)
		n.converge(ctx)
		for name, value := range asked {
			Expect(have(n)).To(HaveKeyWithValue(name, value))
		}
		dir := observe.ISCSITarget(iqn)
		Expect(n.WriteFile(dir.AttributeFile("MaxOutstandingR2T"), []byte("2\n"))).To(Succeed())
		Expect(n.WriteFile(dir.AttributeFile("InitialR2T"), []byte("No\n"))).To(Succeed())
		n.converge(ctx)
		Expect(have(n)).To(And(HaveKeyWithValue("MaxOutstandingR2T", "8"), HaveKeyWithValue("InitialR2T", "Yes")))
		ask(n, nil)
		n.converge(ctx)
		Expect(have(n)).To(And(HaveKeyWithValue("MaxOutstandingR2T", "1"), HaveKeyWithValue("DataDigest", "CRC32C,None"), HaveKeyWithValue("emulate_caw", "1")))
		Expect(have(n)).To(HaveKeyWithValue("queue_depth", "64"), "its default is the device's")
	})

	It("sets them before the first LUN is served", func(ctx SpecContext) {
		p := withAttributes(map[string]string{"queue_depth": "64"}).diff(ctx)
		Expect(changesIn(p)).To(ContainElement("set queue_depth of backstore iblock_900/volreconciler:volume:data to 64"))
		for _, s := range p.Steps {
			if s.Change.String() == "add LUN 0 to "+iqn+": iblock_900/volreconciler:volume:data" {
				var needs []string
				for _, need := range s.Needs {
					needs = append(needs, p.Steps[need-1].Change.String())
				}
				Expect(needs).To(ContainElement(HavePrefix("set queue_depth")))
			}
		}
	})

	It("waits for sessions where the kernel wants the LUN unlinked, and goes on by itself", func(ctx SpecContext) {
		n := withAttributes(nil)
		n.converge(ctx)
		Expect(n.Login(iqn, initiator)).To(Succeed())
		ask(n, map[string]string{"queue_depth": "64", "FirstBurstLength": "131072"})
		p := n.converge(ctx)
		Expect(objectOf(p, exportID("db"))).To(beIn(Blocked, ReasonSessionsActive))
		Expect(objectOf(p, exportID("db")).Message).To(ContainSubstring(initiator))
		Expect(have(n)).To(And(HaveKeyWithValue("FirstBurstLength", "131072"), HaveKeyWithValue("queue_depth", "128")))
		Expect(n.Logout(iqn, initiator)).To(Succeed())
		Expect(objectOf(n.converge(ctx), exportID("db"))).To(beIn(Ready, ReasonAsDesired))
		Expect(have(n)).To(HaveKeyWithValue("queue_depth", "64"))
		Expect(n.input.Observed.LIO.ISCSI[iqn].ACLs[initiator].LUNs).To(HaveKey(0))
	})

	It("does nothing about what two Exports of a volume do not agree on", func(ctx SpecContext) {
		n := withAttributes(map[string]string{"emulate_tas": "0"})
		other := n.input.Desired.Exports["db"]
		other.Metadata, other.Spec.Target, other.Spec.Attributes = meta("web"), iqn+"2", map[string]string{"emulate_tas": "1"}
		n.input.Desired.Exports["web"] = other
		p := n.converge(ctx)
		for _, name := range []string{"db", "web"} {
			Expect(objectOf(p, exportID(name))).To(beIn(Blocked, ReasonInvalid))
			Expect(objectOf(p, exportID(name)).Message).To(Equal("attribute emulate_tas of Volume/data must be the same in all Exports of it; it is not in db, web"))
		}
		Expect(n.input.Observed.LIO.ISCSI).To(HaveLen(2))
		other.Spec.Attributes = nil
		n.input.Desired.Exports["web"] = other
		p = n.converge(ctx)
		Expect(objectOf(p, exportID("web"))).To(beIn(Ready, ReasonAsDesired))
		Expect(have(n)).To(HaveKeyWithValue("emulate_tas", "0"))
	})

	It("are set at once before a Volume is served again whose move failed, wherever that was", func() {
		for done := 0; ; done++ {
			n := movable()
			e := n.desired.Exports["db"]
			e.Spec.Attributes = map[string]string{"queue_depth": "64"}
			n.desired.Exports["db"] = e
			n.moveTo("thick", "fast")
			p := n.plan()
			for !slices.Contains(kinds(p), "TakeOver") {
				n.apply(p)
				p = n.plan()
			}
			if done == len(p.Steps) {
				break
			}
			for _, s := range p.Steps[:done] {
				n.change(s.Change)
			}
			for path, b := range n.state.LIO.Backstores {
				b.Attributes = map[string]string{"queue_depth": "128"}
				n.state.LIO.Backstores[path] = b
			}
			n.input.Held = map[spec.ID]bool{volumeID("thick"): true}
			waits := map[StepID]bool{}
			for _, s := range n.plan().Steps {
				waits[s.ID] = n.input.Held[s.Object] && !s.AtOnce || slices.ContainsFunc(s.Needs, func(q StepID) bool { return waits[q] })
				Expect(waits[s.ID] && s.Object == exportID("db")).To(BeFalse(), "after %d steps: %s", done, s.Change)
			}
		}
	})
})
