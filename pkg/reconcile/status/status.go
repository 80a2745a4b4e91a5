package status

import (
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Report is what the last pass found, as `get` and the HTTP interface show it.
type Report struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"` // Status
	// Generation is the number of reports that differed from the one before; 0: nothing is known
	// yet.
	Generation int64 `json:"generation"`
	// ObservedRevision names the content of the spec files that the last pass read, see [spec.Set].
	ObservedRevision string `json:"observedRevision,omitempty"`
	// Time is when the last pass ended; zero during the first one.
	Time     time.Time `json:"time"`
	LastPass PassCost  `json:"lastPass"`
	// Sources are which changes of the machine are announced, and ReadAt is when all of it was last
	// read.
	Sources []Source  `json:"sources,omitempty"`
	ReadAt  time.Time `json:"readAt,omitzero"`
	// AuditMisses is how often reading everything has found something that was not announced.
	AuditMisses int `json:"auditMisses"`
	// Warnings are about the node itself: what may do harm there.
	Warnings []string  `json:"warnings,omitempty"`
	Findings []Finding `json:"findings"`
	Objects  []Object  `json:"objects"`
}

// Object returns the status of an object. It reports false if there is none. The objects
// must be all of a report, which are sorted.
func (r Report) Object(id spec.ID) (Object, bool) {
	i, found := slices.BinarySearchFunc(r.Objects, id, func(o Object, id spec.ID) int { return spec.CompareIDs(o.ID(), id) })
	if !found {
		return Object{}, false
	}
	return r.Objects[i], true
}

// Source is a part of the machine whose changes the kernel may announce.
type Source struct {
	// Name is configfs, lvm or devices.
	Name string `json:"name"`
	// Watching is true if its changes are announced. Otherwise the machine is read again and again.
	Watching bool `json:"watching"`
	// Why says what is missing.
	Why string `json:"why,omitempty"`
}

// PassCost is what a pass cost.
type PassCost struct {
	Seconds float64 `json:"seconds"`
	// Processes is the number of processes that it started.
	Processes int64 `json:"processes"`
}

// Finding is a [spec.Finding] as it is shown.
type Finding struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
}

// Converged reports whether everything is as declared. Objects in the trash are: they only have to
// wait.
func (r Report) Converged() bool {
	return len(r.Findings) == 0 && !slices.ContainsFunc(r.Objects, func(o Object) bool {
		return o.Phase != Ready && o.Phase != Orphaned && o.Phase != Suspended && o.Reason != ReasonInTrash &&
			(o.Phase != Foreign || o.Reason != ReasonNotDeclared)
	})
}

// Board holds the report of the last pass. It is for concurrent use; the zero
// value is ready.
type Board struct {
	mu      sync.Mutex
	report  Report
	changed chan struct{}
	// node are the warnings about the node that no pass withdraws.
	node []string
	// objects are the report's without the progress of jobs, and jobs is that progress, by lane.
	objects []Object
	jobs    map[string]Progress
	// outdated is true if the report does not show all progress.
	outdated bool
	fresh    freshness
	history  history
}

// Report returns the last report, and a channel that is closed when there is
// another one.
func (s *Board) Report() (Report, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outdated {
		s.setReport(s.objects, s.report.Findings, time.Now())
	}
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.report, s.changed
}

// wake wakes those who wait for another report.
func (s *Board) wake() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// SetNodeWarnings sets the warnings about the node. It is called before the first pass.
func (s *Board) SetNodeWarnings(warnings []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.node, s.report.Warnings = warnings, warnings
}

// SetWarnings sets the warnings of the present pass, which follow those about the node.
func (s *Board) SetWarnings(warnings []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Concat(s.node, warnings)
	if slices.Equal(all, s.report.Warnings) {
		return
	}
	s.report.Warnings = all
	if s.report.Generation > 0 {
		s.report.Generation++
		s.wake()
	}
}

