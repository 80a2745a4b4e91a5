package spec

import (
	"fmt"
	"maps"
	"slices"
)

// assembly brings the objects of all files together and checks what cannot be
// checked in one file: duplicate names, references to undeclared objects, and
// objects that describe the same thing on the node.
//
// It works in three steps: find root causes, spread them to what depends on
// them, and fill the maps of the Set with the rest. Only root causes are
// findings; a broken Pool is one mistake, not one per Volume in it.
type assembly struct {
	objects []*object      // without duplicates, in the order of files
	index   map[ID]*object // the same
	// invalid is why an object cannot be acted on.
	invalid  map[ID]error
	findings []Finding
	// unreadable is true if some file could not be split into objects.
	unreadable bool
	dangling   int
}

// maxHints limits for how many references to undeclared objects a similar name is
// searched. If there are more, the cause is not a typing mistake, and comparing
// all names with all would take long.
const maxHints = 20

// assemble makes a Set of the objects. The objects have been judged by
// themselves: invalid has those that failed, and findings all that is wrong so
// far. secrets, if not nil, reads the password files that the Exports name.
func assemble(objects []*object, invalid map[ID]error, findings []Finding, secrets secretReader) Set {
	a := &assembly{index: make(map[ID]*object, len(objects)), invalid: maps.Clone(invalid), findings: slices.Clone(findings)}
	if a.invalid == nil {
		a.invalid = map[ID]error{}
	}
	a.unreadable = slices.ContainsFunc(findings, func(f Finding) bool { return f.Object == (ID{}) })
	a.collect(objects)

	a.checkPools()
	a.checkReferences()
	a.checkReverts()
	a.checkCycles()
	a.checkLogicalVolumes()
	a.checkSerials()
	a.checkTargets()
	a.checkImageFiles()
	a.checkRepositories()
	a.checkScheduledNames()
	a.checkWildcards()
	a.checkPortals()
	if secrets != nil {
		a.secrets(secrets)
	}
	a.checkHostKeys()
	a.invalidateDependants()
	return a.set()
}

// assembled is a Set with the objects and the password files that it was made of, so that
// it is not made anew in every pass: with many objects that is most of what an idle pass
// costs.
type assembled struct {
	objects []*object
	read    passwords
	set     Set
}

// next returns the Set of objects that are valid by themselves.
func (last assembled) next(objects []*object, read passwords, secrets secretReader) assembled {
	if len(objects) > 0 && slices.Equal(objects, last.objects) && read.equal(last.read) {
		return last
	}
	return assembled{objects, read, assemble(objects, nil, nil, secrets)}
}

// refuse records a finding and excludes the object.
func (a *assembly) refuse(o *object, path, format string, args ...any) {
	f := o.finding(path, fmt.Errorf(format, args...))
	a.findings = append(a.findings, f)
	a.invalidate(o.id, f)
}

// invalidate excludes an object. The first reason is kept.
func (a *assembly) invalidate(id ID, reason error) {
	if a.invalid[id] == nil {
		a.invalid[id] = reason
	}
}

// collect indexes the objects. Of several with one name, all are refused: nothing
// says which of them is meant.
func (a *assembly) collect(objects []*object) {
	for _, o := range objects {
		first, twice := a.index[o.id]
		if !twice {
			a.index[o.id] = o
			a.objects = append(a.objects, o)
			continue
		}
		a.refuse(o, "metadata.name", "%s is already declared at %s; neither is reconciled until one of them is removed or renamed",
			o.id, first.where("metadata.name"))
	}
	for id := range a.invalid {
		delete(a.index, id)
	}
	a.objects = slices.DeleteFunc(a.objects, func(o *object) bool { return a.invalid[o.id] != nil })
}

