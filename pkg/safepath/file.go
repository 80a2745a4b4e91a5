package safepath

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// OpenFile opens a file like [os.OpenFile], in a directory that was checked with [MakeDir] or
// [CheckDir]. It follows no symbolic link, and waits for nobody at the other end of a FIFO. The
// file must be as in [CheckFile]. What is wrong is found before a byte is read or
// changed, so flag must not have [os.O_TRUNC].
func OpenFile(path string, flag int, perm fs.FileMode) (*os.File, error) {
	if err := CheckFile(path); err != nil {
		return nil, err // no device is opened to find out what it is
	}
	f, err := os.OpenFile(path, flag|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, perm)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(int(f.Fd()), &st); err == nil {
		err = wrongFile(path, &st)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// CheckFile says what is wrong with a file of the agent's own: it must be a regular one that has
// one name alone, and that nobody else can write to. A missing one is fine.
func CheckFile(path string) error {
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return wrongFile(path, &st)
}

// wrongFile says why a file is none of the agent's own.
func wrongFile(path string, st *unix.Stat_t) error {
	switch mode := st.Mode & 0o7777; {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return fmt.Errorf("%s is %s, not a regular file; remove it", path, kindOf(st.Mode))
	case !trusted(st.Uid):
		return fmt.Errorf("%s belongs to uid %d; check it and remove it, or run chown %d %s", path, st.Uid, os.Geteuid(), path)
	case st.Nlink > 1:
		return fmt.Errorf("%s is a hard link to a file with %d names; remove this name", path, st.Nlink)
	case othersWrite(mode, st.Gid):
		return fmt.Errorf("%s is writable by others (mode %04o); check it and remove it, or run chmod go-w %s", path, mode, path)
	}
	return nil
}
