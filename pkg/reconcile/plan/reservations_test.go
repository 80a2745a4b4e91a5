package plan_test

import (
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("A persistent reservation", func() {
	var n *Node
	register := func(volume, initiator string, kept bool) {
		n.EditBackstore("volume:"+volume, func(b *observe.Backstore) {
			b.Registrations = append(b.Registrations, observe.Registration{Initiator: initiator, SID: "00023d000001", Key: 0xabc, Kept: kept})
		})
	}
	empty := func(volume string) {
		n.EditBackstore("volume:"+volume, func(b *observe.Backstore) { b.Registrations = nil })
	}
	takes := ContainElement(BeElementOf("RemoveLUN", "UnmapLUN", "RemoveInitiator", "RemoveTarget", "RemoveBackstore", "DisableTarget", "Cutover"))
	blocked := BeIn(status.Blocked, status.ReasonReservationsActive)

	DescribeTable("is not lost to what somebody edits, unless it is forced", func(edit func(*spec.ExportSpec)) {
		n = Converged()
		register("data", Initiator, true)
		e := n.Declared.Exports["db"]
		e.Spec.LUNs, e.Spec.Initiators = slices.Clone(e.Spec.LUNs), slices.Clone(e.Spec.Initiators)
		edit(&e.Spec)
		n.Declared.Exports["db"] = e
		p := n.Plan()
		Expect(kinds(p)).NotTo(takes)
		Expect(ObjectOf(p, ExportID("db"))).To(And(blocked, HaveField("Message", And(ContainSubstring(Initiator+" (key 0xabc)"), ContainSubstring("sg_persist")))))

		e.Spec.Disconnect = spec.DisconnectForce
		n.Declared.Exports["db"] = e
		Expect(kinds(n.Plan())).To(takes)

		e.Spec.Disconnect = ""
		n.Declared.Exports["db"] = e
		n.EditBackstore("volume:data", func(b *observe.Backstore) { b.Registrations[0].Target = "iqn.2003-01.org.example:other" })
		Expect(kinds(n.Plan())).To(takes, "it was made by another target, and lasts")
		empty("data")
		Expect(kinds(n.Plan())).To(takes)
	},
		Entry("a LUN that is taken out", func(e *spec.ExportSpec) { e.LUNs = e.LUNs[1:] }),
		Entry("another number", func(e *spec.ExportSpec) { e.LUNs[0].Number = Ptr(9) }),
		Entry("another volume under its number", func(e *spec.ExportSpec) {
			v := n.Declared.Volumes["thick"]
			v.Metadata.Name, v.Spec.LVName = "another", "another"
			n.Declared.Volumes["another"] = v
			e.LUNs[0].Volume = "another"
		}),
		Entry("the initiator that is taken out", func(e *spec.ExportSpec) {
			e.Initiators = slices.DeleteFunc(e.Initiators, func(i spec.Initiator) bool { return i.Name == Initiator })
		}),
		Entry("what the initiator sees", func(e *spec.ExportSpec) {
			i := slices.IndexFunc(e.Initiators, func(i spec.Initiator) bool { return i.Name == Initiator })
			for _, l := range e.LUNs[1:] {
				e.Initiators[i].LUNs = append(e.Initiators[i].LUNs, *l.Number)
			}
		}),
	)

	It("of another initiator keeps nobody from being taken out", func() {
		n = Converged()
		register("data", "iqn.2000-01.a.b:other", true)
		e := n.Declared.Exports["db"]
		e.Spec.Initiators = []spec.Initiator{{Name: "iqn.2000-01.a.b:other"}}
		n.Declared.Exports["db"] = e
		Expect(kinds(n.Plan())).To(ContainElement("RemoveInitiator"))
	})

	It("keeps the target of an Export that no file names", func() {
		n = Converged()
		register("data", Initiator, true)
		delete(n.Declared.Exports, "db")
		p := n.Plan()
		Expect(kinds(p)).To(ConsistOf("SetAuth", "RemoveInitiator"), "who made it is not let in again, nor is the other one")
		Expect(ObjectOf(p, ExportID("db"))).To(blocked)
		empty("data")
		Expect(kinds(n.Plan())).To(ContainElement("RemoveTarget"))
	})

	DescribeTable("and a move", func(of string, kept bool, takesPlace bool) {
		n = Movable()
		n.LogIn()
		n.MoveTo("thick", "fast")
		register("thick", of, kept)
		var p plan.Plan
		for range 4 {
			p = n.Plan()
			if slices.Contains(kinds(p), "Cutover") {
				break
			}
			n.Apply(p)
		}
		if takesPlace {
			Expect(kinds(p)).To(takes)
			return
		}
		Expect(kinds(p)).NotTo(takes)
		Expect(ObjectOf(p, VolumeID("thick"))).To(And(blocked, HaveField("Message", ContainSubstring("APTPL"))))
	},
		Entry("goes on if the kernel keeps it", Initiator, true, true),
		Entry("waits if it does not", Initiator, false, false),
		Entry("waits if it is of somebody without an access list, who would not have it back", "iqn.2000-01.a.b:unlisted", true, false),
	)
})

var _ = Describe("A backstore with another serial, as an old saveconfig.json restores it,", func() {
	var n *Node
	BeforeEach(func() {
		n = Converged()
		n.EditBackstore("volume:data", func(b *observe.Backstore) { b.Serial = "4711" })
	})

	It("is made anew while nobody is connected", func() {
		n.Converge()
		b := n.State.LIO.Backstores[n.BackstorePath("volreconciler:volume:data")]
		Expect(b.Serial).NotTo(Equal("4711"))
		Expect(b.ReadOnly).To(BeFalse())
		Expect(n.State.LIO.ISCSI[IQN]).To(And(HaveField("Enabled", true), HaveField("LUNs", HaveLen(3))))
		for _, o := range n.Plan().Objects {
			Expect(o.Phase).To(Equal(status.Ready), "%s: %s", o.ID(), o.Message)
		}
	})
	DescribeTable("stays", func(because func()) {
		because()
		Expect(kinds(n.Plan())).NotTo(ContainElement(BeElementOf("RemoveLUN", "RemoveBackstore", "DisableTarget")))
		Expect(ObjectOf(n.Plan(), VolumeID("data"))).To(BeIn(status.Blocked, status.ReasonBackstoreMismatch))
	},
		Entry("while somebody is connected", func() { n.LogIn() }),
		Entry("while anything is in doubt", func() { n.Declared.Complete = false }),
		Entry("while its Export is suspended", func() {
			e := n.Declared.Exports["db"]
			e.Metadata.Annotations = map[string]string{spec.AnnotationReconcile: "suspended"}
			n.Declared.Exports["db"] = e
			s := n.Declared.Exports["db"]
			s.Metadata.Name, s.Metadata.Annotations = "second", nil
			s.Spec.Target = "iqn.2026-11.io.volreconciler:second"
			n.Declared.Exports["second"] = s
		}),
	)
})

var _ = DescribeTable("A LUN that a crash left without a backstore, with which targetcli cannot save its configuration,", func(more func(*Node)) {
	n := Converged()
	n.Declared.Volumes["copy"] = spec.Volume{Metadata: Meta("copy"), Spec: spec.VolumeSpec{Pool: "fast", Size: 4 * MiB, LVName: "copy", DeletionPolicy: spec.Delete}}
	n.EditExport(func(e *spec.ExportSpec) { e.LUNs = append(e.LUNs, spec.LUN{Volume: "copy", Number: Ptr(9)}) })
	n.State.LIO.ISCSI[IQN].LUNs[9] = observe.TargetLUN{}
	more(n)
	removed := slices.ContainsFunc(n.Plan().Steps, func(s plan.Step) bool {
		c, is := s.Change.(change.RemoveLUN)
		return is && c.LUN == 9 && len(s.Needs) == 0
	})
	Expect(removed).To(BeTrue(), "it is removed, whatever becomes of its volume: %s", ChangesIn(n.Plan()))

	delete(n.State.LIO.ISCSI[IQN].LUNs, 9)
	n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LUNs[9] = observe.MappedLUN{LUN: -1} })
	removed = slices.ContainsFunc(n.Plan().Steps, func(s plan.Step) bool {
		c, is := s.Change.(change.UnmapLUN)
		return is && c.LUN == 9 && len(s.Needs) == 0
	})
	Expect(removed).To(BeTrue(), "a mapping that was left empty is too: %s", ChangesIn(n.Plan()))
},
	Entry("does not wait for its volume to be made", func(*Node) {}),
	Entry("does not wait for a volume that cannot be made", func(n *Node) {
		v := n.Declared.Volumes["copy"]
		v.Spec.Pool = "none"
		n.Declared.Volumes["copy"] = v
	}),
)

