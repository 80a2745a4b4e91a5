package reconcile

import (
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// movable returns a node with a thin and a thick Volume without snapshots, both exported,
// and Pools in another volume group.
func movable() *node {
	n := newNode()
	n.state.VolumeGroups["vg1"] = observe.VolumeGroup{
		Name: "vg1", UUID: "vg1-uuid", ExtentSize: 32 * mib, Size: 10240 * mib, Free: 10240 * mib, LogicalVolumes: map[string]observe.LogicalVolume{},
	}
	n.desired.Snapshots = nil
	n.desired.Pools["far"] = spec.Pool{Metadata: meta("far"), Spec: spec.PoolSpec{VolumeGroup: "vg1", Clear: spec.ClearZero}}
	n.desired.Pools["farthin"] = spec.Pool{Metadata: meta("farthin"), Spec: spec.PoolSpec{VolumeGroup: "vg1", ThinPool: &spec.ThinPool{Name: "pool1", Size: spec.SizeOrPercent{Percent: 50}}}}
	n.editExport(func(e *spec.ExportSpec) {
		e.LUNs = []spec.LUN{{Volume: "data", Number: ptr(0)}, {Volume: "thick", Number: ptr(1)}}
	})
	n.apply(n.diff())
	n.remember()
	Expect(n.diff().Steps).To(BeEmpty())
	return n
}

func (n *node) moveTo(volume, pool string) {
	v := n.desired.Volumes[volume]
	v.Spec.Pool = pool
	n.desired.Volumes[volume] = v
}

// counting returns the logical volumes that count as a Volume's, by their tags alone.
func (n *node) counting(volume string) []observe.LogicalVolume {
	d := newDiffer(Input{Observed: n.state})
	return d.owned[volumeID(volume)]
}

func (n *node) ofVolume(volume string) (all []string) {
	for _, vg := range n.state.VolumeGroups {
		for _, lv := range vg.LogicalVolumes {
			if lv.Tag(observe.TagName) == volume {
				all = append(all, lv.FullName())
			}
		}
	}
	slices.Sort(all)
	return all
}

var _ = Describe("Diff and a Volume that moves to another Pool", func() {
	var n *node
	BeforeEach(func() { n = movable() })

	DescribeTable("copies, makes initiators wait for a moment, and removes the old one last",
		func(volume, pool, place string) {
			before := n.counting(volume)[0]
			serial := observe.UnitSerial(before.Identity())
			n.moveTo(volume, pool)
			var passes [][]string
			for range 12 {
				p := n.diff()
				if p.Empty() {
					break
				}
				passes = append(passes, kinds(p))
				// Every step may be the last one before a crash.
				for _, s := range p.Steps {
					n.change(s.Change)
					Expect(n.counting(volume)).To(HaveLen(1), "after %s", s.Change)
					Expect(n.counting(volume)[0].Identity()).To(Equal(before.UUID))
				}
				n.input.Known = learn(n.input.Known, n.desired, n.state)
			}
			now := n.counting(volume)[0]
			Expect(now.FullName()).To(Equal(place))
			Expect(now.UUID).NotTo(Equal(before.UUID))
			Expect(now.Phase()).To(BeEmpty())
			Expect(n.ofVolume(volume)).To(Equal([]string{place}), "%v", passes)
			b := n.state.LIO.Backstores[change.Backstore{HBA: observe.HBA, Name: observe.BackstoreName(volumeID(volume))}.Path()]
			Expect(b.Serial).To(Equal(serial))
			Expect(n.state.LIO.ISCSI[iqn].Enabled).To(BeTrue())
			Expect(n.state.LIO.ISCSI[iqn].LUNs).To(HaveLen(2))
			for _, o := range n.diff().Objects {
				Expect(o.Phase).To(Equal(Ready), "%s: %s", o.ID(), o.Message)
			}
			AddReportEntry("passes", passes)
		},
		Entry("thin to thick", "data", "slow", "vg0/data"),
		Entry("thick to thin", "thick", "fast", "vg0/thick"),
		Entry("thick to thick in another volume group", "thick", "far", "vg1/thick"),
		Entry("thin to thin in another volume group", "data", "farthin", "vg1/data"),
		Entry("thick to thin in another volume group", "thick", "farthin", "vg1/thick"),
	)
})
