package plan_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("An Export by tgtd", func() {
	onTGT := fabricsUnderTest[2]
	var n *Node
	BeforeEach(func() {
		n = nodeOver(onTGT)
		n.Converge()
		n.Remember()
	})
	chap := func(username, password string) *spec.Auth {
		return &spec.Auth{CHAP: &spec.Credentials{Username: username, Password: spec.NewSecret(password)}}
	}
	withMutual := func(username, password string) *spec.Auth {
		a := chap("u", "secretsecret")
		a.Mutual = &spec.Credentials{Username: username, Password: spec.NewSecret(password)}
		return a
	}

	DescribeTable("is not served more openly than it asks for",
		func(edit func(e *spec.ExportSpec), why string) {
			n.EditExport(edit)
			p := n.Plan()
			Expect(p.Steps).To(BeEmpty())
			Expect(ObjectOf(p, ExportID("db"))).To(And(BeIn(status.Blocked, status.ReasonUnsupported), HaveField("Message", ContainSubstring(why))))
		},
		Entry("over another protocol", func(e *spec.ExportSpec) { e.Protocol = spec.ProtocolISER }, "cannot serve protocol iser"),
		Entry("with attributes", func(e *spec.ExportSpec) { e.Attributes = map[string]string{"MaxBurstLength": "65536"} }, "spec.attributes"),
		Entry("a LUN that initiators would not find", func(e *spec.ExportSpec) { e.LUNs[0].Number = new(255) }, "from 0 to 254"),
		Entry("a password for some", func(e *spec.ExportSpec) { e.Initiators[1].Auth = nil }, "password, or none"),
		Entry("read-only for some", func(e *spec.ExportSpec) { e.Initiators[1].ReadOnly = true }, "one value per LUN"),
		Entry("LUNs for some", func(e *spec.ExportSpec) { e.Initiators[1].LUNs = []int{0} }, "must not see every LUN"),
		Entry("two passwords for a user", func(e *spec.ExportSpec) { e.Initiators[1].Auth = chap("u", "anothersecret") }, "two passwords"),
		Entry("two ways to prove itself", func(e *spec.ExportSpec) {
			e.Initiators[0].Auth, e.Initiators[1].Auth = withMutual("t", "targetsecret"), withMutual("t2", "targetsecret")
		}, "one account to authenticate with"),
		Entry("a user for both directions", func(e *spec.ExportSpec) { e.Initiators[0].Auth = withMutual("u", "targetsecret") }, "two passwords"),
	)

	It("has LUNs up to 254", func() {
		n.EditExport(func(e *spec.ExportSpec) { e.LUNs[0].Number = new(254) })
		Expect(ObjectOf(n.Plan(), ExportID("db"))).NotTo(HaveField("Reason", status.ReasonUnsupported))
	})

	It("has users and passwords of its own, and what it proves itself with", func() {
		n.EditExport(func(e *spec.ExportSpec) {
			e.Initiators[0].Auth, e.Initiators[1].Auth = withMutual("t", "targetsecret"), chap("v", "anothersecret")
		})
		Expect(ChangesIn(n.Plan())).To(HaveExactElements("ask initiators of " + IQN + " for a password, as user u, v, and authenticate to them as t"))
		n.Converge()
		n.EditTargetOf(onTGT.target, func(t *observe.Target) { t.Accounts = t.Accounts[:2] })
		Expect(ChangesIn(n.Plan())).To(HaveLen(1))
	})

	It("stays closed to strangers when it asks for no password any more", func() {
		n.EditTargetOf(onTGT.target, func(t *observe.Target) { t.ACLs["stranger"] = observe.ACL{Initiator: "stranger", LoggedIn: true} })
		n.EditExport(func(e *spec.ExportSpec) { e.Initiators[0].Auth, e.Initiators[1].Auth = nil, nil })
		p := n.Plan()
		Expect(ChangesIn(p)).To(HaveExactElements("remove initiator stranger from " + IQN + ", without ending its session"))
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Blocked, status.ReasonSessionsActive))
		n.EditTargetOf(onTGT.target, func(t *observe.Target) { t.ACLs["stranger"] = observe.ACL{Initiator: "stranger"} })
		p = n.Plan()
		Expect(ChangesIn(p)).To(HaveExactElements(HavePrefix("remove initiator stranger"), HaveSuffix("for no password")))
		Expect(p.Steps[1].Needs).To(ContainElement(p.Steps[0].ID))
		n.Converge()
		Expect(targetOf(n, onTGT).HasAuth(observe.TargetAuth{})).To(BeTrue())
	})

	It("admits nobody while a LUN is in it that is not for them", func() {
		n.EditTargetOf(onTGT.target, func(t *observe.Target) { t.DynamicSessions = []string{"somebody"} })
		n.EditExport(func(e *spec.ExportSpec) {
			e.LUNs = e.LUNs[:1]
			e.Initiators = append(e.Initiators, spec.Initiator{Name: "iqn.2026-11.org.example:new", Auth: e.Initiators[0].Auth})
		})
		Expect(ChangesIn(n.Plan())).NotTo(ContainElement(HavePrefix("admit")))
		n.EditTargetOf(onTGT.target, func(t *observe.Target) { t.DynamicSessions = nil })
		Expect(ChangesIn(n.Plan())).To(HaveExactElements(HavePrefix("remove LUN 1"), HavePrefix("admit initiator iqn.2026-11.org.example:new")))
	})

	It("shows no new LUN to somebody who is not listed any more", func() {
		n.EditTargetOf(onTGT.target, func(t *observe.Target) {
			t.ACLs["stranger"] = observe.ACL{Initiator: "stranger", LoggedIn: true}
			delete(t.LUNs, 1)
		})
		p := n.Plan()
		Expect(ChangesIn(p)).To(HaveExactElements("remove initiator stranger from " + IQN + ", without ending its session"))
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Blocked, status.ReasonSessionsActive))
		for range 2 {
			n.Apply(n.Plan())
			Expect(targetOf(n, onTGT).LUNs).NotTo(HaveKey(1))
			Expect(ObjectOf(n.Plan(), ExportID("db"))).To(BeIn(status.Blocked, status.ReasonSessionsActive))
		}
		n.EditExport(func(e *spec.ExportSpec) { e.Disconnect = spec.DisconnectForce })
		p = n.Plan()
		Expect(ChangesIn(p)).To(HaveExactElements(HavePrefix("remove initiator stranger"), HavePrefix("add LUN 1")))
		Expect(p.Steps[1].Needs).To(ContainElement(p.Steps[0].ID))
	})

	It("is read-only for all, by its LUNs", func() {
		n.EditExport(func(e *spec.ExportSpec) { e.LUNs[1].ReadOnly = true })
		Expect(ChangesIn(n.Plan())).To(HaveExactElements("set write protection of LUN 1 of " + IQN + " to true"))
		n.Converge()
		n.EditExport(func(e *spec.ExportSpec) { e.Initiators[0].ReadOnly, e.Initiators[1].ReadOnly = true, true })
		Expect(ChangesIn(n.Plan())).To(HaveExactElements("set write protection of LUN 0 of " + IQN + " to true"))
		n.Converge()
		n.EditExport(func(e *spec.ExportSpec) {
			e.LUNs[1].ReadOnly, e.Initiators[0].ReadOnly, e.Initiators[1].ReadOnly = false, false, false
		})
		n.Converge()
		Expect(targetOf(n, onTGT).LUNs).To(HaveEach(HaveField("ReadOnly", false)))
	})

	It("comes online again when an interrupted change left it offline, once it asks for passwords", func() {
		n.EditTargetOf(onTGT.target, func(t *observe.Target) { t.Offline, t.Accounts, t.AuthMark = true, nil, "" })
		p := n.Plan()
		Expect(ChangesIn(p)).To(HaveExactElements(HavePrefix("ask initiators"), HavePrefix("enable target")))
		Expect(p.Steps[1].Needs).To(ContainElement(p.Steps[0].ID))
		n.Converge()
		Expect(targetOf(n, onTGT).Offline).To(BeFalse())
	})

	It("does not share a volume with the kernel's targets", func() {
		n.Input.TGT = false
		n.State.TGT = map[string]observe.Target{}
		for name := range n.LVs("vg0") {
			n.Edit("vg0/"+name, func(lv *observe.LogicalVolume) { lv.Open = false })
		}
		n.Converge()
		Expect(n.State.LIO.ISCSI).To(HaveLen(1))
		n.Remember()
		n.Input.TGT = true
		n.EditTarget(IQN, func(t *observe.Target) { t.DynamicSessions = []string{"somebody"} })
		p := n.Plan()
		Expect(ChangesIn(p)).NotTo(ContainElement(Or(HavePrefix("add LUN"), HavePrefix("remove"))))
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Blocked, status.ReasonInUse))
		n.EditTarget(IQN, func(t *observe.Target) { t.DynamicSessions = nil })
		n.Converge()
		Expect(n.State.LIO.ISCSI).To(BeEmpty())
		Expect(n.State.LIO.Backstores).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), ExportID("db"))).To(BeIn(status.Ready, status.ReasonAsDesired))
	})

	It("leaves a user's password to the export that has it", func() {
		second := n.Declared.Exports["db"]
		second.Metadata.Name = "a"
		second.Spec.Target = IQN + "2"
		second.Spec.LUNs = []spec.LUN{{Volume: "thick", Number: Ptr(0)}}
		second.Spec.Initiators = []spec.Initiator{{Name: Initiator, Auth: chap("u", "anothersecret")}}
		n.Declared.Exports["a"] = second
		p := n.Plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(ObjectOf(p, ExportID("a"))).To(BeIn(status.Blocked, status.ReasonUnsupported))
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Ready, status.ReasonAsDesired))
		n.EditExport(func(e *spec.ExportSpec) {
			e.Initiators[0].Auth, e.Initiators[1].Auth = chap("u", "anothersecret"), chap("u", "anothersecret")
		})
		n.Declared.Exports["a"] = second
		n.Converge()
		Expect(n.State.TGT).To(HaveLen(2))
	})

	It("listens where it must, and wherever tgtd does already", func() {
		n.EditExport(func(e *spec.ExportSpec) { e.Portals = []string{"10.0.0.1:3260", "[::]:3261"} })
		Expect(n.Plan().Steps).To(HaveExactElements(
			HaveField("Change", HaveField("Portal", "[::]:3261")), HaveField("Change", HaveField("Portal", "0.0.0.0:3261"))))
	})

	It("is opened to anybody without asking for a password", func() {
		n.EditExport(func(e *spec.ExportSpec) { e.AllowAnyInitiator, e.Initiators = true, nil })
		n.Converge()
		t := targetOf(n, onTGT)
		Expect(t.Attrib.GenerateNodeACLs).To(BeTrue())
		Expect(t.HasAuth(observe.TargetAuth{})).To(BeTrue())
		n.EditExport(func(e *spec.ExportSpec) {
			e.AllowAnyInitiator, e.Initiators = false, []spec.Initiator{{Name: Initiator, Auth: chap("u", "secretsecret")}}
		})
		p := n.Plan()
		Expect(p.Steps[0].Change).To(BeAssignableToTypeOf(change.SetAttributes{}))
		n.Converge()
		Expect(targetOf(n, onTGT).Attrib.GenerateNodeACLs).To(BeFalse())
	})
})
