package reconcile

import (
	"errors"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Diff in doubt", func() {
	thick := volumeID("thick")
	doubts := []struct {
		reason string
		cause  func(*node)
	}{
		{ReasonIncompleteInput, func(n *node) { n.desired.Complete = false }},
		{ReasonObservationFailed, func(n *node) { n.state.Unknown = map[observe.System]error{observe.NVMet: errors.New("hidden")} }},
	}
	// arrived has a thick Volume in another Pool, whose superseded copy is still there.
	arrived := func() *node {
		n := movable()
		n.moveTo("thick", "far")
		for range 12 {
			p := n.plan()
			for _, s := range p.Steps {
				if _, superseded := n.lvs("vg0")["thick"]; superseded && n.lvs("vg0")["thick"].Phase() == ondisk.Replaced && s.Danger == Destructive {
					return n
				}
				n.change(s.Change)
			}
			n.input.Known = Learn(n.input.Known, n.desired, n.state)
		}
		Fail("the copy was not superseded")
		return nil
	}

	It("keeps the superseded copy of a finished move, and says so", func() {
		for _, doubt := range doubts {
			n := arrived()
			Expect(kinds(n.plan())).To(ContainElement("RemoveLV"), "or this shows nothing")
			doubt.cause(n)
			p := n.plan()
			Expect(kinds(p)).NotTo(ContainElement(BeElementOf("RemoveLV", "StartClearing")))
			if doubt.reason == ReasonIncompleteInput {
				Expect(objectOf(p, thick).Message).To(Equal("vg0/thick is not needed any more; it is not removed while there are findings in the specs"))
			}
		}
	})
	It("keeps a copy that is not to take the Volume's place any more", func() {
		for _, doubt := range doubts {
			n := movable()
			n.moveTo("thick", "far")
			n.apply(n.plan())
			n.moveTo("thick", "slow")
			Expect(kinds(n.plan())).To(ContainElement("StartClearing"), "or this shows nothing")
			doubt.cause(n)
			Expect(kinds(n.plan())).NotTo(ContainElement(BeElementOf("RemoveLV", "StartClearing")))
		}
	})
	It("does not begin to revert a Volume", func() {
		for _, doubt := range doubts {
			n := converged()
			n.edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Active = true })
			v := n.desired.Volumes["thick"]
			v.Spec.Revert = &spec.Revert{Snapshot: "tnightly", Request: "one"}
			n.desired.Volumes["thick"] = v
			Expect(kinds(n.plan())).To(ContainElement("SetTags"), "or this shows nothing")
			doubt.cause(n)
			Expect(kinds(n.plan())).NotTo(ContainElement("SetTags"))
			Expect(objectOf(n.plan(), thick)).To(beIn(Blocked, doubt.reason))
		}
	})
	It("does not go on reverting a Volume while it cannot be told who uses it", func() {
		n := converged()
		v := n.desired.Volumes["thick"]
		v.Spec.Revert = &spec.Revert{Snapshot: "tnightly", Request: "one"}
		n.desired.Volumes["thick"] = v
		n.apply(n.plan())
		n.apply(n.plan())
		Expect(kinds(n.plan())).To(ContainElement("Restore"), "or this shows nothing")
		n.state.Unknown = map[observe.System]error{observe.LIO: errors.New("hidden")}
		n.state.LIO = observe.Targets{}
		Expect(kinds(n.plan())).NotTo(ContainElement("Restore"))
		Expect(n.plan().KeepJobs).To(BeTrue(), "one that runs goes on")
	})
})

var _ = Describe("Diff and tags that somebody changed", func() {
	It("does not export what another object's backstore holds", func() {
		n := converged()
		n.edit("vg0/data", func(lv *observe.LogicalVolume) {
			lv.Tags = append(ondisk.OwnerTags(volumeID("other")), ondisk.DeletionTag(spec.Delete))
		})
		v := n.desired.Volumes["data"]
		v.Metadata.Name = "other"
		n.desired.Volumes["other"] = v
		delete(n.desired.Volumes, "data")
		n.invalidate(volumeID("data"))
		e := n.desired.Exports["db"]
		e.Metadata.Name, e.Spec.Target = "second", iqn+"-second"
		e.Spec.LUNs = []spec.LUN{{Volume: "other", Number: ptr(0)}}
		n.desired.Exports["second"] = e
		p := n.plan()
		Expect(kinds(p)).NotTo(ContainElement("CreateBackstore"))
		Expect(objectOf(p, volumeID("other"))).To(beIn(Blocked, ReasonInUse))
	})
	It("removes no superseded copy before the current one is marked", func() {
		n := movable()
		n.moveTo("thick", "far")
		for range 5 {
			n.apply(n.plan())
			n.input.Known = Learn(n.input.Known, n.desired, n.state)
		}
		Expect(kinds(n.plan())).To(ContainElement("RemoveLV"), "or this shows nothing")
		n.edit("vg1/thick", func(lv *observe.LogicalVolume) { lv.Tags = []string{lv.Tags[0], ondisk.TagIdentity + lv.Identity()} })
		p := n.plan()
		Expect(kinds(p)).To(ContainElement("SetTags"))
		Expect(kinds(p)).NotTo(ContainElement("RemoveLV"))
	})
})
