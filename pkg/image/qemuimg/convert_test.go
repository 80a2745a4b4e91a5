package qemuimg

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/pkg/image"
)

const mib = 1 << 20

// disk is a disk with data, runs of zeroes of all lengths, and an odd end.
func disk(size int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, size)
	for at := 0; at < size; {
		n := min(512<<r.IntN(10), size-at)
		if r.IntN(2) == 0 {
			for i := range n {
				b[at+i] = byte(r.IntN(256))
			}
		}
		at += n
	}
	return b
}

func qemu(args ...string) {
	GinkgoHelper()
	out, err := exec.Command("qemu-img", args...).CombinedOutput()
	// How long a password is to be hashed, it finds out by its own speed, which it cannot
	// always measure on a busy machine.
	for try := 0; err != nil && try < 10 && strings.Contains(string(out), "accurate CPU usage"); try++ {
		out, err = exec.Command("qemu-img", args...).CombinedOutput()
	}
	Expect(err).NotTo(HaveOccurred(), "qemu-img %v (install qemu-utils): %s", args, out)
}

func dirty(path string, size int) {
	GinkgoHelper()
	Expect(os.WriteFile(path, bytes.Repeat([]byte("old data"), size/8), 0o600)).To(Succeed())
}

// same compares files without printing them.
func same(path string, want []byte) {
	GinkgoHelper()
	got, err := os.ReadFile(path)
	Expect(err).NotTo(HaveOccurred())
	Expect(bytes.Equal(got, want)).To(BeTrue(), "%s has other content: %d bytes, and not %d", path, len(got), len(want))
}

