package blockdelta

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/host"
)

// thin compares the mappings of two thin volumes of a pool, one of which is a snapshot
// of the other, or both of a third. For one and the same it returns what is mapped.
//
// Only one of these runs on a pool at a time. If it must, it continues after ctx has
// ended: the metadata snapshot that it made the pool keep has to be released.
func (r *Reader) thin(ctx context.Context, since, now volume) ([]blockcopy.Extent, error) {
	turn := r.lockOf(device(now.vg, now.pool, ""))
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	type answer struct {
		extents []blockcopy.Extent
		err     error
	}
	answers := make(chan answer, 1)
	go func() {
		defer func() { <-turn }()
		extents, err := r.compare(context.WithoutCancel(ctx), since, now)
		answers <- answer{extents, err}
	}()
	select {
	case a := <-answers:
		return a.extents, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// lockOf returns what whoever works on a pool has, and nobody else.
func (r *Reader) lockOf(pool string) chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pools[pool] == nil {
		r.pools[pool] = make(chan struct{}, 1)
	}
	return r.pools[pool]
}

// compare makes the pool keep a snapshot of its metadata, while the pool is in use, and
// reads that. The kernel commits what it has in memory before (dm_pool_reserve_metadata_snap
// in drivers/md/dm-thin-metadata.c), so every write that was done by then is included.
func (r *Reader) compare(ctx context.Context, since, now volume) (extents []blockcopy.Extent, err error) {
	pool := device(now.vg, now.pool, "-tpool")
	err = r.sendMessage(ctx, pool, "reserve_metadata_snap")
	if isSnapshotHeld(err) {
		// One that was left over by whoever was killed. There is one at most, and it
		// takes space as long as it is there.
		if err = r.sendMessage(ctx, pool, "release_metadata_snap"); err == nil {
			err = r.sendMessage(ctx, pool, "reserve_metadata_snap")
		}
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.sendMessage(ctx, pool, "release_metadata_snap")) }()
	out, err := r.run.Run(ctx, "thin_delta", "-m", "--snap1", id(since), "--snap2", id(now), "/dev/mapper/"+device(now.vg, now.pool, "_tmeta"))
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("%w: required to read the mappings of a thin volume; install the package thin-provisioning-tools", err)
	case err != nil:
		return nil, err
	}
	all := collect(now.size)
	if since.thinID == now.thinID {
		err = parseMapped(out.Stdout, now.thinID, all.add)
	} else {
		err = parseDelta(out.Stdout, since.thinID, now.thinID, all.add)
	}
	if err != nil {
		return nil, fmt.Errorf("thin_delta: %w", err)
	}
	return all.all(), nil
}

func (r *Reader) sendMessage(ctx context.Context, pool, message string) error {
	_, err := r.run.Run(ctx, "dmsetup", "message", pool, "0", message)
	return err
}

// isSnapshotHeld reports whether a pool keeps a copy of its metadata already.
func isSnapshotHeld(err error) bool {
	var cmd *host.CommandError
	return errors.As(err, &cmd) && cmd.ExitCode > 0 && strings.Contains(cmd.Stderr, "Device or resource busy")
}

func id(lv volume) string { return strconv.FormatUint(uint64(lv.thinID), 10) }
