package lio

import (
	"context"
	"path"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("adopting what somebody else made", func() {
	const initiator = "iqn.2001-01.com.example:host"
	store := change.Backstore{HBA: "iblock_0", Name: "disk0"}
	target := change.Target{Fabric: observe.ISCSI, Name: "iqn.2003-01.org.example:t", Export: "db"}
	dir := observe.ISCSITarget(target.Name)
	var h *fakehost.Host
	var adoptStore change.AdoptBackstore
	adoptTarget := change.AdoptTarget{Target: target, LUNs: map[int]string{3: store.Path()}}

	write := func(file, text string) {
		GinkgoHelper()
		Expect(h.WriteFile(file, []byte(text))).To(Succeed())
	}
	BeforeEach(func(ctx SpecContext) {
		h = machine(func(n *fakehost.Node) {
			n.Modules = []string{"target_core_mod", "target_core_iblock", "iscsi_target_mod"}
		})
		core := observe.BackstoreDir(store.HBA, store.Name)
		for _, d := range []string{observe.HBADir(store.HBA), core} {
			Expect(h.Mkdir(d)).To(Succeed())
		}
		write(path.Join(core, "control"), "udev_path=/dev/vg0/v1")
		write(path.Join(core, "wwn/vpd_unit_serial"), "SN-1")
		write(path.Join(core, "enable"), "1")
		for _, d := range []string{observe.ISCSIDir, dir.Path, dir.TPG(), dir.LUN(3), dir.ACL(initiator)} {
			Expect(h.Mkdir(d)).To(Succeed())
		}
		Expect(h.Symlink(core, path.Join(dir.LUN(3), "x"))).To(Succeed())
		write(dir.Enable(), "1")
		Expect(h.Login(target.Name, initiator)).To(Succeed())
		adoptStore = change.AdoptBackstore{
			Backstore: store, Mark: "volreconciler:volume:db", Device: "/dev/vg0/v1", Serial: "SN-1",
			LVUUID: observed(ctx, h).VolumeGroups["vg0"].LogicalVolumes["v1"].UUID,
		}
	})
	refused := func(ctx context.Context, c change.Change) {
		GinkgoHelper()
		before := h.Node()
		Expect(New(h).Apply(ctx, c)).To(MatchError(change.ErrStale))
		Expect(h.Node()).To(Equal(before))
	}

	It("marks it, under a session", func(ctx SpecContext) {
		apply(ctx, h, adoptStore, adoptTarget)
		state := observed(ctx, h)
		owner, _ := state.LIO.Backstores[store.Path()].Owner()
		Expect(owner).To(Equal(spec.ID{Kind: spec.KindVolume, Name: "db"}))
		Expect(state.LIO.Backstores[store.Path()].IsAdopted()).To(BeTrue())
		Expect(state.LIO.ISCSI[target.Name].OwnedBy("db")).To(BeTrue())
		Expect(state.LIO.ISCSI[target.Name].ACLs[initiator].LoggedIn).To(BeTrue())
		Expect(state.VolumeGroups["vg0"].LogicalVolumes["v1"].OpenedBy).To(BeEmpty(), "it is ours")
	})

	It("removes what was adopted like what is ours", func(ctx SpecContext) {
		apply(ctx, h, adoptStore, adoptTarget, change.RemoveLUN{Target: target, LUN: 3}, change.RemoveTarget{Target: target, Force: true}, change.RemoveBackstore{Backstore: store})
		Expect(observed(ctx, h).LIO).To(And(HaveField("Backstores", BeEmpty()), HaveField("ISCSI", BeEmpty())))
	})

	It("refuses a backstore that is not the one that the plan saw", func(ctx SpecContext) {
		for _, differ := range []func(*change.AdoptBackstore){
			func(c *change.AdoptBackstore) { c.Serial = "SN-2" },
			func(c *change.AdoptBackstore) { c.LVUUID = "another" },
			func(c *change.AdoptBackstore) {
				c.Device, c.LVUUID = "/dev/vg0/v2", observed(ctx, h).VolumeGroups["vg0"].LogicalVolumes["v2"].UUID
			},
			func(c *change.AdoptBackstore) { c.ReadOnly = true },
			func(c *change.AdoptBackstore) { c.Name = "gone" },
		} {
			c := adoptStore
			differ(&c)
			refused(ctx, c)
		}
		apply(ctx, h, adoptStore)
		other := adoptStore
		other.Mark = "volreconciler:volume:web"
		refused(ctx, other)
	})

	It("refuses a target that is not the one that the plan saw", func(ctx SpecContext) {
		refused(ctx, change.AdoptTarget{Target: target})
		refused(ctx, change.AdoptTarget{Target: target, LUNs: map[int]string{2: store.Path()}})
		refused(ctx, change.AdoptTarget{Target: target, LUNs: map[int]string{3: "iblock_1/disk1"}})
		gone := adoptTarget
		gone.Name = "iqn.2003-01.org.example:gone"
		refused(ctx, gone)
		write(path.Join(dir.TPG(), "auth/userid"), "all")
		refused(ctx, adoptTarget)
		write(path.Join(dir.TPG(), "auth/userid"), "NULL")
		apply(ctx, h, adoptTarget)
		other := adoptTarget
		other.Export = "web"
		refused(ctx, other)
	})
})
