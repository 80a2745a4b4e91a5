package image

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// patch is a hand that forges.
type patch func(b []byte) []byte

func put16(offset int, v uint16) patch {
	return func(b []byte) []byte { binary.LittleEndian.PutUint16(b[offset:], v); return b }
}

func put32(offset int, v uint32) patch {
	return func(b []byte) []byte { binary.BigEndian.PutUint32(b[offset:], v); return b }
}

func put64(offset int, v uint64) patch {
	return func(b []byte) []byte { binary.BigEndian.PutUint64(b[offset:], v); return b }
}

func le64(offset int, v uint64) patch {
	return func(b []byte) []byte { binary.LittleEndian.PutUint64(b[offset:], v); return b }
}

func or8(offset int, v byte) patch {
	return func(b []byte) []byte { b[offset] |= v; return b }
}

func cut(n int) patch { return func(b []byte) []byte { return b[:n] } }

func replace(from, to string) patch {
	return func(b []byte) []byte {
		ExpectWithOffset(1, bytes.Contains(b, []byte(from))).To(BeTrue(), from)
		// The descriptor is padded with NULs to its sectors.
		i := bytes.Index(b, []byte(from))
		end := i + bytes.IndexByte(b[i:], 0)
		rest := to + string(b[i+len(from):end])
		clear(b[i:end])
		copy(b[i:], rest)
		return b
	}
}

// vhdx changes a structure that has a checksum, and mends the checksum.
func vhdx(offset, size int, change patch) patch {
	return func(b []byte) []byte {
		part := b[offset : offset+size]
		change(part)
		clear(part[4:8])
		binary.LittleEndian.PutUint32(part[4:], crc32.Checksum(part, castagnoli))
		return b
	}
}

func both(patches ...patch) patch {
	return func(b []byte) []byte {
		for _, p := range patches {
			b = p(b)
		}
		return b
	}
}

// vhdxItem changes a value of the metadata; by qemu-img it is at 2 MiB.
func vhdxItem(id guid, change func(entry, value []byte)) patch {
	return func(b []byte) []byte {
		at := bytes.Index(b, append([]byte("metadata"), 0, 0))
		Expect(at).To(BeNumerically(">", 0))
		entry := at + 32
		for guid(b[entry:entry+16]) != id {
			entry += 32
		}
		change(b[entry:entry+32], b[at+int(binary.LittleEndian.Uint32(b[entry+16:])):])
		return b
	}
}

// qcow2Ext puts a header extension where qemu-img has its first one.
func qcow2Ext(kind, length uint32) patch {
	return both(func(b []byte) []byte { return put32(int(binary.BigEndian.Uint32(b[100:])), kind)(b) },
		func(b []byte) []byte { return put32(int(binary.BigEndian.Uint32(b[100:]))+4, length)(b) })
}

