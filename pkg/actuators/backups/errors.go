package backups

import (
	"errors"
	"fmt"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/restic"
)

// explain says of what kind an error of a repository is, and what to do about it.
func explain(r change.Repository, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, restic.ErrNoProgram):
		return fmt.Errorf("%w: %w", change.ErrUnsupported, err)
	case errors.Is(err, restic.ErrPassword):
		return fmt.Errorf("%w. Correct the file that spec.restic.passwordFrom of %s names", err, r)
	case errors.Is(err, restic.ErrMissing):
		return fmt.Errorf("%w. If it was moved, correct spec.restic.url of %s; if it is lost, create an empty one with restic init", err, r)
	case errors.Is(err, restic.ErrFull):
		return fmt.Errorf("%w: %w. Add space there, or keep fewer backups", change.ErrNoSpace, err)
	case errors.Is(err, restic.ErrReadOnly):
		return fmt.Errorf("%w. Check the permissions there; if the repository is append-only, set spec.prune.every of %s to never", err, r)
	case errors.Is(err, restic.ErrLocked):
		return fmt.Errorf("%w. It is retried; if no other restic works there, remove the lock with restic unlock", err)
	}
	return err
}
