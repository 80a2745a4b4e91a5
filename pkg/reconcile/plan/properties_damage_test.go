package plan_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// missing takes a physical volume away.
func (s *scenario) missing(group string, partial bool) {
	vg := s.State.VolumeGroups[group]
	vg.MissingPVs = 1
	for name, lv := range vg.LogicalVolumes {
		if partial && !lv.Active {
			lv.Health = observe.HealthPartial
			vg.LogicalVolumes[name] = lv
		}
	}
	s.State.VolumeGroups[group] = vg
}

// mutate does one thing to the machine that the agent did not do.
func (s *scenario) mutate(t *rapid.T) {
	switch pick(t, "mutation", "lv", "lv", "lv", "target", "target", "target", "session", "session", "session", "backstore", "group", "reboot", "image") {
	case "lv":
		if all := s.AllLVs(); len(all) > 0 {
			s.mutateLV(t, rapid.SampledFrom(all).Draw(t, "lv"))
		}
	case "target":
		if all := s.State.TargetIDs(); len(all) > 0 && !oneIn(t, 6, "foreign target") {
			s.mutateTarget(t, rapid.SampledFrom(all).Draw(t, "target"))
		} else {
			s.foreignTarget(t)
		}
	case "session":
		for _, id := range s.State.TargetIDs() {
			s.EditTargetOf(id, func(target *observe.Target) {
				if len(target.LUNs) > 0 {
					mutateSessions(t, target)
				}
			})
		}
	case "backstore":
		s.mutateBackstore(t)
	case "group":
		s.foreignLV(t)
	case "image":
		s.State.ImageFiles[imagePath(pick(t, "image", imageNames...))] = pick(t, "file",
			observe.ImageFile{}, observe.ImageFile{NoDirectory: true}, observe.ImageFile{Exists: true, Size: 1},
			observe.ImageFile{Exists: true, Size: 1, SHA256: "0f0f"}, observe.ImageFile{Err: errors.New("no answer")})
	case "reboot":
		fresh := NewModel().State
		s.State.LIO, s.State.NVMe, s.State.TGT, s.Listening = fresh.LIO, fresh.NVMe, fresh.TGT, nil
		for _, lv := range s.AllLVs() {
			s.Edit(lv.FullName(), func(lv *observe.LogicalVolume) { lv.Active, lv.HeldBy = lv.Active && !oneIn(t, 2, "inactive"), nil })
		}
	}
}

func genDeletedTag(t *rapid.T) string {
	age := pick(t, "deleted", 0, 30*time.Minute, 25*time.Hour, 72*time.Hour, -time.Hour)
	if oneIn(t, 6, "malformed") {
		return ondisk.TagDeleted + pick(t, "text", "", "yesterday", "2026")
	}
	return ondisk.DeletedTag(noon.Add(-age))
}

func withoutMaker(tags ondisk.Tags) ondisk.Tags {
	return slices.DeleteFunc(slices.Clone(tags), func(tag string) bool { return strings.HasPrefix(tag, ondisk.TagBy) })
}

