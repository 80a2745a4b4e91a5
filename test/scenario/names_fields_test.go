package scenario_test

import (
	"encoding"
	"reflect"
	"regexp"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"gopkg.in/yaml.v3"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// objectsOfAllKinds use every field that takes a text, by the mechanism below.
const objectsOfAllKinds = `
apiVersion: volreconciler/v1alpha1
kind: Pool
metadata: {name: fast}
spec: {volumeGroup: vg0, thinPool: {name: pool0, size: 1Gi}}
---
apiVersion: volreconciler/v1alpha1
kind: Volume
metadata: {name: data}
spec: {pool: fast, size: 64Mi}
---
apiVersion: volreconciler/v1alpha1
kind: Snapshot
metadata: {name: snap}
spec: {volume: data}
---
apiVersion: volreconciler/v1alpha1
kind: Export
metadata: {name: out}
spec:
  protocol: iscsi
  luns: [{volume: data}, {snapshot: snap}]
  initiators:
    - name: iqn.1993-08.org.debian:01:a
      auth:
        chap: {username: u, passwordFrom: {file: /etc/volreconciler/secrets/one}}
        mutual: {username: t, passwordFrom: {file: /etc/volreconciler/secrets/two}}
---
apiVersion: volreconciler/v1alpha1
kind: Image
metadata: {name: golden}
spec: {volume: data, path: /srv/golden.qcow2, format: qcow2}
`

// references are the fields in which objects name others, by the kind named.
var references = map[string][]field{
	"Pool":     {{"Volume", "spec.pool"}},
	"Volume":   {{"Snapshot", "spec.volume"}, {"Export", "spec.luns[0].volume"}, {"Image", "spec.volume"}},
	"Snapshot": {{"Export", "spec.luns[1].snapshot"}},
}

// derived are the fields that have their value, or its limits, from another one:
// what is wrong may be found there.
var derived = map[string][]string{
	"metadata.name":    {"spec.lvName", "spec.thinPool.name", "spec.target"},
	"spec.volumeGroup": {"spec.lvName", "spec.thinPool.name", "metadata.name"},
}

// repositoryOff is declared where another field names it.
const repositoryOff = `apiVersion: volreconciler/v1alpha1
kind: Repository
metadata: {name: off}
spec: {restic: {url: /off, passwordFrom: {file: /etc/volreconciler/secrets/restic}}}
`

// beside are fields that do not stand alone, with what stands beside them.
var beside = map[string][][2]string{
	"spec.revert.request":           {{"spec.revert.snapshot", "snap"}},
	"spec.revert.snapshot":          {{"spec.revert.request", "once"}},
	"spec.revert.backup.repository": {{"spec.revert.request", "once"}, {"spec.revert.backup.volume", "db"}, {"spec.revert.backup.at", "latest"}},
	"spec.revert.backup.volume":     {{"spec.revert.request", "once"}, {"spec.revert.backup.repository", "off"}, {"spec.revert.backup.at", "latest"}},
	"spec.revert.backup.at":         {{"spec.revert.request", "once"}, {"spec.revert.backup.repository", "off"}, {"spec.revert.backup.volume", "db"}},
	"spec.source.backup.repository": {{"spec.source.backup.volume", "db"}, {"spec.source.backup.at", "latest"}},
	"spec.source.backup.volume":     {{"spec.source.backup.repository", "off"}, {"spec.source.backup.at", "latest"}},
	"spec.source.backup.at":         {{"spec.source.backup.repository", "off"}, {"spec.source.backup.volume", "db"}},
	"spec.source.image.sha256":      {{"spec.source.image.path", "/srv/none"}},
	"spec.source.image.format":      {{"spec.source.image.path", "/srv/none"}},
}

// field is one that takes a text. Of a map of texts, [key] stands for the keys.
type field struct{ kind, path string }

// textFields are all fields of all kinds that take a text, as the types say: a
// new one is tried as well.
func textFields() []field {
	fields := []field{}
	for _, object := range []any{spec.Pool{}, spec.Volume{}, spec.Snapshot{}, spec.Export{}, spec.Image{}} {
		t := reflect.TypeOf(object)
		fields = append(fields, field{t.Name(), "apiVersion"}, field{t.Name(), "kind"})
		fields = append(fields, fieldsBelow(t.Name(), "", t)...)
	}
	return fields
}

func fieldsBelow(kind, at string, t reflect.Type) []field {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return []field{{kind, at}}
	}
	var fields []field
	switch t.Kind() {
	case reflect.Pointer:
		return fieldsBelow(kind, at, t.Elem())
	case reflect.String:
		return []field{{kind, at}}
	case reflect.Slice:
		// A LUN is a volume or a snapshot: the second item of the list.
		if t == reflect.TypeFor[[]spec.LUN]() {
			return []field{{kind, at + "[0].volume"}, {kind, at + "[1].snapshot"}}
		}
		return fieldsBelow(kind, at+"[0]", t.Elem())
	case reflect.Map:
		fields = []field{{kind, at + "[key]"}, {kind, at + ".free"}}
		if strings.HasSuffix(at, "annotations") {
			for _, key := range []string{spec.AnnotationReconcile, spec.AnnotationRecreate, spec.AnnotationAllowDeletions} {
				fields = append(fields, field{kind, at + "." + key})
			}
		}
		return fields
	case reflect.Struct:
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
			if name != "-" {
				fields = append(fields, fieldsBelow(kind, strings.TrimPrefix(at+"."+name, "."), t.Field(i).Type)...)
			}
		}
	default: // numbers and the like take no text
	}
	return fields
}

