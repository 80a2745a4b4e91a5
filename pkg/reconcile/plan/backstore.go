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

// wantedStore is what a desired export needs of an object: its backstore, or its
// device.
type wantedStore struct {
	// path is the backstore's.
	path string
	// device, lvUUID, lvIdentity, readOnly and unmap are those of a LUN without a
	// backstore, and identity what initiators tell it by; empty: the logical volume
	// is not there yet.
	device, lvUUID, lvIdentity string
	readOnly, unmap            bool
	identity                   string
	// usable is false if nothing can be linked to it now.
	usable bool
	// step must have succeeded before it can be linked; 0: none.
	step StepID
}

// servedBy reports whether a LUN is that of the object.
func (w wantedStore) servedBy(l observe.TargetLUN) bool {
	if w.path != "" {
		return l.Backstore == w.path
	}
	return w.identity != "" && l.Identity == w.identity && l.Device != ""
}

// showsAnother reports whether a LUN shows something else than the object that it is to show. Of
// one that cannot be seen now it is known what initiators tell it by.
func (x *exportDiffer) showsAnother(have observe.TargetLUN, backing spec.ID, store wantedStore) bool {
	known := !x.fabric.backstores && have.Identity != "" && have.Identity == x.fabric.identity(x.in.Known[backing].UUID)
	return have.Backstore+have.Device != "" && !store.servedBy(have) && !known
}

// store returns what the export's fabric needs of an object.
func (x *exportDiffer) store(id spec.ID) wantedStore {
	if x.fabric.backstores {
		return x.backstore(id)
	}
	back := x.backing(id)
	return wantedStore{
		device: back.lv.Path(), lvUUID: back.lv.UUID, readOnly: back.lv.ReadOnly, unmap: back.thin,
		identity: x.fabric.identity(back.lv.Identity()), lvIdentity: back.lv.Identity(),
		usable: back.usable && (back.lv.Active || back.step != 0), step: back.step,
	}
}

// backstore sees to the backstore of an object, once however many exports share
// it: LIO binds a device to one backstore only.
func (d *differ) backstore(id spec.ID) wantedStore {
	of := d.results.of(id)
	if of.store != nil {
		return *of.store
	}
	if b, exists := d.index.Backstore(id); exists && d.ledger.releases(id) {
		return wantedStore{path: b.Path(), step: d.ledger.backstores[id]}
	}
	if d.backing(id).reverting {
		if have, exists := d.index.Backstore(id); exists {
			return wantedStore{path: have.Path()} // and nobody's to keep
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
		name.HBA = have.HBA
	}
	back := d.backing(id)
	// What is left as it is may be inactive, and then there is no device.
	want := wantedStore{path: name.Path(), usable: back.usable && (back.lv.Active || back.step != 0)}
	if !want.usable {
		return want
	}
	if !exists {
		name.HBA = d.newHBA()
		want.path = name.Path()
	}
	create := change.CreateBackstore{
		Backstore: name, Device: back.lv.Path(), LVUUID: back.lv.UUID, Identity: back.lv.Identity(), ReadOnly: back.lv.ReadOnly, Unmap: back.thin,
		Product: back.lv.Tag(ondisk.TagProduct),
	}
	if back.lv.UUID == "" { // it is created by this plan
		create.Product = ondisk.Product(id.Name)
	}
	serial := ondisk.UnitSerial(back.lv.Identity())
	switch {
	case (!exists || !have.Enabled) && d.blockedByUsers(id, back.lv):
		want.usable = false
	case !exists:
		want.step = d.backstoreAttributes(id, name, have, d.servingStep(id, "not there", create, back.step))
	case !have.Enabled:
		want.step = d.backstoreAttributes(id, name, have, d.servingStep(id, "not bound to its device", create, back.step))
	case back.lv.UUID != "" && have.Serial == serial && have.ReadOnly == back.lv.ReadOnly && BoundTo(have, back.lv):
		// The device path is not compared: the serial tells that it is the same
		// logical volume, even if somebody renamed it meanwhile.
		if unmap := back.thin && have.CanUnmap; !have.UnmapIs(unmap) && !d.isSuspended(id) {
			d.step(id, "differs", change.SetUnmap{Backstore: name, Unmap: unmap})
		}
		want.step = d.backstoreAttributes(id, name, have, 0)
	case len(d.index.linksTo(have)) == 0 && !d.isSuspended(id):
		if d.blockedByUsers(id, back.lv) {
			want.usable = false
			return want
		}
		removed := d.servingStep(id, "bound to another logical volume or in another mode", change.RemoveBackstore{Backstore: name})
		create.HBA = d.hbaAgain(have.HBA)
		name.HBA, want.path = create.HBA, create.Path()
		want.step = d.backstoreAttributes(id, name, have, d.servingStep(id, "removed", create, removed, back.step))
	case d.rebuild(id, have, back.lv):
		want.usable = false
	default:
		d.setBlocked(id, status.ReasonBackstoreMismatch, "backstore %s (%s, read-only %t, serial %s) should be %s, read-only %t, serial %s. It is recreated once no initiator is connected; or remove its LUN from the Exports, and add it again",
			have.Path(), have.Device, have.ReadOnly, have.Serial, back.lv.Path(), back.lv.ReadOnly, serial)
		want.usable = false
	}
	return want
}

// blockedByUsers reports whether somebody else uses a logical volume that is about to be
// exported, and says so. What is exported then would be written to by two who do not know
// of each other. Not all fabrics find out by themselves: only LIO's block backstores open
// devices for themselves alone.
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

// otherBackstore looks for another object's backstore on a logical volume, whose tags somebody
// changed.
func (d *differ) otherBackstore(id spec.ID, lv observe.LogicalVolume) (string, bool) {
	if !lv.Active {
		return "", false
	}
	for _, n := range d.index.bound(lv) {
		b := d.index.backstores[n]
		if owner, ours := b.Owner(); ours && owner != id && b.Enabled {
			return b.Path(), true
		}
	}
	return "", false
}

// servedByUs reports whether a target of ours has a logical volume open already.
func (d *differ) servedByUs(lv observe.LogicalVolume) bool {
	for _, n := range d.index.bound(lv) {
		b := d.index.backstores[n]
		if id, ours := b.Owner(); ours && b.Enabled {
			if named, _ := d.index.Backstore(id); named.Path() == b.Path() {
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

// connectedTo returns the initiators that are logged in and see an object.
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

// initiatorsOf returns the initiators that are logged in and see a LUN.
func initiatorsOf(t observe.Target, lun int) []string {
	if !traitsOf[t.Fabric].maps {
		return Sessions(t) // all see all
	}
	names := slices.Clone(t.DynamicSessions)
	for _, name := range sorted(t.ACLs) {
		if shows(t.ACLs[name], lun) {
			names = append(names, loggedIn(t.ACLs[name])...)
		}
	}
	return names
}
