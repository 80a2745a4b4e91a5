package plan

import (
	"slices"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// connections returns the sessions of a target.
func connections(t observe.Target) []status.Connection {
	var all []status.Connection
	for _, s := range t.Connections {
		all = append(all, status.Connection{Initiator: s.Initiator, Address: s.Address, Transport: s.Transport})
	}
	for _, address := range t.Unattributed {
		if !slices.ContainsFunc(all, func(c status.Connection) bool { return c.Address == address }) {
			all = append(all, status.Connection{Address: address})
		}
	}
	return all
}

// setAttachments sets in the status of Volumes and Snapshots which Exports serve them, and which
// connected initiators see them.
func (d *differ) setAttachments() {
	var identities map[string]spec.ID // made when there is a target that needs it
	for _, target := range d.index.targets {
		t := d.target(target)
		export, ours := t.Owner()
		if !ours {
			continue
		}
		if target.Fabric.System() != observe.LIO && identities == nil {
			identities = d.objectsByIdentity()
		}
		live := connections(t)
		for _, n := range sortedInts(t.LUNs) {
			shown := d.statusOfLUN(t.LUNs[n], identities)
			if shown == nil {
				continue
			}
			if !slices.Contains(shown.ExportedBy, export.Name) {
				shown.ExportedBy = append(shown.ExportedBy, export.Name)
			}
			for _, c := range live {
				if seesLUN(t, c.Initiator, n) {
					shown.Attachments = append(shown.Attachments, status.Attachment{Export: export.Name, Initiator: c.Initiator, Address: c.Address})
				}
			}
		}
	}
}

// seesLUN reports whether a connected initiator sees a LUN. An initiator without a list of LUNs
// sees all.
func seesLUN(t observe.Target, initiator string, lun int) bool {
	acl, listed := t.ACLs[initiator]
	if !listed || !traitsOf[t.Fabric].mapsLUNs {
		return true
	}
	return isMapped(acl, lun)
}

// statusOfLUN returns the status of the object that a LUN serves; nil: it has none.
func (d *differ) statusOfLUN(l observe.TargetLUN, identities map[string]spec.ID) *status.Volume {
	id, found := identities[l.Identity]
	if l.Backstore != "" {
		id, found = d.in.Observed.LIO.Backstores[l.Backstore].Owner()
	}
	switch o := d.results.of(id); {
	case !found || !o.shown:
		return nil
	case id.Kind == spec.KindSnapshot:
		return o.status.Snapshot
	default:
		return o.status.Volume
	}
}

// objectsByIdentity returns the objects by the identity that LUNs without a backstore show to
// initiators.
func (d *differ) objectsByIdentity() map[string]spec.ID {
	all := map[string]spec.ID{}
	for id, lvs := range d.index.current {
		for _, lv := range lvs {
			all[ondisk.NamespaceUUID(lv.Identity())], all[ondisk.UnitSerial(lv.Identity())] = id, id
		}
	}
	return all
}
