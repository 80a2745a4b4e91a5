package debian

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// Program returns a folder with the content of one package of a release, without what it depends on, and makes it if
// it is not in the cache: for programs of another release that need no more than the host's C library.
func Program(ctx context.Context, suite Suite, name string) (string, error) {
	key, err := keyOf([]string{"program.go"}, string(suite), name)
	if err != nil {
		return "", err
	}
	return made(ctx, "program-"+name+"-"+string(suite)+"-"+key, "fetching "+name+" of Debian "+string(suite), func(dir string) error {
		lists := filepath.Join(dir, "apt")
		archive, err := openArchive(ctx, lists, suite)
		if err != nil {
			return err
		}
		if err := archive.unpack(ctx, name, dir, "./usr/share/*"); err != nil {
			return fmt.Errorf("unpack %s of Debian %s: %w", name, suite, err)
		}
		return os.RemoveAll(lists)
	})
}
