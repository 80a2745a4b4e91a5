package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// An Export with adopt: true adopts the iSCSI target of that name, and the backstores of its LUNs,
// if nobody owns them and everything is as declared already. Then they are marked, and nothing
// else is changed, so no session notices. If anything differs, nothing is done: what a target of
// somebody else shows is not for a plan to correct.
//
// A target that the Export adopted before may have been restored from what targetcli saved even
// earlier, without the mark, and without what could not be restored at that moment. What it shows must be
// as declared then too. All else is corrected once it has its mark: whoever was dismissed since is
// dismissed again, and what was added since is added again.

// blockBackstore begins the HBA of a block backstore.
const blockBackstore = "iblock_"

// adoptExport plans the marks of an Export's target and backstores, or sets the status to what
// differs.
func (d *differ) adoptExport(id spec.ID, e spec.Export, have observe.Target) {
	target := change.Target{Fabric: have.Fabric, Name: have.Name, Export: id.Name}
	if why := d.targetDifference(e, have); why != "" {
		d.setBlocked(id, status.ReasonNotOwned, "cannot adopt target %s, which is not changed: %s.%s Correct the spec or the target; volreconciler import writes a spec that fits", have.Name, why, d.admitted(id, e, have))
		return
	}
	luns, needs := map[int]string{}, []StepID(nil)
	for _, l := range e.Spec.LUNs {
		if _, shown := have.LUNs[*l.Number]; !shown {
			continue // it is added when the target has its mark
		}
		store := d.ensureBackstore(l.Backing())
		luns[*l.Number], needs = store.path, append(needs, store.step)
	}
	d.step(id, "adopt: true", change.AdoptTarget{Target: target, LUNs: luns}, needs...)
}

// admitted says whom a target lets in that was adopted before, was restored since as it was, and cannot be
// adopted again; empty: nobody but who is declared.
func (d *differ) admitted(id spec.ID, e spec.Export, have observe.Target) string {
	others := slices.DeleteFunc(sorted(have.ACLs), func(name string) bool {
		return slices.ContainsFunc(e.Spec.Initiators, func(i spec.Initiator) bool { return i.Name == name })
	})
	if d.in.Known[id].Adopted != have.Name || len(others) == 0 {
		return ""
	}
	return fmt.Sprintf(" A saved configuration was restored, which admits initiators that are not declared (%s).", shortList(others))
}

// adoptBackstore plans that a backstore of somebody else becomes an object's. The product id that
// initiators see of it is recorded, so that they see the same after a reboot. It reports false if
// there is none to adopt.
func (d *differ) adoptBackstore(id spec.ID, back backing) (wantedStore, bool) {
	b, found := d.unownedBackstore(back.lv)
	if !found || !back.exportable || d.isSuspended(id) || !d.mayAdoptBackstore(id, b) || d.backstoreDifference(id, back.lv, b) != "" {
		return wantedStore{}, false
	}
	var needs []StepID
	if product := ondisk.TagProduct + b.Product; b.Product != "" && !slices.Contains(back.lv.Tags, product) {
		needs = append(needs, d.step(id, "initiators know it by that", change.SetTags{LV: nameOf(back.lv), Add: []string{product}}))
	}
	step := d.step(id, "adopt: true in an Export", change.AdoptBackstore{
		Backstore: change.Backstore{HBA: b.HBA, Name: b.Name}, Mark: ondisk.BackstoreName(id),
		Device: back.lv.Path(), LVUUID: back.lv.UUID, Serial: b.Serial, ReadOnly: b.ReadOnly,
	}, needs...)
	return wantedStore{path: b.Path(), linkable: true, step: step}, true
}

