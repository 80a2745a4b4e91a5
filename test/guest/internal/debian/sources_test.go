package debian

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("apt's repositories", func() {
	It("are the guest's as far as they are Debian's", func() {
		sources := parseSources(`http://mirror.example/debian/ bookworm main Debian
http://mirror.example/debian-security/ bookworm-security main Debian
https://third.example/ bookworm stable Third
https://unknown.example/ bookworm main $(ORIGIN)
`)
		Expect(sources).To(Equal([]source{
			{"http://mirror.example/debian/", "bookworm", "main"},
			{"http://mirror.example/debian-security/", "bookworm-security", "main"},
		}))
	})
})
