package docs

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
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
			dir, config := GinkgoT().TempDir(), filepath.Join(GinkgoT().TempDir(), "config")
			valid := func() {
				Expect(spec.LoadPaths([]string{dir}, spec.DefaultTargetPrefix).Findings).To(BeEmpty())
			}
			blocks := yamlBlock.FindAllStringSubmatch(read(page[len(root)+1:]), -1)
			for i, match := range blocks {
				block, name := match[1], fmt.Sprintf("%d.yaml", i)
				if strings.HasPrefix(block, "# /etc/volreconciler/config.yaml\n") {
					Expect(os.WriteFile(config, []byte(block), 0o600)).To(Succeed())
					out, err := exec.CommandContext(ctx, volreconciler, "validate", "--config", config, root+"/examples/specs").CombinedOutput()
					Expect(err).NotTo(HaveOccurred(), "%s", out)
					continue
				}
				if named := namedFile.FindStringSubmatch(block); named != nil {
					name = named[1]
				}
				if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
					valid() // what this block is a later edit of
				}
				Expect(os.WriteFile(filepath.Join(dir, name), []byte(block), 0o600)).To(Succeed())
			}
			if files, err := os.ReadDir(dir); err == nil && len(files) > 0 {
				valid()
			}
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
		reasons := reasonConst.FindAllStringSubmatch(read("pkg/reconcile/status/object.go"), -1)
		Expect(len(reasons)).To(BeNumerically(">", 20))
		for _, name := range reasons {
			Expect(read("docs/reference.md")).To(ContainSubstring("`" + name[1] + "`"))
		}
	})
	It("never advises to stop what takes targets away when it stops", func() {
		stops := regexp.MustCompile(`systemctl (stop|restart|[a-z]+ --now)[^\n]*(target|targetctl|tgt|nvmet)\.service`)
		for _, extension := range []string{".md", ".go", ".yaml", ".sh"} {
			for _, file := range documents(extension) {
				Expect(stops.FindString(read(file))).To(BeEmpty(), file)
			}
		}
	})
	It("gives the reason for every dependency", func() {
		direct := regexp.MustCompile(`(?m)^\t([^ ]+) v[^ ]+$`).FindAllStringSubmatch(read("go.mod"), -1)
		Expect(len(direct)).To(BeNumerically(">", 10))
		for _, module := range direct {
			Expect(read("docs/dependencies.md")).To(ContainSubstring(module[1]))
		}
	})
	It("says of every tag what it means", func() {
		tags := regexp.MustCompile(`"volreconciler/([a-z-]+=?)"`)
		files, err := filepath.Glob(filepath.Join(root, "pkg/ondisk/*.go"))
		Expect(err).NotTo(HaveOccurred())
		said := 0
		for _, file := range files {
			text, err := os.ReadFile(file)
			Expect(err).NotTo(HaveOccurred())
			for _, tag := range tags.FindAllStringSubmatch(string(text), -1) {
				if !strings.HasSuffix(file, "_test.go") {
					Expect(read("docs/format.md")).To(ContainSubstring("`"+tag[1]+"`"), file)
					said++
				}
			}
		}
		Expect(said).To(BeNumerically(">", 15))
	})
	It("walks the way that a plan goes", func(ctx SpecContext) {
		_, walk, found := strings.Cut(read("docs/architecture.md"), "## From the file to `get`\n")
		Expect(found).To(BeTrue())
		walk, _, _ = strings.Cut(walk, "\n## ")

		By("following the plan of its file")
		dir := GinkgoT().TempDir()
		file, node := filepath.Join(dir, "shop.yaml"), filepath.Join(dir, "node")
		Expect(os.WriteFile(file, []byte(yamlBlock.FindStringSubmatch(walk)[1]), 0o600)).To(Succeed())
		empty := fakehost.Node{APIVersion: fakehost.APIVersion, Kind: "Node", VolumeGroups: []fakehost.VolumeGroup{{Name: "vg0", UUID: "uuid", ExtentSize: 4 << 20, Extents: 1 << 20}}}
		captured, err := empty.Marshal()
		Expect(err).NotTo(HaveOccurred())
		Expect(os.WriteFile(node, captured, 0o600)).To(Succeed())
		out, err := exec.CommandContext(ctx, volreconciler, "plan", "--node", node, "-o", "json", "--specs", dir).Output()
		Expect(err).To(Or(Not(HaveOccurred()), MatchError("exit status 2"))) // there is something to do
		var plan struct {
			Steps []struct {
				ID    int
				Type  string
				Needs []int
			}
		}
		Expect(json.Unmarshal(out, &plan)).To(Succeed())
		var planned, told []string
		for _, s := range plan.Steps {
			needs := strings.Trim(strings.ReplaceAll(fmt.Sprint(s.Needs), " ", ", "), "[]")
			planned = append(planned, strings.ReplaceAll(fmt.Sprintf("| %d | `%s` | %s |", s.ID, s.Type, needs), "|  |", "| |"))
		}
		for _, row := range regexp.MustCompile(`(?m)^ +(\| \d+ \| .* \|) [a-z ]+ \|$`).FindAllStringSubmatch(walk, -1) {
			told = append(told, row[1])
		}
		Expect(told).To(Equal(planned))

		By("finding everything where it is said to be")
		place := regexp.MustCompile("`(\\w+\\.)?(\\w+)`\\s+\\(`([a-z/_]+\\.go)`\\)")
		places := place.FindAllStringSubmatch(walk, -1)
		Expect(len(places)).To(BeNumerically(">", 8))
		for _, p := range places {
			if strings.HasPrefix(p[3], "cmd/") {
				Expect(read(p[3])).To(ContainSubstring("Use:   \"" + p[2]))
				continue
			}
			Expect(read(p[3])).To(MatchRegexp(`(?m)^func (\(\w+ \*?%s\w*\) )?%s\(|^type %[2]s `, strings.TrimSuffix(p[1], "."), p[2]))
		}
	})
})
