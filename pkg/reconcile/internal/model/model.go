package model

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Model is a machine that does exactly what changes say, without a kernel. It panics at what LVM
// or LIO would refuse, or what no plan must contain.
type Model struct {
	State observe.State
	UUIDs int
	// Resized are the resized LUNs whose initiators were notified.
	Resized []change.ResizeLUN
	// Listening are the portals of tgtd, which all of its targets have.
	Listening map[string]bool
	// Clock is the creation time of new logical volumes; nil: LVM does not report it.
	Clock func() time.Time
}

// MiB is in bytes.
const MiB = 1 << 20

// NewModel returns a node with one empty volume group, vg0, of 10 GiB.
func NewModel() *Model {
	return &Model{State: observe.State{
		VolumeGroups: map[string]observe.VolumeGroup{"vg0": {
			Name: "vg0", UUID: "vg0-uuid", ExtentSize: 4 * MiB, Size: 10240 * MiB, Free: 10240 * MiB,
			LogicalVolumes: map[string]observe.LogicalVolume{},
		}},
		LIO:  observe.Targets{Backstores: map[string]observe.Backstore{}, ISCSI: map[string]observe.Target{}, FC: map[string]observe.Target{}},
		NVMe: map[string]observe.Target{}, TGT: map[string]observe.Target{}, ImageFiles: map[string]observe.ImageFile{},
	}}
}

// Copy returns a copy of the state.
func (m *Model) Copy() observe.State {
	s := m.State
	s.VolumeGroups = maps.Clone(s.VolumeGroups)
	for name, vg := range s.VolumeGroups {
		vg.LogicalVolumes = maps.Clone(vg.LogicalVolumes)
		s.VolumeGroups[name] = vg
	}
	s.LIO.Backstores, s.LIO.ISCSI, s.LIO.FC = maps.Clone(s.LIO.Backstores), maps.Clone(s.LIO.ISCSI), maps.Clone(s.LIO.FC)
	s.NVMe, s.TGT, s.ImageFiles = maps.Clone(s.NVMe), maps.Clone(s.TGT), maps.Clone(s.ImageFiles)
	for _, id := range s.TargetIDs() {
		t, _ := s.Target(id)
		t.Portals, t.LUNs, t.ACLs = maps.Clone(t.Portals), maps.Clone(t.LUNs), maps.Clone(t.ACLs)
		for name, acl := range t.ACLs {
			acl.LUNs = maps.Clone(acl.LUNs)
			t.ACLs[name] = acl
		}
		s.Targets(id.Fabric)[id.Name] = t
	}
	return s
}

// Apply makes all changes of a plan.
func (m *Model) Apply(p plan.Plan) {
	for _, s := range p.Steps {
		m.Change(s.Change)
	}
}

// LVs returns the logical volumes of a volume group, by their names.
func (m *Model) LVs(vg string) map[string]observe.LogicalVolume {
	return m.State.VolumeGroups[vg].LogicalVolumes
}

// Edit changes a logical volume, as somebody might by hand.
func (m *Model) Edit(name string, f func(*observe.LogicalVolume)) {
	vg, lv, _ := strings.Cut(name, "/")
	v, ok := m.LVs(vg)[lv]
	if !ok {
		panic("no such logical volume: " + name)
	}
	f(&v)
	m.LVs(vg)[lv] = v
}

// Add puts a logical volume on the node.
func (m *Model) Add(lv observe.LogicalVolume) {
	m.UUIDs++
	lv.UUID, lv.Minor = fmt.Sprintf("uuid-%d", m.UUIDs), m.UUIDs
	if m.Clock != nil {
		lv.Created = m.Clock()
	}
	if _, exists := m.LVs(lv.VolumeGroup)[lv.Name]; exists {
		panic("exists: " + lv.FullName())
	}
	m.LVs(lv.VolumeGroup)[lv.Name] = lv
}