// mayAdoptBackstore reports whether an Export that adopts its target exports an object by a
// backstore: one whose target is adopted by this plan, or was before.
func (d *differ) mayAdoptBackstore(id spec.ID, b observe.Backstore) bool {
	return slices.ContainsFunc(d.refs.exports[id], func(name string) bool {
		e := d.in.Declared.Exports[name]
		have := d.target(d.in.targetOf(e))
		_, owned := have.Owner()
		switch {
		case !e.Spec.Adopt || !traitsOf[have.Fabric].adopts || e.Metadata.Suspended():
			return false
		case owned:
			return have.OwnedBy(name) && slices.ContainsFunc(e.Spec.LUNs, func(l spec.LUN) bool {
				return l.Backing() == id && have.LUNs[*l.Number].Backstore == b.Path()
			})
		default:
			return d.targetDifference(e, have) == ""
		}
	})
}

// unownedBackstore returns the backstore of somebody else that a logical volume is bound to.
func (d *differ) unownedBackstore(lv observe.LogicalVolume) (observe.Backstore, bool) {
	if !lv.Active || lv.UUID == "" {
		return observe.Backstore{}, false
	}
	for _, n := range d.index.boundBackstores(lv) {
		if b := d.index.backstores[n]; b.Enabled {
			_, ours := b.Owner()
			return b, !ours
		}
	}
	return observe.Backstore{}, false
}

// backstoreDifference returns why a backstore of somebody else cannot become that of an object;
// empty: it can.
func (d *differ) backstoreDifference(id spec.ID, lv observe.LogicalVolume, b observe.Backstore) string {
	differs := func(format string, args ...any) string {
		return "backstore " + b.Path() + " " + fmt.Sprintf(format, args...)
	}
	product := lv.Tag(ondisk.TagProduct)
	switch {
	case !strings.HasPrefix(b.HBA, blockBackstore):
		return differs("is no block backstore")
	case !strings.HasPrefix(b.Device, "/dev/"):
		return differs("has no device path (%q)", b.Device)
	case d.namesAnother(b.Device, lv):
		return differs("has device path %s, but is bound to %s: one of them is not meant, and after a reboot initiators may see either", b.Device, lv.FullName())
	case len(b.Special) > 0:
		return differs("has %s, which cannot be declared", shortList(b.Special))
	case b.Serial != lv.Serial():
		return differs("has serial %s, but that of %s is %s (spec.serial)", b.Serial, id, lv.Serial())
	case b.ReadOnly != lv.ReadOnly:
		return differs("has read-only %t, but that of %s is %t", b.ReadOnly, lv.FullName(), lv.ReadOnly)
	case b.Product != "" && product != "" && b.Product != product:
		return differs("shows product %s, but the tag of %s is %s", b.Product, lv.FullName(), product)
	case b.Product != "" && !ondisk.IsTagValue(b.Product):
		return differs("shows product %q, which a tag of LVM cannot keep", b.Product)
	}
	if _, exists := d.index.Backstore(id); exists {
		return differs("is a second one: %s has another already", id)
	}
	wanted := map[string]string{}
	exports := d.exportsWithAttributes(id)
	for _, name := range backstoreParameters {
		if value, set, agreed := d.wantedAttribute(id, name, exports); set && agreed {
			wanted[name] = value
		}
	}
	if why := attributeDifference(backstoreParameters, b.Attributes, wanted); why != "" {
		return differs("has %s", why)
	}
	return ""
}

// namesAnother reports whether a device path is that of another logical volume, as when two were renamed
// under a backstore: the kernel holds the device, and targetcli saves the path.
func (d *differ) namesAnother(device string, lv observe.LogicalVolume) bool {
	group, name, _ := strings.Cut(strings.TrimPrefix(device, "/dev/"), "/")
	if group == "mapper" {
		const hyphen = "\x00" // within a name it is doubled
		group, name, _ = strings.Cut(strings.ReplaceAll(name, "--", hyphen), "-")
		group, name = strings.ReplaceAll(group, hyphen, "-"), strings.ReplaceAll(name, hyphen, "-")
	}
	named, exists := d.in.Observed.VolumeGroups[group].LogicalVolumes[name]
	return exists && named.UUID != lv.UUID
}

