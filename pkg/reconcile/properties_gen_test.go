package reconcile

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// What fails is to become a plain spec, so no files are left behind, unless a flag
// on the command line asks for them.
var _ = flag.Set("rapid.nofailfile", "true")

// The cases are the same every time, so that a change is judged by itself. Search
// for new ones with -rapid.seed=0, which is random.
var _ = flag.Set("rapid.seed", "1")

// scenario is a node with a past: it was brought to an earlier spec, then things
// happened to it by hand and by accident, then the spec was edited.
type scenario struct {
	*model
	input Input
	// documents are the objects of the present spec, as JSON, and broken is
	// text that cannot be read beside them; empty: none.
	documents []document
	broken    string
}

// document is one object as a file says it.
type document struct {
	id     spec.ID
	meta   map[string]any
	fields map[string]any
}

func (d document) text() string {
	out, err := json.Marshal(map[string]any{
		"apiVersion": spec.APIVersion, "kind": d.id.Kind, "metadata": d.meta, "spec": d.fields,
	})
	if err != nil {
		panic(err)
	}
	return string(out)
}

// pick draws one of several, of which the first is the simplest. Naming one more
// than once makes it more likely.
func pick[T any](t *rapid.T, what string, choices ...T) T {
	return rapid.SampledFrom(choices).Draw(t, what)
}

// oneIn draws true once in n times.
func oneIn(t *rapid.T, n int, what string) bool {
	return rapid.IntRange(0, n-1).Draw(t, what) == n-1
}

var (
	poolNames     = []string{"p0", "p1", "p2", "p3"}
	volumeNames   = []string{"a", "b", "c", "d"}
	snapshotNames = []string{"s", "t", "u"}
	exportNames   = []string{"e", "f"}
	imageNames    = []string{"g", "h"}
	groupNames    = []string{"vg0", "vg1", "vg2"}
	initiators    = []string{"iqn.1993-08.org.debian:01:i", "iqn.1993-08.org.debian:01:j", "iqn.1993-08.org.debian:01:k"}
	portals       = []string{"0.0.0.0:3260", "10.0.0.1:3261", "[::1]:3262"}
	iqns          = []string{spec.DefaultTargetPrefix + ":e", spec.DefaultTargetPrefix + ":f", "iqn.2026-11.org.example:x"}
	policies      = []string{"Delete", "Delete", "Delete", "Retain"}
	noon          = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
)

func universe() []spec.ID {
	var ids []spec.ID
	for kind, names := range map[spec.Kind][]string{
		spec.KindPool: poolNames, spec.KindVolume: volumeNames, spec.KindSnapshot: snapshotNames, spec.KindExport: exportNames,
		spec.KindImage: imageNames,
	} {
		for _, name := range names {
			ids = append(ids, spec.ID{Kind: kind, Name: name})
		}
	}
	slices.SortFunc(ids, compareIDs)
	return ids
}

// genDocument draws an object. Names are few, so that objects meet.
func genDocument(t *rapid.T, id spec.ID) document {
	d := document{id: id, meta: map[string]any{"name": id.Name}, fields: map[string]any{}}
	if notes := genAnnotations(t); len(notes) > 0 {
		d.meta["annotations"] = notes
	}
	switch id.Kind {
	case spec.KindPool:
		genPool(t, d)
	case spec.KindVolume:
		d.fields["pool"] = pick(t, "pool", poolNames...)
		d.fields["size"] = pick(t, "size", "8Mi", "10Mi", "16Mi")
		d.fields["deletionPolicy"] = pick(t, "policy", policies...)
		if oneIn(t, 5, "lvName given") {
			d.fields["lvName"] = pick(t, "lvName", "a", "b", "x", "y", "s")
		}
		if oneIn(t, 4, "adopt") {
			d.fields["adopt"] = true
		}
	case spec.KindSnapshot:
		d.fields["volume"] = pick(t, "volume", volumeNames...)
		d.fields["deletionPolicy"] = pick(t, "policy", policies...)
		if oneIn(t, 2, "size given") {
			d.fields["size"] = pick(t, "size", "4Mi", "8Mi", "64Mi")
		}
	case spec.KindExport:
		genExport(t, d)
	case spec.KindImage:
		d.fields["path"], d.fields["format"] = imagePath(id.Name), pick(t, "format", "qcow2", "raw")
		if oneIn(t, 2, "of a snapshot") {
			d.fields["snapshot"] = pick(t, "snapshot", snapshotNames...)
		} else {
			d.fields["volume"] = pick(t, "volume", volumeNames...)
		}
	}
	return d
}

func imagePath(name string) string { return "/srv/" + name }