// tooLong reports whether the names of snapshots that are made to copy from are too
// long for LVM with a text, so that what needs one fails.
func (f field) tooLong(text string) bool { return f.path == "spec.volumeGroup" && len(text) > 100 }

// absent reports whether what a field names is never there, so that its object
// waits.
func (f field) absent() bool {
	return strings.HasPrefix(f.path, "spec.source.") || strings.HasPrefix(f.path, "spec.revert.backup.")
}

// free reports whether a field's texts mean nothing to the agent, so that they
// are tried together, and once for all kinds.
func (f field) free() bool {
	return strings.HasSuffix(f.path, "[key]") || strings.HasSuffix(f.path, ".free")
}

// documents are the objects with a field set, and what names the object with it.
// Several values are of several keys.
func documents(f field, values ...string) []byte {
	GinkgoHelper()
	decoder := yaml.NewDecoder(strings.NewReader(objectsOfAllKinds))
	var text strings.Builder
	encoder := yaml.NewEncoder(&text)
	for range 5 {
		var d yaml.Node
		Expect(decoder.Decode(&d)).To(Succeed())
		kind := child(d.Content[0], "kind").Value
		for i, value := range values {
			at := f.path
			if i > 0 && strings.HasSuffix(at, ".free") {
				at += string([]rune{rune('a' + i/26), rune('a' + i%26)})
			}
			// A file that has them in all five kinds would be larger than is read.
			if kind == f.kind || f.free() && len(values) > 1 && kind != "Image" {
				set(d.Content[0], at, value)
			}
		}
		if kind == f.kind {
			for _, other := range beside[f.path] {
				set(d.Content[0], other[0], other[1])
			}
		}
		for _, r := range references[f.kind] {
			if f.path == "metadata.name" && r.kind == kind {
				set(d.Content[0], r.path, values[0])
			}
		}
		if kind == "Pool" && f == (field{"Snapshot", "spec.size"}) {
			drop(child(d.Content[0], "spec"), "thinPool")
		}
		if kind == "Image" && f == (field{"Image", "spec.snapshot"}) {
			drop(child(d.Content[0], "spec"), "volume")
		}
		Expect(encoder.Encode(&d)).To(Succeed())
	}
	Expect(encoder.Close()).To(Succeed())
	if strings.HasPrefix(f.path, "spec.revert.backup.") {
		text.WriteString("---\n" + repositoryOff)
	}
	return []byte(text.String())
}

// set sets the field at a path below a node, and makes what is missing on the way.
func set(n *yaml.Node, at, value string) {
	GinkgoHelper()
	for at != "" {
		step := regexp.MustCompile(`^\.?(volreconciler/[a-z-]+|[A-Za-z][A-Za-z0-9]*)|^\[(\d+|key)\]`).FindStringSubmatch(at)
		Expect(step).NotTo(BeNil(), at)
		at = at[len(step[0]):]
		switch name := step[1]; {
		case step[2] == "key":
			n.Kind, n.Tag = yaml.MappingNode, "!!map"
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value, Style: yaml.DoubleQuotedStyle},
				&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "x"})
			return
		case name == "":
			if n.Kind != yaml.SequenceNode {
				n.Kind, n.Tag, n.Content = yaml.SequenceNode, "!!seq", []*yaml.Node{{Kind: yaml.MappingNode}}
			}
			n = n.Content[int(step[2][0]-'0')]
		default:
			if child(n, name) == nil {
				n.Kind, n.Tag = yaml.MappingNode, "!!map"
				n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}, &yaml.Node{Kind: yaml.MappingNode})
			}
			n = child(n, name)
		}
	}
	*n = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value, Style: yaml.DoubleQuotedStyle}
}

func child(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func drop(n *yaml.Node, key string) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			n.Content = slices.Delete(n.Content, i, i+2)
			return
		}
	}
}
