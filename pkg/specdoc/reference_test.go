package specdoc

import (
	"regexp"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// generated is a part of a document that is made of the documentation of fields.
var generated = regexp.MustCompile(`(?s)(<!-- fields: (\w+) -->\n).*?(<!-- end of fields -->\n)`)

var _ = Describe("The reference", func() {
	It("has the tables of fields", func() {
		var names []string
		page := generated.ReplaceAllStringFunc(read("docs/reference.md"), func(part string) string {
			match := generated.FindStringSubmatch(part)
			names = append(names, match[2])
			table, known := Table(match[2])
			Expect(known).To(BeTrue(), match[2])
			return match[1] + "\n" + table + "\n" + match[3]
		})
		all := []string{"metadata", "annotations", "attributes"}
		for _, kind := range Kinds() {
			all = append(all, string(kind))
		}
		Expect(names).To(ConsistOf(all))
		expectContent("docs/reference.md", page)
	})
})