func genAnnotations(t *rapid.T) map[string]any {
	switch rapid.IntRange(0, 15).Draw(t, "annotation") {
	case 14:
		return map[string]any{spec.AnnotationReconcile: "suspended"}
	case 15:
		return map[string]any{spec.AnnotationRecreate: fmt.Sprintf("uuid-%d", rapid.IntRange(1, 9).Draw(t, "recreate"))}
	default:
		return nil
	}
}

func genPool(t *rapid.T, d document) {
	usual := map[string]string{"p0": "vg0", "p1": "vg0", "p2": "vg1", "p3": "vg2"}
	d.fields["volumeGroup"] = usual[d.id.Name]
	if oneIn(t, 12, "other group") {
		d.fields["volumeGroup"] = pick(t, "group", groupNames...)
	}
	if d.id.Name == "p0" || d.id.Name == "p2" && oneIn(t, 2, "thin") {
		d.fields["thinPool"] = map[string]any{"name": pick(t, "thin pool", "pool", "pool", "pool", "x"), "size": pick(t, "pool size", "1Gi", "40%", "2Gi")}
	}
	if trash := pick(t, "trash", "0s", "0s", "1h", "24h", ""); trash != "" {
		d.fields["trash"] = trash
	}
}

func genExport(t *rapid.T, d document) {
	d.fields["protocol"] = "iscsi"
	if oneIn(t, 5, "target given") {
		d.fields["target"] = pick(t, "target", iqns...)
	}
	if chosen := rapid.SliceOfNDistinct(rapid.SampledFrom(portals), 0, 2, rapid.ID).Draw(t, "portals"); len(chosen) > 0 {
		d.fields["portals"] = chosen
	}
	if oneIn(t, 3, "disconnect") {
		d.fields["disconnect"] = "Force"
	}
	anybody, allReadOnly := oneIn(t, 4, "allowAnyInitiator"), oneIn(t, 3, "all read only")
	backings := append(slices.Clone(volumeNames), snapshotNames...)
	var luns []any
	for i, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(backings), 1, 3, rapid.ID).Draw(t, "luns") {
		lun := map[string]any{"volume": name}
		if slices.Contains(snapshotNames, name) {
			lun = map[string]any{"snapshot": name}
		}
		if oneIn(t, 3, "number given") {
			lun["lun"] = 2*i + rapid.IntRange(0, 1).Draw(t, "number")
		} else {
			lun["lun"] = 2 * i
		}
		if allReadOnly || !anybody && oneIn(t, 4, "read only") {
			lun["readOnly"] = true
		}
		luns = append(luns, lun)
	}
	d.fields["luns"] = luns
	if anybody {
		d.fields["allowAnyInitiator"] = true
		return
	}
	var listed []any
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(initiators), 0, 2, rapid.ID).Draw(t, "initiators") {
		i := map[string]any{"name": name}
		if oneIn(t, 4, "initiator read only") {
			i["readOnly"] = true
		}
		if auth := genAuth(t); auth != nil {
			i["auth"] = auth
		}
		listed = append(listed, i)
	}
	d.fields["initiators"] = listed
}

func genAuth(t *rapid.T) map[string]any {
	credentials := func(what string) map[string]any {
		return map[string]any{"username": pick(t, what, "u", "v"), "passwordFrom": map[string]any{"file": "/secrets/" + pick(t, what, "1", "2") + what}}
	}
	switch rapid.IntRange(0, 3).Draw(t, "auth") {
	case 0:
		return nil
	case 3:
		return map[string]any{"chap": credentials("chap"), "mutual": credentials("mutual")}
	default:
		return map[string]any{"chap": credentials("chap")}
	}
}

// genDocuments draws a spec: as it was, or a new one.
func genDocuments(t *rapid.T, before map[spec.ID]document) map[spec.ID]document {
	docs := map[spec.ID]document{}
	for _, id := range universe() {
		old, had := before[id]
		likely := 2
		if id.Kind == spec.KindPool {
			likely = 6
		}
		switch {
		case had && !oneIn(t, 4, "edited"):
			docs[id] = old
		case had && id.Kind == spec.KindPool && !oneIn(t, 4, "pool gone"):
			docs[id] = genDocument(t, id)
		case rapid.IntRange(0, likely).Draw(t, "there") > 0:
			docs[id] = genDocument(t, id)
		}
	}
	if !oneIn(t, 6, "untidy") {
		tidy(docs)
	}
	return docs
}

