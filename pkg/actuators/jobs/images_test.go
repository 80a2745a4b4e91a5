package jobs_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/actuators/jobs"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/image/cache"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("images from the cache", func() {
	var (
		dir    string
		images *jobs.CachedImages
		target jobs.Target
		saved  []uint64
	)
	disk := append(bytes.Repeat([]byte("disk"), mib/2), make([]byte, mib)...) // 2 MiB of data, 1 of zeroes
	file := func(name string, content []byte) string {
		GinkgoHelper()
		path := filepath.Join(dir, name)
		Expect(os.WriteFile(path, content, 0o600)).To(Succeed())
		return path
	}

	BeforeEach(func() {
		if _, err := exec.LookPath("qemu-img"); err != nil {
			Skip("there is no qemu-img")
		}
		dir = GinkgoT().TempDir()
		c, err := cache.Open(cache.Options{Dir: filepath.Join(dir, "cache")})
		Expect(err).NotTo(HaveOccurred())
		images, saved = &jobs.CachedImages{Cache: c}, nil
		target = jobs.Target{
			Path: file("target", bytes.Repeat([]byte("old!"), 2*mib)), Size: 8 * mib,
			Progress: func(change.Progress) {}, Checkpoint: func(n uint64) error {
				saved = append(saved, n)
				return nil
			},
		}
	})

	It("are written, with zeroes behind them", func(ctx SpecContext) {
		Expect(images.Write(ctx, change.Image{Key: "k", Path: file("disk.raw", disk), Format: spec.FormatRaw}, target)).To(Succeed())
		got, err := os.ReadFile(target.Path)
		Expect(err).NotTo(HaveOccurred())
		Expect(bytes.Equal(got, append(bytes.Clone(disk), make([]byte, 5*mib)...))).To(BeTrue())
		Expect(saved).To(Equal([]uint64{0}), "before the first byte")
	})

	It("are written to blocks of another size only if the spec says that they were made for them", func(ctx SpecContext) {
		target.BlockSize = 4096
		before, err := os.ReadFile(target.Path)
		Expect(err).NotTo(HaveOccurred())
		made := change.Image{Key: "k", Path: file("disk.raw", disk), Format: spec.FormatRaw}
		Expect(images.Write(ctx, made, target)).To(And(MatchError(change.ErrSource),
			MatchError(ContainSubstring("the image has logical blocks of 512 bytes, the volume of 4096")),
			MatchError(ContainSubstring("or set spec.source.image.blockSize: 4096"))))
		after, err := os.ReadFile(target.Path)
		Expect(err).NotTo(HaveOccurred())
		Expect(bytes.Equal(before, after)).To(BeTrue())
		Expect(saved).To(BeEmpty())

		made.BlockSize = 4096
		Expect(images.Write(ctx, made, target)).To(Succeed())
		target.BlockSize = 512
		Expect(images.Write(ctx, made, target)).To(MatchError(change.ErrSource))
	})

	It("count in the blocks that their format names, whatever the spec says", func(ctx SpecContext) {
		path := filepath.Join(dir, "disk.vhdx")
		Expect(exec.Command("qemu-img", "create", "-q", "-f", "vhdx", path, "8M").Run()).To(Succeed())
		made := change.Image{Key: "k", Path: path, BlockSize: 4096}
		target.BlockSize = 4096
		Expect(images.Write(ctx, made, target)).To(And(MatchError(change.ErrSource), Not(MatchError(ContainSubstring("set spec.source")))))
		target.BlockSize = 512
		Expect(images.Write(ctx, made, target)).To(Succeed())
	})

	It("begin anew if nothing says that they are the same as before", func(ctx SpecContext) {
		target.From, target.Begun, target.ReadsZero = 2*mib, true, true
		Expect(images.Write(ctx, change.Image{Key: "k", Path: file("disk.raw", disk), Format: spec.FormatRaw}, target)).To(Succeed())
		got, err := os.ReadFile(target.Path)
		Expect(err).NotTo(HaveOccurred())
		Expect(bytes.Equal(got[:3*mib], disk)).To(BeTrue())
	})

	DescribeTable("that are at fault are not written",
		func(ctx SpecContext, wrong func() change.Image) {
			before, err := os.ReadFile(target.Path)
			Expect(err).NotTo(HaveOccurred())
			Expect(images.Write(ctx, wrong(), target)).To(MatchError(change.ErrSource))
			after, err := os.ReadFile(target.Path)
			Expect(err).NotTo(HaveOccurred())
			Expect(bytes.Equal(before, after)).To(BeTrue())
			Expect(saved).To(BeEmpty())
		},
		Entry("too large", func() change.Image {
			return change.Image{Path: file("large.raw", bytes.Repeat([]byte("x"), 9*mib)), Format: spec.FormatRaw}
		}),
		Entry("another format", func() change.Image {
			return change.Image{Path: file("disk.raw", disk), Format: spec.FormatQCOW2}
		}),
		Entry("gone", func() change.Image { return change.Image{Path: filepath.Join(dir, "none"), Format: spec.FormatRaw} }),
		Entry("another checksum", func() change.Image {
			return change.Image{Path: file("disk.raw", disk), Format: spec.FormatRaw, SHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}
		}),
	)
})
