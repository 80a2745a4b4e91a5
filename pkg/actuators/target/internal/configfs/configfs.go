// Package configfs reads and changes the kernel's objects in configfs, for the actuators
// of LIO and nvmet. Every function may be called again after a crash. It never decides
// anything, and knows neither LIO nor nvmet.
//
// Start reading at [MakeDir] and [Set].
package configfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// MakeDir makes an object, or leaves the one that is there.
func MakeDir(h host.Files, dir string) error {
	err := h.Mkdir(dir)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// Remove removes an object or a symlink, if it is there.
func Remove(h host.Files, name string) error {
	err := h.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Children returns the names of the objects in a directory; none if it does not
// exist.
func Children(h host.Files, dir string) ([]string, error) {
	entries, err := h.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// Text reads an attribute, without the newline at its end.
func Text(h host.Files, file string) (string, error) {
	text, err := h.ReadFile(file)
	return strings.TrimSpace(string(text)), err
}

// Set writes an attribute that is something else.
func Set(h host.Files, file, value string) error {
	if have, err := Text(h, file); err != nil || have == value {
		return err
	}
	return h.WriteFile(file, []byte(value))
}

// Flag is how the kernel writes a boolean attribute.
func Flag(on bool) string {
	if on {
		return "1"
	}
	return "0"
}

// Load loads the module that makes a directory in configfs, unless the directory
// is there.
func Load(ctx context.Context, h host.Host, dir, module string) error {
	_, err := h.ReadDir(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := h.Run(ctx, "modprobe", module); err != nil {
		return err
	}
	_, err = h.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("module %s is loaded, but %s does not exist. Mount configfs "+
			"(mount -t configfs configfs %s)", module, dir, observe.ConfigFS)
	}
	return err
}
