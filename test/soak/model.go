package soak

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const (
	extent = 4 << 20
	// vg is the volume group in which everything lives, pool0 the thin pool.
	vg    = "vg0"
	pool0 = "pool0"
	hostA = "iqn.1993-08.org.debian:01:a"
	hostB = "iqn.1993-08.org.debian:01:b"
	// maxDoomed is one less than what the agent deletes at once.
	maxDoomed = 9
)

// Model is what a node must come to.
type Model struct {
	things  map[string]*thing // by the object's name
	exports map[string]*export
	// foreign are the logical volumes that are not ours, by name, and theirs what is
	// not ours in LIO: directories, with all that was in them when they were first
	// seen.
	foreign map[string]*foreign
	theirs  map[string][]string

	broken *mistake
	// blind is true if the agent was started anew while there was a mistake: what
	// it then says of the objects depends on what it could still read.
	blind bool
	// failing is true if the agent tries something again and again.
	failing bool
	full    bool // somebody else uses all that was left of the volume group
	// emptied is true if the trash keeps nothing in this round.
	emptied bool
}

// thing is a Volume or Snapshot.
type thing struct {
	name  string
	of    string // a Snapshot's Volume
	thin  bool
	named bool // by a file
	size  uint64
	// policy is the deletion policy, Delete or Retain.
	policy   spec.DeletionPolicy
	recreate string
	adopt    bool
	known    string // the UUID that the agent remembers
	lv       *volume
}

// volume is the logical volume of a thing.
type volume struct {
	name    string
	uuid    string // empty until it was seen
	size    uint64
	content string
	policy  spec.DeletionPolicy
	extra   []string // tags that somebody added
	held    string   // the directory of somebody else's backstore on it
	trashed bool
}

// foreign is a logical volume that is not ours.
type foreign struct {
	thin    bool
	size    uint64
	content string
	tags    []string
	held    bool   // by a backstore, or it has to stay for another reason
	line    string // what it was when it was first seen
}

// export is an Export.
type export struct {
	name     string
	named    bool
	luns     map[string]lun // by thing
	hostB    bool           // a second initiator
	password string         // of hostA; empty: none
	portal   string
	// have is what is there of it; nil: nothing.
	have *exported
}

type lun struct {
	number   int
	readOnly bool
}

// exported is what is there of an Export.
type exported struct {
	luns   map[string]lun
	hosts  map[string]string // to password
	portal string
}

// asked reports whether nothing is there of an Export that its file does not ask for.
func (e *export) asked() bool {
	for name := range e.have.luns {
		if _, asked := e.luns[name]; !asked {
			return false
		}
	}
	return true
}

// mistake is one in the files.
type mistake struct {
	what string
	// object is whose status is nobody's concern meanwhile, and file the name of
	// the file that must not be edited.
	object string
	file   string
	// life is that of the agent that saw the files before.
	life int
	// twice is true if two files name the object, so that neither is acted on, nor
	// on what depends on it.
	twice bool
	mend  func(context.Context) error
}

// newModel returns a model of a node with nothing but Pools.
func newModel() *Model {
	m := &Model{things: map[string]*thing{}, exports: map[string]*export{}, foreign: map[string]*foreign{}, theirs: map[string][]string{}}
	for i := range 3 {
		for _, thin := range []bool{false, true} {
			name := fmt.Sprintf("thick%d", i)
			if thin {
				name = fmt.Sprintf("thin%d", i)
			}
			m.things[name] = &thing{name: name, thin: thin}
			for _, s := range []string{"-mon", "-tue"} {
				m.things[name+s] = &thing{name: name + s, of: name, thin: thin}
			}
		}
		name := fmt.Sprintf("e%d", i)
		m.exports[name] = &export{name: name}
	}
	return m
}

func (t *thing) kind() spec.Kind {
	if t.of != "" {
		return spec.KindSnapshot
	}
	return spec.KindVolume
}

func (t *thing) id() string { return string(t.kind()) + "/" + t.name }

