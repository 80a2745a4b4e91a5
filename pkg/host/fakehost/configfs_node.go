package fakehost

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// node is a directory, a file or a symlink: configfs' config_item, or what is
// made up at the moment it is read.
type node struct {
	name     string
	parent   *node
	children map[string]*node // of a directory

	// kind is what a directory is; nil if nothing is known of it.
	kind *itemType
	// made is true for a directory that mkdir made; the others come and go with
	// the one they are in.
	made bool
	// links is how many symlinks lead here.
	links int

	// text is a file's content; attribute is what is done when it is written.
	text      string
	attribute *attribute

	// target is where a symlink in configfs leads, link the text of another one.
	target *node
	link   string
}

// itemType is what all directories of a sort have in common: configfs'
// config_item_type.
type itemType struct {
	what string
	// attributes and groups are what comes with the directory.
	attributes map[string]attribute
	groups     map[string]*itemType
	// members is what mkdir makes in it; nil: nothing. named are those that are of
	// another type, by their names. check refuses names.
	members *itemType
	named   map[string]*itemType
	check   func(c *configfs, dir *node, name string) error
	// make is called before a new directory appears, drop before it is removed.
	make func(c *configfs, n *node) error
	drop func(c *configfs, n *node)
	// link is asked for a symlink in the directory; nil: there can be none.
	link   func(c *configfs, from, to *node) error
	unlink func(c *configfs, from, to *node)

	once   sync.Once
	shared map[string]*attribute // see attributesOf
}

// attributesOf returns the attributes as all directories of the type share them: there are
// dozens in each.
func (k *itemType) attributesOf() map[string]*attribute {
	k.once.Do(func() {
		shared := make(map[string]*attribute, len(k.attributes))
		for name, a := range k.attributes {
			shared[name] = &a
		}
		k.shared = shared
	})
	return k.shared
}

// member returns what a directory of a name is.
func (k *itemType) member(name string) *itemType {
	if special, ok := k.named[name]; ok {
		return special
	}
	return k.members
}

// attribute is a file in configfs.
type attribute struct {
	text string // at the beginning
	// store returns the new text; nil: it cannot be written.
	store     func(c *configfs, n *node, value string) (string, error)
	writeOnly bool
}

// newDir makes a directory with all that comes with it.
func newDir(name string, k *itemType) *node {
	if k == nil {
		return &node{name: name, children: map[string]*node{}}
	}
	n := &node{name: name, kind: k, children: make(map[string]*node, len(k.attributes)+len(k.groups))}
	for name, a := range k.attributesOf() {
		n.children[name] = &node{name: name, parent: n, text: a.text, attribute: a}
	}
	for name, group := range k.groups {
		child := newDir(name, group)
		child.parent = n
		n.children[name] = child
	}
	return n
}

// loadChild makes a child that is of the kind that its name says, and nothing
// in it.
func (n *node) loadChild(name string) *node {
	child := &node{name: name, parent: n}
	if k := n.kind; k != nil {
		a, isAttribute := k.attributesOf()[name]
		group, isGroup := k.groups[name]
		switch {
		case isAttribute:
			child.attribute = a
		case isGroup:
			child.kind = group
		case k.members != nil:
			child.kind, child.made = k.member(name), true
		}
	}
	n.children[name] = child
	return child
}

func (n *node) isDir() bool  { return n.children != nil }
func (n *node) isLink() bool { return n.target != nil || n.link != "" }

func (n *node) isOf(what string) bool { return n.isDir() && n.kind != nil && n.kind.what == what }

// walk returns what is at a path below a directory. Symlinks on the way are
// followed, but not the last one.
func (n *node) walk(relative string) (*node, error) {
	if relative == "." || relative == "" {
		return n, nil
	}
	for name := range strings.SplitSeq(relative, "/") {
		if n.target != nil {
			n = n.target
		}
		if !n.isDir() {
			return nil, syscall.ENOTDIR
		}
		if n = n.children[name]; n == nil {
			return nil, syscall.ENOENT
		}
	}
	return n, nil
}

// ancestor returns the directory that is a number of levels above.
func (n *node) ancestor(levels int) *node {
	for range levels {
		n = n.parent
	}
	return n
}

// root is the uppermost directory.
func (n *node) root() *node {
	for n.parent != nil {
		n = n.parent
	}
	return n
}

// path is relative to the uppermost directory.
func (n *node) path() string {
	if n.parent == nil {
		return "."
	}
	return path.Join(n.parent.path(), n.name)
}

// readlink returns a symlink's text. In configfs that is made from where the
// two are (configfs_get_target_path in fs/configfs/symlink.c).
func (n *node) readlink() string {
	if n.target == nil {
		return n.link
	}
	depth := strings.Count(n.path(), "/") + 1
	return strings.Repeat("../", depth) + n.root().name + "/" + n.target.path()
}

// each calls yield for a directory and all that is in it, parents first. It
// reports false if yield did.
func (n *node) each(yield func(*node) bool) bool {
	if !yield(n) {
		return false
	}
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		if !n.children[name].each(yield) {
			return false
		}
	}
	return true
}

// textOf returns the text of a file below a directory; empty if there is none.
func (n *node) textOf(relative string) string {
	file, err := n.walk(relative)
	if err != nil {
		return ""
	}
	return file.text
}

// setText changes the text of a file below a directory, if there is one.
func (n *node) setText(relative, text string) {
	if file, err := n.walk(relative); err == nil && !file.isDir() {
		file.text = text
	}
}

// count returns how many nodes there are from here on, and how many of them are files.
func (n *node) count() (all, files int) {
	if !n.isDir() && n.target == nil {
		return 1, 1
	}
	all = 1
	for _, child := range n.children {
		below, texts := child.count()
		all, files = all+below, files+texts
	}
	return all, files
}

// childrenOf returns what is in a directory in this one; nothing if there is none.
func (n *node) childrenOf(name string) map[string]*node {
	dir, err := n.walk(name)
	if err != nil {
		return nil
	}
	return dir.children
}

// linkIn returns the symlink in a directory, nil if there is none.
func (n *node) linkIn() *node {
	for _, child := range n.children {
		if child.target != nil {
			return child
		}
	}
	return nil
}

// checkRemovable is why a directory cannot be removed, as configfs_detach_prep in
// fs/configfs/dir.c finds it.
func (n *node) checkRemovable() error {
	if n.links > 0 {
		return syscall.EBUSY
	}
	for _, child := range n.children {
		switch {
		case child.target != nil, child.made:
			return syscall.ENOTEMPTY
		case child.isDir():
			if err := child.checkRemovable(); err != nil {
				return err
			}
		}
	}
	return nil
}

// dirEntry is a node as a directory lists it.
type dirEntry struct{ n *node }

var _ fs.DirEntry = dirEntry{}

func (e dirEntry) Name() string { return e.n.name }
func (e dirEntry) IsDir() bool  { return e.n.isDir() }

func (e dirEntry) Type() fs.FileMode {
	switch {
	case e.n.isLink():
		return fs.ModeSymlink
	case e.n.isDir():
		return fs.ModeDir
	default:
		return 0
	}
}

func (e dirEntry) Info() (fs.FileInfo, error) { return nil, errors.ErrUnsupported }
