package reconcile

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
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// cutover is something for which a target is taken down for a moment.
type cutover struct {
	name   string
	target observe.TargetID
	volume string
	begin  func() *node
}

// cutovers are all ways in which another logical volume comes in the place of a Volume's.
func cutovers() []cutover {
	iscsi := observe.TargetID{Fabric: observe.ISCSI, Name: iqn}
	nvme := observe.TargetID{Fabric: observe.NVMe, Name: "nqn.2026-11.io.volreconciler:db"}
	overNVMe := func(n *node) *node {
		exports := n.desired.Exports
		n.desired.Exports = nil
		n.input.LastNamed = map[spec.ID]time.Time{exportID("db"): n.input.Now.Add(-time.Hour)}
		n.settled()
		n.desired.Exports = exports
		n.editExport(func(e *spec.ExportSpec) {
			e.Protocol, e.Target, e.Portals = spec.ProtocolNVMeTCP, nvme.Name, []string{"0.0.0.0:4420", "[::1]:4421"}
			e.Initiators = []spec.Initiator{{Name: nvmeHosts[0]}, {Name: nvmeHosts[1]}}
		})
		return n.settled()
	}
	move := func(n *node) *node {
		n.moveTo("thick", "fast")
		return n
	}
	revert := func() *node {
		n := movable()
		n.desired.Snapshots = map[string]spec.Snapshot{"nightly": {Metadata: meta("nightly"), Spec: spec.SnapshotSpec{Volume: "data", DeletionPolicy: spec.Delete}}}
		n.settled()
		v := n.desired.Volumes["data"]
		v.Spec.Revert = &spec.Revert{Snapshot: "nightly", Request: "one"}
		n.desired.Volumes["data"] = v
		return n
	}
	return []cutover{
		{"a move over iSCSI", iscsi, "thick", func() *node { return move(movable()) }},
		{"a move over NVMe", nvme, "thick", func() *node { return move(overNVMe(movable())) }},
		{"a move with initiators that nobody lists", iscsi, "thick", func() *node {
			n := movable()
			n.editExport(func(e *spec.ExportSpec) { e.AllowAnyInitiator, e.Initiators = true, nil })
			return move(n.settled())
		}},
		{"a revert", iscsi, "data", revert},
		{"a revert beside a session that does not see the volume", iscsi, "data", func() *node {
			n := revert()
			n.editExport(func(e *spec.ExportSpec) {
				e.Initiators[1].LUNs = []int{1}
			})
			n.input.Desired = n.desired
			v := n.desired.Volumes["data"]
			request := v.Spec.Revert
			v.Spec.Revert = nil
			n.desired.Volumes["data"] = v
			n.settled()
			v.Spec.Revert = request
			n.desired.Volumes["data"] = v
			n.editACL(iqn, "iqn.1993-08.org.debian:01:open", func(a *observe.ACL) { a.LoggedIn = true })
			return n
		}},
	}
}

// atEveryMoment runs something for each number of steps of a cutover that are done, and of
// those of the pass after it.
func atEveryMoment(c cutover, f func(n *node, before observe.Target, moment int)) {
	GinkgoHelper()
	for moment, left := 0, true; left; moment++ {
		n := c.begin()
		before, _ := n.copy().Target(c.target)
		for range 10 {
			n.input.Known = Learn(n.input.Known, n.desired, n.state)
			if slices.Contains(kinds(n.plan()), "TakeOver") {
				break
			}
			n.pass(-1)
		}
		Expect(kinds(n.plan())).To(ContainElement("TakeOver"), c.name)
		steps := len(n.plan().Steps)
		n.pass(moment)
		if moment > steps {
			after := n.plan()
			n.pass(moment - steps)
			left = moment-steps < len(after.Steps)
		}
		f(n, before, moment)
	}
}

