package blockcopy

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// blockSize is what one request moves, and what one hash of the digest covers.
// It is part of the digest's definition. Bigger requests gained nothing on any
// device that was measured; 8 of these in flight keep fast ones busy.
const blockSize = 1 << 20

// grain is how finely zeroes and differences are told apart. It is the smallest
// chunk of a thin pool: finer holes would save no space there and cost requests.
const grain = 64 << 10

// align is what offset, length and memory of direct I/O are aligned to. No device
// known to the kernel without large-block support asks for more.
const align = 4096

// zeroes is never written to. It is small enough to stay in the CPU's cache while
// it is compared with.
var zeroes [grain]byte

// mapped counts the bytes of all buffers of all runs.
var mapped atomic.Int64

// newBuffer maps a block's worth of aligned memory.
func newBuffer() ([]byte, error) {
	b, err := unix.Mmap(-1, 0, blockSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, &Error{Op: "map", Path: "a buffer", Offset: -1, Err: err}
	}
	mapped.Add(blockSize)
	return b, nil
}

func freeBuffer(b []byte) {
	if b != nil && unix.Munmap(b) == nil {
		mapped.Add(-blockSize)
	}
}
