package lio

import (
	"errors"
	"io/fs"
	"path"
	"strings"
)

// makeDir makes an object, or leaves the one that is there.
func (a *Actuator) makeDir(dir string) error {
	err := a.host.Mkdir(dir)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// remove removes an object or a symlink, if it is there.
func (a *Actuator) remove(name string) error {
	err := a.host.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// removeLink removes the symlink of that name in a directory. An object can
// only be removed once nothing links to or from it.
func (a *Actuator) removeLink(dir, link string) error {
	if link == "" {
		return nil
	}
	return a.remove(path.Join(dir, link))
}

// children returns the names of the objects in a directory; none if it does not
// exist.
func (a *Actuator) children(dir string) ([]string, error) {
	entries, err := a.host.ReadDir(dir)
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

// text reads an attribute, without the newline at its end.
func (a *Actuator) text(file string) (string, error) {
	text, err := a.host.ReadFile(file)
	return strings.TrimSpace(string(text)), err
}

// set writes an attribute that is something else.
func (a *Actuator) set(file, value string) error {
	if have, err := a.text(file); err != nil || have == value {
		return err
	}
	return a.host.WriteFile(file, []byte(value))
}

// flag is how the kernel writes a boolean attribute.
func flag(on bool) string {
	if on {
		return "1"
	}
	return "0"
}
