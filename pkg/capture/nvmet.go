package capture

import (
	"path"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// readMoreNVMe is readMore for nvmet: hosts that are listed nowhere, ports without
// a subsystem, and what a subsystem or namespace that was left half made has.
func readMoreNVMe(r *recorder, subsystems map[string]observe.Target) error {
	for nqn, t := range subsystems {
		for _, attribute := range []string{"attr_allow_any_host", "attr_serial"} {
			if _, err := r.ReadFile(path.Join(observe.SubsystemDir(nqn), attribute)); err != nil {
				return err
			}
		}
		for lun := range t.LUNs {
			dir := observe.NamespaceDir(nqn, lun)
			if _, err := r.ReadFile(path.Join(dir, "device_path")); err != nil {
				return err
			}
			// It can be written only.
			nothing := ""
			r.note(path.Join(dir, "revalidate_size"), fakehost.Entry{Text: &nothing}, nil)
		}
	}
	if _, err := r.Host.ReadDir(observe.NVMetDir); err != nil {
		return nil //nolint:nilerr // it is not loaded: if it were, it would have been read
	}
	ports, err := observe.ReadPorts(r)
	if err != nil {
		return err
	}
	for _, p := range ports {
		if _, err := r.ReadFile(path.Join(observe.PortDir(p.ID), "addr_adrfam")); err != nil {
			return err
		}
	}
	entries, err := r.ReadDir(observe.HostsDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, err := observe.ReadHostAuth(r, e.Name()); err != nil {
			return err
		}
	}
	return nil
}
