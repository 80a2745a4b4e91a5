package qemuimg

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/image"
)

var _ = Describe("Export", func() {
	var (
		dir, source, destination string
		content                  []byte
		tool                     Tool
	)
	BeforeEach(func() {
		dir = GinkgoT().TempDir()
		source, destination = filepath.Join(dir, "volume"), filepath.Join(dir, "images", "disk.img")
		content = disk(4 * mib)
		Expect(os.WriteFile(source, content, 0o600)).To(Succeed())
		Expect(os.Mkdir(filepath.Dir(destination), 0o700)).To(Succeed())
	})
	names := func() []string {
		entries, err := os.ReadDir(filepath.Dir(destination))
		Expect(err).NotTo(HaveOccurred())
		var n []string
		for _, e := range entries {
			n = append(n, e.Name())
		}
		return n
	}

	DescribeTable("writes an image that reads back the same, with its checksum", func(ctx SpecContext, format image.Format, compress bool) {
		var last int64
		done, err := tool.Export(ctx, Export{Source: source, Destination: destination, Format: format, Compress: compress,
			Progress: func(d, _ int64) { last = d }})
		Expect(err).NotTo(HaveOccurred())
		Expect(last).To(Equal(int64(len(content))))
		Expect(done.VirtualSize).To(Equal(int64(len(content))))
		st, err := os.Stat(destination)
		Expect(err).NotTo(HaveOccurred())
		Expect(done.Bytes).To(Equal(st.Size()))
		Expect(names()).To(ConsistOf("disk.img", "disk.img.sha256"))
		sha := exec.Command("sha256sum", "--check", "--strict", "disk.img.sha256")
		sha.Dir = filepath.Dir(destination)
		out, err := sha.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(out))

		f, err := image.Open(destination)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(f.Close)
		s, err := tool.Check(ctx, f, format, 0)
		Expect(err).NotTo(HaveOccurred())
		back := filepath.Join(dir, "back")
		dirty(back, 4*mib)
		Expect(tool.Convert(ctx, Conversion{Source: s, Target: back})).To(Succeed())
		same(back, content)
	},
		Entry("raw", image.Raw, false),
		Entry("qcow2", image.QCOW2, false),
		Entry("qcow2, compressed", image.QCOW2, true),
	)

	It("replaces an image only if it is told to", func(ctx SpecContext) {
		Expect(os.WriteFile(destination, []byte("precious"), 0o600)).To(Succeed())
		e := Export{Source: source, Destination: destination, Format: image.Raw}
		_, err := tool.Export(ctx, e)
		Expect(err).To(MatchError(fs.ErrExist))
		same(destination, []byte("precious"))
		e.Replace = true
		_, err = tool.Export(ctx, e)
		Expect(err).NotTo(HaveOccurred())
		same(destination, content)
	})

	DescribeTable("replaces and removes no checksum of somebody's", func(ctx SpecContext, text string) {
		Expect(os.WriteFile(destination+checksumSuffix, []byte(text), 0o600)).To(Succeed())
		_, err := tool.Export(ctx, Export{Source: source, Destination: destination, Format: image.Raw})
		at := new(fs.PathError)
		Expect(err).To(MatchError(fs.ErrExist))
		Expect(errors.As(err, &at)).To(BeTrue())
		Expect(at.Path).To(Equal(destination + checksumSuffix))
		Expect(CleanExports(filepath.Dir(destination))).To(BeEmpty())
		same(destination+checksumSuffix, []byte(text))
		Expect(names()).To(ConsistOf("disk.img.sha256"))
	},
		Entry("in another form", "precious"),
		Entry("in the form of ours", strings.Repeat("0f", 32)+"  disk.img\n"),
	)

	It("leaves what somebody made meanwhile, and nothing of its own", func() {
		for _, taken := range []string{destination, destination + checksumSuffix} {
			part, sums, err := newParts(destination)
			Expect(err).NotTo(HaveOccurred())
			Expect(os.WriteFile(taken, []byte("precious"), 0o600)).To(Succeed())
			Expect(Export{Destination: destination}.place(part, sums)).To(MatchError(fs.ErrExist))
			Expect(errors.Join(discard(part), discard(sums))).To(Succeed())
			same(taken, []byte("precious"))
			Expect(names()).To(ConsistOf(filepath.Base(taken)))
			Expect(os.Remove(taken)).To(Succeed())
		}
	})

	It("removes the checksum that a crash has left, and no other", func() {
		crash := func() string {
			part, sums, err := newParts(destination)
			Expect(err).NotTo(HaveOccurred())
			Expect(linkNew(sums.Name(), destination+checksumSuffix)).To(Succeed())
			Expect(errors.Join(part.Close(), sums.Close())).To(Succeed())
			return sums.Name()
		}
		crash()
		Expect(CleanExports(filepath.Dir(destination))).To(ContainElement(destination + checksumSuffix))
		Expect(names()).To(BeEmpty())
		By("after the image was there")
		crash()
		Expect(os.WriteFile(destination, nil, 0o600)).To(Succeed())
		Expect(CleanExports(filepath.Dir(destination))).NotTo(ContainElement(destination + checksumSuffix))
		Expect(names()).To(ConsistOf("disk.img", "disk.img.sha256"))
		By("after somebody replaced it")
		Expect(errors.Join(os.Remove(destination), os.Remove(destination+checksumSuffix))).To(Succeed())
		crash()
		Expect(os.Remove(destination + checksumSuffix)).To(Succeed())
		Expect(os.WriteFile(destination+checksumSuffix, []byte("theirs"), 0o600)).To(Succeed())
		Expect(CleanExports(filepath.Dir(destination))).NotTo(BeEmpty())
		same(destination+checksumSuffix, []byte("theirs"))
		Expect(names()).To(ConsistOf("disk.img.sha256"))
	})

	It("moves nothing over a file that somebody made meanwhile", func() {
		part := filepath.Join(dir, "part")
		Expect(os.WriteFile(part, nil, 0o600)).To(Succeed())
		Expect(os.WriteFile(destination, []byte("precious"), 0o600)).To(Succeed())
		Expect(moveNew(part, destination)).To(MatchError(fs.ErrExist))
		same(destination, []byte("precious"))
	})

	It("leaves nothing when it is stopped", func(ctx SpecContext) {
		gone := errors.New("no longer wanted")
		running, cancel := context.WithCancelCause(ctx)
		_, err := tool.Export(running, Export{Source: source, Destination: destination, Format: image.QCOW2, Limit: 64 << 10,
			Progress: func(int64, int64) { cancel(gone) }})
		Expect(err).To(MatchError(gone))
		Expect(names()).To(BeEmpty())
	})

	DescribeTable("refuses", func(ctx SpecContext, change func(*Export), why string) {
		e := Export{Source: source, Destination: destination, Format: image.Raw}
		change(&e)
		_, err := tool.Export(ctx, e)
		Expect(err).To(MatchError(ContainSubstring(why)))
		Expect(names()).To(BeEmpty())
	},
		Entry("other formats", func(e *Export) { e.Format = image.VMDK }, "raw or qcow2"),
		Entry("compressed raw", func(e *Export) { e.Compress = true }, "compression requires qcow2"),
		Entry("relative paths", func(e *Export) { e.Destination = "x" }, "absolute"),
		Entry("directories that are not there", func(e *Export) { e.Destination = filepath.Join(e.Destination, "x", "y") }, "no such file"),
		Entry("names that would be cleaned up", func(e *Export) { e.Destination += partSuffix }, "another"),
		Entry("sources that are no disk", func(e *Export) { e.Source = "/dev/null" }, "not a block device or regular file"),
	)

	It("cleans up after a crash, but not what is being written", func() {
		live, liveSums, err := newParts(destination)
		Expect(err).NotTo(HaveOccurred())
		dead, deadSums, err := newParts(destination)
		Expect(err).NotTo(HaveOccurred())
		alone, aloneSums, err := newParts(destination)
		Expect(err).NotTo(HaveOccurred())
		Expect(discard(aloneSums)).To(Succeed())
		for _, f := range []*os.File{dead, deadSums, alone} {
			Expect(f.Close()).To(Succeed())
		}
		Expect(os.WriteFile(destination, nil, 0o600)).To(Succeed())
		Expect(CleanExports(filepath.Dir(destination))).To(ConsistOf(dead.Name(), deadSums.Name(), alone.Name()))
		Expect(names()).To(ConsistOf("disk.img", filepath.Base(live.Name()), filepath.Base(liveSums.Name())))
		Expect(discard(liveSums)).To(Succeed())
		Expect(discard(live)).To(Succeed())
	})
})
