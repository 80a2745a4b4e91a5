package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// isScheduled reports whether an object is a snapshot of a schedule, by the moment in its name.
func isScheduled(o *status.Object) bool {
	if o.Kind != spec.KindSnapshot {
		return false
	}
	_, is := spec.ScheduledAt(o.Name)
	return is
}

// blockedRuns returns how many snapshots of schedules are due and cannot be taken now.
func blockedRuns(all []status.Object) int {
	n := 0
	for i := range all {
		o := &all[i]
		if (o.Phase == status.Blocked || o.Phase == status.Failed) && (o.Snapshot == nil || o.Snapshot.LVUUID == "") && isScheduled(o) {
			n++
		}
	}
	return n
}

// collectScheduled emits the series of a snapshot of a schedule. Each hour may bring another name, and Prometheus
// keeps every series for weeks: there are only those that somebody may have to act on.
func collectScheduled(o *status.Object, of labels, emit emit) {
	collectJob(o.Progress, of, emit)
	if o.Snapshot != nil {
		collectCOW(o.Snapshot, of, emit)
	}
}

func collectSchedule(name string, s *status.Schedule, emit emit) {
	schedule := pair("schedule", name)
	of := labels{schedule}
	emit(scheduleSnapshots, float64(s.Snapshots), of)
	emitTime(scheduleLast, s.Last, of, emit)
	emitTime(scheduleNext, s.Next, of, emit)
	for _, b := range s.Backups {
		of := labels{schedule, pair("volume", b.Volume)}
		emit(scheduleBackups, float64(b.Count), of)
		emitTime(scheduleLastBackup, b.Last, of, emit)
		emitTime(scheduleLastDrill, b.Drilled, of, emit)
		tooOld := 0.
		if b.TooOld {
			tooOld = 1
		}
		emit(scheduleBackupTooOld, tooOld, of)
	}
}

func collectRepository(o *status.Object, emit emit) {
	r, of := o.Repository, labels{pair("repository", o.Name)}
	if readable, known := isReadable(o); known {
		emit(repositoryReadable, readable, of)
	}
	if !r.Read.IsZero() {
		emit(repositoryBackups, float64(r.Backups), of)
	}
	emitTime(repositoryRead, r.Read, of, emit)
	emitTime(repositoryPruned, r.Pruned, of, emit)
	emitTime(repositoryChecked, r.Checked, of, emit)
}

// isReadable returns 1 or 0, and whether that is known: not of one that is suspended, or that was not read yet.
func isReadable(o *status.Object) (value float64, known bool) {
	switch {
	case o.Phase == status.Suspended:
		return 0, false
	case o.Reason == status.ReasonObservationFailed, o.Reason == status.ReasonVanished:
		return 0, true
	case o.Repository.Read.IsZero():
		return 0, o.Phase == status.Failed // it could not be created
	default:
		return 1, true
	}
}

// emitTime emits a time; none if it is zero.
func emitTime(d *prometheus.Desc, t time.Time, of labels, emit emit) {
	if !t.IsZero() {
		emit(d, float64(t.UnixMilli())/1000, of)
	}
}
