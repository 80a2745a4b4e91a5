package blockdelta

import (
	"bytes"
	"context"
	"encoding/binary"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
)

// store is a copy-on-write space of a number of chunks of 4 KiB.
type store []byte

func newStore(chunks int, header ...uint32) store {
	s := make(store, chunks*4096)
	for i, n := range header {
		binary.LittleEndian.PutUint32(s[4*i:], n)
	}
	return s
}

var header = []uint32{magic, 1, version, 8}

// except adds the exception of a number, from 0.
func (s store) except(number int, old, copied uint64) {
	at := (1+number/256*257)*4096 + number%256*16
	binary.LittleEndian.PutUint64(s[at:], old)
	binary.LittleEndian.PutUint64(s[at+8:], copied)
}

func (s store) read(ctx context.Context, origin int64) ([]blockcopy.Extent, error) {
	all := collect(origin)
	err := exceptions(ctx, bytes.NewReader(s), int64(len(s)), origin, all.add)
	return all.all(), err
}

var _ = Describe("a copy-on-write space", func() {
	It("of a new snapshot says that nothing changed", func(ctx SpecContext) {
		Expect(newStore(3, header...).read(ctx, mib)).To(BeEmpty())
	})

	It("says what changed, in every list that there is", func(ctx SpecContext) {
		s := newStore(1024, header...)
		for i := range 256 {
			s.except(i, uint64(2*i), uint64(2+i))
		}
		s.except(256, 1, 259)
		s.except(257, 600, 260)
		extents, err := s.read(ctx, 4*mib)
		Expect(err).NotTo(HaveOccurred())
		Expect(extents).To(HaveLen(256))
		Expect(extents[0]).To(Equal(blockcopy.Extent{Offset: 0, Length: 12 * kib}))
		Expect(extents[255]).To(Equal(blockcopy.Extent{Offset: 600 * 4096, Length: 4096}))
		Expect(blockcopy.Total(extents)).To(Equal(int64(258 * 4096)))
	})

	It("may have larger chunks, and an origin of no whole number of them", func(ctx SpecContext) {
		s := newStore(64, magic, 1, version, 32)
		binary.LittleEndian.PutUint64(s[16384:], 6)
		binary.LittleEndian.PutUint64(s[16384+8:], 2)
		Expect(s.read(ctx, 100*kib)).To(Equal([]blockcopy.Extent{{Offset: 96 * kib, Length: 4 * kib}}))
	})

	DescribeTable("that cannot be right is no list of nothing", func(ctx SpecContext, s store) {
		_, err := s.read(ctx, mib)
		Expect(err).To(MatchError(ErrLost))
	},
		Entry("zeroes", newStore(16)),
		Entry("overflowed", newStore(16, magic, 0, version, 8)),
		Entry("another version", newStore(16, magic, 1, 2, 8)),
		Entry("chunks that are too small", newStore(16, magic, 1, version, 1)),
		Entry("chunks that are too large", newStore(16, magic, 1, version, 1<<31)),
		Entry("chunks of an odd size", newStore(16, magic, 1, version, 24)),
		Entry("no place for a list", newStore(1, header...)),
		Entry("a chunk that the origin does not have", func() store {
			s := newStore(16, header...)
			s.except(0, 256, 2)
			return s
		}()),
		Entry("a copy that is nowhere", func() store {
			s := newStore(16, header...)
			s.except(0, 5, 16)
			return s
		}()),
		Entry("a copy in a list", func() store {
			s := newStore(16, header...)
			s.except(0, 5, 1)
			return s
		}()),
		Entry("a list without an end", func() store {
			s := newStore(257, header...)
			for i := range 256 {
				s.except(i, uint64(i), 2)
			}
			return s
		}()),
	)

	It("is not read any further when nobody waits", func(ctx SpecContext) {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		_, err := newStore(16, header...).read(ended, mib)
		Expect(err).To(MatchError(context.Canceled))
	})
})

var _ = Describe("a collection of extents", func() {
	It("is precise, as long as there are few", func() {
		c := &collector{size: mib, most: 100, grain: 1}
		for i := range int64(99) {
			c.add((98-i)*4096, 512)
		}
		Expect(c.all()).To(HaveLen(99))
		Expect(blockcopy.Total(c.all())).To(Equal(int64(99 * 512)))
	})

	It("is of so many at most, and misses nothing", func() {
		c := &collector{size: 10*mib - 1, most: 100, grain: 1}
		for i := range int64(2500) {
			c.add(i*7919%2500*4096, 512)
		}
		Expect(len(c.all())).To(BeNumerically("<=", 100))
		for i := range int64(2500) {
			covered := false
			for _, x := range c.all() {
				covered = covered || x.Offset <= i*4096 && i*4096+512 <= x.Offset+x.Length
			}
			Expect(covered).To(BeTrue(), "extent %d", i)
		}
	})
})

// FuzzExceptions reads a copy-on-write space that somebody made up: it must end, and
// name nothing that the origin does not have.
func FuzzExceptions(f *testing.F) {
	s := newStore(8, header...)
	s.except(0, 3, 2)
	f.Add([]byte(s), int64(mib))
	f.Add([]byte(newStore(4, header...)), int64(5000))
	f.Fuzz(func(t *testing.T, data []byte, origin int64) {
		if origin <= 0 {
			return
		}
		extents, err := store(data).read(context.Background(), origin)
		if err != nil {
			return
		}
		checkExtents(t, extents, origin)
	})
}

func checkExtents(t *testing.T, extents []blockcopy.Extent, size int64) {
	t.Helper()
	end := int64(-1)
	for _, x := range extents {
		if x.Offset <= end || x.Length <= 0 || x.Length > size-x.Offset {
			t.Fatalf("%+v of %d", extents, size)
		}
		end = x.Offset + x.Length
	}
}
