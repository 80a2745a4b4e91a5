package model

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Actuator records what it should apply, and fails where a test says so.
type Actuator struct {
	mu      sync.Mutex
	Applied []string
	Fail    map[string]error
	Hook    func(change.Change)
}

// Apply records a change, and fails where a test says so.
func (a *Actuator) Apply(_ context.Context, c change.Change) error {
	a.mu.Lock()
	hook, err := a.Hook, a.Fail[c.String()]
	a.Applied = append(a.Applied, c.String())
	a.mu.Unlock()
	if hook != nil {
		hook(c)
	}
	return err
}

// Activate is a change that harms nothing.
func Activate(vg, name string) change.Activate {
	return change.Activate{LV: change.LV{VolumeGroup: vg, Name: name}}
}

// PlanOf makes a plan of steps that are numbered from 1.
func PlanOf(steps ...plan.Step) plan.Plan {
	for i := range steps {
		steps[i].ID = plan.StepID(i + 1)
	}
	return plan.Plan{Steps: steps}
}

// Copier runs jobs: each runs until a test ends it, or ctx ends.
type Copier struct {
	Begun chan string

	mu      sync.Mutex
	running map[string]*copying
}

type copying struct {
	End    chan error
	Report func(change.Progress)
}

// NewCopier returns a copier without jobs.
func NewCopier() *Copier {
	return &Copier{Begun: make(chan string, 100), running: map[string]*copying{}}
}

// Apply runs a job until a test ends it.
func (c *Copier) Apply(ctx context.Context, ch change.Change) error {
	lane := strings.TrimPrefix(ch.Lane(), "data/vg0/")
	one := &copying{End: make(chan error), Report: func(p change.Progress) { change.ReportProgress(ctx, p) }}
	c.mu.Lock()
	if c.running[lane] != nil {
		c.mu.Unlock()
		return errors.New("two jobs of one lane")
	}
	c.running[lane] = one
	c.mu.Unlock()
	c.Begun <- lane
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.running, lane)
	}()
	select {
	case err := <-one.End:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Job returns the job that runs in a lane; nil: none does.
func (c *Copier) Job(lane string) *copying {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running[lane]
}

// Fill is a step with a job.
func Fill(name string, size spec.Size) plan.Step {
	return plan.Step{Object: VolumeID(name), Change: change.Populate{
		LV: change.LV{VolumeGroup: "vg0", Name: name}, Volume: change.LV{VolumeGroup: "vg0", Name: "from"}, Size: size,
	}}
}
