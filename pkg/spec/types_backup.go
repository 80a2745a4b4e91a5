package spec

import (
	"fmt"
	"slices"
	"time"
)

// Repository is a restic repository for the backups of this node. Each node has one of its own.
type Repository struct {
	Metadata Metadata       `yaml:"metadata"`
	Spec     RepositorySpec `yaml:"spec"`
}

// RepositorySpec is the declared state of a Repository.
type RepositorySpec struct {
	Restic ResticRepository `yaml:"restic"`
	// Prune and Check are never nil after defaulting.
	Prune *RepositoryPrune `yaml:"prune,omitempty"`
	Check *RepositoryCheck `yaml:"check,omitempty"`
}

// ResticRepository is where a repository is, and what opens it.
type ResticRepository struct {
	// URL is whatever restic takes, without secrets: a path, sftp:, rest:, s3:, and others.
	URL          string       `yaml:"url"`
	PasswordFrom PasswordFrom `yaml:"passwordFrom"`
	// EnvironmentFrom are variables for restic whose values are secret, as those of an object store.
	EnvironmentFrom map[string]PasswordFrom `yaml:"environmentFrom,omitempty"`
	// Password and Environment are filled in from the files when a directory is loaded on a node.
	Password    Secret            `yaml:"-"`
	Environment map[string]Secret `yaml:"-"`
}

// RepositoryPrune says when restic frees the space of backups that are gone.
type RepositoryPrune struct {
	// Every is 168h unless given.
	Every Interval `yaml:"every,omitempty"`
	// MaxUnused is how much of the repository may be unused afterwards: 10% unless given.
	MaxUnused string `yaml:"maxUnused,omitempty"`
}

// RepositoryCheck says when restic checks a repository.
type RepositoryCheck struct {
	// Every is 24h unless given.
	Every Interval `yaml:"every,omitempty"`
	// ReadData is how much of the data is read, chosen at random: 2% unless given.
	ReadData string `yaml:"readData,omitempty"`
}

// Interval is a [Duration], or never.
type Interval struct {
	Duration Duration
	Never    bool
}

// SnapshotSchedule takes snapshots of Volumes at certain times, keeps some of them, and backs some of them up.
type SnapshotSchedule struct {
	Metadata Metadata             `yaml:"metadata"`
	Spec     SnapshotScheduleSpec `yaml:"spec"`
}

// SnapshotScheduleSpec is the declared state of a SnapshotSchedule. Exactly one of Volumes and Selector is given.
type SnapshotScheduleSpec struct {
	Volumes  []string       `yaml:"volumes,omitempty"`
	Selector *LabelSelector `yaml:"selector,omitempty"`
	// At is a cron expression, see package schedule.
	At string `yaml:"at"`
	// TimeZone is that of At and of Backup.At, by its name in the IANA database; default: UTC.
	TimeZone string `yaml:"timeZone,omitempty"`
	// Jitter is by how much a run may be later than At says. It differs from run to run, and does not change with a restart.
	Jitter Duration `yaml:"jitter,omitempty"`
	// Keep says which snapshots stay on the node.
	Keep   Keep             `yaml:"keep"`
	Backup *ScheduledBackup `yaml:"backup,omitempty"`
}

// LabelSelector selects objects that have all of some labels.
type LabelSelector struct {
	MatchLabels map[string]string `yaml:"matchLabels"`
}

// Matches reports whether labels are selected.
func (s LabelSelector) Matches(labels map[string]string) bool {
	for key, value := range s.MatchLabels {
		if got, has := labels[key]; !has || got != value {
			return false
		}
	}
	return true
}

// Keep says how many snapshots stay, with the meaning of restic's --keep-… options: of each of so many hours, days,
// weeks, months and years that have one, the last; in UTC.
type Keep struct {
	Last    int `yaml:"last,omitempty"`
	Hourly  int `yaml:"hourly,omitempty"`
	Daily   int `yaml:"daily,omitempty"`
	Weekly  int `yaml:"weekly,omitempty"`
	Monthly int `yaml:"monthly,omitempty"`
	Yearly  int `yaml:"yearly,omitempty"`
}

// ScheduledBackup says what a schedule backs up.
type ScheduledBackup struct {
	// Repository names a Repository.
	Repository string `yaml:"repository"`
	// At is a cron expression. A snapshot is taken at that time, too.
	At string `yaml:"at"`
	// Keep says which backups stay in the repository.
	Keep Keep `yaml:"keep"`
	// MaxAge is how old the last backup may be; 0: it is not watched.
	MaxAge Duration `yaml:"maxAge,omitempty"`
	// Reread is after which time everything is read again, not only what changed; 0: never.
	Reread Duration `yaml:"reread,omitempty"`
	Drill  *Drill   `yaml:"drill,omitempty"`
}

// Drill restores the last backup into a scratch volume, compares it, and removes the volume.
type Drill struct {
	Every Duration `yaml:"every"`
	// Pool names the Pool of the scratch volume.
	Pool string `yaml:"pool"`
}

// Backup is one backup of a Volume, of one moment.
type Backup struct {
	Metadata Metadata   `yaml:"metadata"`
	Spec     BackupSpec `yaml:"spec"`
}

// BackupSpec is the declared state of a Backup.
type BackupSpec struct {
	Volume     string `yaml:"volume"`
	Repository string `yaml:"repository"`
	// DeletionPolicy says what becomes of it in the repository: Retain unless given.
	DeletionPolicy DeletionPolicy `yaml:"deletionPolicy,omitempty"`
}

// BackupSource is a backup in a repository.
type BackupSource struct {
	Repository string `yaml:"repository"`
	// Volume is the name that the Volume had.
	Volume string `yaml:"volume"`
	// At is which: latest, a time in UTC (the last one that is not later), or an ID of restic.
	At string `yaml:"at"`
}

// LatestBackup is the value of [BackupSource.At] that names the last backup.
const LatestBackup = "latest"

// MinBackupID is how many digits of an ID it has at least.
const MinBackupID = 8

// Defaults of a Repository.
const (
	DefaultPruneEvery = Duration(7 * 24 * time.Hour)
	DefaultMaxUnused  = "10%"
	DefaultCheckEvery = Duration(24 * time.Hour)
	DefaultReadData   = "2%"
)

// Selected returns the names of the valid Volumes of a schedule, sorted.
func (s Set) Selected(schedule SnapshotSchedule) []string {
	var names []string
	if schedule.Spec.Selector == nil {
		for _, name := range schedule.Spec.Volumes {
			if _, is := s.Volumes[name]; is {
				names = append(names, name)
			}
		}
	} else {
		for name, v := range s.Volumes {
			if schedule.Spec.Selector.Matches(v.Metadata.Labels) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// String writes the interval as files have it.
func (i Interval) String() string {
	if i.Never {
		return "never"
	}
	return i.Duration.String()
}

// MarshalText writes the interval as String does.
func (i Interval) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText reads a duration, or never.
func (i *Interval) UnmarshalText(text []byte) error {
	*i = Interval{}
	if string(text) == "never" {
		i.Never = true
		return nil
	}
	err := i.Duration.UnmarshalText(text)
	if err == nil && i.Duration == 0 {
		return fmt.Errorf("%s is too short; write a longer time, or never", text)
	}
	return err
}
