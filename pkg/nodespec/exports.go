package nodespec

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const (
	exportsFile = "exports.yaml"
	// blockBackstore begins the HBA of a block backstore.
	blockBackstore = "iblock_"
)

// exportSpec is what is written of an Export.
type exportSpec struct {
	Protocol          spec.Protocol     `yaml:"protocol"`
	Target            string            `yaml:"target"`
	Adopt             bool              `yaml:"adopt"`
	Portals           []string          `yaml:"portals,flow"`
	LUNs              []lunSpec         `yaml:"luns"`
	AllowAnyInitiator bool              `yaml:"allowAnyInitiator,omitempty"`
	Initiators        []initiatorSpec   `yaml:"initiators,omitempty"`
	Attributes        map[string]string `yaml:"attributes,omitempty"`
}

type lunSpec struct {
	Volume   string `yaml:"volume"`
	Number   int    `yaml:"lun"`
	ReadOnly bool   `yaml:"readOnly,omitempty"`
}

type initiatorSpec struct {
	Name     string     `yaml:"name"`
	LUNs     *[]int     `yaml:"luns,omitempty,flow"`
	ReadOnly bool       `yaml:"readOnly,omitempty"`
	Auth     *spec.Auth `yaml:"auth,omitempty"`
}

// describeTargets describes the targets that nobody manages. Those of other fabrics than LIO's iSCSI
// are left out: they have no place for the agent's mark that initiators do not see.
func (d *Draft) describeTargets() {
	for _, id := range d.request.State.TargetIDs() {
		t, _ := d.request.State.Target(id)
		if _, ours := t.Owner(); ours || t.Fabric != observe.FC && t.Empty() || t.Fabric == observe.FC && len(t.LUNs) == 0 {
			continue
		}
		switch t.Fabric {
		case observe.ISCSI:
			d.describeExport(t)
		case observe.NVMe:
			d.describeOther(t, "nvme-tcp", "NVMe subsystem", "the agent marks a subsystem by model and serial number, which the kernel does not change once a host has discovered it; hosts would see another controller. "+
				"Disconnect the hosts, remove the subsystem, and declare an Export: its namespaces get UUIDs that derive from the volumes")
		case observe.FC:
			d.describeOther(t, "fc", "Fibre Channel target", "the agent marks it by the names of its LUNs' links, which cannot be changed under a session. Remove its LUNs while no initiator is connected, and declare an Export")
		case observe.TGTISCSI:
			d.describeOther(t, "iscsi", "target of tgtd", "tgtd does not show its passwords, and has no place for a mark that initiators do not see. Remove the target while no initiator is connected, and declare an Export")
		}
	}
}

// describeOther describes a target that cannot be adopted, as a beginning for whoever declares it.
func (d *Draft) describeOther(t observe.Target, protocol spec.Protocol, what, why string) {
	doc, body, asked := d.beginExport(t, what, protocol)
	if !asked {
		return
	}
	for _, n := range slices.Sorted(maps.Keys(t.LUNs)) {
		for name, v := range d.volumes {
			if t.LUNs[n].Device == "/dev/"+name {
				body.LUNs = append(body.LUNs, lunSpec{Volume: v.id.Name, Number: n})
			}
		}
	}
	body.Adopt, doc.left = false, why
	for _, name := range slices.Sorted(maps.Keys(t.ACLs)) {
		body.Initiators = append(body.Initiators, initiatorSpec{Name: name})
	}
	doc.body = body
	d.add(doc)
}

// beginExport returns an Export with what all fabrics have in common. It reports false if the target
// serves nothing of the volume groups that were asked for.
func (d *Draft) beginExport(t observe.Target, what string, protocol spec.Protocol) (*document, exportSpec, bool) {
	asked := d.request.Groups == nil
	for _, l := range t.LUNs {
		group, _, _ := strings.Cut(strings.TrimPrefix(volumeBehind(d, l), "/dev/"), "/")
		asked = asked || d.isAsked(group)
	}
	if !asked {
		return nil, exportSpec{}, false
	}
	body := exportSpec{Protocol: protocol, Target: t.Name, Adopt: true, Portals: slices.Sorted(maps.Keys(t.Portals)), AllowAnyInitiator: t.Attrib.GenerateNodeACLs}
	_, unique, _ := strings.Cut(t.Name, ":")
	if unique == "" {
		unique = t.Name
	}
	id := spec.ID{Kind: spec.KindExport, Name: d.nameFor(spec.KindExport, unique, t.Name)}
	return &document{id: id, file: exportsFile, what: what + " " + t.Name, serials: map[string]string{}, attributes: map[string]string{}}, body, true
}

