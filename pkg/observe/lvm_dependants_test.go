package observe

import (
	"encoding/json"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// groupOf parses a volume group of these rows, with what all have in common added.
func groupOf(rows ...lvRow) VolumeGroup {
	GinkgoHelper()
	visible := 0
	for i := range rows {
		r := &rows[i]
		r.UUID, r.Size, r.OriginSize, r.Permissions, r.Major, r.Minor = r.Name, "4194304", "4194304", "writeable", "-1", "-1"
		if !r.isHidden() {
			visible++
		}
	}
	count, err := json.Marshal(visible)
	Expect(err).NotTo(HaveOccurred())
	vg, err := parseGroup(vgRow{Name: "vg0", UUID: "u", ExtentSize: "4194304", Size: "0", Free: "0", MissingPVs: "0", LVCount: string(count)}, rows)
	Expect(err).NotTo(HaveOccurred())
	return vg
}

// The rows are those of LVM 2.03.16 and 2.03.31.
var _ = DescribeTable("what LVM removes together with a logical volume", func(want map[string][]string, rows ...lvRow) {
	have := map[string][]string{}
	for name, lv := range groupOf(rows...).LogicalVolumes {
		if len(lv.TakesAlong) > 0 {
			have[name] = lv.TakesAlong
		}
	}
	Expect(have).To(Equal(want))
},
	Entry("thin volumes whose external origin it is, with their snapshots",
		map[string][]string{"golden": {
			"vg0/clone, a thin volume whose external origin it is", "vg0/clones, a thin volume whose external origin it is",
		}},
		lvRow{Name: "golden", Layout: "linear", Role: "public,origin,extthinorigin,multiextthinorigin", Attr: "ori-------"},
		lvRow{Name: "tp", Layout: "thin,pool", Role: "private"},
		lvRow{Name: "clone", Layout: "thin,sparse", Role: "public,origin,thinorigin,snapshot,thinsnapshot", Origin: "golden", Pool: "tp"},
		lvRow{Name: "clones", Layout: "thin,sparse", Role: "public,snapshot,thinsnapshot", Origin: "clone", Pool: "tp"}),
	Entry("not thin snapshots in its own pool",
		map[string][]string{"th": {"vg0/clone, a thin volume whose external origin it is"}},
		lvRow{Name: "th", Layout: "thin,sparse", Role: "public,origin,extthinorigin,thinorigin", Pool: "tp"},
		lvRow{Name: "ths", Layout: "thin,sparse", Role: "public,snapshot,thinsnapshot", Origin: "th", Pool: "tp"},
		lvRow{Name: "clone", Layout: "thin,sparse", Role: "public,snapshot,thinsnapshot", Origin: "th", Pool: "tp2"}),
	Entry("thin volumes that are not found",
		map[string][]string{"golden": {"thin volumes whose external origin it is"}},
		lvRow{Name: "golden", Layout: "linear", Role: "public,origin,extthinorigin", Attr: "ori-------"}),
	Entry("a thin snapshot that is being merged",
		map[string][]string{"th": {"vg0/ths, a snapshot that is merging into it"}},
		lvRow{Name: "th", Layout: "thin,sparse", Role: "public,origin,thinorigin", Pool: "tp", Attr: "Owi-aotz--"},
		lvRow{Name: "[ths]", Layout: "thin,sparse", Role: "public,snapshot,thinsnapshot", Origin: "th", Pool: "tp", Merging: "merging"}),
	Entry("a thick snapshot that is being merged",
		map[string][]string{"o": {"vg0/s, a snapshot that is merging into it"}},
		lvRow{Name: "o", Layout: "linear", Role: "public,origin,thickorigin", Attr: "Owi-aos---", Merging: "merging"},
		lvRow{Name: "[s]", Layout: "linear", Role: "public,snapshot,thicksnapshot", Origin: "o", Merging: "merging"}),
	Entry("its cache",
		map[string][]string{"c": {"vg0/cv_cvol, its cache or pool"}},
		lvRow{Name: "c", Layout: "writecache", Role: "public", Origin: "[c_wcorig]", Pool: "[cv_cvol]"},
		lvRow{Name: "[cv_cvol]", Layout: "writecache,cachevol", Role: "private"}),
	Entry("an image that was split from it and tracks changes",
		map[string][]string{"r": {"vg0/r_rimage_1, which still belongs to it"}},
		lvRow{Name: "r", Layout: "raid,raid1", Role: "public"},
		lvRow{Name: "[r_rimage_0]", Layout: "linear", Role: "private,raid,image", Parent: "r"},
		lvRow{Name: "r_rimage_1", Layout: "linear", Role: "private,raid,image", Parent: "r"}),
	Entry("what is in a VDO pool, and the pool",
		map[string][]string{"vpool": {"vg0/vdo, which it contains"}, "vdo": {"vg0/vpool, its cache or pool"}},
		lvRow{Name: "vpool", Layout: "vdo,pool", Role: "private"},
		lvRow{Name: "vdo", Layout: "vdo,sparse", Role: "public", Pool: "vpool"}),
)
