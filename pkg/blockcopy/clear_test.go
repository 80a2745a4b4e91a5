package blockcopy

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

var _ = Describe("Clear", func() {
	for what, make := range makers {
		It("makes old data zero, from where it is told to: "+what, func(ctx SpecContext) {
			old := dense(1, 72*mib+512)
			device := make("device", old)
			var last Progress
			r, err := Clear{
				Device: device, Size: 70*mib + 512, From: 3*mib + 1,
				Progress: func(p Progress) { last = p },
			}.Run(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(r.Zeroed).To(BeEquivalentTo(67*mib + 512))
			Expect(last.Done).To(BeEquivalentTo(70*mib + 512))
			clear(old[3*mib : 70*mib+512])
			expectSame(device, old)
		})

		It("discards: "+what, func(ctx SpecContext) {
			device := make("device", dense(1, 8*mib))
			_, err := Clear{Device: device, Size: 8 * mib, Discard: true}.Run(ctx)
			if errors.Is(err, unix.EOPNOTSUPP) {
				Skip("nothing here has discard")
			}
			Expect(err).NotTo(HaveOccurred())
			expectSame(device, blank(8*mib)) // a loop device punches a hole
		})
	}

	It("makes the odd end of a file zero", func(ctx SpecContext) {
		path := file("file", dense(1, 2*mib+77))
		_, err := Clear{Device: path, Size: 2*mib + 77}.Run(ctx)
		Expect(err).NotTo(HaveOccurred())
		expectSame(path, blank(2*mib+77))
	})

	It("goes on from a checkpoint", func(ctx SpecContext) {
		device := file("device", dense(1, 100*mib))
		run, cancel := context.WithCancel(ctx)
		defer cancel()
		var at int64
		c := Clear{
			Device: device, Size: 100 * mib, CheckpointEvery: 1,
			Checkpoint: func(offset int64) error { at = offset; cancel(); return nil },
		}
		_, err := c.Run(run)
		Expect(err).To(MatchError(context.Canceled))
		Expect(at).To(BeEquivalentTo(firstWindow))
		got := read(device)
		Expect(isZero(got[:at])).To(BeTrue())
		Expect(isZero(got[at:])).To(BeFalse())
		c.From, c.Checkpoint = at, nil
		_, err = c.Run(ctx)
		Expect(err).NotTo(HaveOccurred())
		expectSame(device, blank(100*mib))
	})

	It("refuses what is too small, or not there", func(ctx SpecContext) {
		_, err := Clear{Device: file("device", dense(1, mib)), Size: 2 * mib}.Run(ctx)
		Expect(err).To(MatchError(ErrSize))
		_, err = Clear{Device: "/nonexistent", Size: mib}.Run(ctx)
		Expect(err).To(MatchError(unix.ENOENT))
	})

	It("takes bigger windows of a quick device, and small ones of a slow or limited one", func() {
		w := &windows{size: 100 << 30, next: firstWindow}
		take := func() int64 {
			s, ok, err := w.take()
			Expect(ok).To(BeTrue())
			Expect(err).NotTo(HaveOccurred())
			return s.len
		}
		for range 10 {
			take()
			w.adapt(time.Millisecond)
		}
		Expect(take()).To(BeEquivalentTo(lastWindow))
		for range 10 {
			w.adapt(time.Minute)
		}
		Expect(take()).To(BeEquivalentTo(firstWindow))
		w.adapt(time.Millisecond)
		w.limit = NewLimiter(1)
		Expect(take()).To(BeEquivalentTo(firstWindow))
	})
})
