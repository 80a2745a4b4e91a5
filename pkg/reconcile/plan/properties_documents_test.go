package plan_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pgregory.net/rapid"

	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

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

// genDocument draws an object. Names are few, so that objects meet.
func genDocument(t *rapid.T, id spec.ID) document {
	d := document{id: id, meta: map[string]any{"name": id.Name}, fields: map[string]any{}}
	if notes := genAnnotations(t); len(notes) > 0 {
		d.meta["annotations"] = notes
	}
	switch id.Kind {
	case spec.KindRepository, spec.KindSnapshotSchedule, spec.KindBackup: // see properties_schedules_test.go
	case spec.KindPool:
		genPool(t, d)
	case spec.KindVolume:
		d.fields["pool"] = pick(t, "pool", poolNames...)
		d.fields["size"] = pick(t, "size", "8Mi", "10Mi", "16Mi")
		d.fields["deletionPolicy"] = pick(t, "policy", policies...)
		if oneIn(t, 8, "lvName given") {
			d.fields["lvName"] = pick(t, "lvName", "a", "b", "x", "y", "s")
		}
		genContent(t, d)
	case spec.KindSnapshot:
		d.fields["volume"] = pick(t, "volume", volumeNames...)
		d.fields["deletionPolicy"] = pick(t, "policy", policies...)
		if oneIn(t, 2, "size given") {
			d.fields["size"] = pick(t, "size", "4Mi", "8Mi", "64Mi")
		}
	case spec.KindExport:
		genExport(t, d, genProtocol(t))
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

// genContent draws what a Volume is made of, or reverted to.
func genContent(t *rapid.T, d document) {
	switch pick(t, "content", "", "", "", "", "adopt", "adopt", "volume", "snapshot", "image", "revert", "revert") {
	case "adopt":
		d.fields["adopt"] = true
	case "volume":
		d.fields["source"] = map[string]any{"volume": pick(t, "source", volumeNames...)}
	case "snapshot":
		d.fields["source"] = map[string]any{"snapshot": pick(t, "source", snapshotNames...)}
	case "image":
		d.fields["source"] = map[string]any{"image": map[string]any{"path": "/srv/image.raw"}}
	case "revert":
		d.fields["revert"] = map[string]any{"snapshot": pick(t, "to", snapshotNames...), "request": pick(t, "request", "once", "twice")}
	}
}

// editVolume moves a Volume, or reverts it, or changes something else of it.
func editVolume(t *rapid.T, old document) document {
	d, other := document{id: old.id, meta: old.meta, fields: maps.Clone(old.fields)}, genDocument(t, old.id)
	switch field := pick(t, "edit", "pool", "pool", "pool", "revert", "revert", "size", "deletionPolicy"); field {
	case "revert":
		d.fields["revert"] = map[string]any{"snapshot": pick(t, "to", snapshotNames...), "request": pick(t, "request", "once", "twice")}
	default:
		d.fields[field] = other.fields[field]
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
	if oneIn(t, 20, "other group") {
		d.fields["volumeGroup"] = pick(t, "group", groupNames...)
	}
	if d.id.Name == "p0" || d.id.Name == "p2" && oneIn(t, 2, "thin") {
		d.fields["thinPool"] = map[string]any{"name": pick(t, "thin pool", "pool", "pool", "pool", "x"), "size": pick(t, "pool size", "1Gi", "40%", "2Gi")}
	}
	if trash := pick(t, "trash", "0s", "0s", "1h", "24h", ""); trash != "" {
		d.fields["trash"] = trash
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
		case had && id.Kind == spec.KindExport && !oneIn(t, 3, "other export"):
			docs[id] = editExport(t, old)
		case had && id.Kind == spec.KindVolume && !oneIn(t, 3, "other volume"):
			docs[id] = editVolume(t, old)
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
	for _, id := range slices.SortedFunc(maps.Keys(docs), spec.CompareIDs) {
		d := docs[id]
		switch id.Kind {
		case spec.KindRepository, spec.KindSnapshotSchedule, spec.KindBackup:
		case spec.KindSnapshot:
			volume, there := docs[VolumeID(fmt.Sprint(d.fields["volume"]))]
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
			tidyExport(docs, d)
		case spec.KindImage:
			_, volume := docs[VolumeID(fmt.Sprint(d.fields["volume"]))]
			_, snapshot := docs[SnapshotID(fmt.Sprint(d.fields["snapshot"]))]
			if !volume && !snapshot {
				delete(docs, id)
			}
		case spec.KindPool, spec.KindVolume:
		}
	}
	for _, name := range volumeNames {
		if d, there := docs[VolumeID(name)]; there {
			tidyContent(docs, d)
		}
	}
}

// tidyExport takes the LUNs out whose objects are not there, and what initiators are to see of
// them.
func tidyExport(docs map[spec.ID]document, d document) {
	d.fields = maps.Clone(d.fields)
	there := map[any]bool{}
	luns := slices.DeleteFunc(slices.Clone(d.fields["luns"].([]any)), func(l any) bool {
		lun := l.(map[string]any)
		_, volume := docs[VolumeID(fmt.Sprint(lun["volume"]))]
		_, snapshot := docs[SnapshotID(fmt.Sprint(lun["snapshot"]))]
		there[lun["lun"]] = there[lun["lun"]] || volume || snapshot
		return !volume && !snapshot
	})
	d.fields["luns"] = luns
	if initiators, listed := d.fields["initiators"].([]any); listed {
		d.fields["initiators"] = slices.DeleteFunc(slices.Clone(initiators), func(i any) bool {
			sees, some := i.(map[string]any)["luns"].([]any)
			return some && !there[sees[0]]
		})
	}
	if docs[d.id] = d; len(luns) == 0 {
		delete(docs, d.id)
	}
}

// tidyContent has a Volume be reverted to a Snapshot of it, and made of what is there and is
// not made of it.
func tidyContent(docs map[spec.ID]document, d document) {
	d.fields = maps.Clone(d.fields)
	if revert, asked := d.fields["revert"].(map[string]any); asked {
		own := slices.DeleteFunc(slices.Clone(snapshotNames), func(name string) bool {
			s, there := docs[SnapshotID(name)]
			return !there || s.fields["volume"] != d.id.Name
		})
		switch {
		case len(own) == 0:
			delete(d.fields, "revert")
		case !slices.Contains(own, revert["snapshot"].(string)):
			d.fields["revert"] = map[string]any{"snapshot": own[0], "request": revert["request"]}
		}
	}
	if source, asked := d.fields["source"].(map[string]any); asked {
		_, volume := docs[VolumeID(fmt.Sprint(source["volume"]))]
		_, snapshot := docs[SnapshotID(fmt.Sprint(source["snapshot"]))]
		if source["image"] == nil && !volume && !snapshot || isMadeOf(docs, d.id, d.id) {
			delete(d.fields, "source")
		}
	}
	docs[d.id] = d
}

// isMadeOf reports whether a Volume is made of another one, directly or not.
func isMadeOf(docs map[spec.ID]document, id, of spec.ID) bool {
	for range len(volumeNames) {
		source, _ := docs[id].fields["source"].(map[string]any)
		name := source["volume"]
		if s, asked := source["snapshot"]; asked {
			name = docs[SnapshotID(fmt.Sprint(s))].fields["volume"]
		}
		if id = VolumeID(fmt.Sprint(name)); id == of {
			return true
		}
	}
	return false
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
	for _, id := range slices.SortedFunc(maps.Keys(docs), spec.CompareIDs) {
		list = append(list, docs[id])
	}
	return list
}
