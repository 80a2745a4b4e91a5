package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/spf13/cobra"

	"github.com/volreconciler/volreconciler/pkg/specdoc"
)

var _ = Describe("The manual pages", Ordered, func() {
	var dir string
	BeforeAll(func(ctx SpecContext) {
		dir = GinkgoT().TempDir()
		generate := exec.CommandContext(ctx, "go", "run", "-tags", "man", ".", "man", dir)
		generate.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1790000000")
		out, err := generate.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), "%s", out)
	})
	page := func(name string) string {
		GinkgoHelper()
		text, err := os.ReadFile(filepath.Join(dir, name))
		Expect(err).NotTo(HaveOccurred())
		return string(text)
	}

	It("are one for each command, with its flags", func() {
		root := newRootCommand()
		root.InitDefaultCompletionCmd()
		want := []string{"volreconciler-specs.5"}
		var visit func(cmd *cobra.Command)
		visit = func(cmd *cobra.Command) {
			name := strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".1"
			want = append(want, name)
			text := page(name)
			for _, f := range flagsOf(cmd) {
				Expect(text).To(MatchRegexp(`(?m)^\\fB.*--`+regexp.QuoteMeta(f.Name)), name)
			}
			Expect(strings.Count(text, "\n.TP\n")).To(BeNumerically(">=", len(flagsOf(cmd))), name)
			for _, inner := range cmd.Commands() {
				visit(inner)
			}
		}
		visit(root)
		entries, err := os.ReadDir(dir)
		Expect(err).NotTo(HaveOccurred())
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		Expect(names).To(ConsistOf(want))
	})
	It("have all fields of specs", func() {
		text := page("volreconciler-specs.5")
		for _, kind := range specdoc.Kinds() {
			Expect(text).To(ContainSubstring(".SH " + strings.ToUpper(string(kind))))
			for _, f := range specdoc.Of(kind).All()[1:] {
				if f.Path != "spec" && f.Path != "metadata" {
					Expect(text).To(ContainSubstring(`\fB`+strings.TrimPrefix(f.Path, "metadata.annotations.")+`\fP`), string(kind))
				}
			}
		}
	})
	It("are well-formed", func(ctx SpecContext) {
		if _, err := exec.LookPath("mandoc"); err != nil {
			Skip("mandoc is not installed; see hack/install-deps.sh")
		}
		pages, err := filepath.Glob(filepath.Join(dir, "*.[15]"))
		Expect(err).NotTo(HaveOccurred())
		out, err := exec.CommandContext(ctx, "mandoc", append([]string{"-Tlint", "-W", "warning"}, pages...)...).CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), "%s", out)
		for _, p := range pages {
			Expect(page(filepath.Base(p))).To(ContainSubstring(`"2026-09-21"`), p)
		}
	})
	It("are not in the agent", func(ctx SpecContext) {
		out, err := exec.CommandContext(ctx, "go", "list", "-deps", ".").Output()
		Expect(err).NotTo(HaveOccurred())
		Expect(string(out)).To(ContainSubstring("github.com/spf13/cobra\n"))
		Expect(string(out)).NotTo(Or(ContainSubstring("cobra/doc"), ContainSubstring("md2man")))
	})
})
