package wire

import (
	"errors"
	"io"
)

// window is how many bytes of requests may be on their way that the server has not
// read. A serial line holds 4096 for its reader; in User-mode Linux one that was full
// once is silent from then on.
const window = 2048

// windowed is a writer that keeps to the window.
type windowed struct {
	to   io.Writer
	free chan int // bytes that the server has read
	over <-chan struct{}
	left int
}

func newWindowed(to io.Writer, over <-chan struct{}) *windowed {
	// Of acknowledgements there never are more than unread bytes.
	return &windowed{to: to, free: make(chan int, window), over: over, left: window}
}

// Write is for one goroutine at a time.
func (w *windowed) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		for w.left == 0 {
			select {
			case n := <-w.free:
				w.left += n
			case <-w.over:
				return written, errors.New("nobody reads any more")
			}
		}
		n, err := w.to.Write(p[:min(len(p), w.left)])
		written, w.left, p = written+n, w.left-n, p[n:]
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// acknowledged is a reader that says what it has read.
type acknowledged struct {
	from io.Reader
	read func(n int) error
}

func (a acknowledged) Read(p []byte) (int, error) {
	n, err := a.from.Read(p[:min(len(p), window/2)])
	if n > 0 {
		if sendErr := a.read(n); err == nil {
			err = sendErr
		}
	}
	return n, err
}
