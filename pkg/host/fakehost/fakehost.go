package fakehost

import (
	"context"
	"io/fs"
	"sync"
	"time"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/watch"
)

// Host is the machine. It is safe for concurrent use; each call is atomic.
type Host struct {
	// Clock says when logical volumes are made; nil: there is no clock in the machine.
	Clock func() time.Time

	mu    sync.Mutex
	lvm   lvm
	tree  configfs
	files files

	events []*Events
}

var _ host.Host = (*Host)(nil)

// New returns a machine that holds what a node holds.
func New(n Node) (*Host, error) {
	h := &Host{}
	if err := h.lvm.load(n); err != nil {
		return nil, err
	}
	if err := h.tree.load(n, &h.lvm); err != nil {
		return nil, err
	}
	if err := h.files.load(n); err != nil {
		return nil, err
	}
	h.tree.files = h.files
	return h, nil
}

// Node returns what the machine holds now.
func (h *Host) Node() Node {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.node()
}

func (h *Host) node() Node {
	n := Node{APIVersion: APIVersion, Kind: kind}
	h.lvm.store(&n)
	h.tree.store(&n)
	h.files.store(&n)
	return n
}

// Edit changes what the machine holds, as somebody might by hand.
func (h *Host) Edit(change func(*Node)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.node()
	change(&n)
	next, err := New(n)
	if err != nil {
		return err
	}
	before, entries := h.reported(), h.entries()
	h.lvm, h.tree, h.files = next.lvm, next.tree, next.files
	h.tree.lvm = &h.lvm
	h.report(before, somebody)
	h.reportEntries(entries, somebody)
	return nil
}

// Run runs one of the commands that the agent uses.
func (h *Host) Run(ctx context.Context, argv ...string) (host.Output, error) {
	return h.runBy(ctx, somebody, argv)
}

func (h *Host) runBy(ctx context.Context, by *watch.Process, argv []string) (host.Output, error) {
	if err := ctx.Err(); err != nil {
		return host.Output{}, &host.CommandError{Argv: argv, ExitCode: -1, Err: err}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.reported()
	defer func() { h.report(before, by) }()
	if len(argv) > 0 && argv[0] == "modprobe" {
		return h.tree.modprobe(argv)
	}
	h.lvm.clock = h.Clock
	return h.lvm.run(argv)
}

// ReadFile reads a file, see [host.Files].
func (h *Host) ReadFile(path string) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f, there := h.files[path]; there {
		return []byte(f.Text), nil
	}
	return h.tree.readFile(path)
}

// ReadDir reads a directory, see [host.Files].
func (h *Host) ReadDir(path string) ([]fs.DirEntry, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.files.isDir(path) && !isBelow(path, "/sys") && !isBelow(path, "/proc") && !isBelow(path, "/dev") {
		return h.files.readDir(path), nil
	}
	return h.tree.readDir(path)
}

// Readlink reads a symlink, see [host.Files].
func (h *Host) Readlink(path string) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tree.readlink(path)
}

// Lstat says what is at a path, see [host.Files]. It knows [Node.Files], and
// has every directory that is asked for as "directory/.".
func (h *Host) Lstat(path string) (fs.FileInfo, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.files.lstat(path)
}

// WriteFile writes an attribute, see [host.Files].
func (h *Host) WriteFile(path string, data []byte) error { return h.writeBy(somebody, path, data) }

func (h *Host) writeBy(by *watch.Process, path string, data []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.tree.writeFile(path, data)
	if err == nil {
		h.written(path, by)
	}
	return err
}

// Mkdir makes a directory, see [host.Files].
func (h *Host) Mkdir(path string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !isBelow(path, "/sys") {
		return h.files.mkdir(path)
	}
	err := h.tree.mkdir(path)
	if err == nil {
		h.entered(path)
	}
	return err
}

// Remove removes a symlink or an empty directory, see [host.Files].
func (h *Host) Remove(path string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.tree.remove(path)
	if err == nil {
		h.entered(path)
	}
	return err
}

// Symlink makes a symlink, see [host.Files].
func (h *Host) Symlink(target, link string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.tree.symlink(target, link)
	if err == nil {
		h.entered(link)
	}
	return err
}