func (s *scenario) mutateLV(t *rapid.T, lv observe.LogicalVolume) {
	leaf := lv.Type != observe.ThinPool && len(s.WithThickSnapshots(NameOf(lv))) == 1
	edit := func(f func(*observe.LogicalVolume)) { s.Edit(lv.FullName(), f) }
	switch pick(t, "to the lv", "deleted", "deleted", "tag gone", "tags gone", "other owner", "policy", "inactive", "held", "renamed",
		"other uuid", "gone", "overflow", "read only", "size", "copy", "full", "snapshot", "moved", "moved", "moving", "of another installation", "of another installation", "of an old agent") {
	case "deleted":
		tag := genDeletedTag(t)
		edit(func(lv *observe.LogicalVolume) { lv.Tags = append(slices.Clone(lv.Tags), tag) })
	case "tag gone":
		if len(lv.Tags) > 0 {
			n := rapid.IntRange(0, len(lv.Tags)-1).Draw(t, "tag")
			edit(func(lv *observe.LogicalVolume) { lv.Tags = slices.Delete(slices.Clone(lv.Tags), n, n+1) })
		}
	case "tags gone":
		edit(func(lv *observe.LogicalVolume) { lv.Tags = nil })
	case "other owner":
		id := rapid.SampledFrom(universe()).Draw(t, "owner")
		edit(func(lv *observe.LogicalVolume) {
			lv.Tags = append(ondisk.OwnerTags(id), ondisk.DeletionTag(spec.Delete))
		})
	case "policy":
		tag := ondisk.DeletionTag(spec.DeletionPolicy(pick(t, "policy", "Delete", "Retain")))
		edit(func(lv *observe.LogicalVolume) { lv.Tags = append(slices.Clone(lv.Tags), tag) })
	case "of another installation":
		edit(func(lv *observe.LogicalVolume) { lv.Tags = append(withoutMaker(lv.Tags), elsewhere.Tag()) })
	case "of an old agent":
		edit(func(lv *observe.LogicalVolume) { lv.Tags = withoutMaker(lv.Tags) })
	case "inactive":
		edit(func(lv *observe.LogicalVolume) { lv.Active = false })
	case "held":
		if !lv.Open {
			edit(func(lv *observe.LogicalVolume) { lv.HeldBy = []string{"mounted on /mnt"} })
		}
	case "renamed":
		to := pick(t, "name", "x", "y", "a", "z")
		if _, taken := s.LVs(lv.VolumeGroup)[to]; leaf && !taken {
			delete(s.LVs(lv.VolumeGroup), lv.Name)
			for name, other := range s.LVs(lv.VolumeGroup) {
				if other.Origin == lv.Name {
					other.Origin = to
					s.LVs(lv.VolumeGroup)[name] = other
				}
			}
			lv.Name = to
			s.LVs(lv.VolumeGroup)[to] = lv
		}
	case "other uuid":
		s.UUIDs++
		uuid := fmt.Sprintf("uuid-%d", s.UUIDs)
		edit(func(lv *observe.LogicalVolume) { lv.UUID = uuid })
	case "gone":
		if leaf && !lv.Open {
			delete(s.LVs(lv.VolumeGroup), lv.Name)
		}
	case "overflow":
		if lv.Type == observe.ThickSnapshot {
			edit(func(lv *observe.LogicalVolume) { lv.SnapshotInvalid = true })
		}
	case "read only":
		edit(func(lv *observe.LogicalVolume) { lv.ReadOnly = true })
	case "size":
		size := pick(t, "size", 4*MiB, 12*MiB, 64*MiB)
		edit(func(lv *observe.LogicalVolume) { lv.Size = uint64(size) })
	case "copy":
		group, name := pick(t, "group", groupNames...), pick(t, "name", "copy", "a", "b", "s")
		if _, taken := s.LVs(group)[name]; !taken {
			s.Add(observe.LogicalVolume{VolumeGroup: group, Name: name, Type: observe.Thick, Size: lv.Size, Tags: lv.Tags, Active: true})
		}
	case "moved":
		s.moved(lv)
	case "moving":
		s.moving(lv)
	case "full":
		edit(func(lv *observe.LogicalVolume) { lv.DataPercent = 100 })
	case "snapshot":
		_, taken := s.LVs(lv.VolumeGroup)["mine"]
		if lv.Type == observe.Thick && !taken {
			s.Add(observe.LogicalVolume{VolumeGroup: lv.VolumeGroup, Name: "mine", Type: observe.ThickSnapshot, Origin: lv.Name, Size: lv.Size, COWSize: 4 * MiB, Active: true})
		}
	}
}

// moved makes a logical volume of a Volume the one that was copied to take another one's place,
// which is still there.
func (s *scenario) moved(lv observe.LogicalVolume) {
	id, owned := lv.Owner()
	name := ondisk.SupersededName(id)
	if _, taken := s.LVs(lv.VolumeGroup)[name]; taken || !owned || id.Kind != spec.KindVolume || lv.Phase() != "" {
		return
	}
	s.Add(observe.LogicalVolume{VolumeGroup: lv.VolumeGroup, Name: name, Type: observe.Thick, Size: lv.Size, Tags: lv.Tags})
	now := s.LVs(lv.VolumeGroup)[name].UUID // the new one's; that one has been there longer
	s.Edit(lv.VolumeGroup+"/"+name, func(old *observe.LogicalVolume) {
		old.UUID, old.Tags = lv.UUID, append(slices.Clone(lv.Tags), ondisk.TagReplacedBy+now)
	})
	s.Edit(lv.FullName(), func(lv *observe.LogicalVolume) {
		lv.UUID, lv.Tags = now, append(slices.Clone(lv.Tags), ondisk.TagIdentity+lv.Identity())
	})
}

