package change

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/publicurl"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Repository is a repository of backups, with what opens it. Secrets are never shown.
type Repository struct {
	// Name is that of the object.
	Name        string
	URL         string
	Password    spec.Secret
	Environment map[string]spec.Secret
}

// MarshalJSON returns the name and the public form of the URL.
func (r Repository) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Name string `json:"name"`
		URL  string `json:"url"`
	}{r.Name, publicurl.InValue(r.URL)})
}

// String is the object that declares it.
func (r Repository) String() string { return "Repository/" + r.Name }

// Lane is the repository: restic lets nobody work on it while it is pruned.
func (r Repository) Lane() string { return "repository " + r.Name }

// Backup names a backup.
type Backup struct {
	Repository Repository `json:"repository"`
	ID         string     `json:"id"`
	// Size is that of the volume.
	Size spec.Size `json:"size"`
}

// String is the beginning of its ID, as restic prints it, and where it is.
func (b Backup) String() string {
	return "backup " + b.ID[:min(len(b.ID), shownID)] + " in " + b.Repository.String()
}

// shownID is how much of an ID restic prints.
const shownID = 8

// BackUp backs up a logical volume, which is a snapshot, to a repository.
type BackUp struct {
	LV
	Repository Repository `json:"repository"`
	// Size is that of the logical volume.
	Size spec.Size `json:"size"`
	// Volume is the name of the Volume that it is a snapshot of.
	Volume string `json:"volume"`
	// Schedule is the schedule, or Object the Backup, that asks for it, and Delete is true if it is to go with
	// that object.
	Schedule string `json:"schedule,omitempty"`
	Object   string `json:"object,omitempty"`
	Delete   bool   `json:"delete,omitempty"`
	// Time is the moment of the content.
	Time time.Time `json:"time"`
	// Parent is the last backup of the Volume, and Base the snapshot that it was made of, if that is
	// still there and in the same thin pool: only what has changed since is read then. Without a Parent everything
	// is read; without a Base everything is read that is not known to be the same.
	Parent string `json:"parent,omitempty"`
	Base   LV     `json:"base,omitzero"`
	// Reread asks for everything to be read, and compared with what was read before.
	Reread bool `json:"reread,omitempty"`
	// Identity is that of the volume, see [observe.LogicalVolume.Identity], and Description its spec as YAML,
	// without secrets.
	Identity    string `json:"identity,omitempty"`
	Description string `json:"-"`
}

// Lane is the repository.
func (c BackUp) Lane() string { return c.Repository.Lane() }

// Part is LVM.
func (BackUp) Part() observe.Part { return observe.AllOfLVM }

// System is that of repositories.
func (BackUp) System() observe.System { return observe.Repositories }

// Bytes is the size of the logical volume. What is read is known only later.
func (c BackUp) Bytes() uint64 { return uint64(c.Size) }

func (c BackUp) String() string {
	return fmt.Sprintf("save %s to %s", c.LV, c.Repository)
}

// OnRepository is what the changes of a repository as a whole have in common.
type OnRepository struct {
	Repository Repository `json:"repository"`
}

// Lane is the repository.
func (c OnRepository) Lane() string { return c.Repository.Lane() }

// Part is LVM: nothing that is observed of the machine matters.
func (OnRepository) Part() observe.Part { return observe.AllOfLVM }

// System is that of repositories.
func (OnRepository) System() observe.System { return observe.Repositories }

// Bytes is 0: nobody knows.
func (OnRepository) Bytes() uint64 { return 0 }

// InitRepository makes a repository where there is none.
type InitRepository struct{ OnRepository }

func (c InitRepository) String() string {
	return fmt.Sprintf("create %s at %s", c.Repository, publicurl.InValue(c.Repository.URL))
}

// ForgetBackups removes backups. Their space is freed by [PruneRepository].
type ForgetBackups struct {
	OnRepository
	// Volume is whose they are.
	Volume string `json:"volume"`
	// IDs are those of restic.
	IDs []string `json:"ids"`
}

func (c ForgetBackups) String() string {
	var ids []string
	for _, id := range c.IDs {
		ids = append(ids, id[:min(len(id), shownID)])
	}
	return fmt.Sprintf("remove from %s %d backup(s) of %s: %s", c.Repository, len(ids), c.Volume, strings.Join(ids, ", "))
}

// PruneRepository frees the space of backups that were removed.
type PruneRepository struct {
	OnRepository
	// MaxUnused is how much may stay unused, as a percentage.
	MaxUnused string `json:"maxUnused"`
}

func (c PruneRepository) String() string { return "prune " + c.Repository.String() }

// CheckRepository checks a repository.
type CheckRepository struct {
	OnRepository
	// ReadData is how much of its data is read, as a percentage.
	ReadData string `json:"readData"`
}

func (c CheckRepository) String() string {
	return fmt.Sprintf("check %s, reading %s of its data", c.Repository, c.ReadData)
}

func (InitRepository) sealed()  {}
func (BackUp) sealed()          {}
func (ForgetBackups) sealed()   {}
func (PruneRepository) sealed() {}
func (CheckRepository) sealed() {}
