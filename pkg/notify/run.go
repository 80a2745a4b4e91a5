package notify

import (
	"context"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

// The delays between attempts to reach a target.
const (
	firstDelay = 5 * time.Second
	maxDelay   = 5 * time.Minute
)

// Options are what [Run] needs.
type Options struct {
	// Node is the name of this node in messages.
	Node    string
	Targets []Target
	Log     logr.Logger
}

// Run logs the events of a board and notifies the targets, from the board's first event on, until ctx
// ends. It returns when nothing of it runs any more, which takes at most a second.
func Run(ctx context.Context, board *status.Board, o Options) {
	var running sync.WaitGroup
	running.Go(func() { logEvents(ctx, board, o.Log) })
	for _, t := range o.Targets {
		running.Go(func() { newNotifier(t, board, o).run(ctx) })
	}
	running.Wait()
}

// feed hands out the events of a board, each once.
type feed struct {
	board *status.Board
	since int64
}

// next returns the events since the last call, whether some may be missing before them, and what is closed
// when there are more.
func (f *feed) next() (events []status.Event, lost bool, more <-chan struct{}) {
	events, more = f.board.Events(f.since)
	if n := len(events); n > 0 {
		f.since = events[n-1].ID
	}
	return events, len(events) >= status.MaxEvents, more
}

// logEvents logs what becomes of objects. The loop logs each step of its own, also which drift it
// corrected and whose it was, so that is not repeated.
func logEvents(ctx context.Context, board *status.Board, log logr.Logger) {
	f := feed{board: board}
	for {
		events, lost, more := f.next()
		if lost {
			log.Info("more objects changed at once than events are kept; the log does not have all of them")
		}
		for _, e := range events {
			logEvent(log, e)
		}
		select {
		case <-more:
		case <-ctx.Done():
			events, _, _ := f.next()
			for _, e := range events {
				logEvent(log, e)
			}
			return
		}
	}
}

func logEvent(log logr.Logger, e status.Event) {
	fields := []any{"object", e.Object().String(), "event", string(e.Type), "phase", string(e.Phase), "reason", e.Reason}
	if e.PreviousPhase != "" && e.Type == status.Changed {
		fields = append(fields, "previousPhase", string(e.PreviousPhase), "previousReason", e.PreviousReason)
	}
	if e.Message != "" && !isLogged(e) {
		fields = append(fields, "because", e.Message)
	}
	switch e.Type {
	case status.Changed:
		log.Info("changed", fields...)
	case status.Deleted:
		log.Info("deleted", fields...)
	case status.DriftCorrected:
	}
}

// isLogged reports whether the loop logs the message of an event by itself: as a step, as the error of one,
// or as a finding.
func isLogged(e status.Event) bool {
	switch e.Reason {
	case status.ReasonInvalid, status.ReasonConverging:
		return true
	case status.ReasonObservationFailed, status.ReasonDeviceMissing: // no step was tried
		return false
	}
	return e.Phase == status.Failed && strings.HasPrefix(e.Message, "cannot ")
}

// notifier notifies one target.
type notifier struct {
	feed   feed
	ledger *ledger
	log    logr.Logger
	// send sends the target a batch.
	send func(ctx context.Context, b batch, now time.Time) error

	failures int       // in a row
	retryAt  time.Time // zero: the last attempt succeeded
	problem  string    // what was logged last
}

func newNotifier(t Target, board *status.Board, o Options) *notifier {
	l := newLedger(t)
	if t.interval > 0 {
		l.interval = t.interval
	}
	message := func(send func(context.Context, Target, Message) error) func(context.Context, batch, time.Time) error {
		return func(ctx context.Context, b batch, _ time.Time) error {
			if m, some := messageOf(o.Node, b); some {
				return send(ctx, t, m)
			}
			return nil
		}
	}
	r := &notifier{feed: feed{board: board}, ledger: l, log: o.Log.WithValues("target", t.String())}
	switch {
	case t.Alertmanager != "":
		l.again = alertsAgain
		r.send = func(ctx context.Context, b batch, now time.Time) error {
			return sendAlerts(ctx, t, alertsOf(o.Node, b, t.Settle, now))
		}
	case len(t.Command) > 0:
		r.send = message(runCommand)
	default:
		r.send = message(sendWebhook)
	}
	return r
}

func (r *notifier) run(ctx context.Context) {
	for ctx.Err() == nil {
		events, lost, more := r.feed.next()
		now := time.Now()
		for _, e := range events {
			r.ledger.note(e, now)
		}
		if lost {
			report, _ := r.feed.board.Report()
			r.ledger.sync(report.Objects, now)
		}
		if !now.Before(r.retryAt) {
			if b, due := r.ledger.due(now); due {
				r.attempt(ctx, b, now)
			}
		}
		next, waiting := r.ledger.next()
		if waiting && next.Before(r.retryAt) {
			next = r.retryAt
		}
		wait(ctx, more, next, waiting)
	}
}

// wait waits for events, for a time if there is one, or until ctx ends.
func wait(ctx context.Context, more <-chan struct{}, until time.Time, limited bool) {
	var due <-chan time.Time
	if limited {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-more:
	case <-due:
	case <-ctx.Done():
	}
}

// attempt tries to send a batch. If it fails, the batch remains due. A failure is logged when it is another one
// than before, not at each attempt.
func (r *notifier) attempt(ctx context.Context, b batch, now time.Time) {
	err := r.send(ctx, b, now)
	switch {
	case ctx.Err() != nil:
	case err == nil:
		r.ledger.delivered(b, now)
		if r.failures > 0 {
			r.log.Info("notifications are delivered again")
		}
		r.failures, r.retryAt, r.problem = 0, time.Time{}, ""
	default:
		r.failures++
		r.retryAt = time.Now().Add(delay(r.failures))
		if problem := digits.ReplaceAllString(err.Error(), ""); problem != r.problem {
			r.problem = problem
			r.log.Error(err, "cannot deliver notifications; retried until it succeeds")
		}
	}
}

// digits are left out when errors are compared: the port of a connection is another one each time.
var digits = regexp.MustCompile(`\d+`)

// delay is how long after so many failures the next attempt is made. It varies by a fifth, so that a
// receiver that works again does not have all nodes ask at once.
func delay(failures int) time.Duration {
	d := min(maxDelay, firstDelay<<min(failures-1, 10))
	return d - time.Duration(rand.Float64()*0.2*float64(d))
}

// Problems are what prevents notifications, as the machine is now.
func Problems(targets []Target) []string {
	var all []string
	for _, t := range targets {
		if err := t.Problem(); err != nil {
			all = append(all, "nobody is notified by "+t.String()+": "+err.Error())
		}
	}
	return slices.Compact(all)
}
