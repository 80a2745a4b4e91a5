package plan

import (
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// serialTags are the tags of a declared unit serial.
func serialTags(serial string) []string {
	if serial == "" {
		return nil
	}
	return []string{ondisk.TagSerial + serial}
}

// planSerial returns a Volume's logical volume and the tags that it should have, both with the
// unit serial that it has from this plan on. That is the declared one, unless initiators know it by
// another: they would see another disk.
func (d *differ) planSerial(id spec.ID, v spec.Volume, lv observe.LogicalVolume, tags []string) (observe.LogicalVolume, []string) {
	have, want := lv.Tag(ondisk.TagSerial), v.Spec.Serial
	if have == want || !d.mayChangeTags(id, lv) {
		return lv, append(tags, serialTags(have)...)
	}
	then := lv
	then.Tags = slices.DeleteFunc(slices.Clone(lv.Tags), func(t string) bool { return strings.HasPrefix(t, ondisk.TagSerial) })
	then.Tags = append(then.Tags, serialTags(want)...)
	if d.blockedBy(id, d.checkSerial(id, lv, then.Serial())) {
		return lv, append(tags, serialTags(have)...)
	}
	d.results.of(id).retagged = &lv
	return then, append(tags, serialTags(want)...)
}

// tagsOn returns the tags that are on an object's logical volume. Its own may have another unit serial
// among them, see [differ.planSerial].
func (d *differ) tagsOn(id spec.ID, lv observe.LogicalVolume) ondisk.Tags {
	if was := d.results.of(id).retagged; was != nil && was.UUID == lv.UUID {
		return was.Tags
	}
	return lv.Tags
}

// checkSerial returns why a logical volume cannot get another unit serial.
func (d *differ) checkSerial(id spec.ID, lv observe.LogicalVolume, serial string) *Obstacle {
	b, exists := d.index.Backstore(id)
	if !exists {
		b, exists = d.unownedBackstore(lv)
	}
	if exists && b.Serial != serial && len(d.index.linksTo(b)) > 0 {
		return blocked(status.ReasonImmutableField, "spec.serial: initiators know %s by serial %s, and would see another disk. Write that serial, or remove its LUNs from all Exports before you change it", lv.FullName(), b.Serial)
	}
	if who := d.in.Exposures.awaitedBy(lv.Serial()); serial != lv.Serial() && len(who) > 0 {
		return blocked(status.ReasonImmutableField, "spec.serial: initiators know %s by serial %s: %s. Undo the change, or let them reconnect and disconnect first", lv.FullName(), lv.Serial(), shortList(who))
	}
	if other := d.takenBy(lv, serial); other != "" {
		return blocked(status.ReasonInvalid, "spec.serial: %s has the same hexadecimal digits in its serial, and initiators would take both for one disk. Choose another serial", other)
	}
	return nil
}

// takenBy returns another disk that initiators could not tell from a logical volume with a unit
// serial; empty: there is none.
func (d *differ) takenBy(lv observe.LogicalVolume, serial string) string {
	if d.disks == nil {
		d.disks = newDisks(d.index)
	}
	digits := spec.NAADigits(serial)
	for _, other := range d.disks.volumes[digits] {
		if other.UUID != lv.UUID {
			return other.FullName()
		}
	}
	for _, b := range d.disks.backstores[digits] {
		if !lv.Active || !BoundTo(b, lv) {
			return "backstore " + b.Path()
		}
	}
	return ""
}

// disks are what initiators can see, by the digits of its serial, see [spec.NAADigits].
type disks struct {
	volumes    map[string][]observe.LogicalVolume
	backstores map[string][]observe.Backstore
}

func newDisks(x *Index) *disks {
	all := disks{volumes: map[string][]observe.LogicalVolume{}, backstores: map[string][]observe.Backstore{}}
	for _, lv := range x.volumes {
		digits := spec.NAADigits(lv.Serial())
		all.volumes[digits] = append(all.volumes[digits], lv)
	}
	for _, b := range x.backstores {
		if b.Enabled && b.Serial != "" {
			digits := spec.NAADigits(b.Serial)
			all.backstores[digits] = append(all.backstores[digits], b)
		}
	}
	return &all
}