// family is the Volume that a thing belongs to.
func (t *thing) family() string {
	if t.of != "" {
		return t.of
	}
	return t.name
}

func (t *thing) usable() bool { return t.named && t.lv != nil && !t.lv.trashed }

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// volumes and snapshots return the things of a kind in the order of their names.
func (m *Model) volumes() []*thing   { return m.of(func(t *thing) bool { return t.of == "" }) }
func (m *Model) snapshots() []*thing { return m.of(func(t *thing) bool { return t.of != "" }) }

func (m *Model) of(is func(*thing) bool) []*thing {
	var things []*thing
	for _, name := range sorted(m.things) {
		if is(m.things[name]) {
			things = append(things, m.things[name])
		}
	}
	return things
}

// snapshotsOf returns those that are there, in the trash or not.
func (m *Model) snapshotsOf(t *thing) []*thing {
	return m.of(func(s *thing) bool { return s.of == t.name && s.lv != nil })
}

// exportedBy reports whether anything of a thing is in a target, or asked for.
func (m *Model) isExported(t *thing) bool {
	for _, e := range m.exports {
		if _, asked := e.luns[t.name]; asked && e.named {
			return true
		}
		if e.have != nil {
			if _, there := e.have.luns[t.name]; there {
				return true
			}
		}
	}
	return false
}

// doomed is how many objects lose something now or later.
func (m *Model) doomed() int {
	n := 0
	for _, t := range m.things {
		if !t.named && t.lv != nil && !t.lv.trashed && t.lv.policy == spec.Delete {
			n++
		}
	}
	for _, e := range m.exports {
		if !e.named && e.have != nil {
			n++
		}
	}
	return n
}

// settle brings the model to where the node must be when the agent has come to
// rest, and returns how the objects stand that are not Ready.
func (m *Model) settle() map[string]string {
	var stand map[string]string
	for range 4 { // what one thing comes to may set another free
		stand, m.failing = map[string]string{}, false
		for _, t := range m.volumes() {
			m.settleVolume(t, stand)
		}
		for _, t := range m.snapshots() {
			m.settleSnapshot(t, stand)
		}
		for _, name := range sorted(m.exports) {
			m.settleExport(m.exports[name], stand)
		}
		for _, t := range append(m.snapshots(), m.volumes()...) {
			m.settleAbsent(t, stand)
		}
	}
	return stand
}

func (m *Model) complete() bool { return m.broken == nil }

// missing says why a thing without a logical volume gets none, if so.
func (m *Model) missing(t *thing) string {
	_, inTheWay := m.foreign[t.name]
	switch {
	case t.known != "" && t.recreate != t.known:
		return "Blocked: Vanished"
	case inTheWay && !t.adopt:
		return "Blocked: NotOwned"
	default:
		return ""
	}
}

func (m *Model) settleVolume(t *thing, stand map[string]string) {
	if !t.named {
		return
	}
	if t.lv == nil {
		why := m.missing(t)
		f := m.foreign[t.name]
		switch {
		case why == "" && f != nil:
			t.lv = &volume{name: t.name, size: f.size, content: f.content, extra: f.tags}
			delete(m.foreign, t.name)
		case why == "" && m.full && !t.thin:
			why, m.failing = "Failed: NoSpace", true
		case why == "":
			t.lv = &volume{name: t.name, size: t.size}
		}
		if why != "" {
			stand[t.id()] = why
			return
		}
	}
	m.keep(t)
	if t.lv.name != t.name {
		stand[t.id()] = "Blocked: ImmutableField"
	}
	if t.lv.size >= t.size {
		return
	}
	why := ""
	switch {
	case !t.thin && len(m.snapshotsOf(t)) > 0:
		why = "Blocked: SnapshotsExist"
	case !t.thin && m.full:
		why, m.failing = "Failed: NoSpace", true
	default:
		t.lv.size = t.size
	}
	if why != "" && stand[t.id()] == "" {
		stand[t.id()] = why
	}
}

// keep is what a file that names a thing does to its logical volume.
func (m *Model) keep(t *thing) { t.lv.policy, t.lv.trashed = t.policy, false }

