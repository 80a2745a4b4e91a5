package slicefs

import (
	"math"
	"os"
	"strings"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/pkg/backup/format"
)

// Numbers of nodes, which are inode numbers. That of a slice never changes, so that restic sees the
// same file again.
const (
	rootNode    = fuse.FUSE_ROOT_ID
	volumeNode  = 2
	yamlNode    = 3
	timesNode   = 4
	digestsNode = 5
	firstDir    = 1 << 32 // and the number of the directory
	firstSlice  = 1 << 40 // and the number of the slice
)

// forever is how long the kernel may remember attributes: nothing ever changes.
const forever = 24 * time.Hour

// entry is a name in a directory.
type entry struct {
	name string
	node uint64
}

// file is one of the files that describe the slices.
type file struct {
	name string
	node uint64
	size int64
}

// files are the files of the directory volume, in the order of their names.
func (t *tree) files() []file {
	return []file{
		{format.Digests, digestsNode, t.index.DigestsSize()},
		{format.Times, timesNode, int64(len(t.times))},
		{format.VolumeYAML, yamlNode, int64(len(t.volumeYAML))},
	}
}

// attributes fills in what a node is, or reports that there is none.
func (t *tree) attributes(node uint64, a *fuse.Attr) bool {
	mode, size, moment := uint32(unix.S_IFREG|0o400), int64(0), t.index.Made
	switch {
	case node == rootNode || node == volumeNode:
		mode = unix.S_IFDIR | 0o500
	case node >= firstSlice:
		slice := node - firstSlice
		if slice >= uint64(t.index.Slices()) {
			return false
		}
		at, ok := t.index.Position(int(slice))
		if !ok {
			return false
		}
		size, moment = t.index.Length(int(slice)), t.index.Moment(at)
	case node >= firstDir:
		newest, ok := t.dirs[int(node-firstDir)]
		if !ok {
			return false
		}
		mode, moment = unix.S_IFDIR|0o500, newest
	default:
		found := false
		for _, f := range t.files() {
			if f.node == node {
				size, found = f.size, true
			}
		}
		if !found {
			return false
		}
	}
	second, nano := moment/int64(time.Second), moment%int64(time.Second)
	*a = fuse.Attr{
		Ino: node, Mode: mode, Size: uint64(size), Blocks: uint64(size+511) / 512, Nlink: 1, Blksize: 4096,
		Owner: fuse.Owner{Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())},
		Atime: uint64(second), Mtime: uint64(second), Ctime: uint64(second),
		Atimensec: uint32(nano), Mtimensec: uint32(nano), Ctimensec: uint32(nano),
	}
	return true
}

// find returns the node with a name in a directory.
func (t *tree) find(dir uint64, name string) (uint64, bool) {
	switch {
	case dir == rootNode:
		if name == format.Dir {
			return volumeNode, true
		}
		d, ok := t.index.DirOf(name)
		if _, has := t.dirs[d]; !ok || !has {
			return 0, false
		}
		return firstDir + uint64(d), true
	case dir == volumeNode:
		for _, f := range t.files() {
			if f.name == name {
				return f.node, true
			}
		}
		return 0, false
	case dir >= firstDir && dir < firstSlice:
		s, ok := t.index.SliceOf(name)
		if !ok || s/format.PerDir != int(dir-firstDir) {
			return 0, false
		}
		_, ok = t.index.Position(s)
		return firstSlice + uint64(s), ok
	}
	return 0, false
}

// list returns the entry number at of a directory, in the order of names, or false at the end.
func (t *tree) list(dir uint64, at int) (entry, bool) {
	switch {
	case dir == rootNode && at < len(t.order):
		return entry{t.index.DirName(t.order[at]), firstDir + uint64(t.order[at])}, true
	case dir == rootNode && at == len(t.order):
		return entry{format.Dir, volumeNode}, true
	case dir == volumeNode && at < len(t.files()):
		f := t.files()[at]
		return entry{f.name, f.node}, true
	case dir >= firstDir && dir < firstSlice:
		first, end := t.index.Range(int(dir - firstDir))
		if at < end-first {
			s := int(t.index.Present[first+at])
			return entry{t.index.Name(s), firstSlice + uint64(s)}, true
		}
	}
	return entry{}, false
}

// Lookup implements [fuse.RawFileSystem], as all below.
func (t *tree) Lookup(_ <-chan struct{}, header *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	node, ok := t.find(header.NodeId, name)
	if !ok || strings.HasPrefix(name, ".") {
		return fuse.ENOENT
	}
	return t.fill(node, out)
}

func (t *tree) fill(node uint64, out *fuse.EntryOut) fuse.Status {
	if !t.attributes(node, &out.Attr) {
		return fuse.ENOENT
	}
	out.NodeId, out.Generation = node, 1
	out.SetEntryTimeout(forever)
	out.SetAttrTimeout(forever)
	return fuse.OK
}

// GetAttr answers stat(2).
func (t *tree) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	if !t.attributes(in.NodeId, &out.Attr) {
		return fuse.ENOENT
	}
	out.SetTimeout(forever)
	return fuse.OK
}

// OpenDir lets directories be read.
func (*tree) OpenDir(<-chan struct{}, *fuse.OpenIn, *fuse.OpenOut) fuse.Status { return fuse.OK }

// ReadDir lists names.
func (t *tree) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	for at := in.Offset; at < math.MaxInt32; at++ {
		e, ok := t.list(in.NodeId, int(at))
		if !ok || !out.AddDirEntry(t.dirEntry(e, at)) {
			break
		}
	}
	return fuse.OK
}

// ReadDirPlus lists names and attributes: restic asks for those of every file, also of those that it does
// not read.
func (t *tree) ReadDirPlus(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	for at := in.Offset; at < math.MaxInt32; at++ {
		e, ok := t.list(in.NodeId, int(at))
		if !ok {
			break
		}
		more := out.AddDirLookupEntry(t.dirEntry(e, at))
		if more == nil {
			break
		}
		t.fill(e.node, more)
	}
	return fuse.OK
}

func (*tree) dirEntry(e entry, at uint64) fuse.DirEntry {
	mode := uint32(unix.S_IFREG)
	if e.node < firstSlice && e.node >= firstDir || e.node == volumeNode {
		mode = unix.S_IFDIR
	}
	return fuse.DirEntry{Mode: mode, Name: e.name, Ino: e.node, Off: at + 1}
}

// StatFs answers statfs(2).
func (*tree) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	out.Bsize, out.NameLen = 4096, 255
	return fuse.OK
}
