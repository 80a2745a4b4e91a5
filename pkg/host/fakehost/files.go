package fakehost

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

// files are the files outside the kernel's file systems, by their path.
type files map[string]File

// load reads the files of a node.
func (f *files) load(n Node) error {
	*f = files{}
	for _, file := range n.Files {
		if _, twice := (*f)[file.Path]; twice || !path.IsAbs(file.Path) {
			return fmt.Errorf("files: %q is there twice, or is no absolute path", file.Path)
		}
		(*f)[file.Path] = file
	}
	return nil
}

// store puts them into a node.
func (f files) store(n *Node) {
	n.Files = slices.SortedFunc(maps.Values(f), func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
}

func (f files) lstat(name string) (fs.FileInfo, error) {
	if file, there := f[name]; there {
		return fileInfo{file}, nil
	}
	if strings.HasSuffix(name, "/.") || f.isDir(name) {
		return fileInfo{File{Path: strings.TrimSuffix(name, "/.") + "/."}}, nil
	}
	return nil, &fs.PathError{Op: "lstat", Path: name, Err: syscall.ENOENT}
}

// isDir reports whether a directory was made, or is one of those that every machine has.
func (f files) isDir(name string) bool {
	_, made := f[name+"/."]
	return made || name == "/" || name == "/etc" || name == "/var"
}

// readDir returns what is in a directory.
func (f files) readDir(name string) []fs.DirEntry {
	var entries []fs.DirEntry
	for _, p := range slices.Sorted(maps.Keys(f)) {
		if at := strings.TrimSuffix(p, "/."); path.Dir(at) == name {
			entries = append(entries, fs.FileInfoToDirEntry(fileInfo{f[p]}))
		}
	}
	return entries
}

// mkdir makes a directory in one that is there.
func (f files) mkdir(name string) error {
	failed := func(err error) error { return &fs.PathError{Op: "mkdir", Path: name, Err: err} }
	switch name = path.Clean(name); {
	case f.isDir(name):
		return failed(syscall.EEXIST)
	case !f.isDir(path.Dir(name)):
		return failed(syscall.ENOENT)
	}
	f[name+"/."] = File{Path: name + "/."}
	return nil
}

// CreateFile makes a file, see [Devices].
func (h *Host) CreateFile(f File, replace bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if was, there := h.files[f.Path]; there && (!replace || !was.part) {
		return &fs.PathError{Op: "open", Path: f.Path, Err: syscall.EEXIST}
	}
	h.files[f.Path] = f
	return nil
}

// fileInfo says what a file is: a regular one, or a directory by its name.
type fileInfo struct{ file File }

func (i fileInfo) Name() string     { return path.Base(strings.TrimSuffix(i.file.Path, "/.")) }
func (i fileInfo) Size() int64      { return int64(cmp.Or(i.file.Size, uint64(len(i.file.Text)))) }
func (fileInfo) ModTime() time.Time { return time.Time{} }
func (i fileInfo) IsDir() bool      { return strings.HasSuffix(i.file.Path, "/.") }
func (fileInfo) Sys() any           { return nil }

func (i fileInfo) Mode() fs.FileMode {
	if i.IsDir() {
		return fs.ModeDir | 0o755
	}
	return 0o600
}
