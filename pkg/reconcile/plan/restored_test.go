package plan_test

import (
	"errors"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Make after a reboot, when not everything can be seen at once", func() {
	var n *Node
	BeforeEach(func() {
		n = Converged()
		n.LogIn()
		n.Pass(0)
		n.State.BootID = "another"
		n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LoggedIn = false })
	})
	edited := func() {
		GinkgoHelper()
		n.EditExport(func(e *spec.ExportSpec) { e.LUNs = []spec.LUN{{Volume: "thick", Number: Ptr(0)}} })
		for range 4 {
			n.Pass(-1)
		}
		Expect(n.State.LIO.ISCSI[IQN].LUNs[0].Backstore).To(HaveSuffix(":data"), "its number is not given away")
	}
	It("waits for those who were there, though targets could not be read at first", func() {
		targets := n.State.LIO
		n.State.LIO, n.State.Unknown = observe.Targets{}, map[observe.System]error{observe.LIO: errors.New("not yet")}
		n.Pass(0)
		n.State.LIO, n.State.Unknown = targets, nil
		n.Pass(0)
		edited()
	})
	It("waits for those who were there, though who is there could not be counted at first", func() {
		n.EditTargetOf(observe.TargetID{Fabric: observe.ISCSI, Name: IQN}, func(t *observe.Target) { t.Sessions = -1 })
		n.Pass(0)
		n.EditTargetOf(observe.TargetID{Fabric: observe.ISCSI, Name: IQN}, func(t *observe.Target) { t.Sessions = 0 })
		edited()
	})
})

var _ = Describe("Make and what is left in a volume group that no Pool names", func() {
	It("does not go on to clear it", func() {
		n := Converged()
		n.Declared.Exports = nil
		n.Settle()
		n.MarkDeclared(VolumeID("old"))
		n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "left", UUID: "left-uuid", Type: observe.Thick, Size: 100 * MiB, Tags: clearing("old")})
		n.UndeclareAll()
		pools := n.Declared.Pools
		n.Declared.Pools = map[string]spec.Pool{"other": {Metadata: Meta("other"), Spec: spec.PoolSpec{VolumeGroup: "vg1"}}}
		for range 4 {
			Expect(n.Pass(-1).Steps).To(BeEmpty())
		}
		Expect(ObjectOf(n.Pass(0), VolumeID("old"))).To(And(BeIn(status.Blocked, status.ReasonNotDeclared), HaveField("Message", ContainSubstring("no Pool declares volume group vg0"))))
		n.Declared.Pools = pools
		n.Settle()
		Expect(n.LVs("vg0")).NotTo(HaveKey("left"))
	})
	DescribeTable("does not remove what is of no use", func(lv observe.LogicalVolume) {
		n := Movable()
		delete(n.Declared.Pools, "far")
		delete(n.Declared.Pools, "farthin")
		for i, tag := range lv.Tags {
			lv.Tags[i] = strings.Replace(tag, "UUID", n.LVs("vg0")["thick"].UUID, 1)
		}
		lv.VolumeGroup, lv.Name, lv.UUID, lv.Size = "vg1", "left", "left-uuid", 128*MiB
		n.Add(lv)
		for range 4 {
			Expect(n.Pass(-1).Steps).To(BeEmpty())
		}
		Expect(ObjectOf(n.Pass(0), VolumeID("thick"))).To(And(BeIn(status.Ready, status.ReasonAsDesired), HaveField("Message", ContainSubstring("no Pool declares volume group vg1"))))
	},
		Entry("because another one took its place", observe.LogicalVolume{Type: observe.Thick, Tags: append(ondisk.OwnerTags(VolumeID("thick")), ondisk.TagReplacedBy+"UUID")}),
		Entry("because it was made to copy from", observe.LogicalVolume{Type: observe.ThickSnapshot, Tags: ondisk.SourceTags(VolumeID("thick"))}),
	)
})

