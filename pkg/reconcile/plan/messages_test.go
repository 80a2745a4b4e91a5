package plan

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("A list in a message", func() {
	It("names a few of many", func() {
		var names []string
		for n := range 40 {
			names = append(names, fmt.Sprintf("host%d", n))
		}
		Expect(shortList(names)).To(Equal("host0, host1, host2, host3, host4, and 35 more"))
		Expect(names).To(HaveLen(40))
		Expect(names[5]).To(Equal("host5"), "the caller's list is not changed")
	})

	It("names all of a few", func() {
		Expect(shortList([]string{"a", "b"})).To(Equal("a, b"))
		Expect(shortList(nil)).To(BeEmpty())
	})

	It("keeps entries with commas apart", func() {
		Expect(shortList([]string{"a, a thin volume", "b"})).To(Equal("a, a thin volume; b"))
	})
})
