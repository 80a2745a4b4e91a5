package plan_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

func TestPropertiesMemoryForgetsNothingThatCannotBeSeen(t *testing.T) {
	properties(t, func(t *rapid.T, s scenario) {
		in := s.input
		next := Learned(in.Known, in.Declared, in.Observed)
		owned := map[spec.ID]bool{}
		for _, lv := range s.again().AllLVs() {
			id, _ := lv.Owner()
			owned[id] = true
		}
		for id, was := range in.Known {
			_, seen := in.Observed.VolumeGroups[was.VolumeGroup]
			givenUp := owned[id] && in.Declared.Annotation(id, spec.AnnotationRecreate) == was.UUID
			if id.Kind != spec.KindExport && was.UUID != "" && !seen && !givenUp && next[id].UUID != was.UUID {
				t.Fatalf("%s was %+v, is %+v, though its volume group cannot be seen", id, was, next[id])
			}
			unknown := in.Observed.Unknown[observe.LIO] != nil || in.Observed.Unknown[observe.NVMet] != nil || in.Observed.Unknown[observe.TGT] != nil
			if id.Kind == spec.KindExport && unknown {
				for _, iqn := range was.Targets {
					if !slices.Contains(next[id].Targets, iqn) {
						t.Fatalf("%s was %+v, is %+v, though targets cannot be seen", id, was, next[id])
					}
				}
			}
			if was.Retain && next[id].UUID == was.UUID && !in.Declared.Has(id) && !next[id].Retain {
				t.Fatalf("%s is no longer retained", id)
			}
		}
	})
}

func TestPropertiesNothingIsPutInThePlaceOfWhatVanished(t *testing.T) {
	properties(t, func(t *rapid.T, s scenario) {
		for _, step := range Make(s.input).Steps {
			known := s.input.Known[step.Object].UUID
			if known == "" || !s.input.Declared.Has(step.Object) || s.input.Declared.Annotation(step.Object, spec.AnnotationRecreate) == known {
				continue
			}
			lv, seen := logicalVolumeOf(s.input.Observed, step.Change)
			switch c := step.Change.(type) {
			case change.CreateVolume:
				if !slices.Contains(c.Tags, ondisk.PhaseTag(ondisk.Staged)) {
					t.Fatalf("%s, though %s is known to be %s", step.Change, step.Object, known)
				}
			case change.CreateSnapshot:
				if !slices.Contains(c.Tags, ondisk.TagKind+ondisk.KindSource) {
					t.Fatalf("%s, though %s is known to be %s", step.Change, step.Object, known)
				}
			case change.CreateThinPool:
				t.Fatalf("%s, though %s is known to be %s", step.Change, step.Object, known)
			}
			if lv.Phase() == ondisk.Clearing {
				continue // it was given up before
			}
			if lv.Phase() == ondisk.Superseded || lv.Tag(ondisk.TagKind) == ondisk.KindSource {
				continue // what is left of a move, and of no use
			}
			if seen && lv.Identity() != known && step.Object.Kind != spec.KindPool {
				t.Fatalf("%s, which is %s, though %s is known to be %s", step.Change, lv.UUID, step.Object, known)
			}
		}
	})
}

// That a file has named it apart, what is remembered of data may only keep it from being taken away or covered
// by something new; what is remembered of exports lets sessions be ended, and
// empty directories be removed.
func TestPropertiesMemoryOnlyMakesCareful(t *testing.T) {
	properties(t, func(t *rapid.T, s scenario) {
		in := s.input
		in.MaxDeletions = 1000 // what is retained is not counted
		// What an older agent made is known by memory alone.
		in.Installation.Adopts = append(slices.Clone(in.Installation.Adopts), Unmarked)
		targets := map[spec.ID]Identity{}
		for id, known := range in.Known {
			targets[id] = Identity{Targets: known.Targets, Force: known.Force, Declared: known.Declared}
		}
		with, without, blank := in, in, in
		without.Known, blank.Known = targets, map[spec.ID]Identity{}
		lost, lostWithout := dataSteps(Make(with)), dataSteps(Make(without))
		for c, of := range lost {
			// What a Volume is copied from may be known by memory alone.
			if in.Declared.Volumes[of.Name].Spec.Source != nil && of.Kind == spec.KindVolume && strings.HasPrefix(c, "create ") {
				continue
			}
			if _, too := lostWithout[c]; !too {
				t.Fatalf("%s, only because of what is remembered", c)
			}
		}
		for _, step := range Make(blank).Steps {
			c, removes := step.Change.(change.RemoveTarget)
			if removes && c.Force && in.Declared.Exports[c.Export].Spec.Disconnect != spec.DisconnectForce {
				t.Fatalf("%s ends sessions, and nothing said so", c)
			}
			if !removes {
				continue
			}
			target, _ := in.Observed.Target(c.ID())
			if _, ours := target.Owner(); !ours {
				t.Fatalf("%s, and nothing says whose it is", c)
			}
		}
	})
}

// dataSteps are the changes that take data away or create something in its place, with their
// objects.
func dataSteps(p Plan) map[string]spec.ID {
	all := map[string]spec.ID{}
	for _, step := range p.Steps {
		trash, removal := takesAway(step.Change)
		switch step.Change.(type) {
		case change.CreateVolume, change.CreateThinPool:
			removal = true
		}
		if trash || removal {
			all[step.Change.String()] = step.Object
		}
	}
	return all
}
