// Package refuse has the reasons for which actuators of targets leave undone what
// they report it.
package refuse

import (
	"fmt"

	"github.com/volreconciler/volreconciler/pkg/change"
)

// Stale returns a [change.ErrStale] that says what is different.
func Stale(format string, args ...any) error {
	return fmt.Errorf("%w: %s", change.ErrStale, fmt.Sprintf(format, args...))
}