// expectAsBefore expects that initiators find what they saw, and all of it.
func expectAsBefore(n *node, c cutover, before observe.Target, moment int) {
	GinkgoHelper()
	now, _ := n.state.Target(c.target)
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
	if b, exists := newIndex(n.state).backstore(volumeID(c.volume)); exists {
		Expect(BoundTo(b, lvs[0])).To(BeTrue(), "%s, after %d steps: the current one is shown", c.name, moment)
		Expect(b.Serial).To(Equal(ondisk.UnitSerial(lvs[0].Identity())))
	} else {
		Expect(lvs[0].Open).To(BeTrue(), "%s, after %d steps: the current one is shown", c.name, moment)
	}
}

var _ = DescribeTable("Diff gives back what a cutover took from a target, though its Export", func(happens func(*node, cutover)) {
	for _, c := range cutovers() {
		for _, restarts := range []bool{false, true} {
			atEveryMoment(c, func(n *node, before observe.Target, moment int) {
				happens(n, c)
				if restarts {
					n.restart()
				}
				for _, steps := range []int{1, 1, 2, -1, -1} { // it dies on the way back, too
					n.pass(steps)
				}
				expectAsBefore(n, c, before, moment)
				n.input.Known = Learn(n.input.Known, n.desired, n.state)
				Expect(n.input.Known[exportID("db")].Interrupted).To(BeEmpty())
			})
		}
	}
},
	Entry("is as it was", func(*node, cutover) {}),
	Entry("names a password file that is gone", func(n *node, _ cutover) {
		if len(n.desired.Exports["db"].Spec.Initiators) > 0 && n.desired.Exports["db"].Spec.Initiators[0].Auth != nil {
			n.setPassword("")
		}
		e := n.desired.Exports["db"].Spec
		n.withhold(&e)
	}),
	Entry("has the target of another one, of which neither is acted on", func(n *node, _ cutover) {
		e := n.desired.Exports["db"].Spec
		n.withhold(&e)
		n.desired.Invalid[exportID("other")] = errors.New("has the same target")
		n.desired.Withheld["other"] = spec.Export{Metadata: meta("other"), Spec: e}
	}),
	Entry("is defined twice, or broken, and what it says is not known", func(n *node, _ cutover) { n.withhold(nil) }),
	Entry("offers a Volume whose file is gone, which was cut over", func(n *node, c cutover) {
		e := n.desired.Exports["db"].Spec
		n.loseVolume(c.volume)
		n.desired.Snapshots = nil
		n.withhold(&e)
	}),
	Entry("offers a Volume whose file is gone, which was not", func(n *node, c cutover) {
		e := n.desired.Exports["db"].Spec
		n.loseVolume(map[string]string{"thick": "data", "data": "thick"}[c.volume])
		n.withhold(&e)
	}),
	Entry("offers a Volume that is invalid, like itself", func(n *node, c cutover) {
		n.loseVolume(c.volume)
		n.desired.Snapshots = nil
		n.withhold(nil)
		n.desired.Invalid[volumeID(c.volume)] = errors.New("its Pool is invalid")
	}),
	Entry("offers a Volume that is invalid", func(n *node, c cutover) {
		n.loseVolume(c.volume)
		n.desired.Snapshots = nil
		n.desired.Invalid = map[spec.ID]error{volumeID(c.volume): errors.New("its Pool is invalid")}
	}),
	Entry("is suspended", func(n *node, _ cutover) { n.suspendExport() }),
	Entry("is suspended, while another file is broken", func(n *node, _ cutover) {
		n.suspendExport()
		n.desired.Complete = false
	}),
	Entry("offers what is suspended, and is invalid", func(n *node, c cutover) {
		v := n.desired.Volumes[c.volume]
		v.Metadata.Annotations = map[string]string{spec.AnnotationReconcile: "suspended"}
		n.desired.Volumes[c.volume] = v
		n.withhold(nil)
	}),
	Entry("is invalid, and the cutover failed and waits for its next attempt", func(n *node, c cutover) {
		n.withhold(nil)
		n.input.Held = map[spec.ID]bool{volumeID(c.volume): true}
	}),
)

