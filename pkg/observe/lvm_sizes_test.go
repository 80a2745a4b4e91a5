package observe

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// sizesReport is what LVM 2.03.31 said of a thin pool, but for fields that do not matter here.
const sizesReport = `{"report":[{
	"vg":[{"vg_name":"vg0", "vg_uuid":"vg0-uuid", "vg_extent_size":"4194304", "vg_size":"4290772992", "vg_free":"3195011072", "vg_missing_pv_count":"0", "lv_count":"2", "vg_mda_free":"512512"}],
	"lv":[
		{"lv_name":"pool0", "lv_uuid":"pool", "lv_layout":"thin,pool", "lv_role":"private", "lv_size":"1073741824", "lv_permissions":"writeable", "lv_kernel_major":"253", "lv_kernel_minor":"3", "lv_metadata_size":"4194304"},
		{"lv_name":"thick", "lv_uuid":"thick", "lv_layout":"linear", "lv_role":"public", "lv_size":"16777216", "lv_permissions":"writeable", "lv_kernel_major":"253", "lv_kernel_minor":"24", "lv_metadata_size":""}],
	"seg":[
		{"lv_uuid":"pool", "segtype":"thin-pool", "data_stripes":"1", "chunk_size":"65536"},
		{"lv_uuid":"thick", "segtype":"linear", "data_stripes":"1", "chunk_size":"4096"}]}]}`

var _ = Describe("reading sizes that are only shown", func() {
	read := func(report string) VolumeGroup {
		GinkgoHelper()
		groups, left, err := parseReport([]byte(report))
		Expect(err).NotTo(HaveOccurred())
		Expect(left).NotTo(HaveOccurred())
		return groups["vg0"]
	}
	It("reads those of LVM's metadata and of thin pools", func() {
		vg := read(sizesReport)
		Expect(vg.MDAFree).To(BeEquivalentTo(512512))
		Expect(vg.LogicalVolumes["pool0"]).To(And(HaveField("MetadataSize", uint64(4<<20)), HaveField("ChunkSize", uint64(64<<10))))
		Expect(vg.LogicalVolumes["thick"]).To(And(HaveField("MetadataSize", uint64(0)), HaveField("ChunkSize", uint64(0))))
	})
	It("reads the volume group also if it does not understand them", func() {
		vg := read(strings.NewReplacer("512512", "some", `"65536"`, `"64.00k"`, `"4194304"}`, `"unknown"}`).Replace(sizesReport))
		Expect(vg.MDAFree).To(BeZero())
		Expect(vg.LogicalVolumes["pool0"]).To(And(HaveField("MetadataSize", uint64(0)), HaveField("ChunkSize", uint64(0))))
	})
})
