package spec

import (
	"strings"
	"time"
)

// Defaults that depend on nothing else.
const (
	// DefaultTargetPrefix is what iSCSI target names begin with unless the
	// agent is configured otherwise. Those of NVMe begin with the same, but nqn.
	DefaultTargetPrefix = "iqn.2026-11.io.volreconciler"
	// DefaultDeletionPolicy keeps the data: what a missing line means must never
	// be what cannot be undone.
	DefaultDeletionPolicy = Retain
	// DefaultDisconnect spares whoever is logged in.
	DefaultDisconnect = DisconnectWait
	// DefaultTrash is long enough for a mistake to be found out.
	DefaultTrash = Duration(24 * time.Hour)
	// DefaultClear lets nobody read what another has written.
	DefaultClear = ClearZero
)

// setDefaults fills in every field that the file leaves out, and writes
// addresses and checksums in their one canonical form, so that nobody after it has to know
// what a missing field means. A value that cannot be parsed is left for validation
// to report.
func (o *object) setDefaults(targetPrefix string) {
	switch v := o.value.(type) {
	case *Pool:
		v.setDefaults()
	case *Volume:
		v.setDefaults()
	case *Snapshot:
		v.setDefaults()
	case *Export:
		v.setDefaults(targetPrefix)
	case *Repository:
		v.setDefaults()
	case *SnapshotSchedule:
		v.setDefaults()
	case *Backup:
		v.setDefaults()
	}
}

func (p *Pool) setDefaults() {
	if p.Spec.ThinPool != nil && p.Spec.ThinPool.Name == "" {
		p.Spec.ThinPool.Name = p.Metadata.Name
	}
	if p.Spec.Trash == nil {
		trash := DefaultTrash
		p.Spec.Trash = &trash
	}
	if p.Spec.Clear == "" {
		p.Spec.Clear = DefaultClear
	}
}

func (v *Volume) setDefaults() {
	if v.Spec.LVName == "" {
		v.Spec.LVName = v.Metadata.Name
	}
	if v.Spec.DeletionPolicy == "" {
		v.Spec.DeletionPolicy = DefaultDeletionPolicy
	}
	if v.Spec.Source != nil && v.Spec.Source.Image != nil {
		v.Spec.Source.Image.SHA256 = strings.ToLower(v.Spec.Source.Image.SHA256)
	}
}

func (s *Snapshot) setDefaults() {
	if s.Spec.DeletionPolicy == "" {
		s.Spec.DeletionPolicy = DefaultDeletionPolicy
	}
}

func (e *Export) setDefaults(targetPrefix string) {
	if e.Spec.Target == "" {
		e.Spec.Target = e.Spec.Protocol.defaultTarget(targetPrefix, e.Metadata.Name)
	}
	e.Spec.Target = e.Spec.Protocol.canonicalName(e.Spec.Target)
	if e.Spec.Disconnect == "" {
		e.Spec.Disconnect = DefaultDisconnect
	}
	if portal := e.Spec.Protocol.DefaultPortal(); e.Spec.Portals == nil && portal != "" { // an empty list is given, and refused
		e.Spec.Portals = []string{portal}
	}
	for i, text := range e.Spec.Portals {
		if portal, err := parsePortal(text); err == nil {
			e.Spec.Portals[i] = portal.String()
		}
	}
	for i := range e.Spec.LUNs {
		if e.Spec.LUNs[i].Number == nil {
			e.Spec.LUNs[i].Number, e.Spec.LUNs[i].ByPosition = &i, true
		}
	}
	for i := range e.Spec.Initiators {
		e.Spec.Initiators[i].Name = e.Spec.Protocol.canonicalName(e.Spec.Initiators[i].Name)
	}
}

func (r *Repository) setDefaults() {
	if r.Spec.Prune == nil {
		r.Spec.Prune = &RepositoryPrune{}
	}
	if !r.Spec.Prune.Every.Never && r.Spec.Prune.Every.Duration == 0 {
		r.Spec.Prune.Every.Duration = DefaultPruneEvery
	}
	if r.Spec.Prune.MaxUnused == "" {
		r.Spec.Prune.MaxUnused = DefaultMaxUnused
	}
	if r.Spec.Check == nil {
		r.Spec.Check = &RepositoryCheck{}
	}
	if !r.Spec.Check.Every.Never && r.Spec.Check.Every.Duration == 0 {
		r.Spec.Check.Every.Duration = DefaultCheckEvery
	}
	if r.Spec.Check.ReadData == "" {
		r.Spec.Check.ReadData = DefaultReadData
	}
}

func (s *SnapshotSchedule) setDefaults() {
	if s.Spec.TimeZone == "" {
		s.Spec.TimeZone = "UTC"
	}
}

func (b *Backup) setDefaults() {
	if b.Spec.DeletionPolicy == "" {
		b.Spec.DeletionPolicy = DefaultDeletionPolicy
	}
}
