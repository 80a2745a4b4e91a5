package watch

import (
	"context"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// hanging is a source that the kernel does not answer about at first.
type hanging struct {
	w       *Watcher
	answers chan struct{}
}

func (h hanging) check(context.Context, *sync.WaitGroup) bool {
	<-h.answers
	h.w.set(Status{Source: Configfs, Watching: true})
	return true
}

func (hanging) wake() <-chan struct{} { return nil }

var _ = Describe("What can no longer be read", func() {
	It("is closed before it is opened again", func() {
		m := newMachine("config/target")
		c := m.watcher.configfs
		c.mu.Lock()
		before := c.directories
		c.mu.Unlock()
		Expect(before.file.SetReadDeadline(time.Unix(1, 0))).To(Succeed())
		m.expect(Configfs, "")
		Expect(before.with(func(int) error { return nil })).NotTo(Succeed(), "it leaks")
		m.expect(Configfs, m.path("target"))
		m.settle()
	})
})

var _ = Describe("A source that hangs", func() {
	It("does not hold up the start, and says that it may have changed when it is watched", func() {
		patience := startPatience
		startPatience = 10 * time.Millisecond
		DeferCleanup(func() { startPatience = patience })
		ctx, stop := context.WithCancel(context.Background())
		var sources sync.WaitGroup
		DeferCleanup(func() { stop(); sources.Wait() })
		w := &Watcher{queue: newQueue(), status: map[Source]Status{}}
		h := hanging{w, make(chan struct{})}
		w.begin(ctx, &sources, Configfs, h)
		Expect(w.Status()[0].Watching).To(BeFalse())
		Expect(w.Status()[0].Why).NotTo(BeEmpty())
		Expect(w.Take()).To(BeEmpty())
		close(h.answers)
		Eventually(w.Take).Should(ConsistOf(Event{Source: Configfs}))
		Expect(w.Status()[0].Watching).To(BeTrue())
	})
	It("is waited for while it answers", func() {
		ctx, stop := context.WithCancel(context.Background())
		var sources sync.WaitGroup
		DeferCleanup(func() { stop(); sources.Wait() })
		w := &Watcher{queue: newQueue(), status: map[Source]Status{}}
		h := hanging{w, make(chan struct{})}
		close(h.answers)
		w.begin(ctx, &sources, Configfs, h)
		Expect(w.Status()[0].Watching).To(BeTrue())
		Expect(w.Take()).To(BeEmpty())
	})
})
