package main

import (
	"bytes"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("a watched output", func() {
	It("tells of a text that comes in pieces, and passes on all of it", func() {
		var out bytes.Buffer
		w := newWatched(&out, "guest# ")
		for _, piece := range []string{"guest", " gue", "", "s", "t#"} {
			Expect(w.Write([]byte(piece))).To(Equal(len(piece)))
			Expect(w.seen).NotTo(BeClosed())
		}
		Expect(w.Write([]byte(" x"))).To(Equal(2))
		Expect(w.seen).To(BeClosed())
		Expect(w.Write([]byte("guest# "))).To(Equal(7))
		Expect(out.String()).To(Equal("guest guest# xguest# "))
	})

	It("finds it in the middle of a piece", func() {
		w := newWatched(&bytes.Buffer{}, "guest# ")
		_, err := w.Write([]byte("\x1b[?2004hguest# echo"))
		Expect(err).NotTo(HaveOccurred())
		Expect(w.seen).To(BeClosed())
	})
})
