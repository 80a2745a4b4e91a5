package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// progress shows the steps of apply as they are done, and keeps in mind what
// there is hope for.
type progress struct {
	painter
	out      io.Writer
	terminal bool

	mu        sync.Mutex
	succeeded int // steps of this pass
	// failing are the objects of which a step failed, and has not been done since.
	failing map[spec.ID]failure
	// said is of what object it was last said why a step of it failed, by that.
	said map[string]spec.ID
	// bars is how many lines of bars stand below what was written.
	bars int
	// told is when something was last said of an object's job, where there are no bars.
	told map[spec.ID]time.Time
}

// failure is a step that failed, and the error that was shown.
type failure struct{ step, why string }

func newProgress(w io.Writer) *progress {
	return &progress{painter: painterFor(w, colourAuto), out: w, terminal: terminal(w), failing: map[spec.ID]failure{}, said: map[string]spec.ID{}, told: map[spec.ID]time.Time{}}
}

// begin is called before each pass.
func (p *progress) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.succeeded = 0
}

// done is called after each step, by several goroutines.
func (p *progress) done(s plan.Step, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil:
		p.succeeded++
		// Of an object some steps may be done while another one fails.
		if p.failing[s.Object].step == s.Change.String() {
			delete(p.failing, s.Object)
		}
		p.line(green, "done", s, "")
	case errors.Is(err, change.ErrStale):
		// Looked at again in the next pass.
		p.line(yellow, "stale", s, "")
	case errors.Is(err, change.ErrSessions):
		p.line(yellow, "stale", s, ": "+oneLine(err.Error()))
	default:
		p.failed(s, oneLine(err.Error()))
	}
}

// failed shows why a step failed, unless it did for the same reason the last
// time.
func (p *progress) failed(s plan.Step, why string) {
	now := failure{s.Change.String(), why}
	if p.failing[s.Object] == now {
		p.line(red, "failed", s, ", as before")
		return
	}
	p.failing[s.Object] = now
	if first, ok := p.said[why]; ok && first != s.Object && len(why) >= longMessage {
		p.line(red, "failed", s, ", for the same reason as "+first.String())
		return
	}
	p.said[why] = s.Object
	p.line(red, "failed", s, ": "+why)
}

// faked is called for each call that is made to a fake machine only.
func (p *progress) faked(c fakehost.Call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	_, _ = fmt.Fprintf(p.out, "%-6s %s\n", "faked", oneLine(c.String()))
}

func (p *progress) line(c colour, word string, s plan.Step, why string) {
	p.erase()
	// The changes continue even if nobody reads the output.
	_, _ = fmt.Fprintf(p.out, "%s %s: %s%s\n", p.paint(c, fmt.Sprintf("%-6s", word)), visible(s.Object.String()), oneLine(s.Change.String()), why)
}

// announceWait shows that the next pass starts only after a while.
func (p *progress) announceWait(d time.Duration) {
	if rounded := d.Round(time.Second); rounded > 0 {
		_, _ = fmt.Fprintf(p.out, "trying again in %s\n", rounded)
	}
}

// mayContinue reports whether another pass may help: a step was done, whose result has to be
// observed, or is running, or was tried and failed. A step that was refused before it
// was tried is refused again.
func (p *progress) mayContinue(node status.Report) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.succeeded > 0 || slices.ContainsFunc(node.Objects, func(o status.Object) bool {
		switch o.Phase {
		case status.Progressing:
			return true
		case status.Deleting:
			return o.Reason != status.ReasonInTrash
		case status.Failed:
			_, failing := p.failing[o.ID()]
			return failing
		default:
			return false
		}
	})
}
