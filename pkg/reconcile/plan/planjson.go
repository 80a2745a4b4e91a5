package plan

import (
	"encoding/json"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// planJSON is the machine-readable plan. Its fields are a contract with the users' scripts: fields
// may be added, and none changed.
type planJSON struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Complete   bool             `json:"complete"`
	Findings   []status.Finding `json:"findings"`
	Steps      []stepJSON       `json:"steps"`
	Objects    []status.Object  `json:"objects"`
	Warnings   []warningJSON    `json:"warnings"`
}

type stepJSON struct {
	ID     StepID     `json:"id"`
	Object objectJSON `json:"object"`
	// Type and Change are the change's type and its fields, Summary the same
	// as a sentence.
	Type    string        `json:"type"`
	Change  change.Change `json:"change"`
	Summary string        `json:"summary"`
	Why     string        `json:"why"`
	Needs   []StepID      `json:"needs"`
	Danger  Danger        `json:"danger"`
	Affects []string      `json:"affects"`
}

type warningJSON struct {
	Object  objectJSON `json:"object"`
	Message string     `json:"message"`
}

type objectJSON struct {
	Kind spec.Kind `json:"kind"`
	Name string    `json:"name"`
}

// MarshalJSON returns the plan in its stable form. Lists are never null.
func (p Plan) MarshalJSON() ([]byte, error) {
	out := planJSON{
		APIVersion: spec.APIVersion, Kind: "Plan", Complete: len(p.Findings) == 0,
		Findings: status.Findings(p.Findings), Warnings: []warningJSON{}, Steps: []stepJSON{}, Objects: notNil(p.Objects),
	}
	for _, s := range p.Steps {
		out.Steps = append(out.Steps, stepJSON{
			ID: s.ID, Object: objectJSON{s.Object.Kind, s.Object.Name},
			Type: change.Name(s.Change), Change: s.Change, Summary: s.Change.String(),
			Why: s.Why, Needs: notNil(s.Needs), Danger: s.Danger, Affects: notNil(s.Affects),
		})
	}
	for _, w := range p.Warnings {
		out.Warnings = append(out.Warnings, warningJSON{objectJSON{w.Object.Kind, w.Object.Name}, w.Message})
	}
	return json.Marshal(out)
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
