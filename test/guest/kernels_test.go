package guest

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("a kernel", func() {
	var (
		sources = []source{
			{"http://mirror.example/debian/", "bookworm", "main"},
			{"http://mirror.example/debian-security/", "bookworm-security", "main"},
		}
		backports = source{"http://mirror.example/debian/", "bookworm-backports", "main"}
	)

	It("is the release's, with nothing from elsewhere, if nothing is said", func() {
		names, from := unpackedFor(Config{}.Kernel, sources)
		Expect(names).To(ContainElements("linux-image-amd64", "lvm2"))
		Expect(from).To(Equal(sources))
	})

	It("comes from the backports of the release's own mirror, and nothing else does", func() {
		names, from := unpackedFor(Backported, sources)
		Expect(names).To(ContainElements("linux-image-amd64/bookworm-backports", "lvm2"))
		Expect(names).NotTo(ContainElement("linux-image-amd64"))
		Expect(from).To(Equal([]source{sources[0], sources[1], backports}))
		Expect(sources).To(HaveLen(2), "the caller's are not changed")
	})

	It("has a root of its own", func() {
		released, err := recipeHash(Released)
		Expect(err).NotTo(HaveOccurred())
		Expect(recipeHash(Backported)).NotTo(Equal(released))
	})

	DescribeTable("has a name",
		func(name string, want Kernel, ok bool) {
			kernel, err := ParseKernel(name)
			if !ok {
				Expect(err).To(MatchError(ContainSubstring("want released or backported")))
				return
			}
			Expect(err).NotTo(HaveOccurred())
			Expect(kernel).To(Equal(want))
		},
		Entry(nil, "released", Released, true),
		Entry(nil, "backported", Backported, true),
		Entry(nil, "", Released, false),
		Entry(nil, "6.12", Released, false),
	)
})