// clearing are the tags on what is being cleared of a Volume.
func clearing(volume string) []string {
	return append(ondisk.OwnerTags(VolumeID(volume)), ondisk.DeletionTag(spec.Delete), ondisk.PhaseTag(ondisk.Clearing))
}

var _ = Describe("Make and old metadata of a volume group", func() {
	var n *Node
	BeforeEach(func() {
		n = Movable()
		for _, name := range []string{"slow", "far"} {
			p := n.Declared.Pools[name]
			p.Spec.Clear = spec.ClearZero
			n.Declared.Pools[name] = p
		}
		n.Pass(0)
	})
	DescribeTable("writes over nothing where something is missing that was there", func(of string, tags []string) {
		thick := n.LVs("vg0")["thick"]
		for i, tag := range tags {
			tags[i] = strings.Replace(tag, "UUID", n.LVs("vg0")["data"].UUID, 1)
		}
		delete(n.LVs("vg0"), "thick")
		n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "left", UUID: "left-uuid", Type: observe.Thick, Size: 100 * MiB, Tags: tags})
		for range 4 {
			n.Pass(-1)
			Expect(n.LVs("vg0")["left"].Tags).To(HaveLen(len(tags)))
		}
		Expect(ObjectOf(n.Pass(0), VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonVanished))
		Expect(ObjectOf(n.Pass(0), VolumeID(of)).Message).To(ContainSubstring("Volume/thick is missing in volume group vg0"))
		By("until it is there again")
		thick.Open, thick.Active = false, false
		n.LVs("vg0")["thick"] = thick
		n.Settle()
		Expect(n.LVs("vg0")).NotTo(HaveKey("left"))
	},
		Entry("when it was clearing what is back", "gone", clearing("gone")),
		Entry("when another one had taken the place of what is back", "data", append(ondisk.OwnerTags(VolumeID("data")), ondisk.TagReplacedBy+"UUID")),
	)
	It("goes on to clear what an object had that is to have another one", func() {
		n.Declared.Exports = nil
		n.Settle()
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Tags = clearing("thick") })
		n.Settle()
	})
})

var _ = Describe("Make and what a Volume was moved from, when it is back", func() {
	DescribeTable("does not take it for the Volume", func(gone func(n *Node)) {
		n := Movable()
		before := n.LVs("vg0")["thick"]
		n.MoveTo("thick", "far")
		n.Settle()
		Expect(n.LVs("vg0")).NotTo(HaveKey("thick"))
		gone(n)
		before.Active, before.Open = false, false
		n.LVs("vg0")["thick"] = before
		n.State.LIO = observe.Targets{ISCSI: map[string]observe.Target{}, Backstores: map[string]observe.Backstore{}}
		n.State.BootID = "another"
		n.Edit("vg0/data", func(lv *observe.LogicalVolume) { lv.Active, lv.Open = false, false })
		for range 14 {
			n.Pass(-1)
		}
		Expect(n.State.LIO.ISCSI[IQN].LUNs).To(HaveLen(1), "data alone")
		Expect(n.State.LIO.ISCSI[IQN].LUNs[0].Backstore).To(HaveSuffix(":data"))
		o := ObjectOf(n.Pass(0), VolumeID("thick"))
		Expect(o).To(And(BeIn(status.Blocked, status.ReasonContradiction), HaveField("Message", ContainSubstring("vg0/thick has the data from before the cutover"))))
		By("somebody says that it is to be the Volume")
		n.MoveTo("thick", "slow")
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) {
			lv.Tags = append(slices.Clone(lv.Tags), ondisk.TagIdentity+lv.UUID)
		})
		n.Settle()
		Expect(n.State.LIO.ISCSI[IQN].LUNs[1].Backstore).To(HaveSuffix(":thick"))
	},
		Entry("while the other volume group is not there", func(n *Node) { delete(n.State.VolumeGroups, "vg1"); n.MoveTo("thick", "slow") }),
		Entry("while it is missing in the other one", func(n *Node) { delete(n.LVs("vg1"), "thick") }),
	)
})
