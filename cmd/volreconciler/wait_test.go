package main

import (
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/statusapi"
)

var _ = DescribeTable("What wait waits for is reached by",
	func(state string, o *status.Object, reached bool) {
		wanted, err := wantedOf(state)
		Expect(err).NotTo(HaveOccurred())
		id := spec.ID{Kind: spec.KindVolume, Name: "db"}
		node := status.Report{}
		if o != nil {
			o.Kind, o.Name = id.Kind, id.Name
			node.Objects = append(node.Objects, *o)
		}
		open := goal{ids: []spec.ID{id}, wanted: wanted}.unmet(node)
		if reached {
			Expect(open).To(BeEmpty())
			return
		}
		Expect(open).To(HaveLen(1))
		Expect(open[0].what).To(HavePrefix("Volume/db "))
		Expect(open[0].stalled).To(Equal(o != nil && (o.Phase == status.Blocked || o.Phase == status.Failed)))
	},
	Entry(nil, "Ready", &status.Object{Phase: status.Ready}, true),
	Entry(nil, "Ready", &status.Object{Phase: status.Progressing}, false),
	Entry(nil, "Ready", &status.Object{Phase: status.Blocked}, false),
	Entry(nil, "Ready", &status.Object{Phase: status.Orphaned}, false),
	Entry(nil, "Ready", nil, false),
	Entry(nil, "Deleted", nil, true),
	Entry(nil, "Deleted", &status.Object{Phase: status.Deleting, Reason: status.ReasonInTrash}, true),
	Entry(nil, "Deleted", &status.Object{Phase: status.Deleting, Reason: status.ReasonGracePeriod}, false),
	Entry(nil, "Deleted", &status.Object{Phase: status.Ready}, false),
	Entry(nil, "Deleted", &status.Object{Phase: status.Orphaned, Reason: status.ReasonRetained}, false),
	Entry(nil, "phase=Blocked", &status.Object{Phase: status.Blocked}, true),
	Entry(nil, "phase=Blocked", &status.Object{Phase: status.Failed}, false),
	Entry(nil, "phase=Blocked", nil, false),
	Entry(nil, "reason=InUse", &status.Object{Phase: status.Blocked, Reason: status.ReasonInUse}, true),
	Entry(nil, "reason=InUse", &status.Object{Phase: status.Blocked, Reason: status.ReasonSessionsActive}, false),
	Entry(nil, "condition=Stalled", &status.Object{Phase: status.Failed}, true),
	Entry(nil, "condition=Stalled", &status.Object{Phase: status.Ready}, false),
	Entry(nil, "condition=Stalled=False", &status.Object{Phase: status.Ready}, true),
	Entry(nil, "condition=Reconciling=False", &status.Object{Phase: status.Failed}, false),
	Entry(nil, "condition=Ready=Unknown", &status.Object{Phase: status.Suspended}, true),
	Entry(nil, "condition=Ready=Unknown", &status.Object{Phase: status.Ready}, false),
)

var _ = DescribeTable("A state that is none is refused", func(state, why string) {
	_, err := wantedOf(state)
	Expect(err).To(MatchError(ContainSubstring(why)))
},
	Entry(nil, "", "unknown state"), Entry(nil, "ready", "unknown state"), Entry(nil, "Ready=True", "unknown state"),
	Entry(nil, "phase", "allowed: Ready, Progressing, "), Entry(nil, "phase=ready", "is not a phase"), Entry(nil, "reason=", "is not a reason"),
	Entry(nil, "reason=not one", "is not a reason"), Entry(nil, "condition=", "write Ready, Reconciling, Stalled or BackupTooOld"),
	Entry(nil, "condition=Stalled=true", "=False or =Unknown"), Entry(nil, "pool=a", "unknown state"),
)

// waiting is an agent that can be stopped and started, and the status that it shows.
type waiting struct {
	*settings
	board *status.Board
	stop  func()
}

func newWaiting() *waiting {
	w := &waiting{settings: newSettings(), board: &status.Board{}}
	w.runtimeDir = GinkgoT().TempDir()
	DeferCleanup(func() {
		if w.stop != nil {
			w.stop()
		}
	})
	return w
}

func (w *waiting) start() {
	GinkgoHelper()
	var err error
	w.stop, _, err = serve(w.settings, statusapi.Source{Status: w.board}, logr.Discard())
	Expect(err).NotTo(HaveOccurred())
}

// show makes a pass end with an object in a phase.
func (w *waiting) show(phase status.Phase, reason, message string) {
	w.board.Publish([]status.Object{{Kind: spec.KindVolume, Name: "db", Phase: phase, Reason: reason, Message: message}}, nil, status.PassCost{}, time.Now())
}

// ended is how a command ended, and what it printed.
type ended struct {
	Status      int
	Out, Errors string
}

// run runs wait, and returns at once.
func (w *waiting) run(args ...string) <-chan ended {
	done := make(chan ended, 1)
	go func() {
		var out, errs strings.Builder
		status := runCommandLine(append([]string{"wait", "--runtime-dir", w.runtimeDir}, args...), &out, &errs)
		done <- ended{status, out.String(), errs.String()}
	}()
	return done
}

