package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// MaxPerVolume is the most series that a volume may have.
const MaxPerVolume = 12

// Type is what a value of a metric is.
type Type string

// The types.
const (
	Gauge     Type = "gauge"
	Counter   Type = "counter" // since the agent, or the device, was started
	Histogram Type = "histogram"
)

// Metric is a family of series.
type Metric struct {
	Name   string
	Type   Type
	Labels []string
	// Help is one sentence for whoever reads /metrics.
	Help string

	desc *prometheus.Desc
}

const namespace = "volreconciler_"

// all are the metrics, in the order of the documentation.
var all []Metric

// counters are the metrics that are counters.
var counters = map[*prometheus.Desc]bool{}

// metric adds a metric to the list, and returns what identifies it. Labels must be in the order of the alphabet.
func metric(name string, kind Type, help string, labels ...string) *prometheus.Desc {
	m := Metric{Name: namespace + name, Type: kind, Labels: labels, Help: help}
	m.desc = prometheus.NewDesc(m.Name, help, labels, nil)
	all = append(all, m)
	counters[m.desc] = kind == Counter
	return m.desc
}

// Metrics returns all metrics, in the order of the documentation.
func Metrics() []Metric { return slices.Clone(all) }

// object are the labels of the series of one object.
var object = []string{"kind", "name"}

var (
	buildInfo = metric("build_info", Gauge, "1, with the version of the agent.", "commit", "goversion", "version")

	passSeconds     = metric("pass_duration_seconds", Histogram, "Time that passes took.")
	passLastSuccess = metric("pass_last_success_timestamp_seconds", Gauge, "When a pass last ended that could read all of the node.")
	findings        = metric("findings", Gauge, "Mistakes in the spec files, and what else keeps the agent from deleting anything.")
	objects         = metric("objects", Gauge, "Objects in a phase, for a reason.", "kind", "phase", "reason")
	objectReady     = metric("object_ready", Gauge, "1 if a declared object is Ready, 0 if it is not.", object...)
	changes         = metric("changes_total", Counter, "Changes that were tried.", "result", "type")
	drifts          = metric("drift_corrections_total", Counter, "Changes that corrected what somebody else had changed.", "kind")
	auditMisses     = metric("audit_misses_total", Counter, "Times that an audit found a change which the kernel had not announced.")
	deletions       = metric("deletions_blocked", Gauge, "Objects whose removal waits because too many would be deleted, or files have mistakes.")

	jobDone  = metric("job_done_bytes", Gauge, "How much of an object's data a job has copied or wiped.", object...)
	jobTotal = metric("job_total_bytes", Gauge, "How much of an object's data a job will copy or wipe.", object...)

	poolSize        = metric("pool_size_bytes", Gauge, "Size of a thin pool, or of the volume group of a Pool without one.", "pool")
	poolFree        = metric("pool_free_bytes", Gauge, "Space in a Pool that nothing takes.", "pool")
	poolAllocated   = metric("pool_allocated_bytes", Gauge, "Space in a Pool that is taken.", "pool")
	poolProvisioned = metric("pool_provisioned_bytes", Gauge, "Sum of the sizes of the thin volumes in a Pool.", "pool")
	poolTrash       = metric("pool_trash_bytes", Gauge, "Space that deleted volumes in the trash take, at most.", "pool")
	thinDataUsed    = metric("pool_thin_data_used_bytes", Gauge, "Data in a thin pool.", "pool")
	thinDataSize    = metric("pool_thin_data_size_bytes", Gauge, "Size of the data of a thin pool.", "pool")
	thinMetaUsed    = metric("pool_thin_metadata_used_bytes", Gauge, "Metadata in a thin pool.", "pool")
	thinMetaSize    = metric("pool_thin_metadata_size_bytes", Gauge, "Size of the metadata of a thin pool.", "pool")
	thinChunk       = metric("pool_thin_chunk_bytes", Gauge, "Unit in which a thin pool allocates.", "pool")
	poolFullIn      = metric("pool_full_in_seconds", Gauge, "Time until a Pool is full if it grows as in the last hours.", "pool", "what")
	lvmMetaFree     = metric("pool_lvm_metadata_free_bytes", Gauge, "How much the metadata of LVM in the volume group of a Pool may still grow.", "pool")

	volumeSize      = metric("volume_size_bytes", Gauge, "Size of a Volume or Snapshot.", object...)
	volumeAllocated = metric("volume_allocated_bytes", Gauge, "Space that a Volume or Snapshot takes.", object...)
	cowUsed         = metric("snapshot_cow_used_ratio", Gauge, "How full the copy-on-write space of a thick Snapshot is, from 0 to 1.", object...)
	ioMetrics       = []*prometheus.Desc{ // in the order of deviceStat
		metric("volume_io_reads_total", Counter, "Reads of a volume's device that were completed.", object...),
		metric("volume_io_read_bytes_total", Counter, "Bytes that were read from a volume's device.", object...),
		metric("volume_io_read_seconds_total", Counter, "Time that reads of a volume's device took, in sum.", object...),
		metric("volume_io_writes_total", Counter, "Writes of a volume's device that were completed.", object...),
		metric("volume_io_written_bytes_total", Counter, "Bytes that were written to a volume's device.", object...),
		metric("volume_io_write_seconds_total", Counter, "Time that writes of a volume's device took, in sum.", object...),
	}

	scheduleSnapshots    = metric("schedule_snapshots", Gauge, "Snapshots that a schedule has of its Volumes.", "schedule")
	scheduleLast         = metric("schedule_last_snapshot_timestamp_seconds", Gauge, "Moment of the last snapshot of a schedule.", "schedule")
	scheduleNext         = metric("schedule_next_run_timestamp_seconds", Gauge, "When a schedule is due next.", "schedule")
	scheduleBackups      = metric("schedule_backups", Gauge, "Backups of a Volume that a schedule made.", "schedule", "volume")
	scheduleLastBackup   = metric("schedule_last_backup_timestamp_seconds", Gauge, "Moment of the last backup of a Volume that a schedule made.", "schedule", "volume")
	scheduleBackupTooOld = metric("schedule_backup_too_old", Gauge, "1 if the last backup of a Volume is older than its schedule allows, 0 if it is not.", "schedule", "volume")
	scheduleLastDrill    = metric("schedule_last_drill_timestamp_seconds", Gauge, "When the last backup of a Volume was last restored and compared.", "schedule", "volume")
	scheduledBlocked     = metric("scheduled_snapshots_blocked", Gauge, "Snapshots of schedules that are due and cannot be taken now.")

	repositoryReadable = metric("repository_readable", Gauge, "1 if a Repository could be read, 0 if it cannot be read now.", "repository")
	repositoryBackups  = metric("repository_backups", Gauge, "Backups in a Repository.", "repository")
	repositoryRead     = metric("repository_read_timestamp_seconds", Gauge, "When the list of backups in a Repository was last read.", "repository")
	repositoryPruned   = metric("repository_pruned_timestamp_seconds", Gauge, "When a Repository was last pruned.", "repository")
	repositoryChecked  = metric("repository_checked_timestamp_seconds", Gauge, "When a Repository was last checked without an error.", "repository")

	sessions = metric("export_sessions", Gauge, "Initiators that are connected to an Export.", "export", "protocol")
)
