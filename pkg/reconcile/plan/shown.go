package plan

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// place is where Pools put logical volumes. Without a thinPool they are thick.
type place struct{ volumeGroup, thinPool string }

func placeIn(p spec.Pool) place {
	at := place{volumeGroup: p.Spec.VolumeGroup}
	if p.Spec.ThinPool != nil {
		at.thinPool = p.Spec.ThinPool.Name
	}
	return at
}

// places returns the Pools by where they put logical volumes. If several have the same place, it
// is the first by name.
func places(declared spec.Set) map[place]string {
	all := make(map[place]string, len(declared.Pools))
	for _, name := range slices.Backward(sorted(declared.Pools)) {
		all[placeIn(declared.Pools[name])] = name
	}
	return all
}

// poolIn returns the Pool of an object's logical volume, by where that is; empty: no Pool declares
// that place.
func (d *differ) poolIn(id spec.ID, lv observe.LogicalVolume) string {
	at := place{lv.VolumeGroup, lv.Pool}
	volume := id.Name
	if id.Kind == spec.KindSnapshot {
		volume = d.in.Declared.Snapshots[id.Name].Spec.Volume
	}
	if own := d.in.Declared.Volumes[volume].Spec.Pool; own != "" && placeIn(d.in.Declared.Pools[own]) == at {
		return own
	}
	return d.places[at]
}

func (d *differ) volumeStatus(id spec.ID, lv observe.LogicalVolume) *status.Volume {
	serial := lv.Serial()
	created, taken, of := lv.ContentSince(), time.Time{}, ""
	if id.Kind == spec.KindSnapshot {
		created, taken = taken, created
		of = d.in.Declared.Snapshots[id.Name].Spec.Volume
	}
	return &status.Volume{
		CreatedAt: created, TakenAt: taken,
		Size: lv.Size, DevicePath: lv.Path(), LVUUID: lv.UUID, Serial: serial, WWN: "naa." + ondisk.NAA(serial), NamespaceUUID: ondisk.NamespaceUUID(lv.Identity()),
		Active: lv.Active, DataPercent: lv.DataPercent, HeldBy: lv.HeldBy,
		Pool: d.poolIn(id, lv), Volume: of, Allocated: allocated(lv), COWSize: lv.COWSize, Device: device(lv),
	}
}

// device returns the number of an active logical volume's block device, as lsblk(8) shows it.
func device(lv observe.LogicalVolume) string {
	if !lv.Active || lv.Minor < 0 {
		return ""
	}
	return strconv.Itoa(lv.Major) + ":" + strconv.Itoa(lv.Minor)
}

// allocated returns how much space a logical volume takes. LVM does not know it of an inactive
// thin volume: 0.
func allocated(lv observe.LogicalVolume) uint64 {
	switch lv.Type {
	case observe.Thin:
		return uint64(float64(lv.Size) * lv.DataPercent / 100)
	case observe.ThickSnapshot:
		return lv.COWSize
	default:
		return lv.Size
	}
}

func (d *differ) exportStatus(id spec.ID, t observe.Target) *status.Export {
	protocol := d.in.Declared.Exports[id.Name].Spec.Protocol
	if protocol == "" {
		protocol = protocolOf(t)
	}
	return &status.Export{
		Target: t.Name, Protocol: protocol, Portals: slices.Sorted(maps.Keys(t.Portals)), LUNs: len(t.LUNs),
		Sessions: Sessions(t), Connections: connections(t),
	}
}

// setLabels sets the labels of the declared objects in their status.
func (d *differ) setLabels() {
	for _, r := range d.results.all {
		if r.shown {
			r.status.Labels = d.in.Declared.Labels(r.status.ID())
		}
	}
}
