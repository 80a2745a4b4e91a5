package spec

import (
	"maps"
	"slices"
	"strings"
)

// checkBackupReferences refuses references of schedules and Backups to undeclared objects.
func (a *assembly) checkBackupReferences() {
	for o, s := range objectsOf[SnapshotSchedule](a) {
		for i, name := range s.Spec.Volumes {
			a.resolve(o, itemPath("spec.volumes", i), ID{KindVolume, name})
		}
		if b := s.Spec.Backup; b != nil {
			a.resolve(o, "spec.backup.repository", ID{KindRepository, b.Repository})
			if b.Drill != nil {
				a.resolve(o, "spec.backup.drill.pool", ID{KindPool, b.Drill.Pool})
			}
		}
	}
	for o, b := range objectsOf[Backup](a) {
		a.resolve(o, "spec.volume", ID{KindVolume, b.Spec.Volume})
		a.resolve(o, "spec.repository", ID{KindRepository, b.Spec.Repository})
	}
}

// checkRepositories refuses two Repositories with one place: each would free what the other uses.
func (a *assembly) checkRepositories() {
	first := map[string]*object{}
	for o, r := range objectsOf[Repository](a) {
		place := strings.TrimRight(strings.TrimPrefix(r.Spec.Restic.URL, "local:"), "/")
		if other := claimFirst(first, place, o); other != nil {
			a.clash(o, other, "spec.restic.url", "its repository")
		}
	}
}

// checkScheduledNames refuses two schedules whose snapshots would have the same names: one of Volume b-c by schedule a
// is called like one of Volume c by schedule a-b. It also refuses names that are too long for the device.
func (a *assembly) checkScheduledNames() {
	first := map[string]*object{}
	for o, s := range objectsOf[SnapshotSchedule](a) {
		for _, volume := range a.selectedBy(s.Spec) {
			name := s.SnapshotPrefix(volume.Name) + "-" + scheduledTime
			if pool := a.poolOf(volume); pool != nil {
				if err := checkDeviceName(pool.Spec.VolumeGroup, name); err != nil {
					a.refuse(o, "metadata.name", "snapshots of %s: %w", volume, err)
					break
				}
			}
			if other := claimFirst(first, name, o); other != nil && other != o {
				a.clash(o, other, "metadata.name", "the name of snapshots of "+volume.String())
				break
			}
		}
	}
}

// selectedBy returns the Volumes of a schedule, declared or not if it names them.
func (a *assembly) selectedBy(s SnapshotScheduleSpec) (volumes []ID) {
	for _, name := range s.Volumes {
		volumes = append(volumes, ID{KindVolume, name})
	}
	if s.Selector == nil {
		return volumes
	}
	for o, v := range objectsOf[Volume](a) {
		if s.Selector.Matches(v.Metadata.Labels) {
			volumes = append(volumes, o.id)
		}
	}
	return volumes
}

// isScheduled reports whether an object has the name of a snapshot of a declared schedule. Only the node knows
// whether there is such a snapshot.
func (a *assembly) isScheduled(id ID) bool {
	if id.Kind != KindSnapshot {
		return false
	}
	if _, is := ScheduledAt(id.Name); !is {
		return false
	}
	for _, s := range objectsOf[SnapshotSchedule](a) {
		if s.MayHave(id.Name) {
			return true
		}
	}
	for invalid := range a.invalid {
		if invalid.Kind == KindSnapshotSchedule && (SnapshotSchedule{Metadata: Metadata{Name: invalid.Name}}).MayHave(id.Name) {
			return true
		}
	}
	return false
}

// withRepositorySecrets returns a copy of a Repository in which every secret is filled in.
func withRepositorySecrets(o *object, r *Repository, read secretReader) (*Repository, []Finding) {
	var findings []Finding
	fill := func(from PasswordFrom, path string) Secret {
		secret, err := read(from.File)
		if err != nil {
			findings = append(findings, o.finding(path+".file", err))
		}
		return secret
	}
	filled := *r
	restic := &filled.Spec.Restic
	restic.Password = fill(restic.PasswordFrom, "spec.restic.passwordFrom")
	restic.Environment = make(map[string]Secret, len(restic.EnvironmentFrom))
	for _, name := range slices.Sorted(maps.Keys(restic.EnvironmentFrom)) {
		restic.Environment[name] = fill(restic.EnvironmentFrom[name], entryPath("spec.restic.environmentFrom", name))
	}
	return &filled, findings
}
