package blockcopy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// open opens a file or device until the spec ends.
func open(path string, flag int) *os.File {
	GinkgoHelper()
	f, err := os.OpenFile(path, flag, 0)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(f.Close)
	return f
}

var _ = Describe("Gather", func() {
	for kind, make := range makers {
		It("copies pieces to their places, and nothing else: "+kind, func(ctx SpecContext) {
			source := content(1, 6*mib, extent{0, 2 * mib}, extent{3 * mib, 3 * mib})
			target := make("target", dense(9, 8*mib))
			var done []Progress
			r, err := Gather{
				Source: open(file("source", source), os.O_RDONLY), Target: open(target, os.O_RDWR|unix.O_EXCL),
				Pieces: []Piece{
					{Extent{4096, 3 * mib}, 3 * mib},             // across blocks
					{Extent{4096 + 3*mib, 8192}, 4096},           // a neighbour from elsewhere
					{Extent{4 * mib, 1*mib + 4096}, 3 * mib},     // the same again
					{Extent{6 * mib, mib}, Zeroes},               //
					{Extent{7 * mib, mib - 512}, 2*mib - 64*kib}, // begins with data, and goes on with zeroes
				},
				Progress: func(p Progress) { done = append(done, p) },
			}.Run(ctx)
			Expect(err).NotTo(HaveOccurred())
			want := dense(9, 8*mib)
			copy(want[4096:], source[3*mib:6*mib])
			copy(want[4096+3*mib:], source[4096:4096+8192])
			copy(want[4*mib:], source[3*mib:4*mib+4096])
			clear(want[6*mib : 7*mib])
			copy(want[7*mib:8*mib-512], source[2*mib-64*kib:])
			expectSame(target, want)
			total := int64(3*mib + 8192 + mib + 4096 + mib + mib - 512)
			Expect(r.Written + r.Zeroed).To(Equal(total))
			Expect(r.Digest).To(BeEmpty())
			Expect(done[len(done)-1]).To(And(HaveField("Done", total), HaveField("Total", total)))
		})
	}

	It("gathers anything", func(ctx SpecContext) {
		dir := GinkgoT().TempDir()
		rapid.Check(GinkgoT(), func(t *rapid.T) {
			size := rapid.Int64Range(1, 4*mib).Draw(t, "size")
			step := rapid.SampledFrom([]int64{1, 512, 4096}).Draw(t, "step")
			source, target := extents(t, size, "source"), extents(t, 2*size, "target")
			zero := rapid.Bool().Draw(t, "target is zero")
			if zero {
				clear(target)
			}
			want := bytes.Clone(target)
			var pieces []Piece
			for at := int64(0); at < 2*size; {
				at += rapid.Int64Range(0, size/4).Draw(t, "gap") / step * step
				p := Piece{Source: Zeroes}
				if p.Offset, p.Length = at, rapid.Int64Range(1, size).Draw(t, "length"); p.Length > 2*size-at {
					break
				}
				if rapid.Bool().Draw(t, "data") {
					p.Source = rapid.Int64Range(0, size-p.Length).Draw(t, "from") / step * step
					copy(want[at:], source[p.Source:p.Source+p.Length])
				} else {
					clear(want[at : at+p.Length])
				}
				pieces, at = append(pieces, p), at+p.Length
			}
			from, to := filepath.Join(dir, "source"), filepath.Join(dir, "target")
			if err := errors.Join(os.WriteFile(from, source, 0o600), os.WriteFile(to, target, 0o600)); err != nil {
				t.Fatal(err)
			}
			in, err := os.Open(from)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = in.Close() }()
			out, err := os.OpenFile(to, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = out.Close() }()
			if _, err := (Gather{Source: in, Target: out, Pieces: pieces, TargetIsZero: zero}).Run(ctx); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(read(to), want) {
				t.Fatal("the target is not what the pieces say")
			}
		})
	})

	DescribeTable("refuses pieces before it writes any", func(ctx SpecContext, pieces ...Piece) {
		target := file("target", dense(2, mib))
		_, err := Gather{Source: open(file("source", dense(1, mib)), os.O_RDONLY), Target: open(target, os.O_RDWR),
			Pieces: append([]Piece{{Extent{0, 4096}, 0}}, pieces...)}.Run(ctx)
		Expect(err).To(MatchError(ContainSubstring("piece at offset")))
		expectSame(target, dense(2, mib))
	},
		Entry("empty", Piece{Extent{8192, 0}, 0}),
		Entry("of a negative length", Piece{Extent{8192, -1}, 0}),
		Entry("out of order", Piece{Extent{0, 4096}, 0}),
		Entry("beyond the target", Piece{Extent{mib - 4096, 4097}, 0}),
		Entry("zeroes beyond the target", Piece{Extent{mib + 1, 1}, Zeroes}),
		Entry("beyond the source", Piece{Extent{8192, 4096}, mib - 4095}),
		Entry("before the source", Piece{Extent{8192, 4096}, -2}),
		Entry("of all numbers", Piece{Extent{8192, 1<<63 - 1}, 1<<63 - 1}),
	)

	It("does not take what is missing of a file that became shorter for zeroes", func(ctx SpecContext) {
		path := file("source", dense(1, 4*mib))
		source, target := open(path, os.O_RDONLY), open(file("target", nil), os.O_RDWR)
		Expect(target.Truncate(4 * mib)).To(Succeed())
		time.AfterFunc(200*time.Millisecond, func() { _ = os.Truncate(path, 0) })
		_, err := Gather{Source: source, Target: target, Pieces: []Piece{{Extent{0, 4 * mib}, 0}}, Limit: NewLimiter(4 * mib)}.Run(ctx)
		Expect(err).To(MatchError(io.ErrUnexpectedEOF))
		Expect(err).To(MatchError(ContainSubstring(path)))
	})

	It("stops when it is no longer wanted", func(ctx SpecContext) {
		running, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
		_, err := Gather{Source: open(file("source", dense(1, 4*mib)), os.O_RDONLY), Target: open(file("target", dense(2, 4*mib)), os.O_RDWR),
			Pieces: []Piece{{Extent{0, 4 * mib}, 0}}, Limit: NewLimiter(mib)}.Run(running)
		Expect(err).To(MatchError(context.DeadlineExceeded))
	})

	It("does not copy a file onto itself", func(ctx SpecContext) {
		path := file("source", dense(1, mib))
		_, err := Gather{Source: open(path, os.O_RDONLY), Target: open(path, os.O_RDWR), Pieces: []Piece{{Extent{0, 4096}, 8192}}}.Run(ctx)
		Expect(err).To(MatchError(ContainSubstring("the same")))
		expectSame(path, dense(1, mib))
	})
})