// WithThickSnapshots returns the full names of a logical volume and of its thick snapshots.
func (m *Model) WithThickSnapshots(of change.LV) []string {
	names := []string{of.String()}
	for _, lv := range m.LVs(of.VolumeGroup) {
		if lv.Type == observe.ThickSnapshot && lv.Origin == of.Name {
			names = append(names, lv.FullName())
		}
	}
	return names
}

// group returns the volume group whose metadata a change is about to write.
func (m *Model) group(name string) observe.VolumeGroup {
	vg, there := m.State.VolumeGroups[name]
	if !there || vg.MissingPVs > 0 {
		panic("must not be written to: volume group " + name)
	}
	return vg
}

// grow changes one of the sizes of a logical volume, which the plan saw with another size.
func (m *Model) grow(name change.LV, from, to spec.Size, size func(*observe.LogicalVolume) *uint64) {
	m.group(name.VolumeGroup)
	m.Edit(name.String(), func(lv *observe.LogicalVolume) {
		s := size(lv)
		if name.UUID != "" && lv.UUID != name.UUID || !lv.Marked() || *s != uint64(from) || to <= from || lv.Type == observe.Thick && len(m.WithThickSnapshots(name)) > 1 {
			panic("cannot be extended: " + lv.FullName())
		}
		*s = uint64(to)
		if extent := uint64(lv.Stripes) * m.State.VolumeGroups[lv.VolumeGroup].ExtentSize; extent > 0 {
			*s = uint64(from) + (uint64(to-from)+extent-1)/extent*extent
		}
	})
}

// activeTogether returns the full names of what is only active together: a thick volume and its
// snapshots.
func (m *Model) activeTogether(of change.LV) []string {
	if lv := m.LVs(of.VolumeGroup)[of.Name]; lv.Type == observe.ThickSnapshot {
		of.Name = lv.Origin
	}
	return m.WithThickSnapshots(of)
}

