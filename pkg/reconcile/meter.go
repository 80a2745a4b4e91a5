package reconcile

import (
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Meter counts what a [Loop] does. Its methods must not block, and are called from several goroutines at
// once.
type Meter interface {
	// StepTried is called with every step that was tried: whose it is, the type of its change, and what
	// came of it.
	StepTried(object spec.ID, change string, result StepResult)
	// DriftCorrected is called, besides, if a step has corrected what somebody else had changed.
	DriftCorrected(object spec.ID)
	// PassEnded is called with the cost of every pass that has ended; complete is false if a part of the
	// machine could not be read.
	PassEnded(cost status.PassCost, complete bool)
}

// StepResult is what came of a step.
type StepResult string

// The results of steps.
const (
	StepDone   StepResult = "done"
	StepFailed StepResult = "failed" // it is tried again after a back-off
	StepStale  StepResult = "stale"  // planned for a state that had changed since; planned again at once
)

func resultOf(err error) StepResult {
	switch {
	case err == nil:
		return StepDone
	case isStale(err):
		return StepStale
	default:
		return StepFailed
	}
}

// countStep tells the meter of a step.
func (l *Loop) countStep(s plan.Step, err error, drift bool) {
	if l.Meter == nil {
		return
	}
	l.Meter.StepTried(s.Object, change.Name(s.Change), resultOf(err))
	if drift && err == nil {
		l.Meter.DriftCorrected(s.Object)
	}
}