// attributeDifference returns the first attribute that is not as declared, or not the kernel's default.
func attributeDifference(names []string, have, want map[string]string) string {
	for _, name := range names {
		value, there := have[name]
		wanted, set := want[name]
		if !set {
			wanted = spec.Attributes[name].Default
		}
		if there && wanted != "" && value != wanted {
			return fmt.Sprintf("%s %s, not %s (spec.attributes)", name, value, wanted)
		}
	}
	return ""
}

// targetDifference returns how a target differs from the Export that should adopt it; empty: in
// nothing that keeps it from that.
func (d *differ) targetDifference(e spec.Export, have observe.Target) string {
	s := e.Spec
	restored := d.in.Known[spec.ID{Kind: spec.KindExport, Name: e.Metadata.Name}].Adopted == have.Name
	switch {
	case ondisk.IsTargetMark(have.Mark):
		return "it has the mark " + have.Mark
	case !have.HasTPG || have.OtherTPGs > 0:
		return "it does not have tpg1 as its only portal group"
	case have.GroupAuth:
		return "its portal group has credentials of its own (auth), which cannot be declared"
	case !have.Enabled:
		return "it is disabled"
	case !s.AllowAnyInitiator && len(have.DynamicSessions) > 0:
		return "initiators are connected that have no ACL: " + shortList(have.DynamicSessions)
	}
	if why := d.lunDifference(s, have, restored); why != "" || restored {
		return why
	}
	for _, portal := range union(sorted(have.Portals), s.Portals) {
		over, there := have.Portals[portal]
		if want := slices.Contains(s.Portals, portal); want != there || want && over != d.in.fabricOf(s.Protocol).transport {
			return fmt.Sprintf("portal %s differs (declared: %s)", portal, strings.Join(s.Portals, ", "))
		}
	}
	for _, names := range targetParameters {
		if why := attributeDifference(names, have.Attributes, s.Attributes); why != "" {
			return "it has " + why
		}
	}
	if why := d.initiatorDifference(s, have); why != "" {
		return why
	}
	x := exportDiffer{differ: d, spec: s, fabric: d.in.fabricOf(s.Protocol), have: have}
	if want := x.asAdopted(x.wantedAttributes()); want != have.Attrib {
		return "it differs in " + groupDifference(have.Attrib, want)
	}
	return ""
}

// groupDifference names the first attribute in which two portal groups differ, as the kernel does.
func groupDifference(have, want observe.TPGAttrib) string {
	for _, a := range []struct {
		name       string
		have, want bool
	}{
		{"authentication", have.Authentication, want.Authentication},
		{"generate_node_acls", have.GenerateNodeACLs, want.GenerateNodeACLs},
		{"cache_dynamic_acls", have.CacheDynamicACLs, want.CacheDynamicACLs},
		{"demo_mode_write_protect", have.DemoModeWriteProtect, want.DemoModeWriteProtect},
		{"demo_mode_discovery", have.DemoModeDiscovery, want.DemoModeDiscovery},
		{"prod_mode_write_protect", have.ProdModeWriteProtect, want.ProdModeWriteProtect},
	} {
		if a.have != a.want {
			return fmt.Sprintf("attribute %s (%t, not %t)", a.name, a.have, a.want)
		}
	}
	return "its attributes"
}

