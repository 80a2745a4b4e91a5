package contributing

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"gopkg.in/yaml.v3"
)

// hook is what a configuration of pre-commit says of one.
type hook struct {
	ID, Name, Entry, Language, Files string
	Args                             []string
}

func decode(file string, into any) {
	GinkgoHelper()
	text, err := os.ReadFile(filepath.Join(root, file))
	Expect(err).NotTo(HaveOccurred())
	Expect(yaml.Unmarshal(text, into)).To(Succeed())
}

var _ = Describe("The hooks of pre-commit", func() {
	It("validate a repository of specs", func() {
		var hooks []hook
		decode(".pre-commit-hooks.yaml", &hooks)
		Expect(hooks).To(HaveLen(1))
		Expect(hooks[0].ID).To(Equal("volreconciler-validate"))

		bin, specs := GinkgoT().TempDir(), GinkgoT().TempDir()
		out, err := exec.Command("go", "build", "-o", bin, root+"/cmd/volreconciler").CombinedOutput() //nolint:gosec // of the test
		Expect(err).NotTo(HaveOccurred(), "%s", out)
		run := func() (string, error) {
			words := append(strings.Fields(hooks[0].Entry), hooks[0].Args...)
			cmd := exec.Command("env", append([]string{"PATH=" + bin + ":" + os.Getenv("PATH")}, words...)...) //nolint:gosec // of the test
			cmd.Dir = specs
			out, err := cmd.CombinedOutput()
			return string(out), err
		}
		const pool = "apiVersion: volreconciler/v1alpha1\nkind: Pool\nmetadata: {name: fast}\nspec: {volumeGroup: vg0}\n"
		file := filepath.Join(specs, hooks[0].Args[0], "pool.yaml")
		Expect(os.MkdirAll(filepath.Dir(file), 0o700)).To(Succeed())
		Expect(os.WriteFile(file, []byte(pool), 0o600)).To(Succeed())
		_, err = run()
		Expect(err).NotTo(HaveOccurred())

		Expect(os.WriteFile(file, []byte(pool+"status: {}\n"), 0o600)).To(Succeed())
		said, err := run()
		Expect(err).To(HaveOccurred())
		Expect(said).To(ContainSubstring("pool.yaml:5:1"))
	})
	It("are there as the example uses them", func() {
		var hooks []hook
		decode(".pre-commit-hooks.yaml", &hooks)
		var example struct{ Repos []struct{ Hooks []hook } }
		decode("examples/pre-commit/pre-commit-config.yaml", &example)
		Expect(example.Repos[0].Hooks).NotTo(BeEmpty())
		for _, used := range example.Repos[0].Hooks {
			Expect(slices.ContainsFunc(hooks, func(h hook) bool { return h.ID == used.ID })).To(BeTrue())
			Expect(used.Args).NotTo(BeEmpty())
			Expect(regexp.MustCompile(used.Files).MatchString(used.Args[0] + "/a.yaml")).To(BeTrue())
		}
	})
	It("of this repository run what is there", func() {
		var config struct{ Repos []struct{ Hooks []hook } }
		decode(".pre-commit-config.yaml", &config)
		var names []string
		for _, h := range config.Repos[0].Hooks {
			names = append(names, h.ID)
			program, rest, _ := strings.Cut(h.Entry, " ")
			if program == "go" {
				_, folder, _ := strings.Cut(rest, " ./")
				Expect(filepath.Join(root, strings.TrimSuffix(folder, "..."))).To(BeADirectory())
				continue
			}
			info, err := os.Stat(filepath.Join(root, program))
			Expect(err).NotTo(HaveOccurred())
			Expect(info.Mode()&0o111).NotTo(BeZero(), program)
		}
		Expect(names).To(ConsistOf("gofmt", "vet", "prose", "changes", "lint"))
	})
	It("find files that are not formatted", func() {
		file := filepath.Join(GinkgoT().TempDir(), "a.go")
		check := func() error {
			return exec.Command(filepath.Join(root, "hack/gofmt.sh"), file).Run() //nolint:gosec // of the test
		}
		Expect(os.WriteFile(file, []byte("package a\n"), 0o600)).To(Succeed())
		Expect(check()).To(Succeed())
		Expect(os.WriteFile(file, []byte("package   a\n"), 0o600)).To(Succeed())
		Expect(check()).NotTo(Succeed())
	})
})

var _ = Describe("Files for GitHub", func() {
	It("can be read", func() {
		for _, file := range []string{"bug.yml", "feature.yml", "config.yml"} {
			var form map[string]any
			decode(".github/ISSUE_TEMPLATE/"+file, &form)
			if file != "config.yml" {
				Expect(form).To(And(HaveKey("name"), HaveKey("description"), HaveKey("body")))
			}
		}
	})
})

var _ = Describe("make help", func() {
	It("has every target, in a group", func() {
		text, err := os.ReadFile(filepath.Join(root, "Makefile"))
		Expect(err).NotTo(HaveOccurred())
		out, err := exec.Command("make", "-s", "-C", root, "help").Output()
		Expect(err).NotTo(HaveOccurred())
		targets := regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllStringSubmatch(string(text), -1)
		Expect(len(targets)).To(BeNumerically(">", 10))
		for _, target := range targets {
			Expect(string(out)).To(MatchRegexp(`(?m)^  %s +\S`, regexp.QuoteMeta(target[1])))
		}
		Expect(string(out)).To(MatchRegexp(`^\nGeneral\n  help `))
		for _, group := range []string{"Build", "Test", "Measure", "Release"} {
			Expect(string(out)).To(ContainSubstring("\n\n" + group + "\n  "))
		}
	})
})
