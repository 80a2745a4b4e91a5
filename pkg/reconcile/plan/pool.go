package plan

import (
	"errors"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// pool is what the volumes of a Pool need to know of it.
type pool struct {
	vg observe.VolumeGroup
	// found is false if the volume group does not exist or could not be read.
	found, unreadable bool
	// thinPool is the thin pool's name; empty: thick volumes.
	thinPool string
	// damage is what is wrong with the thin pool itself; empty: nothing is known to be.
	damage string
	// dormant is true if nothing of the thin pool is active, so that its usage is unknown.
	dormant bool
	// creatable is false if nothing new can be created in the pool now.
	creatable bool
	// step must have succeeded before anything is created in it; 0: none.
	step StepID
}

func (d *differ) planPool(p spec.Pool) {
	id := spec.ID{Kind: spec.KindPool, Name: p.Metadata.Name}
	if d.isUnreadable(id, observe.LVM) {
		return
	}
	vg, ok, err := d.in.Observed.Group(p.Spec.VolumeGroup)
	var unusable *observe.GroupError
	switch {
	case errors.As(err, &unusable) && unusable.Refused:
		d.setBlocked(id, status.ReasonUnsupported, "%v", err)
		d.results.of(id).pool = pool{unreadable: true}
		return
	case err != nil:
		d.setStatus(id, status.Failed, status.ReasonObservationFailed, "cannot read volume group %s: %v", p.Spec.VolumeGroup, err)
		d.results.of(id).pool = pool{unreadable: true}
		return
	}
	if !ok {
		d.setBlocked(id, status.ReasonVolumeGroupMissing, "volume group %s is not on this node%s. Connect its disks, or correct spec.volumeGroup. %s. Only if it never existed: vgcreate",
			p.Spec.VolumeGroup, d.knownGroups(), d.hintHiddenGroup())
		return
	}
	out := pool{vg: vg, found: true, creatable: true}
	shown := &status.Pool{VolumeGroup: vg.Name, Size: vg.Size, Free: vg.Free, Allocated: vg.Size - min(vg.Size, vg.Free), LVMMetadataFree: vg.MDAFree}
	d.object(id).Pool = shown
	if vg.MissingPVs > 0 {
		d.setStatus(id, status.Failed, status.ReasonDeviceMissing, "volume group %[2]s lacks %[1]d physical volume(s), and LVM refuses changes. Reconnect them; or, only if they are lost for good: vgreduce --removemissing %[2]s (with --force it also removes volumes)%[3]s", vg.MissingPVs, vg.Name, d.hintMissingPVs())
		out.creatable = false
	}
	suspended := d.blockedBySuspension(id, p.Metadata)
	if want := p.Spec.ThinPool; want != nil {
		out.thinPool = want.Name
		if lv, exists := vg.LogicalVolumes[want.Name]; exists && lv.Type == observe.ThinPool {
			out.damage, out.dormant = d.damageOf(id, lv), d.index.isDormant(lv)
		}
		out.creatable, out.step = d.planThinPool(id, want, vg, out.creatable, suspended, shown)
	}
	if vg.Shared {
		d.remark(id, "volume group %s is shared (lvmlockd): other nodes may change it", vg.Name)
	}
	d.results.of(id).pool = out
}

// hintMissingPVs returns on which devices missing physical volumes may be, because LVM does not scan them,
// as the end of a sentence.
func (d *differ) hintMissingPVs() string {
	if kept := d.in.Observed.KeptFromLVM; len(kept) > 0 {
		return ". LVM is kept from " + shortList(kept) + ", where they may be: check there first"
	}
	return ""
}

// knownGroups names the volume groups that the node has, for somebody who mistyped one.
func (d *differ) knownGroups() string {
	if groups := sorted(d.in.Observed.VolumeGroups); len(groups) > 0 {
		return ", which has " + shortList(groups)
	}
	return ""
}

// hintHiddenGroup returns why LVM may not see a volume group although its disks are connected.
func (d *differ) hintHiddenGroup() string {
	if kept := d.in.Observed.KeptFromLVM; len(kept) > 0 {
		return "If they are connected: LVM is kept from " + shortList(kept) + "; or see vgs --foreign --shared"
	}
	return "If they are connected, LVM may be kept from them (vgs --foreign --shared; pvs -a; lvmdevices; devices/filter and devices/global_filter in lvm.conf)"
}

// thinPoolOf returns the thin pool of a volume group that has a UUID.
func thinPoolOf(uuid string, vg observe.VolumeGroup) (observe.LogicalVolume, bool) {
	for _, lv := range vg.LogicalVolumes {
		if uuid != "" && lv.UUID == uuid && lv.Type == observe.ThinPool {
			return lv, true
		}
	}
	return observe.LogicalVolume{}, false
}

// planThinPool plans a Pool's thin pool. It returns whether volumes can be created in it, and the step
// that they wait for.
func (d *differ) planThinPool(id spec.ID, want *spec.ThinPool, vg observe.VolumeGroup, creatable, suspended bool, shown *status.Pool) (bool, StepID) {
	size := thinPoolSize(want.Size, vg)
	name := change.LV{VolumeGroup: vg.Name, Name: want.Name}
	lv, exists := vg.LogicalVolumes[want.Name]
	if !exists {
		if suspended || !creatable {
			return false, 0
		}
		known := d.in.Known[id].UUID
		allowed := d.in.Declared.Annotation(id, spec.AnnotationRecreate) == known
		if present, ok := thinPoolOf(known, vg); ok && !allowed {
			d.setBlocked(id, status.ReasonVanished, "thin pool %s does not exist, but %s is the one that this Pool has used until now. Set spec.thinPool.name to its name; or, to create a new, empty one, set the annotation %s: %s",
				name, present.FullName(), spec.AnnotationRecreate, known)
			return false, 0
		}
		if known != "" && !allowed {
			d.setBlocked(id, status.ReasonVanished, "thin pool %s (UUID %s) is missing, with all volumes in it. Restore it (vgcfgrestore); or, to create a new, empty one, set the annotation %s: %s",
				name, known, spec.AnnotationRecreate, known)
			return false, 0
		}
		return true, d.step(id, "not there", change.CreateThinPool{LV: name, Size: spec.Size(size), Tags: d.withSignature(ondisk.OwnerTags(id))})
	}
	if lv.Type != observe.ThinPool {
		d.setBlocked(id, status.ReasonNotOwned, "%s already exists and is no thin pool. Choose another thinPool.name", lv.FullName())
		return false, 0
	}
	shown.ThinPool, shown.Size, shown.Allocated = lv.Name, lv.Size, 0
	shown.MetadataSize, shown.ChunkSize = lv.MetadataSize, lv.ChunkSize
	shown.Provisioned = d.index.provisioned[lv.FullName()]
	shown.ProvisionedAfter = shown.Provisioned
	if d.index.isDormant(lv) {
		shown.UsageUnknown, shown.Free = true, 0
	} else {
		shown.DataPercent, shown.MetadataPercent = lv.DataPercent, lv.MetadataPercent
		shown.Free = uint64(float64(lv.Size) * (1 - lv.DataPercent/100))
		shown.Allocated = lv.Size - min(lv.Size, shown.Free)
	}
	if !d.index.ownership.owns(lv) {
		d.blockedBy(id, d.foreignObstacle(id, lv, ""))
		return false, 0
	}
	owner, owned := lv.Owner()
	if owned && owner != id {
		d.setBlocked(id, status.ReasonNotOwned, "thin pool %s belongs to %s. Choose another thinPool.name", lv.FullName(), owner)
		return false, 0
	}
	damage := d.damageOf(id, lv)
	if damage != "" {
		d.setStatus(id, status.Failed, status.ReasonPoolDamaged, "no volume in it is changed: %s", damage)
	}
	var active StepID
	if !suspended {
		active = d.activatePool(id, lv)
	}
	if damage != "" {
		return false, 0
	}
	if lv.DataPercent >= 100 || lv.MetadataPercent >= 100 {
		d.setStatus(id, status.Failed, status.ReasonNoSpace, "thin pool %[1]s is full (data %.1[2]f%%, metadata %.1[3]f%%): writes to new blocks fail. Grow its data (thinPool.size, or lvextend if it was not made by volreconciler) or its metadata (lvextend --poolmetadatasize +1G %[1]s)", lv.FullName(), lv.DataPercent, lv.MetadataPercent)
	}
	if !owned {
		// A thin pool that an administrator made is used unchanged.
		if lv.Size < size {
			d.remark(id, "thin pool %s was not made by volreconciler: it is used, but never grown", lv.FullName())
		}
		return creatable, active
	}
	name.UUID = lv.UUID
	switch {
	case suspended:
	case lv.Size > size: // by dmeventd or an administrator, before it was full; LVM cannot take that back
		d.remark(id, "thin pool %s has %s, more than the %s of thinPool.size: it was extended, and thin pools are never shrunk", lv.FullName(), spec.Size(lv.Size), spec.Size(size))
	case lv.Size < size && vg.MissingPVs == 0:
		// Volumes need not wait: there is space now, or LVM reports that there is none.
		d.step(id, "spec asks for "+spec.Size(size).String(), change.GrowThinPool{LV: name, From: spec.Size(lv.Size), To: spec.Size(size)}, active)
	}
	return creatable, active
}

// activatePool activates a thin pool of which nothing is active. After a boot it becomes active
// with the first volume in it. Until then nobody knows its usage, and whether its metadata is
// intact.
func (d *differ) activatePool(id spec.ID, lv observe.LogicalVolume) StepID {
	if !d.index.isDormant(lv) || lv.Health == observe.HealthPartial {
		return 0
	}
	return d.step(id, "inactive: its usage is unknown", change.Activate{LV: nameOf(lv)})
}

// damageOf returns what is wrong with a Pool's thin pool, as far as LVM reports it (lvmthin(7),
// lv_health_status in lvs(8)); empty: nothing.
func (d *differ) damageOf(id spec.ID, lv observe.LogicalVolume) string {
	if d.index.isDormant(lv) && d.in.BackingOff[id] {
		return "thin pool " + lv.FullName() + " cannot be activated, so its usage is unknown. If its metadata is damaged, see lvconvert --repair in lvmthin(7)"
	}
	if lv.DataPercent >= 100 || lv.MetadataPercent >= 100 {
		return "" // it is full, which is another matter
	}
	switch lv.Health {
	case "failed":
		return "thin pool " + lv.FullName() + " has failed: all reads and writes of its volumes fail. See lvconvert --repair in lvmthin(7)"
	case observe.HealthPartial:
		if !lv.Active {
			return "thin pool " + lv.FullName() + " cannot be activated: physical volumes under it are missing. Reconnect them"
		}
	case "metadata_read_only":
		return "the metadata of thin pool " + lv.FullName() + " is read-only: written data can be read, writes to new blocks fail. See lvconvert --repair in lvmthin(7)"
	}
	if lv.CheckNeeded {
		return "the metadata of thin pool " + lv.FullName() + " needs a check, and writes to new blocks fail until then. See lvconvert --repair in lvmthin(7)"
	}
	return ""
}

// damageAround returns what is wrong with the thin pool of a logical volume; empty: nothing, or it
// is in none.
func (d *differ) damageAround(lv observe.LogicalVolume) string {
	for _, p := range d.refs.pools[lv.VolumeGroup] {
		if lv.Type == observe.Thin && p.Spec.ThinPool != nil && p.Spec.ThinPool.Name == lv.Pool {
			return d.poolOf(p.Metadata.Name).damage
		}
	}
	return ""
}

// thinPoolSize returns the declared size in bytes: a size is rounded up to whole extents, a
// percentage of the volume group down.
func thinPoolSize(s spec.SizeOrPercent, vg observe.VolumeGroup) uint64 {
	if s.Percent == 0 {
		return roundUp(uint64(s.Bytes), vg.ExtentSize)
	}
	extents := vg.Size / vg.ExtentSize
	return extents * uint64(s.Percent) / 100 * vg.ExtentSize
}

// roundUp returns the smallest multiple of unit that is not below n. Sizes are validated to be far
// below the range of uint64.
func roundUp(n, unit uint64) uint64 { return (n + unit - 1) / unit * unit }
