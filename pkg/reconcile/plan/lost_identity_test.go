package plan_test

import (
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

// Of a volume that moved, its tag alone says by what serial initiators know it.
var _ = Describe("Make and a volume that moved", func() {
	const serialTag = ondisk.TagIdentity
	moved := func() (*Node, string) {
		n := Converged()
		first := n.LVs("vg0")["thick"].UUID
		n.Declared.Snapshots = map[string]spec.Snapshot{"nightly": n.Declared.Snapshots["nightly"]}
		v := n.Declared.Volumes["thick"]
		v.Spec.Pool = "fast"
		n.Declared.Volumes["thick"] = v
		n.Converge()
		n.Remember()
		lv := n.LVs("vg0")["thick"]
		Expect(lv.Identity()).To(Equal(first))
		Expect(lv.UUID).NotTo(Equal(first))
		return n, first
	}
	DescribeTable("gives it back its serial when somebody takes the tag away", func(taken func(tag string) bool) {
		n, first := moved()
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Tags = slices.DeleteFunc(slices.Clone(lv.Tags), taken) })
		n.Input.Known = Learned(n.Input.Known, n.Declared, n.State)
		Expect(ChangesIn(n.Plan())).To(ConsistOf(And(HavePrefix("set tags of vg0/thick: "), HaveSuffix(" +volreconciler/identity="+first))))
		n.Converge()
		Expect(n.LVs("vg0")["thick"].Identity()).To(Equal(first))
	},
		Entry("alone", func(tag string) bool { return strings.HasPrefix(tag, serialTag) }),
		Entry("with all others", func(string) bool { return true }),
		Entry("with that of its name", func(tag string) bool {
			return strings.HasPrefix(tag, serialTag) || strings.HasPrefix(tag, ondisk.TagName)
		}))
	It("does not take another one for it, which carries its tags", func() {
		n, first := moved()
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) {
			lv.UUID = "another"
			lv.Tags = slices.DeleteFunc(slices.Clone(lv.Tags), func(tag string) bool { return strings.HasPrefix(tag, serialTag) })
		})
		for range 3 {
			n.Input.Known = Learned(n.Input.Known, n.Declared, n.State)
			Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonVanished))
		}
		Expect(n.Input.Known[VolumeID("thick")].UUID).To(Equal(first))
	})
})
