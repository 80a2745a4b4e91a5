package debian

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("a suite", func() {
	host := []source{
		{"http://mirror.example/debian/", "bookworm", "main"},
		{"http://mirror.example/debian/", "bookworm", "contrib"},
		{"http://mirror.example/debian/", "bookworm-updates", "main"},
		{"http://mirror.example/debian-security/", "bookworm-security", "main"},
	}

	It("is fetched from the host's mirrors, with its security updates", func() {
		Expect(translate(host, Trixie)).To(Equal([]source{
			{"http://mirror.example/debian/", "trixie", "main"},
			{"http://mirror.example/debian-security/", "trixie-security", "main"},
		}))
		Expect(translate(host, Testing)).To(Equal([]source{{"http://mirror.example/debian/", "testing", "main"}}))
	})

	DescribeTable("has a name",
		func(name string, want Suite) {
			suite, err := ParseSuite(name)
			if want == "" {
				Expect(err).To(MatchError(ContainSubstring("want one of")))
				return
			}
			Expect(err).NotTo(HaveOccurred())
			Expect(suite).To(Equal(want))
		},
		Entry(nil, "bookworm", Bookworm),
		Entry(nil, "trixie", Trixie),
		Entry(nil, "testing", Testing),
		Entry(nil, "sarge", Suite("")),
	)

	It("has a root of its own", func() {
		one, err := rootKey(Bookworm)
		Expect(err).NotTo(HaveOccurred())
		Expect(rootKey(Trixie)).NotTo(Equal(one))
	})
})
