package watch

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = DescribeTable("The place of a file in configfs",
	func(path string, there []string, expected string) {
		same := func(below string) bool {
			for _, t := range there {
				if t == below {
					return true
				}
			}
			return false
		}
		Expect(placeOf(path, "/sys/kernel/config", same)).To(Equal(expected))
	},
	Entry("of the usual mount", "/sys/kernel/config/target/core/iblock_0/a/enable", nil, "target/core/iblock_0/a/enable"),
	Entry("of another mount", "/mnt/other/target/core/iblock_0/a/enable", []string{"target/core/iblock_0/a/enable"}, "target/core/iblock_0/a/enable"),
	Entry("of another mount, below a directory that is called as ours are", "/srv/target/c2/target/core/a", []string{"target/core/a"}, "target/core/a"),
	Entry("of a mount namespace that is gone", "/target/iscsi/iqn/tpgt_1/enable", []string{"target/iscsi/iqn/tpgt_1/enable"}, "target/iscsi/iqn/tpgt_1/enable"),
	Entry("with names that are called as ours are", "/c2/target/core/nvmet/target/control", []string{"target/core/nvmet/target/control"}, "target/core/nvmet/target/control"),
	Entry("in the root file system of a container", "/var/lib/c/rootfs/sys/kernel/config/nvmet/ports/1/addr_traddr", []string{"nvmet/ports/1/addr_traddr"}, "nvmet/ports/1/addr_traddr"),
	Entry("that was removed since", "/mnt/other/target/iscsi/iqn/tpgt_1/enable (deleted)", nil, "target/iscsi/iqn/tpgt_1/enable"),
	Entry("that was removed from the usual mount", "/sys/kernel/config/target/core/iblock_0/a/enable (deleted)", nil, "target/core/iblock_0/a/enable"),
	Entry("of a mount of a part", "/mnt/iqn/tpgt_1/enable", nil, ""),
	Entry("of something else", "/c2/usb_gadget/g1/UDC", []string{"usb_gadget/g1/UDC"}, "usb_gadget/g1/UDC"),
	Entry("nothing", "", nil, ""),
)

var _ = DescribeTable("Directories of configfs that are watched",
	func(path string, forEntries, forAttributes bool) {
		Expect(isWatched(path, false)).To(Equal(forEntries))
		Expect(isWatched(path, true)).To(Equal(forAttributes))
	},
	Entry(nil, "target", true, true),
	Entry(nil, "target/core", true, true),
	Entry(nil, "target/core/iblock_0", true, true),
	Entry(nil, "target/core/iblock_0/data", true, true),
	Entry("a backstore may be called anything", "target/core/iblock_0/statistics", true, true),
	Entry("a backstore may be called anything", "target/core/iblock_0/fabric_statistics", true, true),
	Entry(nil, "target/core/iblock_0/data/statistics", false, false),
	Entry(nil, "target/core/iblock_0/data/attrib", false, true),
	Entry(nil, "target/core/iblock_0/data/wwn", false, true),
	Entry(nil, "target/core/iblock_0/data/alua", true, true),
	Entry("a group may be called anything", "target/core/iblock_0/data/alua/statistics", true, true),
	Entry(nil, "target/core/alua/lu_gps", true, true),
	Entry(nil, "target/iscsi/iqn", true, true),
	Entry(nil, "target/iscsi/iqn/fabric_statistics", false, false),
	Entry(nil, "target/iscsi/iqn/tpgt_1", true, true),
	Entry(nil, "target/iscsi/iqn/tpgt_1/auth", false, true),
	Entry(nil, "target/iscsi/iqn/tpgt_1/param", false, true),
	Entry(nil, "target/iscsi/iqn/tpgt_1/acls", true, true),
	Entry("an initiator may be called anything", "target/iscsi/iqn/tpgt_1/acls/auth", true, true),
	Entry(nil, "target/iscsi/iqn/tpgt_1/acls/iqn/auth", false, true),
	Entry(nil, "target/iscsi/iqn/tpgt_1/acls/iqn/fabric_statistics", false, false),
	Entry(nil, "target/iscsi/iqn/tpgt_1/acls/iqn/lun_0", true, true),
	Entry(nil, "target/iscsi/iqn/tpgt_1/acls/iqn/lun_0/statistics", false, false),
	Entry(nil, "target/iscsi/iqn/tpgt_1/lun/lun_0", true, true),
	Entry(nil, "target/iscsi/iqn/tpgt_1/lun/lun_0/statistics", false, false),
	Entry(nil, "nvmet/subsystems/statistics/namespaces", true, true),
)
