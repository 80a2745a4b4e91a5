package observe

import (
	"fmt"
	"sync"
	"time"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// lioReader reads LIO, as long as the kernel answers.
//
// Whoever removes something from configfs holds the directory that it is in until
// that is done, and a LUN is gone only when its last I/O is. If its device does
// not answer, neither does the directory. What takes too long is therefore left to
// itself: LIO is unknown then, and the rest of the machine is not.
type lioReader struct {
	host host.Files
	// patience is how long LIO is waited for.
	patience time.Duration

	mu sync.Mutex
	// left is what was left to itself, one at most; nil: nothing.
	left <-chan lioReport
}

// lioReport is what reading LIO came to.
type lioReport struct {
	targets Targets
	err     error
}

// read reads LIO, unless what was left to itself has not ended.
func (r *lioReader) read() (Targets, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left != nil {
		select {
		case <-r.left: // what it says is old by now
			r.left = nil
		default:
			return Targets{}, r.noAnswer()
		}
	}
	answer := make(chan lioReport, 1)
	go func() {
		targets, err := readLIO(r.host)
		answer <- lioReport{targets, err}
	}()
	select {
	case report := <-answer:
		return report.targets, report.err
	case <-time.After(r.patience):
		r.left = answer
		return Targets{}, r.noAnswer()
	}
}

func (r *lioReader) noAnswer() error {
	return fmt.Errorf("configfs does not answer within %s: the kernel is removing something that is in use, or a device does not answer (see dmesg)", r.patience)
}