var _ = Describe("Inspect", func() {
	var dir string
	BeforeEach(func() { dir = GinkgoT().TempDir() })

	inspect := func(path string, wanted Format) (Header, error) {
		f, err := Open(path)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(f.Close)
		return f.Inspect(wanted)
	}

	for name, s := range samples {
		It("reads "+name+" by QEMU", func() {
			path, err := sample(dir, name, s.args...)
			Expect(err).NotTo(HaveOccurred())
			for _, wanted := range []Format{Detect, s.format} {
				h, err := inspect(path, wanted)
				Expect(err).NotTo(HaveOccurred())
				Expect(h.Format).To(Equal(s.format))
				Expect(h.VirtualSize).To(Equal(int64(1 << 20)))
			}
			for _, wanted := range []Format{Raw, QCOW2, VMDK, VHDX} {
				if wanted == s.format {
					continue
				}
				_, err := inspect(path, wanted)
				Expect(err).To(MatchError(ErrFormatMismatch), "%s as %s", name, wanted)
				Expect(err).To(MatchError(ErrRefused))
			}
		})
	}

	It("counts the last sector of a raw file as a whole one", func() {
		path := filepath.Join(dir, "raw")
		Expect(os.WriteFile(path, make([]byte, 1000), 0o600)).To(Succeed())
		Expect(inspect(path, Detect)).To(Equal(Header{Format: Raw, VirtualSize: 1024}))
	})

	DescribeTable("refuses", func(name string, forge patch, reason error) {
		path, err := sample(dir, name, samples[name].args...)
		Expect(err).NotTo(HaveOccurred())
		b, err := os.ReadFile(path)
		Expect(err).NotTo(HaveOccurred())
		Expect(os.WriteFile(path, forge(b), 0o600)).To(Succeed())
		_, err = inspect(path, samples[name].format)
		Expect(err).To(MatchError(reason))
		Expect(err).To(MatchError(ErrRefused))
		var r *Refusal
		Expect(errors.As(err, &r)).To(BeTrue())
		Expect(r.Advice).NotTo(BeEmpty())
		Expect(err.Error()).To(ContainSubstring(path))
	},
		Entry("qcow2, backing file offset", "v3.qcow2", put64(8, 0x200), ErrBackingFile),
		Entry("qcow2, backing file size alone", "v2.qcow2", put32(16, 11), ErrBackingFile),
		Entry("qcow2, data file bit", "v3.qcow2", or8(79, 4), ErrDataFile),
		Entry("qcow2, data file extension without the bit", "v3.qcow2", qcow2Ext(qcow2ExtDataFile, 8), ErrDataFile),
		Entry("qcow2, AES", "v3.qcow2", put32(32, 1), ErrEncrypted),
		Entry("qcow2, LUKS", "v3.qcow2", put32(32, 2), ErrEncrypted),
		Entry("qcow2, encryption extension", "v3.qcow2", qcow2Ext(qcow2ExtCrypto, 16), ErrEncrypted),
		Entry("qcow2, unknown incompatible bit", "v3.qcow2", or8(72, 0x80), ErrUnknownFeature),
		Entry("qcow2, version 4", "v3.qcow2", put32(4, 4), ErrUnknownFeature),
		Entry("qcow2, dirty", "v3.qcow2", or8(79, 1), ErrNotClosed),
		Entry("qcow2, corrupt", "v3.qcow2", or8(79, 2), ErrNotClosed),
		Entry("qcow2, huge clusters", "v3.qcow2", put32(20, 63), ErrMalformed),
		Entry("qcow2, tiny clusters", "v3.qcow2", put32(20, 0), ErrMalformed),
		Entry("qcow2, huge header length", "v3.qcow2", put32(100, 0xfffffff8), ErrMalformed),
		Entry("qcow2, short header length", "v3.qcow2", put32(100, 72), ErrMalformed),
		Entry("qcow2, endless extension", "v3.qcow2", qcow2Ext(0x12345678, 0xffffffff), ErrMalformed),
		Entry("qcow2, huge disk", "v3.qcow2", put64(24, 1<<62), ErrMalformed),
		Entry("qcow2, negative disk", "v3.qcow2", put64(24, 1<<63+512), ErrMalformed),
		Entry("qcow2, half a sector", "v3.qcow2", put64(24, 1000), ErrMalformed),
		Entry("qcow2, no disk", "v3.qcow2", put64(24, 0), ErrMalformed),
		Entry("qcow2, L1 table too small", "v3.qcow2", put64(24, 1<<40), ErrMalformed),
		Entry("qcow2, L1 table too large", "v3.qcow2", put32(36, 1<<31), ErrMalformed),
		Entry("qcow2, L1 table in the header", "v3.qcow2", put64(40, 0), ErrMalformed),
		Entry("qcow2, L1 table on the refcounts", "v3.qcow2", func(b []byte) []byte { copy(b[40:48], b[48:56]); return b }, ErrMalformed),
		Entry("qcow2, L1 table not on a cluster", "v3.qcow2", or8(47, 8), ErrMalformed),
		Entry("qcow2, L1 table behind the end", "v3.qcow2", put64(40, 1<<50), ErrMalformed),
		Entry("qcow2, refcounts behind the end", "v3.qcow2", put64(48, 1<<63), ErrMalformed),
		Entry("qcow2, snapshots", "v3.qcow2", put32(60, 1<<20), ErrMalformed),
		Entry("qcow2, cut in the header", "v3.qcow2", cut(80), ErrMalformed),
		Entry("qcow2, cut in the tables", "v3.qcow2", cut(70<<10), ErrMalformed),
		Entry("qcow2, magic alone", "v3.qcow2", cut(4), ErrMalformed),

		Entry("vmdk, parent", "sparse.vmdk", replace("parentCID=ffffffff", "parentCID=12345678"), ErrBackingFile),
		Entry("vmdk, parent's file", "sparse.vmdk", replace("# Extent description", "parentFileNameHint=\"/etc/shadow\"\n#"), ErrBackingFile),
		Entry("vmdk, parent's file in a comment, where QEMU finds it too", "stream.vmdk",
			replace("# Extent description", "#parentFileNameHint=\"/x\""), ErrBackingFile),
		Entry("vmdk, parent's file behind the descriptor's end", "sparse.vmdk",
			func(b []byte) []byte { copy(b[9000:], "parentFileNameHint=\"/etc/shadow\""); return b }, ErrBackingFile),
		Entry("vmdk, flat", "sparse.vmdk", replace("monolithicSparse", "monolithicFlat"), ErrUnsupportedFormat),
		Entry("vmdk, twoGbMaxExtentSparse", "sparse.vmdk", replace("monolithicSparse", "twoGbMaxExtentSparse"), ErrUnsupportedFormat),
		Entry("vmdk, vmfs", "sparse.vmdk", replace("monolithicSparse", "vmfs"), ErrUnsupportedFormat),
		Entry("vmdk, no type", "sparse.vmdk", replace("createType=", "#createType="), ErrUnsupportedFormat),
		Entry("vmdk, two types", "sparse.vmdk", replace("# Extent description", "createType=\"streamOptimized\"\n#"), ErrMalformed),
		Entry("vmdk, extent in another directory", "sparse.vmdk", replace(`"sparse.vmdk"`, `"/etc/shadow"`), ErrDataFile),
		Entry("vmdk, flat extent", "sparse.vmdk", replace(`SPARSE "sparse.vmdk"`, `FLAT "x" 0`), ErrDataFile),
		Entry("vmdk, two extents", "sparse.vmdk", replace("# Extent description", "RW 1 SPARSE \"b\"\n#"), ErrDataFile),
		Entry("vmdk, no extent", "sparse.vmdk", replace("RW 2048 SPARSE", "#"), ErrMalformed),
		Entry("vmdk, nonsense", "sparse.vmdk", replace("# Extent description", "nonsense"), ErrMalformed),
		Entry("vmdk, descriptor alone", "sparse.vmdk", le64(12, 0), ErrDataFile),
		Entry("vmdk, huge disk", "sparse.vmdk", le64(12, 1<<60), ErrMalformed),
		Entry("vmdk, grains", "sparse.vmdk", le64(20, 3), ErrMalformed),
		Entry("vmdk, descriptor elsewhere", "sparse.vmdk", le64(28, 100), ErrMalformed),
		Entry("vmdk, huge descriptor", "sparse.vmdk", le64(36, 1<<40), ErrMalformed),
		Entry("vmdk, unclean", "sparse.vmdk", or8(72, 1), ErrNotClosed),
		Entry("vmdk, sent as text", "sparse.vmdk", put32(73, 0), ErrMalformed),
		Entry("vmdk, compression", "stream.vmdk", put16(77, 7), ErrUnknownFeature),
		Entry("vmdk, compressed but not stream", "stream.vmdk", replace("streamOptimized", "monolithicSparse"), ErrMalformed),
		Entry("vmdk, version", "sparse.vmdk", or8(4, 8), ErrUnknownFeature),
		Entry("vmdk, cut", "sparse.vmdk", cut(60), ErrMalformed),
		Entry("vmdk, grain directory behind the end", "sparse.vmdk", le64(56, 1<<40), ErrMalformed),
		Entry("vmdk, no footer", "stream.vmdk", le64(56, vmdkAtEnd), ErrMalformed),
		Entry("vmdk, footer with another disk", "stream.vmdk", footer(4096), ErrMalformed),

		Entry("vhdx, no valid header", "dynamic.vhdx", both(or8(64<<10+20, 0xff), or8(128<<10+20, 0xff)), ErrMalformed),
		Entry("vhdx, log", "dynamic.vhdx", both(vhdx(64<<10, 4096, or8(48, 1)), vhdx(128<<10, 4096, or8(48, 1))), ErrNotClosed),
		Entry("vhdx, headers that contradict", "dynamic.vhdx", both(
			vhdx(64<<10, 4096, both(le64(8, 7), or8(48, 1))), vhdx(128<<10, 4096, le64(8, 7))), ErrMalformed),
		Entry("vhdx, version", "dynamic.vhdx", both(vhdx(64<<10, 4096, or8(66, 2)), vhdx(128<<10, 4096, or8(66, 2))), ErrUnknownFeature),
		Entry("vhdx, region tables that contradict", "dynamic.vhdx", vhdx(192<<10, 64<<10, or8(16+16+3, 1)), ErrMalformed),
		Entry("vhdx, no region table", "dynamic.vhdx", both(or8(192<<10, 0x80), or8(256<<10, 0x80)), ErrMalformed),
		Entry("vhdx, parent", "dynamic.vhdx",
			vhdxItem(vhdxFileParameters, func(_, v []byte) { v[4] |= 2 }), ErrBackingFile),
		Entry("vhdx, parent locator", "dynamic.vhdx",
			vhdxItem(vhdxPhysicalSector, func(e, _ []byte) { copy(e, vhdxParentLocator[:]) }), ErrBackingFile),
		Entry("vhdx, required metadata", "dynamic.vhdx",
			vhdxItem(vhdxPhysicalSector, func(e, _ []byte) { e[0]++; e[24] = 4 }), ErrUnknownFeature),
		Entry("vhdx, metadata twice", "dynamic.vhdx",
			vhdxItem(vhdxPhysicalSector, func(e, _ []byte) { copy(e, vhdxLogicalSector[:]) }), ErrMalformed),
		Entry("vhdx, value far away", "dynamic.vhdx",
			vhdxItem(vhdxDiskSize, func(e, _ []byte) { binary.LittleEndian.PutUint32(e[16:], 0xfffffff0) }), ErrMalformed),
		Entry("vhdx, huge disk", "dynamic.vhdx",
			vhdxItem(vhdxDiskSize, func(_, v []byte) { binary.LittleEndian.PutUint64(v, 1<<60) }), ErrMalformed),
		Entry("vhdx, odd disk", "dynamic.vhdx",
			vhdxItem(vhdxDiskSize, func(_, v []byte) { binary.LittleEndian.PutUint64(v, 1000) }), ErrMalformed),
		Entry("vhdx, sectors", "dynamic.vhdx",
			vhdxItem(vhdxLogicalSector, func(_, v []byte) { v[0] = 1 }), ErrMalformed),
		Entry("vhdx, cut", "dynamic.vhdx", cut(1<<20), ErrMalformed),
		Entry("vhdx, cut in the headers", "dynamic.vhdx", cut(66<<10), ErrMalformed),

		Entry("raw, empty", "disk", cut(0), ErrMalformed),
	)

	DescribeTable("does not copy other containers as if they were disks", func(content string) {
		path := filepath.Join(dir, "x")
		Expect(os.WriteFile(path, []byte(content+strings.Repeat("\x00", 1024)), 0o600)).To(Succeed())
		_, err := inspect(path, Detect)
		Expect(err).To(MatchError(ErrUnsupportedFormat))
		Expect(err).To(MatchError(ContainSubstring("format: raw copies any file byte for byte")))
		_, err = inspect(path, VHDX)
		Expect(err).To(MatchError(ErrFormatMismatch))
		Expect(inspect(path, Raw)).To(HaveField("Format", Raw))
	},
		Entry("VDI", "<<< Oracle VM VirtualBox Disk Image >>>\n"+strings.Repeat("\x00", 24)+"\x7f\x10\xda\xbe"),
		Entry("VHD", "conectix"),
		Entry("LUKS", "LUKS\xba\xbe"),
		Entry("QED", "QED\x00"),
		Entry("qcow", "QFI\xfb\x00\x00\x00\x01"),
		Entry("VMDK descriptor", "# Disk DescriptorFile\nversion=1\n"),
		Entry("VMDK descriptor behind a line", "\n# disk descriptorfile\nversion=1\n"),
		Entry("COWD", "COWD"),
		Entry("gzip", "\x1f\x8b\x08"),
		Entry("xz", "\xfd7zXZ\x00"),
		Entry("zip", "PK\x03\x04"),
		Entry("OVA", strings.Repeat("x", 257)+"ustar"),
	)

	DescribeTable("says of relatives of a format what they are", func(wanted Format, content string) {
		path := filepath.Join(dir, "x")
		Expect(os.WriteFile(path, []byte(content+strings.Repeat("\x00", 1024)), 0o600)).To(Succeed())
		_, err := inspect(path, wanted)
		Expect(err).To(MatchError(ErrUnsupportedFormat))
	},
		Entry("VMDK descriptor", VMDK, "# Disk DescriptorFile\n"),
		Entry("COWD", VMDK, "COWD"),
		Entry("qcow", QCOW2, "QFI\xfb\x00\x00\x00\x01"),
	)

	It("finds a VHD by its footer", func() {
		path, err := sample(dir, "x.vhd", "-O", "vpc", "-o", "subformat=fixed,force_size=on")
		Expect(err).NotTo(HaveOccurred())
		_, err = inspect(path, Detect)
		Expect(err).To(MatchError(ErrUnsupportedFormat))
	})

	It("refuses a disk that is larger than the volume", func() {
		Expect(Header{VirtualSize: 1024}.CheckFits(1024)).To(Succeed())
		Expect(Header{VirtualSize: 1024}.CheckFits(1023)).To(MatchError(ErrTooLarge))
	})
})

