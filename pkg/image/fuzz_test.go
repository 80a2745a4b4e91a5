package image

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
)

// padded is an image of which only the beginning, the end and what lies between at
// given offsets is not zero: an input of a fuzz target is to be short.
type padded struct {
	size  int64
	parts []part
}

type part struct {
	at int64
	b  []byte
}

func (p padded) ReadAt(b []byte, offset int64) (int, error) {
	if offset < 0 || offset+int64(len(b)) > p.size {
		return 0, io.ErrUnexpectedEOF
	}
	clear(b)
	for _, part := range p.parts {
		if part.at >= offset && part.at < offset+int64(len(b)) {
			copy(b[part.at-offset:], part.b)
		} else if part.at < offset && offset < part.at+int64(len(part.b)) {
			copy(b, part.b[offset-part.at:])
		}
	}
	return len(b), nil
}

// seed hands the beginning of every sample of a format to a fuzz target.
func seed(f *testing.F, format Format, n int) {
	f.Helper()
	dir := f.TempDir()
	for name, s := range samples {
		if s.format != format {
			continue
		}
		path, err := sample(dir, name, s.args...)
		if err != nil {
			f.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:min(n, len(b))])
	}
}

// check says what holds whatever the input is: no panic, a plausible size or a
// refusal, and the same answer if the format is pinned.
func check(t *testing.T, r io.ReaderAt, size int64, wanted Format) {
	t.Helper()
	h, err := Inspect(r, size, wanted)
	if err != nil {
		if !errors.Is(err, ErrRefused) {
			t.Fatalf("an error that is no refusal: %v", err)
		}
		return
	}
	if h.Format == Detect || h.VirtualSize <= 0 || h.VirtualSize%sector != 0 || h.VirtualSize > maxVirtual {
		t.Fatalf("accepted %+v", h)
	}
	again, err := Inspect(r, size, h.Format)
	if err != nil || again != h {
		t.Fatalf("%+v, and pinned: %+v, %v", h, again, err)
	}
}

// FuzzQCOW2 feeds the parser of qcow2 with anything, as a small and as a larger file.
func FuzzQCOW2(f *testing.F) {
	seed(f, QCOW2, 600)
	f.Fuzz(func(t *testing.T, b []byte) {
		check(t, bytes.NewReader(b), int64(len(b)), QCOW2)
		check(t, padded{1 << 20, []part{{0, b}}}, 1<<20, QCOW2)
	})
}

// FuzzVMDK feeds the parser of VMDK with anything, with and without a footer.
func FuzzVMDK(f *testing.F) {
	seed(f, VMDK, 1200)
	f.Fuzz(func(t *testing.T, b []byte) {
		check(t, bytes.NewReader(b), int64(len(b)), VMDK)
		const size = 64 << 10
		check(t, padded{size, []part{{0, b}, {size - 1024, b[:min(len(b), sector)]}}}, size, VMDK)
	})
}

// FuzzVHDX feeds the parser of VHDX with anything, under right checksums.
func FuzzVHDX(f *testing.F) {
	path, err := sample(f.TempDir(), "x.vhdx", "-O", "vhdx")
	if err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	metadata := bytes.Index(whole, append([]byte("metadata"), 0, 0))
	if metadata < 0 {
		f.Fatal("VHDX: the metadata is not at its expected offset")
	}
	const length = 256
	offsets := []int{64 << 10, 192 << 10, metadata, metadata + 64<<10}
	var seed []byte
	for _, o := range offsets {
		seed = append(seed, whole[o:o+length]...)
	}
	f.Add(seed)
	same := func(b []byte) []byte { return b }
	header, table := make([]byte, vhdxHeaderSize), make([]byte, vhdxTableSize)
	f.Fuzz(func(t *testing.T, b []byte) {
		parts := []part{{0, []byte(vhdxMagic)}, {64 << 10, header}, {192 << 10, table}}
		for _, o := range offsets {
			n := min(length, len(b))
			switch o {
			case 64 << 10:
				copy(header, make([]byte, length))
				copy(header, b[:n])
				vhdx(0, vhdxHeaderSize, same)(header)
			case 192 << 10:
				copy(table, make([]byte, length))
				copy(table, b[:n])
				vhdx(0, vhdxTableSize, same)(table)
			default:
				parts = append(parts, part{int64(o), b[:n]})
			}
			b = b[n:]
		}
		check(t, padded{int64(len(whole)), parts}, int64(len(whole)), VHDX)
	})
}

// FuzzDetect feeds detection with anything.
func FuzzDetect(f *testing.F) {
	for _, k := range foreign {
		f.Add(append(make([]byte, k.offset), k.magic...))
	}
	f.Add([]byte("conectix"))
	f.Fuzz(func(t *testing.T, b []byte) { check(t, bytes.NewReader(b), int64(len(b)), Detect) })
}
