package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Index sorts an observation for a plan: whose a logical volume is, which of several is the
// current one, which targets serve it, and which depend on it. It is built once, in time linear in
// the observation, and never changes.
type Index struct {
	// ownership decided which logical volumes are ours.
	ownership Ownership
	// targets are all targets, in a fixed order.
	targets []observe.TargetID
	// volumes are the logical volumes of objects, without leftovers.
	volumes []observe.LogicalVolume
	// current are the logical volumes that hold an object's data. More than one means that
	// somebody made a copy.
	current map[spec.ID][]observe.LogicalVolume
	// foreign are what other installations made for an object. The other fields do not have it,
	// except snapshotsByOrigin, ofSnapshots, reverting and provisioned.
	foreign map[spec.ID][]observe.LogicalVolume
	// unsigned are ours, although their tags do not name this installation.
	unsigned []observe.LogicalVolume
	// leftovers are the other logical volumes of Volumes.
	leftovers map[spec.ID]*leftovers
	// sources are the snapshots that were made to fill Volumes, or to write Images.
	sources map[spec.ID]observe.LogicalVolume
	// scheduled are the snapshots that schedules made, by schedule and Volume, the oldest first.
	scheduled map[runKey][]observe.LogicalVolume
	// wiping are the logical volumes that are being wiped.
	wiping []observe.LogicalVolume
	// reverting are those that are being reverted to a snapshot.
	reverting []observe.LogicalVolume
	// snapshotsByOrigin are the logical volumes of an origin, by its full name, and ofSnapshots
	// those of a Snapshot, by its name, also while they are wiped.
	snapshotsByOrigin, ofSnapshots map[string][]observe.LogicalVolume
	// provisioned is the sum of the virtual sizes in a thin pool, by its full name.
	provisioned map[string]uint64
	// activePools are the thin pools with an active volume, by their full names.
	activePools map[string]bool

	// backstores are LIO's, sorted by path, and paths are those paths. The fields below are
	// positions in that list.
	backstores []observe.Backstore
	paths      []string
	// ownBackstores are those with an object's name. foreignByPath are those that are not ours and
	// hold a device, by its configured path, and boundByID those that hold a device, by the
	// kernel's name of it.
	ownBackstores            map[spec.ID][]int
	foreignByPath, boundByID map[string][]int

	// numbers are 0, 1, 2 …: most lists of positions are a part of it, of length 1.
	numbers []int

	// luns are all LUNs of all targets, in order. The fields below are positions in that list.
	luns []lunKey
	// links are the LUNs of a backstore, by its path; byDevice and byIdentity those without a
	// backstore.
	links, byDevice, byIdentity map[string][]int
}

// leftovers are the logical volumes of a Volume besides its current one, before and after a
// cutover: the Volume moves to another Pool, or is reverted.
type leftovers struct {
	// staged are being prepared to become current; superseded were current before a cutover.
	staged, superseded []observe.LogicalVolume
	// snapshots are those that the sync rounds copy from.
	snapshots []observe.LogicalVolume
}

// NewIndex sorts an observation.
func NewIndex(state observe.State, ownership Ownership) *Index {
	targets, volumes := state.TargetIDs(), 0
	for _, vg := range state.VolumeGroups {
		volumes += len(vg.LogicalVolumes)
	}
	luns := 0
	for _, id := range targets {
		luns += len(state.Targets(id.Fabric)[id.Name].LUNs)
	}
	ownership.tag = ownership.Tag()
	x := &Index{
		ownership: ownership, foreign: map[spec.ID][]observe.LogicalVolume{},
		targets: targets, current: make(map[spec.ID][]observe.LogicalVolume, volumes), leftovers: map[spec.ID]*leftovers{},
		sources: map[spec.ID]observe.LogicalVolume{}, snapshotsByOrigin: map[string][]observe.LogicalVolume{}, ofSnapshots: map[string][]observe.LogicalVolume{},
		provisioned: map[string]uint64{}, activePools: map[string]bool{}, volumes: make([]observe.LogicalVolume, 0, volumes),
		numbers:    upTo(max(len(state.LIO.Backstores), luns)),
		backstores: make([]observe.Backstore, 0, len(state.LIO.Backstores)), ownBackstores: make(map[spec.ID][]int, len(state.LIO.Backstores)),
		foreignByPath: map[string][]int{}, boundByID: make(map[string][]int, len(state.LIO.Backstores)),
		luns: make([]lunKey, 0, luns), links: make(map[string][]int, len(state.LIO.Backstores)),
		byDevice: map[string][]int{}, byIdentity: map[string][]int{},
	}
	for _, vgName := range sorted(state.VolumeGroups) {
		lvs := state.VolumeGroups[vgName].LogicalVolumes
		for _, lvName := range sorted(lvs) {
			x.addVolume(lvs[lvName])
		}
	}
	x.promote()
	x.scheduled = x.scheduledSnapshots()
	x.paths = sorted(state.LIO.Backstores)
	for n, path := range x.paths {
		x.addBackstore(n, state.LIO.Backstores[path])
	}
	for _, id := range x.targets {
		luns := state.Targets(id.Fabric)[id.Name].LUNs
		for _, n := range sortedInts(luns) {
			x.addLUN(lunKey{id, n}, luns[n])
		}
	}
	return x
}

