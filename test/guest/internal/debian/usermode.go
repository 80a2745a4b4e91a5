package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// User-mode Linux of Debian testing is the first that runs its processes with seccomp,
// which makes their system calls cheap; that of Debian 12 has ptrace alone. Neither has
// NVMe.
const (
	userModePackage = "user-mode-linux"
	// userModeVersion is testing's. Releases have one version at a time.
	userModeVersion = "7.2um1"
)

// Debian's program is told to look for the loader of its libc in the folder that it is
// started in. A loader that is started with the program as its argument would have the
// kernel find its memory in the wrong place, and a change of the root needs rights.
const (
	loader      = "/lib64/ld-linux-x86-64.so.2"
	localLoader = "./libc/ld-linux-x86-64.so.2"
)

// BuiltKernel returns our own User-mode Linux, if [BuildKernel] has built it.
func BuiltKernel() (kernel Kernel, built bool, err error) {
	own, err := ownDir()
	if err != nil || !isDir(own) {
		return Kernel{}, false, err
	}
	kernel, err = userModeIn(own)
	return kernel, true, err
}

// UserModeKernel returns the User-mode Linux of a suite, and makes it if it is not in
// the cache: it is there in seconds.
func UserModeKernel(ctx context.Context, suite Suite) (Kernel, error) {
	key, err := keyOf([]string{"usermode.go"}, string(suite))
	if err != nil {
		return Kernel{}, err
	}
	dir, err := made(ctx, "kernel-uml-"+key, "fetching User-mode Linux of Debian "+string(suite), func(dir string) error {
		return fetchUserMode(ctx, dir, suite)
	})
	if err != nil {
		return Kernel{}, fmt.Errorf("make User-mode Linux of Debian %s: %w", suite, err)
	}
	return userModeIn(dir)
}

// fetchUserMode unpacks Debian's package, and beside it the libraries of its suite: the
// host's may be older, or none.
func fetchUserMode(ctx context.Context, dir string, suite Suite) error {
	archive, err := openArchive(ctx, filepath.Join(dir, "apt"), suite)
	if err != nil {
		return err
	}
	program := userModePackage
	if suite == Testing {
		version, err := archive.pinned(ctx, userModePackage, userModeVersion)
		if err != nil {
			return err
		}
		program += "=" + version
	}
	unpacked := filepath.Join(dir, "unpacked")
	// Libraries of Debian 12 are still in /lib.
	if err := mergeUsr(unpacked); err != nil {
		return err
	}
	for _, name := range []string{program, "libc6", "libgcc-s1"} {
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
