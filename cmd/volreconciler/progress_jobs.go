package main

import (
	"context"
	"fmt"
	"time"

	"github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

// tellEvery is how often a line about a job is printed where no bar can be drawn.
const tellEvery = 10 * time.Second

// follow shows how far the jobs have come that are under way, until one of them ends,
// or wait is over.
func (p *progress) follow(ctx context.Context, loop *reconcile.Loop, wait time.Duration) {
	defer p.redraw(nil)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		node, changed := loop.Status.Report()
		if p.terminal {
			p.redraw(jobLines(node.Objects, columns(p.out)))
		} else {
			p.printLines(node.Objects, time.Now())
		}
		select {
		case <-changed:
		case <-loop.Executor.Freed():
			return
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// jobLines returns a line with a bar for each job, none longer than the terminal is wide:
// what wraps cannot be drawn over.
func jobLines(objects []status.Object, width int) []string {
	var lines []string
	for _, o := range objects {
		if o.Progress == nil {
			continue
		}
		text := oneLine(fmt.Sprintf("%-6s %s: %s, %s", "runs", o.ID(), withBar(true, o.Progress, o.Progress.String()), o.Progress.Summary))
		lines = append(lines, cut(text, width-1))
	}
	return lines
}

// redraw replaces the lines that were drawn before.
func (p *progress) redraw(lines []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	for _, line := range lines {
		_, _ = fmt.Fprintln(p.out, line)
	}
	p.bars = len(lines)
}

// erase takes the bars away, so that something else can be written.
func (p *progress) erase() {
	if p.bars > 0 {
		_, _ = fmt.Fprintf(p.out, "\x1b[%dA\x1b[J", p.bars) // up, and clear all below
		p.bars = 0
	}
}

// printLines prints plain lines about how far jobs have come, now and then.
func (p *progress) printLines(objects []status.Object, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range objects {
		if o.Progress == nil || now.Sub(p.told[o.ID()]) < tellEvery {
			continue
		}
		p.told[o.ID()] = now
		_, _ = fmt.Fprintf(p.out, "%-6s %s: %s\n", "runs", visible(o.ID().String()), oneLine(o.Progress.Summary+": "+o.Progress.String()))
	}
}
