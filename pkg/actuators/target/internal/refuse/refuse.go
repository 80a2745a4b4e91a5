// Package refuse holds the errors with which actuators of targets refuse a change. It
// decides nothing.
package refuse

import (
	"fmt"

	"github.com/volreconciler/volreconciler/pkg/change"
)

// Stale returns a [change.ErrStale] that says what is different.
func Stale(format string, args ...any) error {
	return fmt.Errorf("%w: %s", change.ErrStale, fmt.Sprintf(format, args...))
}
