package plan

import (
	"time"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// drill is a scratch volume into which the last backup of a Volume is restored, which compares all of it with the
// digests in the backup. When that has succeeded the volume is removed.
type drill struct {
	schedule, volume string
	lv               observe.LogicalVolume
	// done is true if the restore has succeeded.
	done bool
}

// addDrill declares the scratch volume of the drill of a schedule that is under way, or due. There is one at a time.
func (s *Scheduled) addDrill(in Input, sched spec.SnapshotSchedule) {
	b := sched.Spec.Backup
	if b == nil || b.Drill == nil || sched.Metadata.Suspended() {
		return
	}
	known := in.Known[spec.ID{Kind: spec.KindSnapshotSchedule, Name: sched.Metadata.Name}]
	volumes := s.runs[sched.Metadata.Name].volumes
	for _, volume := range volumes {
		id := drillID(sched, volume.name)
		if lvs := in.Index.current[id]; len(lvs) == 1 && lvs[0].Tag(ondisk.TagDrill) == sched.Metadata.Name {
			s.declareDrill(sched, volume.name, id, lvs[0], spec.Size(lvs[0].Size))
			return
		}
	}
	seen := in.Observed.Repositories[b.Repository]
	if !seen.IsKnown() || seen.Err != nil {
		return
	}
	for _, volume := range volumes {
		id := drillID(sched, volume.name)
		last, found := observe.ChooseBackup(s.backups[backupKey{repository: b.Repository, volume: volume.name}], spec.LatestBackup)
		next := known.Drilled[volume.name].Add(time.Duration(b.Drill.Every))
		switch {
		case len(volume.made) == 0, !found, in.Known[id].UUID != "": // the second: somebody removed it; it is forgotten first
		case known.Drilled[volume.name].IsZero() || !next.After(in.trashClock()):
			s.declareDrill(sched, volume.name, id, observe.LogicalVolume{}, spec.Size(last.Size))
			return
		default:
			s.wake = earlier(s.wake, next)
		}
	}
}

// drillID names the scratch volume of a drill.
func drillID(sched spec.SnapshotSchedule, volume string) spec.ID {
	return spec.ID{Kind: spec.KindVolume, Name: sched.DrillName(volume)}
}

func (s *Scheduled) declareDrill(sched spec.SnapshotSchedule, volume string, id spec.ID, lv observe.LogicalVolume, size spec.Size) {
	if _, taken := s.Declared.Volumes[id.Name]; taken || s.Declared.Invalid[id] != nil {
		return
	}
	if s.drills == nil {
		s.drills, s.Declared.Volumes = map[string]drill{}, cloneOf(s.Declared.Volumes)
	}
	s.drills[id.Name] = drill{schedule: sched.Metadata.Name, volume: volume, lv: lv, done: lv.UUID != "" && isComplete(lv) && isFilled(lv)}
	s.Declared.Volumes[id.Name] = spec.Volume{
		Metadata: spec.Metadata{Name: id.Name, Labels: sched.Metadata.Labels},
		Spec: spec.VolumeSpec{
			Pool: sched.Spec.Backup.Drill.Pool, Size: size, LVName: id.Name, DeletionPolicy: spec.Retain,
			Source: &spec.VolumeSource{Backup: &spec.BackupSource{Repository: sched.Spec.Backup.Repository, Volume: volume, At: spec.LatestBackup}},
		},
	}
}

// drillWaits reports whether a drill would fill its thin pool, from which every Volume in it would suffer, and sets the
// status. What it will need is what the Volume has mapped; of a thick one, or one that is lost, its size.
func (d *differ) drillWaits(id spec.ID, from observe.Backup, p pool) bool {
	run, is := d.in.Scheduled.drills[id.Name]
	thin, there := p.vg.LogicalVolumes[p.thinPool]
	if !is || p.thinPool == "" || !there {
		return false
	}
	needs := float64(from.Size)
	if lvs := d.index.current[spec.ID{Kind: spec.KindVolume, Name: run.volume}]; len(lvs) == 1 && lvs[0].Type == observe.Thin {
		needs = min(needs, float64(lvs[0].Size)*lvs[0].DataPercent/100)
	}
	if thin.DataPercent+100*needs/float64(thin.Size) < pressurePercent && thin.MetadataPercent < pressurePercent {
		return false
	}
	d.setBlocked(id, status.ReasonNoSpace, "the drill needs up to %s in thin pool %s, which would be nearly full then (data %.1f%%, metadata %.1f%%). Grow it, or use another Pool for drills", spec.Size(needs), thin.FullName(), thin.DataPercent, thin.MetadataPercent)
	return true
}

// endDrills removes the scratch volumes of drills that have succeeded. They hold nothing that is not in the
// repository.
func (d *differ) endDrills() {
	for _, name := range sorted(d.in.Scheduled.drills) {
		run, id := d.in.Scheduled.drills[name], spec.ID{Kind: spec.KindVolume, Name: name}
		if !run.done || d.isGuarded(expiryGuards, id, run.lv) {
			continue
		}
		d.removeMade(id, run.lv, "the drill has succeeded", []string{ondisk.TagDrill + run.schedule})
	}
}

// learnDrills learns which drills have succeeded.
func learnDrills(sched spec.SnapshotSchedule, volumes []string, index *Index, known map[string]time.Time, now time.Time) map[string]time.Time {
	for _, volume := range volumes {
		lvs := index.current[drillID(sched, volume)]
		if len(lvs) != 1 || lvs[0].Tag(ondisk.TagDrill) != sched.Metadata.Name || !isComplete(lvs[0]) || !isFilled(lvs[0]) {
			continue
		}
		if created := lvs[0].Created; known[volume].IsZero() || known[volume].Before(created) {
			known = cloneOf(known)
			known[volume] = now.Round(0).UTC()
		}
	}
	return known
}
