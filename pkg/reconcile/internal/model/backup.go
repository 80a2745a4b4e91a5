package model

import (
	"fmt"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// ChangeRepository applies a change of a repository. It panics at what restic or its actuator would refuse.
func (m *Model) ChangeRepository(c change.Change) {
	edit := func(name string, f func(*observe.Repository)) {
		r := m.State.Repositories[name]
		f(&r)
		if m.State.Repositories == nil {
			m.State.Repositories = map[string]observe.Repository{}
		}
		m.State.Repositories[name] = r
	}
	switch c := c.(type) {
	case change.InitRepository:
		edit(c.Repository.Name, func(r *observe.Repository) {
			if !r.Missing || r.Seen {
				panic("there is a repository, or was one: " + c.Repository.Name)
			}
			*r = observe.Repository{Read: m.Clock(), Seen: true}
		})
	case change.BackUp:
		lv, there := m.group(c.VolumeGroup).LogicalVolumes[c.Name]
		if !there || lv.UUID != c.UUID || lv.SnapshotInvalid || lv.Size != uint64(c.Size) {
			panic("cannot be backed up: " + c.LV.String())
		}
		if c.Base.UUID != "" {
			if base := m.group(c.Base.VolumeGroup).LogicalVolumes[c.Base.Name]; base.UUID != c.Base.UUID || base.Pool != lv.Pool {
				panic("not a base: " + c.Base.String())
			}
		}
		edit(c.Repository.Name, func(r *observe.Repository) {
			m.UUIDs++
			r.Backups = append(slices.Clone(r.Backups), observe.Backup{
				ID: fmt.Sprintf("%064x", m.UUIDs), Time: c.Time, Volume: c.Volume, Schedule: c.Schedule, Object: c.Object,
				LV: c.UUID, Identity: c.Identity, Size: uint64(c.Size), Delete: c.Delete, Reread: c.Reread || c.Parent == "",
			})
			slices.SortStableFunc(r.Backups, func(a, b observe.Backup) int { return a.Time.Compare(b.Time) })
		})
	case change.ForgetBackups:
		edit(c.Repository.Name, func(r *observe.Repository) {
			left := slices.DeleteFunc(slices.Clone(r.Backups), func(b observe.Backup) bool { return slices.Contains(c.IDs, b.ID) })
			if !slices.ContainsFunc(left, func(b observe.Backup) bool { return b.Volume == c.Volume }) {
				panic("the last backup must not be removed: " + c.Volume)
			}
			r.Backups = left
			forgotten := map[string]int{c.Volume: len(c.IDs)}
			for volume, n := range r.Forgotten {
				forgotten[volume] += n
			}
			r.Forgotten = forgotten
		})
	case change.PruneRepository:
		edit(c.Repository.Name, func(r *observe.Repository) { r.Pruned = m.Clock() })
	case change.CheckRepository:
		edit(c.Repository.Name, func(r *observe.Repository) { r.Checked = m.Clock() })
	}
}
