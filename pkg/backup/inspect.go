package backup

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/pkg/backup/format"
	"github.com/volreconciler/volreconciler/pkg/restic"
)

// ErrFormat is the error when a snapshot does not hold a volume in the layout of this version: it is
// of a newer version, incomplete, or of somebody else.
var ErrFormat = errors.New("not a complete backup of a volume in a known format")

// maxVolumeYAML bounds volume.yaml, in bytes.
const maxVolumeYAML = 1 << 20

// Description is what a snapshot says of its volume.
type Description struct {
	Index      *format.Index
	VolumeYAML []byte
}

// Inspect reads what a snapshot says of its volume, with one start of restic and without reading slices.
// A snapshot that is incomplete, or of another version, is [ErrFormat].
func Inspect(ctx context.Context, r restic.Repository, id string) (Description, error) {
	var d Description
	err := dump(ctx, r, id, "/"+format.Dir, func(stream io.Reader) error {
		var err error
		d, err = readDescription(stream)
		return err
	})
	if errors.Is(err, restic.ErrNoPath) {
		err = fmt.Errorf("%w (%w)", ErrFormat, err)
	}
	if err != nil {
		return d, fmt.Errorf("cannot read the description of snapshot %s: %w", id, err)
	}
	return d, nil
}

// readDescription reads the directory volume from a tar stream. The order of the files in it is that of their
// names: digests come before times, which say what they are of.
func readDescription(stream io.Reader) (Description, error) {
	var d Description
	var digests format.DigestList
	archive := tar.NewReader(stream)
	seen := map[string]bool{}
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return d, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		name := cleanName(header.Name)
		if header.Typeflag == tar.TypeDir && name == format.Dir {
			continue
		}
		if header.Typeflag != tar.TypeReg || seen[name] {
			return d, fmt.Errorf("%w: unexpected entry %q", ErrFormat, header.Name)
		}
		seen[name] = true
		switch name {
		case format.Dir + "/" + format.Digests:
			digests, err = format.ReadDigestList(archive, header.Size)
		case format.Dir + "/" + format.Times:
			d.Index, err = format.DecodeTimes(archive)
		case format.Dir + "/" + format.VolumeYAML:
			d.VolumeYAML, err = readLimited(archive, header.Size, maxVolumeYAML)
		default:
			err = fmt.Errorf("unexpected file %q", header.Name)
		}
		if err != nil {
			return d, fmt.Errorf("%w: %w", ErrFormat, err)
		}
	}
	if len(seen) != 3 {
		return d, fmt.Errorf("%w: one of the files %s, %s and %s is missing", ErrFormat, format.Digests, format.Times, format.VolumeYAML)
	}
	if err := d.Index.SetDigests(digests); err != nil {
		return d, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return d, nil
}

func readLimited(r io.Reader, size, limit int64) ([]byte, error) {
	if size > limit {
		return nil, fmt.Errorf("a file has %d bytes, of at most %d", size, limit)
	}
	b := make([]byte, size)
	_, err := io.ReadFull(r, b)
	return b, err
}

// cleanName is the name of an entry as all versions of restic have it in common: without slashes around it.
func cleanName(name string) string { return strings.TrimSuffix(strings.TrimPrefix(name, "/"), "/") }

// pipeSize is how much restic may be ahead.
const pipeSize = 1 << 20

// dump runs restic dump, and a function that reads what it prints. It returns the first error: if the
// function fails, restic is ended; if restic fails, what it printed is not to be trusted.
func dump(ctx context.Context, r restic.Repository, id, path string, read func(io.Reader) error) error {
	from, to, err := os.Pipe()
	if err != nil {
		return err
	}
	_, _ = unix.FcntlInt(to.Fd(), unix.F_SETPIPE_SZ, pipeSize) // not more than faster
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		err := r.Dump(ctx, id, path, to)
		_ = to.Close()
		ended <- err
	}()
	readErr := read(from)
	if readErr == nil {
		_, readErr = io.Copy(io.Discard, from) // the end of an archive is padded
	}
	if readErr != nil {
		stop()
	}
	_ = from.Close()
	switch dumpErr := <-ended; {
	case readErr == nil:
		return dumpErr
	case dumpErr != nil && !errors.Is(dumpErr, context.Canceled):
		// It failed first, and the stream was cut off.
		return dumpErr
	default:
		return readErr
	}
}