// tidy takes out what refers to nothing, so that most specs are free of
// findings.
func tidy(docs map[spec.ID]document) {
	maps.DeleteFunc(docs, func(id spec.ID, d document) bool {
		_, there := docs[spec.ID{Kind: spec.KindPool, Name: fmt.Sprint(d.fields["pool"])}]
		return id.Kind == spec.KindVolume && !there
	})
	for _, id := range sortedIDs(docs) {
		d := docs[id]
		switch id.Kind {
		case spec.KindSnapshot:
			volume, there := docs[volumeID(fmt.Sprint(d.fields["volume"]))]
			if !there {
				delete(docs, id)
				continue
			}
			if pool := docs[spec.ID{Kind: spec.KindPool, Name: fmt.Sprint(volume.fields["pool"])}]; pool.fields["thinPool"] != nil {
				d.fields = maps.Clone(d.fields)
				delete(d.fields, "size")
				docs[id] = d
			}
		case spec.KindExport:
			d.fields = maps.Clone(d.fields)
			d.fields["luns"] = slices.DeleteFunc(slices.Clone(d.fields["luns"].([]any)), func(l any) bool {
				lun := l.(map[string]any)
				_, volume := docs[volumeID(fmt.Sprint(lun["volume"]))]
				_, snapshot := docs[snapshotID(fmt.Sprint(lun["snapshot"]))]
				return !volume && !snapshot
			})
			docs[id] = d
			if len(d.fields["luns"].([]any)) == 0 {
				delete(docs, id)
			}
		case spec.KindImage:
			_, volume := docs[volumeID(fmt.Sprint(d.fields["volume"]))]
			_, snapshot := docs[snapshotID(fmt.Sprint(d.fields["snapshot"]))]
			if !volume && !snapshot {
				delete(docs, id)
			}
		case spec.KindPool, spec.KindVolume:
		}
	}
}

// load reads documents as the agent does, each in the file that it is dealt to.
func load(dir string, files [][]document, broken string) spec.Set {
	var paths []string
	for i, docs := range files {
		var texts []string
		for _, d := range docs {
			texts = append(texts, d.text())
		}
		paths = append(paths, write(dir, fmt.Sprintf("%d.yaml", i), strings.Join(texts, "\n---\n")+"\n"))
	}
	if broken != "" {
		paths = append(paths, write(dir, "broken.yaml", broken))
	}
	set := spec.LoadPaths(paths, "")
	for name, e := range set.Exports {
		for _, i := range e.Spec.Initiators {
			if i.Auth != nil {
				fillIn(i.Auth.CHAP)
				fillIn(i.Auth.Mutual)
			}
		}
		set.Exports[name] = e
	}
	return set
}

func fillIn(c *spec.Credentials) {
	if c != nil {
		c.Password = spec.NewSecret("password" + c.PasswordFrom.File)
	}
}

func write(dir, name, text string) string {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		panic(err)
	}
	return path
}

func inOrder(docs map[spec.ID]document) []document {
	var list []document
	for _, id := range sortedIDs(docs) {
		list = append(list, docs[id])
	}
	return list
}

// properties runs a property on scenarios.
func properties(t *testing.T, property func(t *rapid.T, s scenario)) {
	t.Helper()
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) { property(t, genScenario(t, dir)) })
}

func genScenario(t *rapid.T, dir string) scenario {
	past := genDocuments(t, nil)
	s := scenario{model: newModel(), input: Input{Known: map[spec.ID]Identity{}, Started: noon.Add(-time.Hour), Now: noon, Elapsed: time.Hour, MaxDeletions: 100}}
	for _, name := range groupNames[1:] {
		s.state.VolumeGroups[name] = observe.VolumeGroup{
			Name: name, UUID: name + "-uuid", ExtentSize: 4 * mib, Size: 10240 * mib, Free: 10240 * mib,
			LogicalVolumes: map[string]observe.LogicalVolume{},
		}
	}
	for _, name := range imageNames {
		s.state.ImageFiles[imagePath(name)] = observe.ImageFile{}
	}
	if !oneIn(t, 6, "no past") {
		s.input.Desired = load(dir, [][]document{inOrder(past)}, "")
		s.input.Desired.Complete = true
		converge(t, s.model, s.input)
		s.input.Known = learn(map[spec.ID]Identity{}, s.input.Desired, s.copy())
	}
	for range rapid.IntRange(0, 6).Draw(t, "mutations") {
		s.mutate(t)
		s.consistent()
	}
	docs := genDocuments(t, past)
	if oneIn(t, 12, "an object is invalid") && len(docs) > 0 {
		id := pick(t, "which", sortedIDs(docs)...)
		d := docs[id]
		d.fields = maps.Clone(d.fields)
		d.fields["bogus"] = 1
		docs[id] = d
	}
	if oneIn(t, 12, "a file is broken") {
		s.broken = "apiVersion: [\n"
	}
	s.documents = inOrder(docs)
	s.input.Desired = load(dir, [][]document{s.documents}, s.broken)
	s.genTimes(t)
	s.genMemory(t)
	s.genUnknown(t)
	s.input.Observed = s.copy()
	return s
}

