package nvmet

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"

	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/configfs"
	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/refuse"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// admit lists a host in a subsystem, with the keys that it needs. Keys are the
// host's own, in whatever subsystem it is listed. They are there before it is: a
// host without one is asked for none.
func (a *Actuator) admit(t change.Target, name string, auth change.Auth) error {
	if err := a.checkOwned(t); err != nil {
		return err
	}
	a.hosts.Lock()
	defer a.hosts.Unlock()
	if err := a.setKeys(t.Name, name, observe.CHAP{Password: auth.Password, MutualPassword: auth.MutualPassword}); err != nil {
		return err
	}
	link, err := a.linkOf(t.Name, name)
	if err != nil || link != "" {
		return err
	}
	err = a.host.Symlink(observe.HostDir(name), path.Join(observe.AllowedHostsDir(t.Name), name))
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case errors.Is(err, syscall.EINVAL):
		return refuse.Stale("subsystem %s admits any host and cannot list hosts at the same time", t.Name)
	default:
		return err
	}
}

// setKeys makes a host, and gives it its keys. One that cannot get them is not
// listed in the subsystem when it returns.
func (a *Actuator) setKeys(nqn, name string, want observe.CHAP) error {
	have, err := observe.ReadHostAuth(a.host, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := configfs.MakeDir(a.host, observe.HostDir(name)); err != nil {
			return err
		}
	case err != nil:
		return err
	case have == want:
		return nil
	default:
		others, err := a.otherSubsystems(nqn, name)
		if err != nil {
			return err
		}
		if removesKey(have, want) {
			// The kernel takes a key for another, but not for none.
			if err := a.recreateHost(nqn, name, others); err != nil {
				return err
			}
		}
	}
	if err := a.writeKeys(name, want); err != nil {
		return errors.Join(err, a.unlist(nqn, name))
	}
	return nil
}

var noKey spec.Secret

// removesKey reports whether a key has to be removed.
func removesKey(have, want observe.CHAP) bool {
	return have.Password != noKey && want.Password == noKey || have.MutualPassword != noKey && want.MutualPassword == noKey
}

// recreateHost creates a host again, without keys. While it is listed in other subsystems, it
// is removed from this one only. They no longer ask it for a key either, and the last of
// them creates it again.
func (a *Actuator) recreateHost(nqn, name string, others []string) error {
	if err := a.unlist(nqn, name); err != nil {
		return err
	}
	if len(others) > 0 {
		return fmt.Errorf("cannot remove the key of host %s while it is listed in %s; it is not admitted to %s until then",
			name, strings.Join(others, ", "), nqn)
	}
	return configfs.MakeDir(a.host, observe.HostDir(name))
}

// otherSubsystems returns the other subsystems in which a host is listed. It is an error if
// one of them is not ours: that subsystem uses the same keys.
func (a *Actuator) otherSubsystems(nqn, name string) ([]string, error) {
	subsystems, err := configfs.Children(a.host, observe.SubsystemsDir)
	if err != nil {
		return nil, err
	}
	var others []string
	for _, other := range subsystems {
		if other == nqn {
			continue
		}
		link, err := a.linkOf(other, name)
		if err != nil {
			return nil, err
		}
		if link == "" {
			continue
		}
		mark, err := observe.ReadSubsystemMark(a.host, other)
		if err != nil {
			return nil, err
		}
		if mark == "" {
			return nil, fmt.Errorf("host %s already has other keys in subsystem %s, which is not managed by volreconciler; "+
				"use the same keys, or remove the host from that subsystem", name, other)
		}
		others = append(others, other)
	}
	return others, nil
}

// writeKeys never tells a key in its errors.
func (a *Actuator) writeKeys(name string, want observe.CHAP) error {
	for _, w := range []struct {
		attribute string
		key       spec.Secret
	}{
		{observe.HostKey, want.Password},
		{observe.HostControllerKey, want.MutualPassword},
	} {
		if w.key == noKey {
			continue
		}
		err := a.host.WriteFile(path.Join(observe.HostDir(name), w.attribute), []byte(w.key.Reveal()))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("%w: this kernel lacks CONFIG_NVME_TARGET_AUTH, so host %s cannot authenticate and is not admitted; "+
				"on Debian 12 install the kernel of bookworm-backports",
				change.ErrUnsupported, name)
		case errors.Is(err, syscall.EINVAL):
			return fmt.Errorf("the kernel rejects the key of host %s; write a key as printed by nvme gen-dhchap-key (DHHC-1:…): %w", name, err)
		case err != nil:
			return err
		}
	}
	have, err := observe.ReadHostAuth(a.host, name)
	if err == nil && have != want {
		return fmt.Errorf("the kernel did not set the keys of host %s", name)
	}
	return err
}

// linkOf returns the name of the symlink by which a host is listed in a subsystem;
// empty if it is not.
func (a *Actuator) linkOf(nqn, name string) (string, error) {
	links, err := observe.ReadLinks(a.host, observe.AllowedHostsDir(nqn))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return links[name], err
}

// unlist takes a host out of a subsystem, and removes it if it is listed in no
// other. Its sessions continue.
func (a *Actuator) unlist(nqn, name string) error {
	link, err := a.linkOf(nqn, name)
	if err != nil {
		return err
	}
	if link != "" {
		if err := configfs.Remove(a.host, path.Join(observe.AllowedHostsDir(nqn), link)); err != nil {
			return err
		}
	}
	err = configfs.Remove(a.host, observe.HostDir(name))
	if errors.Is(err, syscall.EBUSY) {
		return nil
	}
	return err
}

func (a *Actuator) dropHost(nqn, name string) error {
	a.hosts.Lock()
	defer a.hosts.Unlock()
	return a.unlist(nqn, name)
}