// checkPools refuses two Pools for the same space: they would both manage it.
func (a *assembly) checkPools() {
	type space struct{ vg, thinPool string }
	first := map[space]*object{}
	for o, p := range objectsOf[Pool](a) {
		s := space{vg: p.Spec.VolumeGroup}
		if p.Spec.ThinPool != nil {
			s.thinPool = p.Spec.ThinPool.Name
		}
		if other := claimFirst(first, s, o); other != nil {
			what := fmt.Sprintf("thick provisioning in volume group %s", s.vg)
			if s.thinPool != "" {
				what = fmt.Sprintf("thin pool %s/%s", s.vg, s.thinPool)
			}
			a.clash(o, other, "spec.volumeGroup", what)
		}
	}
}

// checkReferences refuses references to undeclared objects.
func (a *assembly) checkReferences() {
	for o, v := range objectsOf[Volume](a) {
		a.resolve(o, "spec.pool", ID{KindPool, v.Spec.Pool})
	}
	for o, s := range objectsOf[Snapshot](a) {
		origin := ID{KindVolume, s.Spec.Volume}
		if _, isVolume := a.index[origin]; !isVolume && a.isDeclared(ID{KindSnapshot, s.Spec.Volume}) && !a.isDeclared(origin) {
			a.refuse(o, "spec.volume", "Snapshot %s cannot be the origin: snapshots of snapshots are not supported; name a Volume", s.Spec.Volume)
			continue
		}
		a.resolve(o, "spec.volume", origin)
		if pool := a.poolOf(origin); pool != nil && pool.Spec.ThinPool != nil && s.Spec.Size != 0 {
			a.refuse(o, "spec.size", "only allowed for snapshots in thick pools, but %s is in the thin pool of Pool/%s, where a snapshot allocates space on demand; leave the field out",
				origin, pool.Metadata.Name)
		}
	}
	for o, e := range objectsOf[Export](a) {
		for i, lun := range e.Spec.LUNs {
			path := itemPath("spec.luns", i) + ".volume"
			if lun.Snapshot != "" {
				path = itemPath("spec.luns", i) + ".snapshot"
			}
			a.resolveLUN(o, path, lun.Backing())
		}
	}
	for o, i := range objectsOf[Image](a) {
		path := "spec.volume"
		if i.Spec.Snapshot != "" {
			path = "spec.snapshot"
		}
		a.resolve(o, path, i.Spec.Object())
	}
	a.checkBackupReferences()
}

// resolve refuses a reference to an undeclared object. A reference to an object
// that is declared but invalid is correct itself.
func (a *assembly) resolve(o *object, path string, to ID) {
	if a.isDeclared(to) || a.isScheduled(to) {
		return
	}
	a.dangling++
	a.refuse(o, path, "%s %s is not declared%s", to.Kind, quote(to.Name), a.hint(to))
}

// resolveLUN is resolve for a LUN. If an unreadable file may declare the LUN's object, that object is
// treated as invalid, and the Export keeps its other LUNs.
func (a *assembly) resolveLUN(o *object, path string, to ID) {
	if !a.unreadable || a.isDeclared(to) || a.isScheduled(to) {
		a.resolve(o, path, to)
		return
	}
	a.dangling++
	f := o.finding(path, fmt.Errorf("%s %s is not declared%s", to.Kind, quote(to.Name), a.hint(to)))
	a.findings = append(a.findings, f)
	a.invalidate(to, f)
}

// hint suggests what a reference to an undeclared object may have meant.
func (a *assembly) hint(to ID) string {
	hint := ""
	switch {
	case to.Kind == KindVolume && a.isDeclared(ID{KindSnapshot, to.Name}):
		hint = "; a Snapshot with this name is declared"
	case to.Kind == KindSnapshot && a.isDeclared(ID{KindVolume, to.Name}):
		hint = "; a Volume with this name is declared"
	case a.dangling <= maxHints:
		var names []string
		for id := range a.index {
			if id.Kind == to.Kind {
				names = append(names, id.Name)
			}
		}
		hint = suggest(to.Name, names)
	}
	if a.unreadable {
		hint += " (an unreadable file may declare it)"
	}
	return hint
}

