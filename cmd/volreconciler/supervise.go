package main

import (
	"fmt"
	"strings"

	"github.com/go-logr/logr"

	"github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/service"
)

// supervised tells systemd how the loop is.
type supervised struct {
	*service.Manager
	board *status.Board
}

// Passed is that of [reconcile.Supervisor].
func (s supervised) Passed() {
	report, _ := s.board.Report()
	s.Manager.Passed(summary(report))
}

// supervise has systemd, if it started the agent, know how the loop is.
func supervise(loop *reconcile.Loop, log logr.Logger) *service.Manager {
	manager, err := service.New(func(err error) { log.Error(err, "cannot tell systemd how the agent is; it may restart the agent") })
	if err != nil {
		log.Error(err, "systemd does not restart the agent if it hangs")
	}
	loop.Supervisor = supervised{manager, loop.Status}
	return manager
}

// summary returns a report in one line, without anything that changes in each pass.
func summary(r status.Report) string {
	phases := map[status.Phase]int{}
	for _, o := range r.Objects {
		phases[o.Phase]++
	}
	var parts []string
	for _, phase := range byUrgency {
		if n := phases[phase]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, phase))
		}
	}
	text := "no objects"
	if len(parts) > 0 {
		text = count(len(r.Objects), "object") + ": " + strings.Join(parts, ", ")
	}
	if len(r.Findings) > 0 {
		text += "; " + count(len(r.Findings), "finding") + ", see volreconciler get"
	}
	return text
}
