package blockcopy

import (
	"context"
	"math"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// fakeClock moves when somebody sleeps.
type fakeClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *fakeClock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) sleep(_ context.Context, d time.Duration, _ <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func fakeLimiter(rate int64) (*Limiter, *fakeClock) {
	c := &fakeClock{now: time.Unix(1000, 0)}
	l := &Limiter{now: c.time, sleep: c.sleep, changed: make(chan struct{})}
	l.Set(rate)
	return l, c
}

var _ = Describe("Limiter", func() {
	It("keeps the rate, whatever the size of requests", func(ctx SpecContext) {
		for _, request := range []int64{4 * kib, mib, 64 * mib} {
			l, c := fakeLimiter(10 * mib)
			start, moved := c.time(), int64(0)
			for c.time().Sub(start) < 100*time.Second {
				Expect(l.wait(ctx, request)).To(Succeed())
				moved += request
			}
			rate := float64(moved) / c.time().Sub(start).Seconds()
			Expect(math.Abs(rate-10*mib)).To(BeNumerically("<", 0.8*mib), "requests of %d: %.0f", request, rate)
		}
	})

	It("saves up a tenth of a second at most", func(ctx SpecContext) {
		l, c := fakeLimiter(10 * mib)
		c.sleep(ctx, time.Hour, nil)
		start := c.time()
		for range 20 {
			Expect(l.wait(ctx, mib)).To(Succeed())
		}
		Expect(c.time().Sub(start)).To(BeNumerically(">", 1700*time.Millisecond))
	})

	It("holds all that share it to one rate", func(ctx SpecContext) {
		l, c := fakeLimiter(10 * mib)
		start := c.time()
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				defer GinkgoRecover()
				for range 100 {
					Expect(l.wait(ctx, mib)).To(Succeed())
				}
			})
		}
		group.Wait()
		// 400 MiB at 10 MiB/s. Sleepers side by side move the fake clock more than once.
		Expect(c.time().Sub(start)).To(BeNumerically(">", 39*time.Second))
	})

	It("follows a change while somebody waits", func(ctx SpecContext) {
		for _, rate := range []int64{1 << 40, 0} {
			l := NewLimiter(1)
			Expect(l.wait(ctx, mib)).To(Succeed())
			done := make(chan error)
			go func() { done <- l.wait(ctx, mib) }()
			Consistently(done, "20ms").ShouldNot(Receive())
			l.Set(rate)
			Eventually(ctx, done).Should(Receive(BeNil()))
		}
	})

	It("limits nothing if there is none", func(ctx SpecContext) {
		var none *Limiter
		Expect(none.wait(ctx, math.MaxInt64)).To(Succeed())
		Expect(none.limited()).To(BeFalse())
		l, c := fakeLimiter(-1)
		start := c.time()
		for range 100 {
			Expect(l.wait(ctx, math.MaxInt64/1000)).To(Succeed())
		}
		Expect(c.time()).To(Equal(start))
	})

	It("charges a copy what it reads, and not its holes", func(ctx SpecContext) {
		l, _ := fakeLimiter(1 << 40)
		l.tokens = 100 * mib
		b := content(1, 40*mib, extent{0, 4 * mib}, extent{20 * mib, 6 * mib})
		_, err := Copy{Source: file("source", b), Target: file("target", blank(40*mib)), Size: 40 * mib, TargetIsZero: true, Limit: l}.Run(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(l.tokens).To(BeEquivalentTo(90 * mib))
	})
})

var _ = Describe("Progress", func() {
	It("smooths the rate and says how long it takes", func() {
		at := time.Unix(1000, 0)
		m := meter{total: 1000 * mib, at: at}
		Expect(m.due(at.Add(249 * time.Millisecond))).To(BeFalse())
		Expect(m.due(at.Add(250 * time.Millisecond))).To(BeTrue())

		p := m.read(at, 0, 0)
		Expect(p.Left).To(Equal(time.Duration(-1)))
		p = m.read(at.Add(time.Second), 10*mib, 5*mib)
		Expect(p).To(Equal(Progress{Done: 10 * mib, Total: 1000 * mib, Rate: 5 * mib, Left: 99 * time.Second}))

		// One second of ten times that does not change everything.
		p = m.read(at.Add(2*time.Second), 110*mib, 105*mib)
		Expect(p.Rate).To(BeNumerically("~", 24*mib, mib))
		for i := range 60 {
			p = m.read(at.Add(time.Duration(3+i)*time.Second), 110*mib, 105*mib)
		}
		Expect(p.Rate).To(BeNumerically("<", mib/100), "it stands still")
		Expect(m.read(at.Add(time.Hour), 1000*mib, 0).Left).To(BeZero())
	})
})
