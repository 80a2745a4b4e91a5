package main

// row is a row of panels.
type row struct {
	title  string
	panels []panel
}

// panel shows queries: over time, or only the last value of each as a number.
type panel struct {
	title, description string
	number             bool
	// unit is Grafana's name of it.
	unit string
	// width is in 24ths.
	width uint32
	// warn and alarm are from which values on a number is yellow and red; 0: never.
	warn, alarm float64
	queries     []query
}

// query is an expression of PromQL, and what each of its series is called: in Grafana's template, as in
// {{pool}}. $of stands for the selected nodes.
type query struct{ expr, legend string }

const (
	bytes   = "bytes"
	ratio   = "percentunit"
	seconds = "s"
)

// top limits how many volumes a panel shows.
func top(expr string) string { return "topk(10, " + expr + ")" }

func rate(metric string) string { return "rate(" + metric + "[$__rate_interval])" }

var rows = []row{
	{"Overview", []panel{
		{title: "Objects that need somebody", description: "Blocked or Failed, but not by sessions: volreconciler get lists them.", number: true, width: 4, warn: 1, queries: []query{
			{`sum(volreconciler_objects{$of,phase=~"Blocked|Failed",reason!~"SessionsActive|ReservationsActive"}) or vector(0)`, ""}}},
		{title: "Declared objects that are not Ready", number: true, width: 4, warn: 1, queries: []query{{`count(volreconciler_object_ready{$of} == 0) or vector(0)`, ""}}},
		{title: "Since the last good pass", description: "The oldest of all nodes. An idle agent makes one pass per audit.", number: true, unit: seconds, width: 4, warn: 900, alarm: 1200, queries: []query{
			{`max(time() - volreconciler_pass_last_success_timestamp_seconds{$of})`, ""}}},
		{title: "Findings", number: true, width: 4, warn: 1, queries: []query{{`sum(volreconciler_findings{$of})`, ""}}},
		{title: "Deletions that wait", number: true, width: 4, warn: 1, queries: []query{{`sum(volreconciler_deletions_blocked{$of})`, ""}}},
		{title: "Agents", description: "By version.", number: true, width: 4, queries: []query{{`count by (version) (volreconciler_build_info{$of})`, "{{version}}"}}},
		{title: "Objects by state", width: 12, queries: []query{{`sum by (kind, phase, reason) (volreconciler_objects{$of,phase!="Ready"})`, "{{kind}} {{phase}}: {{reason}}"}}},
		{title: "Drift corrected", description: "In one hour.", width: 12, queries: []query{{`sum by (instance, kind) (increase(volreconciler_drift_corrections_total{$of}[1h])) > 0`, "{{instance}} {{kind}}"}}},
	}},
	{"Pools", []panel{
		{title: "Data of thin pools", unit: ratio, width: 8, queries: []query{{`volreconciler_pool_thin_data_used_bytes{$of} / volreconciler_pool_thin_data_size_bytes{$of}`, "{{instance}} {{pool}}"}}},
		{title: "Metadata of thin pools", unit: ratio, width: 8, queries: []query{{`volreconciler_pool_thin_metadata_used_bytes{$of} / volreconciler_pool_thin_metadata_size_bytes{$of}`, "{{instance}} {{pool}}"}}},
		{title: "Full in", description: "If usage grows as in the last 6 hours. No line: it does not grow.", unit: seconds, width: 8, queries: []query{{`volreconciler_pool_full_in_seconds{$of}`, "{{instance}} {{pool}} {{what}}"}}},
		{title: "Space", unit: bytes, width: 8, queries: []query{
			{`volreconciler_pool_size_bytes{$of}`, "{{instance}} {{pool}} size"},
			{`volreconciler_pool_allocated_bytes{$of}`, "{{instance}} {{pool}} allocated"}}},
		{title: "Free, and in the trash", unit: bytes, width: 8, queries: []query{
			{`volreconciler_pool_free_bytes{$of}`, "{{instance}} {{pool}} free"},
			{`volreconciler_pool_trash_bytes{$of}`, "{{instance}} {{pool}} in the trash, at most"}}},
		{title: "Provisioned per size", description: "Above 100% the pool is overcommitted.", unit: ratio, width: 8, queries: []query{
			{`volreconciler_pool_provisioned_bytes{$of} / volreconciler_pool_size_bytes{$of}`, "{{instance}} {{pool}}"}}},
		{title: "Room for LVM's metadata", description: "Each logical volume takes about 400 bytes.", unit: bytes, width: 8, queries: []query{{`volreconciler_pool_lvm_metadata_free_bytes{$of}`, "{{instance}} {{pool}}"}}},
		{title: "Copy-on-write space of thick Snapshots", unit: ratio, width: 8, queries: []query{{top(`volreconciler_snapshot_cow_used_ratio{$of}`), "{{instance}} {{name}}"}}},
		{title: "Chunks of thin pools", unit: bytes, width: 8, number: true, queries: []query{{`volreconciler_pool_thin_chunk_bytes{$of}`, "{{instance}} {{pool}}"}}},
	}},
	{"Volumes", []panel{
		{title: "Read", unit: "Bps", width: 8, queries: []query{{top(rate(`volreconciler_volume_io_read_bytes_total{$of}`)), "{{instance}} {{name}}"}}},
		{title: "Reads", unit: "ops", width: 8, queries: []query{{top(rate(`volreconciler_volume_io_reads_total{$of}`)), "{{instance}} {{name}}"}}},
		{title: "Time of a read", unit: seconds, width: 8, queries: []query{
			{top(rate(`volreconciler_volume_io_read_seconds_total{$of}`) + " / " + rate(`volreconciler_volume_io_reads_total{$of}`) + " > 0"), "{{instance}} {{name}}"}}},
		{title: "Written", unit: "Bps", width: 8, queries: []query{{top(rate(`volreconciler_volume_io_written_bytes_total{$of}`)), "{{instance}} {{name}}"}}},
		{title: "Writes", unit: "ops", width: 8, queries: []query{{top(rate(`volreconciler_volume_io_writes_total{$of}`)), "{{instance}} {{name}}"}}},
		{title: "Time of a write", unit: seconds, width: 8, queries: []query{
			{top(rate(`volreconciler_volume_io_write_seconds_total{$of}`) + " / " + rate(`volreconciler_volume_io_writes_total{$of}`) + " > 0"), "{{instance}} {{name}}"}}},
		{title: "Largest", unit: bytes, width: 12, queries: []query{{top(`volreconciler_volume_size_bytes{$of}`), "{{instance}} {{kind}}/{{name}}"}}},
		{title: "That take most", unit: bytes, width: 12, queries: []query{{top(`volreconciler_volume_allocated_bytes{$of}`), "{{instance}} {{kind}}/{{name}}"}}},
	}},
	{"Exports", []panel{
		{title: "Sessions by protocol", width: 12, queries: []query{{`sum by (protocol) (volreconciler_export_sessions{$of})`, "{{protocol}}"}}},
		{title: "Exports without a session", width: 12, queries: []query{{`count by (instance) (volreconciler_export_sessions{$of} == 0)`, "{{instance}}"}}},
	}},
	{"Backups", []panel{
		{title: "Backups that are too old", description: "Older than the maxAge of their schedule.", number: true, width: 6, warn: 1, queries: []query{{`sum(volreconciler_schedule_backup_too_old{$of}) or vector(0)`, ""}}},
		{title: "Snapshots that are due and blocked", number: true, width: 6, warn: 1, queries: []query{{`sum(volreconciler_scheduled_snapshots_blocked{$of}) or vector(0)`, ""}}},
		{title: "Repositories that cannot be read", number: true, width: 6, warn: 1, queries: []query{{`count(volreconciler_repository_readable{$of} == 0) or vector(0)`, ""}}},
		{title: "Until the next run", unit: seconds, number: true, width: 6, queries: []query{{`volreconciler_schedule_next_run_timestamp_seconds{$of} - time()`, "{{instance}} {{schedule}}"}}},
		{title: "Age of the last backup", description: "The oldest.", unit: seconds, width: 8, queries: []query{{top(`time() - volreconciler_schedule_last_backup_timestamp_seconds{$of}`), "{{instance}} {{schedule}} {{volume}}"}}},
		{title: "Age of the last snapshot", unit: seconds, width: 8, queries: []query{{top(`time() - volreconciler_schedule_last_snapshot_timestamp_seconds{$of}`), "{{instance}} {{schedule}}"}}},
		{title: "Snapshots", width: 8, queries: []query{{top(`volreconciler_schedule_snapshots{$of}`), "{{instance}} {{schedule}}"}}},
		{title: "Backups", width: 8, queries: []query{
			{`sum by (instance, schedule) (volreconciler_schedule_backups{$of})`, "{{instance}} {{schedule}}"},
			{`volreconciler_repository_backups{$of}`, "{{instance}} in {{repository}}"}}},
		{title: "Since repositories were checked and pruned", unit: seconds, width: 8, queries: []query{
			{`time() - volreconciler_repository_checked_timestamp_seconds{$of}`, "{{instance}} {{repository}} checked"},
			{`time() - volreconciler_repository_pruned_timestamp_seconds{$of}`, "{{instance}} {{repository}} pruned"}}},
		{title: "Since the last drill", description: "Restored and compared. The oldest.", unit: seconds, width: 8, queries: []query{{top(`time() - volreconciler_schedule_last_drill_timestamp_seconds{$of}`), "{{instance}} {{schedule}} {{volume}}"}}},
		{title: "Since repositories were read", unit: seconds, width: 8, queries: []query{{`time() - volreconciler_repository_read_timestamp_seconds{$of}`, "{{instance}} {{repository}}"}}},
	}},
	{"Agent", []panel{
		{title: "Passes, 95th percentile", unit: seconds, width: 8, queries: []query{{`histogram_quantile(0.95, sum by (instance, le) (rate(volreconciler_pass_duration_seconds_bucket{$of}[15m])))`, "{{instance}}"}}},
		{title: "Changes", description: "In 5 minutes.", width: 8, queries: []query{{`sum by (type, result) (increase(volreconciler_changes_total{$of}[5m])) > 0`, "{{type}} {{result}}"}}},
		{title: "Jobs", description: "Copies and wipes: how much is done.", unit: ratio, width: 8, queries: []query{{`volreconciler_job_done_bytes{$of} / volreconciler_job_total_bytes{$of}`, "{{instance}} {{kind}}/{{name}}"}}},
		{title: "Changes that the kernel did not announce", description: "Found by audits, in a day.", width: 24, queries: []query{{`increase(volreconciler_audit_misses_total{$of}[1d])`, "{{instance}}"}}},
	}},
}
