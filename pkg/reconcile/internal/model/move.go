package model

import (
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// stage makes a sync round.
func (m *Model) stage(c change.Stage) {
	from := m.LVs(c.From.VolumeGroup)[c.From.Name]
	since := m.LVs(c.Since.VolumeGroup)[c.Since.Name]
	m.Edit(c.LV.String(), func(lv *observe.LogicalVolume) {
		with, _, _ := lv.Synced()
		if lv.UUID != c.UUID || lv.Phase() != ondisk.Staged || lv.Open || from.UUID != c.From.UUID || from.Size > lv.Size || from.SnapshotInvalid {
			panic("must not be copied to: " + lv.FullName())
		}
		bytes := from.Size
		if c.Since.UUID != "" {
			if since.UUID != c.Since.UUID || with != since.UUID || from.Tag(ondisk.TagSince) != since.UUID || since.Origin != from.Origin {
				panic("not synced with what it is to be brought forward from: " + lv.FullName())
			}
			bytes = 1 << 20
		}
		lv.Tags = slices.DeleteFunc(slices.Clone(lv.Tags), func(t string) bool {
			return strings.HasPrefix(t, ondisk.TagSynced) || strings.HasPrefix(t, ondisk.TagCheckpoint)
		})
		lv.Tags = append(lv.Tags, ondisk.SyncedTag(from.UUID, bytes))
	})
}

// cutOver makes a staged logical volume current.
func (m *Model) cutOver(c change.Cutover) {
	staged := m.LVs(c.Staged.VolumeGroup)[c.Staged.Name]
	since := m.LVs(c.Since.VolumeGroup)[c.Since.Name]
	with, _, _ := staged.Synced()
	m.Edit(c.LV.String(), func(lv *observe.LogicalVolume) {
		if lv.Open || lv.UUID != c.UUID || lv.Phase() != "" || staged.UUID != c.Staged.UUID || staged.Open || c.Since.UUID != "" && (with != c.Since.UUID || since.UUID != with || since.Origin != lv.Name) {
			panic("must not be superseded: " + lv.FullName())
		}
		lv.Tags = append(lv.Tags[:len(lv.Tags):len(lv.Tags)], ondisk.TagReplacedBy+staged.UUID)
	})
}

func (m *Model) rename(c change.Rename) {
	lvs := m.group(c.VolumeGroup).LogicalVolumes
	lv, exists := lvs[c.Name]
	if _, taken := lvs[c.To]; taken || !exists || lv.UUID != c.UUID {
		panic("cannot be renamed: " + c.String())
	}
	delete(lvs, c.Name)
	for name, s := range lvs {
		if s.Origin == lv.Name {
			s.Origin = c.To
			lvs[name] = s
		}
	}
	lv.Name = c.To
	lvs[c.To] = lv
}

// remove removes a logical volume; thin snapshots of it only lose their origin's name.
func (m *Model) remove(lv change.LV) {
	lvs := m.LVs(lv.VolumeGroup)
	delete(lvs, lv.Name)
	for name, s := range lvs {
		if s.Origin == lv.Name {
			s.Origin = ""
			lvs[name] = s
		}
	}
}
