package guest

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/test/guest/internal/debian"
)

// pin is a processor of the host that a guest in User-mode Linux has to itself as far
// as there are enough. Such a guest is a kernel and a process that take turns for every
// system call; on one processor that takes half of the time that it takes on two.
type pin struct {
	processor int
	// slot is locked while the guest lives: its process inherits the lock.
	slot *os.File
}

// choosePin takes the first slot that no other guest of this machine has. Slots go round
// the processors.
func choosePin() (*pin, error) {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return nil, err
	}
	var processors []int
	for n := range len(allowed) * 64 {
		if allowed.IsSet(n) {
			processors = append(processors, n)
		}
	}
	cache, err := debian.CacheDir()
	if err != nil {
		return nil, err
	}
	for n := 0; ; n++ {
		slot, err := os.OpenFile(filepath.Join(cache, fmt.Sprintf("slot-%d.lock", n)), os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, err
		}
		if unix.Flock(int(slot.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			return &pin{processor: processors[n%len(processors)], slot: slot}, nil
		}
		_ = slot.Close()
	}
}

// hold keeps this thread, and the processes that it starts from now on, on the
// processor.
func (p *pin) hold() error {
	var set unix.CPUSet
	set.Set(p.processor)
	return unix.SchedSetaffinity(0, &set)
}
