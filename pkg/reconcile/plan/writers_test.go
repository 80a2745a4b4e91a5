package plan_test

import (
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Make and a snapshot that somebody may write to", func() {
	const other, nqn = IQN + "-other", "nqn.2026-11.io.volreconciler:other"
	var n *Node
	golden := spec.ID{Kind: spec.KindImage, Name: "golden"}
	// offer exports a Snapshot.
	offer := func(snapshot string, edit func(*spec.ExportSpec)) {
		e := spec.ExportSpec{
			Protocol: spec.ProtocolISCSI, Target: other, Portals: []string{"0.0.0.0:3260"},
			LUNs:       []spec.LUN{{Snapshot: snapshot, Number: Ptr(0)}},
			Initiators: []spec.Initiator{{Name: Initiator}},
		}
		edit(&e)
		n.Declared.Exports["other"] = spec.Export{Metadata: Meta("other"), Spec: e}
	}
	asIs := func(*spec.ExportSpec) {}
	readOnly := func(e *spec.ExportSpec) { e.LUNs[0].ReadOnly = true }
	pass := func() Plan {
		p := n.Plan()
		n.Apply(p)
		n.Remember()
		return p
	}
	waits := func(id spec.ID, on string) {
		GinkgoHelper()
		p := n.Plan()
		Expect(ObjectOf(p, id)).To(And(BeIn(status.Blocked, status.ReasonNotReady), HaveField("Message", ContainSubstring(on))))
		Expect(kinds(p)).NotTo(ContainElements(BeElementOf("Populate", "WriteImage", "Restore")))
	}
	revert := func() {
		v := n.Declared.Volumes["thick"]
		v.Spec.Revert = &spec.Revert{Snapshot: "tnightly", Request: "one"}
		n.Declared.Volumes["thick"] = v
	}
	BeforeEach(func() { n = Converged() })

	DescribeTable("tells by the spec who can",
		func(edit func(*spec.ExportSpec), can bool) {
			offer("tnightly", edit)
			n.DeclareImage(spec.ImageSpec{Snapshot: "tnightly"})
			for _, when := range []string{"before it is applied", "afterwards"} {
				if can {
					waits(golden, "Export/other")
				} else {
					Expect(kinds(n.Plan())).To(ContainElement("WriteImage"), when)
				}
				n.State.ImageFiles[GoldenPath] = observe.ImageFile{}
				pass()
				n.State.ImageFiles[GoldenPath] = observe.ImageFile{}
			}
		},
		Entry("an initiator", asIs, true),
		Entry("a LUN that is read-only", readOnly, false),
		Entry("an initiator that only reads", func(e *spec.ExportSpec) { e.Initiators[0].ReadOnly = true }, false),
		Entry("one that only reads, and one that does not", func(e *spec.ExportSpec) {
			e.Initiators = []spec.Initiator{{Name: "iqn.1993-08.org.debian:01:a", ReadOnly: true}, {Name: Initiator}}
		}, true),
		Entry("an initiator that does not see it", func(e *spec.ExportSpec) { e.Initiators[0].LUNs = []int{} }, false),
		Entry("anybody", func(e *spec.ExportSpec) { e.Initiators, e.AllowAnyInitiator = nil, true }, true),
		Entry("anybody, to read", func(e *spec.ExportSpec) { e.Initiators, e.AllowAnyInitiator = nil, true; readOnly(e) }, false),
		Entry("nobody", func(e *spec.ExportSpec) { e.Initiators = nil }, false),
		Entry("hosts of NVMe", func(e *spec.ExportSpec) {
			e.Protocol, e.Target, e.Portals = spec.ProtocolNVMeTCP, nqn, []string{"0.0.0.0:4420"}
			e.Initiators = []spec.Initiator{{Name: "nqn.2014-08.org.example:a"}}
		}, true),
	)
	It("tells by what is there who still can", func() {
		offer("tnightly", asIs)
		pass()
		offer("tnightly", readOnly)
		n.DeclareImage(spec.ImageSpec{Snapshot: "tnightly"})
		waits(golden, "target "+other)
		Expect(kinds(n.Plan())).To(ContainElement("SetWriteProtect"))
		pass()
		Expect(kinds(n.Plan())).To(ContainElement("WriteImage"))
	})
	It("clones it all the same in its thin pool, in an instant", func() {
		offer("nightly", asIs)
		n.DeclareCopy("fast", 100*MiB, fromNightly)
		Expect(kinds(pass())).To(ContainElement("CloneVolume"))
		Expect(ObjectOf(n.Plan(), VolumeID("copy"))).To(BeIn(status.Ready, status.ReasonAsDesired))
	})
	It("copies it from the start when nobody can any more, whatever was copied before", func() {
		n.DeclareCopy("slow", 101*MiB, fromTNightly)
		pass()
		lv, from := n.LVs("vg0")["copy"], n.LVs("vg0")["tnightly"]
		lv.Tags = append(lv.Tags, ondisk.CheckpointTag(from.UUID, 64*MiB))
		n.LVs("vg0")["copy"] = lv
		Expect(kinds(n.Plan())).To(Equal([]string{"Populate"}))

		offer("tnightly", asIs)
		waits(VolumeID("copy"), "Export/other")
		pass()
		waits(VolumeID("copy"), "Export/other")
		Expect(n.Plan().Empty()).To(BeTrue())
		lv = n.LVs("vg0")["copy"]
		Expect(lv.TagsWith(ondisk.TagCheckpoint)).To(ConsistOf(ondisk.CheckpointTag(from.UUID, 0), ondisk.CheckpointTag(CopiedOfNothing, 0)))

		By("a job that had not ended yet")
		lv.Tags = append(slices.DeleteFunc(lv.Tags, func(t string) bool { return t == ondisk.CheckpointTag(from.UUID, 0) }), ondisk.CheckpointTag(from.UUID, 90*MiB))
		n.LVs("vg0")["copy"] = lv
		pass()
		Expect(n.LVs("vg0")["copy"].Checkpoint(from.UUID)).To(BeZero())

		delete(n.Declared.Exports, "other")
		n.Input.Now = n.Input.Now.Add(24 * 3600e9)
		var did []string
		for range 5 {
			p := pass()
			for _, s := range p.Steps {
				if c, ok := s.Change.(change.Populate); ok {
					Expect(c.Done).To(BeZero())
					did = append(did, "Populate")
				}
			}
		}
		Expect(did).To(Equal([]string{"Populate"}))
		Expect(ObjectOf(n.Plan(), VolumeID("copy"))).To(BeIn(status.Ready, status.ReasonAsDesired))
	})
	DescribeTable("puts nothing back to it while somebody is logged in who can, and nothing more of what it began to put back",
		func(edit func(*spec.ExportSpec), login func(in bool)) {
			offer("tnightly", edit)
			pass()
			login(true)
			revert()
			p := n.Plan()
			Expect(ObjectOf(p, VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonSessionsActive))
			Expect(p.Empty()).To(BeTrue())
			login(false)
			for range 2 {
				pass()
			}
			Expect(kinds(n.Plan())).To(ContainElement("Restore"))

			By("who comes while it is done")
			lv, from := n.LVs("vg0")["thick"], n.LVs("vg0")["tnightly"]
			lv.Tags = append(lv.Tags, ondisk.CheckpointTag(from.UUID, 64*MiB))
			n.LVs("vg0")["thick"] = lv
			login(true)
			Expect(kinds(pass())).To(Equal([]string{"SetTags"}))
			Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonSessionsActive))
			Expect(n.Plan().Empty()).To(BeTrue())
			login(false)
			for range 3 {
				pass()
			}
			Expect(n.LVs("vg0")["thick"].Tag(ondisk.TagReverted)).To(Equal("one"))
			Expect(n.LVs("vg0")["thick"].TagsWith(ondisk.TagCheckpoint)).To(BeEmpty())
			Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Ready, status.ReasonAsDesired))
		},
		Entry("who is listed", asIs, func(in bool) {
			n.EditACL(other, Initiator, func(a *observe.ACL) { a.LoggedIn = in })
		}),
		Entry("anybody", func(e *spec.ExportSpec) { e.Initiators, e.AllowAnyInitiator = nil, true }, func(in bool) {
			t := n.State.LIO.ISCSI[other]
			t.DynamicSessions = nil
			if in {
				t.DynamicSessions = []string{Initiator}
			}
			n.State.LIO.ISCSI[other] = t
		}),
		Entry("over NVMe", func(e *spec.ExportSpec) {
			e.Protocol, e.Target, e.Portals = spec.ProtocolNVMeTCP, nqn, []string{"0.0.0.0:4420"}
			e.Initiators = []spec.Initiator{{Name: "nqn.2014-08.org.example:a"}}
		}, func(in bool) {
			t := n.State.NVMe[nqn]
			t.Sessions, t.Unattributed = 0, nil
			if in {
				t.Sessions = 1
			}
			n.State.NVMe[nqn] = t
		}),
	)
	It("puts a volume back while somebody reads the snapshot", func() {
		offer("tnightly", readOnly)
		pass()
		n.EditACL(other, Initiator, func(a *observe.ACL) { a.LoggedIn = true })
		revert()
		for range 5 {
			pass()
		}
		Expect(n.LVs("vg0")["thick"].Tag(ondisk.TagReverted)).To(Equal("one"))
	})
})
