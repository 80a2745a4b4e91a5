package fakehost

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
)

// Devices are the block devices of active logical volumes, by their path, and the
// files that they are written to.
type Devices interface {
	// ReadBlocks returns what is between two offsets.
	ReadBlocks(path string, from, to uint64) ([]Span, error)
	// WriteBlocks puts data between two offsets, and zeroes where there is none.
	// It fails with EBUSY while anybody holds the device, as to open it for
	// oneself alone does.
	WriteBlocks(path string, from, to uint64, data []Span) error
	// ChangedBlocks returns what differs between two logical volumes, vg/lv, in chunks
	// of 64 KiB; since a copy-on-write snapshot also where its origin was written to.
	// Neither needs to be active.
	ChangedBlocks(since, now string) ([]Span, error)
	// BlockSize returns the size of a device's logical blocks, in bytes.
	BlockSize(path string) (int64, error)
	// ClaimBlocks opens a device for the caller alone until release is called. It fails
	// with EBUSY while anybody holds it.
	ClaimBlocks(path string) (release func(), err error)
	// CreateFile makes a file. One that is there is EEXIST, or replaced if it is part of an image
	// file that was not finished.
	CreateFile(f File, replace bool) error
}

var _ Devices = (*Host)(nil)

// ReadBlocks reads from a device, see [Devices].
func (h *Host) ReadBlocks(path string, from, to uint64) ([]Span, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	lv := h.lvm.byPath(path)
	switch {
	case lv == nil:
		return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOENT}
	case lv.Invalid:
		return nil, &fs.PathError{Op: "read", Path: path, Err: syscall.EIO}
	case to > lv.Size:
		return nil, &fs.PathError{Op: "read", Path: path, Err: io.ErrUnexpectedEOF}
	}
	return lv.readData(from, to), nil
}

// WriteBlocks writes to a device, see [Devices].
func (h *Host) WriteBlocks(path string, from, to uint64, data []Span) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	failed := func(op string, err error) error { return &fs.PathError{Op: op, Path: path, Err: err} }
	lv := h.lvm.byPath(path)
	if lv == nil {
		return failed("open", syscall.ENOENT)
	}
	g := h.lvm.groupOf(lv)
	switch pool := g.find(lv.Pool); {
	case lv.ReadOnly:
		return failed("open", syscall.EACCES)
	case h.lvm.checkNotInUse(g, lv) != nil:
		return failed("open", syscall.EBUSY)
	case lv.Invalid, to > lv.Size:
		return failed("write", syscall.EIO)
	case pool != nil && pool.DataPercent >= 100:
		return failed("write", syscall.ENOSPC)
	}
	g.writeTo(lv, from, to, data)
	return nil
}

// ChangedBlocks compares, see [Devices].
func (h *Host) ChangedBlocks(since, now string) ([]Span, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var lvs [2]*LogicalVolume
	for i, name := range []string{since, now} {
		vg, lv, _ := strings.Cut(name, "/")
		if lvs[i] = h.lvm.find(vg, lv); lvs[i] == nil || lvs[i].Invalid {
			return nil, &fs.PathError{Op: "compare", Path: name, Err: syscall.EIO}
		}
	}
	return append(differing(lvs[0].all(), lvs[1].all()), differing(nil, lvs[0].Written)...), nil
}

// BlockSize returns the size of a device's logical blocks, see [Devices].
func (h *Host) BlockSize(path string) (int64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	lv := h.lvm.byPath(path)
	if lv == nil {
		return 0, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOENT}
	}
	return int64(cmp.Or(h.lvm.groupOf(lv).BlockSize, 512)), nil
}

// ClaimBlocks opens a device for the caller alone, see [Devices].
func (h *Host) ClaimBlocks(path string) (release func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	lv := h.lvm.byPath(path)
	switch {
	case lv == nil:
		return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOENT}
	case h.lvm.checkNotInUse(h.lvm.groupOf(lv), lv) != nil:
		return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.EBUSY}
	}
	minor := lv.Minor
	h.lvm.hold(minor)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.lvm.release(minor)
	}, nil
}

// Fill writes one text between two offsets of a logical volume, vg/lv, as whoever
// uses it does: it may be mounted or exported.
func (h *Host) Fill(name string, from, to uint64, text string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	vg, lv, _ := strings.Cut(name, "/")
	found := h.lvm.find(vg, lv)
	if found == nil || to > found.Size {
		return fmt.Errorf("no %s with %d bytes", name, to)
	}
	h.lvm.groupOf(found).writeTo(found, from, to, []Span{{from, to, text}})
	return nil
}

// Content returns what is in a logical volume, vg/lv, whether it is active or not;
// nil if there is none.
func (h *Host) Content(name string) []Span {
	h.mu.Lock()
	defer h.mu.Unlock()
	vg, lv, _ := strings.Cut(name, "/")
	if found := h.lvm.find(vg, lv); found != nil {
		return found.all()
	}
	return nil
}

// groupOf returns the volume group of a logical volume.
func (l *lvm) groupOf(lv *LogicalVolume) *group {
	for _, g := range l.groups {
		if g.find(lv.Name) == lv {
			return g
		}
	}
	return nil
}
