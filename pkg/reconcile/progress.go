package reconcile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Progress is how far a job has come. Sizes are in bytes.
type Progress struct {
	// Type is the job's, and Summary the same as a sentence, as in plans.
	Type    string `json:"type"`
	Summary string `json:"summary"`
	// Waiting is true while other jobs must end first.
	Waiting bool   `json:"waiting,omitempty"`
	Done    uint64 `json:"done"`
	// Total is 0 if it is not known.
	Total uint64 `json:"total"`
	// Rate is in bytes per second, of late.
	Rate uint64 `json:"rate"`
	// LeftSeconds is the time until it ends at that rate; 0: not known.
	LeftSeconds int64 `json:"leftSeconds,omitempty"`

	object spec.ID
}

// Percent returns how much of a job is done, rounded down; false: it is not known.
func (p Progress) Percent() (int, bool) {
	if p.Total == 0 {
		return 0, false
	}
	return int(100 * (float64(min(p.Done, p.Total)) / float64(p.Total))), true
}

// String says it in a few words, without the job: "42%, 1.2GiB/s, 3m left".
func (p Progress) String() string {
	if p.Waiting {
		return "waits for other jobs to end"
	}
	var words []string
	if percent, known := p.Percent(); known {
		words = append(words, fmt.Sprintf("%d%%", percent))
	} else {
		words = append(words, amount(p.Done)+" done")
	}
	if p.Rate > 0 {
		words = append(words, amount(p.Rate)+"/s")
	}
	if p.LeftSeconds > 0 {
		words = append(words, leftOf(time.Duration(p.LeftSeconds)*time.Second)+" left")
	}
	return strings.Join(words, ", ")
}

// amount returns a number of bytes as users read it.
func amount(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	size, unit := float64(n), 0
	for size >= 1024 && unit < len(units)-1 {
		size, unit = size/1024, unit+1
	}
	if unit == 0 || size >= 100 {
		return fmt.Sprintf("%.0f%s", size, units[unit])
	}
	return fmt.Sprintf("%.1f%s", size, units[unit])
}

// leftOf returns a time in the units that say enough.
func leftOf(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Round(time.Minute).Minutes()))
	default:
		return fmt.Sprintf("%dh", int(d.Round(time.Hour).Hours()))
	}
}

// tellEvery is how often a job's progress is shown at most. Every time wakes all that
// watch.
const tellEvery = time.Second

// tellProgress makes tell learn how far jobs have come, by lane, from several goroutines at
// once; nil: the job has ended.
func (x *Executor) tellProgress(tell func(lane string, p *Progress)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.jobs.tell = tell
}

// progress tells how far a job has come, unless that was told just now.
func (x *Executor) progress(j *job, p change.Progress) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now
	if x.jobs.now != nil {
		now = x.jobs.now
	}
	t := now()
	if x.jobs.tell == nil || j.ended || !j.told.IsZero() && t.Sub(j.told) < tellEvery {
		return
	}
	j.told = t
	x.jobs.tell(j.lane(), &Progress{
		Type: change.Name(j.change), Summary: j.change.String(), object: j.step.Object,
		Done: p.Done, Total: p.Total, Rate: p.Rate, LeftSeconds: int64(p.Left.Round(time.Second).Seconds()),
	})
}

// waitsForSlot tells that a job waits for others. Progress is told at once after it.
func (x *Executor) waitsForSlot(j *job) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.jobs.tell != nil && j.queued {
		x.jobs.tell(j.lane(), &Progress{
			Type: change.Name(j.change), Summary: j.change.String(), object: j.step.Object,
			Waiting: true, Total: j.change.Bytes(),
		})
	}
}

// progressed takes in how far the job of a lane has come. That it ended is shown by
// the pass that follows.
func (s *Status) progressed(lane string, p *Progress) {
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
	// It is shown when somebody asks: there may be as many jobs as objects, and to show it
	// is work for each object.
	s.outdated = true
	s.wake()
}

// withProgress returns objects with how far their jobs have come. It is pure.
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
		i, there := places[p.object]
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
