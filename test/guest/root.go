package guest

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// The recipe is source code; whatever changes there makes another guest root.
var (
	//go:embed recipe.go
	recipeSource []byte
	//go:embed kernel.go
	kernelSource []byte
)

const (
	// rootTimeout limits the making of a guest root, slow mirrors included.
	rootTimeout = 20 * time.Minute
	// rootLifetime is how long a guest root stays that no guest was started from.
	rootLifetime = 7 * 24 * time.Hour
)

// Root returns the directory of the root file system of guests with this kernel
// and makes it if it is not there yet, which takes a minute or more. It is shared
// by all those guests of this machine: do not change it.
func Root(ctx context.Context, kernel Kernel) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	hash, err := recipeHash(kernel)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "guest-"+hash)
	if !isDir(dir) {
		ctx, cancel := context.WithTimeout(ctx, rootTimeout)
		defer cancel()
		err := locked(ctx, filepath.Join(cache, "guest.lock"), func() error {
			if isDir(dir) {
				return nil
			}
			fmt.Fprintln(os.Stderr, "guest: making the guest's root file system, once for each kernel: about two minutes")
			return errors.Join(removeUnused(cache), makeRoot(ctx, dir, kernel))
		})
		if err != nil {
			return "", fmt.Errorf("make the guest root: %w", err)
		}
	}
	now := time.Now()
	return dir, os.Chtimes(dir, now, now)
}

// recipeHash tells guest roots apart: by how they are made, by the host's
// release, which is theirs as well, and by their kernel.
func recipeHash(kernel Kernel) (string, error) {
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, part := range [][]byte{recipeSource, kernelSource, release, []byte(kernel)} {
		h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

// removeUnused removes what earlier recipes and killed processes have left.
func removeUnused(cache string) error {
	var errs []error
	for _, pattern := range []string{"guest-*", "unfinished-*", "kvm-*"} {
		dirs, err := filepath.Glob(filepath.Join(cache, pattern))
		if err != nil {
			return err
		}
		for _, dir := range dirs {
			if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > rootLifetime {
				errs = append(errs, os.RemoveAll(dir))
			}
		}
	}
	return errors.Join(errs...)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func makeRoot(ctx context.Context, dir string, kernel Kernel) error {
	sources, err := debianSources(ctx)
	if err != nil {
		return err
	}
	unfinished, err := os.MkdirTemp(filepath.Dir(dir), "unfinished-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(unfinished) }()
	root := filepath.Join(unfinished, "root")
	if err := unpack(ctx, root, kernel, sources); err != nil {
		return err
	}
	if err := finish(ctx, root); err != nil {
		return err
	}
	return os.Rename(root, dir)
}

// output runs a program of the host and returns its standard output.
func output(ctx context.Context, name string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// mmdebstrap cleans up when it is asked to end, but not when it is killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		switch {
		case ctx.Err() != nil:
			return "", fmt.Errorf("%s: %w", name, ctx.Err())
		case errors.Is(err, exec.ErrNotFound):
			return "", fmt.Errorf("%w: hack/install-deps.sh installs it", err)
		}
		return "", fmt.Errorf("%s: %w\n%s", name, err, lastLines(stderr.String(), 20))
	}
	return stdout.String(), nil
}
