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

	"github.com/volreconciler/volreconciler/pkg/durable"
	"github.com/volreconciler/volreconciler/pkg/image"
	"github.com/volreconciler/volreconciler/pkg/image/internal/limited"
	"github.com/volreconciler/volreconciler/pkg/lvdevice"
)

// Export writes a device to an image file.
type Export struct {
	// Source is a block device or a raw file. It must not change meanwhile: hand in a
	// snapshot if the volume is in use.
	Source string
	// SourceUUID is as TargetUUID in [Conversion].
	SourceUUID string
	// Destination is the absolute path of the image. Its directory must exist.
	Destination string
	// Format is [image.Raw] or [image.QCOW2].
	Format image.Format
	// Compress compresses the clusters of a qcow2.
	Compress bool
	// Replace allows an existing file, and the checksum beside it, to be replaced. Without
	// it one is [fs.ErrExist].
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
// and its checksum are on disk. The checksum is in a file with the name of the
// image with .sha256 behind it, in the form of sha256sum. At no time is there
// half an image under the name, or a checksum of another one beside it. A crash can
// leave a checksum without an image, which [CleanExports] removes, or, of one that replaces
// another, an image without a checksum: then the export was not finished.
func (t Tool) Export(ctx context.Context, e Export) (Exported, error) {
	done, err := t.export(ctx, e)
	if err != nil {
		return Exported{}, fmt.Errorf("cannot write %s to image %s: %w", e.Source, e.Destination, err)
	}
	return done, nil
}

func (t Tool) export(ctx context.Context, e Export) (done Exported, err error) {
	if err := e.validate(); err != nil {
		return Exported{}, err
	}
	source, driver, size, err := openSource(e.Source, e.SourceUUID)
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
	if done.SHA256, done.Bytes, err = checksum(ctx, part); err != nil {
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
		return fmt.Errorf("cannot write images as %q: use raw or qcow2", e.Format)
	case e.Compress && e.Format != image.QCOW2:
		return errors.New("compression requires qcow2")
	case !filepath.IsAbs(e.Destination) || strings.HasSuffix(e.Destination, "/"):
		return errors.New("the destination must be the absolute path of a file")
	case strings.HasSuffix(name, partSuffix) || strings.ContainsAny(name, "\n\\"):
		return errors.New("the destination's name is not allowed; choose another")
	}
	for _, path := range []string{e.Destination, e.Destination + checksumSuffix} {
		if _, err := os.Lstat(path); err == nil && !e.Replace {
			return newExistsError(path)
		}
	}
	return nil
}

// newExistsError is the error of a path at which somebody else's file exists: an [fs.ErrExist] with the path.
func newExistsError(path string) error {
	return &fs.PathError{Op: "make", Path: path, Err: unix.EEXIST}
}

func openSource(path, uuid string) (f *os.File, driver string, size int64, err error) {
	f, err = os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, "", 0, err
	}
	st, err := f.Stat()
	if err = errors.Join(err, lvdevice.Check(int(f.Fd()), uuid)); err == nil {
		switch {
		case st.Mode().IsRegular():
			driver = "file"
		case st.Mode()&fs.ModeDevice != 0 && st.Mode()&fs.ModeCharDevice == 0:
			driver = "host_device"
		default:
			err = errors.New("not a block device or regular file")
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

// checksum reads the file to its end. qemu-img does not write in order, so this cannot be
// done on the way.
func checksum(ctx context.Context, f *os.File) (digits string, size int64, err error) {
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

// place moves both files to their names, if nothing is there.
func (e Export) place(part, sums *os.File) error {
	if e.Replace {
		return e.replace(part, sums)
	}
	// The checksum comes first: an image without one is somebody else's, and nobody
	// misses the image of a checksum that a crash has left.
	checksum := e.Destination + checksumSuffix
	if err := linkNew(sums.Name(), checksum); err != nil {
		return err
	}
	err := durable.SyncDir(filepath.Dir(checksum))
	if err == nil {
		err = moveNew(part.Name(), e.Destination)
	}
	if err != nil {
		_, rerr := removeIfSame(sums, checksum)
		return errors.Join(err, rerr)
	}
	return durable.SyncDir(filepath.Dir(e.Destination))
}

// linkNew gives a file another name that is not taken. The old name is kept where the file system
// can do that: a crash then leaves the two names of one file, which show that it was made here.
func linkNew(from, to string) error {
	err := unix.Linkat(unix.AT_FDCWD, from, unix.AT_FDCWD, to, 0)
	switch {
	case errors.Is(err, unix.EEXIST):
		return newExistsError(to)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EMLINK):
		return moveNew(from, to) // of vfat and the like
	case err != nil:
		return &os.LinkError{Op: "link", Old: from, New: to, Err: err}
	}
	return nil
}

// removeIfSame removes a name if it is one of a file.
func removeIfSame(f *os.File, path string) (gone bool, err error) {
	is, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(is, there) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, os.Remove(path)
}

// replace moves both files to names where others may be. The old checksum is removed first,
// and the new checksum is moved last.
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
	return durable.SyncDir(filepath.Dir(to))
}

// moveNew renames a file to a name that is not taken.
func moveNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) {
		// NFS cannot do that, but it does not link over a file either. The other name
		// is removed when the part is discarded.
		err = unix.Linkat(unix.AT_FDCWD, from, unix.AT_FDCWD, to, 0)
	}
	if errors.Is(err, unix.EEXIST) {
		return newExistsError(to)
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
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
// with our ending that nobody writes to, and the checksum that is another name of one of them, if
// its image was not put there any more. It returns their names.
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
		gone, err := removeUnlocked(filepath.Join(dir, e.Name()))
		if err != nil {
			errs = append(errs, fmt.Errorf("cannot remove the files of an unfinished image: %w", err))
		}
		removed = append(removed, gone...)
	}
	return removed, errors.Join(errs...)
}

// removeUnlocked removes one part, if the lock that stands for both is free.
func removeUnlocked(path string) (gone []string, err error) {
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
			return nil, nil
		}
		if lock == path {
			// The checksum is removed first: without this part nothing would say whose it is.
			if gone, err = removeChecksum(f); err != nil {
				return gone, err
			}
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	// It may have been moved into place meanwhile.
	if err := os.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return gone, err
	}
	return append(gone, path), nil
}

// removeChecksum removes the checksum that is another name of a part, if there is no image.
func removeChecksum(part *os.File) (gone []string, err error) {
	dir, hidden := filepath.Split(part.Name())
	name := strings.TrimSuffix(hidden, checksumSuffix+partSuffix)
	random := strings.LastIndexByte(name, '.')
	if random < 1 {
		return nil, nil
	}
	image := filepath.Join(dir, name[1:random])
	if _, err := os.Lstat(image); !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	was, err := removeIfSame(part, image+checksumSuffix)
	if was && err == nil {
		gone = append(gone, image+checksumSuffix)
	}
	return gone, err
}