var _ = Describe("Convert", func() {
	var (
		dir, target string
		content     []byte
		tool        Tool
	)
	BeforeEach(func() {
		dir = GinkgoT().TempDir()
		target = filepath.Join(dir, "target")
		content = disk(5*mib + 512)
		Expect(os.WriteFile(filepath.Join(dir, "raw"), content, 0o600)).To(Succeed())
	})

	check := func(ctx context.Context, path string, format image.Format) Source {
		GinkgoHelper()
		f, err := image.Open(path)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(f.Close)
		s, err := tool.Check(ctx, f, format, 0)
		Expect(err).NotTo(HaveOccurred())
		return s
	}

	DescribeTable("copies every format, onto a target full of old data", func(ctx SpecContext, format image.Format, options ...string) {
		path := filepath.Join(dir, "image, with a comma")
		qemu(append(append([]string{"convert", "-f", "raw", "-O", string(format)}, options...), filepath.Join(dir, "raw"), path)...)
		source := check(ctx, path, image.Detect)
		Expect(source.Header().Format).To(Equal(format))
		size := source.Header().VirtualSize
		want := append(append([]byte(nil), content...), make([]byte, size-int64(len(content)))...)

		By("the whole")
		dirty(target, 8*mib)
		var last int64
		Expect(tool.Convert(ctx, Conversion{Source: source, Target: target, Progress: func(done, total int64) {
			Expect(total).To(Equal(size))
			Expect(done).To(BeNumerically(">", last))
			last = done
		}})).To(Succeed())
		tail := bytes.Repeat([]byte("old data"), (8*mib-int(size))/8)
		same(target, append(append([]byte(nil), want...), tail...))
		Expect(last).To(Equal(size))

		By("window by window")
		dirty(target, 8*mib)
		for from := int64(0); from < size; from += 2*mib + 512 {
			Expect(tool.Convert(ctx, Conversion{Source: source, Target: target, From: from, To: min(size, from+2*mib+512)})).To(Succeed())
		}
		same(target, append(append([]byte(nil), want...), tail...))

		By("onto zeroes")
		Expect(os.Remove(target)).To(Succeed())
		Expect(os.WriteFile(target, nil, 0o600)).To(Succeed())
		Expect(os.Truncate(target, 8*mib)).To(Succeed())
		Expect(tool.Convert(ctx, Conversion{Source: source, Target: target, TargetIsZero: true})).To(Succeed())
		same(target, append(append([]byte(nil), want...), make([]byte, len(tail))...))
	},
		Entry("raw", image.Raw),
		Entry("qcow2", image.QCOW2),
		Entry("compressed qcow2", image.QCOW2, "-c"),
		Entry("sparse VMDK", image.VMDK),
		Entry("stream-optimized VMDK", image.VMDK, "-o", "subformat=streamOptimized"),
		Entry("VHDX", image.VHDX),
	)

	It("copies to a block device, and lets nobody else do so meanwhile", func(ctx SpecContext) {
		backing := filepath.Join(dir, "backing")
		dirty(backing, 8*mib)
		out, err := exec.Command("losetup", "--find", "--show", backing).CombinedOutput()
		if err != nil {
			Skip("no loop devices here: " + string(out))
		}
		device := strings.TrimSpace(string(out))
		DeferCleanup(func() error { return exec.Command("losetup", "--detach", device).Run() })
		source := check(ctx, filepath.Join(dir, "raw"), image.Raw)
		f, err := os.OpenFile(device, os.O_RDONLY|unix.O_EXCL, 0)
		Expect(err).NotTo(HaveOccurred())
		Expect(tool.Convert(ctx, Conversion{Source: source, Target: device})).To(MatchError(ErrTargetBusy))
		Expect(f.Close()).To(Succeed())
		Expect(tool.Convert(ctx, Conversion{Source: source, Target: device})).To(Succeed())
		got, err := os.ReadFile(device)
		Expect(err).NotTo(HaveOccurred())
		Expect(bytes.Equal(got[:len(content)], content)).To(BeTrue())
		Expect(bytes.HasPrefix(got[len(content):], []byte("old data"))).To(BeTrue())
	})

	It("copies a raw file that ends within a sector", func(ctx SpecContext) {
		path := filepath.Join(dir, "odd")
		Expect(os.WriteFile(path, content[:mib+100], 0o600)).To(Succeed())
		source := check(ctx, path, image.Detect)
		dirty(target, 2*mib)
		Expect(tool.Convert(ctx, Conversion{Source: source, Target: target})).To(Succeed())
		got, err := os.ReadFile(target)
		Expect(err).NotTo(HaveOccurred())
		Expect(bytes.Equal(got[:mib+512], append(append([]byte(nil), content[:mib+100]...), make([]byte, 412)...))).To(BeTrue())
	})

	It("refuses windows outside the disk, and targets that are too small", func(ctx SpecContext) {
		source := check(ctx, filepath.Join(dir, "raw"), image.Raw)
		dirty(target, mib)
		for _, w := range [][2]int64{{-512, 512}, {512, 512}, {1024, 512}, {0, 1 << 40}, {1, 512}, {0, 511}} {
			Expect(tool.Convert(ctx, Conversion{Source: source, Target: target, From: w[0], To: w[1]})).To(MatchError(ContainSubstring("outside of the disk")))
		}
		Expect(tool.Convert(ctx, Conversion{Source: source, Target: target})).To(MatchError(image.ErrTooLarge))
		Expect(tool.Convert(ctx, Conversion{Source: source, Target: "/dev/null"})).To(MatchError(ContainSubstring("not a block device or regular file")))
	})

	It("never opens a backing file that was put in after the check", func(ctx SpecContext) {
		secret, path := filepath.Join(dir, "secret"), filepath.Join(dir, "image.qcow2")
		Expect(os.WriteFile(secret, bytes.Repeat([]byte("secret!!"), mib/8), 0o600)).To(Succeed())
		qemu("create", "-q", "-f", "qcow2", path, "1M")
		source := check(ctx, path, image.QCOW2)
		qemu("rebase", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", secret, path)
		Expect(os.WriteFile(target, nil, 0o600)).To(Succeed())
		Expect(os.Truncate(target, mib)).To(Succeed())
		Expect(tool.Convert(ctx, Conversion{Source: source, Target: target})).To(MatchError(image.ErrChanged))
		// Even if it had not been noticed.
		f, driver, err := openTarget(target, "", mib)
		Expect(err).NotTo(HaveOccurred())
		Expect(tool.convert(ctx, Conversion{Source: source, Target: target}, f, driver, 0, mib)).To(Succeed())
		Expect(f.Close()).To(Succeed())
		same(target, make([]byte, mib))
	})

	It("is throttled, and stops at once when it is no longer wanted", func(ctx SpecContext) {
		source := check(ctx, filepath.Join(dir, "raw"), image.Raw)
		dirty(target, 8*mib)
		gone := errors.New("the object no longer exists")
		running, cancel := context.WithCancelCause(ctx)
		start := time.Now()
		f, driver, err := openTarget(target, "", 8*mib)
		Expect(err).NotTo(HaveOccurred())
		err = tool.convert(running, Conversion{Source: source, Target: target, Limit: 128 << 10, Progress: func(_, _ int64) { cancel(gone) }},
			f, driver, 0, source.Header().VirtualSize)
		Expect(err).To(MatchError(gone))
		Expect(f.Close()).To(Succeed())
		Expect(time.Since(start)).To(BeNumerically("<", 20*time.Second))
		// The child no longer exists, and its claim with it.
		f, _, err = openTarget(target, "", mib)
		Expect(err).NotTo(HaveOccurred())
		Expect(f.Close()).To(Succeed())
	})

	It("does not wait for ever for an answer, nor listen to an endless one", func(ctx SpecContext) {
		f, err := image.Open(filepath.Join(dir, "raw"))
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(f.Close)
		for script, why := range map[string]string{"sleep 1000": "no answer within", "exec yes": "printed more than"} {
			path := filepath.Join(dir, "script")
			Expect(os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700)).To(Succeed())
			_, err = Tool{Path: path, CheckTimeout: 2 * time.Second}.Check(ctx, f, image.Raw, 0)
			Expect(err).To(MatchError(ContainSubstring(why)))
			Expect(err).NotTo(MatchError(image.ErrRefused))
		}
	})

	It("says what is missing", func(ctx SpecContext) {
		f, err := image.Open(filepath.Join(dir, "raw"))
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(f.Close)
		_, err = Tool{Path: "/nonexistent/qemu-img"}.Check(ctx, f, image.Raw, 0)
		Expect(err).To(MatchError(ContainSubstring("install /nonexistent/qemu-img")))
		_, err = tool.Check(ctx, f, image.Raw, mib)
		Expect(err).To(MatchError(image.ErrTooLarge))
	})
})

