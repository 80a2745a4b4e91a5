package specdoc

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

// compiled returns the schema, checked against the one that it names itself.
func compiled() *jsonschema.Schema {
	GinkgoHelper()
	text, err := Schema()
	Expect(err).NotTo(HaveOccurred())
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	Expect(err).NotTo(HaveOccurred())
	compiler := jsonschema.NewCompiler()
	Expect(compiler.AddResource("schema.json", parsed)).To(Succeed())
	s, err := compiler.Compile("schema.json")
	Expect(err).NotTo(HaveOccurred())
	return s
}

// asJSON returns the values of a YAML file's documents, as editors read them: a date is a text there.
func asJSON(text string) (documents []any, err error) {
	decoder := yaml.NewDecoder(strings.NewReader(text))
	for {
		var node yaml.Node
		if err := decoder.Decode(&node); errors.Is(err, io.EOF) {
			return documents, nil
		} else if err != nil {
			return nil, err
		}
		value, err := valueOf(&node)
		if err != nil {
			return nil, err
		}
		documents = append(documents, value)
	}
}

func valueOf(node *yaml.Node) (any, error) {
	switch node.Kind {
	case yaml.DocumentNode:
		return valueOf(node.Content[0])
	case yaml.MappingNode:
		object := map[string]any{}
		for i := 0; i < len(node.Content); i += 2 {
			value, err := valueOf(node.Content[i+1])
			if err != nil {
				return nil, err
			}
			object[node.Content[i].Value] = value
		}
		return object, nil
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range node.Content {
			value, err := valueOf(item)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		return list, nil
	default:
		if node.Tag == "!!str" || node.Tag == "!!timestamp" {
			return node.Value, nil
		}
		var value any
		if err := node.Decode(&value); err != nil {
			return nil, err
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		return jsonschema.UnmarshalJSON(bytes.NewReader(text))
	}
}

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// validTexts returns the specs of the examples and the documents, by where they are.
func validTexts() map[string]string {
	GinkgoHelper()
	texts := map[string]string{}
	Expect(filepath.WalkDir(filepath.Join(root, "examples/specs"), func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".yaml") {
			text, err := os.ReadFile(path)
			texts[path] = string(text)
			return err
		}
		return err
	})).To(Succeed())
	pages, err := filepath.Glob(filepath.Join(root, "docs/*.md"))
	Expect(err).NotTo(HaveOccurred())
	for _, page := range append(pages, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(page)
		Expect(err).NotTo(HaveOccurred())
		for _, block := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
			if !strings.HasPrefix(block[1], "# /etc/volreconciler/config.yaml\n") {
				texts[page+": "+block[1]] = block[1]
			}
		}
	}
	return texts
}

// valid is an object of each kind, to be broken.
const (
	aVolume = "{apiVersion: volreconciler/v1alpha1, kind: Volume, metadata: {name: a}, spec: {pool: fast, size: 1Gi"
	anExp   = "{apiVersion: volreconciler/v1alpha1, kind: Export, metadata: {name: a}, spec: {protocol: iscsi, luns: [{volume: db-data}]"
)

