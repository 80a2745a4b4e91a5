package reconcile

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
)

// watchdog counts what the loop tells its supervisor.
type watchdog struct{ alive, reloads, passes atomic.Int64 }

func (*watchdog) Every() time.Duration { return time.Millisecond }
func (w *watchdog) Alive()             { w.alive.Add(1) }
func (w *watchdog) Reloading()         { w.reloads.Add(1) }
func (w *watchdog) Passed()            { w.passes.Add(1) }

// slowObserver waits for the machine until it is let go.
type slowObserver struct {
	Observer
	letGo chan struct{}
}

func (o slowObserver) Observe(ctx context.Context, images ...string) observe.State {
	<-o.letGo
	return o.Observer.Observe(ctx, images...)
}

var _ = Describe("A supervised loop", func() {
	var loop *Loop
	var dog *watchdog
	var commands atomic.Int64
	var letGo chan struct{}
	// start runs the loop with an observer that waits.
	start := func() {
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { defer close(ended); loop.Run(ctx, nil) }()
		DeferCleanup(func() { stop(); <-ended })
	}
	BeforeEach(func() {
		m := &machine{node: model.NewNode()}
		loop = newLoop(m, filepath.Join(GinkgoT().TempDir(), "state", "identities.json"))
		dog, letGo = &watchdog{}, make(chan struct{})
		commands.Store(0)
		loop.Supervisor, loop.Commands = dog, commands.Load
		loop.Observer = slowObserver{m, letGo}
	})
	// isAlive waits for more signs of life than one per change of the stage.
	isAlive := func(ctx context.Context) {
		before := dog.alive.Load()
		Eventually(ctx, dog.alive.Load).Should(BeNumerically(">", before+5))
	}

	It("is alive while it waits for an event, with a report after each pass", func(ctx SpecContext) {
		close(letGo)
		start()
		Eventually(ctx, dog.passes.Load).Should(BeNumerically(">=", 2))
		isAlive(ctx)
		Expect(dog.reloads.Load()).To(BeZero())
	}, NodeTimeout(time.Minute))
	It("is alive while a stage waits for a command, and not while a stage hangs without one", func(ctx SpecContext) {
		start()
		defer close(letGo)
		Eventually(ctx, dog.alive.Load).Should(BeNumerically(">=", 1), "when the stage begins")
		before := dog.alive.Load()
		Consistently(ctx, dog.alive.Load).WithTimeout(100 * time.Millisecond).Should(Equal(before))
		commands.Store(1)
		isAlive(ctx)
		Expect(dog.passes.Load()).To(BeZero())
	}, NodeTimeout(time.Minute))
	It("reports a reload before the pass that it causes", func(ctx SpecContext) {
		hangup := make(chan os.Signal)
		loop.Hangup = hangup
		close(letGo)
		start()
		Eventually(ctx, func() bool { report, _ := loop.Status.Report(); return report.Converged() && len(report.Objects) > 0 }).Should(BeTrue())
		isAlive(ctx)
		before := dog.passes.Load()
		hangup <- syscall.SIGHUP
		Eventually(ctx, dog.passes.Load).Should(BeNumerically(">", before))
		Expect(dog.reloads.Load()).To(BeEquivalentTo(1))
	}, NodeTimeout(time.Minute))
})
