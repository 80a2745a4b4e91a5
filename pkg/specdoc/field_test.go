package specdoc

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// everyField returns the fields of all kinds.
func everyField() (all []*Field) {
	for _, kind := range Kinds() {
		all = append(all, Of(kind).All()...)
	}
	return all
}

var (
	endOfSentence = regexp.MustCompile(`[.?!]( |$)`)
	allowedList   = regexp.MustCompile(`\(allowed: ([^)]*)\)`)
)

var _ = Describe("The documentation of fields", func() {
	It("has a meaning of one to three sentences and an example for each field", func() {
		Expect(len(everyField())).To(BeNumerically(">", 100))
		for _, f := range everyField() {
			at := f.PlainPath()
			Expect(len(endOfSentence.FindAllString(f.Meaning, -1))).To(And(BeNumerically(">=", 1), BeNumerically("<=", 3)), at)
			Expect(f.Meaning).To(HaveSuffix("."), at)
			Expect(f.Example).NotTo(BeEmpty(), at)
			Expect(f.Type).NotTo(BeEmpty(), at)
			Expect(strings.Count(f.Meaning+f.Default+f.Allowed(), "`")%2).To(BeZero(), at)
		}
	})
	It("says what a missing field means", func() {
		for _, f := range everyField() {
			optional := !f.Required && f.Among == nil && strings.HasPrefix(f.Path, "spec.") && f.Name != "username"
			if optional {
				Expect(f.Default).NotTo(BeEmpty(), f.PlainPath())
			} else {
				Expect(f.Default).To(BeEmpty(), f.PlainPath())
			}
		}
	})
	It("has nothing else", func() {
		for _, kind := range Kinds() {
			texts, _ := textsOf(kind)
			maps.Copy(texts, metadataDocs(kind))
			for _, f := range Of(kind).All() {
				delete(texts, f.Path)
			}
			Expect(slices.Collect(maps.Keys(texts))).To(BeEmpty(), string(kind))
		}
	})
	It("describes the attributes that there are", func() {
		Expect(slices.Sorted(maps.Keys(attributeMeanings))).To(Equal(slices.Sorted(maps.Keys(spec.Attributes))))
	})
	It("names fields and headings that exist", func() {
		reference := read("docs/reference.md")
		for _, f := range everyField() {
			if f.See != "" {
				Expect(reference).To(MatchRegexp(`(?m)^#+ `+regexp.QuoteMeta(f.See)+"$"), f.PlainPath())
			}
			for _, name := range f.OneOf {
				Expect(f.field(name)).NotTo(BeNil(), "%s of %s", name, f.PlainPath())
			}
		}
	})
	It("lists the values that the parser lists", func() {
		seen := 0
		for _, f := range everyField() {
			if f.Values == nil || f.Values.Enum == nil && f.Values.Numbers == nil || strings.Contains(f.Name, "/") {
				continue
			}
			want := slices.Clone(f.Values.Enum)
			for _, n := range f.Values.Numbers {
				want = append(want, fmt.Sprint(n))
			}
			if f.Name == "kind" {
				for _, kind := range Kinds() {
					want = append(want, string(kind))
				}
				want = want[1:]
			}
			Expect(allowedBy(f)).To(ConsistOf(want), f.PlainPath())
			seen++
		}
		Expect(seen).To(BeNumerically(">", 25))
	})
	It("has examples that are valid together", func() {
		dir := GinkgoT().TempDir()
		for _, kind := range Kinds() {
			Expect(os.WriteFile(filepath.Join(dir, string(kind)+".yaml"), []byte(Of(kind).Example), 0o600)).To(Succeed())
		}
		Expect(spec.LoadPaths([]string{dir}, "").Findings).To(BeEmpty())
	})
})

// allowedBy returns the values that the parser lists when a field has another one.
func allowedBy(f *Field) []string {
	GinkgoHelper()
	object := exampleOf(f.Kind)
	wrong := any("no-such-value")
	if f.Type == Integer {
		wrong = 777
	}
	set(object, f, wrong)
	for _, finding := range findings(object) {
		if list := allowedList.FindStringSubmatch(finding); list != nil {
			separator := ", "
			if strings.Contains(list[1], "; ") || strings.Contains(f.Path, "Digest") {
				separator = "; "
			}
			return strings.Split(list[1], separator)
		}
		if f.Name == "apiVersion" {
			return regexp.MustCompile(`volreconciler/v\w+`).FindAllString(finding, 1)
		}
	}
	Fail("the parser accepts " + f.PlainPath() + ": no-such-value, or lists no values")
	return nil
}
