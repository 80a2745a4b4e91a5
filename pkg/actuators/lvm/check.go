package lvm

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// What LVM takes as names, tags and UUIDs (lvm(8), "VALID NAMES" and "TAGS"). No name or UUID
// can be taken for an option or ends a condition that it is put into. A tag may be
// somebody else's, whose volume moves or is reverted: it may begin with a hyphen, which LVM takes where an option
// asks for a tag, and in conditions it is quoted, see [hasTag].
var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9_+.][A-Za-z0-9_+.-]*$`)
	tagForm  = regexp.MustCompile(`^[A-Za-z0-9_+./=!:#&-]+$`)
	uuidForm = regexp.MustCompile(`^[A-Za-z0-9]{6}(-[A-Za-z0-9]{4}){5}-[A-Za-z0-9]{6}$`)
)

// check refuses changes that LVM could take for something else than is meant,
// and those that lack the UUID of what they change.
func check(c change.Change) error {
	var (
		errs  []error
		names = func(names ...string) { errs = append(errs, checkForm(nameForm, "name", names...)) }
		tags  = func(tags ...string) { errs = append(errs, checkForm(tagForm, "tag", tags...)) }
		made  = func(by []string) {
			tags(by...)
			if !slices.ContainsFunc(by, func(t string) bool { return strings.HasPrefix(t, ondisk.TagPrefix) }) {
				errs = append(errs, errors.New("the volume would have no identifying tag"))
			}
		}
		known = func(lv change.LV) {
			names(lv.VolumeGroup, lv.Name)
			errs = append(errs, checkForm(uuidForm, "UUID", lv.UUID))
		}
		ours = func(lv change.LV, by []string) {
			known(lv)
			tags(by...)
			if len(by) == 0 {
				errs = append(errs, errors.New("the volume would have no identifying tags"))
			}
		}
	)
	switch c := c.(type) {
	case change.CreateThinPool:
		names(c.VolumeGroup, c.Name)
		made(c.Tags)
	case change.CreateVolume:
		names(c.VolumeGroup, c.Name)
		if c.ThinPool != "" {
			names(c.ThinPool)
		}
		made(c.Tags)
	case change.CreateSnapshot:
		names(c.VolumeGroup, c.Name, c.Origin)
		if c.OriginUUID != "" {
			known(originOf(c))
		}
		made(c.Tags)
	case change.CloneVolume:
		names(c.VolumeGroup, c.Name)
		known(clonedBy(c))
		made(c.Tags)
	case change.GrowThinPool:
		known(c.LV)
	case change.GrowVolume:
		names(c.VolumeGroup, c.Name)
		if c.UUID != "" {
			known(c.LV)
		}
	case change.GrowSnapshot:
		known(c.LV)
	case change.SetTags:
		known(c.LV)
		tags(c.Add...)
		tags(c.Remove...)
	case change.Activate:
		names(c.VolumeGroup, c.Name)
		if c.UUID != "" {
			known(c.LV)
		}
	case change.Rename:
		known(c.LV)
		names(c.To)
	case change.Deactivate:
		known(c.LV)
	case change.SplitSnapshot:
		known(c.LV)
	case change.StartClearing:
		ours(c.LV, c.Tags)
	case change.RemoveLV:
		ours(c.LV, c.Tags)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cannot %s: %w", c, err)
	}
	return nil
}

func checkForm(want *regexp.Regexp, what string, values ...string) error {
	for _, v := range values {
		if !want.MatchString(v) {
			return fmt.Errorf("%q is not a %s accepted by LVM", v, what)
		}
	}
	return nil
}
