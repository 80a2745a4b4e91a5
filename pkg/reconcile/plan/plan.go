package plan

import (
	"slices"
	"time"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// StepID numbers the steps of one plan, from 1; 0 is no step.
type StepID int

// Danger says what a step can harm.
type Danger string

// The dangers, from harmless to final.
const (
	Harmless    Danger = "none"
	Disruptive  Danger = "disruptive"  // an initiator loses something it could reach
	Destructive Danger = "destructive" // data is gone afterwards
)

// Step is one change, on behalf of one object.
type Step struct {
	ID     StepID
	Object spec.ID
	Change change.Change
	// Needs are the steps that must have succeeded before. They are earlier in the plan.
	Needs  []StepID
	Danger Danger
	// Why is the reason, as a clause: "not there", "spec asks for 20Gi".
	Why string
	// Affects are those who notice: connected initiators, holders of the device.
	Affects []string
	// AtOnce is true if the step is applied although its object is backing off: without it nobody
	// can use what the last attempt took from initiators for a moment.
	AtOnce bool
}

// Plan is what has to change, and the status of every object before it does.
// Steps are in an order in which they can be applied one by one.
type Plan struct {
	Steps []Step
	// Objects are the statuses of all objects that are declared or exist as ours, sorted by kind
	// and name.
	Objects []status.Object
	// Warnings are what somebody may want to change before the plan is applied, in the order of
	// objects.
	Warnings []Warning
	// Findings are errors in the input; while there are any, nothing is deleted or unexported.
	Findings []spec.Finding
	// Adopted are those of [Installation.Adopts] of which nothing is left to adopt.
	Adopted []string
	// Due is when the first object leaves the trash; zero: none does, or nobody knows when.
	Due time.Time
	// Wake is when the next snapshot of a schedule is due; zero: none is.
	Wake time.Time
	// KeepJobs is true if the plan was made without seeing all of the machine: a job without a
	// step may still be needed.
	KeepJobs bool
}

// Warning is a consequence of an edit that may not be intended.
type Warning struct {
	Object  spec.ID
	Message string
}

// AddFinding adds an error.
func (p *Plan) AddFinding(err error) {
	p.Findings = append(slices.Clone(p.Findings), spec.Finding{Err: err})
}

// Empty reports whether there is nothing to do.
func (p Plan) Empty() bool { return len(p.Steps) == 0 }