// closedByCutover returns a node whose agent died when nothing but the names was left to be done.
func closedByCutover() *node {
	GinkgoHelper()
	c := cutovers()[0]
	var at *node
	atEveryMoment(c, func(n *node, _ observe.Target, moment int) {
		if moment == 3 {
			at = n
		}
	})
	Expect(at.state.LIO.ISCSI[iqn]).To(And(HaveField("Enabled", false), HaveField("LUNs", HaveLen(1))))
	return at
}

// expectClosed expects that the target stays as it is, and that its Export says why.
func expectClosed(happens func(*node), says string) {
	GinkgoHelper()
	n := closedByCutover()
	happens(n)
	before := n.state.LIO.ISCSI[iqn]
	var p Plan
	for range 3 {
		p = n.pass(-1)
		Expect(kinds(p)).NotTo(ContainElement(BeElementOf("EnableTarget", "MapLUN", "DisableTarget")))
	}
	n.restart()
	known := n.input.Known
	Expect(n.pass(-1).Steps).To(BeEmpty(), "nothing is planned over and over")
	Expect(n.input.Known).To(Equal(known), "nor written")
	Expect(n.state.LIO.ISCSI[iqn].Enabled).To(BeFalse())
	Expect(n.state.LIO.ISCSI[iqn].ACLs).To(Equal(before.ACLs))
	if says != "" {
		Expect(objectOf(p, exportID("db")).Message).To(And(ContainSubstring("target "+iqn+", which stays closed"), ContainSubstring(says)))
	}
}