// Change makes one change, as LVM and the kernel would.
func (m *Model) Change(c change.Change) {
	switch c := c.(type) {
	case change.CreateThinPool:
		m.group(c.VolumeGroup)
		m.Add(observe.LogicalVolume{VolumeGroup: c.VolumeGroup, Name: c.Name, Type: observe.ThinPool, Size: uint64(c.Size), Tags: c.Tags, Active: true})
	case change.CreateVolume:
		if pool := m.group(c.VolumeGroup).LogicalVolumes[c.ThinPool]; c.ThinPool != "" && pool.Type != observe.ThinPool {
			panic("no thin pool: " + c.ThinPool)
		}
		lv := observe.LogicalVolume{VolumeGroup: c.VolumeGroup, Name: c.Name, Type: observe.Thick, Size: uint64(c.Size), Tags: c.Tags, Active: true}
		if c.ThinPool != "" {
			lv.Type, lv.Pool = observe.Thin, c.ThinPool
		}
		m.Add(lv)
	case change.CreateSnapshot:
		origin := m.group(c.VolumeGroup).LogicalVolumes[c.Origin]
		if origin.UUID == "" || c.Thin != (origin.Type == observe.Thin) || !c.Thin && origin.Type != observe.Thick {
			panic("cannot have such a snapshot: " + c.VolumeGroup + "/" + c.Origin)
		}
		if c.OriginUUID != "" && origin.UUID != c.OriginUUID {
			panic("not the origin that was seen: " + origin.FullName())
		}
		lv := observe.LogicalVolume{VolumeGroup: c.VolumeGroup, Name: c.Name, Type: observe.ThickSnapshot, Size: origin.Size, COWSize: uint64(c.Size), Origin: c.Origin, Tags: c.Tags, Active: true}
		if c.Size == 0 {
			lv.COWSize = origin.Size + 4*MiB
		}
		if c.Thin {
			lv.Type, lv.Pool, lv.Active, lv.COWSize = observe.Thin, origin.Pool, false, 0
		}
		m.Add(lv)
	case change.GrowThinPool:
		m.grow(c.LV, c.From, c.To, func(lv *observe.LogicalVolume) *uint64 { return &lv.Size })
	case change.GrowVolume:
		m.grow(c.LV, c.From, c.To, func(lv *observe.LogicalVolume) *uint64 { return &lv.Size })
	case change.GrowSnapshot:
		m.grow(c.LV, c.From, c.To, func(lv *observe.LogicalVolume) *uint64 { return &lv.COWSize })
	case change.SetTags:
		m.group(c.VolumeGroup)
		m.Edit(c.LV.String(), func(lv *observe.LogicalVolume) {
			if lv.UUID != c.UUID {
				panic("not the one that was seen: " + lv.FullName())
			}
			lv.Tags = slices.DeleteFunc(slices.Clone(lv.Tags), func(t string) bool { return slices.Contains(c.Remove, t) })
			lv.Tags = append(lv.Tags, c.Add...)
		})
	case change.Activate:
		for _, name := range m.activeTogether(c.LV) {
			m.Edit(name, func(lv *observe.LogicalVolume) {
				if lv.Health == observe.HealthPartial && !lv.Degraded() {
					panic("lies on what is missing: " + name)
				}
				lv.Active = true
			})
		}
	case change.Deactivate:
		for _, name := range m.WithThickSnapshots(c.LV) {
			m.Edit(name, func(lv *observe.LogicalVolume) {
				if lv.Open || name == c.LV.String() && (lv.UUID != c.UUID || lv.Type == observe.ThickSnapshot) {
					panic("must not be deactivated: " + name)
				}
				lv.Active = false
			})
		}
	case change.CloneVolume:
		origin := m.group(c.VolumeGroup).LogicalVolumes[c.Origin]
		if origin.Type != observe.Thin || origin.UUID != c.OriginUUID || origin.UUID == "" {
			panic("cannot be cloned: " + origin.FullName())
		}
		m.Add(observe.LogicalVolume{VolumeGroup: c.VolumeGroup, Name: c.Name, Type: observe.Thin, Pool: origin.Pool, Origin: c.Origin, Size: origin.Size, Tags: c.Tags, Active: true})
	case change.Populate:
		m.fill(c)
	case change.Stage:
		m.stage(c)
	case change.Cutover:
		m.cutOver(c)
	case change.Rename:
		m.rename(c)
	case change.Restore:
		m.Edit(c.LV.String(), func(lv *observe.LogicalVolume) {
			if lv.UUID != c.UUID || lv.Phase() != ondisk.Reverting || lv.Open || c.Backup == nil && m.LVs(c.VolumeGroup)[c.Snapshot.Name].UUID != c.Snapshot.UUID {
				panic("must not be reverted: " + lv.FullName())
			}
			lv.Tags = append(WithoutPhase(lv.Tags), ondisk.TagReverted+c.Request, ondisk.TagFilled)
		})
	case change.WriteImage:
		from := m.LVs(c.Source.VolumeGroup)[c.Source.Name]
		if m.State.ImageFiles[c.Path].Exists || from.UUID != c.Source.UUID || from.UUID == "" || from.Size != uint64(c.Size) || from.Phase() != "" || from.SnapshotInvalid {
			panic("must not be written: " + c.Path)
		}
		m.State.ImageFiles[c.Path] = observe.ImageFile{Exists: true, Size: uint64(c.Size), SHA256: "0f0f"}
	case change.StartClearing:
		m.group(c.VolumeGroup)
		m.Edit(c.LV.String(), func(lv *observe.LogicalVolume) {
			lost := slices.ContainsFunc(c.Tags, func(t string) bool { return !slices.Contains(lv.Tags, t) })
			if lv.Open || lv.UUID != c.UUID || len(c.Tags) < 3 && lv.Tag(ondisk.TagKind) != ondisk.KindSource || lost || len(m.WithThickSnapshots(c.LV)) > 1 || len(lv.TakesAlong) > 0 {
				panic("must not be marked for wiping: " + lv.FullName())
			}
			lv.Tags = append(lv.Tags[:len(lv.Tags):len(lv.Tags)], ondisk.PhaseTag(ondisk.Clearing))
		})
	case change.SplitSnapshot:
		m.Edit(c.LV.String(), func(lv *observe.LogicalVolume) {
			if lv.Phase() != ondisk.Clearing || lv.Type != observe.ThickSnapshot {
				panic("must not be split off: " + lv.FullName())
			}
			lv.Type, lv.Origin, lv.Size = observe.Thick, "", lv.COWSize
		})
	case change.Clear:
		if lv := m.group(c.VolumeGroup).LogicalVolumes[c.Name]; lv.UUID != c.UUID || lv.Phase() != ondisk.Clearing || lv.Type != observe.Thick || lv.Open {
			panic("must not be wiped: " + c.LV.String())
		}
		delete(m.LVs(c.VolumeGroup), c.Name)
	case change.RemoveLV:
		m.group(c.VolumeGroup)
		m.Edit(c.LV.String(), func(lv *observe.LogicalVolume) {
			lost := slices.ContainsFunc(c.Tags, func(t string) bool { return !slices.Contains(lv.Tags, t) })
			if lv.Open || lv.UUID != c.UUID || len(c.Tags) < 2 || lost || len(m.WithThickSnapshots(c.LV)) > 1 || len(lv.TakesAlong) > 0 {
				panic("must not be removed: " + lv.FullName())
			}
		})
		m.remove(c.LV)
	case change.CreateBackstore:
		vg, name, _ := strings.Cut(strings.TrimPrefix(c.Device, "/dev/"), "/")
		m.Edit(vg+"/"+name, func(lv *observe.LogicalVolume) {
			// What nobody has open is not looked for in all backstores: of many that would take for ever.
			taken := len(lv.HeldBy) > 0 || lv.Open && m.isTaken(*lv)
			if have, there := m.State.LIO.Backstores[c.Path()]; taken || !lv.Active || there && have.Enabled || c.LVUUID != "" && c.LVUUID != lv.UUID {
				panic("cannot be bound: " + lv.FullName())
			}
			lv.Open = true
			m.State.LIO.Backstores[c.Path()] = observe.Backstore{HBA: c.HBA, Name: c.Name, Enabled: true, CanUnmap: true, BlockDevice: fmt.Sprintf("dm-%d", lv.Minor), Device: c.Device, Serial: c.UnitSerial(lv.UUID), ReadOnly: c.ReadOnly, Unmap: c.Unmap}
		})
	case change.SetUnmap:
		b := m.State.LIO.Backstores[c.Path()]
		if !b.CanUnmap {
			panic("cannot be set: unmap of " + c.Path())
		}
		b.Unmap, b.UnmapBySame = c.Unmap, c.Unmap && b.HidesLimits
		m.State.LIO.Backstores[c.Path()] = b
	case change.SetBackstoreAttribute:
		b, ok := m.State.LIO.Backstores[c.Path()]
		if !ok {
			panic("no such backstore: " + c.Path())
		}
		b.Attributes = withAttribute(b.Attributes, c.Attribute, c.Value)
		m.State.LIO.Backstores[c.Path()] = b
	case change.SetDiscoveryAuth:
		m.State.LIO.Discovery = observe.DiscoveryAuth{Enforced: c.Auth.Needed(), Auth: CHAP(c.Auth)}
	case change.RemoveBackstore:
		for _, id := range m.State.TargetIDs() {
			t, _ := m.State.Target(id)
			for _, l := range t.LUNs {
				if l.Backstore == c.Path() {
					panic("linked to " + id.Name)
				}
			}
		}
		b := m.State.LIO.Backstores[c.Path()]
		delete(m.State.LIO.Backstores, c.Path())
		m.release(b)
	case change.CreateTarget:
		if t, there := m.State.Target(c.ID()); there && !t.Empty() {
			panic("not ours: " + c.Name)
		}
		m.State.Targets(c.Fabric)[c.Name] = m.newTarget(c.Target)
	case change.AdoptTarget:
		t, there := m.State.Target(c.ID())
		if _, ours := t.Owner(); !there || ours || len(t.LUNs) != len(c.LUNs) {
			panic("must not be adopted: " + c.Name)
		}
		for n, backstore := range c.LUNs {
			if t.LUNs[n].Backstore != backstore {
				panic("shows something else: " + c.Name)
			}
		}
		t.Mark = ondisk.TargetMark(c.Export)
		m.put(t)
	case change.AdoptBackstore:
		b, there := m.State.LIO.Backstores[c.Path()]
		if _, ours := b.Owner(); !there || ours || b.Serial != c.Serial || b.ReadOnly != c.ReadOnly {
			panic("must not be adopted: " + c.Path())
		}
		b.Mark = c.Mark
		m.State.LIO.Backstores[c.Path()] = b
	case change.RemoveTarget:
		t, ok := m.State.Target(c.ID())
		if !ok || t.OtherTPGs > 0 || !t.Empty() && !t.OwnedBy(c.Export) || len(plan.Sessions(t)) > 0 && !c.Force {
			panic("must not be removed: " + c.Name)
		}
		delete(m.State.Targets(c.Fabric), c.Name)
		for _, l := range t.LUNs {
			m.close(l)
		}
	case change.InitRepository, change.BackUp, change.ForgetBackups, change.PruneRepository, change.CheckRepository:
		m.ChangeRepository(c)
	default:
		m.ChangeTarget(c)
	}
}

