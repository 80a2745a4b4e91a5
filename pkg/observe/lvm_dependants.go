package observe

import (
	"slices"
	"strings"
)

// addDependants names what lvremove -y would remove together with logical volumes, see
// [LogicalVolume.TakesAlong]. Hidden rows count as well: LVM hides a snapshot as soon
// as it is to be merged.
func addDependants(vg VolumeGroup, rows []lvRow) {
	byName := make(map[string]lvRow, len(rows))
	external := map[string]bool{}
	for _, r := range rows {
		byName[plainName(r.Name)] = r
		if r.externalOrigin() {
			external[plainName(r.Name)] = true
		}
	}
	dependants := map[string][]string{}
	add := func(of string, dependant lvRow, is string) {
		dependants[of] = append(dependants[of], vg.Name+"/"+plainName(dependant.Name)+", "+is)
	}
	for _, r := range rows {
		switch {
		case r.isHidden() && r.Merging == "merging":
			add(r.Origin, r, "a snapshot that is merging into it")
		case !r.isHidden() && r.Parent != "":
			add(r.Parent, r, "which still belongs to it")
		case r.lvType() == OtherLV && r.Pool != "":
			add(r.Name, byName[plainName(r.Pool)], "its cache or pool")
			add(r.Pool, r, "which it contains")
		}
		for _, origin := range externalOrigins(r, byName, external) {
			add(origin, r, "a thin volume whose external origin it is")
		}
	}
	for name, names := range dependants {
		if lv, visible := vg.LogicalVolumes[name]; visible {
			lv.TakesAlong = names
			vg.LogicalVolumes[name] = lv
		}
	}
}

// takesAlong is what a row tells by itself of [LogicalVolume.TakesAlong].
func (r lvRow) takesAlong() []string {
	var all []string
	if r.externalOrigin() {
		all = append(all, "thin volumes whose external origin it is")
	}
	if strings.HasPrefix(r.Attr, "O") {
		all = append(all, "a snapshot that is merging into it")
	}
	return all
}

func (r lvRow) externalOrigin() bool { return slices.Contains(list(r.Role), "extthinorigin") }

// externalOrigins returns the logical volumes outside of its thin pool that a thin
// volume needs for what was never written to it: that of its own, that of what it is
// a snapshot of, and so on.
func externalOrigins(r lvRow, byName map[string]lvRow, external map[string]bool) []string {
	if len(external) == 0 {
		return nil // of thousands of snapshots, each of the one before, none is followed
	}
	var origins []string
	for hops := 0; r.lvType() == Thin && r.Origin != "" && hops < len(byName); hops++ {
		origin := plainName(r.Origin)
		if external[origin] && byName[origin].Pool != r.Pool {
			origins = append(origins, origin)
		}
		r = byName[origin]
	}
	return origins
}

// plainName takes away what LVM puts around the names of hidden logical volumes.
func plainName(name string) string { return strings.Trim(name, "[]") }
