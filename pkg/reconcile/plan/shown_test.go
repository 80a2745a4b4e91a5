package plan_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("What a status shows of an object", func() {
	It("is the Pool, the space it takes and the Exports of a Volume", func() {
		n := Converged()
		lv := n.LVs("vg0")["data"]
		lv.DataPercent = 25
		n.LVs("vg0")["data"] = lv
		p := n.Plan()
		thin, thick := ObjectOf(p, VolumeID("data")).Volume, ObjectOf(p, VolumeID("thick")).Volume
		Expect(thin.Pool).To(Equal(n.Declared.Volumes["data"].Spec.Pool))
		Expect(thin.Allocated).To(Equal(thin.Size / 4))
		Expect(thin.ExportedBy).To(Equal([]string{"db"}))
		Expect(thick.Pool).To(Equal(n.Declared.Volumes["thick"].Spec.Pool))
		Expect(thick.Allocated).To(Equal(thick.Size))
	})

	It("is the space in a Pool, of its thin pool or else of its volume group", func() {
		n := Converged()
		n.Edit("vg0/pool0", func(lv *observe.LogicalVolume) {
			lv.DataPercent, lv.MetadataPercent, lv.MetadataSize, lv.ChunkSize = 25, 10, 8*MiB, 64<<10
		})
		vg := n.State.VolumeGroups["vg0"]
		vg.MDAFree = 4711
		n.State.VolumeGroups["vg0"] = vg
		p := n.Plan()
		thin, thick := ObjectOf(p, spec.ID{Kind: spec.KindPool, Name: n.Declared.Volumes["data"].Spec.Pool}).Pool, ObjectOf(p, spec.ID{Kind: spec.KindPool, Name: n.Declared.Volumes["thick"].Spec.Pool}).Pool
		Expect(thin.Allocated).To(Equal(thin.Size / 4))
		Expect(thin.Free + thin.Allocated).To(Equal(thin.Size))
		Expect(thin.MetadataSize).To(BeEquivalentTo(8 * MiB))
		Expect(thin.ChunkSize).To(BeEquivalentTo(64 << 10))
		Expect(thin.LVMMetadataFree).To(BeEquivalentTo(4711))
		Expect(thick.Size).To(Equal(vg.Size))
		Expect(thick.Allocated).To(Equal(vg.Size - vg.Free))
		Expect(thick.LVMMetadataFree).To(BeEquivalentTo(4711))
	})

	It("is the device of an active Volume", func() {
		n := Converged()
		n.Edit("vg0/data", func(lv *observe.LogicalVolume) { lv.Active, lv.Major, lv.Minor = true, 253, 7 })
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Active, lv.Major, lv.Minor = false, -1, -1 })
		p := n.Plan()
		Expect(ObjectOf(p, VolumeID("data")).Volume.Device).To(Equal("253:7"))
		Expect(ObjectOf(p, VolumeID("thick")).Volume.Device).To(BeEmpty())
	})

	It("is the copy-on-write space of a thick Snapshot", func() {
		for _, o := range Converged().Plan().Objects {
			if o.Snapshot == nil {
				continue
			}
			if o.Snapshot.Pool == Converged().Declared.Volumes["thick"].Spec.Pool {
				Expect(o.Snapshot.COWSize).NotTo(BeZero(), o.Name)
			} else {
				Expect(o.Snapshot.COWSize).To(BeZero(), o.Name)
			}
		}
	})

	It("is the Volume of a Snapshot", func() {
		p := Converged().Plan()
		Expect(ObjectOf(p, SnapshotID("tnightly")).Snapshot.Volume).NotTo(BeEmpty())
		Expect(ObjectOf(p, SnapshotID("nightly")).Snapshot.Volume).NotTo(BeEmpty())
		Expect(ObjectOf(p, SnapshotID("nightly")).Snapshot.Pool).NotTo(BeEmpty())
		Expect(ObjectOf(p, VolumeID("data")).Volume.Volume).To(BeEmpty())
	})

	It("is the protocol of an Export, also of one that no file declares", func() {
		n := Converged()
		Expect(ObjectOf(n.Plan(), ExportID("db")).Export.Protocol).To(Equal(spec.ProtocolISCSI))
		delete(n.Declared.Exports, "db")
		t := n.State.LIO.ISCSI[IQN]
		t.Portals = map[string]observe.Transport{"10.0.0.1:3260": observe.RDMA}
		n.State.LIO.ISCSI[IQN] = t
		Expect(ObjectOf(n.Plan(), ExportID("db")).Export.Protocol).To(Equal(spec.ProtocolISER))
	})

	It("is the labels of its file", func() {
		n := Converged()
		v := n.Declared.Volumes["data"]
		v.Metadata.Labels = map[string]string{"tier": "gold"}
		n.Declared.Volumes["data"] = v
		p := n.Plan()
		Expect(ObjectOf(p, VolumeID("data")).Labels).To(Equal(map[string]string{"tier": "gold"}))
		Expect(ObjectOf(p, VolumeID("thick")).Labels).To(BeEmpty())
	})

	It("is the own Pool where two Pools are in one place", func() {
		n := Converged()
		own := n.Declared.Volumes["thick"].Spec.Pool
		for _, name := range []string{"a-second", "z-second"} {
			other := n.Declared.Pools[own]
			other.Metadata.Name = name
			n.Declared.Pools[name] = other
		}
		Expect(ObjectOf(n.Plan(), VolumeID("thick")).Volume.Pool).To(Equal(own))
		delete(n.Declared.Volumes, "thick")
		Expect(ObjectOf(n.Plan(), VolumeID("thick")).Volume.Pool).To(Equal("a-second"))
	})
})
