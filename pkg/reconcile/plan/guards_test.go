package plan

import (
	"os"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("The guards", func() {
	DescribeTable("are those of the documentation, in the same order", func(heading string, rules []string) {
		Expect(documented(heading)).To(Equal(rules))
	},
		Entry("of deletion", "## Deleting\n", rulesOf(ownGuards, nowGuards, trashGuards, removalGuards)),
		Entry("of a cutover", "## The life of a Volume\n", cutoverRules()),
	)
})

// documented returns the items of the lists in a section of docs/architecture.md.
func documented(heading string) (items []string) {
	text, err := os.ReadFile("../../../docs/architecture.md")
	Expect(err).NotTo(HaveOccurred())
	_, section, found := strings.Cut(string(text), heading)
	Expect(found).To(BeTrue())
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		if rule, is := strings.CutPrefix(line, "* "); is {
			items = append(items, strings.TrimRight(rule, ",.\n"))
		}
	}
	return items
}

func rulesOf(lists ...[]guard) (rules []string) {
	for _, guards := range lists {
		for _, g := range guards {
			rules = append(rules, g.rule)
		}
	}
	return rules
}

func cutoverRules() (rules []string) {
	for _, g := range cutoverGuards {
		rules = append(rules, g.rule)
	}
	return rules
}
