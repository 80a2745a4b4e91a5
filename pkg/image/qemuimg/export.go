package qemuimg

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/pkg/image"
	"github.com/volreconciler/volreconciler/pkg/image/internal/limited"
)

// Export writes a device to an image file.
type Export struct {
	// Source is a block device or a raw file. It must not change meanwhile: hand in a
	// snapshot if the volume is in use.
	Source string
	// Destination is the absolute path of the image. Its directory must exist.
	Destination string
	// Format is [image.Raw] or [image.QCOW2].
	Format image.Format
	// Compress compresses the clusters of a qcow2.
	Compress bool
	// Replace allows an existing file to be replaced. Without it one is
	// [fs.ErrExist].
	Replace bool
	// Limit is the bandwidth in bytes per second; 0: none.
	Limit int64
	// Progress, if given, is called with the bytes of the device that are done.
	Progress func(done, total int64)
}

// Exported is an image that was written.
type Exported struct {
	// SHA256 is the checksum of the file, in hexadecimal.
	SHA256 string
	// Bytes is the size of the file.
	Bytes int64
	// VirtualSize is the size of the disk in it.
	VirtualSize int64
}

// Names of files that are being written begin with the image's name, hidden, and end so.
const (
	partSuffix     = ".volreconciler-part"
	checksumSuffix = ".sha256"
)

// Export writes the image beside its destination, and moves it into place when it
// and its checksum are on disk. The checksum lies in a file named like the
// image with .sha256 behind it, in the form of sha256sum. At no time is there
// half an image under the name, or a checksum of another one beside it. A crash can
// leave a checksum without an image, or, of one that replaces another, an image without
// a checksum: then the export was not finished.
func (t Tool) Export(ctx context.Context, e Export) (Exported, error) {
	done, err := t.export(ctx, e)
	if err != nil {
		return Exported{}, fmt.Errorf("writing %s to the image %s: %w", e.Source, e.Destination, err)
	}
	return done, nil
}

func (t Tool) export(ctx context.Context, e Export) (done Exported, err error) {
	if err := e.validate(); err != nil {
		return Exported{}, err
	}
	source, driver, size, err := openSource(e.Source)
	if err != nil {
		return Exported{}, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()

	part, sums, err := newParts(e.Destination)
	if err != nil {
		return Exported{}, err
	}
	// What has been moved into place is no longer there to be removed.
	defer func() { err = errors.Join(err, discard(part), discard(sums)) }()

	if err := t.write(ctx, e, source, driver, size, part); err != nil {
		return Exported{}, err
	}
	done.VirtualSize = size
	if done.SHA256, done.Bytes, err = sum(ctx, part); err != nil {
		return Exported{}, err
	}
	if _, err := fmt.Fprintf(sums, "%s  %s\n", done.SHA256, filepath.Base(e.Destination)); err != nil {
		return Exported{}, err
	}
	if err := errors.Join(part.Sync(), sums.Sync()); err != nil {
		return Exported{}, err
	}
	return done, e.place(part, sums)
}

func (e Export) validate() error {
	name := filepath.Base(e.Destination)
	switch {
	case e.Format != image.Raw && e.Format != image.QCOW2:
		return fmt.Errorf("images are written as raw or qcow2, not as %q", e.Format)
	case e.Compress && e.Format != image.QCOW2:
		return errors.New("only qcow2 can be compressed")
	case !filepath.IsAbs(e.Destination) || strings.HasSuffix(e.Destination, "/"):
		return errors.New("the destination must be the absolute path of a file")
	case strings.HasSuffix(name, partSuffix) || strings.ContainsAny(name, "\n\\"):
		return errors.New("the destination's name is not a good one; take another")
	}
	if _, err := os.Lstat(e.Destination); err == nil && !e.Replace {
		return fmt.Errorf("%w; remove it, or give another name", fs.ErrExist)
	}
	return nil
}

func openSource(path string) (f *os.File, driver string, size int64, err error) {
	f, err = os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, "", 0, err
	}
	st, err := f.Stat()
	if err == nil {
		switch {
		case st.Mode().IsRegular():
			driver = "file"
		case st.Mode()&fs.ModeDevice != 0 && st.Mode()&fs.ModeCharDevice == 0:
			driver = "host_device"
		default:
			err = errors.New("neither a block device nor a regular file")
		}
	}
	if err == nil {
		size, err = f.Seek(0, io.SeekEnd)
	}
	if err == nil && size == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, "", 0, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return f, driver, size, nil
}

