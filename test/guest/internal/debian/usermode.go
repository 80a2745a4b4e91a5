package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// User-mode Linux of Debian testing, the first that runs its processes with seccomp,
// which makes their system calls cheap. It has no NVMe.
const (
	userModePackage = "user-mode-linux"
	userModeVersion = "7.2um1"
)

// Debian's program is told to look for the loader of its libc in the folder that it is
// started in. A loader that is started with the program as its argument would have the
// kernel find its memory in the wrong place, and a change of the root needs rights.
const (
	loader      = "/lib64/ld-linux-x86-64.so.2"
	localLoader = "./libc/ld-linux-x86-64.so.2"
)

// UserModeKernel returns the best User-mode Linux that the cache has, and makes
// Debian's if there is none: our own, if [BuildKernel] has built it, and otherwise
// Debian's, which is there in seconds but lacks NVMe.
func UserModeKernel(ctx context.Context) (Kernel, error) {
	own, err := ownDir()
	if err != nil {
		return Kernel{}, err
	}
	if isDir(own) {
		return userModeIn(own)
	}
	key, err := keyOf([]string{"usermode.go"})
	if err != nil {
		return Kernel{}, err
	}
	dir, err := made(ctx, "kernel-uml-"+key, "fetching User-mode Linux", func(dir string) error {
		return fetchUserMode(ctx, dir)
	})
	if err != nil {
		return Kernel{}, fmt.Errorf("make User-mode Linux: %w", err)
	}
	return userModeIn(dir)
}

// fetchUserMode unpacks Debian's package, and beside it the libraries of its suite:
// it needs a newer libc than older releases have.
func fetchUserMode(ctx context.Context, dir string) error {
	archive, err := openArchive(ctx, filepath.Join(dir, "apt"), Testing)
	if err != nil {
		return err
	}
	version, err := archive.pinned(ctx, userModePackage, userModeVersion)
	if err != nil {
		return err
	}
	unpacked := filepath.Join(dir, "unpacked")
	if err := os.Mkdir(unpacked, 0o755); err != nil {
		return err
	}
	for _, name := range []string{userModePackage + "=" + version, "libc6", "libgcc-s1"} {
		if err := archive.unpack(ctx, name, unpacked, "./usr/share/*", "*/gconv/*"); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "usr/lib"), 0o755); err != nil {
		return err
	}
	for from, to := range map[string]string{
		"usr/bin/linux.uml":        "linux",
		"usr/lib/x86_64-linux-gnu": "libc",
		"usr/lib/uml/modules":      "usr/lib/modules",
	} {
		if err := os.Rename(filepath.Join(unpacked, from), filepath.Join(dir, to)); err != nil {
			return err
		}
	}
	if err := os.Symlink("usr/lib", filepath.Join(dir, "lib")); err != nil {
		return err
	}
	if err := useLocalLoader(filepath.Join(dir, "linux")); err != nil {
		return err
	}
	kernel, err := onlyVersion(dir)
	if err != nil {
		return err
	}
	_, err = output(ctx, "depmod", "-b", dir, kernel)
	return errors.Join(err, os.RemoveAll(unpacked), os.RemoveAll(archive.dir))
}

// userModeIn describes what has been made in a folder.
func userModeIn(dir string) (Kernel, error) {
	version, err := onlyVersion(dir)
	return Kernel{Dir: dir, Version: version, Program: filepath.Join(dir, "linux")}, err
}

// useLocalLoader replaces the path of the loader in a program by one as long.
func useLocalLoader(path string) error {
	program, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	found := []byte(loader + "\x00")
	if bytes.Count(program, found) != 1 {
		return fmt.Errorf("%s: the loader is not named once", path)
	}
	return os.WriteFile(path, bytes.Replace(program, found, []byte(localLoader+"\x00"), 1), 0o755)
}
