package format

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
)

func index() *Index {
	return &Index{
		Layout: Layout{Size: 20<<20 + 7, Slice: 4 << 20}, Present: []uint32{0, 1, 3, 5}, When: []uint32{1, 1, 0, 1},
		Digests: []uint64{1, 2, 3, 1 << 63}, Moments: []int64{5, 9}, Made: 11,
	}
}

const times = `volreconciler times 1
size 20971527
slice 4194304
made 11
moment 5
moment 9
run 0 2 1
run 3 1 0
run 5 1 1
`

func TestTimesAreWrittenAndReadAgain(t *testing.T) {
	g := NewWithT(t)
	g.Expect(string(index().EncodeTimes())).To(Equal(times))
	x, err := DecodeTimes(strings.NewReader(times))
	g.Expect(err).NotTo(HaveOccurred())
	want := index()
	want.Digests = nil
	g.Expect(x).To(Equal(want))
	g.Expect(x.Bytes()).To(BeEquivalentTo(12<<20 + 7))
}

func TestTimesAreReadStrictly(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"times 1", "times 2", "not a file of version 1"},
		{"size 20971527", "size 0", "out of range"},
		{"size 20971527", "size 020971527", "expected size"},
		{"size 20971527", "size 9223372036854775807", "out of range"},
		{"slice 4194304", "slice 4194305", "unsupported"},
		{"slice 4194304", "slice 1", "unsupported"},
		{"made 11", "made 8", "too late"},
		{"moment 9", "moment 5", "not ascending"},
		{"run 3 1 0", "run 3 4 0", "out of range"},
		{"run 3 1 0", "run 1 1 0", "overlap"},
		{"run 3 1 0", "run 2 1 1", "two runs are one"},
		{"run 3 1 0", "run 3 1 2", "out of range"},
		{"run 3 1 0", "run 3 1 1", "no slice has moment 0"},
		{"run 3 1 0", "run 3 -1 0", "expected run"},
		{"run 3 1 0\n", "\n", "expected run"},
		{"run 5 1 1\n", "run 5 1 1\nmore\n", "expected run"},
	} {
		g := NewWithT(t)
		text := strings.Replace(times, c.old, c.new, 1)
		g.Expect(text).NotTo(Equal(times))
		_, err := DecodeTimes(strings.NewReader(text))
		g.Expect(err).To(MatchError(ContainSubstring(c.want)), "%s", text)
	}
}

func TestDigestsAreWrittenPieceByPieceAndReadAgain(t *testing.T) {
	g := NewWithT(t)
	x := index()
	whole := make([]byte, x.DigestsSize())
	g.Expect(x.ReadDigests(whole, 0)).To(Equal(len(whole)))
	g.Expect(strings.Split(string(whole), "\n")[1]).To(Equal("0000000000000001  0000000000000000/0000000000000000"))
	for from := range whole {
		part := make([]byte, 60)
		n := x.ReadDigests(part, int64(from))
		g.Expect(string(part[:n])).To(Equal(string(whole[from:min(from+60, len(whole))])))
	}
	list, err := ReadDigestList(bytes.NewReader(whole), int64(len(whole)))
	g.Expect(err).NotTo(HaveOccurred())
	y := index()
	y.Digests = nil
	g.Expect(y.SetDigests(list)).To(Succeed())
	g.Expect(y).To(Equal(x))

	y.Present[2] = 4
	g.Expect(y.SetDigests(list)).To(MatchError(ContainSubstring("not of the slices")))
	y.Present = y.Present[:3]
	g.Expect(y.SetDigests(list)).To(MatchError(ContainSubstring("4 lines for 3 slices")))
	_, err = ReadDigestList(bytes.NewReader(whole[:100]), int64(len(whole)))
	g.Expect(err).To(MatchError(ContainSubstring("unexpected EOF")))
	_, err = ReadDigestList(bytes.NewReader(whole), int64(len(whole)-1))
	g.Expect(err).To(HaveOccurred())
}

func TestNamesAreFoundAgainAndSortAsTheirOffsets(t *testing.T) {
	g := NewWithT(t)
	for _, size := range []int64{1, 4 << 20, 4<<40 + 1, MaxSize} {
		l, err := NewLayout(size)
		g.Expect(err).NotTo(HaveOccurred())
		var paths []string
		for _, s := range []int{0, 1, PerDir - 1, PerDir, 100 * PerDir, l.Slices() - 1} {
			if s >= l.Slices() {
				continue
			}
			paths = append(paths, l.Path(s))
			found, ok := l.SliceOf(l.Name(s))
			g.Expect(ok).To(BeTrue())
			g.Expect(found).To(Equal(s))
			dir, ok := l.DirOf(l.DirName(s / PerDir))
			g.Expect(ok).To(BeTrue())
			g.Expect(dir).To(Equal(s / PerDir))
		}
		g.Expect(slices.IsSorted(append(paths, Dir))).To(BeTrue(), fmt.Sprint(paths))
		_, ok := l.SliceOf(l.Name(l.Slices()))
		g.Expect(ok).To(BeFalse())
	}
	_, err := NewLayout(MaxSize + 1)
	g.Expect(err).To(HaveOccurred())
	l, _ := NewLayout(1 << 40)
	for _, name := range []string{"", "0", "+000000000000000", "000000000000000A", "0000000000000001", "00000000000000000"} {
		_, ok := l.SliceOf(name)
		g.Expect(ok).To(BeFalse(), name)
	}
}

func TestExtentsCoverSlices(t *testing.T) {
	g := NewWithT(t)
	l := Layout{Size: 100 << 10, Slice: 8 << 10}
	g.Expect(l.Covered([]blockcopy.Extent{{Offset: 8<<10 - 1, Length: 2}, {Offset: 96 << 10, Length: 1 << 62}, {Offset: 9 << 10, Length: 1}})).
		To(Equal([]uint32{0, 1, 12}))
	g.Expect(l.All()).To(HaveLen(13))
}

func FuzzTimes(f *testing.F) {
	f.Add([]byte(times))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := DecodeTimes(bytes.NewReader(b))
		if err == nil && string(x.EncodeTimes()) != string(bytes.TrimSuffix(b, []byte("\n")))+"\n" {
			t.Fatalf("%q is read as %q", b, x.EncodeTimes())
		}
	})
}

func FuzzDigests(f *testing.F) {
	x := index()
	whole := make([]byte, x.DigestsSize())
	x.ReadDigests(whole, 0)
	f.Add(whole)
	f.Fuzz(func(t *testing.T, b []byte) {
		y := index()
		list, err := ReadDigestList(bytes.NewReader(b), int64(len(b)))
		if err != nil || y.SetDigests(list) != nil {
			return
		}
		again := make([]byte, y.DigestsSize())
		if y.ReadDigests(again, 0); !bytes.Equal(again, b) {
			t.Fatalf("%q is read as %q", b, again)
		}
	})
}
