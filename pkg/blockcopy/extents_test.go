package blockcopy

import (
	"bytes"
	"math"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

var _ = DescribeTable("Merge", func(size, grain int64, want []Extent, extents ...Extent) {
	Expect(Merge(extents, size, grain)).To(Equal(want))
},
	Entry("nothing", int64(100), int64(1), []Extent(nil)),
	Entry("in order, neighbours as one", int64(100), int64(1), []Extent{{0, 20}, {30, 5}}, Extent{30, 5}, Extent{10, 10}, Extent{0, 10}),
	Entry("one within another", int64(100), int64(1), []Extent{{10, 50}}, Extent{10, 50}, Extent{20, 10}),
	Entry("no more than there is", int64(100), int64(1), []Extent{{90, 10}}, Extent{90, 20}, Extent{100, 5}, Extent{200, 1}),
	Entry("whole steps", int64(10000), int64(4096), []Extent{{0, 8192}}, Extent{4000, 200}),
	Entry("the end is no whole step", int64(10000), int64(4096), []Extent{{8192, 1808}}, Extent{9999, 1}),
	Entry("numbers that mean nothing", int64(100), int64(4), []Extent{{0, 100}}, Extent{-5, 7}, Extent{0, math.MaxInt64}, Extent{math.MaxInt64, math.MaxInt64}, Extent{50, -3}),
)

var _ = Describe("a copy of extents", func() {
	for kind, make := range makers {
		It("copies these and nothing else: "+kind, func(ctx SpecContext) {
			b := content(1, 8*mib, extent{0, 3 * mib}, extent{5 * mib, 3 * mib})
			source, target := make("source", b), make("target", dense(9, 8*mib))
			var done []Progress
			r, err := Copy{
				Source: source, Target: target, Size: 8 * mib,
				Extents:    []Extent{{5*mib + 4096, 2*mib + 4096}, {2 * mib, 2 * mib}, {8*mib - 512, mib}},
				Progress:   func(p Progress) { done = append(done, p) },
				Checkpoint: func(int64) error { Fail("offset does not exist before which all is copied"); return nil },
			}.Run(ctx)
			Expect(err).NotTo(HaveOccurred())
			want := dense(9, 8*mib)
			for _, x := range []Extent{{2 * mib, 2 * mib}, {5*mib + 4096, 2*mib + 4096}, {8*mib - 4096, 4096}} {
				copy(want[x.Offset:x.Offset+x.Length], b[x.Offset:])
			}
			expectSame(target, want)
			Expect(r.Digest).To(BeEmpty())
			Expect(r.Written + r.Zeroed).To(Equal(int64(4*mib + 8192)))
			Expect(done[len(done)-1]).To(And(HaveField("Done", int64(4*mib+8192)), HaveField("Total", int64(4*mib+8192))))
		})
	}

	It("copies nothing if there are none", func(ctx SpecContext) {
		source, target := file("source", dense(1, mib)), file("target", dense(2, mib))
		Expect(Copy{Source: source, Target: target, Size: mib, Extents: []Extent{}}.Run(ctx)).To(Equal(Result{}))
		expectSame(target, dense(2, mib))
	})

	It("does not begin in the middle", func(ctx SpecContext) {
		source, target := file("source", dense(1, mib)), file("target", dense(2, mib))
		_, err := Copy{Source: source, Target: target, Size: mib, From: 5, Extents: []Extent{{0, 10}}}.Run(ctx)
		Expect(err).To(HaveOccurred())
		expectSame(target, dense(2, mib))
	})

	It("copies any extents of anything onto anything", func(ctx SpecContext) {
		dir := GinkgoT().TempDir()
		rapid.Check(GinkgoT(), func(t *rapid.T) {
			size := rapid.Int64Range(1, 2*mib).Draw(t, "size")
			source, target := extents(t, size, "source"), extents(t, size, "target")
			c := Copy{
				Source: filepath.Join(dir, "source"), Target: filepath.Join(dir, "target"), Size: size,
				OnlyDifferent: rapid.Bool().Draw(t, "only different"),
				Extents: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Extent {
					return Extent{rapid.Int64Range(0, size).Draw(t, "off"), rapid.Int64Range(0, size).Draw(t, "len")}
				}), 1, 8).Draw(t, "extents"),
			}
			for path, b := range map[string][]byte{c.Source: source, c.Target: target} {
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want := bytes.Clone(target)
			for _, x := range c.Extents {
				from, to := x.Offset/align*align, min((x.Offset+x.Length+align-1)/align*align, size)
				if x.Length > 0 && from < to {
					copy(want[from:to], source[from:])
				}
			}
			if _, err := c.Run(ctx); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(read(c.Target), want) {
				t.Fatal("the target is not what it should be")
			}
		})
	})
})

var _ = Describe("a claim", func() {
	It("is of one only, and ends", func() {
		dev := loop("device", dense(1, mib))
		release, err := Claim(dev, "")
		Expect(err).NotTo(HaveOccurred())
		_, err = Claim(dev, "")
		Expect(err).To(MatchError(unix.EBUSY))
		expectSame(dev, dense(1, mib)) // whoever only reads is let in
		release()
		release, err = Claim(dev, "")
		Expect(err).NotTo(HaveOccurred())
		release()
	})

	It("is of something that is there", func() {
		_, err := Claim("/dev/no-such-device", "")
		Expect(err).To(MatchError(unix.ENOENT))
	})
})
