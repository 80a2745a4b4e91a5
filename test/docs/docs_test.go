package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

func TestDocs(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "documentation")
}

const root = "../.."

var (
	yamlBlock   = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")
	flagName    = regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z-]+)`)
	reasonConst = regexp.MustCompile(`(?m)^\tReason\w+ += "(\w+)"$`)
)

func read(path string) string {
	GinkgoHelper()
	content, err := os.ReadFile(filepath.Join(root, path))
	Expect(err).NotTo(HaveOccurred())
	return string(content)
}

// pages are the documents that users read.
func pages() []string {
	found, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		panic(err)
	}
	found = append(found, filepath.Join(root, "README.md"), filepath.Join(root, "CHANGELOG.md"))
	return found
}

var volreconciler string

var _ = BeforeSuite(func(ctx SpecContext) {
	volreconciler = filepath.Join(GinkgoT().TempDir(), "volreconciler")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", volreconciler, root+"/cmd/volreconciler").CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", out)
})

var _ = Describe("Documentation", func() {
	for _, page := range pages() {
		It("has valid YAML in "+filepath.Base(page), func(ctx SpecContext) {
			dir := GinkgoT().TempDir()
			var objects []string
			for _, match := range yamlBlock.FindAllStringSubmatch(read(page[len(root)+1:]), -1) {
				if block := match[1]; strings.HasPrefix(block, "# /etc/volreconciler/config.yaml\n") {
					config := filepath.Join(dir, "config")
					Expect(os.WriteFile(config, []byte(block), 0o600)).To(Succeed())
					out, err := exec.CommandContext(ctx, volreconciler, "validate", "--config", config, root+"/examples/specs").CombinedOutput()
					Expect(err).NotTo(HaveOccurred(), "%s", out)
				} else {
					objects = append(objects, block)
				}
			}
			if len(objects) == 0 {
				return
			}
			file := filepath.Join(dir, "objects.yaml")
			Expect(os.WriteFile(file, []byte(strings.Join(objects, "\n---\n")), 0o600)).To(Succeed())
			Expect(spec.LoadPaths([]string{file}, spec.DefaultTargetPrefix).Findings).To(BeEmpty())
		})
	}
	It("has valid examples", func() {
		Expect(spec.LoadPaths([]string{root + "/examples/specs"}, spec.DefaultTargetPrefix).Findings).To(BeEmpty())
	})
	It("describes every setting", func(ctx SpecContext) {
		for _, command := range []string{"run", "apply"} {
			help, err := exec.CommandContext(ctx, volreconciler, command, "--help").Output()
			Expect(err).NotTo(HaveOccurred())
			names := flagName.FindAllStringSubmatch(string(help), -1)
			Expect(len(names)).To(BeNumerically(">", 5))
			for _, name := range names {
				if name[1] != "help" && name[1] != "config" {
					Expect(read("docs/reference.md")).To(ContainSubstring("| `" + name[1] + "` |"))
				}
			}
		}
	})
	It("describes every reason", func() {
		reasons := reasonConst.FindAllStringSubmatch(read("pkg/reconcile/object.go"), -1)
		Expect(len(reasons)).To(BeNumerically(">", 20))
		for _, name := range reasons {
			Expect(read("docs/reference.md")).To(ContainSubstring("`" + name[1] + "`"))
		}
	})
	It("gives the reason for every dependency", func() {
		direct := regexp.MustCompile(`(?m)^\t([^ ]+) v[^ ]+$`).FindAllStringSubmatch(read("go.mod"), -1)
		Expect(len(direct)).To(BeNumerically(">", 10))
		for _, module := range direct {
			Expect(read("docs/dependencies.md")).To(ContainSubstring(module[1]))
		}
	})
	It("links to what is there", func() {
		link := regexp.MustCompile(`\]\(([^)#:]+)\)`)
		for _, page := range pages() {
			for _, match := range link.FindAllStringSubmatch(read(page[len(root)+1:]), -1) {
				Expect(filepath.Join(filepath.Dir(page), match[1])).To(BeAnExistingFile(), page)
			}
		}
	})
})
