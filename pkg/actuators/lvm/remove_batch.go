package lvm

import (
	"context"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// longestCondition is how long a condition may be in bytes. Tags can be long.
const longestCondition = 16 << 10

// removeAll removes logical volumes with one command, each under the condition under which it would be
// removed alone. Those that are still there afterwards are tried alone, which says what keeps them.
func (a *Actuator) removeAll(ctx context.Context, changes []change.Change) []error {
	errs := make([]error, len(changes))
	var (
		removals []change.RemoveLV
		names    []string
	)
	for i, c := range changes {
		c := c.(change.RemoveLV)
		if errs[i] = check(c); errs[i] == nil {
			removals, names = append(removals, c), append(names, c.Name)
		}
	}
	gone := a.removeTogether(ctx, removals, names)
	for i, c := range changes {
		c := c.(change.RemoveLV)
		if errs[i] != nil || gone(c.LV) {
			continue
		}
		if errs[i] = ctx.Err(); errs[i] == nil {
			errs[i] = a.remove(ctx, c)
		}
	}
	return errs
}

// removeTogether returns which logical volumes are known to be gone after it.
func (a *Actuator) removeTogether(ctx context.Context, removals []change.RemoveLV, names []string) (gone func(change.LV) bool) {
	none := func(change.LV) bool { return false }
	if len(removals) < 2 || ctx.Err() != nil {
		return none
	}
	vg, where := removals[0].VolumeGroup, anyRemovable(removals)
	before, err := observe.ReadLVs(ctx, a.run, vg, names...)
	if err != nil || len(where) > longestCondition {
		return none
	}
	argv := []string{"lvremove", "-y", "-S", where}
	for _, c := range removals {
		now, found := before[c.Name]
		if found && checkComplete(now) != nil {
			return none // of the whole volume group
		}
		if found {
			argv = append(argv, c.LV.String())
		}
	}
	if len(before) == 0 || ctx.Err() != nil {
		return none
	}
	// After one that it cannot remove LVM continues with the next.
	_, _ = a.lvm(ctx, argv...)
	after, err := observe.ReadLVs(ctx, a.run, vg, names...)
	if err != nil {
		return none
	}
	return func(lv change.LV) bool {
		_, found := after[lv.Name]
		return !found
	}
}
