package plan_test

import (
	"errors"
	"maps"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// cutover is something for which a target is taken down for a moment.
type cutover struct {
	name   string
	target observe.TargetID
	volume string
	begin  func() *Node
}

// cutovers are all ways in which another logical volume comes in the place of a Volume's.
func cutovers() []cutover {
	iscsi := observe.TargetID{Fabric: observe.ISCSI, Name: IQN}
	nvme := observe.TargetID{Fabric: observe.NVMe, Name: "nqn.2026-11.io.volreconciler:db"}
	overNVMe := func(n *Node) *Node {
		exports := n.Declared.Exports
		n.Declared.Exports = nil
		n.Input.LastDeclared = map[spec.ID]time.Time{ExportID("db"): n.Input.Now.Add(-time.Hour)}
		n.Settle()
		n.Declared.Exports = exports
		n.EditExport(func(e *spec.ExportSpec) {
			e.Protocol, e.Target, e.Portals = spec.ProtocolNVMeTCP, nvme.Name, []string{"0.0.0.0:4420", "[::1]:4421"}
			e.Initiators = []spec.Initiator{{Name: nvmeHosts[0]}, {Name: nvmeHosts[1]}}
		})
		return n.Settle()
	}
	move := func(n *Node) *Node {
		n.MoveTo("thick", "fast")
		return n
	}
	revert := func() *Node {
		n := Movable()
		n.Declared.Snapshots = map[string]spec.Snapshot{"nightly": {Metadata: Meta("nightly"), Spec: spec.SnapshotSpec{Volume: "data", DeletionPolicy: spec.Delete}}}
		n.Settle()
		v := n.Declared.Volumes["data"]
		v.Spec.Revert = &spec.Revert{Snapshot: "nightly", Request: "one"}
		n.Declared.Volumes["data"] = v
		return n
	}
	return []cutover{
		{"a move over iSCSI", iscsi, "thick", func() *Node { return move(Movable()) }},
		{"a move over NVMe", nvme, "thick", func() *Node { return move(overNVMe(Movable())) }},
		{"a move with initiators that nobody lists", iscsi, "thick", func() *Node {
			n := Movable()
			n.EditExport(func(e *spec.ExportSpec) { e.AllowAnyInitiator, e.Initiators = true, nil })
			return move(n.Settle())
		}},
		{"a revert", iscsi, "data", revert},
		{"a revert beside a session that does not see the volume", iscsi, "data", func() *Node {
			n := revert()
			n.EditExport(func(e *spec.ExportSpec) {
				e.Initiators[1].LUNs = []int{1}
			})
			n.Input.Declared = n.Declared
			v := n.Declared.Volumes["data"]
			request := v.Spec.Revert
			v.Spec.Revert = nil
			n.Declared.Volumes["data"] = v
			n.Settle()
			v.Spec.Revert = request
			n.Declared.Volumes["data"] = v
			n.EditACL(IQN, "iqn.1993-08.org.debian:01:open", func(a *observe.ACL) { a.LoggedIn = true })
			return n
		}},
	}
}

// atEveryMoment runs something for each number of steps of a cutover that are done, and of
// those of the pass after it.
func atEveryMoment(c cutover, f func(n *Node, before observe.Target, moment int)) {
	GinkgoHelper()
	for moment, left := 0, true; left; moment++ {
		n := c.begin()
		before, _ := n.Copy().Target(c.target)
		for range 10 {
			n.Input.Known = Learned(n.Input.Known, n.Declared, n.State)
			if slices.Contains(kinds(n.Plan()), "Cutover") {
				break
			}
			n.Pass(-1)
		}
		Expect(kinds(n.Plan())).To(ContainElement("Cutover"), c.name)
		steps := len(n.Plan().Steps)
		n.Pass(moment)
		if moment > steps {
			after := n.Plan()
			n.Pass(moment - steps)
			left = moment-steps < len(after.Steps)
		}
		f(n, before, moment)
	}
}

// expectAsBefore expects that initiators find what they saw, and all of it.
func expectAsBefore(n *Node, c cutover, before observe.Target, moment int) {
	GinkgoHelper()
	now, _ := n.State.Target(c.target)
	for t := range 2 { // who is logged in is for them to say
		of := []*observe.Target{&before, &now}[t]
		of.ACLs = maps.Clone(of.ACLs)
		for name, acl := range of.ACLs {
			acl.LoggedIn = false
			of.ACLs[name] = acl
		}
		for number, l := range of.LUNs { // names change
			l.Device = ""
			of.LUNs[number] = l
		}
	}
	Expect(now).To(Equal(before), "%s, after %d steps", c.name, moment)
	lvs := counting(n, c.volume)
	Expect(lvs).To(HaveLen(1))
	if b, exists := NewIndex(n.State, Ownership{}).Backstore(VolumeID(c.volume)); exists {
		Expect(BoundTo(b, lvs[0])).To(BeTrue(), "%s, after %d steps: the current one is shown", c.name, moment)
		Expect(b.Serial).To(Equal(ondisk.UnitSerial(lvs[0].Identity())))
	} else {
		Expect(lvs[0].Open).To(BeTrue(), "%s, after %d steps: the current one is shown", c.name, moment)
	}
}

var _ = DescribeTable("Make gives back what a cutover took from a target, though its Export", func(happens func(*Node, cutover)) {
	for _, c := range cutovers() {
		for _, restarts := range []bool{false, true} {
			atEveryMoment(c, func(n *Node, before observe.Target, moment int) {
				happens(n, c)
				if restarts {
					n.Restart()
				}
				for _, steps := range []int{1, 1, 2, -1, -1} { // it dies on the way back, too
					n.Pass(steps)
				}
				expectAsBefore(n, c, before, moment)
				n.Input.Known = Learned(n.Input.Known, n.Declared, n.State)
				Expect(n.Input.Known[ExportID("db")].Interrupted).To(BeEmpty())
			})
		}
	}
},
	Entry("is as it was", func(*Node, cutover) {}),
	Entry("names a password file that is gone", func(n *Node, _ cutover) {
		if len(n.Declared.Exports["db"].Spec.Initiators) > 0 && n.Declared.Exports["db"].Spec.Initiators[0].Auth != nil {
			n.SetPassword("")
		}
		e := n.Declared.Exports["db"].Spec
		n.Withhold(&e)
	}),
	Entry("has the target of another one, of which neither is acted on", func(n *Node, _ cutover) {
		e := n.Declared.Exports["db"].Spec
		n.Withhold(&e)
		n.Declared.Invalid[ExportID("other")] = errors.New("has the same target")
		n.Declared.Withheld["other"] = spec.Export{Metadata: Meta("other"), Spec: e}
	}),
	Entry("is defined twice, or broken, and what it says is not known", func(n *Node, _ cutover) { n.Withhold(nil) }),
	Entry("offers a Volume whose file is gone, which was cut over", func(n *Node, c cutover) {
		e := n.Declared.Exports["db"].Spec
		n.UndeclareInDoubt(c.volume)
		n.Declared.Snapshots = nil
		n.Withhold(&e)
	}),
	Entry("offers a Volume whose file is gone, which was not", func(n *Node, c cutover) {
		e := n.Declared.Exports["db"].Spec
		n.UndeclareInDoubt(map[string]string{"thick": "data", "data": "thick"}[c.volume])
		n.Withhold(&e)
	}),
	Entry("offers a Volume that is invalid, like itself", func(n *Node, c cutover) {
		n.UndeclareInDoubt(c.volume)
		n.Declared.Snapshots = nil
		n.Withhold(nil)
		n.Declared.Invalid[VolumeID(c.volume)] = errors.New("its Pool is invalid")
	}),
	Entry("offers a Volume that is invalid", func(n *Node, c cutover) {
		n.UndeclareInDoubt(c.volume)
		n.Declared.Snapshots = nil
		n.Declared.Invalid = map[spec.ID]error{VolumeID(c.volume): errors.New("its Pool is invalid")}
	}),
	Entry("is suspended", func(n *Node, _ cutover) { n.SuspendExport() }),
	Entry("is suspended, while another file is broken", func(n *Node, _ cutover) {
		n.SuspendExport()
		n.Declared.Complete = false
	}),
	Entry("offers what is suspended, and is invalid", func(n *Node, c cutover) {
		v := n.Declared.Volumes[c.volume]
		v.Metadata.Annotations = map[string]string{spec.AnnotationReconcile: "suspended"}
		n.Declared.Volumes[c.volume] = v
		n.Withhold(nil)
	}),
	Entry("is invalid, and the cutover failed and waits for its next attempt", func(n *Node, c cutover) {
		n.Withhold(nil)
		n.Input.BackingOff = map[spec.ID]bool{VolumeID(c.volume): true}
	}),
)

// closedByCutover returns a node whose agent died when nothing but the names was left to be done.
func closedByCutover() *Node {
	GinkgoHelper()
	c := cutovers()[0]
	var at *Node
	atEveryMoment(c, func(n *Node, _ observe.Target, moment int) {
		if moment == 3 {
			at = n
		}
	})
	Expect(at.State.LIO.ISCSI[IQN]).To(And(HaveField("Enabled", false), HaveField("LUNs", HaveLen(1))))
	return at
}

// expectClosed expects that the target stays as it is, and that its Export says why.
func expectClosed(happens func(*Node), says string) {
	GinkgoHelper()
	n := closedByCutover()
	happens(n)
	before := n.State.LIO.ISCSI[IQN]
	var p Plan
	for range 3 {
		p = n.Pass(-1)
		Expect(kinds(p)).NotTo(ContainElement(BeElementOf("EnableTarget", "MapLUN", "DisableTarget")))
	}
	n.Restart()
	known := n.Input.Known
	Expect(n.Pass(-1).Steps).To(BeEmpty(), "nothing is planned over and over")
	Expect(n.Input.Known).To(Equal(known), "nor written")
	Expect(n.State.LIO.ISCSI[IQN].Enabled).To(BeFalse())
	Expect(n.State.LIO.ISCSI[IQN].ACLs).To(Equal(before.ACLs))
	if says != "" {
		Expect(ObjectOf(p, ExportID("db")).Message).To(And(ContainSubstring("target "+IQN+", which is still closed"), ContainSubstring(says)))
	}
}

var _ = Describe("Make and a target that a cutover closed, in doubt", func() {
	DescribeTable("leaves it closed", expectClosed,
		Entry("to an initiator that the file does not admit any more", func(n *Node) {
			e := n.Declared.Exports["db"].Spec
			e.Initiators = e.Initiators[:1]
			n.Withhold(&e)
		}, "it admits iqn.1993-08.org.debian:01:open"),
		Entry("to an initiator that was removed before it became unknown what the file says", func(n *Node) {
			n.EditExport(func(e *spec.ExportSpec) { e.Initiators = e.Initiators[:1] })
			n.Pass(0)
			n.Withhold(nil)
		}, "it admits iqn.1993-08.org.debian:01:open"),
		Entry("to an initiator that somebody else admitted meanwhile", func(n *Node) {
			n.EditTarget(IQN, func(t *observe.Target) { t.ACLs["iqn.2026-11.com.example:new"] = observe.ACL{} })
			n.Withhold(nil)
		}, "it admits iqn.2026-11.com.example:new"),
		Entry("to any initiator, which somebody else let in", func(n *Node) {
			n.EditTarget(IQN, func(t *observe.Target) { t.Attrib.GenerateNodeACLs = true })
			n.Withhold(nil)
		}, "any initiator"),
		Entry("when the file asks for another target", func(n *Node) {
			e := n.Declared.Exports["db"].Spec
			e.Target += "2"
			n.Withhold(&e)
		}, "the file declares target "+IQN+"2"),
		Entry("when the logical volume is gone", func(n *Node) {
			delete(n.LVs("vg0"), "thick")
			n.Withhold(nil)
		}, "LUN 1: Volume/thick"),
		Entry("when it is half put back to a snapshot", func(n *Node) {
			n.Edit("vg0/thick", func(lv *observe.LogicalVolume) {
				lv.Tags = append(lv.Tags, ondisk.PhaseTag(ondisk.Reverting), ondisk.TagCheckpoint+"x:1")
			})
			n.Withhold(nil)
		}, "LUN 1: Volume/thick"),
		Entry("when it is another one", func(n *Node) {
			n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.UUID = "another" })
			delete(n.Input.Known, VolumeID("thick"))
			n.Withhold(nil)
		}, "LUN 1: Volume/thick"),
		Entry("when somebody gave its number to another one", func(n *Node) {
			n.EditTarget(IQN, func(t *observe.Target) { t.LUNs[1] = t.LUNs[0] })
			n.Withhold(nil)
		}, "its LUN 1 may not show all of"),
		Entry("when another LUN is bound to something else", func(n *Node) {
			for path, b := range n.State.LIO.Backstores {
				b.Serial = "other"
				n.State.LIO.Backstores[path] = b
			}
			n.Withhold(nil)
		}, "its LUN 0 may not show all of"),
		Entry("when LVM cannot be read", func(n *Node) {
			n.State.Unknown = map[observe.System]error{observe.LVM: errors.New("it is locked")}
			n.State.VolumeGroups = map[string]observe.VolumeGroup{}
			n.Withhold(nil)
		}, "may not show all of"),
		Entry("when the mark on it is gone", func(n *Node) {
			n.EditTarget(IQN, func(t *observe.Target) { t.Mark = "somebody's" })
			n.Withhold(nil)
		}, "no longer has the mark"),
		Entry("when nothing says that it was the agent who closed it", func(n *Node) {
			known := n.Input.Known[ExportID("db")]
			known.Interrupted = nil
			n.Input.Known[ExportID("db")] = known
			n.Withhold(nil)
		}, ""),
		Entry("when no file names its Export any more", func(n *Node) {
			n.Declared.Exports = nil
			n.Input.LastDeclared = map[spec.ID]time.Time{ExportID("db"): n.Input.Now}
		}, ""),
		Entry("when no file names its Export any more, and another one is broken", func(n *Node) {
			n.Declared.Exports = nil
			n.Declared.Complete = false
		}, ""),
	)
	It("leaves a namespace alone that became another one meanwhile", func() {
		c := cutovers()[1]
		atEveryMoment(c, func(n *Node, _ observe.Target, moment int) {
			if t := n.State.NVMe[c.target.Name]; len(t.Portals) > 0 || t.LUNs[1].Device != "" {
				return
			}
			n.EditTargetOf(c.target, func(t *observe.Target) { t.LUNs[1] = t.LUNs[0] })
			n.Withhold(nil)
			for range 3 {
				Expect(kinds(n.Pass(-1))).NotTo(ContainElement("AddPortal"), "after %d steps", moment)
			}
		})
	})
	It("gives back only what the file still asks for", func() {
		n := closedByCutover()
		e := n.Declared.Exports["db"].Spec
		e.Initiators = slices.Clone(e.Initiators)
		e.Initiators[1].LUNs = []int{0}
		n.Withhold(&e)
		n.Pass(-1)
		n.Pass(-1)
		t := n.State.LIO.ISCSI[IQN]
		Expect(t.Enabled).To(BeTrue())
		Expect(t.LUNs).To(HaveLen(2))
		Expect(t.ACLs[Initiator].LUNs).To(HaveKey(1))
		Expect(t.ACLs["iqn.1993-08.org.debian:01:open"].LUNs).NotTo(HaveKey(1))
	})
	It("does not open what somebody closed who is not the agent", func() {
		n := Movable()
		n.Withhold(nil)
		n.EditTarget(IQN, func(t *observe.Target) { t.Enabled = false })
		Expect(n.Pass(-1).Steps).To(BeEmpty())
	})
	It("waits while the cutover goes on", func() {
		n := closedByCutover()
		n.Input.Busy = map[string]bool{change.Cutover{Staged: change.LV{VolumeGroup: "vg0", Name: "volreconciler-moved-thick"}}.Lane(): true}
		n.Withhold(nil)
		Expect(n.Pass(-1).Steps).To(BeEmpty())
	})
	It("opens the target before the Export is planned again, and after that plans nothing twice", func() {
		n := closedByCutover()
		valid := n.Declared
		n.Withhold(nil)
		for range 3 {
			n.Pass(-1)
		}
		n.Declared = valid
		n.Declared.Invalid = map[spec.ID]error{}
		for range 12 {
			n.Pass(-1)
		}
		Expect(n.Pass(-1).Steps).To(BeEmpty())
		Expect(n.State.LIO.ISCSI[IQN].LUNs).To(HaveLen(2))
		Expect(n.LVsOfVolume("thick")).To(Equal([]string{"vg0/thick"}))
	})
})