var _ = Describe("The schema", func() {
	It("is the one in docs/schema.json", func() {
		text, err := Schema()
		Expect(err).NotTo(HaveOccurred())
		expectContent("docs/schema.json", string(text))
	})
	It("accepts all examples, and all specs in documents", func() {
		s, texts := compiled(), validTexts()
		Expect(len(texts)).To(BeNumerically(">", 15))
		for at, text := range texts {
			documents, err := asJSON(text)
			Expect(err).NotTo(HaveOccurred(), at)
			for _, document := range documents {
				Expect(s.Validate(document)).To(Succeed(), at)
			}
		}
	})
	It("accepts the example of each field where it belongs", func() {
		s := compiled()
		for _, f := range everyField() {
			if f.Path == "" || f.Path == "metadata" || f.Path == "spec" {
				continue
			}
			var value any
			Expect(yaml.Unmarshal([]byte(f.Example), &value)).To(Succeed())
			object := exampleOf(f.Kind)
			set(object, f, value)
			if err := s.Validate(object); err != nil {
				// What else the field's surroundings require is missing.
				Expect(err.Error()).NotTo(ContainSubstring(pointer(f)+"'"), "%s: %v", f.PlainPath(), err)
			}
		}
	})
	DescribeTable("refuses what the parser refuses",
		func(text, finding string) {
			Expect(findingsIn(text)).To(ContainElement(ContainSubstring(finding)))
			documents, err := asJSON(text)
			Expect(err).NotTo(HaveOccurred())
			Expect(compiled().Validate(documents[0])).NotTo(Succeed())
		},
		Entry("a kind that there is not", "{apiVersion: volreconciler/v1alpha1, kind: Disk, metadata: {name: a}, spec: {}}", "not a known kind"),
		Entry("a kind in another case", "{apiVersion: volreconciler/v1alpha1, kind: volume, metadata: {name: a}, spec: {}}", "not a known kind"),
		Entry("no kind", "{apiVersion: volreconciler/v1alpha1, metadata: {name: a}, spec: {}}", "kind: is missing"),
		Entry("no version", "{kind: Pool, metadata: {name: a}, spec: {volumeGroup: vg0}}", "apiVersion: is missing"),
		Entry("another version", "{apiVersion: v1, kind: Pool, metadata: {name: a}, spec: {volumeGroup: vg0}}", "apiVersion"),
		Entry("no metadata", "{apiVersion: volreconciler/v1alpha1, kind: Pool, spec: {volumeGroup: vg0}}", "metadata: is missing"),
		Entry("no name", "{apiVersion: volreconciler/v1alpha1, kind: Pool, metadata: {}, spec: {volumeGroup: vg0}}", "metadata.name: is missing"),
		Entry("a status", aVolume+"}, status: {}}", `unknown field "status"`),
		Entry("an unknown field", aVolume+", sice: 2Gi}}", `unknown field "sice"`),
		Entry("an unknown field far below", aVolume+", source: {image: {path: /a, fromat: raw}}}}", `unknown field "fromat"`),
		Entry("an unknown field of a list", anExp+", initiators: [{name: iqn.2000-01.a.b, read: true}]}}", `unknown field "read"`),
		Entry("an unknown attribute", anExp+`, attributes: {queue_dept: "1"}}}`, "unknown attribute"),
		Entry("an attribute that is a number", anExp+`, attributes: {queue_depth: 1}}}`, "must be a string"),
		Entry("an attribute with another value", anExp+`, attributes: {emulate_caw: "2"}}}`, "is not allowed"),
		Entry("an unknown annotation of ours", strings.Replace(aVolume, "{name: a}", "{name: a, annotations: {volreconciler/reconcil: suspended}}", 1)+"}}", "unknown annotation"),
		Entry("an annotation of ours with another value", strings.Replace(aVolume, "{name: a}", "{name: a, annotations: {volreconciler/reconcile: 'no'}}", 1)+"}}", "is not allowed"),
		Entry("a label that is a number", strings.Replace(aVolume, "{name: a}", "{name: a, labels: {a: 1}}", 1)+"}}", "must be a string"),
		Entry("a name in upper case", strings.Replace(aVolume, "{name: a}", "{name: A}", 1)+"}}", "lower-case"),
		Entry("a size without a known unit", strings.Replace(aVolume, "1Gi", "1GB", 1)+"}}", "not a size"),
		Entry("a size with a fraction", strings.Replace(aVolume, "1Gi", "1.5Gi", 1)+"}}", "fraction"),
		Entry("a size of nothing", strings.Replace(aVolume, "1Gi", "0", 1)+"}}", "greater than zero"),
		Entry("a negative size", strings.Replace(aVolume, "1Gi", "-1", 1)+"}}", "negative"),
		Entry("a percentage of a volume", strings.Replace(aVolume, "1Gi", "50%", 1)+"}}", "not a size"),
		Entry("no size", strings.Replace(aVolume, ", size: 1Gi", "", 1)+"}}", "spec.size: is missing"),
		Entry("a value that is empty", aVolume+", lvName: ''}}", "is empty"),
		Entry("no value", aVolume+", lvName: }}", "has no value"),
		Entry("a policy that there is not", aVolume+", deletionPolicy: Keep}}", "not a valid deletion policy"),
		Entry("a truth in quotes", aVolume+", adopt: 'true'}}", "must be true or false"),
		Entry("a text for a mapping", aVolume+", source: db}}", "must be a mapping"),
		Entry("two sources", aVolume+", source: {volume: b, snapshot: c}}}", "one source"),
		Entry("no source", aVolume+", source: {}}}", "is empty"),
		Entry("a block size", aVolume+", source: {image: {path: /a, blockSize: 1024}}}}", "is not allowed"),
		Entry("a checksum that is short", aVolume+", source: {image: {path: /a, sha256: abc}}}}", "SHA-256"),
		Entry("no request", aVolume+", revert: {snapshot: a}}}", "spec.revert.request: is missing"),
		Entry("a duration without a unit", "{apiVersion: volreconciler/v1alpha1, kind: Pool, metadata: {name: a}, spec: {volumeGroup: vg0, trash: '24'}}", "no unit"),
		Entry("a duration in days", "{apiVersion: volreconciler/v1alpha1, kind: Pool, metadata: {name: a}, spec: {volumeGroup: vg0, trash: 1d}}", "a day is 24h"),
		Entry("a thin pool of all", "{apiVersion: volreconciler/v1alpha1, kind: Pool, metadata: {name: a}, spec: {volumeGroup: vg0, thinPool: {size: 96%}}}", "too much"),
		Entry("a protocol that there is not", strings.Replace(anExp, "iscsi", "nfs", 1)+"}}", "not a valid protocol"),
		Entry("a mapping for a list", strings.Replace(anExp, "[{volume: db-data}]", "{volume: db-data}", 1)+"}}", "must be a list"),
		Entry("no LUNs", strings.Replace(anExp, "[{volume: db-data}]", "[]", 1)+"}}", "is empty"),
		Entry("a LUN of nothing", strings.Replace(anExp, "[{volume: db-data}]", "[{lun: 1}]", 1)+"}}", "neither volume nor snapshot"),
		Entry("a LUN that is too large", strings.Replace(anExp, "{volume: db-data}", "{volume: db-data, lun: 256}", 1)+"}}", "out of range"),
		Entry("a LUN with a fraction", strings.Replace(anExp, "{volume: db-data}", "{volume: db-data, lun: 1.5}", 1)+"}}", "whole decimal number"),
		Entry("a portal by name", anExp+", portals: ['host:3260']}}", "not a portal"),
		Entry("an initiator without a known name", anExp+", initiators: [{name: host1}]}}", "not an initiator name"),
		Entry("a password in the spec", anExp+", initiators: [{name: iqn.2000-01.a.b, auth: {chap: {username: a, password: b}}}]}}", "unknown field"),
		Entry("a list for an object", "[]", ""),
	)
})

// pointer returns the JSON pointer of a field in the examples.
func pointer(f *Field) string {
	path := strings.ReplaceAll(strings.TrimSuffix(f.Path, "[]"), "[]", ".0")
	if at := strings.TrimSuffix(path, f.Name); strings.Contains(f.Name, "/") {
		return strings.ReplaceAll("."+at, ".", "/") + strings.ReplaceAll(f.Name, "/", "~1")
	}
	return strings.ReplaceAll("."+path, ".", "/")
}