// isDeclared reports whether any file declares the object, valid or not.
func (a *assembly) isDeclared(id ID) bool { return a.index[id] != nil || a.invalid[id] != nil }

// poolOf returns the Pool of a Volume, nil if the Volume or its Pool is not valid.
func (a *assembly) poolOf(volume ID) *Pool {
	if o := a.index[volume]; o != nil {
		if pool := a.index[ID{KindPool, o.value.(*Volume).Spec.Pool}]; pool != nil {
			return pool.value.(*Pool)
		}
	}
	return nil
}

// logicalVolume is the full name of a logical volume.
type logicalVolume struct{ vg, lv string }

// checkLogicalVolumes refuses two objects for one logical volume, and names too long
// for the device. If a Volume or Snapshot has the name of a thin pool, only the Volume
// or Snapshot is refused: the Pool is kept, with all objects in it.
func (a *assembly) checkLogicalVolumes() {
	first := map[logicalVolume]*object{}
	take := func(o *object, path string, lv logicalVolume) {
		if err := checkDeviceName(lv.vg, lv.lv); err != nil {
			a.refuse(o, path, "%w", err)
		}
		other := claimFirst(first, lv, o)
		switch {
		case other == nil:
		case other.id.Kind == KindPool:
			a.refuse(o, path, "%s/%s is already the thin pool of %s (%s); choose another name", lv.vg, lv.lv, other.id, other.where(""))
		default:
			a.clash(o, other, path, fmt.Sprintf("logical volume %s/%s", lv.vg, lv.lv))
		}
	}
	for o, p := range objectsOf[Pool](a) {
		// Two Pools with the same thin pool have been reported by now.
		if p.Spec.ThinPool != nil && a.invalid[o.id] == nil {
			take(o, "spec.thinPool.name", logicalVolume{p.Spec.VolumeGroup, p.Spec.ThinPool.Name})
		}
	}
	for o, v := range objectsOf[Volume](a) {
		if pool := a.poolOf(o.id); pool != nil {
			take(o, "spec.lvName", logicalVolume{pool.Spec.VolumeGroup, v.Spec.LVName})
		}
	}
	for o, s := range objectsOf[Snapshot](a) {
		if pool := a.poolOf(ID{KindVolume, s.Spec.Volume}); pool != nil {
			take(o, "metadata.name", logicalVolume{pool.Spec.VolumeGroup, s.Metadata.Name})
		}
	}
}

// checkImageFiles refuses two Images with one file.
func (a *assembly) checkImageFiles() {
	first := map[string]*object{}
	for o, i := range objectsOf[Image](a) {
		if other := claimFirst(first, i.Spec.Path, o); other != nil {
			a.clash(o, other, "spec.path", "file "+quote(i.Spec.Path))
		}
	}
}

// replace gives one of the objects another value, in this assembly alone.
func (a *assembly) replace(i int, value any) {
	o := a.objects[i]
	replaced := *o
	replaced.value = value
	a.objects[i] = &replaced
	if a.index[o.id] == o {
		a.index[o.id] = &replaced
	}
}

// secrets reads the passwords of all Exports and Repositories.
func (a *assembly) secrets(read secretReader) {
	for i, o := range a.objects {
		if len(o.secretFiles()) == 0 {
			continue
		}
		var filled any
		var findings []Finding
		switch v := o.value.(type) {
		case *Export:
			filled, findings = withSecrets(o, v, read)
		case *Repository:
			filled, findings = withRepositorySecrets(o, v, read)
		}
		if len(findings) > 0 {
			a.findings = append(a.findings, findings...)
			a.invalidate(o.id, findings[0])
			continue
		}
		a.replace(i, filled)
	}
}

