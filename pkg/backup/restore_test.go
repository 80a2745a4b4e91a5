package backup

import (
	"bytes"
	"context"
	"errors"
	"os"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/restic"
)

var _ = Describe("a restore", func() {
	var v *volume
	BeforeEach(func(ctx SpecContext) {
		v = newVolume(GinkgoT().TempDir(), 1*mib+1000)
		Expect(v.job.Repository.Init(ctx)).To(Succeed())
		v.write(128*kib, 300*kib)
		v.write(900*kib, 300*kib)
		clear(v.data[130*kib : 140*kib])
		Expect(v.backup(ctx)).Error().NotTo(HaveOccurred())
	})
	url := func() string { return v.job.Repository.URL }

	DescribeTable("gives what was backed up", func(ctx SpecContext, zero bool, more int) {
		path := v.target(int64(len(v.data)+more), zero)
		r := v.restore(path)
		r.TargetIsZero = zero
		var last Progress
		r.Progress = func(p Progress) { last = p }
		done, err := r.Run(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(last).To(Equal(Progress{Done: done.Size, Total: done.Size, Verifying: true}))
		got, err := os.ReadFile(path)
		Expect(err).NotTo(HaveOccurred())
		Expect(got).To(Equal(append(v.data, make([]byte, more)...)))
		if zero {
			var st os.FileInfo
			st, err = os.Stat(path)
			Expect(err).NotTo(HaveOccurred())
			Expect(st.Size()).To(BeEquivalentTo(len(v.data) + more))
			Expect(done.Written).To(BeNumerically("<", 480*kib))
		}
	},
		Entry("onto zeroes", true, 0),
		Entry("onto other data", false, 0),
		Entry("onto something larger that is zero", true, 5000),
		Entry("onto something larger with other data", false, 5000),
	)

	It("refuses a smaller target before it writes", func(ctx SpecContext) {
		path := v.target(1*mib, false)
		_, err := v.restore(path).Run(ctx)
		Expect(err).To(MatchError(blockcopy.ErrSize))
		Expect(os.ReadFile(path)).To(Equal(bytes.Repeat([]byte{0xa5}, mib)))
	})

	DescribeTable("finds what is wrong with the repository", func(ctx SpecContext, spoil func(), want error) {
		spoil()
		_, err := v.restore(v.target(int64(len(v.data)), true)).Run(ctx)
		Expect(err).To(MatchError(want))
	},
		Entry("a slice has other content", func() {
			v.fake.Alter(url(), v.job.Parent, "/0000000000000000/0000000000030000", func(b []byte) []byte { b[7]++; return b })
		}, ErrDamaged),
		Entry("a slice is short", func() {
			v.fake.Alter(url(), v.job.Parent, "/0000000000000000/0000000000030000", func(b []byte) []byte { return b[1:] })
		}, ErrFormat),
		Entry("a slice is missing", func() { v.fake.Drop(url(), v.job.Parent, "/0000000000000000/0000000000030000") }, ErrFormat),
		Entry("the last slice is missing", func() { v.fake.Drop(url(), v.job.Parent, "/0000000000000000/0000000000100000") }, ErrFormat),
		Entry("the digests are missing", func() { v.fake.Drop(url(), v.job.Parent, "/volume/digests") }, ErrFormat),
		Entry("the digests are of other slices", func() {
			v.fake.Alter(url(), v.job.Parent, "/volume/times", func(b []byte) []byte { return bytes.Replace(b, []byte("run 2 "), []byte("run 1 "), 1) })
		}, ErrFormat),
		Entry("the snapshot is gone", func() { v.job.Parent = "0123456789abcdef" }, restic.ErrNoSnapshot),
	)

	It("finds what the device does not keep", func(ctx SpecContext) {
		path := v.target(int64(len(v.data)), false) // it says that it is zero
		_, err := v.restore(path).Run(ctx)
		Expect(err).To(MatchError(ErrDamaged))
		r := v.restore(path)
		r.NoVerify = true
		Expect(r.Run(ctx)).Error().NotTo(HaveOccurred())
	})

	It("continues after every checkpoint", func(ctx SpecContext) {
		stop := errors.New("stop")
		path := v.target(int64(len(v.data)), true)
		r := v.restore(path)
		r.CheckpointEvery = small
		var offsets []int64
		r.Checkpoint = func(offset int64) error {
			offsets = append(offsets, offset)
			r.From = offset
			return stop
		}
		for {
			_, err := r.Run(ctx)
			if err == nil {
				break
			}
			Expect(err).To(MatchError(stop))
			Expect(len(offsets)).To(BeNumerically("<", 20))
		}
		Expect(len(offsets)).To(BeNumerically(">", 4))
		Expect(offsets[len(offsets)-1]).To(BeEquivalentTo(len(v.data)))
		Expect(os.ReadFile(path)).To(Equal(v.data))
	})

	It("ends when its context does", func(ctx SpecContext) {
		running, stop := context.WithCancel(ctx)
		r := v.restore(v.target(int64(len(v.data)), true))
		r.Limiter = blockcopy.NewLimiter(100 * kib)
		r.Progress = func(Progress) { stop() }
		_, err := r.Run(running)
		Expect(err).To(MatchError(context.Canceled))
	})
})