// release closes the device of a backstore, whatever the device is called now.
func (m *Model) release(b observe.Backstore) {
	for vg := range m.State.VolumeGroups {
		for _, lv := range m.LVs(vg) {
			if plan.BoundTo(b, lv) {
				m.Edit(lv.FullName(), func(lv *observe.LogicalVolume) { lv.Open = m.isOpen(*lv) })
			}
		}
	}
}

// identities returns what an agent that observed the model remembers.
func (m *Model) identities(set spec.Set) map[spec.ID]plan.Identity {
	return Learned(map[spec.ID]plan.Identity{}, set, m.State)
}

// fill makes a copy.
func (m *Model) fill(c change.Populate) {
	m.Edit(c.LV.String(), func(lv *observe.LogicalVolume) {
		if lv.UUID != c.UUID || lv.Phase() != ondisk.Populating || lv.Open {
			panic("must not be filled: " + lv.FullName())
		}
		if from := m.LVs(c.Volume.VolumeGroup)[c.Volume.Name]; c.Image == nil && c.Backup == nil && (from.UUID != c.Volume.UUID || from.Size > lv.Size || from.Phase() != "") {
			panic("must not be copied: " + from.FullName())
		}
		if c.Backup != nil && uint64(c.Backup.Size) > lv.Size {
			panic("too small for the backup: " + lv.FullName())
		}
		lv.Tags = append(WithoutPhase(lv.Tags), ondisk.TagFilled)
	})
}