var _ = Describe("wait", func() {
	const limit = 20 * time.Second
	var w *waiting
	BeforeEach(func() { w = newWaiting() })

	It("ends when the object is there and ready, through a restart of the agent", func(ctx SpecContext) {
		done := w.run("Volume/db", "Export/web", "--timeout", "1m")
		Consistently(done, 200*time.Millisecond).ShouldNot(Receive(), "no agent runs yet")
		w.start()
		Consistently(done, time.Second).ShouldNot(Receive(), "it has no status yet")
		w.show(status.Progressing, "Converging", "")
		w.board.SetRevision("sha256:1")
		w.stop()
		w.board = &status.Board{} // another agent counts from 1 again
		w.start()
		w.show(status.Ready, "AsDesired", "")
		Consistently(done, 200*time.Millisecond).ShouldNot(Receive(), "Export/web does not exist yet")
		w.board.Publish([]status.Object{
			{Kind: spec.KindVolume, Name: "db", Phase: status.Ready, Reason: "AsDesired"},
			{Kind: spec.KindExport, Name: "web", Phase: status.Ready, Reason: "AsDesired"},
		}, nil, status.PassCost{}, time.Now())
		var end ended
		Eventually(ctx, done).Should(Receive(&end))
		Expect(end.Status).To(Equal(0))
		Expect(end.Out).To(Equal("Volume/db is Ready (AsDesired)\nExport/web is Ready (AsDesired)\n"))
		Expect(end.Errors).To(MatchRegexp("^(waiting for the agent at .*/agent.sock\n){1,2}$"), "at most once for each time it was away")
	}, SpecTimeout(limit))

	It("says at the timeout what is missing and why", func(ctx SpecContext) {
		w.start()
		w.show(status.Blocked, "SessionsActive", "a\nb")
		Eventually(ctx, w.run("Volume/db", "Pool/x", "--timeout", "1s")).Should(Receive(Equal(ended{3, "",
			"Volume/db is Blocked (SessionsActive): a; b\nPool/x does not exist\nvolreconciler: not reached after 1s: Ready of Volume/db, Pool/x\n"})))
		Eventually(ctx, w.run("--timeout", "1s")).Should(Receive(Equal(ended{3, "",
			"Volume/db is Blocked (SessionsActive): a; b\nvolreconciler: not reached after 1s: the node is as declared\n"})))
	}, SpecTimeout(limit))

	It("does not wait for what stalls if it is not to", func(ctx SpecContext) {
		w.start()
		w.show(status.Progressing, "Converging", "")
		done := w.run("Pool/x", "Volume/db", "--fail-fast", "--timeout", "1m")
		Consistently(done, 200*time.Millisecond).ShouldNot(Receive())
		w.show(status.Failed, "NoSpace", "full")
		Eventually(ctx, done).Should(Receive(Equal(ended{3, "", "Volume/db is Failed (NoSpace): full\nvolreconciler: stalled: Ready of Pool/x, Volume/db\n"})))
		Eventually(ctx, w.run("Volume/db", "--for", "condition=Stalled", "--fail-fast")).Should(Receive(HaveField("Status", 0)))
	}, SpecTimeout(limit))

	It("without names waits for the whole node, its files included", func(ctx SpecContext) {
		w.start()
		w.board.Publish(nil, []status.Finding{{File: "a.yaml", Line: 3, Message: "no"}}, status.PassCost{}, time.Now())
		done := w.run("--timeout", "1m")
		Consistently(done, 200*time.Millisecond).ShouldNot(Receive())
		Eventually(ctx, w.run("--fail-fast")).Should(Receive(HaveField("Errors", HavePrefix("a.yaml:3: no\n"))))
		w.show(status.Orphaned, "Retained", "")
		Eventually(ctx, done).Should(Receive(Equal(ended{0, "all as declared (1 object)\n", ""})))
	}, SpecTimeout(limit))

	It("waits for the revision of the files before it looks at anything", func(ctx SpecContext) {
		w.start()
		w.show(status.Failed, "NoSpace", "full")
		w.board.SetRevision("sha256:1")
		done := w.run("Volume/db", "--revision", "sha256:2", "--fail-fast")
		Consistently(done, 200*time.Millisecond).ShouldNot(Receive(), "that it failed was with other files")
		w.show(status.Ready, "AsDesired", "")
		Consistently(done, 200*time.Millisecond).ShouldNot(Receive())
		w.board.SetRevision("sha256:2")
		Eventually(ctx, done).Should(Receive(HaveField("Status", 0)))
		Eventually(ctx, w.run("--revision", "sha256:3", "--timeout", "1s")).Should(Receive(HaveField("Errors",
			HavePrefix("the agent has read revision sha256:2 of the spec files, not sha256:3\n"))))
	}, SpecTimeout(limit))

	It("tells an agent that is not there from one that is not ready", func(ctx SpecContext) {
		Eventually(ctx, w.run("--timeout", "1s")).Should(Receive(And(HaveField("Status", 1), HaveField("Errors", ContainSubstring("no agent answers at")))))
		w.start()
		Eventually(ctx, w.run("--timeout", "1s")).Should(Receive(And(HaveField("Status", 3),
			HaveField("Errors", HavePrefix("the first pass of the agent has not finished\n")))))
		w.stop()
		w.stop = nil
		Expect(os.WriteFile(w.socket(), nil, 0o600)).To(Succeed())
		Eventually(ctx, w.run("--timeout", "1s")).Should(Receive(HaveField("Status", 1)))
	}, SpecTimeout(limit))

	It("lists a few of many", func() {
		var out strings.Builder
		w := waiter{stderr: &out}
		Expect(w.giveUp(make([]unmet, maxUnmet+3), "stalled")).To(Equal(exitUnmet))
		Expect(out.String()).To(HaveSuffix("\nand 3 more\nvolreconciler: stalled: the node is as declared\n"))
	})
})
