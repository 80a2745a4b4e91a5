package change_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
)

func TestChange(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "change")
}

var (
	sealedType = regexp.MustCompile(`(?m)^func \((\w+)\) sealed\(\)`)
	caseLine   = regexp.MustCompile(`(?m)^\t+case (.*):`)
	caseType   = regexp.MustCompile(`\bchange\.([A-Z]\w*)`)
	inQuotes   = regexp.MustCompile("`(\\w+)`")
)

// sources returns the text of the files below a directory whose names match a pattern.
func sources(dir, pattern string) string {
	GinkgoHelper()
	var all strings.Builder
	Expect(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if match, bad := filepath.Match(pattern, filepath.Base(path)); err != nil || bad != nil || d.IsDir() || !match {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})).To(Succeed())
	Expect(all.Len()).To(BeNumerically(">", 0), "no %s in %s", pattern, dir)
	return all.String()
}

func found(all [][]string) map[string]bool {
	names := map[string]bool{}
	for _, match := range all {
		names[match[1]] = true
	}
	return names
}

// handled returns the kinds of changes that type switches have a case for.
func handled(source string) map[string]bool {
	var lines strings.Builder
	for _, match := range caseLine.FindAllStringSubmatch(source, -1) {
		lines.WriteString(match[1] + "\n")
	}
	return found(caseType.FindAllStringSubmatch(lines.String(), -1))
}

var _ = Describe("Kinds", func() {
	kinds := map[string]bool{}
	for _, c := range change.Kinds() {
		kinds[change.Name(c)] = true
	}

	It("lists each once", func() { Expect(change.Kinds()).To(HaveLen(len(kinds))) })
	It("lists all that there are", func() {
		Expect(found(sealedType.FindAllStringSubmatch(sources(".", "*.go"), -1))).To(Equal(kinds))
	})
	It("is what the reference documents", func() {
		_, after, ok := strings.Cut(sources("../../docs", "reference.md"), "\nTypes of changes: ")
		Expect(ok).To(BeTrue())
		list, _, _ := strings.Cut(after, "\n\n")
		Expect(found(inQuotes.FindAllStringSubmatch(list, -1))).To(Equal(kinds))
	})
	It("is what the model machine does", func() {
		Expect(handled(sources("../reconcile/internal/model", "*.go"))).To(Equal(kinds))
	})
	It("is what the actuators do", func() {
		Expect(handled(sources("../actuators", "actuator.go"))).To(Equal(kinds))
	})
})
