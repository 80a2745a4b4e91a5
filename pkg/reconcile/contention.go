package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// A change that is made so often in such a time did not last: somebody undoes it.
const (
	contendedTimes  = 3
	contendedWithin = time.Minute
)

// The delays of a change that somebody undoes. One that keeps initiators out is hardly delayed.
const (
	firstHold    = 5 * time.Second
	maxHold      = 5 * time.Minute
	maxExposedBy = time.Second
)

// contention notices changes that do not last, and delays them: an agent and another program that
// undo each other's changes as fast as they can help nobody. It is for concurrent use.
type contention struct {
	mu sync.Mutex
	// contests are by the subject of the change: a plan has thousands of steps, of which few concern
	// the same.
	contests map[string]map[contested]*contest
	// delayed are those of them whose change was delayed.
	delayed map[contested]*contest
}

// contested is what is changed again and again.
type contested struct {
	object spec.ID
	change string
}

type contest struct {
	change change.Change
	// made is how often it was made; recent are the last times, the oldest first.
	made   int
	recent []time.Time
	// level is how often the change was delayed; next is when it may be made again.
	level int
	next  time.Time
	// by is who undid it, as far as that is known.
	by string
	// spec is the declaration that it was made for.
	spec any
}

// note adds a change that was made.
func (c *contention) note(s plan.Step, by string, declared any, now time.Time) {
	switch s.Change.(type) {
	case change.Job, change.ResizeLUN: // which nobody can undo
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.contests == nil {
		c.contests, c.delayed = map[string]map[contested]*contest{}, map[contested]*contest{}
	}
	subject := change.Subject(s.Change)
	// Of what the agent itself undoes, as in each cutover, nothing is contended: initiators wait for it.
	c.drop(subject, func(_ contested, this *contest) bool { return change.Undoes(s.Change, this.change) })
	what := whatOf(s)
	this := c.contests[subject][what]
	if this == nil {
		this = &contest{change: s.Change, spec: declared}
		if c.contests[subject] == nil {
			c.contests[subject] = map[contested]*contest{}
		}
		c.contests[subject][what] = this
	}
	this.made++
	this.recent = slices.DeleteFunc(append(this.recent, now), func(at time.Time) bool { return now.Sub(at) > contendedWithin })
	if by != "" {
		this.by = by
	}
	if len(this.recent) >= contendedTimes || this.level > 0 {
		this.level++
		this.next = now.Add(hold(this.level, s.Change))
		c.delayed[what] = this
	}
}

func whatOf(s plan.Step) contested { return contested{s.Object, s.Change.String()} }

// drop forgets contests of a subject. The caller holds the lock.
func (c *contention) drop(subject string, over func(contested, *contest) bool) {
	for what, this := range c.contests[subject] {
		if over(what, this) {
			delete(c.contests[subject], what)
			delete(c.delayed, what)
		}
	}
	if len(c.contests[subject]) == 0 {
		delete(c.contests, subject)
	}
}

// hold is how long a change waits the next time.
func hold(level int, c change.Change) time.Duration {
	longest := maxHold
	if change.KeepsOut(c) {
		longest = maxExposedBy
	}
	return min(longest, firstHold<<min(level-1, 10))
}

// hasten lets what a plan needs to keep initiators out wait no longer than that itself.
func (c *contention) hasten(p plan.Plan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.delayed) == 0 {
		return
	}
	needed := map[plan.StepID]bool{}
	for _, s := range slices.Backward(p.Steps) { // a step comes after those that it needs
		if !needed[s.ID] && !change.KeepsOut(s.Change) {
			continue
		}
		for _, n := range s.Needs {
			needed[n] = true
		}
		if this := c.delayed[whatOf(s)]; this != nil {
			if soon := this.recent[len(this.recent)-1].Add(maxExposedBy); soon.Before(this.next) {
				this.next = soon
			}
		}
	}
}

// isHeld reports whether it is too early to make a change again. Initiators are not interrupted on
// behalf of a Volume while another change of it waits: that may be the one that they are interrupted for.
func (c *contention) isHeld(s plan.Step, now time.Time) bool {
	if s.AtOnce {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.delayed) == 0 {
		return false
	}
	if s.Object.Kind != spec.KindExport && change.KeepsOut(s.Change) {
		for what, this := range c.delayed {
			if what.object == s.Object && now.Before(this.next) {
				return true
			}
		}
		return false
	}
	this := c.delayed[whatOf(s)]
	return this != nil && now.Before(this.next)
}

// forget forgets contests that are over, and those for a declaration that has changed.
func (c *contention) forget(declared spec.Set, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for subject := range c.contests {
		c.drop(subject, func(what contested, this *contest) bool {
			last := this.recent[len(this.recent)-1]
			quiet := max(contendedWithin, 2*this.next.Sub(last))
			return now.Sub(last) > quiet || !sameObject(this.spec, declared.Object(what.object))
		})
	}
}

// next returns when the first change that is held may be made again.
func (c *contention) next(now time.Time) (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var first time.Time
	for _, this := range c.delayed {
		if this.next.After(now) && (first.IsZero() || this.next.Before(first)) {
			first = this.next
		}
	}
	return first, !first.IsZero()
}

// show sets the status of objects whose changes do not last.
func (c *contention) show(objects []status.Object, p plan.Plan, now time.Time) {
	held := c.messages(p, now)
	for i := range objects {
		o := &objects[i]
		message := held[o.ID()]
		if message == "" || o.Phase == status.Blocked || o.Phase == status.Suspended || o.Phase == status.Failed {
			continue
		}
		o.Phase, o.Reason, o.Message = status.Blocked, status.ReasonContended, message
	}
}

// messages says of each object why its first change that is held is.
func (c *contention) messages(p plan.Plan, now time.Time) map[spec.ID]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.delayed) == 0 {
		return nil
	}
	held := map[spec.ID]string{}
	for _, s := range p.Steps {
		this := c.delayed[whatOf(s)]
		if this == nil || !now.Before(this.next) || held[s.Object] != "" {
			continue
		}
		held[s.Object] = fmt.Sprintf("something undoes this change, made %d times: %s. Last writer: %s. It is made again at %s. Stop that program, or change the spec",
			this.made, s.Change, cmp.Or(this.by, "unknown"), this.next.Format(time.TimeOnly))
	}
	return held
}
