package plan

import (
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// StepID numbers the steps of one plan, from 1; 0 is no step.
type StepID int

// Danger says whom or what a step can hurt.
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
	// Needs are the steps that must have succeeded before. They come earlier
	// in the plan.
	Needs  []StepID
	Danger Danger
	// Why is the reason, as a clause: "not there", "spec asks for 20Gi".
	Why string
	// Affects names who notices: connected initiators, holders of the device.
	Affects []string
	// AtOnce is true if it is not held although its object is: without it nobody can use what the
	// last attempt took from its users for a moment.
	AtOnce bool
}

// Plan is what has to change, and the status of every object before it does.
// Steps are in an order in which they can be applied one by one.
type Plan struct {
	Steps []Step
	// Objects holds every object that is desired or exists as ours, sorted by
	// kind and name.
	Objects []status.Object
	// Warnings are what somebody may want to do otherwise before the plan is carried out, in the
	// order of objects.
	Warnings []Warning
	// Findings are what is wrong with the input; while there are any, nothing
	// is deleted or unexported.
	Findings []spec.Finding
	// TookOver are those of [Installation.TakesOver] of which nothing is left that could be taken
	// over.
	TookOver []string
	// KeepJobs is true if the plan was made without seeing all of the machine: that it
	// has no step for a job does not mean that the job is not wanted any more.
	KeepJobs bool
}

// Warning is what an edit of an object leads to that may not be meant.
type Warning struct {
	Object  spec.ID
	Message string
}

// Finds adds what is wrong besides.
func (p *Plan) Finds(err error) {
	p.Findings = append(slices.Clone(p.Findings), spec.Finding{Err: err})
}

// Empty reports whether there is nothing to do.
func (p Plan) Empty() bool { return len(p.Steps) == 0 }
