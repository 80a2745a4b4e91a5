package backups

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"

	"github.com/volreconciler/volreconciler/pkg/actuators/jobs"
	"github.com/volreconciler/volreconciler/pkg/backup"
	"github.com/volreconciler/volreconciler/pkg/backup/catalog"
	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/restic"
)

// Changes tells what there is in thin volumes. Logical volumes are named vg/lv. [jobs.Engine] does.
type Changes interface {
	// Mapped returns where a thin volume may hold something else than zeroes.
	Mapped(ctx context.Context, lv string) ([]blockcopy.Extent, error)
	// Changed returns where a thin volume may differ from an earlier snapshot of the same origin.
	Changed(ctx context.Context, since, now string) ([]blockcopy.Extent, error)
}

// Actuator applies changes to repositories. It is safe for concurrent use, for changes of different repositories.
type Actuator struct{ Options }

var _ change.Actuator = (*Actuator)(nil)

// Options are what an [Actuator] works with.
type Options struct {
	// Run is where it looks at logical volumes.
	Run host.Runner
	// Sources activates them while they are read.
	Sources *jobs.Actuator
	// Changes is nil where that is not known: everything is read then.
	Changes Changes
	// Catalog records what was done.
	Catalog *catalog.Catalog
	// With is all of a repository but its URL, password and environment.
	With restic.Repository
	// MountDir is a directory of the agent's own, in which directories for mounts are made.
	MountDir string
	// Limit is shared by all that moves data; nil: no limit.
	Limit *blockcopy.Limiter
	Log   logr.Logger
	// BackUp makes a backup; nil: [backup.Job.Run].
	BackUp func(ctx context.Context, j backup.Job) (backup.Result, error)
}

// New returns an Actuator.
func New(o Options) *Actuator {
	if o.BackUp == nil {
		o.BackUp = func(ctx context.Context, j backup.Job) (backup.Result, error) { return j.Run(ctx) }
	}
	return &Actuator{o}
}

// Apply makes a change true, see [change.Actuator] and [change.Job]. When it returns the catalog knows of it, if
// the repository answers.
func (a *Actuator) Apply(ctx context.Context, c change.Change) error {
	var r change.Repository
	var do func(context.Context, restic.Repository) error
	known := false // the catalog knows of the change without reading the repository
	switch c := c.(type) {
	case change.InitRepository:
		r, do = c.Repository, func(ctx context.Context, r restic.Repository) error { return a.create(ctx, c, r) }
	case change.BackUp:
		r, do = c.Repository, func(ctx context.Context, r restic.Repository) (err error) {
			known, err = a.backUp(ctx, c, r)
			return err
		}
	case change.ForgetBackups:
		r, do = c.Repository, func(ctx context.Context, r restic.Repository) error { return a.forget(ctx, c, r) }
	case change.PruneRepository:
		known = true // the backups are the same
		r, do = c.Repository, func(ctx context.Context, r restic.Repository) error { return a.prune(ctx, c, r) }
	case change.CheckRepository:
		known = true
		r, do = c.Repository, func(ctx context.Context, r restic.Repository) error { return a.check(ctx, c, r) }
	default:
		return fmt.Errorf("unknown change of a repository: %s", change.Name(c))
	}
	err := unlocking(ctx, open(a.With, r), do)
	switch {
	case err != nil:
		a.Catalog.Invalidate(r.Name)
	case !known:
		a.refresh(ctx, r.Name)
	}
	return explain(r, err)
}

// open returns a repository of a plan.
func open(with restic.Repository, r change.Repository) restic.Repository {
	with.URL, with.Password, with.Environment = r.URL, r.Password, r.Environment
	return with
}

// unlocking does something to a repository, and once more if that was locked: what a killed restic of this node has left
// there is removed in between. Locks of others, and of what runs, stay.
func unlocking(ctx context.Context, r restic.Repository, do func(context.Context, restic.Repository) error) error {
	err := do(ctx, r)
	if !errors.Is(err, restic.ErrLocked) || ctx.Err() != nil {
		return err
	}
	if failed := r.Unlock(ctx); failed != nil {
		return errors.Join(err, failed)
	}
	return do(ctx, r)
}

// refreshTimeout bounds how long a change waits for the catalog. What the next plan does not know yet, it plans once more,
// and it is found to be done.
const refreshTimeout = time.Minute

func (a *Actuator) refresh(ctx context.Context, name string) {
	ctx, stop := context.WithTimeout(ctx, refreshTimeout)
	defer stop()
	a.Catalog.Refresh(ctx, name)
}

// create makes a repository. One that opens with the password is taken for it.
func (a *Actuator) create(ctx context.Context, c change.InitRepository, r restic.Repository) error {
	_, err := r.Snapshots(ctx)
	if errors.Is(err, restic.ErrMissing) {
		if err = r.Init(ctx); err != nil {
			// Somebody may have been faster.
			if _, there := r.Snapshots(ctx); there == nil {
				err = nil
			}
		}
	}
	if err != nil {
		return err
	}
	return a.Catalog.NoteSeen(c.Repository.URL)
}

func (a *Actuator) prune(ctx context.Context, c change.PruneRepository, r restic.Repository) error {
	if err := r.Prune(ctx, c.MaxUnused); err != nil {
		return err
	}
	return a.Catalog.NotePruned(c.Repository.URL)
}

func (a *Actuator) check(ctx context.Context, c change.CheckRepository, r restic.Repository) error {
	if err := r.Check(ctx, c.ReadData); err != nil {
		return err
	}
	return a.Catalog.NoteChecked(c.Repository.URL)
}
