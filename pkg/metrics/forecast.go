package metrics

import (
	"cmp"
	"slices"
	"time"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

const (
	// forecastWindow is what a forecast looks back on, and forecastSpan the least that it needs.
	forecastWindow = 6 * time.Hour
	forecastSpan   = 10 * time.Minute
	// forecastEvery is the shortest time between two points that are kept.
	forecastEvery = time.Minute
	// resolution is the part of a size in which LVM reports usage. What grows less seems to grow.
	resolution = 1e-4
)

// point is how much of something was used at a time, in bytes.
type point struct {
	at         time.Time
	used, size float64
}

// fullIn returns the seconds from the last of some points, which are sorted by time, until all is used if
// usage grows as the line does that fits the points best (least squares). It reports false if usage does not
// grow, or the points are too few to tell. It is pure.
func fullIn(points []point) (seconds float64, grows bool) {
	if len(points) < 3 {
		return 0, false
	}
	first, last := points[0], points[len(points)-1]
	span := last.at.Sub(first.at)
	if span < forecastSpan {
		return 0, false
	}
	var meanX, meanY float64
	for _, p := range points {
		meanX += p.at.Sub(first.at).Seconds() / float64(len(points))
		meanY += p.used / float64(len(points))
	}
	var xy, xx float64
	for _, p := range points {
		x := p.at.Sub(first.at).Seconds() - meanX
		xy += x * (p.used - meanY)
		xx += x * x
	}
	slope := xy / xx // bytes per second
	if slope*span.Seconds() <= last.size*resolution {
		return 0, false
	}
	return max(last.size-last.used, 0) / slope, true
}

// usage is what may become full: the data or the metadata of a Pool.
type usage struct{ pool, what string }

// What becomes full.
const (
	whatData     = "data"
	whatMetadata = "metadata"
)

// history is how full the Pools were of late. It is in memory only.
type history struct {
	points map[usage][]point
}

// note adds what a report says, and forgets what is too old, and Pools that are no more. The same as before
// is dated by when all was last read: later passes may only have repeated it.
func (h *history) note(r status.Report) {
	noted := map[usage][]point{}
	note := func(u usage, used, size uint64) {
		points := h.points[u]
		p := point{at: r.Time, used: float64(used), size: float64(size)}
		if n := len(points); n > 0 {
			last := &points[n-1]
			if last.used == p.used {
				p.at = r.ReadAt
			}
			last.size = p.size
			if p.at.Sub(last.at) < forecastEvery {
				noted[u] = points
				return
			}
		}
		old := slices.IndexFunc(points, func(q point) bool { return p.at.Sub(q.at) <= forecastWindow })
		if old < 0 {
			points, old = nil, 0
		}
		noted[u] = append(slices.Clip(points[old:]), p)
	}
	for i := range r.Objects {
		switch p := r.Objects[i].Pool; {
		case p == nil || p.Size == 0:
		case p.UsageUnknown: // for a moment, as after a boot
			for _, what := range []string{whatData, whatMetadata} {
				u := usage{r.Objects[i].Name, what}
				noted[u] = h.points[u]
			}
		default:
			note(usage{r.Objects[i].Name, whatData}, p.Allocated, p.Size)
			if p.MetadataSize > 0 {
				note(usage{r.Objects[i].Name, whatMetadata}, metadataUsed(p), p.MetadataSize)
			}
		}
	}
	h.points = noted
}

// forecast is when something becomes full.
type forecast struct {
	usage
	seconds float64
}

// forecasts returns when what grows becomes full, sorted.
func (h *history) forecasts() []forecast {
	var all []forecast
	for u, points := range h.points {
		if seconds, grows := fullIn(points); grows {
			all = append(all, forecast{u, seconds})
		}
	}
	slices.SortFunc(all, func(a, b forecast) int { return cmp.Or(cmp.Compare(a.pool, b.pool), cmp.Compare(a.what, b.what)) })
	return all
}
