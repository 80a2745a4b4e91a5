package blockdelta

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/host"
)

// ErrLost means that a snapshot does not know what changed since it was taken: its
// copy-on-write space overflowed, or is not what it should be.
var ErrLost = errors.New("changes since the snapshot are unknown")

// ErrNotThin means that a logical volume is not in a thin pool, which alone knows what was never written.
var ErrNotThin = errors.New("it is not in a thin pool")

// Reader finds out what changed. It is safe for concurrent use.
type Reader struct {
	run host.Runner

	mu    sync.Mutex
	pools map[string]chan struct{} // by device name; whoever puts one in has it
}

// New returns a Reader. Commands run through run.
func New(run host.Runner) *Reader { return &Reader{run: run, pools: map[string]chan struct{}{}} }

// Extents returns where a logical volume may differ from a snapshot, in order and
// without overlaps. Both are named vg/lv. now is the snapshot's origin, or a later
// snapshot of that; it is for the caller to know that.
//
// It includes everything that was written to the origin before the call, and had reached
// the device: nobody must have it in the page cache.
//
// A copy-on-write snapshot must be active; the error is [ErrLost] if it overflowed. Of
// thin ones the pool must be, and thin_delta is needed.
func (r *Reader) Extents(ctx context.Context, since, now string) ([]blockcopy.Extent, error) {
	lvs, err := r.readVolumes(ctx, since, now)
	if err != nil {
		return nil, err
	}
	s, n := lvs[since], lvs[now]
	switch {
	case s.thick:
		return r.thick(ctx, s)
	case s.pool != "" && s.vg == n.vg && s.pool == n.pool:
		return r.thin(ctx, s, n)
	default:
		return nil, fmt.Errorf("%s is not a copy-on-write snapshot, and not in the same thin pool as %s", since, now)
	}
}

// Mapped returns where a thin volume has blocks of its pool, in order and without overlaps; all else reads as
// zeroes. It is named vg/lv, and need not be active; its pool must be. It includes everything that had reached the
// device before the call. It never returns too little, and not nil.
//
// Of a volume that is not thin the error is [ErrNotThin].
func (r *Reader) Mapped(ctx context.Context, lv string) ([]blockcopy.Extent, error) {
	lvs, err := r.readVolumes(ctx, lv)
	if err != nil {
		return nil, err
	}
	v := lvs[lv]
	if v.pool == "" {
		return nil, fmt.Errorf("%s: %w", lv, ErrNotThin)
	}
	mapped, err := r.thin(ctx, v, v)
	if err == nil && mapped == nil {
		mapped = []blockcopy.Extent{}
	}
	return mapped, err
}

// volume is what there is to know of a logical volume.
type volume struct {
	vg, name string
	thick    bool  // a copy-on-write snapshot
	size     int64 // in bytes; of a snapshot what its origin had
	pool     string
	thinID   uint32
}

const fields = "vg_name,lv_name,lv_role,lv_size,origin_size,pool_lv,thin_id"

// readVolumes reads logical volumes, by their names.
func (r *Reader) readVolumes(ctx context.Context, names ...string) (map[string]volume, error) {
	argv := []string{"lvs", "--noheadings", "--nosuffix", "--units", "b", "--separator", "|", "-o", fields}
	out, err := r.run.Run(ctx, append(argv, names...)...)
	if err != nil {
		return nil, err
	}
	lvs := map[string]volume{}
	for line := range strings.Lines(string(out.Stdout)) {
		// LVM prints other lines among them when something is wrong with a device.
		if values := strings.Split(strings.TrimSpace(line), "|"); len(values) == strings.Count(fields, ",")+1 {
			lv, err := parse(values)
			if err != nil {
				return nil, fmt.Errorf("cannot parse the output of lvs: %q: %w", strings.TrimSpace(line), err)
			}
			lvs[lv.vg+"/"+lv.name] = lv
		}
	}
	for _, name := range names {
		if _, ok := lvs[name]; !ok {
			return nil, fmt.Errorf("lvs does not report %s", name)
		}
	}
	return lvs, nil
}

func parse(values []string) (volume, error) {
	role, size, originSize, thinID := strings.Split(values[2], ","), values[3], values[4], values[6]
	lv := volume{vg: values[0], name: values[1], thick: slices.Contains(role, "thicksnapshot"), pool: values[5]}
	if lv.thick {
		size = originSize
	}
	var err error
	if lv.size, err = strconv.ParseInt(size, 10, 64); err != nil || lv.size <= 0 {
		return lv, fmt.Errorf("%q is not a size", size)
	}
	if lv.pool != "" {
		// Identifiers have 24 bits (MAX_DEV_ID in LVM's lib/metadata/thin_manip.c).
		id, err := strconv.ParseUint(thinID, 10, 24)
		if err != nil {
			return lv, fmt.Errorf("%q is not a thin volume ID", thinID)
		}
		lv.thinID = uint32(id)
	}
	return lv, nil
}

// device is the name that device-mapper has for a logical volume, or for a part of one.
func device(vg, name, part string) string {
	double := func(s string) string { return strings.ReplaceAll(s, "-", "--") }
	return double(vg) + "-" + double(name) + part
}