func (s *scenario) genTimes(t *rapid.T) {
	in := &s.input
	in.Started = noon.Add(-pick(t, "uptime", time.Hour, 0, time.Minute, 48*time.Hour))
	in.Elapsed = max(0, in.Now.Sub(in.Started)+pick(t, "clock set by", 0, 0, -26*time.Hour, 26*time.Hour))
	in.Grace = pick(t, "grace", 0, 30*time.Second, 30*time.Second, 90*time.Minute)
	in.TrashSettle = pick(t, "settle", 0, 10*time.Minute, 2*time.Hour)
	in.MaxDeletions = pick(t, "max deletions", 100, 100, 10, 3, 1, 0)
	in.LastNamed = map[spec.ID]time.Time{}
	for _, id := range universe() {
		if age := pick(t, "last named", -1, -1, 0, 10*time.Minute, 25*time.Hour); age >= 0 {
			in.LastNamed[id] = in.Now.Add(-age)
		}
	}
}

// genMemory spoils what is remembered.
func (s *scenario) genMemory(t *rapid.T) {
	known := map[spec.ID]Identity{}
	maps.Copy(known, s.input.Known)
	switch pick(t, "memory", "right", "right", "right", "lost", "wrong") {
	case "lost":
		known = map[spec.ID]Identity{}
	case "wrong":
		for _, id := range universe() {
			if id.Kind == spec.KindImage {
				continue // nothing is remembered of one
			}
			switch pick(t, "identity", "", "", "gone", "other", "retain") {
			case "gone":
				delete(known, id)
			case "other":
				if id.Kind == spec.KindExport {
					known[id] = Identity{Targets: []string{pick(t, "remembered target", iqns...)}, Force: oneIn(t, 2, "force")}
				} else {
					known[id] = Identity{UUID: fmt.Sprintf("uuid-%d", rapid.IntRange(1, 9).Draw(t, "uuid")), VolumeGroup: pick(t, "remembered group", groupNames...)}
				}
			case "retain":
				if k, ok := known[id]; ok && id.Kind != spec.KindExport {
					k.Retain = true
					known[id] = k
				}
			}
		}
	}
	s.input.Known = known
}

// genUnknown hides parts of the machine.
func (s *scenario) genUnknown(t *rapid.T) {
	switch rapid.IntRange(0, 20).Draw(t, "hidden") {
	case 16:
		s.state.Unknown = map[observe.System]error{observe.LVM: errors.New("hidden")}
		s.state.VolumeGroups = map[string]observe.VolumeGroup{}
	case 17:
		s.state.Unknown = map[observe.System]error{observe.LIO: errors.New("hidden")}
		s.state.LIO = observe.Targets{}
	case 18:
		s.state.UnknownGroups = errors.New("hidden")
		delete(s.state.VolumeGroups, pick(t, "group", groupNames...))
	case 19:
		delete(s.state.VolumeGroups, pick(t, "group", groupNames...))
	case 20:
		s.missing(pick(t, "group", groupNames...), oneIn(t, 2, "partial"))
	}
}

// missing takes a physical volume away.
func (s *scenario) missing(group string, partial bool) {
	vg := s.state.VolumeGroups[group]
	vg.MissingPVs = 1
	for name, lv := range vg.LogicalVolumes {
		if partial && !lv.Active {
			lv.Health = observe.HealthPartial
			vg.LogicalVolumes[name] = lv
		}
	}
	s.state.VolumeGroups[group] = vg
}

// allLVs returns the logical volumes in an order that stays.
func (m *model) allLVs() []observe.LogicalVolume {
	var all []observe.LogicalVolume
	for _, vg := range sorted(m.state.VolumeGroups) {
		for _, name := range sorted(m.lvs(vg)) {
			all = append(all, m.lvs(vg)[name])
		}
	}
	return all
}

// consistent makes the kernel's side of a mutated model follow from the rest.
func (m *model) consistent() {
	for _, lv := range m.allLVs() {
		bound := slices.ContainsFunc(slices.Collect(maps.Values(m.state.LIO.Backstores)), func(b observe.Backstore) bool { return boundTo(b, lv) })
		m.edit(lv.FullName(), func(lv *observe.LogicalVolume) {
			lv.Open = bound || len(lv.HeldBy) > 0
			lv.Active = lv.Active || lv.Open
		})
	}
	for _, lv := range m.allLVs() {
		if lv.Type != observe.ThickSnapshot {
			continue
		}
		origin, there := m.lvs(lv.VolumeGroup)[lv.Origin]
		if !there { // it went with its origin
			continue
		}
		active := lv.Active || origin.Active
		m.edit(lv.FullName(), func(lv *observe.LogicalVolume) { lv.Active = active })
		m.edit(origin.FullName(), func(lv *observe.LogicalVolume) { lv.Active = active })
	}
	for _, lv := range m.allLVs() {
		if lv.Type == observe.ThickSnapshot {
			active := m.lvs(lv.VolumeGroup)[lv.Origin].Active
			m.edit(lv.FullName(), func(lv *observe.LogicalVolume) { lv.Active = active })
		}
	}
}

