package debian

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// makeTimeout limits the making of one thing in the cache, slow mirrors and
	// processors included.
	makeTimeout = 40 * time.Minute
	// lifetime is how long what no guest uses stays in the cache.
	lifetime = 7 * 24 * time.Hour
)

// CacheDir is where everything lies that is made once per machine.
func CacheDir() (string, error) { return cacheDir() }

func cacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "volreconciler")
	return dir, os.MkdirAll(dir, 0o755)
}

// recipes is how things are made: whatever changes in a file makes others of its kind.
//
//go:embed recipe.go kernels.go bzimage.go usermode.go build.go program.go uml.config
var recipes embed.FS

// keyOf tells things apart that are made by different recipes, which are named, or of
// different parts.
func keyOf(files []string, parts ...string) (string, error) {
	h := sha256.New()
	for _, name := range files {
		recipe, err := recipes.ReadFile(name)
		if err != nil {
			return "", err
		}
		h.Write(recipe)
	}
	for _, part := range parts {
		h.Write([]byte{0})
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

// made returns a folder of the cache, and has it made if it is not there. A folder
// that is there is complete, and shared by all guests of this machine.
func made(ctx context.Context, name, what string, fill func(dir string) error) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, name)
	if !isDir(dir) {
		ctx, cancel := context.WithTimeout(ctx, makeTimeout)
		defer cancel()
		err := Locked(ctx, filepath.Join(cache, name+".lock"), func() error {
			if isDir(dir) {
				return nil
			}
			say("%s", what)
			unfinished, err := os.MkdirTemp(cache, "unfinished-")
			if err != nil {
				return err
			}
			defer func() { _ = os.RemoveAll(unfinished) }()
			root := filepath.Join(unfinished, "root")
			if err := os.Mkdir(root, 0o755); err != nil {
				return err
			}
			if err := errors.Join(removeUnused(cache), fill(root)); err != nil {
				return err
			}
			return os.Rename(root, dir)
		})
		if err != nil {
			return "", err
		}
	}
	now := time.Now()
	return dir, os.Chtimes(dir, now, now)
}

// removeUnused removes what earlier recipes and killed processes have left.
func removeUnused(cache string) error {
	var errs []error
	for _, pattern := range []string{"guest-*", "root-*", "kernel-*", "unfinished-*", "kvm-*", "uml-*", "program-*"} {
		paths, err := filepath.Glob(filepath.Join(cache, pattern))
		if err != nil {
			return err
		}
		for _, path := range paths {
			if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > lifetime {
				errs = append(errs, os.RemoveAll(path))
			}
		}
	}
	return errors.Join(errs...)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// Locked runs do while it holds a lock that other processes respect as well.
func Locked(ctx context.Context, path string, do func() error) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	retry := time.NewTicker(200 * time.Millisecond)
	defer retry.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return do()
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return &os.PathError{Op: "lock", Path: path, Err: err}
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
