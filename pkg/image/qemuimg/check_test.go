package qemuimg

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/image"
)

var _ = Describe("Check", func() {
	var dir, base string
	BeforeEach(func() {
		dir = GinkgoT().TempDir()
		base = filepath.Join(dir, "base")
		Expect(os.WriteFile(base, disk(mib), 0o600)).To(Succeed())
	})

	DescribeTable("refuses what QEMU itself made, before qemu-img is run", func(ctx SpecContext, reason error, args ...string) {
		path := filepath.Join(dir, "image")
		for i, a := range args {
			switch a {
			case "BASE":
				args[i] = base
			case "DATA":
				args[i] = "data_file=" + filepath.Join(dir, "data")
			}
		}
		qemu(append(append([]string{"create", "-q"}, args...), path, "1M")...)
		f, err := image.Open(path)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(f.Close)
		_, err = Tool{Path: "/nonexistent"}.Check(ctx, f, image.Detect, 0)
		Expect(err).To(MatchError(reason))
		Expect(err).To(MatchError(image.ErrRefused))
	},
		Entry("qcow2 with a backing file", image.ErrBackingFile, "-f", "qcow2", "-b", "BASE", "-F", "raw"),
		Entry("qcow2 with a data file", image.ErrDataFile, "-f", "qcow2", "-o", "DATA"),
		Entry("qcow2 with LUKS", image.ErrEncrypted, "--object", "secret,id=s,data=123456", "-f", "qcow2",
			"-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10"),
		Entry("LUKS", image.ErrUnsupportedFormat, "--object", "secret,id=s,data=123456", "-f", "luks", "-o", "key-secret=s,iter-time=10"),
		Entry("monolithicFlat", image.ErrUnsupportedFormat, "-f", "vmdk", "-o", "subformat=monolithicFlat"),
		Entry("twoGbMaxExtentSparse", image.ErrUnsupportedFormat, "-f", "vmdk", "-o", "subformat=twoGbMaxExtentSparse"),
		Entry("twoGbMaxExtentFlat", image.ErrUnsupportedFormat, "-f", "vmdk", "-o", "subformat=twoGbMaxExtentFlat"),
		Entry("VDI", image.ErrUnsupportedFormat, "-f", "vdi"),
		Entry("VHD", image.ErrUnsupportedFormat, "-f", "vpc"),
		Entry("Parallels", image.ErrUnsupportedFormat, "-f", "parallels"),
		Entry("QED", image.ErrUnsupportedFormat, "-f", "qed"),
		Entry("qcow", image.ErrUnsupportedFormat, "-f", "qcow"),
	)

	It("refuses a VMDK with a parent that QEMU made", func(ctx SpecContext) {
		parent, path := filepath.Join(dir, "parent"), filepath.Join(dir, "child")
		qemu("convert", "-f", "raw", "-O", "vmdk", base, parent)
		qemu("create", "-q", "-f", "vmdk", "-b", parent, "-F", "vmdk", path)
		f, err := image.Open(path)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(f.Close)
		_, err = Tool{}.Check(ctx, f, image.Detect, 0)
		Expect(err).To(MatchError(image.ErrBackingFile))
	})

	It("reads a stream-optimized VMDK with a footer, as VMware and VirtualBox make them", func(ctx SpecContext) {
		path, back := filepath.Join(dir, "image"), filepath.Join(dir, "back")
		qemu("convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized", base, path)
		b, err := os.ReadFile(path)
		Expect(err).NotTo(HaveOccurred())
		b = append(b, make([]byte, (512-len(b)%512)%512)...)
		header := bytes.Clone(b[:512])
		binary.LittleEndian.PutUint64(b[56:], 1<<64-1)
		marker := make([]byte, 512)
		marker[0], marker[12] = 1, 3
		b = append(append(append(b, marker...), header...), make([]byte, 512)...)
		Expect(os.WriteFile(path, b, 0o600)).To(Succeed())
		f, err := image.Open(path)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(f.Close)
		s, err := Tool{}.Check(ctx, f, image.Detect, mib)
		Expect(err).NotTo(HaveOccurred())
		Expect(s.Header()).To(Equal(image.Header{Format: image.VMDK, VirtualSize: mib, Variant: "streamOptimized"}))
		dirty(back, mib)
		Expect(Tool{}.Convert(ctx, Conversion{Source: s, Target: back})).To(Succeed())
		same(back, disk(mib))
	})
})