// mutate does one thing to the machine that the agent did not do.
func (s *scenario) mutate(t *rapid.T) {
	switch pick(t, "mutation", "lv", "lv", "lv", "target", "target", "target", "backstore", "group", "reboot", "image") {
	case "lv":
		if all := s.allLVs(); len(all) > 0 {
			s.mutateLV(t, rapid.SampledFrom(all).Draw(t, "lv"))
		}
	case "target":
		if all := sorted(s.state.LIO.ISCSI); len(all) > 0 && !oneIn(t, 6, "foreign target") {
			s.mutateTarget(t, rapid.SampledFrom(all).Draw(t, "target"))
		} else {
			s.foreignTarget(t)
		}
	case "backstore":
		s.mutateBackstore(t)
	case "group":
		s.foreignLV(t)
	case "image":
		s.state.ImageFiles[imagePath(pick(t, "image", imageNames...))] = pick(t, "file",
			observe.ImageFile{}, observe.ImageFile{NoDirectory: true}, observe.ImageFile{Exists: true, Size: 1},
			observe.ImageFile{Exists: true, Size: 1, SHA256: "0f0f"}, observe.ImageFile{Err: errors.New("no answer")})
	case "reboot":
		s.state.LIO = newModel().state.LIO
		for _, lv := range s.allLVs() {
			s.edit(lv.FullName(), func(lv *observe.LogicalVolume) { lv.Active, lv.HeldBy = lv.Active && !oneIn(t, 2, "inactive"), nil })
		}
	}
}

func genDeletedTag(t *rapid.T) string {
	age := pick(t, "deleted", 0, 30*time.Minute, 25*time.Hour, 72*time.Hour, -time.Hour)
	if oneIn(t, 6, "malformed") {
		return observe.TagDeleted + pick(t, "text", "", "yesterday", "2026")
	}
	return observe.DeletedTag(noon.Add(-age))
}

func (s *scenario) mutateLV(t *rapid.T, lv observe.LogicalVolume) {
	leaf := lv.Type != observe.ThinPool && len(s.withThickSnapshots(nameOf(lv))) == 1
	edit := func(f func(*observe.LogicalVolume)) { s.edit(lv.FullName(), f) }
	switch pick(t, "to the lv", "deleted", "deleted", "tag gone", "tags gone", "other owner", "policy", "inactive", "held", "renamed",
		"other uuid", "gone", "overflow", "read only", "size", "copy", "full", "snapshot") {
	case "deleted":
		tag := genDeletedTag(t)
		edit(func(lv *observe.LogicalVolume) { lv.Tags = append(slices.Clone(lv.Tags), tag) })
	case "tag gone":
		if len(lv.Tags) > 0 {
			n := rapid.IntRange(0, len(lv.Tags)-1).Draw(t, "tag")
			edit(func(lv *observe.LogicalVolume) { lv.Tags = slices.Delete(slices.Clone(lv.Tags), n, n+1) })
		}
	case "tags gone":
		edit(func(lv *observe.LogicalVolume) { lv.Tags = nil })
	case "other owner":
		id := rapid.SampledFrom(universe()).Draw(t, "owner")
		edit(func(lv *observe.LogicalVolume) {
			lv.Tags = append(observe.OwnerTags(id), observe.DeletionTag(spec.Delete))
		})
	case "policy":
		tag := observe.DeletionTag(spec.DeletionPolicy(pick(t, "policy", "Delete", "Retain")))
		edit(func(lv *observe.LogicalVolume) { lv.Tags = append(slices.Clone(lv.Tags), tag) })
	case "inactive":
		edit(func(lv *observe.LogicalVolume) { lv.Active = false })
	case "held":
		if !lv.Open {
			edit(func(lv *observe.LogicalVolume) { lv.HeldBy = []string{"mounted on /mnt"} })
		}
	case "renamed":
		to := pick(t, "name", "x", "y", "a", "z")
		if _, taken := s.lvs(lv.VolumeGroup)[to]; leaf && !taken {
			delete(s.lvs(lv.VolumeGroup), lv.Name)
			for name, other := range s.lvs(lv.VolumeGroup) {
				if other.Origin == lv.Name {
					other.Origin = to
					s.lvs(lv.VolumeGroup)[name] = other
				}
			}
			lv.Name = to
			s.lvs(lv.VolumeGroup)[to] = lv
		}
	case "other uuid":
		s.uuids++
		uuid := fmt.Sprintf("uuid-%d", s.uuids)
		edit(func(lv *observe.LogicalVolume) { lv.UUID = uuid })
	case "gone":
		if leaf && !lv.Open {
			delete(s.lvs(lv.VolumeGroup), lv.Name)
		}
	case "overflow":
		if lv.Type == observe.ThickSnapshot {
			edit(func(lv *observe.LogicalVolume) { lv.SnapshotInvalid = true })
		}
	case "read only":
		edit(func(lv *observe.LogicalVolume) { lv.ReadOnly = true })
	case "size":
		size := pick(t, "size", 4*mib, 12*mib, 64*mib)
		edit(func(lv *observe.LogicalVolume) { lv.Size = uint64(size) })
	case "copy":
		group, name := pick(t, "group", groupNames...), pick(t, "name", "copy", "a", "b", "s")
		if _, taken := s.lvs(group)[name]; !taken {
			s.add(observe.LogicalVolume{VolumeGroup: group, Name: name, Type: observe.Thick, Size: lv.Size, Tags: lv.Tags, Active: true})
		}
	case "full":
		edit(func(lv *observe.LogicalVolume) { lv.DataPercent = 100 })
	case "snapshot":
		_, taken := s.lvs(lv.VolumeGroup)["mine"]
		if lv.Type == observe.Thick && !taken {
			s.add(observe.LogicalVolume{VolumeGroup: lv.VolumeGroup, Name: "mine", Type: observe.ThickSnapshot, Origin: lv.Name, Size: lv.Size, COWSize: 4 * mib, Active: true})
		}
	}
}