// WithoutPhase returns the tags without those of a change of the whole content.
func WithoutPhase(tags []string) []string {
	return slices.DeleteFunc(slices.Clone(tags), func(t string) bool {
		return slices.ContainsFunc([]string{ondisk.TagPhase, ondisk.TagCheckpoint, ondisk.TagRevert}, func(prefix string) bool { return strings.HasPrefix(t, prefix) })
	})
}

// AllLVs returns the logical volumes in a fixed order.
func (m *Model) AllLVs() []observe.LogicalVolume {
	var all []observe.LogicalVolume
	for _, vg := range slices.Sorted(maps.Keys(m.State.VolumeGroups)) {
		for _, name := range slices.Sorted(maps.Keys(m.LVs(vg))) {
			all = append(all, m.LVs(vg)[name])
		}
	}
	return all
}

// MakeConsistent derives the kernel's state of an edited model from the rest.
func (m *Model) MakeConsistent() {
	for _, id := range m.State.TargetIDs() {
		m.EditTargetOf(id, func(*observe.Target) {})
	}
	for _, lv := range m.AllLVs() {
		m.Edit(lv.FullName(), func(lv *observe.LogicalVolume) {
			lv.Open = m.isOpen(*lv)
			lv.Active = lv.Active || lv.Open
		})
	}
	for _, lv := range m.AllLVs() {
		if lv.Type != observe.ThickSnapshot {
			continue
		}
		origin, there := m.LVs(lv.VolumeGroup)[lv.Origin]
		if !there { // it was removed with its origin
			continue
		}
		active := lv.Active || origin.Active
		m.Edit(lv.FullName(), func(lv *observe.LogicalVolume) { lv.Active = active })
		m.Edit(origin.FullName(), func(lv *observe.LogicalVolume) { lv.Active = active })
	}
	for _, lv := range m.AllLVs() {
		if lv.Type == observe.ThickSnapshot {
			active := m.LVs(lv.VolumeGroup)[lv.Origin].Active
			m.Edit(lv.FullName(), func(lv *observe.LogicalVolume) { lv.Active = active })
		}
	}
}

