package main

import (
	"bytes"
	"io"
)

// watched passes on what is written to it, and tells when a text has come by.
type watched struct {
	to   io.Writer
	text []byte
	// end is what was written last, less than all of the text.
	end []byte
	// seen is closed when all of the text has been passed on.
	seen chan struct{}
	done bool
}

func newWatched(to io.Writer, text string) *watched {
	return &watched{to: to, text: []byte(text), seen: make(chan struct{})}
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	if w.done {
		return n, err
	}
	w.end = append(w.end, p[:n]...)
	if bytes.Contains(w.end, w.text) {
		w.done = true
		close(w.seen)
	}
	if excess := len(w.end) - len(w.text) + 1; excess > 0 {
		w.end = w.end[excess:]
	}
	return n, err
}
