package lio

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/observe"
)

// restoreReservations tells a new backstore, before it has LUNs, of the persistent
// reservations that the kernel kept for its unit serial. Each takes effect with the mapped
// LUN that it was made by. Without them another initiator could write to what is reserved,
// so a backstore without them is not exported.
func (a *Actuator) restoreReservations(b observe.Backstore) error {
	kept, err := observe.ReadKeptRegistrations(a.host, b.Serial)
	if err != nil {
		return fmt.Errorf("cannot read the persistent reservations of backstore %s: %w", b.Path(), err)
	}
	file := path.Join(observe.BackstoreDir(b.HBA, b.Name), "pr", "res_aptpl_metadata")
	var done []string
	for _, r := range kept {
		line := strings.Join(r.Fields, ",")
		if slices.Contains(done, line) { // the initiator would be registered twice
			continue
		}
		done = append(done, line)
		if err := a.host.WriteFile(file, []byte(line)); err != nil {
			dir, _ := observe.ReadDBRoot(a.host)
			return fmt.Errorf("cannot restore the persistent reservation of %s on backstore %s; if no initiator needs it, remove %s: %w",
				r, b.Path(), observe.KeptRegistrationsFile(dir, b.Serial), err)
		}
	}
	return nil
}
