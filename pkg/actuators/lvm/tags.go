package lvm

import (
	"context"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
)

func (a *Actuator) setTags(ctx context.Context, c change.SetTags) error {
	if _, err := a.readComplete(ctx, c.LV); err != nil {
		return err
	}
	argv := []string{"lvchange", "-S", hasUUID(c.LV)}
	for _, t := range c.Add {
		argv = append(argv, "--addtag", t)
	}
	for _, t := range c.Remove {
		argv = append(argv, "--deltag", t)
	}
	out, err := a.lvm(ctx, append(argv, c.LV.String())...)
	if err != nil || outputContains(out, "changed") {
		return err
	}
	// Nothing was changed: it is another one, or LVM has changed its words.
	now, err := a.readCurrent(ctx, c.LV)
	if err != nil {
		return err
	}
	if !hasTags(now, c.Add) || slices.ContainsFunc(c.Remove, func(t string) bool { return slices.Contains(now.Tags, t) }) {
		return newStaleError("LVM did not set the tags of %s", c.LV)
	}
	return nil
}