// moving begins a copy that is to take a logical volume's place.
func (s *scenario) moving(lv observe.LogicalVolume) {
	id, owned := lv.Owner()
	name := ondisk.StagedName(id)
	if _, taken := s.LVs(lv.VolumeGroup)[name]; taken || !owned || id.Kind != spec.KindVolume || lv.Phase() != "" {
		return
	}
	s.Add(observe.LogicalVolume{
		VolumeGroup: lv.VolumeGroup, Name: name, Type: observe.Thick, Size: lv.Size,
		Tags: append(slices.Clone(lv.Tags), ondisk.PhaseTag(ondisk.Staged), ondisk.TagIdentity+lv.Identity()),
	})
}

func (s *scenario) foreignLV(t *rapid.T) {
	group := pick(t, "group", groupNames...)
	name := pick(t, "name", "a", "b", "s", "x", "pool", "root")
	if _, taken := s.LVs(group)[name]; taken {
		return
	}
	lv := observe.LogicalVolume{VolumeGroup: group, Name: name, Type: observe.Thick, Size: 8 * MiB, Active: true}
	lv.Type = pick(t, "type", observe.Thick, observe.Thick, observe.OtherLV, observe.ThinPool)
	lv.Tags = pick(t, "tags", nil, []string{"backup"}, ondisk.OwnerTags(VolumeID("gone")))
	if oneIn(t, 4, "held") {
		lv.HeldBy = []string{"mounted on /"}
	}
	s.Add(lv)
}

func (s *scenario) mutateBackstore(t *rapid.T) {
	all := slices.Sorted(maps.Keys(s.State.LIO.Backstores))
	if len(all) == 0 || oneIn(t, 4, "foreign backstore") {
		for _, lv := range s.AllLVs() {
			if lv.Active && !lv.Open && lv.Type != observe.ThinPool && oneIn(t, 3, "backstore on it") {
				b := observe.Backstore{HBA: "iblock_0", Name: "theirs-" + lv.UUID, Enabled: true, BlockDevice: fmt.Sprintf("dm-%d", lv.Minor), Device: lv.Path(), Serial: "theirs"}
				s.State.LIO.Backstores[b.Path()] = b
				return
			}
		}
		return
	}
	path := rapid.SampledFrom(all).Draw(t, "backstore")
	b := s.State.LIO.Backstores[path]
	switch pick(t, "to the backstore", "not enabled", "serial", "unmap", "unmap by WRITE SAME", "hides limits", "cannot unmap", "read only", "unlinked leftover") {
	case "not enabled":
		if s.IsLinked(path) {
			return
		}
		b.Enabled, b.BlockDevice, b.Serial, b.Device = false, "", "", ""
	case "serial":
		b.Serial = "other"
	case "unmap":
		b.Unmap = !b.Unmap && b.CanUnmap
	case "unmap by WRITE SAME":
		b.UnmapBySame = !b.UnmapBySame && b.CanUnmap
	case "hides limits":
		b.HidesLimits = true
	case "cannot unmap":
		b.CanUnmap, b.Unmap, b.UnmapBySame = false, false, false
	case "read only":
		b.ReadOnly = !b.ReadOnly
	case "unlinked leftover":
		for _, target := range targetsOf(s.State) {
			maps.DeleteFunc(target.LUNs, func(_ int, l observe.TargetLUN) bool { return l.Backstore == path })
			for _, acl := range target.ACLs {
				maps.DeleteFunc(acl.LUNs, func(_ int, l observe.MappedLUN) bool { _, there := target.LUNs[l.LUN]; return l.LUN >= 0 && !there })
			}
		}
	}
	s.State.LIO.Backstores[path] = b
}
