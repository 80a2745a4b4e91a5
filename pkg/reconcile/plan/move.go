package plan

import (
	"math"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// maxLeftForCutover is how many bytes may have changed during the last sync round for the rest to
// be copied in the cutover, while initiators wait.
const maxLeftForCutover = change.CutoverLimit / 2

// isMisplaced reports whether a logical volume is in another Pool than it should be.
func isMisplaced(lv observe.LogicalVolume, p pool) bool {
	return lv.VolumeGroup != p.vg.Name || lv.Type == observe.Thin && lv.Pool != p.thinPool || (lv.Type == observe.Thick || lv.Type == observe.OtherLV) && p.thinPool != ""
}

// hasOnlyLeftovers reports whether nothing is left of a Volume but what a cutover left, and sets
// its status. No leftover becomes current: a staged logical volume may be incomplete, and a
// superseded one is out of date.
func (d *differ) hasOnlyLeftovers(id spec.ID) bool {
	m := d.index.leftoversOf(id)
	switch {
	case len(m.staged)+len(m.superseded) == 0:
		return false
	case len(m.superseded) > 0:
		old, accept := m.superseded[0], ""
		if old.Tag(ondisk.TagIdentity) == "" { // or it would look like restored old metadata
			accept = " --addtag " + ondisk.TagIdentity + old.UUID
		}
		d.setBlocked(id, status.ReasonVanished, "its logical volume is missing; %s has the data from before the cutover. Restore the first, or accept the old data: lvchange --deltag %s%s%s %s",
			old.FullName(), ondisk.TagReplacedBy, old.SupersededBy(), accept, old.FullName())
	default:
		lv := m.staged[0]
		d.setBlocked(id, status.ReasonVanished, "its logical volume (UUID %s) is missing; %s was staged for a cutover, and may be incomplete. Restore the first, or accept the second: lvchange --deltag %s %s",
			lv.Identity(), lv.FullName(), strings.Join(stagedTags(lv), " --deltag "), lv.FullName())
	}
	return true
}

// stagedTags returns the tags of a logical volume by which it is staged.
func stagedTags(lv observe.LogicalVolume) []string {
	tags := slices.Concat(lv.TagsWith(ondisk.TagSynced), lv.TagsWith(ondisk.TagCheckpoint))
	if staged := ondisk.PhaseTag(ondisk.Staged); slices.Contains(lv.Tags, staged) {
		tags = append(tags, staged)
	}
	return tags
}

// finishCutover plans the end of a cutover: the current logical volume receives the declared name and
// loses its phase tag. It returns what the logical volume is then, and the step after which it is
// so.
func (d *differ) finishCutover(id spec.ID, name string, lv observe.LogicalVolume) (observe.LogicalVolume, StepID) {
	var step StepID
	if lv.Name == ondisk.StagedName(id) && lv.Name != name {
		for _, old := range d.index.leftoversOf(id).superseded {
			if old.VolumeGroup == lv.VolumeGroup && old.Name == name {
				step = d.step(id, "superseded by a cutover", change.Rename{LV: nameOf(old), To: ondisk.SupersededName(id)})
			}
		}
		if step != 0 || d.in.Observed.VolumeGroups[lv.VolumeGroup].LogicalVolumes[name].UUID == "" {
			step = d.step(id, "current since the cutover", change.Rename{LV: nameOf(lv), To: name}, step)
			lv.Name = name
		}
	}
	d.results.of(id).cutOver = true
	marks := stagedTags(lv)
	step = d.step(id, "complete", change.SetTags{LV: nameOf(lv), Remove: marks}, step)
	lv.Tags = slices.DeleteFunc(slices.Clone(lv.Tags), func(t string) bool { return slices.Contains(marks, t) })
	return lv, step
}

// discardLeftovers discards what is left besides the current logical volume.
func (d *differ) discardLeftovers(id spec.ID, lv observe.LogicalVolume) {
	m := d.index.leftoversOf(id)
	for _, s := range m.snapshots {
		d.discard(id, s, d.withSignature(ondisk.MoveTags(id.Name)), copied)
	}
	for _, staged := range m.staged {
		d.discard(id, staged, append(d.withSignature(ondisk.OwnerTags(id)), stagedTags(staged)...), "no longer needed for a cutover")
	}
	for _, old := range m.superseded {
		if old.SupersededBy() != lv.UUID {
			d.setBlocked(id, status.ReasonAmbiguous, "%[1]s has data from before a cutover, and is kept: the logical volume that superseded it (UUID %[2]s) is missing. Restore the missing one; or, if nobody needs the old data: lvremove %[1]s", old.FullName(), old.SupersededBy())
			continue
		}
		d.discard(id, old, append(d.withSignature(ondisk.OwnerTags(id)), ondisk.TagReplacedBy+lv.UUID), "superseded by "+lv.FullName())
	}
}

// pruneLeftovers discards what cutovers left of undeclared Volumes.
func (d *differ) pruneLeftovers() {
	for _, id := range sortedIDs(d.index.leftovers) {
		if d.isDeclared(id) || d.results.of(id).visited || d.graceLeft(id) > 0 || d.inDoubt() {
			continue
		}
		m, lvs := d.index.leftoversOf(id), d.index.current[id]
		switch {
		case len(lvs) == 1 && lvs[0].Phase() == ondisk.Staged:
			d.finishCutover(id, lvs[0].Name, lvs[0])
		case len(lvs) == 1:
			d.discardLeftovers(id, lvs[0])
		case len(lvs) == 0 && len(m.staged)+len(m.superseded) == 0:
			d.discardLeftovers(id, observe.LogicalVolume{})
		default:
			d.setStatus(id, status.Orphaned, status.ReasonRetained, "orphaned: several logical volumes claim to be the current copy. None is removed. Find the right one (lvs -o +lv_uuid,lv_time,lv_tags), and remove the others by hand")
		}
	}
}

// planMove plans the next step of a Volume's move to the Pool that its spec declares.
func (d *differ) planMove(id spec.ID, v spec.Volume, p pool, lv observe.LogicalVolume) cutoverProgress {
	m := d.index.leftoversOf(id)
	switch {
	case len(m.superseded) > 0:
		d.setBlocked(id, status.ReasonNotReady, "spec.pool: cannot move to Pool/%s: waiting for the removal of %s, superseded by the last move", v.Spec.Pool, m.superseded[0].FullName())
		return prepared
	case p.vg.MissingPVs > 0: // LVM would refuse them when they are connected again
		d.setBlocked(id, status.ReasonNotReady, "spec.pool: cannot move to Pool/%[1]s: volume group %[3]s lacks %[2]d physical volume(s). Reconnect them first", v.Spec.Pool, p.vg.MissingPVs, p.vg.Name)
		return prepared
	case d.isImmovable(id, v, lv):
		d.findStaged(id, "the Volume no longer moves to it", func(s observe.LogicalVolume) bool { return !isMisplaced(s, p) })
		return prepared
	}
	staged, ok := d.ensureStaged(id, v, p, lv)
	if !ok {
		return prepared
	}
	base, ready := d.planSyncRound(id, staged, lv)
	if !ready {
		return prepared
	}
	return d.planCutover(cutover{
		id: id, lv: lv, next: staged, base: base, why: "all but the last changes are copied",
		pausing: "paused to copy the last changes; served again at once", done: "spec.pool: the copy is ready",
		danger: Disruptive, affects: d.connectedTo(id),
	})
}

// isImmovable reports whether a Volume cannot move, and sets the status: it is read-only,
// redundant, or has snapshots, none of which can move with it.
func (d *differ) isImmovable(id spec.ID, v spec.Volume, lv observe.LogicalVolume) bool {
	if lv.ReadOnly {
		d.setBlocked(id, status.ReasonImmutableField, "spec.pool: %s is read-only, and the copy in Pool/%s would not be. Make it writable (%s), or undo the change of spec.pool", lv.FullName(), v.Spec.Pool, lv.HowToMakeWritable())
		return true
	}
	if lv.Redundant() {
		d.setBlocked(id, status.ReasonUnsupported, "spec.pool: %s is %s, and the copy in Pool/%s would hold its data only once. Move it by hand, undo the change of spec.pool, or remove its other copies first (%s)",
			lv.FullName(), lv.Kind(), v.Spec.Pool, howToMakeLinear(lv))
		return true
	}
	var stay []string
	for _, s := range d.index.snapshotsByOrigin[lv.FullName()] {
		owner, _ := s.LastOwner()
		temporary := s.Tag(ondisk.TagKind) == ondisk.KindSource
		if !temporary && (s.Type == observe.ThickSnapshot || owner.Kind == spec.KindSnapshot) {
			stay = append(stay, s.FullName())
		}
	}
	// A thin snapshot has lost its origin if the volume was reverted since.
	for _, name := range d.refs.snapshots[id.Name] {
		for _, s := range d.index.ofSnapshots[name] {
			if s.VolumeGroup == lv.VolumeGroup {
				stay = append(stay, s.FullName())
			}
		}
	}
	slices.Sort(stay)
	stay = slices.Compact(stay)
	if len(stay) > 0 {
		d.setBlocked(id, status.ReasonSnapshotsExist, "spec.pool: cannot move %s to Pool/%s: it has snapshots (%s), which cannot move. Remove them, in the trash too, or undo the change of spec.pool",
			lv.FullName(), v.Spec.Pool, shortList(stay))
	}
	return len(stay) > 0
}

// ensureStaged returns the logical volume that is staged for a Volume. It reports false if there
// is none yet, and plans one.
func (d *differ) ensureStaged(id spec.ID, v spec.Volume, p pool, lv observe.LogicalVolume) (observe.LogicalVolume, bool) {
	staged, found := d.findStaged(id, "the Volume no longer moves to it", func(s observe.LogicalVolume) bool {
		return !isMisplaced(s, p) && s.Size >= lv.Size && s.Identity() == lv.Identity()
	})
	if found {
		return staged, true
	}
	name := change.LV{VolumeGroup: p.vg.Name, Name: ondisk.StagedName(id)}
	if p.vg.Name != lv.VolumeGroup {
		name.Name = v.Spec.LVName
	}
	switch {
	case !d.isNameFree(id, name, "spec.pool: cannot move to Pool/"+v.Spec.Pool):
	case p.dormant || p.thinPool != "" && lv.Type == observe.Thin && !lv.Active:
		d.setStatus(id, status.Progressing, status.ReasonConverging, "spec.pool: cannot move to Pool/%s: waiting until the volume and the thin pool are active, to check the free space", v.Spec.Pool)
	case p.thinPool != "" && maxData(lv) > freeIn(p):
		d.setStatus(id, status.Failed, status.ReasonNoSpace, "spec.pool: %s holds up to %s, but thin pool %s/%s has %s left, and would fill up. Grow it, or undo the change of spec.pool",
			lv.FullName(), spec.Size(maxData(lv)), p.vg.Name, p.thinPool, spec.Size(freeIn(p)))
	case !p.creatable:
		d.setBlocked(id, status.ReasonNotReady, "spec.pool: Pool/%s cannot take new volumes: %s", v.Spec.Pool, d.object(spec.ID{Kind: spec.KindPool, Name: v.Spec.Pool}).Message)
	default:
		size := roundUp(max(lv.Size, uint64(v.Spec.Size)), p.vg.ExtentSize)
		tags := d.tagsToMove(id, v, lv)
		// A size that LVM rounded up in the old Pool is still the declared one.
		if from := d.in.Observed.VolumeGroups[lv.VolumeGroup]; d.isRoundedUp(lv, roundUp(uint64(v.Spec.Size), from.ExtentSize)) {
			if asked := roundUp(uint64(v.Spec.Size), p.vg.ExtentSize); size > asked {
				tags = append(tags, ondisk.RoundedTag(asked, size))
			}
		}
		// Readers of a plan want to know what this step leads to.
		why, danger, who := "spec.pool says Pool/"+v.Spec.Pool, Harmless, d.connectedTo(id)
		if lv.Stripes > 1 {
			why += ", where it is not striped"
		}
		if len(who) > 0 {
			why, danger = why+"; the cutover afterwards interrupts the sessions for a moment, or waits until they end", Disruptive
		}
		d.dangerousStep(id, why, danger, who, change.CreateVolume{
			LV: name, ThinPool: p.thinPool, Size: spec.Size(size), Tags: tags,
		}, p.step)
		d.addProvisioned(v.Spec.Pool, size)
	}
	return observe.LogicalVolume{}, false
}

// findStaged returns the logical volume that is staged for a Volume, if there is one that fits.
// All others are discarded.
func (d *differ) findStaged(id spec.ID, otherwise string, fits func(observe.LogicalVolume) bool) (staged observe.LogicalVolume, found bool) {
	for _, s := range d.index.leftoversOf(id).staged {
		if !found && fits(s) {
			staged, found = s, true
			continue
		}
		d.discard(id, s, append(d.withSignature(ondisk.OwnerTags(id)), stagedTags(s)...), otherwise)
	}
	return staged, found
}

// isNameFree reports whether no logical volume has the name that a staged one needs. If one has,
// it sets the status to what waits for it.
func (d *differ) isNameFree(id spec.ID, name change.LV, what string) bool {
	there, exists := d.in.Observed.VolumeGroups[name.VolumeGroup].LogicalVolumes[name.Name]
	owner, _ := there.Owner()
	switch {
	case !exists:
	case there.Phase() == ondisk.Clearing:
		d.setStatus(id, status.Progressing, status.ReasonClearing, "%s: waiting until %s, deleted earlier, is wiped", what, name)
	case owner == id && there.Phase() == ondisk.Staged:
		d.setStatus(id, status.Progressing, status.ReasonConverging, "%s: waiting for the removal of %s, which is no longer needed", what, name)
	default:
		d.setBlocked(id, status.ReasonNotOwned, "%s: %s already exists and is not managed by volreconciler. Rename that logical volume, or undo the change of the spec", what, name)
	}
	return !exists
}

// maxData returns how much data there may be in a logical volume, in bytes.
func maxData(lv observe.LogicalVolume) uint64 {
	if lv.Type == observe.Thin {
		return uint64(float64(lv.Size) * lv.DataPercent / 100)
	}
	return lv.Size
}

// freeIn returns how much space is left in a thin pool, in bytes. One that does not exist yet has
// enough.
func freeIn(p pool) uint64 {
	lv, there := p.vg.LogicalVolumes[p.thinPool]
	if !there {
		return math.MaxUint64
	}
	return uint64(float64(lv.Size) * (1 - lv.DataPercent/100))
}

// tagsToMove returns the tags of the logical volume that is staged for another: all that the other
// has, whoever set them, or should have, and its identity.
func (d *differ) tagsToMove(id spec.ID, v spec.Volume, lv observe.LogicalVolume) []string {
	tags := append(d.withSignature(ondisk.OwnerTags(id)), ondisk.DeletionTag(v.Spec.DeletionPolicy), ondisk.PhaseTag(ondisk.Staged), ondisk.TagIdentity+lv.Identity())
	if _, tagged := lv.FirstCreated(); !tagged && !lv.ContentSince().IsZero() {
		tags = append(tags, ondisk.CreatedTag(lv.ContentSince()))
	}
	for _, t := range lv.Tags {
		replaced := slices.ContainsFunc([]string{ondisk.TagBy, ondisk.TagDeletion, ondisk.TagDeleted, ondisk.TagIdentity, ondisk.TagRounded}, func(prefix string) bool { return strings.HasPrefix(t, prefix) })
		if !replaced && !slices.Contains(tags, t) {
			tags = append(tags, t)
		}
	}
	return tags
}

// planSyncRound plans the next sync round to the staged logical volume. It returns the snapshot
// with which that was synced last, and whether so little changed in that round that the rest can
// be copied in the cutover.
func (d *differ) planSyncRound(id spec.ID, staged, lv observe.LogicalVolume) (base observe.LogicalVolume, ready bool) {
	var snapshots []observe.LogicalVolume
	for _, s := range d.index.leftoversOf(id).snapshots {
		if s.VolumeGroup == lv.VolumeGroup && s.Origin == lv.Name && !s.SnapshotInvalid {
			snapshots = append(snapshots, s)
			continue
		}
		d.discard(id, s, d.withSignature(ondisk.MoveTags(id.Name)), notToCopy)
	}
	with, left, _ := staged.Synced()
	var next observe.LogicalVolume
	for _, s := range snapshots {
		if s.UUID == with {
			base = s
		}
	}
	for _, s := range snapshots {
		switch {
		case s.UUID == base.UUID:
		case next.UUID == "" && s.Tag(ondisk.TagSince) == base.UUID:
			next = s
		default:
			d.discard(id, s, d.withSignature(ondisk.MoveTags(id.Name)), copied)
		}
	}
	switch {
	case next.UUID != "":
		job := change.Stage{LV: nameOf(staged), From: nameOf(next), Size: spec.Size(next.Size), ReadsZero: staged.ReadsZero}
		if base.UUID != "" {
			job.Since = nameOf(base)
		} else {
			job.Done = spec.Size(staged.Checkpoint(next.UUID))
		}
		d.step(id, "spec.pool asks for it", job)
	case base.UUID == "" || left > maxLeftForCutover || writtenSince(base) > change.CutoverLimit:
		d.createMoveSnapshot(id, lv, base)
	case len(d.index.leftoversOf(id).snapshots) > 1:
		// Initiators must not wait while LVM removes the others.
		d.setStatus(id, status.Progressing, status.ReasonConverging, "cutover to %s: waiting for the removal of older snapshots of %s", staged.FullName(), lv.FullName())
	default:
		return base, true
	}
	return base, false
}

// writtenSince returns how many bytes were written since a snapshot. Only a copy-on-write snapshot
// knows; of others it is 0.
func writtenSince(s observe.LogicalVolume) uint64 {
	if s.Type != observe.ThickSnapshot {
		return 0
	}
	return uint64(float64(s.COWSize) * s.DataPercent / 100)
}

// createMoveSnapshot plans a snapshot of a Volume to copy from. Its tags name the snapshot that
// was copied before: only what changed since then is copied.
func (d *differ) createMoveSnapshot(id spec.ID, lv, base observe.LogicalVolume) {
	lvs := d.in.Observed.VolumeGroups[lv.VolumeGroup].LogicalVolumes
	for _, name := range ondisk.MoveNames(id) {
		if _, taken := lvs[name]; taken {
			continue
		}
		d.step(id, "to copy from", change.CreateSnapshot{
			LV: change.LV{VolumeGroup: lv.VolumeGroup, Name: name}, Origin: lv.Name, OriginUUID: lv.UUID,
			Thin: lv.Type == observe.Thin, Tags: append(d.withSignature(ondisk.MoveTags(id.Name)), ondisk.TagSince+base.UUID),
		})
		return
	}
	d.setStatus(id, status.Progressing, status.ReasonClearing, "the next sync round of %s waits until older snapshots are wiped", lv.FullName())
}
