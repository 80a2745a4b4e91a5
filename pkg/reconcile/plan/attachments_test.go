package plan_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("who is attached", func() {
	It("is shown per export and volume, with the address that the kernel tells", func() {
		n := Converged()
		t := n.State.LIO.ISCSI[IQN]
		open := "iqn.1993-08.org.debian:01:open"
		delete(t.ACLs[open].LUNs, 7)
		t.Connections = []observe.Session{{Initiator: Initiator, Address: "10.0.0.2", Transport: observe.TCP}, {Initiator: open, Address: "fd00::2", Transport: observe.RDMA}}
		n.State.LIO.ISCSI[IQN] = t
		p := n.Plan()
		Expect(ObjectOf(p, ExportID("db")).Export.Connections).To(Equal([]status.Connection{
			{Initiator: Initiator, Address: "10.0.0.2", Transport: observe.TCP}, {Initiator: open, Address: "fd00::2", Transport: observe.RDMA},
		}))
		both := []status.Attachment{{Export: "db", Initiator: Initiator, Address: "10.0.0.2"}, {Export: "db", Initiator: open, Address: "fd00::2"}}
		Expect(ObjectOf(p, VolumeID("data")).Volume.Attachments).To(Equal(both))
		Expect(ObjectOf(p, VolumeID("thick")).Volume.Attachments).To(Equal(both))
		Expect(ObjectOf(p, SnapshotID("nightly")).Snapshot.Attachments).To(Equal(both[:1]), "the other one does not see it")
		Expect(ObjectOf(p, SnapshotID("tnightly")).Snapshot.Attachments).To(BeEmpty())
	})

	It("is who sees a namespace, or only an address", func() {
		n := Converged()
		lv := n.LVs("vg0")["data"]
		n.State.NVMe = map[string]observe.Target{"nqn.2026-11.org.example:x": {
			Fabric: observe.NVMe, Name: "nqn.2026-11.org.example:x", HasTPG: true, Mark: ondisk.TargetMark("nv"),
			LUNs:         map[int]observe.TargetLUN{0: {Device: "/dev/vg0/data", Identity: ondisk.NamespaceUUID(lv.UUID)}},
			Unattributed: []string{"10.0.0.3"},
		}}
		n.Declared.Exports["nv"] = spec.Export{Metadata: Meta("nv"), Spec: spec.ExportSpec{
			Protocol: spec.ProtocolNVMeTCP, Target: "nqn.2026-11.org.example:x", LUNs: []spec.LUN{{Volume: "data", Number: Ptr(0)}}, AllowAnyInitiator: true,
		}}
		Expect(ObjectOf(n.Plan(), VolumeID("data")).Volume.Attachments).To(ContainElement(status.Attachment{Export: "nv", Address: "10.0.0.3"}))
	})
})
