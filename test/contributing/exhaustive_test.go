package contributing

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// text is that of all files below some folders, or of some files, whose names match.
func text(matches func(name string) bool, below ...string) string {
	GinkgoHelper()
	var all strings.Builder
	for _, folder := range below {
		Expect(filepath.WalkDir(filepath.Join(root, folder), func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !matches(filepath.Base(file)) {
				return err
			}
			text, err := os.ReadFile(file)
			all.Write(text)
			return err
		})).To(Succeed())
	}
	Expect(all.Len()).NotTo(BeZero())
	return all.String()
}

func isTest(name string) bool   { return strings.HasSuffix(name, "_test.go") }
func isSource(name string) bool { return strings.HasSuffix(name, ".go") && !isTest(name) }
func isAny(string) bool         { return true }

func named(pattern, in string) []string {
	var names []string
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(in, -1) {
		names = append(names, match[1])
	}
	return names
}

// These fail for what was added and left out where no compiler and no other test asks for it.

var _ = Describe("Every protocol", func() {
	for _, p := range spec.Protocols() {
		It(string(p)+" has an example, passes the suite, and is documented", func() {
			Expect(text(isAny, "examples/specs")).To(MatchRegexp(`(?m)^ *(- )?protocol: %s$|\bprotocol: %[1]s[,}]`, p), "examples/specs")
			Expect(text(isAny, "test/e2e/conformance_test.go")).To(ContainSubstring(`{name: %q,`, string(p)), "test/e2e/conformance_test.go")
			_, table, found := strings.Cut(text(isAny, "docs/reference.md"), "\n### Protocols\n")
			Expect(found).To(BeTrue())
			head, _, _ := strings.Cut(strings.TrimSpace(table), "\n")
			Expect(head).To(ContainSubstring("| `%s` |", string(p)), "the table of protocols in docs/reference.md")
			Expect(text(isAny, "docs/reference.md")).To(MatchRegexp("(?m)^\\| `spec.protocol` .*`%s`", p))
		})
	}
})

var _ = Describe("Every kind of change", func() {
	It("is applied by a test of its actuator", func() {
		tests := text(isTest, "pkg/actuators")
		for _, c := range change.Kinds() {
			Expect(tests).To(MatchRegexp(`\bchange\.%s\b`, change.Name(c)))
		}
	})
})

var _ = Describe("Every reason", func() {
	source := func() string { return text(isAny, "pkg/reconcile/status/object.go") }

	It("is decided somewhere, and expected by a test", func() {
		decisions, tests := text(isSource, "pkg/reconcile/plan", "pkg/reconcile/outcome.go", "pkg/reconcile/contention.go"), text(isTest, "pkg", "cmd", "test")
		golden := text(isAny, "test/scenario/testdata")
		constants := regexp.MustCompile(`(?m)^\t(Reason\w+) += "(\w+)"`).FindAllStringSubmatch(source(), -1)
		Expect(len(constants)).To(BeNumerically(">", 20))
		for _, c := range constants {
			Expect(decisions).To(MatchRegexp(`\bstatus\.%s\b`, c[1]), "nothing decides it")
			expected := regexp.MustCompile(fmt.Sprintf(`\bstatus\.%s\b|"%s"`, c[1], c[2]))
			Expect(expected.MatchString(tests) || strings.Contains(golden, `"reason":"`+c[2]+`"`)).To(BeTrue(), "no test expects %s", c[1])
		}
	})
	It("that an actuator may return is told from a change that failed", func() {
		errors := named(`(?m)^(?:\t|var )(Err\w+) += `, text(isSource, "pkg/change"))
		Expect(len(errors)).To(BeNumerically(">", 5))
		classified := text(isAny, "pkg/reconcile/outcome.go", "pkg/reconcile/backoff.go")
		for _, e := range errors {
			Expect(classified).To(MatchRegexp(`\bchange\.%s\b`, e))
		}
	})
	It("has a phase that is documented", func() {
		phases := named(`(?m)^\t\w+ +Phase = "(\w+)"`, source())
		Expect(len(phases)).To(BeNumerically(">", 5))
		for _, phase := range phases {
			Expect(text(isAny, "docs/reference.md")).To(ContainSubstring("\n| `%s` | ", phase))
		}
	})
})

