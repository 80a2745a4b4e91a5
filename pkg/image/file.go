package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// File is an image file that was opened once. All that is done with an image is done
// through its descriptor, and handed to other programs as one: a file that is
// swapped for another under the same name is never looked at.
//
// A file that somebody writes to in place cannot be kept from changing;
// [File.Unchanged] tells.
type File struct {
	*os.File
	path string
	was  identity
}

// identity is what changes whenever a file is written to. The ctime cannot be set
// back without the rights to set the clock.
type identity struct {
	dev, ino     uint64
	size         int64
	mtime, ctime unix.Timespec
}

// Open opens an image for reading. What is not a regular file is refused with
// [ErrNotRegular], and never waited for.
func Open(path string) (*File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("cannot open the image: %w; correct its path, or create the file", err)
		}
		return nil, fmt.Errorf("cannot open the image: %w", err)
	}
	img, err := FromFile(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return img, nil
}

// FromFile becomes the owner of a file that was opened for reading. It is closed with the File.
func FromFile(f *os.File) (*File, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, refuse(ErrNotRegular, fmt.Sprintf("%s is %s", f.Name(), st.Mode().Type()), "write the path of a file")
	}
	was, err := identify(f)
	if err != nil {
		return nil, err
	}
	return &File{File: f, path: f.Name(), was: was}, nil
}

func identify(f *os.File) (identity, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return identity{}, fmt.Errorf("stat %s: %w", f.Name(), err)
	}
	return identity{dev: st.Dev, ino: st.Ino, size: st.Size, mtime: st.Mtim, ctime: st.Ctim}, nil
}

// Path is the name that the file was opened by.
func (f *File) Path() string { return f.path }

// Size is the size of the file in bytes when it was opened.
func (f *File) Size() int64 { return f.was.size }

// Fingerprint tells the file from others and from later versions of itself, for
// as long as it is not written to.
func (f *File) Fingerprint() string {
	w := f.was
	return fmt.Sprintf("%d:%d:%d:%d.%09d:%d.%09d", w.dev, w.ino, w.size, w.mtime.Sec, w.mtime.Nsec, w.ctime.Sec, w.ctime.Nsec)
}

// Inspect reads the header, see [Inspect].
func (f *File) Inspect(wanted Format) (Header, error) {
	h, err := Inspect(f, f.Size(), wanted)
	if err == nil {
		// What was read is only worth something if it is still there.
		err = f.Unchanged()
	}
	if err != nil {
		return Header{}, fmt.Errorf("%s: %w", f.path, err)
	}
	return h, nil
}

// Unchanged returns [ErrChanged] if the file was written to, renamed or removed since
// it was opened. Whoever has read an image to its end asks last.
func (f *File) Unchanged() error {
	now, err := identify(f.File)
	if err != nil {
		return err
	}
	if now != f.was {
		return fmt.Errorf("%s: %w; save a new image under a new name, or replace the file while no copy reads it", f.path, ErrChanged)
	}
	return nil
}

// Verify reads the whole file and compares its checksum: [ErrChecksum].
func (f *File) Verify(ctx context.Context, sum Checksum) error {
	h := sum.New()
	if _, err := io.Copy(h, &contextReader{ctx, io.NewSectionReader(f, 0, f.Size())}); err != nil {
		return fmt.Errorf("cannot read %s: %w", f.path, err)
	}
	if err := sum.Check(h); err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	return f.Unchanged()
}

// contextReader ends when its context does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *contextReader) Read(b []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}
