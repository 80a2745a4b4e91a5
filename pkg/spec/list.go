package spec

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// listing is what is found below a directory, without having read any file.
type listing struct {
	// root is the directory itself, without symbolic links; empty if it could
	// not be found.
	root string
	// entries are the spec files.
	entries []entry
	// dirs are the directories looked into, and links the symbolic links
	// followed. A change to any of them may change the listing.
	dirs  []string
	links []string
	// problems are the places that could not be looked into. What was known
	// below them may still be there.
	problems  []Finding
	problemAt map[string]bool // their paths
}

// entry is a spec file.
type entry struct {
	path  string // as the user would write it: the directory given, and the way below it
	real  string // without symbolic links
	stamp stamp
}

// stamp changes whenever a file does, except for a write within the time
// resolution of the file system.
type stamp struct {
	dev, ino     uint64
	mode         fs.FileMode
	size         int64
	mtime, ctime time.Time
}

// hides reports whether nothing in the given path can be known because of a
// problem in the listing.
func (l listing) hides(path string) bool {
	if len(l.problems) == 0 {
		return false
	}
	for {
		if l.problemAt[path] {
			return true
		}
		above := filepath.Dir(path)
		if above == path {
			return false
		}
		path = above
	}
}

// list finds the spec files in a directory and all directories below it.
//
// Symbolic links are followed, and whatever several of them lead to is listed
// once. Names that begin with a dot are left out, which covers the hidden
// versions of a Kubernetes volume, the files of git, and those of editors.
func list(dir string) listing {
	l := lister{seen: map[string]bool{}}
	root, err := realPath(dir)
	if err != nil {
		l.problem(dir, "cannot find the directory", err)
		return l.listing
	}
	l.root = root
	l.directory(dir, root, nil)
	return l.listing
}

// Dirs returns the absolute paths of the directories that spec files are read from: the given one, those below it,
// and those that symbolic links lead to. Of one that does not exist it returns the path alone.
func Dirs(dir string) []string {
	if l := list(dir); len(l.dirs) > 0 {
		return l.dirs
	}
	if path, err := filepath.Abs(dir); err == nil {
		dir = path
	}
	return []string{dir}
}

// realPath returns the absolute path without symbolic links.
func realPath(path string) (string, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	return filepath.Abs(resolved)
}

// lister walks the directories.
type lister struct {
	listing
	seen map[string]bool // real paths of the files and directories met
}

func (l *lister) problem(path, what string, err error) {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err // the finding names the path already
	}
	l.problems = append(l.problems, Finding{File: path, Err: fmt.Errorf("%s: %w", what, err)})
	if l.problemAt == nil {
		l.problemAt = map[string]bool{}
	}
	l.problemAt[path] = true
}

// directory lists a directory; above are the real paths of those it was
// reached through.
func (l *lister) directory(path, resolved string, above []string) {
	if slices.Contains(above, resolved) {
		l.problem(path, "cannot follow the symbolic link", errors.New("it leads back to a directory above it"))
		return
	}
	if l.seen[resolved] {
		return
	}
	l.seen[resolved] = true
	l.dirs = append(l.dirs, resolved)
	names, err := os.ReadDir(resolved)
	if err != nil {
		l.problem(path, "cannot read the directory", err)
		return
	}
	above = append(above[:len(above):len(above)], resolved)
	for _, name := range names {
		if !isEditorFile(name.Name()) {
			l.name(filepath.Join(path, name.Name()), filepath.Join(resolved, name.Name()), name, above)
		}
	}
}

// name lists one name of a directory.
func (l *lister) name(path, resolved string, name fs.DirEntry, above []string) {
	isLink := name.Type()&fs.ModeSymlink != 0
	if !isLink && !name.IsDir() && !isSpecFile(path) {
		return
	}
	var stat fs.FileInfo
	var err error
	if isLink {
		l.links = append(l.links, resolved)
		if stat, err = os.Stat(resolved); err == nil {
			resolved, err = realPath(resolved)
		}
	} else {
		stat, err = name.Info()
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && !isLink:
		// Removed since the directory was read. If that was half a replacement,
		// its other half wakes the loop again.
	case err != nil:
		// A link that leads nowhere may be a directory whose file system is not
		// mounted: what was in it must not count as removed.
		l.problem(path, "cannot follow the symbolic link", err)
	case stat.IsDir() && isSpecFile(path):
		l.problem(path, "cannot read it", errors.New("a directory must not be named *.yaml or *.yml; rename it"))
	case stat.IsDir():
		l.directory(path, resolved, above)
	case isSpecFile(path) && !l.seen[resolved]:
		l.seen[resolved] = true
		l.entries = append(l.entries, entry{path, resolved, stampOf(stat)})
	}
}

// isSpecFile reports whether a name is that of a spec file.
func isSpecFile(path string) bool {
	return strings.HasSuffix(path, ".yaml") || strings.HasSuffix(path, ".yml")
}

// isEditorFile reports whether a name is one that editors and other tools leave
// or hide things under. (Most of their names are no spec files anyway.)
func isEditorFile(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "#") || strings.HasSuffix(name, "~")
}

func stampOf(stat fs.FileInfo) stamp {
	s := stamp{mode: stat.Mode(), size: stat.Size(), mtime: stat.ModTime()}
	if sys, ok := stat.Sys().(*syscall.Stat_t); ok {
		s.dev, s.ino, s.ctime = sys.Dev, sys.Ino, time.Unix(sys.Ctim.Unix())
	}
	return s
}

// readFile returns the bytes of a spec file, and its stamp when it was opened.
func readFile(path string) ([]byte, stamp, error) {
	// A FIFO must not hold up the pass, hence O_NONBLOCK.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, stamp{}, err
	}
	defer func() { _ = f.Close() }()
	stat, err := f.Stat()
	if err != nil {
		return nil, stamp{}, err
	}
	switch {
	case !stat.Mode().IsRegular():
		return nil, stampOf(stat), fmt.Errorf("not a regular file (%s)", stat.Mode().Type())
	case stat.Size() > maxFileBytes:
		return nil, stampOf(stat), tooLarge(path, stat.Size()).Err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	return data, stampOf(stat), err
}