var _ = Describe("Diff and a target that a cutover closed, in doubt", func() {
	DescribeTable("leaves it closed", expectClosed,
		Entry("to an initiator that the file does not admit any more", func(n *node) {
			e := n.desired.Exports["db"].Spec
			e.Initiators = e.Initiators[:1]
			n.withhold(&e)
		}, "it admits iqn.1993-08.org.debian:01:open"),
		Entry("to an initiator that was removed before it became unknown what the file says", func(n *node) {
			n.editExport(func(e *spec.ExportSpec) { e.Initiators = e.Initiators[:1] })
			n.pass(0)
			n.withhold(nil)
		}, "it admits iqn.1993-08.org.debian:01:open"),
		Entry("to an initiator that somebody else admitted meanwhile", func(n *node) {
			n.editTarget(iqn, func(t *observe.Target) { t.ACLs["iqn.2026-11.com.example:new"] = observe.ACL{} })
			n.withhold(nil)
		}, "it admits iqn.2026-11.com.example:new"),
		Entry("to any initiator, which somebody else let in", func(n *node) {
			n.editTarget(iqn, func(t *observe.Target) { t.Attrib.GenerateNodeACLs = true })
			n.withhold(nil)
		}, "any initiator"),
		Entry("when the file asks for another target", func(n *node) {
			e := n.desired.Exports["db"].Spec
			e.Target += "2"
			n.withhold(&e)
		}, "the file asks for target "+iqn+"2"),
		Entry("when the logical volume is gone", func(n *node) {
			delete(n.lvs("vg0"), "thick")
			n.withhold(nil)
		}, "LUN 1: Volume/thick"),
		Entry("when it is half put back to a snapshot", func(n *node) {
			n.edit("vg0/thick", func(lv *observe.LogicalVolume) {
				lv.Tags = append(lv.Tags, ondisk.PhaseTag(ondisk.Reverting), ondisk.TagCheckpoint+"x:1")
			})
			n.withhold(nil)
		}, "LUN 1: Volume/thick"),
		Entry("when it is another one", func(n *node) {
			n.edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.UUID = "another" })
			delete(n.input.Known, volumeID("thick"))
			n.withhold(nil)
		}, "LUN 1: Volume/thick"),
		Entry("when somebody gave its number to another one", func(n *node) {
			n.editTarget(iqn, func(t *observe.Target) { t.LUNs[1] = t.LUNs[0] })
			n.withhold(nil)
		}, "what its LUN 1 shows"),
		Entry("when another LUN is bound to something else", func(n *node) {
			for path, b := range n.state.LIO.Backstores {
				b.Serial = "other"
				n.state.LIO.Backstores[path] = b
			}
			n.withhold(nil)
		}, "what its LUN 0 shows"),
		Entry("when LVM cannot be read", func(n *node) {
			n.state.Unknown = map[observe.System]error{observe.LVM: errors.New("it is locked")}
			n.state.VolumeGroups = map[string]observe.VolumeGroup{}
			n.withhold(nil)
		}, "cannot be told"),
		Entry("when the mark on it is gone", func(n *node) {
			n.editTarget(iqn, func(t *observe.Target) { t.Mark = "somebody's" })
			n.withhold(nil)
		}, "does not carry the mark"),
		Entry("when nothing says that it was the agent who closed it", func(n *node) {
			known := n.input.Known[exportID("db")]
			known.Interrupted = nil
			n.input.Known[exportID("db")] = known
			n.withhold(nil)
		}, ""),
		Entry("when no file names its Export any more", func(n *node) {
			n.desired.Exports = nil
			n.input.LastNamed = map[spec.ID]time.Time{exportID("db"): n.input.Now}
		}, ""),
		Entry("when no file names its Export any more, and another one is broken", func(n *node) {
			n.desired.Exports = nil
			n.desired.Complete = false
		}, ""),
	)
	It("leaves a namespace alone that became another one meanwhile", func() {
		c := cutovers()[1]
		atEveryMoment(c, func(n *node, _ observe.Target, moment int) {
			if t := n.state.NVMe[c.target.Name]; len(t.Portals) > 0 || t.LUNs[1].Device != "" {
				return
			}
			n.editTargetOf(c.target, func(t *observe.Target) { t.LUNs[1] = t.LUNs[0] })
			n.withhold(nil)
			for range 3 {
				Expect(kinds(n.pass(-1))).NotTo(ContainElement("AddPortal"), "after %d steps", moment)
			}
		})
	})
	It("gives back only what the file still asks for", func() {
		n := closedByCutover()
		e := n.desired.Exports["db"].Spec
		e.Initiators = slices.Clone(e.Initiators)
		e.Initiators[1].LUNs = []int{0}
		n.withhold(&e)
		n.pass(-1)
		n.pass(-1)
		t := n.state.LIO.ISCSI[iqn]
		Expect(t.Enabled).To(BeTrue())
		Expect(t.LUNs).To(HaveLen(2))
		Expect(t.ACLs[initiator].LUNs).To(HaveKey(1))
		Expect(t.ACLs["iqn.1993-08.org.debian:01:open"].LUNs).NotTo(HaveKey(1))
	})
	It("does not open what somebody closed who is not the agent", func() {
		n := movable()
		n.withhold(nil)
		n.editTarget(iqn, func(t *observe.Target) { t.Enabled = false })
		Expect(n.pass(-1).Steps).To(BeEmpty())
	})
	It("waits while the cutover goes on", func() {
		n := closedByCutover()
		n.input.Busy = map[string]bool{change.TakeOver{Staged: change.LV{VolumeGroup: "vg0", Name: "volreconciler-moved-thick"}}.Lane(): true}
		n.withhold(nil)
		Expect(n.pass(-1).Steps).To(BeEmpty())
	})
	It("opens the target before the Export is planned again, and after that plans nothing twice", func() {
		n := closedByCutover()
		valid := n.desired
		n.withhold(nil)
		for range 3 {
			n.pass(-1)
		}
		n.desired = valid
		n.desired.Invalid = map[spec.ID]error{}
		for range 12 {
			n.pass(-1)
		}
		Expect(n.pass(-1).Steps).To(BeEmpty())
		Expect(n.state.LIO.ISCSI[iqn].LUNs).To(HaveLen(2))
		Expect(n.ofVolume("thick")).To(Equal([]string{"vg0/thick"}))
	})
})