// volumeBehind returns the logical volume that a LUN shows, as /dev/VG/LV or VG/LV; empty: none.
func volumeBehind(d *Draft, l observe.TargetLUN) string {
	if l.Backstore == "" {
		return l.Device
	}
	return d.devices[d.request.State.LIO.Backstores[l.Backstore].BlockDevice]
}

func (d *Draft) describeExport(t observe.Target) {
	protocol := spec.ProtocolISCSI
	for _, over := range t.Portals {
		if over == observe.RDMA {
			protocol = spec.ProtocolISER
		}
	}
	doc, body, asked := d.beginExport(t, "target", protocol)
	if !asked {
		return
	}
	d.add(doc)
	body.Attributes = changed(t.Attributes)
	for _, n := range slices.Sorted(maps.Keys(t.LUNs)) {
		d.describeLUN(doc, &body, n, t.LUNs[n])
	}
	if len(t.LUNs) == 0 {
		doc.omitWith("it has no LUN")
	}
	d.describeInitiators(doc, &body, t)
	doc.body = body
}

// omitWith leaves the object out for a reason; the first one is kept.
func (doc *document) omitWith(format string, args ...any) {
	if doc.left == "" {
		doc.left = fmt.Sprintf(format, args...)
	}
}

func (d *Draft) describeLUN(doc *document, body *exportSpec, n int, l observe.TargetLUN) {
	b, block := d.request.State.LIO.Backstores[l.Backstore]
	lv := d.devices[b.BlockDevice]
	volume := d.volumes[lv]
	switch {
	case l.Backstore == "":
		doc.omitWith("LUN %d is linked to no backstore", n)
	case !block || !strings.HasPrefix(l.Backstore, blockBackstore):
		doc.omitWith("LUN %d is backstore %s, of type %s: only block backstores on logical volumes can be declared", n, l.Backstore, typeOf(l.Backstore))
	case lv == "":
		doc.omitWith("LUN %d is %s, which is no logical volume that can be read", n, b.Device)
	case volume == nil && d.skipped[lv] != "":
		doc.omitWith("LUN %d is %s: %s", n, lv, d.skipped[lv])
	case volume == nil:
		doc.omitWith("LUN %d is %s, whose volume group is not imported", n, lv)
	}
	if volume == nil {
		return
	}
	body.LUNs = append(body.LUNs, lunSpec{Volume: volume.id.Name, Number: n})
	doc.needs = append(doc.needs, volume.id)
	doc.serials[volume.id.Name] = b.Serial
	d.describeBackstore(doc, body, n, b)
}

// describeBackstore adds the attributes of a LUN's backstore, which an Export has once for all its LUNs.
func (d *Draft) describeBackstore(doc *document, body *exportSpec, n int, b observe.Backstore) {
	for _, name := range spec.BackstoreAttrib.Names() {
		value, there := b.Attributes[name]
		standard := spec.Attributes[name].Default
		if !there || standard == "" {
			continue
		}
		if other, set := doc.attributes[name]; set && other != value {
			doc.omitWith("LUN %d has %s %s, and another LUN %s; an Export has one value. Declare an Export for each", n, name, value, other)
		}
		doc.attributes[name] = value
		if value == standard {
			continue
		}
		if body.Attributes == nil {
			body.Attributes = map[string]string{}
		}
		body.Attributes[name] = value
	}
}

// changed returns the attributes that do not have the kernel's default. Those whose default follows from
// the device are left out: nobody can tell.
func changed(have map[string]string) map[string]string {
	var set map[string]string
	for name, value := range have {
		if a, known := spec.Attributes[name]; known && a.Default != "" && value != a.Default {
			if set == nil {
				set = map[string]string{}
			}
			set[name] = value
		}
	}
	return set
}

// typeOf names a backstore's type as targetcli does.
func typeOf(backstore string) string {
	hba, _, _ := strings.Cut(backstore, "/")
	kind := hba[:max(strings.LastIndex(hba, "_"), 0)]
	switch kind {
	case "rd_mcp":
		return "ramdisk"
	case "user":
		return "user (tcmu)"
	default:
		return kind
	}
}