// addVolume sorts a logical volume by owner, role and origin.
func (x *Index) addVolume(lv observe.LogicalVolume) {
	id, owned := lv.LastOwner()
	if lv.Origin != "" {
		origin := lv.VolumeGroup + "/" + lv.Origin
		x.snapshotsByOrigin[origin] = append(x.snapshotsByOrigin[origin], lv)
	}
	if id.Kind == spec.KindSnapshot {
		x.ofSnapshots[id.Name] = append(x.ofSnapshots[id.Name], lv)
	}
	phase := lv.Phase()
	if phase == ondisk.Reverting {
		x.reverting = append(x.reverting, lv)
	}
	if lv.Type == observe.Thin {
		if lv.Active {
			x.activePools[lv.VolumeGroup+"/"+lv.Pool] = true
		}
		if id.Kind == spec.KindVolume || lv.Origin == "" && id.Kind != spec.KindSnapshot {
			x.provisioned[lv.VolumeGroup+"/"+lv.Pool] += lv.Size
		}
	}
	if !x.ownership.owns(lv) {
		if of, named := lv.BelongsTo(); named {
			x.foreign[of] = append(x.foreign[of], lv)
		}
		return
	}
	if _, named := lv.BelongsTo(); named && !x.ownership.isSigned(lv) {
		x.unsigned = append(x.unsigned, lv)
	}
	if phase == ondisk.Clearing {
		x.wiping = append(x.wiping, lv) // and no object's any more
		return
	}
	if of, ok := lv.SourceOf(); ok {
		x.sources[of] = lv
	}
	if of, ok := lv.MoveOf(); ok {
		x.ensureLeftovers(of).snapshots = append(x.leftovers[of].snapshots, lv)
	}
	switch {
	case !owned:
	case phase == ondisk.Staged:
		x.ensureLeftovers(id).staged = append(x.leftovers[id].staged, lv)
	case phase == ondisk.Superseded:
		x.ensureLeftovers(id).superseded = append(x.leftovers[id].superseded, lv)
	default:
		x.volumes = append(x.volumes, lv)
		addPlace(x.current, id, x.volumes, len(x.volumes)-1)
	}
}

func (x *Index) ensureLeftovers(id spec.ID) *leftovers {
	if x.leftovers[id] == nil {
		x.leftovers[id] = &leftovers{}
	}
	return x.leftovers[id]
}

// promote makes a staged logical volume current if a superseded one names it. That tag is the one
// moment at which a cutover happens; nothing else does it.
func (x *Index) promote() {
	for id, left := range x.leftovers {
		for _, old := range left.superseded {
			left.staged = slices.DeleteFunc(left.staged, func(lv observe.LogicalVolume) bool {
				inPlace := lv.UUID == old.SupersededBy() // of a copy of the volume group too
				if inPlace {
					x.current[id] = append(x.current[id], lv)
				}
				return inPlace
			})
		}
	}
}

func (x *Index) addBackstore(n int, b observe.Backstore) {
	x.backstores = append(x.backstores, b)
	if id, ours := b.Owner(); ours {
		addPlace(x.ownBackstores, id, x.numbers, n)
	} else if b.Enabled {
		addPlace(x.foreignByPath, b.Device, x.numbers, n)
	}
	addPlace(x.boundByID, b.BlockDevice, x.numbers, n)
}

func (x *Index) addLUN(key lunKey, l observe.TargetLUN) {
	n := len(x.luns)
	x.luns = append(x.luns, key)
	if l.Backstore != "" {
		addPlace(x.links, l.Backstore, x.numbers, n)
	}
	if l.Device != "" {
		addPlace(x.byDevice, l.Device, x.numbers, n)
		if l.Identity != "" {
			addPlace(x.byIdentity, l.Identity, x.numbers, n)
		}
	}
}

// isDormant reports whether nothing of a thin pool is active. LVM then does not report its usage.
func (x *Index) isDormant(pool observe.LogicalVolume) bool {
	return !pool.Active && !x.activePools[pool.FullName()]
}

