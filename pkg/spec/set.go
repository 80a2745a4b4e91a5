package spec

import (
	"maps"
	"slices"
)

// clone returns a set with maps of its own. What is in them is shared.
func (s Set) clone() Set {
	s.Pools, s.Volumes, s.Snapshots = maps.Clone(s.Pools), maps.Clone(s.Volumes), maps.Clone(s.Snapshots)
	s.Exports, s.Images, s.Withheld = maps.Clone(s.Exports), maps.Clone(s.Images), maps.Clone(s.Withheld)
	s.Repositories, s.Schedules, s.Backups = maps.Clone(s.Repositories), maps.Clone(s.Schedules), maps.Clone(s.Backups)
	s.Invalid, s.Findings = maps.Clone(s.Invalid), slices.Clone(s.Findings)
	return s
}

// Object returns a valid object of the set; nil if there is none.
func (s Set) Object(id ID) any {
	switch id.Kind {
	case KindPool:
		return get(s.Pools, id.Name)
	case KindVolume:
		return get(s.Volumes, id.Name)
	case KindSnapshot:
		return get(s.Snapshots, id.Name)
	case KindExport:
		return get(s.Exports, id.Name)
	case KindImage:
		return get(s.Images, id.Name)
	case KindRepository:
		return get(s.Repositories, id.Name)
	case KindSnapshotSchedule:
		return get(s.Schedules, id.Name)
	case KindBackup:
		return get(s.Backups, id.Name)
	}
	return nil
}

// Has reports whether the set holds an object, valid by itself.
func (s Set) Has(id ID) bool {
	var has bool
	switch id.Kind { // an object is not put into an interface only to be compared
	case KindPool:
		_, has = s.Pools[id.Name]
	case KindVolume:
		_, has = s.Volumes[id.Name]
	case KindSnapshot:
		_, has = s.Snapshots[id.Name]
	case KindExport:
		_, has = s.Exports[id.Name]
	case KindImage:
		_, has = s.Images[id.Name]
	case KindRepository:
		_, has = s.Repositories[id.Name]
	case KindSnapshotSchedule:
		_, has = s.Schedules[id.Name]
	case KindBackup:
		_, has = s.Backups[id.Name]
	}
	return has
}

// IDs returns the valid objects, in no particular order.
func (s Set) IDs() []ID {
	ids := make([]ID, 0, s.Len())
	ids = appendIDs(ids, KindPool, s.Pools)
	ids = appendIDs(ids, KindVolume, s.Volumes)
	ids = appendIDs(ids, KindSnapshot, s.Snapshots)
	ids = appendIDs(ids, KindExport, s.Exports)
	ids = appendIDs(ids, KindImage, s.Images)
	ids = appendIDs(ids, KindRepository, s.Repositories)
	ids = appendIDs(ids, KindSnapshotSchedule, s.Schedules)
	return appendIDs(ids, KindBackup, s.Backups)
}

// HasSchedules reports whether there is a SnapshotSchedule, valid or not.
func (s Set) HasSchedules() bool {
	if len(s.Schedules) > 0 {
		return true
	}
	for id := range s.Invalid {
		if id.Kind == KindSnapshotSchedule {
			return true
		}
	}
	return false
}

// Len returns how many valid objects there are.
func (s Set) Len() int {
	return len(s.Pools) + len(s.Volumes) + len(s.Snapshots) + len(s.Exports) + len(s.Images) +
		len(s.Repositories) + len(s.Schedules) + len(s.Backups)
}

// ImagePaths returns the paths of the files of the valid Images, sorted.
func (s Set) ImagePaths() []string {
	var paths []string
	for _, i := range s.Images {
		paths = append(paths, i.Spec.Path)
	}
	slices.Sort(paths)
	return paths
}

// AdoptedTargets returns the names of the targets of the valid Exports that adopt theirs, sorted.
func (s Set) AdoptedTargets() []string {
	var names []string
	for _, e := range s.Exports {
		if e.Spec.Adopt {
			names = append(names, e.Spec.Target)
		}
	}
	slices.Sort(names)
	return names
}

// Annotation returns an annotation of an object; empty if there is none.
func (s Set) Annotation(id ID, key string) string { return s.metadata(id).Annotations[key] }

// Labels returns the labels of an object; nil if there are none.
func (s Set) Labels(id ID) map[string]string { return s.metadata(id).Labels }

func (s Set) metadata(id ID) Metadata {
	switch id.Kind {
	case KindPool:
		return s.Pools[id.Name].Metadata
	case KindExport:
		return s.Exports[id.Name].Metadata
	case KindImage:
		return s.Images[id.Name].Metadata
	case KindRepository:
		return s.Repositories[id.Name].Metadata
	case KindSnapshotSchedule:
		return s.Schedules[id.Name].Metadata
	case KindBackup:
		return s.Backups[id.Name].Metadata
	case KindVolume:
		return s.Volumes[id.Name].Metadata
	case KindSnapshot:
		return s.Snapshots[id.Name].Metadata
	}
	return Metadata{}
}

// DeletionPolicy returns the policy of a Volume or Snapshot. It reports false if
// the set has none of that name.
func (s Set) DeletionPolicy(id ID) (DeletionPolicy, bool) {
	if v, ok := s.Volumes[id.Name]; ok && id.Kind == KindVolume {
		return v.Spec.DeletionPolicy, true
	}
	if v, ok := s.Snapshots[id.Name]; ok && id.Kind == KindSnapshot {
		return v.Spec.DeletionPolicy, true
	}
	return "", false
}

func get[T any](m map[string]T, name string) any {
	if o, ok := m[name]; ok {
		return o
	}
	return nil
}

func appendIDs[T any](ids []ID, kind Kind, m map[string]T) []ID {
	for name := range m {
		ids = append(ids, ID{kind, name})
	}
	return ids
}
