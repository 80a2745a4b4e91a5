package safepath

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many symbolic links are followed on one way, as in the kernel.
const maxLinks = 40

// MakeDir makes a directory with all above it that is missing, for its owner alone, and
// checks it as [CheckDir] does. What is wrong is found before anything is made.
func MakeDir(dir string) error { return walk(dir, true) }

// CheckDir checks a directory and the way to it. Nobody else can replace, add
// or remove a file in it, nor lead the agent elsewhere. A missing directory is [fs.ErrNotExist].
func CheckDir(dir string) error { return walk(dir, false) }

// walk opens a directory from the root, one name after the other. Nobody who is not
// trusted can change a part of the way that was checked, so what was checked is
// what is used later.
func walk(dir string, create bool) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	at, rest, links := "/", names(dir), 0
	for len(rest) > 0 {
		next := filepath.Join(at, rest[0])
		st, err := lookAt(next, create)
		if err != nil {
			return err
		}
		rest = rest[1:]
		if st.Mode&unix.S_IFMT == unix.S_IFLNK {
			to, err := follow(next, st, dir)
			if err != nil {
				return err
			}
			if links++; links > maxLinks {
				return &fs.PathError{Op: "open", Path: dir, Err: unix.ELOOP}
			}
			if filepath.IsAbs(to) {
				at = "/"
			}
			rest = append(names(to), rest...)
			continue
		}
		if err := wrongOnWay(next, st, dir); err != nil {
			return err
		}
		at = next
	}
	st, err := lookAt(at, false)
	if err != nil {
		return err
	}
	return wrongDir(at, st)
}

// lookAt returns what is at a path, after a directory was made there if nothing was.
func lookAt(path string, create bool) (*unix.Stat_t, error) {
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	if errors.Is(err, fs.ErrNotExist) && create {
		if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		err = unix.Lstat(path, &st)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return &st, nil
}

// names are the names in a path. Those that lead up stay: what is above a symbolic link's
// target is not what is above the link.
func names(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

// follow returns where a symbolic link leads.
func follow(link string, st *unix.Stat_t, dir string) (string, error) {
	if !trusted(st.Uid) {
		return "", fmt.Errorf("%s is a symbolic link of uid %d, who can redirect the agent%s; remove it, or use another directory", link, st.Uid, onWay(link, dir))
	}
	return os.Readlink(link)
}

// wrongOnWay says why a directory is no part of a safe way.
func wrongOnWay(at string, st *unix.Stat_t, dir string) error {
	mode := st.Mode & 0o7777
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return fmt.Errorf("%s is %s, not a directory%s; remove it, or use another directory", at, kindOf(st.Mode), onWay(at, dir))
	case !trusted(st.Uid):
		return fmt.Errorf("%s belongs to uid %d, who can replace its files%s; check its content and run chown %d %s, or use another directory",
			at, st.Uid, onWay(at, dir), os.Geteuid(), at)
	case mode&unix.S_ISVTX != 0 || !othersWrite(mode, st.Gid):
		return nil
	default:
		return writable(at, mode, onWay(at, dir))
	}
}

// wrongDir says why a directory is no safe end of a way.
func wrongDir(at string, st *unix.Stat_t) error {
	mode := st.Mode & 0o7777
	if mode&unix.S_ISVTX != 0 || !othersWrite(mode, st.Gid) {
		return nil
	}
	return writable(at, mode, "")
}

func writable(at string, mode uint32, onWay string) error {
	who := "its group"
	if mode&0o002 != 0 {
		who = "anybody"
	}
	return fmt.Errorf("%s is writable by %s (mode %04o)%s; check its content and run chmod go-w %s, or use another directory", at, who, mode, onWay, at)
}

// onWay adds, of what is on the way, to where that is.
func onWay(at, dir string) string {
	if at == dir {
		return ""
	}
	return ", a parent of " + dir
}

// trusted reports whether what a user can change is safe: root's is, and that of the user
// that this process acts as.
func trusted(uid uint32) bool { return uid == 0 || int(uid) == os.Geteuid() }

// othersWrite reports whether others may write. An ordinary user has a group alone on
// most systems, and what that user makes can be written to by the group.
func othersWrite(mode, gid uint32) bool {
	own := os.Geteuid() != 0 && int(gid) == os.Getegid()
	return mode&0o002 != 0 || mode&0o020 != 0 && !own
}

// kindOf names what a file is.
func kindOf(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "a regular file"
	case unix.S_IFDIR:
		return "a directory"
	case unix.S_IFLNK:
		return "a symbolic link"
	case unix.S_IFIFO:
		return "a FIFO"
	case unix.S_IFSOCK:
		return "a socket"
	default:
		return "a device"
	}
}
