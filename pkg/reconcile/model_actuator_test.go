package reconcile

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// actuator records what it is asked to apply, and fails where it is told to.
type actuator struct {
	mu      sync.Mutex
	applied []string
	fail    map[string]error
	hook    func(change.Change)
}

func (a *actuator) Apply(_ context.Context, c change.Change) error {
	a.mu.Lock()
	hook, err := a.hook, a.fail[c.String()]
	a.applied = append(a.applied, c.String())
	a.mu.Unlock()
	if hook != nil {
		hook(c)
	}
	return err
}

func activate(vg, name string) change.Activate {
	return change.Activate{LV: change.LV{VolumeGroup: vg, Name: name}}
}

// planOf makes a plan of steps that are numbered from 1.
func planOf(steps ...Step) Plan {
	for i := range steps {
		steps[i].ID = StepID(i + 1)
	}
	return Plan{Steps: steps}
}

// copier does jobs: each runs until it is told how to end, or ctx ends.
type copier struct {
	begun chan string

	mu      sync.Mutex
	running map[string]*copying
}

type copying struct {
	end    chan error
	report func(change.Progress)
}

func newCopier() *copier {
	return &copier{begun: make(chan string, 100), running: map[string]*copying{}}
}

func (c *copier) Apply(ctx context.Context, ch change.Change) error {
	lane := strings.TrimPrefix(ch.Lane(), "data/vg0/")
	one := &copying{end: make(chan error), report: func(p change.Progress) { change.Report(ctx, p) }}
	c.mu.Lock()
	if c.running[lane] != nil {
		c.mu.Unlock()
		return errors.New("two jobs of one lane")
	}
	c.running[lane] = one
	c.mu.Unlock()
	c.begun <- lane
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.running, lane)
	}()
	select {
	case err := <-one.end:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *copier) job(lane string) *copying {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running[lane]
}

func fill(name string, size spec.Size) Step {
	return Step{Object: volumeID(name), Change: change.Populate{
		LV: change.LV{VolumeGroup: "vg0", Name: name}, Volume: change.LV{VolumeGroup: "vg0", Name: "from"}, Size: size,
	}}
}
