package doctor

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = DescribeTable("the version of a tool",
	func(t tool, said string, want string, warning bool) {
		r, remarkable := t.check(said)
		Expect(remarkable).To(Equal(want != ""))
		Expect(r.Sentence()).To(ContainSubstring(want))
		Expect(r.Warning).To(Equal(warning))
	},
	Entry("of Debian 12", lvmTool, "  LVM version:     2.03.16(2) (2022-05-18)\n  Library version: 1.02.185 (2022-05-18)\n", "", false),
	Entry("of Debian 13", lvmTool, "  LVM version:     2.03.31(2) (2025-02-27)\n", "", false),
	Entry("older", lvmTool, "  LVM version:     2.03.11(2) (2021-01-08)\n", "lvm2 2.03.11 is older than 2.03.16, the oldest version tested with volreconciler: volume groups may not be readable", true),
	Entry("much older", lvmTool, "  LVM version:     2.02.187(2)-RHEL7 (2020-03-24)\n", "older", true),
	Entry("newer", lvmTool, "  LVM version:     2.03.39(2) (2026-01-01)\n", "lvm2 2.03.39 is newer than 2.03.31", false),
	Entry("much newer", lvmTool, "  LVM version:     3.0\n", "newer", false),
	Entry("that is not said", lvmTool, "command not found", "", false),
	Entry("that is nothing", lvmTool, "", "", false),
	Entry("of thin_delta", thinTool, "0.9.0\n", "", false),
	Entry("of thin_delta, newer", thinTool, "thin_delta 1.2.1\n", "newer than 1.1.0", false),
	Entry("of thin_delta, older", thinTool, "0.8.5\n", "moving thin Volumes", true),
	Entry("of qemu-img", imageTool, "qemu-img version 7.2.22 (Debian 1:7.2+dfsg-7)\n", "", false),
	Entry("of qemu-img, the newest", imageTool, "qemu-img version 10.0.13 (Debian 1:10.0.13+ds-0+deb13u1)\n", "", false),
	Entry("of qemu-img, newer", imageTool, "qemu-img version 10.1.0\n", "newer than 10.0", false),
	Entry("of qemu-img, older", imageTool, "qemu-img version 5.2.0\n", "images", true),
	Entry("of the kernel", kernelTool, "6.1.0-28-amd64\n", "", false),
	Entry("of the kernel, the newest", kernelTool, "7.2.7\n", "", false),
	Entry("of the kernel, older", kernelTool, "5.10.0-30-amd64\n", "kernel 5.10.0 is older than 6.1", true),
)

var _ = Describe("The tools of a machine", func() {
	It("are named if they are too old, and asked once each", func(ctx SpecContext) {
		m := &machine{files: map[string]string{"/proc/sys/kernel/osrelease": "9.0\n"},
			said: map[string]string{"lvm version": "LVM version: 2.03.02(2)", "thin_delta --version": "1.0.6\n", "qemu-img --version": "qemu-img version 2.0"}}
		Expect(CheckTools(ctx, m, setOf(declared))).To(HaveExactElements(
			And(HaveField("Warning", true), HaveField("Text", ContainSubstring("lvm2 2.03.02"))),
			And(HaveField("Warning", false), HaveField("Text", ContainSubstring("kernel 9.0")))))
		Expect(m.ran).To(HaveLen(2))
		images := declared + "Image i {volume: a, path: /srv/a.qcow2, format: qcow2}\n"
		Expect(CheckTools(ctx, m, setOf(images))).To(ContainElement(HaveField("Text", ContainSubstring("qemu-img 2.0"))))
	})
})

var _ = DescribeTable("What the agent warns of when it starts", func(ctx SpecContext, lvm string, warnings, notes []string) {
	m := &machine{said: map[string]string{"lvm lvmconfig": debian + "devices {\n\tscan_lvs=1\n}\n", "lvm version": lvm}}
	gotWarnings, gotNotes, err := AtStart(ctx, m, setOf(""))
	Expect(err).NotTo(HaveOccurred())
	Expect(gotWarnings).To(HaveExactElements(warnings))
	Expect(gotNotes).To(HaveExactElements(notes))
},
	Entry("and an old LVM", "LVM version: 2.03.02(2)", []string{
		scanWarning,
		"lvm2 2.03.02 is older than 2.03.16, the oldest version tested with volreconciler: volume groups may not be readable, and changes may fail. Upgrade it",
	}, []string(nil)),
	Entry("and a new LVM", "LVM version: 3.0", []string{scanWarning}, []string{"lvm2 3.0 is newer than 2.03.31, the newest version tested with volreconciler"}),
)

// scanWarning is that of scan_lvs.
const scanWarning = "lvm.conf has devices/scan_lvs = 1: LVM activates volume groups that initiators created on exported volumes, which corrupts them. " +
	"To correct it: set it to 0; if this node has a volume group on logical volumes, set devices/global_filter instead"

var _ = It("The agent says that it cannot check LVM when it starts", func(ctx SpecContext) {
	_, _, err := AtStart(ctx, &machine{}, setOf(""))
	Expect(err).To(MatchError(HavePrefix("cannot check whether LVM scans exported volumes: ")))
})
