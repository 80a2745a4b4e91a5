package reconcile

import (
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
	mu       sync.Mutex
	contests map[contested]*contest
}

// contested is what is changed again and again.
type contested struct {
	object spec.ID
	change string
}

type contest struct {
	made []time.Time // of late, the oldest first
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
	if _, isJob := s.Change.(change.Job); isJob {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.contests == nil {
		c.contests = map[contested]*contest{}
	}
	what := contested{s.Object, s.Change.String()}
	this := c.contests[what]
	if this == nil {
		this = &contest{spec: declared}
		c.contests[what] = this
	}
	this.made = append(this.made, now)
	if by != "" {
		this.by = by
	}
	recent := slices.DeleteFunc(slices.Clone(this.made), func(at time.Time) bool { return now.Sub(at) > contendedWithin })
	if len(recent) >= contendedTimes || this.level > 0 {
		this.level++
		this.next = now.Add(hold(this.level, s.Change))
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

// isHeld reports whether it is too early to make a change again.
func (c *contention) isHeld(s plan.Step, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	this := c.contests[contested{s.Object, s.Change.String()}]
	return this != nil && now.Before(this.next) && !s.AtOnce
}

// forget forgets contests that are over, and those for a declaration that has changed.
func (c *contention) forget(declared spec.Set, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for what, this := range c.contests {
		last := this.made[len(this.made)-1]
		quiet := max(contendedWithin, 2*this.next.Sub(last))
		if now.Sub(last) > quiet || !sameObject(this.spec, declared.Object(what.object)) {
			delete(c.contests, what)
		}
	}
}

// next returns when the first change that is held may be made again.
func (c *contention) next(now time.Time) (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var first time.Time
	for _, this := range c.contests {
		if this.next.After(now) && (first.IsZero() || this.next.Before(first)) {
			first = this.next
		}
	}
	return first, !first.IsZero()
}

// show sets the status of objects whose changes do not last.
func (c *contention) show(objects []status.Object, p plan.Plan, now time.Time) {
	held := map[spec.ID]string{}
	c.mu.Lock()
	for _, s := range p.Steps {
		this := c.contests[contested{s.Object, s.Change.String()}]
		if this == nil || !now.Before(this.next) || held[s.Object] != "" {
			continue
		}
		by := "unknown"
		if this.by != "" {
			by = this.by
		}
		held[s.Object] = fmt.Sprintf("something undoes this change, made %d times: %s. Last writer: %s. It is made again at %s. Stop that program, or change the spec",
			len(this.made), s.Change, by, this.next.Format(time.TimeOnly))
	}
	c.mu.Unlock()
	for i := range objects {
		o := &objects[i]
		message := held[o.ID()]
		if message == "" || o.Phase == status.Blocked || o.Phase == status.Suspended || o.Phase == status.Failed {
			continue
		}
		o.Phase, o.Reason, o.Message = status.Blocked, status.ReasonContended, message
	}
}