var _ = DescribeTable("A backstore in another mode than its logical volume, after lvchange --permission,", func(readOnly bool) {
	n := Converged()
	permit := func(readOnly bool) {
		n.Edit("vg0/data", func(lv *observe.LogicalVolume) { lv.ReadOnly = readOnly })
	}
	if !readOnly {
		permit(true)
		n.Converge()
	}
	permit(readOnly)
	n.LogIn()
	Expect(kinds(n.Plan())).NotTo(ContainElement(BeElementOf("RemoveLUN", "RemoveBackstore", "DisableTarget")), "while somebody is connected")
	Expect(ObjectOf(n.Plan(), VolumeID("data"))).To(BeIn(status.Blocked, status.ReasonBackstoreMismatch))

	n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LoggedIn = false })
	n.Converge()
	Expect(n.State.LIO.Backstores[n.BackstorePath("volreconciler:volume:data")].ReadOnly).To(Equal(readOnly))
	Expect(n.State.LIO.ISCSI[IQN]).To(And(HaveField("Enabled", true), HaveField("LUNs", HaveLen(3))))
	for _, o := range n.Plan().Objects {
		Expect(o.Phase).To(Equal(status.Ready), "%s: %s", o.ID(), o.Message)
	}
},
	Entry("is made read-only when nobody is connected", true),
	Entry("is made writable when nobody is connected", false),
)