// lunDifference returns which LUN does not show the declared object, by a backstore that is the
// object's or can become so, or shows it to an initiator under another number. A target that was restored
// may lack LUNs.
func (d *differ) lunDifference(s spec.ExportSpec, have observe.Target, restored bool) string {
	for _, l := range s.LUNs {
		n, id := *l.Number, l.Backing()
		if _, shown := have.LUNs[n]; restored && !shown {
			continue
		}
		back := d.backingOf(id)
		b, exists := d.index.Backstore(id)
		if !exists {
			var found bool
			if b, found = d.unownedBackstore(back.lv); !found {
				return fmt.Sprintf("LUN %d: %s is bound to no backstore", n, id)
			}
			if why := d.backstoreDifference(id, back.lv, b); why != "" {
				return fmt.Sprintf("LUN %d: %s", n, why)
			}
		}
		switch shown, there := have.LUNs[n]; {
		case !back.exportable:
			o := d.object(id)
			return fmt.Sprintf("LUN %d: %s is %s: %s", n, id, o.Phase, o.Reason)
		case !there || shown.Backstore != b.Path():
			return fmt.Sprintf("LUN %d is %q, not %s", n, shown.Backstore, b.Path())
		}
	}
	for _, n := range sortedInts(have.LUNs) {
		if !slices.ContainsFunc(s.LUNs, func(l spec.LUN) bool { return *l.Number == n }) {
			return fmt.Sprintf("LUN %d (%s) is not declared", n, have.LUNs[n].Backstore)
		}
	}
	for _, name := range sorted(have.ACLs) {
		for _, n := range sortedInts(have.ACLs[name].LUNs) {
			if mapped := have.ACLs[name].LUNs[n]; mapped.LUN != n {
				return fmt.Sprintf("initiator %s sees LUN %d under the number %d", name, mapped.LUN, n)
			}
		}
	}
	return ""
}

// initiatorDifference returns which initiator is not as declared.
func (d *differ) initiatorDifference(s spec.ExportSpec, have observe.Target) string {
	for _, name := range sorted(have.ACLs) {
		if !slices.ContainsFunc(s.Initiators, func(i spec.Initiator) bool { return i.Name == name }) {
			return fmt.Sprintf("initiator %s is not declared", name)
		}
	}
	for _, i := range s.Initiators {
		acl, there := have.ACLs[i.Name]
		switch {
		case !there:
			return fmt.Sprintf("initiator %s has no ACL", i.Name)
		case !hasAuth(acl, have.Attrib, authOf(i.Auth)):
			return fmt.Sprintf("initiator %s has another authentication", i.Name)
		}
		for _, n := range union(sortedInts(have.LUNs), sortedInts(acl.LUNs)) {
			at := slices.IndexFunc(s.LUNs, func(l spec.LUN) bool { return *l.Number == n })
			mapped, shown := acl.LUNs[n]
			sees := at >= 0 && i.Sees(n)
			protected := sees && (s.LUNs[at].ReadOnly || i.ReadOnly || d.backingOf(s.LUNs[at].Backing()).lv.ReadOnly)
			switch {
			case shown != sees:
				return fmt.Sprintf("initiator %s: mapping of LUN %d differs", i.Name, n)
			case shown && mapped.WriteProtect != protected:
				return fmt.Sprintf("initiator %s: write protection of LUN %d differs", i.Name, n)
			}
		}
	}
	return ""
}

// union returns what is in either list, without repetition, in order of appearance.
func union[T comparable](a, b []T) []T {
	all := slices.Clone(a)
	for _, v := range b {
		if !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}

// servesAdopted reports whether the target serves a backstore that somebody else made, so that it was
// adopted, and not created again since.
func (x *exportDiffer) servesAdopted() bool {
	for _, l := range x.have.LUNs {
		b, exists := x.in.Observed.LIO.Backstores[l.Backstore]
		if _, made := ondisk.BackstoreOwner(b.Name); exists && !made {
			return true
		}
	}
	return false
}

// asAdopted returns the attributes of an adopted target: those that differ from ours and admit
// nobody else remain as they were found. Which targets initiators discover gives no access. A group that
// asks for no authentication is closed as soon as an initiator needs it that has no ACL yet: an ACL
// that is half set up must let nobody in.
func (x *exportDiffer) asAdopted(want observe.TPGAttrib) observe.TPGAttrib {
	have := x.have.Attrib
	if have.GenerateNodeACLs != want.GenerateNodeACLs {
		return want
	}
	want.DemoModeDiscovery = have.DemoModeDiscovery
	if want.GenerateNodeACLs {
		return want
	}
	want.DemoModeWriteProtect = have.DemoModeWriteProtect
	for _, i := range x.spec.Initiators {
		if acl, there := x.have.ACLs[i.Name]; !there || !hasAuth(acl, have, authOf(i.Auth)) {
			return want
		}
	}
	want.Authentication = have.Authentication
	return want
}
