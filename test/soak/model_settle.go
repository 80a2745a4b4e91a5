package soak

import (
	"slices"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

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

// settle brings the model to where the node must be when the agent is at rest, and
// returns phase and reason of the objects that are not Ready.
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
			m.settleUndeclared(t, stand)
		}
	}
	return stand
}

func (m *Model) isComplete() bool { return m.broken == nil }

// missing says why no logical volume is created for a thing that has none, if so.
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
	m.markDeclared(t)
	if t.lv.name != t.name {
		stand[t.id()] = "Blocked: ImmutableField"
	}
	if t.lv.size > t.size && stand[t.id()] == "" {
		stand[t.id()] = "Blocked: ShrinkRefused"
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

// markDeclared is what declaring a thing does to its logical volume.
func (m *Model) markDeclared(t *thing) { t.lv.policy, t.lv.trashed = t.policy, false }

func (m *Model) settleSnapshot(t *thing, stand map[string]string) {
	if !t.named {
		return
	}
	if t.lv != nil {
		m.markDeclared(t)
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
		if e.have != nil && !m.isComplete() {
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
		l := e.luns[name]
		l.readOnly = l.readOnly || t.lv.readOnly
		have.luns[name] = l
	}
	if e.have != nil && !m.isComplete() {
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

// settleUndeclared is what becomes of an undeclared thing.
func (m *Model) settleUndeclared(t *thing, stand map[string]string) {
	switch {
	case t.lv != nil:
		if t.lv.uuid != "" {
			t.known = t.lv.uuid
		}
	case !t.named && m.isComplete():
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
		if !m.isComplete() {
			stand[t.id()] = "Blocked: IncompleteInput"
			return
		}
		if !t.thin && slices.ContainsFunc(m.snapshotsOf(t), func(s *thing) bool { return !s.lv.trashed }) {
			stand[t.id()] = "Blocked: SnapshotsExist"
			return
		}
		if t.lv.clone != "" {
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
