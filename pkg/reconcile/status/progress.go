package status

import (
	"fmt"
	"strings"
	"time"

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
	// Rate is the recent rate, in bytes per second.
	Rate uint64 `json:"rate"`
	// LeftSeconds is the time until it ends at that rate; 0: unknown.
	LeftSeconds int64 `json:"leftSeconds,omitempty"`

	// Object is whose job it is.
	Object spec.ID `json:"-"`
}

// Percent returns how much of a job is done, rounded down; false: unknown.
func (p Progress) Percent() (int, bool) {
	if p.Total == 0 {
		return 0, false
	}
	return int(100 * (float64(min(p.Done, p.Total)) / float64(p.Total))), true
}

// String says it in a few words, without the job: "42%, 1.2GiB/s, 3m left".
func (p Progress) String() string {
	if p.Waiting {
		return "waiting for other jobs to end"
	}
	var words []string
	if percent, known := p.Percent(); known {
		words = append(words, fmt.Sprintf("%d%%", percent))
	} else {
		words = append(words, formatBytes(p.Done)+" done")
	}
	if p.Rate > 0 {
		words = append(words, formatBytes(p.Rate)+"/s")
	}
	if p.LeftSeconds > 0 {
		words = append(words, formatDuration(time.Duration(p.LeftSeconds)*time.Second)+" left")
	}
	return strings.Join(words, ", ")
}

// formatBytes returns a number of bytes as users read it.
func formatBytes(n uint64) string {
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

// formatDuration returns a time in the units that say enough.
func formatDuration(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Round(time.Minute).Minutes()))
	default:
		return fmt.Sprintf("%dh", int(d.Round(time.Hour).Hours()))
	}
}