func (m *Model) settleSnapshot(t *thing, stand map[string]string) {
	if !t.named {
		return
	}
	if t.lv != nil {
		m.keep(t)
		return
	}
	why, origin := m.missing(t), m.things[t.of]
	switch {
	case why == "" && (origin.lv == nil || !origin.named):
		why = "Blocked: DependencyNotReady"
	case why == "" && m.full && !t.thin:
		why, m.failing = "Failed: NoSpace", true
	case why == "":
		t.lv = &volume{name: t.name, size: origin.lv.size, content: origin.lv.content, policy: t.policy}
	}
	if why != "" {
		stand[t.id()] = why
	}
}

func (m *Model) settleExport(e *export, stand map[string]string) {
	id := "Export/" + e.name
	if !e.named {
		if e.have != nil && !m.complete() {
			stand[id] = "Blocked: IncompleteInput"
		} else {
			e.have = nil
		}
		return
	}
	if _, theirs := m.theirs["iscsi/"+iqn(e.name)]; theirs {
		stand[id] = "Blocked: NotOwned"
		return
	}
	have := &exported{luns: map[string]lun{}, hosts: map[string]string{hostA: e.password}, portal: e.portal}
	if e.hostB {
		have.hosts[hostB] = ""
	}
	for _, name := range sorted(e.luns) {
		t := m.things[name]
		if t.lv != nil && t.lv.held != "" && (stand[t.id()] == "" || stand[t.id()] == "Failed: NoSpace") {
			stand[t.id()] = "Blocked: InUse"
		}
		if !t.usable() || t.lv.held != "" {
			stand[id] = "Blocked: DependencyNotReady"
			continue
		}
		have.luns[name] = e.luns[name]
	}
	if e.have != nil && !m.complete() {
		for name, l := range e.have.luns {
			if _, wanted := e.luns[name]; !wanted {
				have.luns[name] = l
				if stand[id] == "" {
					stand[id] = "Blocked: IncompleteInput"
				}
			}
		}
	}
	e.have = have
}

// settleAbsent is what becomes of a thing that no file names.
func (m *Model) settleAbsent(t *thing, stand map[string]string) {
	switch {
	case t.lv != nil:
		if t.lv.uuid != "" {
			t.known = t.lv.uuid
		}
	case !t.named && m.complete():
		t.known = ""
	}
	if t.named || t.lv == nil {
		return
	}
	if t.lv.policy == spec.Retain {
		stand[t.id()] = "Orphaned: Retained"
		return
	}
	if !t.lv.trashed {
		if !m.complete() {
			stand[t.id()] = "Blocked: IncompleteInput"
			return
		}
		if !t.thin && slices.ContainsFunc(m.snapshotsOf(t), func(s *thing) bool { return !s.lv.trashed }) {
			stand[t.id()] = "Blocked: SnapshotsExist"
			return
		}
		if t.lv.held != "" {
			stand[t.id()] = "Blocked: InUse"
			return
		}
		t.lv.trashed = true
	}
	if m.emptied {
		t.lv, t.known = nil, ""
		return
	}
	stand[t.id()] = "Deleting: InTrash"
}

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
			backstores["backstore "+backstore(t)+" serial="+observe.UnitSerial(t.lv.uuid)+" enabled"] = true
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
	tags := append(append(observe.OwnerTags(id), observe.DeletionTag(t.lv.policy)), t.lv.extra...)
	if t.lv.trashed {
		tags = append(tags, observe.TagDeleted+"<time>")
	}
	slices.Sort(tags)
	return fmt.Sprintf("lv %s uuid=%s size=%d tags=%v active=%s", t.lv.name, t.lv.uuid, t.lv.size, tags, t.active("yes", "no"))
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
	return observe.BackstoreName(spec.ID{Kind: t.kind(), Name: t.name})
}

func (m *Model) exportLines(e *export) []string {
	target := "target " + iqn(e.name)
	lines := []string{target + " enabled, closed, alias volreconciler:" + e.name, target + " portal " + e.have.portal}
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
