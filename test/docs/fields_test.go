package docs

import (
	"encoding"
	"reflect"
	"regexp"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// leaves are types that are described as one.
var leaves = []reflect.Type{reflect.TypeFor[spec.Credentials]()}

// fields returns the paths of the fields of a type that files may have.
func fields(t reflect.Type, path string) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t.Kind() == reflect.Slice:
		return fields(t.Elem(), path+"[]")
	case t.Kind() != reflect.Struct || slices.Contains(leaves, t) || reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return []string{path}
	}
	var paths []string
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ","); name != "" && name != "-" {
			paths = append(paths, fields(t.Field(i).Type, path+"."+name)...)
		}
	}
	return paths
}

// describes says whether a text has a row for a field: its own, one that it shares with a sibling,
// as in "| `spec.a.b`, `.c` |", or that of what it is in, if its text names it.
func describes(text, path string) bool {
	at := strings.LastIndex(path, ".")
	in, name := regexp.QuoteMeta(path[:at]), regexp.QuoteMeta(strings.TrimSuffix(path[at+1:], "[]"))
	return regexp.MustCompile(`(?m)^\| ([^|]*, )?\x60` + in + `\.` + name + `(\[\])?\x60[ ,]` +
		`|^\| \x60` + in + `\.\w+\x60, ([^|]*, )?\x60\.` + name + `\x60[ ,]` +
		`|^\| \x60` + in + `\x60 .*\x60` + name + `\x60`).MatchString(text)
}

var _ = Describe("The reference", func() {
	specs := map[string]reflect.Type{
		"Pool": reflect.TypeFor[spec.PoolSpec](), "Volume": reflect.TypeFor[spec.VolumeSpec](), "Snapshot": reflect.TypeFor[spec.SnapshotSpec](),
		"Export": reflect.TypeFor[spec.ExportSpec](), "Image": reflect.TypeFor[spec.ImageSpec](),
		"Repository": reflect.TypeFor[spec.RepositorySpec](), "SnapshotSchedule": reflect.TypeFor[spec.SnapshotScheduleSpec](),
		"Backup": reflect.TypeFor[spec.BackupSpec](),
	}
	for kind, t := range specs {
		It("has a row for each field of "+kind, func() {
			_, section, found := strings.Cut(read("docs/reference.md"), "\n## "+kind+"\n")
			Expect(found).To(BeTrue())
			section, _, _ = strings.Cut(section, "\n## ")
			paths := fields(t, "spec")
			Expect(len(paths)).To(BeNumerically(">", 2))
			for _, path := range paths {
				Expect(describes(section, path)).To(BeTrue(), path)
			}
		})
	}
	DescribeTable("names a field in a row", func(row, path string, want bool) {
		Expect(describes("text\n"+row+"\ntext `spec.b`", path)).To(Equal(want))
	},
		Entry(nil, "| `spec.a` | x |", "spec.a", true),
		Entry(nil, "| `spec.a` | x |", "spec.b", false),
		Entry(nil, "| `spec.a`, `spec.b` | x |", "spec.b", true),
		Entry(nil, "| `spec.a.b`, `.c` | x |", "spec.a.c", true),
		Entry(nil, "| `spec.a.b`, `.c` | x |", "spec.a.d", false),
		Entry(nil, "| `spec.a[]` | each a `b` or a `c` |", "spec.a[].c", true),
		Entry(nil, "| `spec.a[]` | each a `b` |", "spec.a[].c", false),
		Entry(nil, "| `spec.a[].b` | x |", "spec.a[].b[]", true),
	)
})
