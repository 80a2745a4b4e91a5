package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-logr/logr/funcr"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/reconcile/execute"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/watch"
)

// noEvents are those of a machine on which nothing happens, and which would announce everything.
type noEvents struct{}

func (noEvents) Changed() <-chan struct{}   { return nil }
func (noEvents) Take() []watch.Event        { return nil }
func (noEvents) PhysicalVolumes([]string)   {}
func (noEvents) Status() (s []watch.Status) { return nil }

// remembering is the agent on a machine with n volumes, all as declared, that remembers what it has
// read.
type remembering struct {
	loop     *reconcile.Loop
	machine  *machine
	observer *observe.Observer
	n        int
	wake     chan struct{}
	passed   chan struct{} // receives after each pass
}

func newRemembering(ctx context.Context, n int, dir string) (*remembering, error) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(40) // as the agent does
	}
	m, err := convergedMachine(ctx, n)
	if err != nil {
		return nil, err
	}
	memory, err := reconcile.OpenMemory(filepath.Join(dir, fmt.Sprintf("remembered-%d.json", n)))
	if err != nil {
		return nil, err
	}
	o := observe.New(m)
	o.Remember()
	r := &remembering{n: n, machine: m, observer: o, wake: make(chan struct{}), passed: make(chan struct{}, 100)}
	passEnds := funcr.New(func(_, line string) {
		if strings.Contains(line, `"msg"="pass"`) {
			r.passed <- struct{}{}
		}
	}, funcr.Options{Verbosity: 1})
	r.loop = &reconcile.Loop{
		Source: source(dir, n), Observer: o, Events: noEvents{}, Executor: &execute.Executor{}, Memory: memory,
		Status: &status.Board{}, Log: passEnds, MaxDeletions: 10, Resync: time.Hour, Audit: time.Hour,
	}
	return r, nil
}

// start starts the agent, and returns when it has read everything. On a busy machine that may take
// longer than a pass waits for it.
func (r *remembering) start(ctx context.Context) (err error) {
	go r.loop.Run(ctx, r.wake)
	for range 5 {
		if err = r.finish(ctx); err == nil {
			return nil
		}
	}
	return err
}

// pass starts a pass that may read so many files, and returns when it has ended.
func (r *remembering) pass(ctx context.Context, reads int64) error {
	before := r.machine.reads.Load()
	r.wake <- struct{}{}
	if err := r.finish(ctx); err != nil {
		return err
	}
	if got := r.machine.reads.Load() - before; got > reads {
		return fmt.Errorf("%d files were read, and not at most %d", got, reads)
	}
	return nil
}

func (r *remembering) finish(ctx context.Context) error {
	select {
	case <-r.passed:
	case <-ctx.Done():
		return ctx.Err()
	}
	if node, _ := r.loop.Status.Report(); !node.Converged() || len(node.Objects) != 2*r.n+1 {
		for _, o := range node.Objects {
			if o.Phase != status.Ready {
				return fmt.Errorf("%d objects, not all as declared: %s is %s: %s", len(node.Objects), o.ID(), o.Reason, o.Message)
			}
		}
		return fmt.Errorf("%d objects, not all as declared", len(node.Objects))
	}
	return nil
}

// firstPass is a pass of an agent that has just been started, loading and observing included.
func firstPass(ctx context.Context, n int, dir string) (run, error) {
	var r *remembering
	return func() (int64, error) {
		var err error
		if r, err = newRemembering(ctx, n, dir); err != nil {
			return 0, err
		}
		return 0, r.start(ctx)
	}, nil
}

// rememberedPass is a pass that something started which has changed nothing on the machine.
func rememberedPass(ctx context.Context, n int, dir string) (run, error) {
	return afterFirstPass(ctx, n, dir, 10) // what lies outside of configfs is read each time
}

// driftPass is a pass after something in one target has changed.
func driftPass(ctx context.Context, n int, dir string) (run, error) {
	target := observe.Part(observe.ISCSITarget("iqn.2026-11.io.volreconciler:" + nameOf(n/2)).Path)
	return afterFirstPass(ctx, n, dir, 100, target)
}

func afterFirstPass(ctx context.Context, n int, dir string, reads int64, changed ...observe.Part) (run, error) {
	r, err := newRemembering(ctx, n, dir)
	if err != nil {
		return nil, err
	}
	err = r.start(ctx)
	return func() (int64, error) {
		r.observer.Forget(changed...)
		return 0, r.pass(ctx, reads)
	}, err
}