func (s *scenario) foreignLV(t *rapid.T) {
	group := pick(t, "group", groupNames...)
	name := pick(t, "name", "a", "b", "s", "x", "pool", "root")
	if _, taken := s.lvs(group)[name]; taken {
		return
	}
	lv := observe.LogicalVolume{VolumeGroup: group, Name: name, Type: observe.Thick, Size: 8 * mib, Active: true}
	lv.Type = pick(t, "type", observe.Thick, observe.Thick, observe.OtherLV, observe.ThinPool)
	lv.Tags = pick(t, "tags", nil, []string{"backup"}, observe.OwnerTags(volumeID("gone")))
	if oneIn(t, 4, "held") {
		lv.HeldBy = []string{"mounted on /"}
	}
	s.add(lv)
}

func (s *scenario) foreignTarget(t *rapid.T) {
	name := pick(t, "iqn", append(slices.Clone(iqns), "iqn.2026-11.org.example:other")...)
	if _, taken := s.state.LIO.ISCSI[name]; taken {
		return
	}
	target := observe.Target{
		Fabric: observe.ISCSI, Name: name, Portals: map[string]observe.Transport{}, LUNs: map[int]observe.TargetLUN{}, ACLs: map[string]observe.ACL{},
		HasTPG: !oneIn(t, 3, "no portal group"), Enabled: false,
	}
	target.OtherTPGs = pick(t, "other groups", 0, 0, 1)
	if target.HasTPG {
		target.Alias = pick(t, "alias", "", "LIO Target", "theirs", observe.Alias("gone"), observe.Alias("e"))
		target.Attrib = genAttrib(t)
		if target.Enabled = oneIn(t, 2, "enabled"); target.Enabled {
			target.Portals[portals[0]] = observe.TCP
			if all := s.linkable(); len(all) > 0 {
				target.LUNs[0] = observe.TargetLUN{Backstore: rapid.SampledFrom(all).Draw(t, "backstore")}
			}
		}
	}
	s.state.LIO.ISCSI[name] = target
}

func genAttrib(t *rapid.T) observe.TPGAttrib {
	return observe.TPGAttrib{
		Authentication: !oneIn(t, 2, "authentication"), GenerateNodeACLs: oneIn(t, 2, "generate"), CacheDynamicACLs: oneIn(t, 2, "cache"),
		DemoModeWriteProtect: !oneIn(t, 2, "protect"), DemoModeDiscovery: oneIn(t, 2, "discovery"),
	}
}

// linkable are the backstores that the kernel lets anybody link.
func (m *model) linkable() []string {
	all := sorted(m.state.LIO.Backstores)
	return slices.DeleteFunc(all, func(path string) bool { return !m.state.LIO.Backstores[path].Enabled })
}

func (m *model) linked(path string) bool {
	for _, target := range m.state.LIO.ISCSI {
		for _, l := range target.LUNs {
			if l.Backstore == path {
				return true
			}
		}
	}
	return false
}

