package reconcile

import (
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// logInput logs what is new about what is declared and about what can be read.
func (l *Loop) logInput(declared spec.Set, observed observe.State) {
	if !reflect.DeepEqual(findingTexts(declared.Findings), findingTexts(l.last.Findings)) {
		for _, f := range declared.Findings {
			l.Log.Error(f.Err, "finding", "file", f.File, "line", f.Line, "column", f.Column, "field", f.Path)
		}
		if len(declared.Findings) == 0 {
			l.Log.Info("no findings")
		}
	}
	if !slices.Equal(declared.Warnings, l.last.Warnings) {
		for _, w := range declared.Warnings {
			l.Log.Info("warning: " + w)
		}
	}
	switch err := errors.Join(observed.Err(), observed.Doubtful()); {
	case sameText(err, l.unreadable):
	case err == nil:
		l.Log.Info("every system can be read again")
	default:
		l.Log.Error(err, "part of the system cannot be read; nothing is changed there until it can be")
	}
	l.unreadable = errors.Join(observed.Err(), observed.Doubtful())
}

// stepReporter returns the function that is called with every step as soon as it was tried. settled are
// the objects of which a step corrects a drift.
func (l *Loop) stepReporter(declared spec.Set, observed observe.State, settled map[spec.ID]bool) func(plan.Step, error) {
	return func(s plan.Step, err error) {
		// What destroys data is the end of something declared: a move, a clone.
		drift := settled[s.Object] && s.Danger != plan.Destructive && !isRoutine(s.Change)
		var by *status.Actor
		if err == nil {
			by = l.noteStep(s, declared, observed, drift)
		}
		l.logStep(s, err, drift, by)
		l.countStep(s, err, drift)
		if l.OnStep != nil {
			l.OnStep(s, err)
		}
	}
}

// isRoutine reports whether a change is due from time to time although nobody has changed anything: backups, and the
// tags that say of which snapshots the last ones were made.
func isRoutine(c change.Change) bool {
	if set, is := c.(change.SetTags); is {
		return !slices.ContainsFunc(slices.Concat(set.Add, set.Remove), func(tag string) bool { return !strings.HasPrefix(tag, ondisk.TagBase) })
	}
	return c.System() == observe.Repositories
}

func (l *Loop) logStep(s plan.Step, err error, drift bool, by *status.Actor) {
	log := l.Log.WithValues("object", s.Object.String(), "change", change.Name(s.Change), "what", s.Change.String())
	switch {
	case isStale(err):
		log.Info("stale", "because", err.Error())
	case err != nil:
		log.Error(err, "failed")
	case drift && by != nil:
		log.Info("done", "why", s.Why, "event", "DriftCorrected", "by", by.String(), "actor", by)
	case drift:
		log.Info("done", "why", s.Why, "event", "DriftCorrected")
	default:
		log.Info("done", "why", s.Why)
	}
}

func findingTexts(findings []spec.Finding) []string {
	texts := make([]string, len(findings))
	for i, f := range findings {
		texts[i] = f.Error()
	}
	return texts
}

// sameText reports whether two errors have the same text.
func sameText(a, b error) bool {
	return (a == nil) == (b == nil) && (a == nil || a.Error() == b.Error())
}
