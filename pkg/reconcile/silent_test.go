package reconcile

import (
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("devices that do not answer", func() {
	It("matter to the volume groups that Pools name, and that objects are remembered in", func() {
		var p spec.Pool
		p.Spec.VolumeGroup = "vg1"
		declared := spec.Set{Pools: map[string]spec.Pool{"a": p, "b": p}}
		known := map[spec.ID]plan.Identity{
			{Kind: spec.KindVolume, Name: "v"}: {VolumeGroup: "vg0"},
			{Kind: spec.KindExport, Name: "e"}: {},
		}
		Expect(VolumeGroups(declared, known)).To(Equal([]string{"vg0", "vg1"}))
	})

	It("are warned of, for as long as they do not", func() {
		board := &status.Board{}
		board.SetNodeWarnings([]string{"lvm2 is old"})
		board.Publish(nil, nil, status.PassCost{}, time.Now())
		report, changed := board.Report()
		board.SetWarnings(silentWarnings(observe.State{SilentDevices: []string{"/dev/sdz does not answer"}}))
		Expect(changed).To(BeClosed())
		again, changed := board.Report()
		Expect(again.Warnings).To(HaveExactElements(Equal("lvm2 is old"), HavePrefix("/dev/sdz does not answer; LVM is run without it")))
		Expect(again.Generation).To(Equal(report.Generation + 1))
		board.SetWarnings(slices.Clone(again.Warnings[1:]))
		Expect(changed).NotTo(BeClosed(), "nothing is new")
		board.SetWarnings(nil)
		last, _ := board.Report()
		Expect(last.Warnings).To(Equal([]string{"lvm2 is old"}))
	})
})
