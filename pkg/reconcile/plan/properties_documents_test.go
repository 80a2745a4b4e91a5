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
	for _, id := range slices.SortedFunc(maps.Keys(docs), spec.CompareIDs) {
		d := docs[id]
		switch id.Kind {
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
			d.fields = maps.Clone(d.fields)
			d.fields["luns"] = slices.DeleteFunc(slices.Clone(d.fields["luns"].([]any)), func(l any) bool {
				lun := l.(map[string]any)
				_, volume := docs[VolumeID(fmt.Sprint(lun["volume"]))]
				_, snapshot := docs[SnapshotID(fmt.Sprint(lun["snapshot"]))]
				return !volume && !snapshot
			})
			docs[id] = d
			if len(d.fields["luns"].([]any)) == 0 {
				delete(docs, id)
			}
		case spec.KindImage:
			_, volume := docs[VolumeID(fmt.Sprint(d.fields["volume"]))]
			_, snapshot := docs[SnapshotID(fmt.Sprint(d.fields["snapshot"]))]
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
	for _, id := range slices.SortedFunc(maps.Keys(docs), spec.CompareIDs) {
		list = append(list, docs[id])
	}
	return list
}
