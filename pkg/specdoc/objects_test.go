package specdoc

import (
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"gopkg.in/yaml.v3"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// document is an object as YAML has it.
type document = map[string]any

// exampleOf returns the example of a kind.
func exampleOf(kind spec.Kind) (object document) {
	GinkgoHelper()
	Expect(yaml.Unmarshal([]byte(Of(kind).Example), &object)).To(Succeed())
	return object
}

// set sets a field of an object. Fields around it that are missing are made, without what else they require.
func set(object document, f *Field, value any) {
	at := object
	named := strings.ReplaceAll(f.Path, "."+AnyKey+".", ".A_KEY.")
	path := strings.Split(plainPath(strings.TrimSuffix(named, "[]")), ".")
	for i, name := range path[:len(path)-1] {
		inner, is := at[name].(document)
		if list, isList := at[name].([]any); isList {
			inner, is = list[0].(document)
		}
		if !is {
			inner = document{}
			at[name] = inner
			if around, err := Find(f.Kind, strings.Join(path[:i+1], ".")); err == nil && around.List {
				at[name] = []any{inner}
			}
		}
		at = inner
	}
	at[path[len(path)-1]] = value
}

// around are the objects that the examples refer to.
const around = `apiVersion: volreconciler/v1alpha1
kind: Pool
metadata: {name: fast}
spec: {volumeGroup: vg7}
---
apiVersion: volreconciler/v1alpha1
kind: Volume
metadata: {name: db-data}
spec: {pool: fast, size: 20Gi, lvName: around}
---
apiVersion: volreconciler/v1alpha1
kind: Snapshot
metadata: {name: db-before-upgrade}
spec: {volume: db-data}
---
apiVersion: volreconciler/v1alpha1
kind: Pool
metadata: {name: slow}
spec: {volumeGroup: vg8}
---
apiVersion: volreconciler/v1alpha1
kind: Repository
metadata: {name: offsite}
spec: {restic: {url: /srv/around, passwordFrom: {file: /etc/around}}}
`

// findings returns what the parser finds in an object, beside those that it refers to.
func findings(object any) []string {
	GinkgoHelper()
	text, err := yaml.Marshal(object)
	Expect(err).NotTo(HaveOccurred())
	return findingsIn(string(text))
}

// findingsIn returns what the parser finds in a text.
func findingsIn(text string) (found []string) {
	GinkgoHelper()
	dir, err := os.MkdirTemp("", "specdoc")
	Expect(err).NotTo(HaveOccurred())
	defer func() { Expect(os.RemoveAll(dir)).To(Succeed()) }()
	file, other := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "around.yaml")
	Expect(os.WriteFile(file, []byte(text), 0o600)).To(Succeed())
	Expect(os.WriteFile(other, []byte(around), 0o600)).To(Succeed())
	for _, f := range spec.LoadPaths([]string{file, other}, "").Findings {
		if f.File == file && !strings.Contains(f.Error(), "is also declared") {
			found = append(found, f.Error())
		}
	}
	return found
}
