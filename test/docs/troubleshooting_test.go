package docs

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// entries are the headings of a level below a heading of a document, and what is below each.
func entries(document, heading string) (names []string, texts map[string]string) {
	GinkgoHelper()
	_, section, found := strings.Cut(document, "\n## "+heading+"\n")
	Expect(found).To(BeTrue(), heading)
	section, _, _ = strings.Cut(section, "\n## ")
	texts = map[string]string{}
	for _, entry := range strings.Split(section, "\n### ")[1:] {
		name, text, _ := strings.Cut(entry, "\n")
		names = append(names, name)
		texts[name] = text
	}
	return names, texts
}

// reasons are those of package status, sorted.
func reasons(source string) []string {
	var names []string
	for _, match := range reasonConst.FindAllStringSubmatch(source, -1) {
		names = append(names, match[1])
	}
	slices.Sort(names)
	return names
}

// others are the headings below Reasons that stand for several, or for none.
var others = []string{"A change failed"}

var _ = Describe("Troubleshooting", func() {
	It("has an entry for each reason, in order, and no other", func() {
		want := reasons(read("pkg/reconcile/status/object.go"))
		Expect(len(want)).To(BeNumerically(">", 20))
		names, _ := entries(read("docs/troubleshooting.md"), "Reasons")
		Expect(names).To(Equal(append(want, others...)))
	})
	It("says how to look and what to do, where there is something to be done", func() {
		_, texts := entries(read("docs/troubleshooting.md"), "Reasons")
		for name, text := range texts {
			Expect(len(text)).To(BeNumerically(">", 60), name)
			if strings.Contains(text, "\nLook: ") {
				Expect(text).To(ContainSubstring("\nDo: "), name)
				Expect(text).To(ContainSubstring("`"), name)
			}
		}
	})
	It("names commands that there are", func(ctx SpecContext) {
		help, err := exec.CommandContext(ctx, volreconciler, "--help").Output()
		Expect(err).NotTo(HaveOccurred())
		checked := 0
		for _, page := range append(runbooks(), "docs/troubleshooting.md") {
			for _, match := range regexp.MustCompile("[`\n]volreconciler ([a-z-]+)").FindAllStringSubmatch(read(page), -1) {
				Expect(string(help)).To(MatchRegexp("(?m)^  "+match[1]+" "), page)
				checked++
			}
		}
		Expect(checked).To(BeNumerically(">", 20))
	})
})

var _ = Describe("Runbooks", func() {
	It("answer the same questions", func() {
		Expect(len(runbooks())).To(BeNumerically(">", 5))
		for _, page := range runbooks() {
			if filepath.Base(page) == "README.md" {
				continue
			}
			headings := regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(read(page), -1)
			var got []string
			for _, h := range headings {
				got = append(got, h[1])
			}
			Expect(got).To(Equal([]string{"What happened", "Is data at risk?", "First look", "Remedy"}), page)
		}
	})
	It("are listed, each once", func() {
		list := read("docs/runbooks/README.md")
		for _, page := range runbooks() {
			if name := filepath.Base(page); name != "README.md" {
				Expect(strings.Count(list, "("+name+")")).To(Equal(1), name)
			}
		}
	})
	It("name reasons that there are", func() {
		known := reasons(read("pkg/reconcile/status/object.go"))
		phases := []string{"Ready", "Progressing", "Blocked", "Failed", "Deleting", "Orphaned", "Foreign", "Suspended"}
		for _, page := range runbooks() {
			for _, match := range regexp.MustCompile("`([A-Z][a-z]+[A-Za-z]*)`").FindAllStringSubmatch(read(page), -1) {
				if strings.HasPrefix(match[1], "Volreconciler") {
					Expect(read("deploy/prometheus/rules.yaml")).To(ContainSubstring("alert: "+match[1]+"\n"), page)
					continue
				}
				Expect(append(phases, known...)).To(ContainElement(match[1]), page)
			}
		}
	})
})

// runbooks are the pages in docs/runbooks, from the root of the repository.
func runbooks() []string {
	found, err := filepath.Glob(filepath.Join(root, "docs/runbooks/*.md"))
	if err != nil {
		panic(err)
	}
	for i := range found {
		found[i] = filepath.ToSlash(found[i][len(root)+1:])
	}
	return found
}
