package main

import (
	"slices"
	"strconv"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// detail is a column that objects of a kind have. Its cell is empty if nothing is known.
type detail struct {
	title string
	cell  func(status.Object) string
}

// detailsOf returns the columns of a kind; wide ones, or those in which there is room for one name
// of several.
func detailsOf(kind spec.Kind, wide, narrow bool) []detail {
	var details, more []detail
	switch kind {
	case spec.KindPool:
		details, more = poolDetails(), []detail{ofPool("DEVICE/TARGET", poolName)}
	case spec.KindVolume:
		details, more = volumeDetails(narrow), moreOfVolumes()
	case spec.KindSnapshot:
		of := ofVolume("VOLUME", func(v status.Volume) string { return v.Volume })
		details, more = slices.Insert(volumeDetails(narrow), 1, of), moreOfVolumes()
	case spec.KindExport:
		details, more = exportDetails(wide), []detail{ofExport("SESSIONS", func(e status.Export) string { return few(sessionsOf(e)) })}
	case spec.KindImage:
		details = []detail{
			ofImage("SIZE", func(i status.Image) string { return bytes(i.Size) }),
			ofImage("FORMAT", func(i status.Image) string { return string(i.Format) }),
		}
		more = []detail{ofImage("DEVICE/TARGET", func(i status.Image) string { return i.Path })}
	case spec.KindRepository:
		details, more = repositoryDetails()
	case spec.KindSnapshotSchedule:
		details, more = scheduleDetails()
	case spec.KindBackup:
		details, more = backupDetails()
	}
	if wide {
		return append(details, more...)
	}
	return details
}

func poolDetails() []detail {
	known := func(cell func(status.Pool) string) func(status.Pool) string {
		return func(p status.Pool) string {
			if p.UsageUnknown {
				return ""
			}
			return cell(p)
		}
	}
	thin := func(cell func(status.Pool) string) func(status.Pool) string {
		return func(p status.Pool) string {
			if p.ThinPool == "" {
				return ""
			}
			return cell(p)
		}
	}
	return []detail{
		ofPool("SIZE", func(p status.Pool) string { return bytes(p.Size) }),
		ofPool("FREE", known(func(p status.Pool) string { return bytes(p.Free) })),
		ofPool("PROVISIONED", thin(func(p status.Pool) string { return bytes(p.Provisioned) })),
		ofPool("DATA%", thin(known(func(p status.Pool) string { return percent(p.DataPercent) }))),
		ofPool("META%", thin(known(func(p status.Pool) string { return percent(p.MetadataPercent) }))),
	}
}

func volumeDetails(narrow bool) []detail {
	names := few
	if narrow {
		names = firstOf
	}
	return []detail{
		ofVolume("SIZE", func(v status.Volume) string { return bytes(v.Size) }),
		ofVolume("POOL", func(v status.Volume) string { return v.Pool }),
		ofVolume("USED", used),
		ofVolume("EXPORTED BY", func(v status.Volume) string { return names(v.ExportedBy) }),
		ofVolume("CONNECTED", func(v status.Volume) string { return strconv.Itoa(connectedTo(v)) }),
	}
}

func moreOfVolumes() []detail {
	return []detail{
		ofVolume("DEVICE/TARGET", func(v status.Volume) string { return v.DevicePath }),
		ofVolume("WWN", func(v status.Volume) string { return v.WWN }),
		ofVolume("SESSIONS", func(v status.Volume) string { return few(attachmentsOf(v)) }),
	}
}

func exportDetails(wide bool) []detail {
	target := "TARGET"
	if wide {
		target = "DEVICE/TARGET" // what other kinds have there
	}
	return []detail{
		ofExport("PROTOCOL", func(e status.Export) string { return string(e.Protocol) }),
		ofExport(target, func(e status.Export) string { return e.Target }),
		ofExport("LUNS", func(e status.Export) string { return strconv.Itoa(e.LUNs) }),
		ofExport("CONNECTED", func(e status.Export) string { return strconv.Itoa(connectedWith(e)) }),
	}
}

// used is how much space a logical volume takes; empty if LVM does not know it.
func used(v status.Volume) string {
	if v.Allocated == 0 && !v.Active {
		return ""
	}
	return bytes(v.Allocated)
}

// connectedTo is how many initiators use a volume. An initiator with several sessions is one.
func connectedTo(v status.Volume) int {
	who := map[string]bool{}
	for _, a := range v.Attachments {
		who[initiatorOr(a.Initiator, a.Address)] = true
	}
	return len(who)
}

// connectedWith is how many initiators are logged in to an export.
func connectedWith(e status.Export) int {
	who := map[string]bool{}
	for _, c := range e.Connections {
		who[initiatorOr(c.Initiator, c.Address)] = true
	}
	for _, name := range e.Sessions {
		if !slices.ContainsFunc(e.Connections, func(c status.Connection) bool { return c.Address == name }) {
			who[name] = true
		}
	}
	return len(who)
}

func initiatorOr(initiator, address string) string {
	if initiator != "" {
		return initiator
	}
	return address
}

func ofPool(title string, cell func(status.Pool) string) detail {
	return detail{title, func(o status.Object) string { return of(o.Pool, cell) }}
}

func ofVolume(title string, cell func(status.Volume) string) detail {
	return detail{title, func(o status.Object) string { return of(volumeOf(o), cell) }}
}

func ofExport(title string, cell func(status.Export) string) detail {
	return detail{title, func(o status.Object) string { return of(o.Export, cell) }}
}

func ofImage(title string, cell func(status.Image) string) detail {
	return detail{title, func(o status.Object) string { return of(o.Image, cell) }}
}

// of returns the cell of an optional value.
func of[T any](what *T, cell func(T) string) string {
	if what == nil {
		return ""
	}
	return cell(*what)
}
