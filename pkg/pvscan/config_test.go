package pvscan

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = DescribeTable("a filter of lvm.conf decides as LVM does:",
	func(value string, accepted bool, names ...string) {
		f, err := parseFilter(value)
		Expect(err).NotTo(HaveOccurred())
		Expect(f.accepts(names)).To(Equal(accepted))
	},
	Entry("the first pattern that matches a name", `["a|^/dev/sda$|","r|.*|"]`, true, "/dev/sda"),
	Entry("whatever comes later", `["r|^/dev/sda$|","a|.*|"]`, false, "/dev/sda"),
	Entry("one name that is accepted is enough", `["a|/by-id/good|","r|.*|"]`, true, "/dev/sda", "/dev/disk/by-id/good"),
	Entry("also by a later pattern than rejects another", `["r|^/dev/sda$|","a|.*|"]`, true, "/dev/sda", "/dev/disk/by-id/x"),
	Entry("no match at all", `["r|^/dev/sdb$|"]`, true, "/dev/sda"),
	Entry("a match anywhere", `["r|sd|"]`, false, "/dev/sda"),
	Entry("another separator", `["r/sda/","a/.*/"]`, false, "/dev/sda"),
	Entry("brackets", `["r(sda)"]`, false, "/dev/sda"),
	Entry("a single string", `"r|.*|"`, false, "/dev/sda"),
	Entry("alternatives and repetition", `["a|^/dev/(sd[a-c]|nvme.+)$|","r|.*|"]`, true, "/dev/nvme0n1"),
	Entry("nothing", ``, true, "/dev/sda"),
)

var _ = DescribeTable("an entry of the devices file",
	func(line string, d device, pvid string, want bool) {
		entries := parseDevicesFile("# comment\nVERSION=1.1.2\nHOSTNAME=x\n" + line + "\n")
		Expect(entries).To(HaveLen(1))
		Expect(entries[0].names(d) && entries[0].isConfirmedBy(d, pvid)).To(Equal(want))
	},
	Entry("is found by its identity, whatever its name is now", "IDTYPE=sys_wwid IDNAME=naa.5000 DEVNAME=/dev/sdz PVID=x",
		device{names: []string{"/dev/sda", "/dev/link"}, ids: map[string]string{"sys_wwid": "naa.5000"}}, pvA, true),
	Entry("is not a clone of its content", "IDTYPE=sys_wwid IDNAME=naa.5000 DEVNAME=/dev/sdz PVID="+pvA,
		device{names: []string{"/dev/sda", "/dev/link"}, ids: map[string]string{"sys_wwid": "naa.6000"}}, pvA, false),
	Entry("is not the disk that has its name now", "IDTYPE=sys_wwid IDNAME=naa.5000 DEVNAME=/dev/sda PVID="+pvA,
		device{names: []string{"/dev/sda", "/dev/link"}, ids: map[string]string{"sys_wwid": "naa.6000"}}, pvA, false),
	Entry("has underscores for spaces", "IDTYPE=sys_wwid IDNAME=t10.ATA_disk_1 DEVNAME=/dev/sda PVID=x",
		device{names: []string{"/dev/sda", "/dev/link"}, ids: map[string]string{"sys_wwid": "t10.ATA     disk  1 "}}, pvA, true),
	Entry("is one partition", "IDTYPE=sys_wwid IDNAME=naa.5000 DEVNAME=/dev/sda2 PVID=x PART=2",
		device{names: []string{"/dev/sda1", "/dev/link"}, partition: 1, ids: map[string]string{"sys_wwid": "naa.5000"}}, pvA, false),
	Entry("is that partition", "IDTYPE=sys_wwid IDNAME=naa.5000 DEVNAME=/dev/sda2 PVID=x PART=2",
		device{names: []string{"/dev/sdb2", "/dev/link"}, partition: 2, ids: map[string]string{"sys_wwid": "naa.5000"}}, pvA, true),
	Entry("of a multipath device", "IDTYPE=mpath_uuid IDNAME=mpath-3600 DEVNAME=/dev/mapper/mpatha PVID=x",
		device{names: []string{"/dev/dm-4", "/dev/link"}, ids: map[string]string{"mpath_uuid": "mpath-3600"}}, pvA, true),
	Entry("that has a name only", "IDTYPE=devname IDNAME=/dev/vdb DEVNAME=/dev/vdb PVID="+pvA,
		device{names: []string{"/dev/vdb", "/dev/link"}, ids: map[string]string{}}, pvA, true),
	Entry("that has the name of a link only", "IDTYPE=devname IDNAME=/dev/link DEVNAME=/dev/link PVID="+pvA,
		device{names: []string{"/dev/vdb", "/dev/link"}, ids: map[string]string{}}, pvA, true),
	Entry("that has a name only, of what is now another disk", "IDTYPE=devname IDNAME=/dev/vdb DEVNAME=/dev/vdb PVID="+pvA,
		device{names: []string{"/dev/vdb", "/dev/link"}, ids: map[string]string{}}, pvB, false),
	Entry("of a kind that sysfs does not show", "IDTYPE=wwid_naa IDNAME=naa.5000 DEVNAME=/dev/sda PVID="+pvA,
		device{names: []string{"/dev/sda", "/dev/link"}, ids: map[string]string{"sys_wwid": "t10.x"}}, pvA, true),
	Entry("of such a kind, with another content", "IDTYPE=wwid_naa IDNAME=naa.5000 DEVNAME=/dev/sda PVID="+pvA,
		device{names: []string{"/dev/sda", "/dev/link"}, ids: map[string]string{"sys_wwid": "t10.x"}}, pvB, false),
	Entry("without a known content", "IDTYPE=wwid_naa IDNAME=naa.5000 DEVNAME=/dev/sda PVID=.",
		device{names: []string{"/dev/sda", "/dev/link"}, ids: map[string]string{}}, pvB, true),
)

var _ = Describe("the label of a physical volume", func() {
	It("is looked for in the first four sectors", func() {
		for sector := range 4 {
			Expect(pvUUID(pvLabel(pvA, sector))).To(Equal(pvA))
		}
	})
	It("is not believed if anything is wrong with it", func() {
		for at := 512; at < 512+64; at++ {
			damaged := pvLabel(pvA, 1)
			damaged[at] ^= 1
			Expect(pvUUID(damaged)).To(BeEmpty())
		}
		Expect(pvUUID(pvLabel(pvA, 1)[:700])).To(BeEmpty())
		Expect(pvUUID(nil)).To(BeEmpty())
	})
})
