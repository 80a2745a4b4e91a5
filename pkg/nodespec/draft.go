package nodespec

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Request says what to describe.
type Request struct {
	// State is what was observed, with all targets in full, see [observe.Observer.AdoptAll].
	State observe.State
	// Groups are the volume groups to describe; nil: all.
	Groups []string
	// Exports asks for Exports as well.
	Exports bool
	// SecretsDir is the absolute path of the directory that the password files will be in.
	SecretsDir string
}

// Draft is what was described. Its objects are either written, or left out with the reason and then
// a comment.
type Draft struct {
	request   Request
	documents []*document
	omissions []Omission
	// volumes are the documents of logical volumes by their full names, and skipped why others
	// have none.
	volumes map[string]*document
	skipped map[string]string
	names   map[spec.ID]bool
	secrets map[string]spec.Secret
	// devices are the full names of active logical volumes, by the kernel's name of the device.
	devices map[string]string
	// backstores are the block backstores that hold a device, by the kernel's name of it.
	backstores map[string]observe.Backstore
}

// Omission is something on the node that no spec describes.
type Omission struct{ What, Why string }

// document is one object, or one that is left out.
type document struct {
	id   spec.ID
	file string
	// what is the thing on the node: "vg0/db", "target iqn.…".
	what string
	// notes are comments that stand above the object.
	notes []string
	body  any
	// needs are the objects that it refers to.
	needs []spec.ID
	// left is why it is left out; empty: it is written.
	left string
	// serials are those that initiators see of the Volumes of an Export, by their names.
	serials map[string]string
	// attributes are those of its LUNs' backstores, the kernel's defaults included.
	attributes map[string]string
	// secrets are its password files.
	secrets []string
}

// Describe describes a node.
func Describe(r Request) *Draft {
	d := &Draft{
		request: r, volumes: map[string]*document{}, skipped: map[string]string{}, names: map[spec.ID]bool{},
		secrets: map[string]spec.Secret{}, devices: map[string]string{},
		backstores: map[string]observe.Backstore{},
	}
	for _, b := range r.State.LIO.Backstores {
		if b.Enabled && strings.HasPrefix(b.HBA, blockBackstore) {
			d.backstores[b.BlockDevice] = b
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.State.VolumeGroups)) {
		vg := r.State.VolumeGroups[name]
		for _, lv := range vg.LogicalVolumes {
			if lv.Active {
				d.devices[fmt.Sprintf("dm-%d", lv.Minor)] = lv.FullName()
			}
		}
		if d.isAsked(name) {
			d.describeGroup(vg)
		}
	}
	for _, name := range r.Groups {
		if err := r.State.UnusableGroups[name]; err != nil {
			d.omit("volume group "+name, err.Error())
		}
	}
	if r.Exports {
		d.describeTargets()
	}
	d.leaveDependants()
	return d
}

func (d *Draft) isAsked(group string) bool {
	return d.request.Groups == nil || slices.Contains(d.request.Groups, group)
}

func (d *Draft) omit(what, why string) { d.omissions = append(d.omissions, Omission{what, why}) }

func (d *Draft) add(doc *document) *document {
	d.documents = append(d.documents, doc)
	return doc
}

// Note adds something that no spec describes, such as what is saved and not loaded.
func (d *Draft) Note(what, why string) { d.omit(what, why) }

// Written returns the objects that are written, in order.
func (d *Draft) Written() []spec.ID {
	var ids []spec.ID
	for _, doc := range d.documents {
		if doc.left == "" {
			ids = append(ids, doc.id)
		}
	}
	return ids
}

// Omissions returns what is not written, with the reasons.
func (d *Draft) Omissions() []Omission {
	var all []Omission
	for _, doc := range d.documents {
		if doc.left != "" {
			all = append(all, Omission{doc.id.String() + " (" + doc.what + ")", doc.left})
		}
	}
	return append(all, d.omissions...)
}

// leave leaves an object out, and reports whether it was written until then. The first reason is kept.
func (d *Draft) leave(id spec.ID, format string, args ...any) bool {
	for _, doc := range d.documents {
		if doc.id == id && doc.left == "" {
			doc.left = oneLine(fmt.Sprintf(format, args...))
			return true
		}
	}
	return false
}

// leaveDependants leaves out what refers to an object that is left out.
func (d *Draft) leaveDependants() {
	left := map[spec.ID]bool{}
	for _, doc := range d.documents {
		left[doc.id] = doc.left != ""
	}
	for changed := true; changed; {
		changed = false
		for _, doc := range d.documents {
			for _, id := range doc.needs {
				if doc.left == "" && left[id] {
					doc.left, left[doc.id], changed = id.String()+" is not written", true, true
				}
			}
		}
	}
}

// Passwords returns the passwords of the Exports that are written, by the paths of their files.
func (d *Draft) Passwords() map[string]spec.Secret {
	needed := map[string]spec.Secret{}
	for _, doc := range d.documents {
		for _, file := range doc.secrets {
			if doc.left == "" {
				needed[file] = d.secrets[file]
			}
		}
	}
	return needed
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
