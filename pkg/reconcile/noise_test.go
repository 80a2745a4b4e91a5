package reconcile

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/watch"
)

var _ = Describe("Events that mean nothing", func() {
	now := time.Now()
	const longest, cost = 30 * time.Second, 100 * time.Millisecond
	var n noise
	BeforeEach(func() {
		n = noise{}
		for range noisePasses {
			Expect(n.deafFor(now, longest)).To(BeZero())
			n.note(true, true, cost, now)
		}
	})
	It("take a tenth of the time at most", func() {
		for range noiseLasts - noisePasses {
			Expect(n.deafFor(now, longest)).To(Equal(restFor * cost))
			n.note(true, true, cost, now)
		}
	})
	It("are listened to less and less often if they last, but never less often than without them", func() {
		for range noiseLasts - noisePasses {
			n.note(true, true, cost, now)
		}
		var waits []time.Duration
		for range 8 {
			waits = append(waits, n.deafFor(now, longest))
			n.note(true, true, cost, now)
		}
		const rest = restFor * cost
		Expect(waits).To(Equal([]time.Duration{rest, 2 * rest, 4 * rest, 8 * rest, 16 * rest, 32 * rest, longest, longest}))
		n.note(true, true, time.Minute, now)
		Expect(n.deafFor(now, longest)).To(Equal(longest))
	})
	It("are listened to again once they meant something, or have ended", func() {
		Expect(n.deafFor(now, longest)).NotTo(BeZero())
		Expect(n.deafFor(now.Add(longest+1), longest)).To(BeZero())
		n.note(true, true, cost, now)
		n.note(true, false, cost, now)
		Expect(n.deafFor(now, longest)).To(BeZero())
	})
	It("are not counted by passes that nothing announced", func() {
		n.note(false, true, time.Hour, now)
		Expect(n.deafFor(now, longest)).To(Equal(restFor * cost))
	})
})

// forgetfulMachine is a machine that is observed by somebody who can forget.
type forgetfulMachine struct {
	*machine
	*forgetful
}

func (m forgetfulMachine) Observe(ctx context.Context, images ...string) observe.State {
	return m.machine.Observe(ctx, images...)
}

var _ = Describe("Events while a step cannot be made", func() {
	It("do not start a pass each", func(ctx SpecContext) {
		m := &machine{node: model.NewNode(), fail: func(change.Change) error { return errors.New("no space") }}
		events := &listed{}
		loop := newLoop(m, filepath.Join(GinkgoT().TempDir(), "state", "identities.json"))
		loop.Observer, loop.Events, loop.Audit = forgetfulMachine{m, &forgetful{}}, events, time.Hour
		for range noisePasses + 1 {
			events.waiting = []watch.Event{{Source: watch.Devices, Path: "/dev/sdb"}}
			loop.Pass(ctx)
		}
		Expect(loop.lookout.noise.deafFor(time.Now(), time.Minute)).To(BeNumerically(">", 0))
	})
})
