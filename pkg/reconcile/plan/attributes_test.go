package plan_test

import (
	"maps"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Make and the attributes of an Export", func() {
	// withAttributes is a machine in memory with an iSCSI export of the volume.
	withAttributes := func(attributes map[string]string) *fcNode {
		n := newFCNode()
		e := n.input.Declared.Exports["db"]
		e.Spec.Protocol, e.Spec.Target, e.Spec.Portals = spec.ProtocolISCSI, IQN, []string{"10.0.0.1:3260"}
		e.Spec.Initiators, e.Spec.Attributes = []spec.Initiator{{Name: Initiator}}, attributes
		n.input.Declared.Exports["db"] = e
		return n
	}
	have := func(n *fcNode) map[string]string {
		all := maps.Clone(n.input.Observed.LIO.ISCSI[IQN].Attributes)
		for _, b := range n.input.Observed.LIO.Backstores {
			maps.Copy(all, b.Attributes)
		}
		return all
	}
	ask := func(n *fcNode, attributes map[string]string) {
		e := n.input.Declared.Exports["db"]
		e.Spec.Attributes = attributes
		n.input.Declared.Exports["db"] = e
	}

	It("sets them, corrects them, and gives the defaults back", func(ctx SpecContext) {
		asked := map[string]string{"MaxOutstandingR2T": "8", "DataDigest": "None", "default_cmdsn_depth": "128", "emulate_caw": "0", "queue_depth": "64"}
		n := withAttributes(asked)
		n.converge(ctx)
		for name, value := range asked {
			Expect(have(n)).To(HaveKeyWithValue(name, value))
		}
		dir := observe.ISCSITarget(IQN)
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
		Expect(ChangesIn(p)).To(ContainElement("set queue_depth of backstore iblock_900/volreconciler:volume:data to 64"))
		for _, s := range p.Steps {
			if s.Change.String() == "add LUN 0 to "+IQN+": iblock_900/volreconciler:volume:data" {
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
		Expect(n.Login(IQN, Initiator)).To(Succeed())
		ask(n, map[string]string{"queue_depth": "64", "FirstBurstLength": "131072"})
		p := n.converge(ctx)
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Blocked, status.ReasonSessionsActive))
		Expect(ObjectOf(p, ExportID("db")).Message).To(ContainSubstring(Initiator))
		Expect(have(n)).To(And(HaveKeyWithValue("FirstBurstLength", "131072"), HaveKeyWithValue("queue_depth", "128")))
		Expect(n.Logout(IQN, Initiator)).To(Succeed())
		Expect(ObjectOf(n.converge(ctx), ExportID("db"))).To(BeIn(status.Ready, status.ReasonAsDesired))
		Expect(have(n)).To(HaveKeyWithValue("queue_depth", "64"))
		Expect(n.input.Observed.LIO.ISCSI[IQN].ACLs[Initiator].LUNs).To(HaveKey(0))
	})

	It("does nothing about what two Exports of a volume do not agree on", func(ctx SpecContext) {
		n := withAttributes(map[string]string{"emulate_tas": "0"})
		other := n.input.Declared.Exports["db"]
		other.Metadata, other.Spec.Target, other.Spec.Attributes = Meta("web"), IQN+"2", map[string]string{"emulate_tas": "1"}
		n.input.Declared.Exports["web"] = other
		p := n.converge(ctx)
		for _, name := range []string{"db", "web"} {
			Expect(ObjectOf(p, ExportID(name))).To(BeIn(status.Blocked, status.ReasonInvalid))
			Expect(ObjectOf(p, ExportID(name)).Message).To(Equal("attribute emulate_tas of Volume/data must be the same in all its Exports, but differs in db, web. Set one value in all of them"))
		}
		Expect(n.input.Observed.LIO.ISCSI).To(HaveLen(2))
		other.Spec.Attributes = nil
		n.input.Declared.Exports["web"] = other
		p = n.converge(ctx)
		Expect(ObjectOf(p, ExportID("web"))).To(BeIn(status.Ready, status.ReasonAsDesired))
		Expect(have(n)).To(HaveKeyWithValue("emulate_tas", "0"))
	})

	It("are set at once before a Volume is served again whose move failed, wherever that was", func() {
		for done := 0; ; done++ {
			n := Movable()
			e := n.Declared.Exports["db"]
			e.Spec.Attributes = map[string]string{"queue_depth": "64"}
			n.Declared.Exports["db"] = e
			n.MoveTo("thick", "fast")
			p := n.Plan()
			for !slices.Contains(kinds(p), "Cutover") {
				n.Apply(p)
				p = n.Plan()
			}
			if done == len(p.Steps) {
				break
			}
			for _, s := range p.Steps[:done] {
				n.Change(s.Change)
			}
			for path, b := range n.State.LIO.Backstores {
				b.Attributes = map[string]string{"queue_depth": "128"}
				n.State.LIO.Backstores[path] = b
			}
			n.Input.BackingOff = map[spec.ID]bool{VolumeID("thick"): true}
			waits := map[StepID]bool{}
			for _, s := range n.Plan().Steps {
				waits[s.ID] = n.Input.BackingOff[s.Object] && !s.AtOnce || slices.ContainsFunc(s.Needs, func(q StepID) bool { return waits[q] })
				Expect(waits[s.ID] && s.Object == ExportID("db")).To(BeFalse(), "after %d steps: %s", done, s.Change)
			}
		}
	})
})
