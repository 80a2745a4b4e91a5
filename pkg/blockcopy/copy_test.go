package blockcopy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// makers make what is copied from or to.
var makers = map[string]func(string, []byte) string{"file": file, "loop device": loop}

// expectSame compares without printing megabytes.
func expectSame(path string, want []byte) {
	GinkgoHelper()
	got := read(path)
	Expect(got).To(HaveLen(len(want)))
	Expect(bytes.Equal(got, want)).To(BeTrue(), "content of %s", path)
}

func digestOf(b []byte) string {
	GinkgoHelper()
	text, err := Digest(context.Background(), file("digest", b), int64(len(b)), nil)
	Expect(err).NotTo(HaveOccurred())
	return text
}

var _ = Describe("Copy", func() {
	contents := map[string][]byte{
		"half empty":  content(1, 8*mib, extent{0, mib}, extent{3*mib + 100, 5000}, extent{5 * mib, 2 * mib}),
		"dense":       dense(2, 5*mib),
		"all zero":    content(3, 6*mib),
		"zero blocks": content(3, 6*mib, extent{2*mib + 64*kib, 64 * kib}, extent{6*mib - 1, 1}),
		"odd tail":    content(4, 3*mib+77, extent{mib, mib}, extent{3 * mib, 77}),
		"zero tail":   content(5, 3*mib+512, extent{0, mib}),
		"tiny":        dense(6, 3),
		"empty":       {},
	}
	for from, makeSource := range makers {
		for to, makeTarget := range makers {
			for what, b := range contents {
				if (from != "file" || to != "file") && (len(b) == 0 || len(b)%512 != 0) {
					continue // no device has such a size
				}
				It("from "+from+" to "+to+": "+what, func(ctx SpecContext) {
					source, size := makeSource("source", b), int64(len(b))
					fresh := makeTarget("fresh", content(0, size))
					r, err := Copy{Source: source, Target: fresh, Size: size, TargetIsZero: true}.Run(ctx)
					Expect(err).NotTo(HaveOccurred())
					expectSame(fresh, b)
					Expect(r.Digest).To(Equal(digestOf(b)))
					Expect(r.Zeroed).To(BeZero())

					dirty := makeTarget("dirty", dense(9, size))
					r, err = Copy{Source: source, Target: dirty, Size: size}.Run(ctx)
					Expect(err).NotTo(HaveOccurred())
					expectSame(dirty, b)
					Expect(r.Digest).To(Equal(digestOf(b)))
					Expect(r.Skipped).To(BeZero())
					Expect(r.Written + r.Zeroed).To(Equal(size))

					other := makeTarget("other", dense(8, size))
					_, err = Copy{Source: source, Target: other, Size: size, OnlyDifferent: true}.Run(ctx)
					Expect(err).NotTo(HaveOccurred())
					expectSame(other, b)
				})
			}
		}
	}

	It("skips zeroes on a target that is zero", func(ctx SpecContext) {
		b := content(1, 8*mib, extent{mib + 64*kib, 64 * kib}, extent{mib + 256*kib, 64 * kib}, extent{4 * mib, mib})
		source, target := file("source", b), file("target", content(0, 8*mib))
		r, err := Copy{Source: source, Target: target, Size: 8 * mib, TargetIsZero: true}.Run(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(r.Written).To(BeEquivalentTo(mib + 128*kib))
		var st unix.Stat_t
		Expect(unix.Stat(target, &st)).To(Succeed())
		Expect(st.Blocks * 512).To(BeNumerically("<", 2*mib))
	})

	It("leaves what lies beyond the size", func(ctx SpecContext) {
		target := file("target", dense(1, 4*mib))
		_, err := Copy{Source: file("source", content(1, 3*mib)), Target: target, Size: 2*mib + 5}.Run(ctx)
		Expect(err).NotTo(HaveOccurred())
		want := dense(1, 4*mib)
		clear(want[:2*mib+5])
		expectSame(target, want)
	})

	It("lets the kernel copy between files if no digest is wanted", func(ctx SpecContext) {
		b := content(1, 9*mib+3, extent{0, 100}, extent{7 * mib, 2*mib + 3})
		target := file("target", dense(1, 9*mib+3))
		r, err := Copy{Source: file("source", b), Target: target, Size: 9*mib + 3, NoDigest: true}.Run(ctx)
		Expect(err).NotTo(HaveOccurred())
		expectSame(target, b)
		Expect(r.Digest).To(BeEmpty())
	})

	It("writes only what differs", func(ctx SpecContext) {
		old := content(1, 8*mib, extent{0, 4 * mib}, extent{5 * mib, mib}, extent{7*mib + 10, 10})
		b := bytes.Clone(old)
		b[mib+3]++                     // one step
		clear(b[5*mib : 6*mib])        // a block that is zero now
		copy(b[7*mib:], []byte("new")) // in a block that is not
		for _, make := range makers {
			source, target := make("source", b), make("target", old)
			r, err := Copy{Source: source, Target: target, Size: 8 * mib, OnlyDifferent: true}.Run(ctx)
			Expect(err).NotTo(HaveOccurred())
			expectSame(target, b)
			Expect(r.Written).To(BeEquivalentTo(mib + 8*kib))
			Expect(r.Zeroed).To(BeZero())
			Expect(r.Skipped).To(BeEquivalentTo(7*mib - 8*kib))

			r, err = Copy{Source: source, Target: target, Size: 8 * mib, OnlyDifferent: true}.Run(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(r.Written + r.Zeroed).To(BeZero())
		}
	})

	It("tells how far it is, and ends at the total", func(ctx SpecContext) {
		b := content(1, 40*mib, extent{0, 20 * mib})
		var seen []Progress
		_, err := Copy{
			Source: file("source", b), Target: file("target", content(0, 40*mib)), Size: 40 * mib,
			Limit: NewLimiter(40 * mib), Progress: func(p Progress) { seen = append(seen, p) },
		}.Run(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(len(seen)).To(BeNumerically(">", 1))
		for i, p := range seen {
			Expect(p.Total).To(BeEquivalentTo(40 * mib))
			if i > 0 {
				Expect(p.Done).To(BeNumerically(">=", seen[i-1].Done))
			}
		}
		last := seen[len(seen)-1]
		Expect(last.Done).To(Equal(last.Total))
		Expect(last.Left).To(BeZero())
	})

	It("goes on from every checkpoint", func(ctx SpecContext) {
		// More blocks than may be ahead of the oldest one: there is a checkpoint.
		b := content(1, 40*mib+500, extent{0, 12 * mib}, extent{14*mib + 9, 6 * mib}, extent{21 * mib, 19*mib + 500})
		source, size := file("source", b), int64(len(b))
		for stop := 1; ; stop++ {
			target := file("target", dense(7, size))
			var offsets []int64
			run, cancel := context.WithCancel(ctx)
			c := Copy{
				Source: source, Target: target, Size: size, CheckpointEvery: 4 * mib,
				Limit: NewLimiter(100 * mib), // slower than a flush, so that there are several
				Checkpoint: func(offset int64) error {
					if offsets = append(offsets, offset); len(offsets) == stop {
						cancel()
					}
					return nil
				},
			}
			_, err := c.Run(run)
			cancel()
			if err == nil {
				Expect(stop).To(BeNumerically(">", 1), "checkpoints")
				return
			}
			Expect(err).To(MatchError(context.Canceled))
			at := offsets[len(offsets)-1]
			Expect(bytes.Equal(read(target)[:at], b[:at])).To(BeTrue(), "before the checkpoint at %d", at)

			c.From, c.Checkpoint, c.Limit = at, nil, nil
			r, err := c.Run(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(r.Digest).To(BeEmpty())
			Expect(r.Written + r.Zeroed).To(Equal(size - at))
			expectSame(target, b)
		}
	})

	It("gives checkpoints in order, each once", func(ctx SpecContext) {
		var last int64
		var inside atomic.Int32
		_, err := Copy{
			Source: file("source", dense(1, 64*mib)), Target: file("target", blank(64*mib)), Size: 64 * mib,
			CheckpointEvery: mib,
			Checkpoint: func(offset int64) error {
				defer GinkgoRecover()
				Expect(inside.Add(1)).To(BeEquivalentTo(1))
				defer inside.Add(-1)
				Expect(offset).To(BeNumerically(">", last))
				Expect(offset % mib).To(BeZero())
				last = offset
				return nil
			},
		}.Run(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(last).To(And(BeNumerically(">", 0), BeNumerically("<", 64*mib)))
	})

	It("ends with the error of a checkpoint", func(ctx SpecContext) {
		full := errors.New("state directory is full")
		_, err := Copy{
			Source: file("source", dense(1, 32*mib)), Target: file("target", blank(32*mib)), Size: 32 * mib,
			CheckpointEvery: mib, Checkpoint: func(int64) error { return full },
		}.Run(ctx)
		Expect(err).To(MatchError(full))
	})

	It("ends when the context does, also while it waits for the limit", func(ctx SpecContext) {
		run, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		_, err := Copy{
			Source: file("source", dense(1, 32*mib)), Target: file("target", blank(32*mib)), Size: 32 * mib,
			Limit: NewLimiter(1),
		}.Run(run)
		Expect(err).To(MatchError(context.DeadlineExceeded))
	})

	It("refuses what is too small before it writes", func(ctx SpecContext) {
		small, big := file("small", dense(1, mib)), file("big", dense(2, 2*mib))
		_, err := Copy{Source: small, Target: big, Size: 2 * mib}.Run(ctx)
		Expect(err).To(MatchError(ErrSize))
		expectSame(big, dense(2, 2*mib))
		_, err = Copy{Source: big, Target: small, Size: 2 * mib}.Run(ctx)
		Expect(err).To(MatchError(ErrSize))
		expectSame(small, dense(1, mib))
		for _, c := range []Copy{{Size: -1}, {Size: 1, From: 2}, {Size: 1, From: -1}} {
			c.Source, c.Target = big, small
			_, err = c.Run(ctx)
			Expect(err).To(MatchError(ContainSubstring("is out of range (size")))
		}
	})

	It("refuses to copy something onto itself", func(ctx SpecContext) {
		path := file("one", dense(1, mib))
		link := path + ".link"
		Expect(os.Symlink(path, link)).To(Succeed())
		_, err := Copy{Source: path, Target: link, Size: mib}.Run(ctx)
		Expect(err).To(MatchError(ContainSubstring("source and target are the same")))
	})

	It("refuses what is neither a device nor a file", func(ctx SpecContext) {
		for _, path := range []string{"/dev/zero", GinkgoT().TempDir(), "/nonexistent"} {
			_, err := Copy{Source: path, Target: file("target", blank(mib)), Size: mib}.Run(ctx)
			var failed *Error
			Expect(errors.As(err, &failed)).To(BeTrue())
			Expect(failed.Op).To(Equal("open"))
			Expect(failed.Path).To(Equal(path))
		}
	})

	It("refuses a device that something has claimed, unless it is told to share", func(ctx SpecContext) {
		target := loop("target", blank(mib))
		holder, err := unix.Open(target, unix.O_RDONLY|unix.O_EXCL, 0)
		Expect(err).NotTo(HaveOccurred())
		defer func() { _ = unix.Close(holder) }()
		c := Copy{Source: file("source", dense(1, mib)), Target: target, Size: mib}
		_, err = c.Run(ctx)
		Expect(err).To(MatchError(unix.EBUSY))
		Expect(err).To(MatchError(ContainSubstring("it is open exclusively (a mount, an export, LVM); close it first")))
		c.Shared = true
		_, err = c.Run(ctx)
		Expect(err).NotTo(HaveOccurred())
		expectSame(target, dense(1, mib))
	})

	It("does not take a file that became shorter for zeroes", func(ctx SpecContext) {
		for _, b := range [][]byte{dense(1, 8*mib), content(1, 8*mib, extent{0, 2 * mib}), blank(8 * mib)} {
			path := file("source", b)
			source, err := openDevice(path, "", reading)
			Expect(err).NotTo(HaveOccurred())
			defer source.close()
			target, err := openDevice(file("target", blank(8*mib)), "", writing)
			Expect(err).NotTo(HaveOccurred())
			defer target.close()
			Expect(os.Truncate(path, mib)).To(Succeed())
			r, err := Copy{Size: 8 * mib, TargetIsZero: true}.copyOpen(ctx, source, target)
			Expect(err).To(MatchError(io.ErrUnexpectedEOF))
			Expect(err).To(MatchError(ContainSubstring(path)))
			Expect(r.Digest).To(BeEmpty())
		}
	})

	It("says where a read failed", func(ctx SpecContext) {
		// The kernel reports EIO for memory that is not there.
		fd, err := unix.Open("/proc/self/mem", unix.O_RDONLY, 0)
		Expect(err).NotTo(HaveOccurred())
		source := &device{path: "/dev/broken", fd: fd, size: 4 * mib, block: true, bufferedFD: fd}
		source.buffered.Do(func() {})
		target, err := openDevice(file("target", blank(4*mib)), "", writing)
		Expect(err).NotTo(HaveOccurred())
		defer target.close()
		_, err = Copy{Size: 4 * mib}.copyOpen(ctx, source, target)
		Expect(unix.Close(fd)).To(Succeed())
		Expect(err).To(MatchError(unix.EIO))
		var failed *Error
		Expect(errors.As(err, &failed)).To(BeTrue())
		Expect(failed.Op).To(Equal("read"))
		Expect(failed.Path).To(Equal("/dev/broken"))
		Expect(failed.Offset % mib).To(BeZero())
		Expect(err.Error()).To(ContainSubstring("/dev/broken at offset "))
	})

	It("says when the target has no space", func(ctx SpecContext) {
		dir := GinkgoT().TempDir()
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
			Skip("mounting needs root: " + err.Error())
		}
		DeferCleanup(func() { Expect(unix.Unmount(dir, 0)).To(Succeed()) })
		target := dir + "/target"
		Expect(os.WriteFile(target, nil, 0o600)).To(Succeed())
		Expect(os.Truncate(target, 4*mib)).To(Succeed())
		_, err := Copy{Source: file("source", dense(1, 4*mib)), Target: target, Size: 4 * mib}.Run(ctx)
		Expect(err).To(MatchError(unix.ENOSPC))
		Expect(err).To(MatchError(ContainSubstring(target)))
	})

	It("maps no more memory than it says, whatever the size", func(ctx SpecContext) {
		source, target := file("source", dense(1, 64*mib)), file("target", nil)
		Expect(os.Truncate(source, 512*mib)).To(Succeed())
		Expect(os.Truncate(target, 512*mib)).To(Succeed())
		var peak int64
		_, err := Copy{
			Source: source, Target: target, Size: 512 * mib, OnlyDifferent: true,
			CheckpointEvery: mib,
			Checkpoint:      func(int64) error { peak = max(peak, mapped.Load()); return nil },
		}.Run(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(peak).To(And(BeNumerically(">", 0), BeNumerically("<=", 12*mib)))
	})
	It("refuses logical blocks of another size where it is asked to", func(ctx SpecContext) {
		source, target := loop("source", dense(1, mib)), loop("target", content(0, mib))
		c := Copy{Source: source, Target: target, Size: mib, SameBlocks: true}
		_, err := c.Run(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(exec.Command("losetup", "--sector-size", "4096", target).Run()).To(Succeed())
		_, err = c.Run(ctx)
		Expect(err).To(And(MatchError(unix.EOPNOTSUPP), MatchError(ErrBlockSize)))
		Expect(LogicalBlockSize(source)).To(BeEquivalentTo(512))
		Expect(LogicalBlockSize(target)).To(BeEquivalentTo(4096))
		Expect(LogicalBlockSize(file("none", nil))).To(BeZero(), " is a hard link to a file with 2 names")
	})
})

// blank is so many zeroes.
func blank(size int64) []byte { return make([]byte, size) }
