package observe

import (
	"context"
	"strings"
	"sync"
)

// lvmMemory is what LVM last reported, as long as nobody says that it has changed.
type lvmMemory struct {
	reader lvmReader

	mu sync.Mutex
	on bool
	// forgotten is the number of calls of forget, so that a report that was made across one is not kept.
	forgotten uint64
	// kept is nil if LVM is to be asked.
	kept *lvmReport
	// audited is what was remembered before the audit that is under way; nil: nothing, or none is.
	audited *lvmReport
	missed  bool
}

func (m *lvmMemory) switchOn() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.on = true
}

// begin returns what keep is called with. It is called before anything of the machine is read: what
// has the devices open is read together with LVM.
func (m *lvmMemory) begin() (forgotten uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.forgotten
}

// read also reports whether LVM was not asked.
func (m *lvmMemory) read(ctx context.Context) (r lvmReport, remembered bool) {
	m.mu.Lock()
	kept := m.kept
	m.mu.Unlock()
	if kept != nil {
		return *kept, true
	}
	return m.reader.read(ctx), false
}

// keep remembers a report once it is completed with who has the devices open. One that lacks
// anything is not kept: it is for the next pass to ask again.
func (m *lvmMemory) keep(r lvmReport, forgotten uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.on || m.forgotten != forgotten || r.err != nil || r.unread != nil || len(r.silent) > 0 {
		return
	}
	m.kept = &r
	if m.audited != nil {
		m.missed = m.missed || !sameGroups(m.audited.groups, r.groups)
		m.audited = nil
	}
}

func (m *lvmMemory) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgotten++
	m.kept, m.audited = nil, nil // an audit that is under way does not compare them
}

func (m *lvmMemory) audit() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgotten++
	m.audited, m.kept = m.kept, nil
}

// endAudit ends an audit. It reports whether it found anything.
func (m *lvmMemory) endAudit() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.audited = nil
	return m.missed
}

// takeMissed reports whether an audit found LVM changed though nobody had said so.
func (m *lvmMemory) takeMissed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	missed := m.missed
	m.missed = false
	return missed
}

// sameGroups reports whether two reports agree in what LVM and the kernel announce when it changes.
// That a device is open, and how full it is, they do not.
func sameGroups(a, b map[string]VolumeGroup) bool {
	if len(a) != len(b) {
		return false
	}
	for name, before := range a {
		now, there := b[name]
		if !there || before.UUID != now.UUID || before.Free != now.Free || before.Size != now.Size ||
			before.MissingPVs != now.MissingPVs || len(before.LogicalVolumes) != len(now.LogicalVolumes) {
			return false
		}
		for lv, x := range before.LogicalVolumes {
			if y, there := now.LogicalVolumes[lv]; !there || announcedOf(x) != announcedOf(y) {
				return false
			}
		}
	}
	return true
}

// announced is what of a logical volume does not change in silence.
type announced struct {
	uuid, tags, origin, pool string
	size                     uint64
	active, readOnly, skip   bool
}

func announcedOf(lv LogicalVolume) announced {
	return announced{
		uuid: lv.UUID, tags: strings.Join(lv.Tags, ","), origin: lv.Origin, pool: lv.Pool, size: lv.Size,
		active: lv.Active, readOnly: lv.ReadOnly, skip: lv.SkipActivation,
	}
}
