package lio

import (
	"path"

	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/configfs"
)

func (a *Actuator) makeDir(dir string) error { return configfs.MakeDir(a.host, dir) }

func (a *Actuator) remove(name string) error { return configfs.Remove(a.host, name) }

// removeLink removes the symlink of that name in a directory. An object can
// only be removed once nothing links to or from it.
func (a *Actuator) removeLink(dir, link string) error {
	if link == "" {
		return nil
	}
	return a.remove(path.Join(dir, link))
}

func (a *Actuator) children(dir string) ([]string, error) { return configfs.Children(a.host, dir) }

func (a *Actuator) text(file string) (string, error) { return configfs.Text(a.host, file) }

func (a *Actuator) set(file, value string) error { return configfs.Set(a.host, file, value) }

func flag(on bool) string { return configfs.Flag(on) }
