package dashboard

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// How full a pool is before the pages point it out, in per cent of its data or metadata.
const (
	fillingUp  = 80
	nearlyFull = 95
)

// pool is a Pool with what is in it, in bytes.
type pool struct {
	Name  string
	Phase status.Phase
	status.Pool
	// UsedPercent is how full it is; of a thin pool its data, or its metadata if that is fuller.
	UsedPercent float64
	// Volumes, Snapshots and Trash are what is allocated to each. In a thin pool blocks that several
	// share are in each of them.
	Volumes, Snapshots, Trash usage
	Bars                      []bar
}

// usage is what some volumes take.
type usage struct {
	Count int
	Bytes uint64
	// Unknown are those of which LVM does not report it: inactive thin volumes.
	Unknown int
}

// describe is as in "9Gi in 2 volumes, 1 of them unknown".
func (u usage) describe(noun string) string {
	switch u.Unknown {
	case 0:
		return formatBytes(u.Bytes) + " in " + count(u.Count, noun)
	case u.Count:
		return "unknown, " + count(u.Count, noun)
	}
	return formatBytes(u.Bytes) + " in " + count(u.Count, noun) + ", " + digits(u.Unknown) + " of them unknown"
}

// Unknown is how many inactive thin volumes there are.
func (p pool) Unknown() int { return p.Volumes.Unknown + p.Snapshots.Unknown + p.Trash.Unknown }

// bar is one line of the drawing of a pool.
type bar struct {
	Name string
	// Class is how it is drawn.
	Class string
	// Width and Mark are in thousandths of the drawing. Mark is the size of the pool; 0: it is at the end.
	Width, Mark int
	Text        string
}

// Pressure says in words that there is little room; empty: there is enough, or nobody knows.
func (p pool) Pressure() string {
	switch {
	case p.UsedPercent >= nearlyFull:
		return "Nearly full"
	case p.UsedPercent >= fillingUp:
		return "Filling up"
	}
	return ""
}

// Marked reports whether the drawing has a line at the size of the pool.
func (p pool) Marked() bool {
	return slices.ContainsFunc(p.Bars, func(b bar) bool { return b.Mark > 0 })
}

// what is full: data or metadata of a thin pool, or the volume group.
func (p pool) what() string {
	switch {
	case p.ThinPool == "":
		return "volume group " + p.VolumeGroup
	case p.MetadataPercent > p.DataPercent:
		return "metadata of thin pool " + p.VolumeGroup + "/" + p.ThinPool
	}
	return "thin pool " + p.VolumeGroup + "/" + p.ThinPool
}

// warning says that there is little room.
func (p pool) warning() string {
	return fmt.Sprintf("Pool/%s: %s of the %s is used. Extend it, or delete what is no longer needed", p.Name, formatPercent(p.UsedPercent), p.what())
}

func poolsPage(k known, _ *http.Request) view { return ok("Pools", poolsOf(k.report.Objects)) }

// poolsOf returns the Pools that exist, in the order of their names.
func poolsOf(objects []status.Object) (pools []pool) {
	place := map[string]int{}
	for i := range objects {
		if o := &objects[i]; o.Pool != nil {
			place[o.Name] = len(pools)
			pools = append(pools, pool{Name: o.Name, Phase: o.Phase, Pool: *o.Pool, UsedPercent: usedPercent(*o.Pool)})
		}
	}
	for i := range objects {
		o := &objects[i]
		v := volumeOf(o)
		if v == nil {
			continue
		}
		if at, known := place[v.Pool]; known {
			pools[at].add(o.Kind, v)
		}
	}
	for i := range pools {
		pools[i].Bars = barsOf(pools[i])
	}
	return pools
}

func usedPercent(p status.Pool) float64 {
	switch {
	case p.UsageUnknown || p.Size == 0:
		return 0
	case p.ThinPool != "":
		return max(p.DataPercent, p.MetadataPercent)
	}
	return 100 * float64(p.Size-min(p.Free, p.Size)) / float64(p.Size)
}

func (p *pool) add(kind spec.Kind, v *status.Volume) {
	into := &p.Volumes
	switch {
	case !v.DeletedAt.IsZero():
		into = &p.Trash
	case kind == spec.KindSnapshot:
		into = &p.Snapshots
	}
	into.Count++
	into.Bytes += v.Allocated
	if p.ThinPool != "" && !v.Active && v.Allocated == 0 {
		into.Unknown++
	}
}

// allocated is how much of the pool is in use, by whomever; false: nobody knows.
func (p pool) allocated() (uint64, bool) {
	switch {
	case p.UsageUnknown:
		return 0, false
	case p.ThinPool != "":
		return uint64(float64(p.Size) * p.DataPercent / 100), true
	}
	return p.Size - min(p.Free, p.Size), true
}

// barsOf draws a pool. All bars have one scale: the size, or what is provisioned if that is more.
func barsOf(p pool) (bars []bar) {
	scale := max(p.Size, p.Provisioned, p.ProvisionedAfter, p.Volumes.Bytes, p.Snapshots.Bytes, p.Trash.Bytes)
	if scale == 0 {
		return nil
	}
	of := func(n uint64) int { return int(1000 * (float64(n) / float64(scale))) }
	mark := of(p.Size)
	if mark >= 1000 {
		mark = 0
	}
	draw := func(name, class string, n uint64, text string) {
		bars = append(bars, bar{Name: name, Class: class, Width: visibleWidth(n, of(n)), Mark: mark, Text: text})
	}
	share := func(n uint64) string {
		if p.Size == 0 {
			return formatBytes(n)
		}
		return formatBytes(n) + " (" + formatPercent(100*float64(n)/float64(p.Size)) + ")"
	}
	if used, known := p.allocated(); known {
		draw("Allocated", pressureClass(100*float64(used)/float64(max(p.Size, 1))), used, share(used))
	}
	if p.ThinPool != "" {
		draw("Provisioned", "provisioned", p.Provisioned, share(p.Provisioned))
		if p.ProvisionedAfter != p.Provisioned {
			draw("Provisioned after the plan", "provisioned", p.ProvisionedAfter, share(p.ProvisionedAfter))
		}
	}
	for _, part := range []struct {
		name, class, noun string
		usage
	}{{"Volumes", "volumes", "volume", p.Volumes}, {"Snapshots", "snapshots", "snapshot", p.Snapshots}, {"Trash", "trash", "object", p.Trash}} {
		draw(part.name, part.class, part.Bytes, part.describe(part.noun))
	}
	if p.ThinPool != "" && !p.UsageUnknown {
		bars = append(bars, bar{Name: "Metadata", Class: pressureClass(p.MetadataPercent), Width: tenths(p.MetadataPercent), Text: formatPercent(p.MetadataPercent) + " of its own area"})
	}
	return bars
}

// visibleWidth is a width that can be seen if there is anything.
func visibleWidth(n uint64, width int) int {
	if n > 0 {
		return max(width, 4)
	}
	return 0
}

func pressureClass(percent float64) string {
	switch {
	case percent >= nearlyFull:
		return "full"
	case percent >= fillingUp:
		return "filling"
	}
	return "used"
}
