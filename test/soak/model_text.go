package soak

import (
	"fmt"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Lines renders what must be on the node.
func (m *Model) lines() []string {
	lines := []string{"lv " + pool0 + " of ours"}
	for _, name := range sorted(m.things) {
		if t := m.things[name]; t.lv != nil {
			lines = append(lines, t.line(), fmt.Sprintf("content of %s: %q", t.lv.name, t.lv.content))
		}
	}
	for _, name := range sorted(m.foreign) {
		lines = append(lines, m.foreign[name].line, fmt.Sprintf("content of %s: %q", name, m.foreign[name].content))
	}
	backstores := map[string]bool{}
	for _, name := range sorted(m.exports) {
		e := m.exports[name]
		if e.have == nil {
			continue
		}
		lines = append(lines, m.exportLines(e)...)
		for thing := range e.have.luns {
			t := m.things[thing]
			backstores["backstore "+backstore(t)+" serial="+ondisk.UnitSerial(t.lv.uuid)+" enabled"] = true
		}
		if e.key != "" {
			lines = append(lines, fmt.Sprintf("backstore %s has the key %s of %s", backstore(m.things[e.keyed]), e.key, hostA))
		}
	}
	lines = append(lines, sorted(backstores)...)
	for _, dir := range sorted(m.theirs) {
		lines = append(lines, m.theirs[dir]...)
	}
	slices.Sort(lines)
	return lines
}

func (t *thing) line() string {
	id := spec.ID{Kind: t.kind(), Name: t.name}
	tags := append(append(ondisk.OwnerTags(id), ondisk.DeletionTag(t.lv.policy)), t.lv.extra...)
	if t.lv.trashed {
		tags = append(tags, ondisk.TagDeleted+"<time>")
	}
	slices.Sort(tags)
	return fmt.Sprintf("lv %s uuid=%s size=%d tags=%v active=%s readonly=%t", t.lv.name, t.lv.uuid, t.lv.size, tags, t.active("yes", "no"), t.lv.readOnly)
}

// active is one of the two if it matters whether a thing has a device.
func (t *thing) active(yes, no string) string {
	switch {
	case t.lv.trashed && t.thin:
		return no
	case t.named && t.of == "":
		return yes
	default:
		return "either"
	}
}

func backstore(t *thing) string {
	return ondisk.BackstoreName(spec.ID{Kind: t.kind(), Name: t.name})
}

func (m *Model) exportLines(e *export) []string {
	target := "target " + iqn(e.name)
	lines := []string{target + " enabled, closed, mark volreconciler:" + e.name, target + " portal " + e.have.portal}
	for _, name := range sorted(e.have.luns) {
		lines = append(lines, fmt.Sprintf("%s lun %d is %s", target, e.have.luns[name].number, backstore(m.things[name])))
	}
	for _, host := range sorted(e.have.hosts) {
		password := e.have.hosts[host]
		user, asks := "", "0"
		if password != "" {
			user, asks = "u", "1"
		}
		lines = append(lines, fmt.Sprintf("%s acl %s asks=%s user=%s password=%s", target, host, asks, user, password))
		for _, name := range sorted(e.have.luns) {
			l := e.have.luns[name]
			lines = append(lines, fmt.Sprintf("%s acl %s lun %d readOnly=%t", target, host, l.number, l.readOnly))
		}
	}
	return lines
}

func iqn(export string) string { return spec.DefaultTargetPrefix + ":" + export }

// The files.

func (t *thing) file() string { return strings.ToLower(string(t.kind())) + "-" + t.name + ".yaml" }

func (t *thing) text() string {
	fields := []string{fmt.Sprintf("deletionPolicy: %s", t.policy)}
	if t.of != "" {
		fields = append(fields, "volume: "+t.of)
	} else {
		pool := "slow"
		if t.thin {
			pool = "fast"
		}
		fields = append(fields, "pool: "+pool, fmt.Sprintf("size: %d", t.size))
		if t.adopt {
			fields = append(fields, "adopt: true")
		}
	}
	annotations := ""
	if t.recreate != "" {
		annotations = fmt.Sprintf("annotations: {%s: %q}, ", spec.AnnotationRecreate, t.recreate)
	}
	return document(string(t.kind()), annotations+"name: "+t.name, strings.Join(fields, ", "))
}

func (e *export) file() string { return "export-" + e.name + ".yaml" }

func (e *export) text(m *Model) string {
	var luns []string
	for _, name := range sorted(e.luns) {
		l := e.luns[name]
		luns = append(luns, fmt.Sprintf("{%s: %s, lun: %d, readOnly: %t}", strings.ToLower(string(m.things[name].kind())), name, l.number, l.readOnly))
	}
	auth := ""
	if e.password != "" {
		auth = fmt.Sprintf(", auth: {chap: {username: u, passwordFrom: {file: %s}}}", "SECRETS/"+e.name)
	}
	initiators := "{name: '" + hostA + "'" + auth + "}"
	if e.hostB {
		initiators += ", {name: '" + hostB + "'}"
	}
	return document("Export", "name: "+e.name, fmt.Sprintf("protocol: iscsi, portals: ['%s'], luns: [%s], initiators: [%s]", e.portal, strings.Join(luns, ", "), initiators))
}

func pools(trash string) string {
	return document("Pool", "name: slow", "volumeGroup: "+vg+", trash: "+trash) + "---\n" +
		document("Pool", "name: fast", "volumeGroup: "+vg+", trash: "+trash+", thinPool: {name: "+pool0+", size: 1Gi}")
}

func document(kind, metadata, spec string) string {
	return fmt.Sprintf("apiVersion: volreconciler/v1alpha1\nkind: %s\nmetadata: {%s}\nspec: {%s}\n", kind, metadata, spec)
}