// describeInitiators describes who may log in, and what each sees.
func (d *Draft) describeInitiators(doc *document, body *exportSpec, t observe.Target) {
	names := slices.Sorted(maps.Keys(t.ACLs))
	if t.Attrib.GenerateNodeACLs {
		for i := range body.LUNs {
			body.LUNs[i].ReadOnly = t.Attrib.DemoModeWriteProtect
		}
		if len(names) > 0 {
			doc.omitWith("it admits any initiator, and has ACLs besides; an Export has one of the two")
		}
		if t.Attrib.Authentication {
			doc.omitWith("it admits any initiator with one password for all, which cannot be declared")
		}
	}
	d.setReadOnly(doc, body, t, names)
	for n, name := range names {
		acl, i := t.ACLs[name], &body.Initiators[n]
		sees := []int{}
		for _, number := range slices.Sorted(maps.Keys(acl.LUNs)) {
			if at := acl.LUNs[number].LUN; at != number {
				doc.omitWith("initiator %s sees LUN %d under the number %d; an Export has one number per LUN", name, at, number)
			}
			sees = append(sees, number)
		}
		if len(sees) == 0 {
			doc.omitWith("initiator %s has an ACL and sees no LUN, which cannot be declared. Remove that ACL, or map a LUN", name)
		} else if len(sees) < len(body.LUNs) {
			i.LUNs = &sees
		}
		i.Auth = d.authOf(doc, t, acl, n)
	}
}

// setReadOnly finds out which LUNs are read-only for everybody, and which initiators may write to
// none.
func (d *Draft) setReadOnly(doc *document, body *exportSpec, t observe.Target, names []string) {
	protected := func(name string, lun int) (mapped, protected bool) {
		m, mapped := t.ACLs[name].LUNs[lun]
		return mapped, m.WriteProtect
	}
	for l := range body.LUNs {
		lun, some, all := &body.LUNs[l], false, true
		for _, name := range names {
			mapped, ro := protected(name, lun.Number)
			some, all = some || mapped, all && (!mapped || ro)
		}
		lun.ReadOnly = lun.ReadOnly || some && all
	}
	for _, name := range names {
		i, some, all := initiatorSpec{Name: name}, false, true
		for _, lun := range body.LUNs {
			mapped, ro := protected(name, lun.Number)
			some, all = some || mapped && !lun.ReadOnly, all && (!mapped || ro)
		}
		i.ReadOnly = some && all
		for _, lun := range body.LUNs {
			if mapped, ro := protected(name, lun.Number); mapped && ro && !i.ReadOnly && !lun.ReadOnly {
				doc.omitWith("LUN %d is read-only for initiator %s, but not for others, and it may write to other LUNs; declare an Export for each", lun.Number, name)
			}
		}
		body.Initiators = append(body.Initiators, i)
	}
}

// authOf describes the passwords of an initiator, and keeps them for files of their own.
func (d *Draft) authOf(doc *document, t observe.Target, acl observe.ACL, n int) *spec.Auth {
	asks := acl.Authentication == "1" || acl.Authentication == "-1" && t.Attrib.Authentication
	has := acl.Auth.Username != "" && acl.Auth.Password != spec.Secret{}
	switch {
	case !asks && acl.Auth != observe.CHAP{}:
		doc.omitWith("initiator %s has a password, but the target does not ask for it (attribute authentication is 0)", acl.Initiator)
		return nil
	case asks && !has:
		doc.omitWith("initiator %s needs a password, but has none, and cannot log in", acl.Initiator)
		return nil
	case !asks:
		return nil
	}
	keep := func(user string, password spec.Secret, suffix string) *spec.Credentials {
		file := path.Join(d.request.SecretsDir, fmt.Sprintf("%s-%d%s", doc.id.Name, n, suffix))
		d.secrets[file], doc.secrets = password, append(doc.secrets, file)
		return &spec.Credentials{Username: user, PasswordFrom: spec.PasswordFrom{File: file}}
	}
	auth := &spec.Auth{CHAP: keep(acl.Auth.Username, acl.Auth.Password, "")}
	if acl.Auth.MutualUsername != "" {
		auth.Mutual = keep(acl.Auth.MutualUsername, acl.Auth.MutualPassword, "-mutual")
	}
	return auth
}
