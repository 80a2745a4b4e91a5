package blockcopy

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// blockSize is what one request moves, and what one hash of the digest covers.
// It is part of the digest's definition. Bigger requests gained nothing on any
// device that was measured.
const blockSize = 1 << 20

// grain is the unit in which zeroes are found. It is the smallest chunk of a thin
// pool: finer holes would save no space there and cost requests.
const grain = 64 << 10

// fine is the unit in which differences are found. It is the smallest chunk of a
// copy-on-write snapshot (lvcreate(8), --chunksize): where the origin of one
// differs from it the old data is in the snapshot already, and putting it back
// takes no space there. One that is written beyond that would.
const fine = 4 << 10

// align is what offset, length and memory of direct I/O are aligned to. No device
// known to the kernel without large-block support asks for more.
const align = 4096

// zeroes is never written to. It is small enough to stay in the CPU's cache while
// it is compared with.
var zeroes [grain]byte

// mapped counts the bytes of all buffers of all runs.
var mapped atomic.Int64

// buffers are a worker's memory: one block to read into, and one to compare with.
type buffers struct {
	mapping []byte
	a, b    []byte
}

// get maps the memory on first use. Both blocks lie in one huge page if the kernel
// has one to give: pinning 1 page for a request is less work than pinning 256.
func (m *buffers) get() error {
	if m.mapping != nil {
		return nil
	}
	const size = 2 * blockSize
	mapping, err := unix.Mmap(-1, 0, 2*size, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return &Error{Op: "map", Path: "a buffer", Offset: -1, Err: err}
	}
	start := -uintptr(unsafe.Pointer(unsafe.SliceData(mapping))) % size
	memory := mapping[start : start+size : start+size]
	if err := unix.Mprotect(memory, unix.PROT_READ|unix.PROT_WRITE); err != nil {
		_ = unix.Munmap(mapping)
		return &Error{Op: "map", Path: "a buffer", Offset: -1, Err: err}
	}
	_ = unix.Madvise(memory, unix.MADV_HUGEPAGE) // a kernel without them does not need to know
	m.mapping, m.a, m.b = mapping, memory[:blockSize:blockSize], memory[blockSize:]
	mapped.Add(size)
	return nil
}

func (m *buffers) free() {
	if m.mapping != nil && unix.Munmap(m.mapping) == nil {
		mapped.Add(-2 * blockSize)
	}
}