// Linkable are the backstores that the kernel allows to be linked.
func (m *Model) Linkable() []string {
	all := slices.Sorted(maps.Keys(m.State.LIO.Backstores))
	return slices.DeleteFunc(all, func(path string) bool { return !m.State.LIO.Backstores[path].Enabled })
}

// IsLinked reports whether a LUN shows a backstore.
func (m *Model) IsLinked(path string) bool {
	for _, id := range m.State.TargetIDs() {
		target, _ := m.State.Target(id)
		for _, l := range target.LUNs {
			if l.Backstore == path {
				return true
			}
		}
	}
	return false
}

// Try makes a change as the machine would. It panics at what a plan must never contain.
func (m *Model) Try(c change.Change) error {
	if err := m.checkIdle(c); err != nil {
		return err
	}
	switch c := c.(type) {
	case change.CreateBackstore:
		if vg, name, _ := strings.Cut(strings.TrimPrefix(c.Device, "/dev/"), "/"); len(m.LVs(vg)[name].HeldBy) > 0 {
			return errRefused
		}
	case change.Clear:
		if m.heldOpen(c.LV) {
			return errRefused
		}
	case change.Populate:
		if m.heldOpen(c.LV) {
			return errRefused
		}
	case change.Stage:
		if m.heldOpen(c.LV) {
			return errRefused
		}
	case change.Restore:
		if m.heldOpen(c.LV) {
			return errRefused
		}
	case change.RemoveLV:
		if m.heldOpen(c.LV) && m.LVs(c.VolumeGroup)[c.Name].Phase() == ondisk.Clearing {
			return errRefused
		}
	}
	m.Change(c)
	return nil
}

// checkIdle checks that nobody is connected whom a change does not expect. A target that can be
// closed, and is, has no sessions.
func (m *Model) checkIdle(c change.Change) error {
	id, idle, expects := change.ExpectedIdle(c)
	if t, there := m.State.Target(id.ID()); expects && there && (t.Enabled || t.Fabric == observe.TGTISCSI) {
		return idle.Check(t)
	}
	return nil
}

func (m *Model) heldOpen(lv change.LV) bool { return m.LVs(lv.VolumeGroup)[lv.Name].Open }

// errRefused is the kernel's error for a device that somebody else holds: no plan can know of
// that, or it was made before. It is retried.
var errRefused = errors.New("device or resource busy")
