package observe

import (
	"context"
	"errors"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host"
)

var _ = DescribeTable("the version of a tool",
	func(t tool, said string, want string, warning bool) {
		r, remarkable := t.check(said)
		Expect(remarkable).To(Equal(want != ""))
		Expect(r.Text).To(ContainSubstring(want))
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

// versions answers with what tools say of themselves.
type versions struct {
	recording
	said map[string]string
}

func (v *versions) Run(_ context.Context, argv ...string) (host.Output, error) {
	v.ran = append(v.ran, argv[0])
	return host.Output{Stdout: []byte(v.said[argv[0]])}, errors.New("as where device-mapper does not exist")
}

var _ = Describe("the tools of a machine", func() {
	It("are named if they are too old, and asked once each", func(ctx SpecContext) {
		v := &versions{recording: recording{files: map[string]string{"/proc/sys/kernel/osrelease": "9.0\n"}},
			said: map[string]string{"lvm": "LVM version: 2.03.02(2)", "thin_delta": "1.0.6\n", "qemu-img": "qemu-img version 2.0"}}
		Expect(CheckTools(ctx, v, false)).To(HaveExactElements(
			And(HaveField("Warning", true), HaveField("Text", ContainSubstring("lvm2 2.03.02"))),
			And(HaveField("Warning", false), HaveField("Text", ContainSubstring("kernel 9.0")))))
		Expect(v.ran).To(HaveLen(2))
		Expect(CheckTools(ctx, v, true)).To(ContainElement(HaveField("Text", ContainSubstring("qemu-img 2.0"))))
	})
})
