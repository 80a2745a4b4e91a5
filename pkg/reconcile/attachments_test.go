package reconcile

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("who is attached", func() {
	It("is shown per export and volume, with the address that the kernel tells", func() {
		n := converged()
		t := n.state.LIO.ISCSI[iqn]
		open := "iqn.1993-08.org.debian:01:open"
		delete(t.ACLs[open].LUNs, 7)
		t.Connections = []observe.Session{{Initiator: initiator, Address: "10.0.0.2", Transport: observe.TCP}, {Initiator: open, Address: "fd00::2", Transport: observe.RDMA}}
		n.state.LIO.ISCSI[iqn] = t
		p := n.plan()
		Expect(objectOf(p, exportID("db")).Export.Connections).To(Equal([]Connection{
			{Initiator: initiator, Address: "10.0.0.2", Transport: observe.TCP}, {Initiator: open, Address: "fd00::2", Transport: observe.RDMA},
		}))
		both := []Attachment{{Export: "db", Initiator: initiator, Address: "10.0.0.2"}, {Export: "db", Initiator: open, Address: "fd00::2"}}
		Expect(objectOf(p, volumeID("data")).Volume.Attachments).To(Equal(both))
		Expect(objectOf(p, volumeID("thick")).Volume.Attachments).To(Equal(both))
		Expect(objectOf(p, snapshotID("nightly")).Snapshot.Attachments).To(Equal(both[:1]), "the other one does not see it")
		Expect(objectOf(p, snapshotID("tnightly")).Snapshot.Attachments).To(BeEmpty())
	})

	It("is who sees a namespace, or only an address", func() {
		n := converged()
		lv := n.lvs("vg0")["data"]
		n.state.NVMe = map[string]observe.Target{"nqn.2026-11.org.example:x": {
			Fabric: observe.NVMe, Name: "nqn.2026-11.org.example:x", HasTPG: true, Mark: ondisk.TargetMark("nv"),
			LUNs:         map[int]observe.TargetLUN{0: {Device: "/dev/vg0/data", Identity: ondisk.NamespaceUUID(lv.UUID)}},
			Unattributed: []string{"10.0.0.3"},
		}}
		n.desired.Exports["nv"] = spec.Export{Metadata: meta("nv"), Spec: spec.ExportSpec{
			Protocol: spec.ProtocolNVMeTCP, Target: "nqn.2026-11.org.example:x", LUNs: []spec.LUN{{Volume: "data", Number: ptr(0)}}, AllowAnyInitiator: true,
		}}
		Expect(objectOf(n.plan(), volumeID("data")).Volume.Attachments).To(ContainElement(Attachment{Export: "nv", Address: "10.0.0.3"}))
	})
})