var _ = Describe("the second opinion", func() {
	good := report{Format: "qcow2", VirtualSize: mib}
	header := image.Header{Format: image.QCOW2, VirtualSize: mib}

	DescribeTable("counts", func(change func(*report)) {
		r := good
		change(&r)
		Expect(r.checkHeader(header)).To(MatchError(image.ErrDisagreement))
	},
		Entry("format", func(r *report) { r.Format = "raw" }),
		Entry("size", func(r *report) { r.VirtualSize++ }),
		Entry("backing file", func(r *report) { r.BackingFilename = "/etc/shadow" }),
		Entry("data file", func(r *report) { r.FormatSpecific.Data.DataFile = "/etc/shadow" }),
		Entry("encryption", func(r *report) { r.Encrypted = true }),
		Entry("corruption", func(r *report) { r.FormatSpecific.Data.Corrupt = true }),
		Entry("type", func(r *report) { r.FormatSpecific.Data.CreateType = "vmfs" }),
	)

	It("is content with what is right", func() { Expect(good.checkHeader(header)).To(Succeed()) })

	It("sees what our parser would have missed", func(ctx SpecContext) {
		dir := GinkgoT().TempDir()
		path := filepath.Join(dir, "image")
		Expect(os.WriteFile(filepath.Join(dir, "base"), make([]byte, mib), 0o600)).To(Succeed())
		qemu("create", "-q", "-f", "qcow2", "-F", "raw", "-b", filepath.Join(dir, "base"), path)
		f, err := image.Open(path)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(f.Close)
		r, err := Tool{}.info(ctx, f, image.QCOW2)
		Expect(err).NotTo(HaveOccurred())
		Expect(r.checkHeader(header)).To(MatchError(image.ErrDisagreement))
	})
})

var _ = Describe("progress", func() {
	It("is read whatever the pieces", func() {
		var got []int64
		p := &progress{total: 1000, report: func(done, _ int64) { got = append(got, done) }}
		for _, s := range []string{"    (0.00/100%)\r", "    (12", ".50/100%)\r  (12.50/100%)\r", "nonsense\n(101/100%)\r", strings.Repeat("x", 1000), "\r    (100.00/100%)\r\n"} {
			n, err := p.Write([]byte(s))
			Expect(n, err).To(Equal(len(s)))
		}
		Expect(got).To(Equal([]int64{125, 1000}))
	})
})
