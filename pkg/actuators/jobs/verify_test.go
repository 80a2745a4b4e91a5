package jobs_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/actuators/jobs"
	"github.com/volreconciler/volreconciler/pkg/blockcopy"
)

// faulty is a disk that stores something else than it is given, so many times.
type faulty struct {
	jobs.Engine
	times int
	at    int64
}

func (f *faulty) Copy(ctx context.Context, c blockcopy.Copy) (blockcopy.Result, error) {
	r, err := f.Engine.Copy(ctx, c)
	if f.times--; err == nil && f.times >= 0 {
		target, failed := os.OpenFile(c.Target, os.O_WRONLY, 0)
		Expect(failed).NotTo(HaveOccurred())
		_, failed = target.WriteAt([]byte("rotten"), f.at)
		Expect(failed).NotTo(HaveOccurred())
		Expect(target.Close()).To(Succeed())
	}
	return r, err
}

var _ = Describe("A verified copy", func() {
	const size = 5<<20 + 512
	var content []byte
	var copied blockcopy.Copy
	var told []blockcopy.Progress

	BeforeEach(func() {
		dir := GinkgoT().TempDir()
		content = make([]byte, size)
		copy(content[3<<20:], bytes.Repeat([]byte("volreconciler"), 100_000))
		copied = blockcopy.Copy{
			Source: filepath.Join(dir, "source"), Target: filepath.Join(dir, "target"), Size: size, TargetIsZero: true, NoDigest: true,
			Progress: func(p blockcopy.Progress) { told = append(told, p) },
		}
		told = nil
		Expect(os.WriteFile(copied.Source, content, 0o600)).To(Succeed())
		Expect(os.WriteFile(copied.Target, make([]byte, size), 0o600)).To(Succeed())
	})
	expectCopied := func() {
		GinkgoHelper()
		b, err := os.ReadFile(copied.Target)
		Expect(err).NotTo(HaveOccurred())
		Expect(bytes.Equal(b, content)).To(BeTrue())
	}

	It("succeeds if the target gives back what was read, and is done only then", func(ctx SpecContext) {
		r, err := jobs.Verified{Blocks: jobs.NewEngine(nil)}.Copy(ctx, copied)
		Expect(err).NotTo(HaveOccurred())
		Expect(r.Digest).NotTo(BeEmpty())
		expectCopied()
		Expect(told).NotTo(BeEmpty())
		last := blockcopy.Progress{}
		for _, p := range told {
			Expect(p.Total).To(BeEquivalentTo(2 * size))
			Expect(p.Done).To(BeNumerically(">=", last.Done))
			last = p
		}
		Expect(last.Done).To(Equal(last.Total))
	})
	DescribeTable("fails if it does not, and goes on until it does",
		func(ctx SpecContext, at, from int64) {
			disk := &faulty{times: 1, at: at}
			// What an earlier run copied.
			Expect(os.WriteFile(copied.Target, append(bytes.Clone(content[:from]), make([]byte, size-from)...), 0o600)).To(Succeed())
			copied.From = from
			_, err := jobs.Verified{Blocks: disk}.Copy(ctx, copied)
			Expect(err).To(MatchError(And(ContainSubstring(copied.Target+" returned other data than was copied from "), ContainSubstring("dmesg"))))
			_, err = jobs.Verified{Blocks: disk}.Copy(ctx, copied)
			Expect(err).NotTo(HaveOccurred())
			expectCopied()
		},
		Entry("of data", int64(3<<20+77), int64(0)),
		Entry("of zeroes that were skipped", int64(1<<20), int64(0)),
		Entry("at the end", int64(size-6), int64(0)),
		Entry("of what this run did not copy", int64(1<<20), int64(4<<20)),
	)
	It("never succeeds on a disk that does not get better", func(ctx SpecContext) {
		disk := &faulty{times: 1000, at: 3 << 20}
		for range 3 {
			_, err := jobs.Verified{Blocks: disk}.Copy(ctx, copied)
			Expect(err).To(HaveOccurred())
		}
	})
	It("compares what was only put back where it differed", func(ctx SpecContext) {
		Expect(os.WriteFile(copied.Target, bytes.Repeat([]byte{7}, size), 0o600)).To(Succeed())
		copied.OnlyDifferent, copied.TargetIsZero = true, false
		_, err := jobs.Verified{Blocks: jobs.NewEngine(nil)}.Copy(ctx, copied)
		Expect(err).NotTo(HaveOccurred())
		expectCopied()
	})
	It("says what the copy or the reading said", func(ctx SpecContext) {
		copied.Size++
		_, err := jobs.Verified{Blocks: jobs.NewEngine(nil)}.Copy(ctx, copied)
		Expect(err).To(MatchError(blockcopy.ErrSize))
	})
})
