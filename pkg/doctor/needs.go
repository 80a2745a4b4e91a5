package doctor

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// needs are what specs require of a node.
type needs struct {
	// groups are the volume groups that Pools name, sorted.
	groups []string
	// volumes are the names of the logical volumes that are declared, by volume group.
	volumes map[string][]string
	// thinPools, thickSnapshots: there are any.
	thinPools, thickSnapshots bool
	// images is true if anything is filled from an image, or written to one; downloads if one has a URL.
	images, downloads bool
	// xz is true if an image is compressed with xz, by its name.
	xz bool
	// trash is true if a deleted object would be kept for a time and then removed.
	trash bool
	// protocols are those of the Exports, each with the name of one.
	protocols map[spec.Protocol]string
	// portals are those that are to be listened on with TCP, each once, sorted by address.
	portals []portal
}

// portal is an address to listen on.
type portal struct {
	at       netip.AddrPort
	protocol spec.Protocol
	export   string
}

// needsOf returns what a set requires. What is invalid is left out: it has findings of its own.
func needsOf(set spec.Set) needs {
	n := needs{volumes: map[string][]string{}, protocols: map[spec.Protocol]string{}, images: len(set.Images) > 0}
	trashed := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(set.Pools)) {
		p := set.Pools[name].Spec
		if !slices.Contains(n.groups, p.VolumeGroup) {
			n.groups = append(n.groups, p.VolumeGroup)
		}
		if p.ThinPool != nil {
			n.thinPools = true
			n.volumes[p.VolumeGroup] = append(n.volumes[p.VolumeGroup], p.ThinPool.Name)
		}
		trashed[name] = p.Trash == nil || *p.Trash != 0
	}
	slices.Sort(n.groups)
	for _, name := range slices.Sorted(maps.Keys(set.Volumes)) {
		v := set.Volumes[name].Spec
		group := set.Pools[v.Pool].Spec.VolumeGroup
		n.volumes[group] = append(n.volumes[group], v.LVName)
		if v.Source != nil && v.Source.Image != nil {
			n.images, n.downloads = true, n.downloads || v.Source.Image.URL != ""
			n.xz = n.xz || strings.HasSuffix(v.Source.Image.Path+v.Source.Image.URL, ".xz")
		}
		n.trash = n.trash || v.DeletionPolicy == spec.Delete && trashed[v.Pool]
	}
	for _, name := range slices.Sorted(maps.Keys(set.Snapshots)) {
		s := set.Snapshots[name].Spec
		pool := set.Volumes[s.Volume].Spec.Pool
		group := set.Pools[pool].Spec.VolumeGroup
		n.volumes[group] = append(n.volumes[group], name)
		n.thickSnapshots = n.thickSnapshots || set.Pools[pool].Spec.ThinPool == nil
		n.trash = n.trash || s.DeletionPolicy == spec.Delete && trashed[pool]
	}
	for _, name := range slices.Sorted(maps.Keys(set.Exports)) {
		n.addExport(name, set.Exports[name].Spec)
	}
	slices.SortStableFunc(n.portals, func(a, b portal) int { return a.at.Compare(b.at) })
	return n
}

func (n *needs) addExport(name string, e spec.ExportSpec) {
	if n.protocols[e.Protocol] == "" {
		n.protocols[e.Protocol] = name
	}
	for _, text := range e.Portals {
		at, err := netip.ParseAddrPort(text)
		if err != nil || slices.ContainsFunc(n.portals, func(p portal) bool { return p.at == at && p.protocol.IsNVMe() == e.Protocol.IsNVMe() }) {
			continue
		}
		n.portals = append(n.portals, portal{at, e.Protocol, name})
	}
}

// exports reports whether anything is exported with one of the protocols; of none: at all.
func (n needs) exports(protocols ...spec.Protocol) bool {
	if len(protocols) == 0 {
		return len(n.protocols) > 0
	}
	return slices.ContainsFunc(protocols, func(p spec.Protocol) bool { return n.protocols[p] != "" })
}