func footer(sectors uint64) patch {
	return func(b []byte) []byte {
		// A header whose grain directory is in a footer, which is a copy of it but for the disk's size.
		header := append([]byte(nil), b[:512]...)
		binary.LittleEndian.PutUint64(b[56:], vmdkAtEnd)
		binary.LittleEndian.PutUint64(header[12:], sectors)
		b = append(append(b, make([]byte, 512)...), header...)
		return append(b, make([]byte, 512)...)
	}
}

var _ = Describe("File", func() {
	var path string
	BeforeEach(func() {
		path = filepath.Join(GinkgoT().TempDir(), "disk")
		Expect(os.WriteFile(path, make([]byte, 4096), 0o600)).To(Succeed())
	})

	It("takes regular files only, and does not wait for a pipe", func() {
		fifo := path + ".fifo"
		Expect(unix.Mkfifo(fifo, 0o600)).To(Succeed())
		for _, p := range []string{fifo, filepath.Dir(path), "/dev/null"} {
			_, err := Open(p)
			Expect(err).To(MatchError(ErrNotRegular), p)
		}
		_, err := Open(path + ".none")
		Expect(err).To(MatchError(os.ErrNotExist))
	})

	It("notices that it was written to, with its old size and time put back", func() {
		f, err := Open(path)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(f.Close)
		Expect(f.Unchanged()).To(Succeed())
		st, err := os.Stat(path)
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() error {
			Expect(os.WriteFile(path, bytes.Repeat([]byte{1}, 4096), 0o600)).To(Succeed())
			Expect(os.Chtimes(path, time.Time{}, st.ModTime())).To(Succeed())
			return f.Unchanged()
		}).Should(MatchError(ErrChanged))
		_, err = f.Inspect(Detect)
		Expect(err).To(MatchError(ErrChanged))
		Expect(err).NotTo(MatchError(ErrRefused))
	})

	It("still reads the file that it opened when another takes its name", func(ctx SpecContext) {
		sum, err := sha256Of(path)
		Expect(err).NotTo(HaveOccurred())
		f, err := Open(path)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(f.Close)
		Expect(f.Verify(ctx, sum)).To(Succeed())
		Expect(os.WriteFile(path+"2", []byte("other"), 0o600)).To(Succeed())
		Expect(os.Rename(path+"2", path)).To(Succeed())
		b := make([]byte, 5)
		Expect(f.ReadAt(b, 0)).To(Equal(5))
		Expect(b).To(Equal(make([]byte, 5)))
	})

	It("refuses a wrong checksum", func(ctx SpecContext) {
		f, err := Open(path)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(f.Close)
		sum, err := ParseChecksum(SHA512, strings.Repeat("AB", 64))
		Expect(err).NotTo(HaveOccurred())
		Expect(f.Verify(ctx, sum)).To(MatchError(ErrChecksum))
	})
})

var _ = Describe("ParseChecksum", func() {
	It("wants as many digits as the algorithm has", func() {
		for _, bad := range [][2]string{{SHA256, ""}, {SHA256, "abc"}, {SHA256, strings.Repeat("zz", 32)}, {SHA512, strings.Repeat("ab", 32)}, {"md5", ""}} {
			_, err := ParseChecksum(bad[0], bad[1])
			Expect(err).To(HaveOccurred(), bad)
		}
		c, err := ParseChecksum(SHA256, strings.Repeat("AB", 32))
		Expect(err).NotTo(HaveOccurred())
		Expect(c.String()).To(Equal("sha256:" + strings.Repeat("ab", 32)))
	})
})

func sha256Of(path string) (Checksum, error) {
	out, err := exec.Command("sha256sum", path).Output()
	if err != nil {
		return Checksum{}, err
	}
	return ParseChecksum(SHA256, string(out[:64]))
}
