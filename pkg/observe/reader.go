package observe

import (
	"cmp"
	"fmt"
	"sync"
	"time"
)

// reader reads a part of the machine that is in configfs or another file system, as
// long as the kernel answers.
//
// Whoever removes something from configfs holds the directory that it is in until
// that is done, and a LUN is gone only when its last I/O is. If its device does
// not answer, neither does the directory. What takes too long is therefore left to
// itself: that part is unknown then, and the rest of the machine is not.
type reader[T any] struct {
	// of reads it all.
	of func() (T, error)
	// patience is how long the kernel is waited for, and noAnswerError says what it means
	// that it took longer; empty: [configfsNoAnswer].
	patience time.Duration
	noAnswer string

	mu sync.Mutex
	// left is what was left to itself, one at most; nil: nothing.
	left <-chan answer[T]
}

// answer is what reading came to.
type answer[T any] struct {
	value T
	err   error
}

// read reads it all, unless what was left to itself has not ended.
func (r *reader[T]) read() (T, error) { return r.readBy(r.of) }

// readBy is read with another function than that of the reader.
func (r *reader[T]) readBy(of func() (T, error)) (T, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var nothing T
	if r.left != nil {
		select {
		case <-r.left: // what it says is old by now
			r.left = nil
		default:
			return nothing, r.tooLong()
		}
	}
	answers := make(chan answer[T], 1)
	go func() {
		value, err := of()
		answers <- answer[T]{value, err}
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-time.After(r.patience):
		r.left = answers
		return nothing, r.tooLong()
	}
}

// What it means that there is no answer.
const (
	configfsNoAnswer   = "configfs does not respond within %s: the kernel is removing an object in use, or a device does not respond (see dmesg)"
	fileSystemNoAnswer = "the file system of an image does not respond within %s; check its server or device (see dmesg)"
)

func (r *reader[T]) tooLong() error {
	return fmt.Errorf(cmp.Or(r.noAnswer, configfsNoAnswer), r.patience)
}
