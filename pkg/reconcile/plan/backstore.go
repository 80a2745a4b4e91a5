package plan

import (
	"fmt"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// wantedStore is what an Export links its LUN to: an object's backstore, or its device.
type wantedStore struct {
	// path is that of the backstore.
	path string
	// device, lvUUID, lvIdentity, readOnly and unmap are those of a LUN without a backstore.
	// identity is what initiators know it by; empty: the logical volume does not exist yet.
	device, lvUUID, lvIdentity string
	readOnly, unmap            bool
	identity                   string
	// linkable is false if no LUN can be linked to it now.
	linkable bool
	// step must have succeeded before it can be linked; 0: none.
	step StepID
}

// servedBy reports whether a LUN serves the object.
func (w wantedStore) servedBy(l observe.TargetLUN) bool {
	if w.path != "" {
		return l.Backstore == w.path
	}
	return w.identity != "" && l.Identity == w.identity && l.Device != ""
}

// showsAnother reports whether a LUN shows something other than the object that it should show. A
// LUN whose logical volume cannot be seen now is recognised by its identity.
func (x *exportDiffer) showsAnother(have observe.TargetLUN, backing spec.ID, store wantedStore) bool {
	known := !x.fabric.backstores && have.Identity != "" && have.Identity == x.fabric.identity(x.in.Known[backing].UUID)
	return have.Backstore+have.Device != "" && !store.servedBy(have) && !known
}

// storeOf returns what the Export's fabric links a LUN of an object to.
func (x *exportDiffer) storeOf(id spec.ID) wantedStore {
	if x.fabric.backstores {
		return x.ensureBackstore(id)
	}
	back := x.backingOf(id)
	return wantedStore{
		device: back.lv.Path(), lvUUID: back.lv.UUID, readOnly: back.lv.ReadOnly, unmap: back.thin,
		identity: x.fabric.identity(back.lv.Identity()), lvIdentity: back.lv.Identity(),
		linkable: back.exportable && (back.lv.Active || back.step != 0), step: back.step,
	}
}

// ensureBackstore plans the backstore of an object, once for all Exports that share it: LIO binds a
// device to one backstore only.
func (d *differ) ensureBackstore(id spec.ID) wantedStore {
	of := d.results.of(id)
	if of.store != nil {
		return *of.store
	}
	if b, exists := d.index.Backstore(id); exists && d.ledger.isReleased(id) {
		return wantedStore{path: b.Path(), step: d.ledger.backstores[id]}
	}
	if d.backingOf(id).reverting {
		if have, exists := d.index.Backstore(id); exists {
			return wantedStore{path: have.Path()} // its LUNs are removed, not kept
		}
	}
	w := d.planBackstore(id)
	of.store = &w
	return w
}

func (d *differ) planBackstore(id spec.ID) wantedStore {
	name := change.Backstore{HBA: ondisk.HBA, Name: ondisk.BackstoreName(id)}
	have, exists := d.index.Backstore(id)
	if exists {
		name = change.Backstore{HBA: have.HBA, Name: have.Name} // which another name has if it was adopted
	}
	back := d.backingOf(id)
	if adopted, adopts := d.adoptBackstore(id, back); adopts {
		return adopted
	}
	// A suspended logical volume may be inactive, and then there is no device.
	want := wantedStore{path: name.Path(), linkable: back.exportable && (back.lv.Active || back.step != 0)}
	if !want.linkable {
		return want
	}
	if !exists {
		name.HBA = d.newHBA()
		want.path = name.Path()
	}
	create := change.CreateBackstore{
		Backstore: name, Device: back.lv.Path(), LVUUID: back.lv.UUID, Identity: back.lv.Identity(), ReadOnly: back.lv.ReadOnly, Unmap: back.thin,
		Product: back.lv.Tag(ondisk.TagProduct), Serial: back.lv.Tag(ondisk.TagSerial),
	}
	if back.lv.UUID == "" { // it is created by this plan
		create.Product = ondisk.ProductName(id.Name)
	}
	serial := back.lv.Serial()
	switch {
	case (!exists || !have.Enabled) && d.blockedByUsers(id, back.lv):
		want.linkable = false
	case !exists:
		want.step = d.setBackstoreAttributes(id, name, have, d.servingStep(id, "not there", create, back.step))
	case !have.Enabled:
		want.step = d.setBackstoreAttributes(id, name, have, d.servingStep(id, "not bound to its device", create, back.step))
	case back.lv.UUID != "" && have.Serial == serial && have.ReadOnly == back.lv.ReadOnly && BoundTo(have, back.lv):
		// The device path is not compared: the serial identifies the logical volume,
		// even if somebody has renamed it.
		// What was adopted lets discards through or not, as whoever made it decided.
		if unmap := back.thin && have.CanUnmap; !have.UnmapIs(unmap) && !d.isSuspended(id) && !have.IsAdopted() {
			d.step(id, "differs", change.SetUnmap{Backstore: name, Unmap: unmap})
		}
		want.step = d.setBackstoreAttributes(id, name, have, 0)
	case len(d.index.linksTo(have)) == 0 && !d.isSuspended(id):
		if d.blockedByUsers(id, back.lv) {
			want.linkable = false
			return want
		}
		removed := d.servingStep(id, "bound to another logical volume or in another mode", change.RemoveBackstore{Backstore: name})
		create.Backstore = change.Backstore{HBA: d.hbaToReuse(have.HBA), Name: ondisk.BackstoreName(id)}
		name, want.path = create.Backstore, create.Path()
		want.step = d.setBackstoreAttributes(id, name, have, d.servingStep(id, "removed", create, removed, back.step))
	case d.recreateBackstore(id, have, back.lv):
		want.linkable = false
	default:
		d.setBlocked(id, status.ReasonBackstoreMismatch, "backstore %s (%s, read-only %t, serial %s) should be %s, read-only %t, serial %s. It is recreated once no initiator is connected; or remove its LUN from the Exports, and add it again",
			have.Path(), have.Device, have.ReadOnly, have.Serial, back.lv.Path(), back.lv.ReadOnly, serial)
		want.linkable = false
	}
	return want
}

// blockedByUsers reports whether somebody else uses a logical volume that is about to be exported,
// and sets the status. Two writers that do not know of each other would destroy its data. Only
// LIO's block backstores open a device exclusively; the other fabrics would not notice.
func (d *differ) blockedByUsers(id spec.ID, lv observe.LogicalVolume) bool {
	who := slices.Concat(lv.HeldBy, lv.OpenedBy)
	if b, taken := d.index.foreignBackstore(lv); taken && len(who) == 0 {
		who = []string{"held by backstore " + b + ", which is not managed by volreconciler"}
	}
	if b, taken := d.otherBackstore(id, lv); taken && len(who) == 0 {
		who = []string{"held by backstore " + b + " of another object"}
	}
	if len(who) == 0 && lv.Open && !lv.OpenedBySelf && !d.servedByUs(lv) {
		who = []string{fmt.Sprintf("open on this node by an unknown process (see lsof %s; it may be mounted in another mount namespace)", lv.Path())}
	}
	if len(who) > 0 {
		d.setBlocked(id, status.ReasonInUse, "cannot export %s: it is %s. Release it first (unmount it, or end what uses it)", lv.Path(), shortList(who))
	}
	return len(who) > 0
}

// otherBackstore looks for a backstore of another object on a logical volume, as there is one
// after somebody changed its tags.
func (d *differ) otherBackstore(id spec.ID, lv observe.LogicalVolume) (string, bool) {
	if !lv.Active {
		return "", false
	}
	for _, n := range d.index.boundBackstores(lv) {
		b := d.index.backstores[n]
		if owner, ours := b.Owner(); ours && owner != id && b.Enabled {
			return b.Path(), true
		}
	}
	return "", false
}

// servedByUs reports whether one of our targets has opened a logical volume.
func (d *differ) servedByUs(lv observe.LogicalVolume) bool {
	for _, n := range d.index.boundBackstores(lv) {
		b := d.index.backstores[n]
		if id, ours := b.Owner(); ours && b.Enabled {
			if own, _ := d.index.Backstore(id); own.Path() == b.Path() {
				return true
			}
		}
	}
	return slices.ContainsFunc(d.index.servedDirectly(lv), func(key lunKey) bool {
		t := d.target(key.target)
		_, ours := t.Owner()
		return ours
	})
}

// connectedTo returns the connected initiators that see an object.
func (d *differ) connectedTo(id spec.ID) []string {
	var names []string
	if b, exported := d.index.Backstore(id); exported {
		for _, key := range d.index.linksTo(b) {
			names = append(names, initiatorsOf(d.target(key.target), key.lun)...)
		}
	}
	for _, lv := range d.index.current[id] {
		for _, key := range d.index.servedDirectly(lv) {
			names = append(names, initiatorsOf(d.target(key.target), key.lun)...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (d *differ) target(id observe.TargetID) observe.Target {
	t, _ := d.in.Observed.Target(id)
	return t
}

// initiatorsOf returns the connected initiators that see a LUN.
func initiatorsOf(t observe.Target, lun int) []string {
	if !traitsOf[t.Fabric].mapsLUNs {
		return Sessions(t) // all see all
	}
	names := slices.Clone(t.DynamicSessions)
	for _, name := range sorted(t.ACLs) {
		if isMapped(t.ACLs[name], lun) {
			names = append(names, loggedIn(t.ACLs[name])...)
		}
	}
	return names
}