// packages are the folders that hold code, with the number of their files and what they say of themselves.
func packages(below ...string) map[string]pack {
	GinkgoHelper()
	all := map[string]pack{}
	for _, folder := range below {
		Expect(filepath.WalkDir(filepath.Join(root, folder), func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") {
				return err
			}
			name, _ := filepath.Rel(root, filepath.Dir(file))
			p := all[name]
			if isSource(file) {
				parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly|parser.ParseComments)
				if err != nil {
					return err
				}
				p.says += parsed.Doc.Text()
				p.files++
			}
			all[name] = p
			return nil
		})).To(Succeed())
	}
	return all
}

type pack struct {
	files int
	says  string
}

var _ = Describe("Every package", func() {
	It("is in the architecture's list of folders", func() {
		var rows []string
		for _, row := range named("(?m)^\\| `((?:cmd|pkg|test)/.*?)` \\|", text(isAny, "docs/architecture.md")) {
			before, several, braces := strings.Cut(strings.TrimSuffix(row, "}"), "{")
			if !braces {
				several = ""
			}
			for _, last := range strings.Split(several, ",") {
				rows = append(rows, before+last)
				Expect(filepath.Join(root, before+last)).To(BeADirectory())
			}
		}
		for name := range packages("cmd", "pkg", "test") {
			within := slices.ContainsFunc(rows, func(row string) bool { return name == row || strings.HasPrefix(name, row+"/") })
			Expect(within).To(BeTrue(), "docs/architecture.md has no row for %s", name)
		}
	})
	It("has a rule of the linter for what it may import", func() {
		var config struct {
			Linters struct {
				Settings struct {
					Depguard struct {
						Rules map[string]struct{ Files []string }
					}
				}
			}
		}
		decode(".golangci.yml", &config)
		var folders []string
		for _, rule := range config.Linters.Settings.Depguard.Rules {
			for _, files := range rule.Files {
				folder := strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(files, "**/"), "**"), "*.go")
				if strings.HasPrefix(folder, "pkg/") && folder != "pkg/" { // a rule for all says nothing of one
					folders = append(folders, folder)
					Expect(filepath.Join(root, folder)).To(BeADirectory())
				}
			}
		}
		for name := range packages("pkg") {
			ruled := slices.ContainsFunc(folders, func(folder string) bool { return strings.HasPrefix(name+"/", folder) })
			Expect(ruled).To(BeTrue(), "no rule of depguard in .golangci.yml is for %s", name)
		}
	})
	It("names files that it has", func() {
		for name, p := range packages("cmd", "pkg", "test") {
			for _, file := range named(`(?:^|[\s(,;])([a-z0-9_]+\.go)\b`, p.says) {
				Expect(filepath.Join(root, name, file)).To(BeAnExistingFile(), "what the package says of itself")
			}
		}
	})
	It("says what it is for and, if it has several files, where to start", func() {
		for name, p := range packages("cmd", "pkg") {
			Expect(p.says).To(MatchRegexp(`^(Package|Command) %s `, path.Base(name)), name)
			if p.files > 2 { // doc.go and another
				Expect(strings.Join(strings.Fields(p.says), " ")).To(MatchRegexp(`\bStart (reading )?(at|with) `), name)
			}
		}
	})
})

var _ = DescribeTable("A document names files that are there", func(documents string, least int) {
	found, err := filepath.Glob(filepath.Join(root, documents))
	Expect(err).NotTo(HaveOccurred())
	Expect(found).NotTo(BeEmpty())
	var files []string // of the tree, with a slash before each
	Expect(filepath.WalkDir(root, func(file string, _ fs.DirEntry, err error) error {
		files = append(files, strings.TrimPrefix(filepath.ToSlash(file), root))
		return err
	})).To(Succeed())
	checked := 0
	for _, document := range found {
		for _, name := range named("`([a-z0-9_/*-]+\\.(?:go|sh|yaml|yml|txt))`", text(isAny, strings.TrimPrefix(document, root))) {
			pattern := regexp.MustCompile("/" + strings.ReplaceAll(regexp.QuoteMeta(name), `\*`, `[^/]*`) + "$")
			Expect(slices.ContainsFunc(files, pattern.MatchString)).To(BeTrue(), "%s: %s", document, name)
			checked++
		}
	}
	Expect(checked).To(BeNumerically(">=", least))
},
	Entry(nil, "CONTRIBUTING.md", 20), Entry(nil, "docs/architecture.md", 20), Entry(nil, "docs/safety.md", 20), Entry(nil, "docs/adr/*.md", 1),
)
