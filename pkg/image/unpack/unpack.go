// Package unpack decompresses images: gzip, xz and zstd, recognised by their magic
// numbers.
//
// The input may be a decompression bomb, so output and memory are limited. gzip and
// zstd are decompressed in Go; xz by the program xz in a child process under limits,
// because the Go libraries for it are several times slower and take as much memory as
// the file asks for. It never looks at the decompressed content.
//
// Start reading at [Unpack].
package unpack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/volreconciler/volreconciler/pkg/image"
	"github.com/volreconciler/volreconciler/pkg/image/internal/limited"
)

// Compression is how a file is compressed.
type Compression string

// The compressions.
const (
	None Compression = ""
	Gzip Compression = "gzip"
	XZ   Compression = "xz"
	Zstd Compression = "zstd"
)

var magics = []struct {
	magic string
	kind  Compression
}{
	{"\x1f\x8b\x08", Gzip},
	{"\xfd7zXZ\x00", XZ},
	{"\x28\xb5\x2f\xfd", Zstd},
}

// Detect says how a file is compressed. A file's name is not asked: it may say
// anything.
func Detect(r io.ReaderAt) (Compression, error) {
	head := make([]byte, 6)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return None, err
	}
	for _, m := range magics {
		if bytes.HasPrefix(head[:n], []byte(m.magic)) {
			return m.kind, nil
		}
	}
	return None, nil
}

const (
	// maxWindow is what zstd needs to decompress what zstd --ultra -22 --long=27 made,
	// the largest that it decompresses itself without being asked for more.
	maxWindow = 128 << 20
	// xz -9 needs 65 MiB to decompress.
	xzMemory  = 256 << 20
	xzAddress = 1 << 30
	xzCPU     = 24 * time.Hour
	blockSize = 64 << 10
)

// Unpack decompresses source into target, an empty file, and returns how many bytes
// it has then. Blocks of zeroes become holes. More than limit bytes are refused with
// [image.ErrTooLarge], what cannot be decompressed with [image.ErrMalformed].
// progress, if given, receives the bytes of the source that were read.
//
// source is read through its descriptor from its beginning; its position is moved.
func Unpack(ctx context.Context, source *os.File, kind Compression, target *os.File, limit int64, progress func(read int64)) (int64, error) {
	if _, err := source.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	w := &sparseWriter{ctx: ctx, f: target, limit: limit}
	in := &counter{r: source, report: progress}
	var err error
	switch kind {
	case Gzip:
		err = gunzip(in, w)
	case Zstd:
		err = unzstd(in, w)
	case XZ:
		err = unxz(ctx, source, w)
	default:
		return 0, fmt.Errorf("unsupported compression: %q", kind)
	}
	switch {
	case w.err != nil:
		return 0, w.err
	case in.err != nil:
		return 0, fmt.Errorf("cannot read %s: %w", source.Name(), in.err)
	case err != nil:
		return 0, fmt.Errorf("cannot decompress %s: %w", source.Name(), err)
	}
	return w.finish()
}

func gunzip(r io.Reader, w io.Writer) error {
	z, err := gzip.NewReader(r)
	if err != nil {
		return broken(Gzip, err)
	}
	if _, err := io.CopyBuffer(w, struct{ io.Reader }{z}, make([]byte, blockSize)); err != nil {
		return broken(Gzip, err)
	}
	return z.Close()
}

func unzstd(r io.Reader, w io.Writer) error {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return broken(Zstd, err)
	}
	defer z.Close()
	if _, err := io.CopyBuffer(w, struct{ io.Reader }{z}, make([]byte, blockSize)); err != nil {
		return broken(Zstd, err)
	}
	return nil
}

func unxz(ctx context.Context, source *os.File, w *sparseWriter) error {
	err := limited.Run(ctx, limited.Command{
		Limits: limited.Limits{Memory: xzAddress, CPU: xzCPU, Files: 16},
		Argv:   []string{"xz", "--decompress", "--stdout", "--format=xz", "--threads=1", fmt.Sprintf("--memlimit-decompress=%d", xzMemory)},
		Stdin:  source,
		Stdout: w,
	})
	var failed *limited.Error
	if errors.As(err, &failed) && !strings.Contains(err.Error(), "installed?") {
		return broken(XZ, err)
	}
	return err
}

func broken(kind Compression, err error) error {
	return &image.Refusal{Reason: image.ErrMalformed, Detail: fmt.Sprintf("the %s stream: %v", kind, err),
		Advice: "use an undamaged copy"}
}

// sparseWriter writes blocks, and leaves out those that are zero.
type sparseWriter struct {
	ctx   context.Context
	f     *os.File
	limit int64
	size  int64
	// err is what went wrong here, and not in the stream.
	err error
}

var zeroes [blockSize]byte

func (w *sparseWriter) Write(b []byte) (int, error) {
	if w.err == nil {
		w.err = context.Cause(w.ctx)
	}
	if w.err == nil && int64(len(b)) > w.limit-w.size {
		w.err = &image.Refusal{Reason: image.ErrTooLarge, Detail: fmt.Sprintf("it has more than %d bytes after decompression", w.limit),
			Advice: "raise the limit if the image is right"}
	}
	if w.err == nil && (len(b) > blockSize || !bytes.Equal(b, zeroes[:len(b)])) {
		_, w.err = w.f.WriteAt(b, w.size)
	}
	if w.err != nil {
		return 0, w.err
	}
	w.size += int64(len(b))
	return len(b), nil
}

func (w *sparseWriter) finish() (int64, error) {
	return w.size, w.f.Truncate(w.size)
}

// counter reports what is read, and remembers what went wrong below the stream.
type counter struct {
	r      io.Reader
	read   int64
	report func(int64)
	err    error
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.read += int64(n)
	if c.report != nil && n > 0 {
		c.report(c.read)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}
