// Package program fetches programs of other releases of Debian, for tests on this machine that compare several
// versions. Start reading at [Fetch].
package program

import (
	"context"
	"path/filepath"

	"github.com/volreconciler/volreconciler/test/guest/internal/debian"
)

// Fetch returns the path of a program in /usr/bin that has the name of its package. It is fetched once, and kept in
// the cache of the guests.
func Fetch(ctx context.Context, suite, name string) (string, error) {
	parsed, err := debian.ParseSuite(suite)
	if err != nil {
		return "", err
	}
	dir, err := debian.Program(ctx, parsed, name)
	return filepath.Join(dir, "usr/bin", name), err
}