// leftoversOf returns the logical volumes of a Volume besides its current one.
func (x *Index) leftoversOf(id spec.ID) leftovers {
	if left := x.leftovers[id]; left != nil {
		return *left
	}
	return leftovers{}
}

// hasAny reports whether a logical volume carries an object's tags, current or not.
func (x *Index) hasAny(id spec.ID) bool {
	left := x.leftoversOf(id)
	return len(x.current[id])+len(left.staged)+len(left.superseded) > 0
}

// Backstore returns the backstore with an object's name.
func (x *Index) Backstore(id spec.ID) (observe.Backstore, bool) {
	own := x.ownBackstores[id]
	if len(own) == 0 {
		return observe.Backstore{}, false
	}
	return x.backstores[own[len(own)-1]], true
}

// linksTo returns the LUNs of a backstore, in any target.
func (x *Index) linksTo(b observe.Backstore) []lunKey { return x.lunsAt(x.links[b.Path()]) }

// servedDirectly returns the LUNs without a backstore that serve a logical volume, in any target.
func (x *Index) servedDirectly(lv observe.LogicalVolume) []lunKey {
	if len(x.byDevice) == 0 {
		return nil
	}
	return x.lunsAt(merge(x.byDevice[lv.Path()], x.byIdentity[ondisk.NamespaceUUID(lv.Identity())], x.byIdentity[ondisk.UnitSerial(lv.Identity())]))
}

func (x *Index) lunsAt(luns []int) []lunKey {
	var keys []lunKey
	for _, n := range luns {
		keys = append(keys, x.luns[n])
	}
	return keys
}

// snapshotsOf returns the copy-on-write snapshots of a logical volume, whoever made them.
func (x *Index) snapshotsOf(origin observe.LogicalVolume) []observe.LogicalVolume {
	return x.derivedFrom(origin, observe.ThickSnapshot)
}

// clonesOf returns the thin snapshots of a logical volume, whoever made them.
func (x *Index) clonesOf(origin observe.LogicalVolume) []observe.LogicalVolume {
	return x.derivedFrom(origin, observe.Thin)
}

func (x *Index) derivedFrom(origin observe.LogicalVolume, t observe.LVType) (all []observe.LogicalVolume) {
	for _, lv := range x.snapshotsByOrigin[origin.FullName()] {
		if lv.Type == t {
			all = append(all, lv)
		}
	}
	return all
}

// foreignBackstore looks for somebody else's backstore on a logical volume.
func (x *Index) foreignBackstore(lv observe.LogicalVolume) (string, bool) {
	candidates := x.foreignByPath[lv.Path()]
	if lv.Active {
		candidates = merge(candidates, x.boundBackstores(lv))
	}
	for _, n := range candidates {
		if _, ours := x.backstores[n].Owner(); !ours && x.backstores[n].Enabled {
			return x.backstores[n].Path(), true
		}
	}
	return "", false
}

// boundBackstores returns the backstores that hold a logical volume's device.
func (x *Index) boundBackstores(lv observe.LogicalVolume) []int { return x.boundByID[deviceOf(lv)] }

// backstoresOf returns the backstores with an object's name, or that hold its device.
func (x *Index) backstoresOf(id spec.ID, lv observe.LogicalVolume) []observe.Backstore {
	places := x.ownBackstores[id]
	if lv.Active {
		places = merge(places, x.boundBackstores(lv))
	}
	var all []observe.Backstore
	for _, n := range places {
		all = append(all, x.backstores[n])
	}
	return all
}

// BoundTo reports whether a backstore holds a logical volume's device. That is what it serves,
// whatever path or serial it is configured with.
func BoundTo(b observe.Backstore, lv observe.LogicalVolume) bool {
	return b.BlockDevice == deviceOf(lv)
}

func deviceOf(lv observe.LogicalVolume) string { return fmt.Sprintf("dm-%d", lv.Minor) }

// addPlace adds the n-th of all to a list. The first entry needs no allocation.
func addPlace[K comparable, V any](lists map[K][]V, to K, all []V, n int) {
	if list := lists[to]; len(list) > 0 {
		lists[to] = append(list, all[n])
	} else {
		lists[to] = all[n : n+1 : n+1]
	}
}

func upTo(n int) []int {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	return numbers
}

// merge returns the union of sorted lists, sorted.
func merge(lists ...[]int) []int {
	lists = slices.DeleteFunc(lists, func(list []int) bool { return len(list) == 0 })
	if len(lists) == 1 {
		return lists[0]
	}
	all := slices.Concat(lists...)
	slices.SortFunc(all, cmp.Compare[int])
	return slices.Compact(all)
}
