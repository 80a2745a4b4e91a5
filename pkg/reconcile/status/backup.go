package status

import "time"

// Schedule is the status of a SnapshotSchedule.
type Schedule struct {
	// Volumes is how many Volumes it selects, and Snapshots how many snapshots of these it has.
	Volumes   int `json:"volumes"`
	Snapshots int `json:"snapshots"`
	// Last is the moment of the last snapshot, and Next when the next one is due; zero: there is none.
	Last time.Time `json:"last,omitzero"`
	Next time.Time `json:"next,omitzero"`
	// Backups are those in its Repository, one entry for each Volume, sorted by its name.
	Backups []VolumeBackups `json:"backups,omitempty"`
}

// VolumeBackups are the backups of a Volume that a schedule made.
type VolumeBackups struct {
	Volume string `json:"volume"`
	Count  int    `json:"count"`
	// Last is the moment of the last one; zero: there is none.
	Last time.Time `json:"last,omitzero"`
	// TooOld is true if the last one is older than maxAge.
	TooOld bool `json:"tooOld,omitempty"`
	// Drilled is when a drill last succeeded; zero: never.
	Drilled time.Time `json:"drilled,omitzero"`
}

// Repository is the status of a Repository.
type Repository struct {
	// URL is its public form.
	URL string `json:"url"`
	// Backups is how many backups of ours it has.
	Backups int `json:"backups"`
	// Read is when its list of backups was last read; zero: never since the agent was started.
	Read time.Time `json:"read,omitzero"`
	// Pruned and Checked are when that was last done; zero: never, as far as is known.
	Pruned  time.Time `json:"pruned,omitzero"`
	Checked time.Time `json:"checked,omitzero"`
}

// Backup is the status of a Backup.
type Backup struct {
	Volume     string `json:"volume"`
	Repository string `json:"repository"`
	// ID is that of restic, and Time the moment of its content; empty and zero: it is not made yet.
	ID   string    `json:"id,omitempty"`
	Time time.Time `json:"time,omitzero"`
}