// Announce shows what a pass is about to do: a first convergence may take minutes, and readers
// should see progress in that time.
func (s *Board) Announce(objects []Object, findings []Finding, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setReport(objects, findings, now)
}

// Publish makes the outcome of a pass the report.
func (s *Board) Publish(objects []Object, findings []Finding, cost PassCost, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Time, s.report.LastPass = now, cost
	s.setReport(objects, findings, now)
}

// setReport replaces the report, and wakes readers if it differs.
func (s *Board) setReport(objects []Object, findings []Finding, now time.Time) {
	s.objects, s.outdated = objects, false
	objects = withProgress(objects, s.jobs)
	before := placesIn(s.report.Objects)
	for i := range objects {
		o := &objects[i]
		o.Since = now
		if n, existed := before(i, o.ID()); existed {
			if old := &s.report.Objects[n]; old.Phase == o.Phase && old.Reason == o.Reason {
				o.Since = old.Since
			}
		}
	}
	if s.report.Generation > 0 && reflect.DeepEqual(objects, s.report.Objects) && reflect.DeepEqual(findings, s.report.Findings) {
		return
	}
	s.history.add(edges(s.report.Objects, objects, s.report.Generation == 0, now), now)
	s.report.APIVersion, s.report.Kind = spec.APIVersion, "Status"
	s.report.Generation++
	s.report.Objects, s.report.Findings = objects, findings
	s.wake()
}

// placesIn returns a function that finds the position of an object in a list. It tries the
// expected position first: from one report to the next few objects are added or removed.
func placesIn(objects []Object) func(expected int, id spec.ID) (int, bool) {
	var places map[spec.ID]int
	return func(expected int, id spec.ID) (int, bool) {
		if expected < len(objects) && objects[expected].ID() == id {
			return expected, true
		}
		if places == nil {
			places = make(map[spec.ID]int, len(objects))
			for n := range objects {
				places[objects[n].ID()] = n
			}
		}
		n, there := places[id]
		return n, there
	}
}

// Ready returns the objects that the last report calls Ready.
func (s *Board) Ready() map[spec.ID]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ready := make(map[spec.ID]bool, len(s.report.Objects))
	for i := range s.report.Objects {
		o := &s.report.Objects[i]
		ready[o.ID()] = o.Phase == Ready
	}
	return ready
}

// Findings returns findings in the form in which they are shown.
func Findings(findings []spec.Finding) []Finding {
	shown := []Finding{}
	for _, f := range findings {
		shown = append(shown, Finding{File: f.File, Line: f.Line, Column: f.Column, Path: f.Path, Message: f.Err.Error()})
	}
	return shown
}

// SetProgress sets the progress of the job of a lane; nil: it has ended, and the next pass shows
// that.
func (s *Board) SetProgress(lane string, p *Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p == nil {
		delete(s.jobs, lane)
		return
	}
	if s.jobs == nil {
		s.jobs = map[string]Progress{}
	}
	s.jobs[lane] = *p
	if s.report.Generation == 0 {
		return
	}
	// The report is updated when somebody reads it: there may be as many jobs as objects, and
	// an update takes work for each object.
	s.outdated = true
	s.wake()
}

// withProgress returns objects with the progress of their jobs. It is pure.
func withProgress(objects []Object, jobs map[string]Progress) []Object {
	objects = slices.Clone(objects)
	if len(jobs) == 0 {
		return objects
	}
	places := make(map[spec.ID]int, len(objects))
	for i := range objects {
		places[objects[i].ID()] = i
	}
	for _, lane := range slices.Sorted(maps.Keys(jobs)) {
		p := jobs[lane]
		i, there := places[p.Object]
		if !there || objects[i].Progress != nil {
			continue // the first of several will do
		}
		o := &objects[i]
		o.Progress = &p
		if o.Phase == Progressing || o.Phase == Deleting {
			o.Message = p.Summary + ": " + p.String()
		}
	}
	return objects
}
