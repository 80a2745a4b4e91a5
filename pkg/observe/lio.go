package observe

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// readLIO reads LIO's block backstores and targets. A machine on which
// LIO is not loaded holds none. If anything cannot be read there is an error
// and nothing else: what is left out would look as if it did not exist.
func readLIO(h host.Files) (Targets, error) {
	if err := checkVisible(h); err != nil {
		return Targets{}, err
	}
	backstores, err := readBackstores(h)
	if err != nil {
		return Targets{}, fmt.Errorf("cannot read backstores: %w", err)
	}
	iscsi, err := readISCSI(h)
	if err != nil {
		return Targets{}, fmt.Errorf("cannot read iSCSI targets: %w", err)
	}
	fc, err := readFC(h)
	if err != nil {
		return Targets{}, fmt.Errorf("cannot read Fibre Channel targets: %w", err)
	}
	discovery, err := ReadDiscoveryAuth(h)
	if err != nil {
		return Targets{}, fmt.Errorf("cannot read the authentication of discovery: %w", err)
	}
	return Targets{Backstores: backstores, ISCSI: iscsi, FC: fc, Discovery: discovery}, nil
}

// checkVisible is an error if LIO is loaded but cannot be seen, and so may
// serve what looks as if it did not exist.
func checkVisible(h host.Files) error {
	_, err := h.ReadDir(BackstoresDir)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, notLoaded := h.ReadDir(lioModuleDir); errors.Is(notLoaded, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("LIO is loaded, but configfs is not mounted on %s: %w", ConfigFS, err)
}

// readSymlink returns the one symlink in a directory, which may have any name,
// and where it leads; two empty strings if there is none.
func readSymlink(h host.Files, dir string) (name, target string, err error) {
	entries, err := h.ReadDir(dir)
	if err != nil {
		return "", "", err
	}
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink != 0 {
			target, err := h.Readlink(path.Join(dir, e.Name()))
			return e.Name(), target, err
		}
	}
	return "", "", nil
}

// settled reads a directory that somebody else may be changing at this moment,
// again if something in it vanished meanwhile. It reports false if the
// directory itself is gone, which is no error.
//
// EINVAL is what the kernel answers if a signal arrives while it waits for a
// portal group (iscsit_get_tpg in drivers/target/iscsi/iscsi_target_tpg.c), and
// the Go runtime sends itself signals.
func settled[T any](h host.Files, dir string, read func() (T, error)) (T, bool, error) {
	const attempts = 3
	var value T
	var err error
	for range attempts {
		if value, err = read(); err == nil {
			return value, true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.EINVAL) {
			break
		}
		if c, remembers := h.(*cache); remembers {
			c.forget(dir)
		}
		if _, gone := h.ReadDir(dir); errors.Is(gone, fs.ErrNotExist) {
			return value, false, nil
		}
	}
	return value, false, err
}

// readDirIfThere returns the names of the directories in a directory; none if
// it does not exist.
func readDirIfThere(h host.Files, dir string) ([]string, error) {
	names, err := readNames(h, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return names, err
}

// readNames returns the names of the directories in a directory, in configfs
// the objects without the attributes.
func readNames(h host.Files, dir string) ([]string, error) {
	entries, err := h.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func readText(h host.Files, file string) (string, error) {
	if c, remembers := h.(*cache); remembers {
		text, err := c.readText(file)
		return strings.TrimSpace(text), err // which needs no memory of its own
	}
	text, err := h.ReadFile(file)
	return strings.TrimSpace(string(text)), err
}

func readFlag(h host.Files, file string) (bool, error) {
	text, err := readText(h, file)
	return text == "1", err
}
