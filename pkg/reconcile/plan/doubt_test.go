package plan_test

import (
	"errors"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Make in doubt", func() {
	thick := VolumeID("thick")
	doubts := []struct {
		reason string
		cause  func(*Node)
	}{
		{status.ReasonIncompleteInput, func(n *Node) { n.Declared.Complete = false }},
		{status.ReasonObservationFailed, func(n *Node) { n.State.Unknown = map[observe.System]error{observe.NVMet: errors.New("hidden")} }},
	}
	// arrived has a thick Volume in another Pool, whose superseded copy is still there.
	arrived := func() *Node {
		n := Movable()
		n.MoveTo("thick", "far")
		for range 12 {
			p := n.Plan()
			for _, s := range p.Steps {
				if _, superseded := n.LVs("vg0")["thick"]; superseded && n.LVs("vg0")["thick"].Phase() == ondisk.Superseded && s.Danger == Destructive {
					return n
				}
				n.Change(s.Change)
			}
			n.Input.Known = Learned(n.Input.Known, n.Declared, n.State)
		}
		Fail("the copy was not superseded")
		return nil
	}

	It("keeps the superseded copy of a finished move, and says so", func() {
		for _, doubt := range doubts {
			n := arrived()
			Expect(kinds(n.Plan())).To(ContainElement("RemoveLV"), "or this shows nothing")
			doubt.cause(n)
			p := n.Plan()
			Expect(kinds(p)).NotTo(ContainElement(BeElementOf("RemoveLV", "StartClearing")))
			if doubt.reason == status.ReasonIncompleteInput {
				Expect(ObjectOf(p, thick).Message).To(Equal("vg0/thick is no longer needed, but is not removed while there are findings in the specs"))
			}
		}
	})
	It("keeps a copy that is not to take the Volume's place any more", func() {
		for _, doubt := range doubts {
			n := Movable()
			n.MoveTo("thick", "far")
			n.Apply(n.Plan())
			n.MoveTo("thick", "slow")
			Expect(kinds(n.Plan())).To(ContainElement("StartClearing"), "or this shows nothing")
			doubt.cause(n)
			Expect(kinds(n.Plan())).NotTo(ContainElement(BeElementOf("RemoveLV", "StartClearing")))
		}
	})
	It("does not begin to revert a Volume", func() {
		for _, doubt := range doubts {
			n := Converged()
			n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Active = true })
			v := n.Declared.Volumes["thick"]
			v.Spec.Revert = &spec.Revert{Snapshot: "tnightly", Request: "one"}
			n.Declared.Volumes["thick"] = v
			Expect(kinds(n.Plan())).To(ContainElement("SetTags"), "or this shows nothing")
			doubt.cause(n)
			Expect(kinds(n.Plan())).NotTo(ContainElement("SetTags"))
			Expect(ObjectOf(n.Plan(), thick)).To(BeIn(status.Blocked, doubt.reason))
		}
	})
	It("does not go on reverting a Volume while it cannot be told who uses it", func() {
		n := Converged()
		v := n.Declared.Volumes["thick"]
		v.Spec.Revert = &spec.Revert{Snapshot: "tnightly", Request: "one"}
		n.Declared.Volumes["thick"] = v
		n.Apply(n.Plan())
		n.Apply(n.Plan())
		Expect(kinds(n.Plan())).To(ContainElement("Restore"), "or this shows nothing")
		n.State.Unknown = map[observe.System]error{observe.LIO: errors.New("hidden")}
		n.State.LIO = observe.Targets{}
		Expect(kinds(n.Plan())).NotTo(ContainElement("Restore"))
		Expect(n.Plan().KeepJobs).To(BeTrue(), "one that runs goes on")
	})
})

var _ = Describe("Make and tags that somebody changed", func() {
	It("does not export what another object's backstore holds", func() {
		n := Converged()
		n.Edit("vg0/data", func(lv *observe.LogicalVolume) {
			lv.Tags = append(ondisk.OwnerTags(VolumeID("other")), ondisk.DeletionTag(spec.Delete))
		})
		v := n.Declared.Volumes["data"]
		v.Metadata.Name = "other"
		n.Declared.Volumes["other"] = v
		delete(n.Declared.Volumes, "data")
		n.InvalidateVolume(VolumeID("data"))
		e := n.Declared.Exports["db"]
		e.Metadata.Name, e.Spec.Target = "second", IQN+"-second"
		e.Spec.LUNs = []spec.LUN{{Volume: "other", Number: Ptr(0)}}
		n.Declared.Exports["second"] = e
		p := n.Plan()
		Expect(kinds(p)).NotTo(ContainElement("CreateBackstore"))
		Expect(ObjectOf(p, VolumeID("other"))).To(BeIn(status.Blocked, status.ReasonInUse))
	})
	It("removes no superseded copy before the current one is marked", func() {
		n := Movable()
		n.MoveTo("thick", "far")
		for range 5 {
			n.Apply(n.Plan())
			n.Input.Known = Learned(n.Input.Known, n.Declared, n.State)
		}
		Expect(kinds(n.Plan())).To(ContainElement("RemoveLV"), "or this shows nothing")
		n.Edit("vg1/thick", func(lv *observe.LogicalVolume) { lv.Tags = []string{lv.Tags[0], ondisk.TagIdentity + lv.Identity()} })
		p := n.Plan()
		Expect(kinds(p)).To(ContainElement("SetTags"))
		Expect(kinds(p)).NotTo(ContainElement("RemoveLV"))
	})
})
