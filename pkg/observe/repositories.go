package observe

import (
	"slices"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Repository is what is known of a repository of backups. Repositories may be far away, so they are read beside the
// passes: this is what was read last.
type Repository struct {
	// Backups are ours, the oldest first; they are those of the last time that it could be read.
	Backups []Backup
	// Read is when they were read; zero: never since the agent was started.
	Read time.Time
	// Err is why it cannot be read now, and Missing is true if that is because there is none at its address.
	Err     error
	Missing bool
	// Seen is true if this installation has ever used it: it is not created again then.
	Seen bool
	// Pruned and Checked are when that was last done by this installation; zero: never.
	Pruned, Checked time.Time
	// Forgotten are how many backups of a Volume were removed in the last 24 hours.
	Forgotten map[string]int
}

// IsKnown reports whether its backups are known, if not of this moment.
func (r Repository) IsKnown() bool { return !r.Read.IsZero() && !r.Missing }

// Backup is a backup of a volume in a repository. It is complete: what is not is removed by whoever made it.
type Backup struct {
	// ID is restic's.
	ID   string
	Time time.Time // of its content, in UTC
	// Host is the name of the node that made it.
	Host string
	// Volume is the name of the Volume, Schedule that of the schedule that made it, and Object that of the Backup
	// that asked for it; one of the two is empty.
	Volume, Schedule, Object string
	// LV is the UUID of the snapshot that it was made of, and Identity that of the volume, see
	// [LogicalVolume.Identity].
	LV, Identity string
	// Size is that of the volume, in bytes.
	Size uint64
	// Delete is true if it is removed when its Backup is no longer declared.
	Delete bool
	// Reread is true if all of the volume was read for it.
	Reread bool
	// Unreadable is true if it has a layout that this version does not know.
	Unreadable bool
}

// ChooseBackup returns the backup that [spec.BackupSource.At] means, of those of one volume, the oldest first: the last
// one, the last that is not later than a time, or the one of an ID of which the beginning is given.
func ChooseBackup(backups []Backup, at string) (Backup, bool) {
	until, notTime := time.Parse(time.RFC3339, at)
	for _, b := range slices.Backward(backups) {
		switch {
		case at == spec.LatestBackup, notTime == nil && !b.Time.After(until), notTime != nil && len(at) >= spec.MinBackupID && strings.HasPrefix(b.ID, at):
			return b, true
		}
	}
	return Backup{}, false
}
