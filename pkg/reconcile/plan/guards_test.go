package plan

import (
	"os"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("The guards of deletion", func() {
	It("are those of the documentation, in the same order", func() {
		text, err := os.ReadFile("../../../docs/architecture.md")
		Expect(err).NotTo(HaveOccurred())
		_, section, found := strings.Cut(string(text), "## Deleting\n")
		Expect(found).To(BeTrue())
		section, _, _ = strings.Cut(section, "\n## ")
		var documented []string
		for line := range strings.Lines(section) {
			if rule, is := strings.CutPrefix(line, "* "); is {
				documented = append(documented, strings.TrimRight(rule, ",.\n"))
			}
		}
		var rules []string
		for _, guards := range [][]guard{ownGuards, nowGuards} {
			for _, g := range guards {
				rules = append(rules, g.rule)
			}
		}
		Expect(len(documented)).To(BeNumerically(">", len(rules)), "and what is asked of all that hangs on it")
		Expect(documented[:len(rules)]).To(Equal(rules))
	})
})
