package fakehost_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
)

// As LVM 2.03.16 and 2.03.31 do it.
var _ = Describe("an external origin", func() {
	const alone = "-S !(lv_role=thickorigin)&&!(lv_role=extthinorigin)"
	names := func(h *fakehost.Host) []string {
		var names []string
		for _, lv := range h.Node().VolumeGroups[0].LogicalVolumes {
			names = append(names, lv.Name)
		}
		return names
	}
	It("has to be read-only and inactive, and is removed together with all that needs it", func() {
		h := machine()
		_, code, stderr := run(h, "lvcreate -y -s --thinpool vg0/pool -n clone vg0/thick")
		Expect(code).To(Equal(5))
		Expect(stderr).To(ContainSubstring("Cannot use writable LV as the external origin."))
		sh(h, "lvchange -pr vg0/thick")
		_, code, stderr = run(h, "lvcreate -y -s --thinpool vg0/pool -n clone vg0/thick")
		Expect(code).To(Equal(5))
		Expect(stderr).To(ContainSubstring("Cannot use active LV for the external origin."))
		sh(h, "lvchange -an vg0/thick")
		sh(h, "lvcreate -y -s --thinpool vg0/pool -n clone vg0/thick")
		sh(h, "lvcreate -y -s -kn -n clones vg0/clone")
		Expect(sh(h, "lvs --noheadings -o lv_role,lv_attr vg0/thick")).To(And(ContainSubstring("extthinorigin"), ContainSubstring("ori---")))
		before := names(h)
		sh(h, "lvremove -y "+alone+" vg0/thick")
		Expect(names(h)).To(Equal(before))

		sh(h, "lvremove -y vg0/clone")
		Expect(sh(h, "lvs --noheadings -o origin vg0/clones")).To(ContainSubstring("thick"))
		sh(h, "lvremove -y vg0/thick")
		Expect(names(h)).NotTo(Or(ContainElement("thick"), ContainElement("clones")))
	})
	It("is found by patterns of strings, which lists do not take", func() {
		h := machine()
		Expect(sh(h, "lvs --noheadings -o lv_name -S lv_attr!~^[tV] vg0")).NotTo(ContainSubstring("pool"))
		_, code, _ := run(h, "lvs -S lv_role=~thick vg0")
		Expect(code).NotTo(BeZero())
	})
})