// invalidateDependants excludes what depends on an invalid object. The kinds come in an
// order in which every object comes after what it depends on.
//
// Some objects are kept although they refer to an invalid one. An Export keeps its other
// LUNs. A Volume whose source is invalid, or the snapshot to revert it to, may have been
// filled or reverted already. An Image may have been written.
func (a *assembly) invalidateDependants() {
	depends := func(o *object, on ID) {
		if reason := a.invalid[on]; reason != nil {
			a.invalidate(o.id, fmt.Errorf("%s is invalid: %w", on, reason))
		}
	}
	for o, v := range objectsOf[Volume](a) {
		depends(o, ID{KindPool, v.Spec.Pool})
	}
	for o, s := range objectsOf[Snapshot](a) {
		depends(o, ID{KindVolume, s.Spec.Volume})
	}
}

// set fills the maps with what is left.
func (a *assembly) set() Set {
	count := map[Kind]int{}
	for id := range a.index {
		count[id.Kind]++
	}
	s := Set{
		Pools:     make(map[string]Pool, count[KindPool]),
		Volumes:   make(map[string]Volume, count[KindVolume]),
		Snapshots: make(map[string]Snapshot, count[KindSnapshot]),
		Exports:   make(map[string]Export, count[KindExport]),
		Images:    make(map[string]Image, count[KindImage]),

		Repositories: make(map[string]Repository, count[KindRepository]),
		Schedules:    make(map[string]SnapshotSchedule, count[KindSnapshotSchedule]),
		Backups:      make(map[string]Backup, count[KindBackup]),
		Invalid:      a.invalid, Findings: a.findings, Complete: len(a.findings) == 0,
	}
	sortFindings(s.Findings)
	for id, o := range a.index {
		if a.invalid[id] != nil {
			s.withhold(o)
			continue
		}
		switch v := o.value.(type) {
		case *Pool:
			s.Pools[id.Name] = *v
		case *Volume:
			s.Volumes[id.Name] = *v
		case *Snapshot:
			s.Snapshots[id.Name] = *v
		case *Export:
			s.Exports[id.Name] = *v
		case *Image:
			s.Images[id.Name] = *v
		case *Repository:
			s.Repositories[id.Name] = *v
		case *SnapshotSchedule:
			s.Schedules[id.Name] = *v
		case *Backup:
			s.Backups[id.Name] = *v
		}
	}
	return s
}

// withhold keeps the content of an Export that is excluded: other Exports are compared with it.
func (s *Set) withhold(o *object) {
	if e, is := o.value.(*Export); is {
		if s.Withheld == nil {
			s.Withheld = map[string]Export{}
		}
		s.Withheld[o.id.Name] = *e
	}
}

// clash refuses two objects that describe one thing on the node. The finding is at the
// second; the first is excluded as well. If one of them alone is from before the agent's
// start, only that object is excluded.
func (a *assembly) clash(o, other *object, path, what string) {
	if o.restored != other.restored {
		if other.restored {
			o, other = other, o
		}
		a.refuse(o, path, "%s is also declared by %s (%s); %s is not reconciled until its file can be read", what, other.id, other.where(path), o.id)
		return
	}
	a.refuse(o, path, "%s is also declared by %s (%s); neither is reconciled until one of them changes",
		what, other.id, other.where(path))
	a.invalidate(other.id, fmt.Errorf("%s is also declared by %s (%s)", what, o.id, o.where(path)))
}

// claimFirst records the first object with a key, and returns the earlier one if there is one.
func claimFirst[K comparable](first map[K]*object, key K, o *object) (before *object) {
	if before = first[key]; before == nil {
		first[key] = o
	}
	return before
}

// objectsOf yields the objects of one kind with their values, in the order of
// files, whether they have turned out to be invalid or not.
func objectsOf[T Pool | Volume | Snapshot | Export | Image | Repository | SnapshotSchedule | Backup](a *assembly) func(yield func(*object, *T) bool) {
	return func(yield func(*object, *T) bool) {
		for _, o := range a.objects {
			if v, ok := o.value.(*T); ok && !yield(o, v) {
				return
			}
		}
	}
}
