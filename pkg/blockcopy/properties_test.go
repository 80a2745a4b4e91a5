package blockcopy

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/cespare/xxhash/v2"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"pgregory.net/rapid"
)

// extents draws random content: pieces of data, some of them at odd places.
func extents(t *rapid.T, size int64, label string) []byte {
	step := rapid.SampledFrom([]int64{1, 512, 4096, grain, blockSize}).Draw(t, label+" step")
	pieces := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) extent {
		off := rapid.Int64Range(0, size-1).Draw(t, "off") / step * step
		return extent{off, rapid.Int64Range(1, size-off).Draw(t, "len")}
	}), 0, 6).Draw(t, label)
	return content(rapid.Uint64().Draw(t, label+" seed"), size, pieces...)
}

var _ = Describe("Properties", func() {
	It("copies anything onto anything", func(ctx SpecContext) {
		dir := GinkgoT().TempDir()
		rapid.Check(GinkgoT(), func(t *rapid.T) {
			size := rapid.Int64Range(1, 6*mib).Draw(t, "size")
			source, target := extents(t, size, "source"), extents(t, size, "target")
			c := Copy{
				Source: filepath.Join(dir, "source"), Target: filepath.Join(dir, "target"), Size: size,
				From:          rapid.Int64Range(0, size).Draw(t, "from"),
				TargetIsZero:  rapid.Bool().Draw(t, "target is zero"),
				OnlyDifferent: rapid.Bool().Draw(t, "only different"),
				NoDigest:      rapid.Bool().Draw(t, "no digest"),
			}
			if c.TargetIsZero && !c.OnlyDifferent {
				target = make([]byte, size)
			}
			for path, b := range map[string][]byte{c.Source: source, c.Target: target} {
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want := bytes.Clone(target)
			from := c.From / blockSize * blockSize
			copy(want[from:], source[from:])
			r, err := c.Run(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(read(c.Target), want) {
				t.Fatal("the target is not as the source")
			}
			if sum := r.Written + r.Zeroed + r.Skipped; sum != size-from {
				t.Fatalf("%d bytes accounted for, of %d", sum, size-from)
			}
			if from == 0 && !c.NoDigest {
				again, err := Digest(ctx, c.Target, size, nil)
				if err != nil || again != r.Digest {
					t.Fatalf("digest of the target %s (%v), of the source %s", again, err, r.Digest)
				}
			}
		})
	})

	It("has one digest for one content, however it lies in the file", func(ctx SpecContext) {
		b := content(1, 5*mib+9, extent{mib, 100})
		sparse := file("sparse", b)
		full := filepath.Join(GinkgoT().TempDir(), "full")
		Expect(os.WriteFile(full, b, 0o600)).To(Succeed())
		one, err := Digest(ctx, sparse, int64(len(b)), nil)
		Expect(err).NotTo(HaveOccurred())
		other, err := Digest(ctx, full, int64(len(b)), nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(one).To(Equal(other))

		// Callers keep digests, so the definition must stay as it is.
		h := sha256.New()
		for block := range slices.Chunk(b, mib) {
			Expect(binary.Write(h, binary.BigEndian, xxhash.Sum64(block))).To(Succeed())
		}
		Expect(binary.Write(h, binary.BigEndian, int64(len(b)))).To(Succeed())
		Expect(one).To(Equal(fmt.Sprintf("b1:%x", h.Sum(nil))))
		Expect(digestOf(bytes.Repeat([]byte("x"), mib+3))).To(Equal("b1:b0a952079ce8a00b13211c2e8db882e2099d5e111d1c62f68c40ee6e220976d5"))

		b[0] = 1
		Expect(digestOf(b)).NotTo(Equal(one))
		Expect(digestOf(b[:len(b)-1])).NotTo(Equal(digestOf(b)))
	})
})