func (s *scenario) mutateBackstore(t *rapid.T) {
	all := sorted(s.state.LIO.Backstores)
	if len(all) == 0 || oneIn(t, 4, "foreign backstore") {
		for _, lv := range s.allLVs() {
			if lv.Active && !lv.Open && lv.Type != observe.ThinPool && oneIn(t, 3, "backstore on it") {
				b := observe.Backstore{HBA: "iblock_0", Name: "theirs-" + lv.UUID, Enabled: true, BlockDevice: fmt.Sprintf("dm-%d", lv.Minor), Device: lv.Path(), Serial: "theirs"}
				s.state.LIO.Backstores[b.Path()] = b
				return
			}
		}
		return
	}
	path := rapid.SampledFrom(all).Draw(t, "backstore")
	b := s.state.LIO.Backstores[path]
	switch pick(t, "to the backstore", "not enabled", "serial", "unmap", "cannot unmap", "read only", "unlinked leftover") {
	case "not enabled":
		if s.linked(path) {
			return
		}
		b.Enabled, b.BlockDevice, b.Serial, b.Device = false, "", "", ""
	case "serial":
		b.Serial = "other"
	case "unmap":
		b.Unmap = !b.Unmap && b.CanUnmap
	case "cannot unmap":
		b.CanUnmap, b.Unmap = false, false
	case "read only":
		b.ReadOnly = !b.ReadOnly
	case "unlinked leftover":
		for _, target := range s.state.LIO.ISCSI {
			maps.DeleteFunc(target.LUNs, func(_ int, l observe.TargetLUN) bool { return l.Backstore == path })
			for _, acl := range target.ACLs {
				maps.DeleteFunc(acl.LUNs, func(_ int, l observe.MappedLUN) bool { _, there := target.LUNs[l.LUN]; return l.LUN >= 0 && !there })
			}
		}
	}
	s.state.LIO.Backstores[path] = b
}

func (s *scenario) mutateTarget(t *rapid.T, iqn string) {
	s.editTarget(iqn, func(target *observe.Target) {
		switch pick(t, "to the target", "acl", "acl", "acl", "lun", "lun", "session", "session", "disabled", "attributes", "no portal", "portal", "alias", "other group", "shell") {
		case "acl":
			if target.HasTPG {
				s.mutateACL(t, target)
			}
		case "lun":
			s.mutateLUN(t, target)
		case "session":
			if !target.Enabled {
				return
			}
			if target.Attrib.GenerateNodeACLs || len(target.ACLs) == 0 || oneIn(t, 4, "dynamic") {
				name := pick(t, "initiator", initiators...)
				if _, listed := target.ACLs[name]; !listed && !slices.Contains(target.DynamicSessions, name) {
					target.DynamicSessions = append(slices.Clone(target.DynamicSessions), name)
				}
				return
			}
			for _, name := range sorted(target.ACLs) {
				acl := target.ACLs[name]
				acl.LoggedIn = !oneIn(t, 3, "logged out")
				target.ACLs[name] = acl
			}
		case "disabled":
			target.Enabled, target.DynamicSessions = false, nil
			for name, acl := range target.ACLs {
				acl.LoggedIn = false
				target.ACLs[name] = acl
			}
		case "attributes":
			target.Attrib = genAttrib(t)
		case "no portal":
			clear(target.Portals)
		case "portal":
			target.Portals[pick(t, "portal", portals...)] = observe.TCP
		case "alias":
			target.Alias = pick(t, "alias", observe.Alias("e"), observe.Alias("f"), observe.Alias("gone"), "theirs")
		case "other group":
			target.OtherTPGs = 1
		case "shell":
			*target = observe.Target{Fabric: observe.ISCSI, Name: target.Name, Portals: map[string]observe.Transport{}, LUNs: map[int]observe.TargetLUN{}, ACLs: map[string]observe.ACL{}}
			if target.HasTPG = oneIn(t, 2, "portal group"); target.HasTPG {
				target.Alias = pick(t, "alias", "LIO Target", observe.Alias("e"), observe.Alias("f"))
			}
		}
	})
}