var _ = Describe("The product id of a disk", func() {
	productOf := func(p plan.Plan, volume string) string {
		GinkgoHelper()
		for _, s := range p.Steps {
			if c, is := s.Change.(change.CreateBackstore); is && c.Name == "volreconciler:"+volume {
				return c.Product
			}
		}
		Fail("no backstore is created for " + volume)
		return ""
	}
	reboot := func(n *Node) {
		n.State.LIO = observe.Targets{Backstores: map[string]observe.Backstore{}, ISCSI: map[string]observe.Target{}}
		for name := range n.LVs("vg0") {
			n.Edit("vg0/"+name, func(lv *observe.LogicalVolume) { lv.Active, lv.Open = lv.Type == observe.ThinPool, false })
		}
	}

	It("is the name of its object, and stays what it was", func() {
		n := NewNode()
		Expect(productOf(n.Plan(), "volume:data")).To(Equal("data"))
		Expect(productOf(n.Plan(), "snapshot:nightly")).To(Equal("nightly"))
		n.Converge()
		n.Edit("vg0/data", func(lv *observe.LogicalVolume) { // as a later version would choose it
			i := slices.Index(lv.Tags, "volreconciler/product=data")
			lv.Tags = slices.Clone(lv.Tags)
			lv.Tags[i] = "volreconciler/product=before"
		})
		reboot(n)
		Expect(productOf(n.Plan(), "volume:data")).To(Equal("before"))
	})
	It("is the kernel's where initiators know it so, from older agents, or before it was adopted", func() {
		n := Converged()
		for name := range n.LVs("vg0") {
			n.Edit("vg0/"+name, func(lv *observe.LogicalVolume) {
				lv.Tags = slices.DeleteFunc(slices.Clone(lv.Tags), func(t string) bool { return strings.HasPrefix(t, ondisk.TagProduct) })
			})
		}
		Expect(n.Plan().Steps).To(BeEmpty())
		reboot(n)
		Expect(productOf(n.Plan(), "volume:data")).To(BeEmpty())
	})
	It("goes with a volume that moves", func() {
		n := Movable()
		n.MoveTo("thick", "fast")
		n.Converge()
		Expect(n.LVs("vg0")["thick"].Tags).To(ContainElement("volreconciler/product=thick"))
	})
})
