package guest

import (
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/test/guest/internal/debian"
)

var _ = Describe("the emulator's command line", func() {
	line := func(config Config) string {
		return strings.Join(emulated{tcg}.command("/root", debian.Kernel{Dir: "/kernel", Image: "/kernel/vmlinux"}, config.withDefaults()), " ")
	}

	It("names a disk after its file", func() {
		Expect(line(Config{Disks: []Disk{{Path: "/d/one.raw"}, {Path: "/d/two", Serial: "other"}}})).To(And(
			ContainSubstring("file=/d/one.raw -device virtio-blk-pci,drive=disk0,serial=one "),
			ContainSubstring("file=/d/two -device virtio-blk-pci,drive=disk1,serial=other")))
	})

	It("keeps commas in paths out of its options", func() {
		Expect(line(Config{Share: "/a,b"})).To(ContainSubstring("path=/a,,b "))
	})

	It("has defaults that the caller's disks do not share", func() {
		disks := []Disk{{Path: "/d/one.raw"}}
		Config{Disks: disks}.withDefaults()
		Expect(disks[0].Serial).To(BeEmpty())
	})
})

var _ = Describe("a disk", func() {
	It("is made, grows, and never shrinks", func() {
		disk := Disk{Path: filepath.Join(GinkgoT().TempDir(), "disk.raw")}
		for _, step := range []struct{ size, want int64 }{{1 << 20, 1 << 20}, {2 << 20, 2 << 20}, {1 << 20, 2 << 20}} {
			disk.Size = step.size
			Expect(disk.create()).To(Succeed())
			info, err := os.Stat(disk.Path)
			Expect(err).NotTo(HaveOccurred())
			Expect(info.Size()).To(Equal(step.want))
		}
	})
})

var _ = Describe("the console", func() {
	It("keeps the end of what was written", func() {
		var c console
		for range 3 * consoleLimit / 16 {
			_, err := c.Write([]byte("0123456789abcd\r\n"))
			Expect(err).NotTo(HaveOccurred())
		}
		_, _ = c.Write([]byte("the end\r\n"))
		Expect(len(c.text)).To(BeNumerically("<=", 2*consoleLimit))
		Expect(lastLines(c.String(), 2)).To(Equal("0123456789abcd\nthe end"))
	})
})