// write runs qemu-img into the part, which is there and empty.
func (t Tool) write(ctx context.Context, e Export, source *os.File, driver string, size int64, part *os.File) error {
	node := map[string]any{"driver": "raw", "read-only": true,
		"file": map[string]any{"driver": driver, "filename": "/proc/self/fd/3", "read-only": true}}
	args := []string{"convert", "-p", "-m", "8", "-T", cacheMode(source, unix.O_RDONLY), "-t", cacheMode(part, unix.O_RDWR),
		"-O", string(e.Format)}
	if e.Compress {
		args = append(args, "-c")
	}
	if e.Format == image.Raw || e.Compress {
		// Clusters of a plain qcow2 are better allocated in order.
		args = append(args, "-W")
	}
	if e.Limit > 0 {
		args = append(args, "-r", strconv.FormatInt(e.Limit, 10))
	}
	// qemu-img creates the image by this name, in the file that is open here.
	args = append(args, jsonName(node), "/proc/self/fd/4")
	return limited.Run(ctx, limited.Command{
		Limits: limited.Limits{
			Memory: convertMemory, Files: openFiles,
			CPU: convertCPU + time.Duration(size/cpuPerSecond)*time.Second,
		},
		Argv:   t.argv(args...),
		Files:  []*os.File{source, part},
		Stdout: &progress{total: size, report: e.Progress},
	})
}

// sum reads the file to its end. qemu-img does not write in order, so this cannot be
// done on the way.
func sum(ctx context.Context, f *os.File) (digits string, size int64, err error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", 0, err
	}
	h, buf := sha256.New(), make([]byte, 1<<20)
	for {
		if err := context.Cause(ctx); err != nil {
			return "", 0, err
		}
		n, err := f.Read(buf)
		h.Write(buf[:n])
		size += int64(n)
		if errors.Is(err, io.EOF) {
			return hex.EncodeToString(h.Sum(nil)), size, nil
		}
		if err != nil {
			return "", 0, err
		}
	}
}

// place moves both files to their names.
func (e Export) place(part, sums *os.File) error {
	if e.Replace {
		return e.replace(part, sums)
	}
	if _, err := os.Lstat(e.Destination); err == nil {
		return fmt.Errorf("%w; somebody made it meanwhile", fs.ErrExist)
	}
	// The checksum comes first: an image without one is somebody else's, and nobody
	// misses the image of a checksum that a crash has left.
	checksum := e.Destination + checksumSuffix
	if err := moveInto(sums.Name(), checksum); err != nil {
		return err
	}
	if err := moveNew(part.Name(), e.Destination); err != nil {
		return errors.Join(err, os.Remove(checksum))
	}
	return syncDir(filepath.Dir(e.Destination))
}

// replace moves both files to names where others may be. The old checksum goes first,
// and the new one comes last.
func (e Export) replace(part, sums *os.File) error {
	checksum := e.Destination + checksumSuffix
	if err := os.Remove(checksum); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := moveInto(part.Name(), e.Destination); err != nil {
		return err
	}
	return moveInto(sums.Name(), checksum)
}

// moveInto renames a file, and returns when that is on disk.
func moveInto(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

// moveNew renames a file to a name that is not taken.
func moveNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) {
		// NFS cannot do that, but it does not link over a file either. The other name
		// goes when the part is discarded.
		return os.Link(from, to)
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// newParts creates the two empty files beside their future places. The one for the
// checksum is locked: that tells files that are being written from those that a crash
// has left. The image itself is not, because qemu-img locks it in its own way, and
// on NFS the two ways are one.
func newParts(destination string) (part, sums *os.File, err error) {
	dir, name := filepath.Split(destination)
	prefix := filepath.Join(dir, "."+name+"."+rand.Text()[:8])
	const flags = os.O_RDWR | os.O_CREATE | os.O_EXCL | unix.O_CLOEXEC
	if sums, err = os.OpenFile(prefix+checksumSuffix+partSuffix, flags, 0o600); err != nil {
		return nil, nil, err
	}
	if err := unix.Flock(int(sums.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("flock %s: %w", sums.Name(), err), discard(sums))
	}
	if part, err = os.OpenFile(prefix+partSuffix, flags, 0o600); err != nil {
		return nil, nil, errors.Join(err, discard(sums))
	}
	return part, sums, nil
}

// discard closes a part and removes it, if it was not moved into place.
func discard(f *os.File) error {
	err := os.Remove(f.Name())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, f.Close())
}

// CleanExports removes what a crash has left of exports in a directory: files
// with our ending that nobody writes to. It returns their names.
func CleanExports(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var (
		removed []string
		errs    []error
	)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") || !strings.HasSuffix(e.Name(), partSuffix) || !e.Type().IsRegular() {
			continue
		}
		path := filepath.Join(dir, e.Name())
		gone, err := removeUnlocked(path)
		if err != nil {
			errs = append(errs, fmt.Errorf("removing what an export left: %w", err))
		}
		if gone {
			removed = append(removed, path)
		}
	}
	return removed, errors.Join(errs...)
}

// removeUnlocked removes one part, if the lock that stands for both is free.
func removeUnlocked(path string) (gone bool, err error) {
	lock := path
	if prefix := strings.TrimSuffix(path, partSuffix); !strings.HasSuffix(prefix, checksumSuffix) {
		lock = prefix + checksumSuffix + partSuffix
	}
	f, err := os.OpenFile(lock, os.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	switch {
	case err == nil:
		defer func() { err = errors.Join(err, f.Close()) }()
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
			// Somebody writes.
			return false, nil
		}
	case !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	// It may have been moved into place meanwhile.
	if err := os.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return false, err
	}
	return true, nil
}
