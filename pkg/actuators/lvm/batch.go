package lvm

import (
	"context"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// batchSize is how many changes are made together at most. More would hardly be faster, and
// the targets of the first must wait for the last one of their batch, though they
// could be made while LVM is busy with the next.
const batchSize = 20

var _ change.Batcher = (*Actuator)(nil)

// Batch returns how many changes [Actuator.ApplyAll] makes together: creations of thin volumes,
// activations, or removals, in one volume group. See [change.Batcher].
func (a *Actuator) Batch(changes []change.Change) int {
	n := 0
	first, kind := batchable(changes[0])
	for ; n < min(len(changes), batchSize); n++ {
		if lv, k := batchable(changes[n]); k == "" || k != kind || lv.VolumeGroup != first.VolumeGroup {
			break
		}
	}
	return n
}

// batchable returns the logical volume of a change, and a word for what it can be made together
// with; empty: nothing.
func batchable(c change.Change) (change.LV, string) {
	switch c := c.(type) {
	case change.CreateVolume:
		if c.ThinPool != "" {
			return c.LV, "create"
		}
	case change.CloneVolume:
		return c.LV, "create"
	case change.Activate:
		return c.LV, "activate"
	case change.RemoveLV:
		return c.LV, "remove"
	}
	return change.LV{}, ""
}

// ApplyAll makes changes together, see [change.Batcher]. A logical volume is created inactive and
// with its tags, as it would be if the agent died before it activates it: the next pass continues
// there. Those that LVM did not activate are tried once more each, so that each has an error of
// its own.
func (a *Actuator) ApplyAll(ctx context.Context, changes []change.Change) []error {
	if _, removes := changes[0].(change.RemoveLV); removes {
		return a.removeAll(ctx, changes)
	}
	errs := make([]error, len(changes))
	made := make([]inactive, 0, len(changes))
	clears := map[string]bool{}
	for i, c := range changes {
		if errs[i] = ctx.Err(); errs[i] != nil {
			continue
		}
		one := inactive{at: i}
		switch c := c.(type) {
		case change.CreateVolume:
			one.lv, one.tags = c.LV, c.Tags
			errs[i] = a.createInactive(ctx, c, clears)
		case change.CloneVolume:
			one.lv, one.tags = c.LV, c.Tags
			errs[i] = a.cloneInactive(ctx, c)
		case change.Activate:
			one.lv = c.LV
			errs[i] = check(c)
		default:
			errs[i] = a.Apply(ctx, c)
			continue
		}
		if errs[i] == nil {
			made = append(made, one)
		}
	}
	a.activateAll(ctx, made, errs)
	return errs
}

// createInactive creates a thin volume. In a thin pool that does not clear new blocks it is
// activated at once, because LVM then clears the start of it, where somebody else's file system may
// have been.
func (a *Actuator) createInactive(ctx context.Context, c change.CreateVolume, clears map[string]bool) error {
	if err := check(c); err != nil {
		return err
	}
	cleared, known := clears[c.ThinPool]
	if !known {
		var err error
		if cleared, err = observe.ClearsNewBlocks(ctx, a.run, c.VolumeGroup, c.ThinPool); err != nil {
			cleared = false // lvcreate says what is wrong with it
		}
		clears[c.ThinPool] = cleared
	}
	if !cleared {
		return a.createVolume(ctx, c)
	}
	return a.create(ctx, append(createThin(c), "-an"), c.LV, c.Tags, func(now observe.LogicalVolume) bool {
		return now.Type == observe.Thin && now.Pool == c.ThinPool && now.Origin == "" && now.Size >= uint64(c.Size)
	})
}

func (a *Actuator) cloneInactive(ctx context.Context, c change.CloneVolume) error {
	if err := check(c); err != nil {
		return err
	}
	if _, err := a.readOrigin(ctx, clonedBy(c)); err != nil {
		return err
	}
	return a.create(ctx, append(createClone(c), "-an"), c.LV, c.Tags, func(now observe.LogicalVolume) bool {
		return now.Type == observe.Thin && now.Origin == c.Origin
	})
}

// inactive is a logical volume to activate: that of the change at an index. One without a UUID was
// created with tags a moment ago.
type inactive struct {
	at   int
	lv   change.LV
	tags []string
}

// is reports whether a logical volume is the one.
func (i inactive) is(now observe.LogicalVolume) bool {
	if i.lv.UUID != "" {
		return now.UUID == i.lv.UUID
	}
	return now.Marked() && hasTags(now, i.tags)
}

// activateAll activates logical volumes with one command, and sets the errors of those that it
// cannot. It looks afterwards, because LVM does not say what it activated. Those that are not active
// then are tried alone, which says what is wrong with each.
func (a *Actuator) activateAll(ctx context.Context, lvs []inactive, errs []error) {
	if len(lvs) == 0 {
		return
	}
	var now map[string]observe.LogicalVolume
	if where := anyOf(lvs); where != "" && ctx.Err() == nil {
		names := make([]string, len(lvs))
		argv := []string{"lvchange", "-ay", "-K", "-S", where}
		for i, one := range lvs {
			names[i] = one.lv.Name
			argv = append(argv, one.lv.String())
		}
		// After one that it cannot activate LVM continues with the next.
		_, _ = a.lvm(ctx, argv...)
		now, _ = observe.ReadLVs(ctx, a.run, lvs[0].lv.VolumeGroup, names...)
	}
	for _, one := range lvs {
		if lv, found := now[one.lv.Name]; found && lv.Active && one.is(lv) {
			continue
		}
		if errs[one.at] = ctx.Err(); errs[one.at] == nil {
			errs[one.at] = a.activateOne(ctx, one)
		}
	}
}

// anyOf is the condition that a logical volume is one of those that are to be activated, if its name
// is: it has the UUID of one, or the tags that all those have that were just created. It is empty if
// there is no such condition.
func anyOf(lvs []inactive) string {
	var all []string
	common := lvs[0].tags
	for _, one := range lvs {
		if one.lv.UUID != "" {
			all = append(all, hasUUID(one.lv))
			continue
		}
		common = slices.DeleteFunc(slices.Clone(common), func(t string) bool { return !slices.Contains(one.tags, t) })
		if !slices.ContainsFunc(common, func(t string) bool { return strings.HasPrefix(t, ondisk.TagPrefix) }) {
			return "" // somebody else's could have them
		}
	}
	if len(all) < len(lvs) {
		conditions := make([]string, len(common))
		for i, t := range common {
			conditions[i] = hasTag(t)
		}
		all = append(all, "("+strings.Join(conditions, " && ")+")")
	}
	return strings.Join(all, " || ")
}

func (a *Actuator) activateOne(ctx context.Context, one inactive) error {
	if one.lv.UUID == "" && len(one.tags) > 0 {
		now, err := a.readCurrent(ctx, one.lv)
		if err != nil {
			return err
		}
		if !one.is(now) {
			return newStaleError("%s already exists with other properties than requested", one.lv)
		}
		one.lv.UUID = now.UUID
	}
	return a.activate(ctx, change.Activate{LV: one.lv})
}