func (s *scenario) mutateACL(t *rapid.T, target *observe.Target) {
	name := pick(t, "initiator", initiators...)
	acl, there := target.ACLs[name]
	if !there {
		acl = observe.ACL{Initiator: name, LUNs: map[int]observe.MappedLUN{}}
		target.DynamicSessions = slices.DeleteFunc(slices.Clone(target.DynamicSessions), func(other string) bool { return other == name })
	}
	switch pick(t, "to the acl", "authentication", "password", "mapped", "mapped", "unmapped", "gone", "write protect", "unlinked") {
	case "authentication":
		acl.Authentication = pick(t, "authentication", "0", "1", "-1")
	case "password":
		acl.Auth = pick(t, "password", observe.CHAP{}, observe.CHAP{Username: "u", Password: spec.NewSecret("other")})
	case "mapped":
		if all := sortedInts(target.LUNs); len(all) > 0 {
			acl.LUNs[rapid.IntRange(0, 5).Draw(t, "number")] = observe.MappedLUN{LUN: rapid.SampledFrom(all).Draw(t, "lun")}
		}
	case "unmapped":
		clear(acl.LUNs)
	case "gone":
		delete(target.ACLs, name)
		return
	case "write protect":
		for n, l := range acl.LUNs {
			l.WriteProtect = !l.WriteProtect
			acl.LUNs[n] = l
		}
	case "unlinked":
		acl.LUNs[rapid.IntRange(0, 5).Draw(t, "number")] = observe.MappedLUN{LUN: -1}
	}
	target.ACLs[name] = acl
}

func (s *scenario) mutateLUN(t *rapid.T, target *observe.Target) {
	if !target.HasTPG {
		return
	}
	n := rapid.IntRange(0, 5).Draw(t, "number")
	for _, acl := range target.ACLs {
		maps.DeleteFunc(acl.LUNs, func(_ int, l observe.MappedLUN) bool { return l.LUN == n })
	}
	switch all := s.linkable(); {
	case oneIn(t, 3, "gone"):
		delete(target.LUNs, n)
	case oneIn(t, 3, "unlinked") || len(all) == 0:
		target.LUNs[n] = observe.TargetLUN{}
	default:
		target.LUNs[n] = observe.TargetLUN{Backstore: rapid.SampledFrom(all).Draw(t, "backstore")}
	}
}

// errRefused is what the kernel says of a device that somebody else holds. No
// plan can know of it: it is tried again.
var errRefused = errors.New("device or resource busy")

// try makes a change as the machine would. What a plan must never contain
// panics.
func (m *model) try(c change.Change) error {
	if create, ok := c.(change.CreateBackstore); ok {
		for _, lv := range m.allLVs() {
			if lv.Path() == create.Device && len(lv.HeldBy) > 0 {
				return errRefused
			}
		}
	}
	m.change(c)
	return nil
}

// execute applies a plan as the executor may: lane beside lane, in an order that
// next draws from the number of lanes that can go on, and until it says that
// the machine stops (-1). Those that fail says fail, like those that the machine
// refuses. It returns how many steps succeeded.
func execute(t *rapid.T, m *model, p Plan, next func(lanes int) int, fails func(StepID) bool, after func()) int {
	t.Logf("plan:\n%s", strings.Join(changes(p), "\n"))
	lanes, outcome, succeeded := map[string][]Step{}, map[StepID]bool{}, 0
	for _, s := range p.Steps {
		lanes[s.Change.Lane()] = append(lanes[s.Change.Lane()], s)
	}
	for len(lanes) > 0 {
		var ready []string
		for _, lane := range sorted(lanes) {
			waits := func(n StepID) bool { _, known := outcome[n]; return !known }
			if !slices.ContainsFunc(lanes[lane][0].Needs, waits) {
				ready = append(ready, lane)
			}
		}
		if len(ready) == 0 {
			t.Fatalf("no step can begin:\n%s", strings.Join(changes(p), "\n"))
		}
		i := next(len(ready))
		if i < 0 {
			break
		}
		s := lanes[ready[i]][0]
		if lanes[ready[i]] = lanes[ready[i]][1:]; len(lanes[ready[i]]) == 0 {
			delete(lanes, ready[i])
		}
		failed := func(n StepID) bool { return !outcome[n] }
		outcome[s.ID] = !slices.ContainsFunc(s.Needs, failed) && !fails(s.ID) && m.try(s.Change) == nil
		if outcome[s.ID] {
			succeeded++
			after()
		}
	}
	return succeeded
}

func never(StepID) bool { return false }

// pass observes, learns and plans.
func pass(m *model, in *Input) Plan {
	in.Observed = m.copy()
	in.Known = learn(in.Known, in.Desired, in.Observed)
	return Diff(*in)
}

// converge passes until there is nothing to do but what the machine refuses.
func converge(t *rapid.T, m *model, in Input) {
	var last Plan
	for range 8 {
		last = pass(m, &in)
		if last.Empty() || execute(t, m, last, func(int) int { return 0 }, never, func() {}) == 0 {
			return
		}
	}
	t.Fatalf("plans go on and on:\n%s", strings.Join(changes(pass(m, &in)), "\n"))
}

// again returns the node as it was when the scenario began.
func (s scenario) again() *model {
	original := model{state: s.input.Observed}
	return &model{state: original.copy(), uuids: s.uuids}
}
