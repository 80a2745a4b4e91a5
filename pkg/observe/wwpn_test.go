package observe

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("the name of a Fibre Channel port", func() {
	DescribeTable("is the same in every form",
		func(name string) {
			Expect(normalWWPN(name)).To(Equal("naa.21000024ff12ab34"))
			Expect(colonWWPN(name)).To(Equal("21:00:00:24:ff:12:ab:34"))
		},
		Entry(nil, "naa.21000024ff12ab34"),
		Entry(nil, "21:00:00:24:ff:12:ab:34"),
		Entry(nil, "21:00:00:24:FF:12:AB:34"),
		Entry(nil, "0x21000024ff12ab34\n"),
		Entry(nil, "21000024FF12AB34"),
	)

	DescribeTable("stays what it is if it is none",
		func(name string) {
			Expect(normalWWPN(name)).To(Equal(name))
			Expect(colonWWPN(name)).To(Equal(name))
		},
		Entry(nil, ""),
		Entry(nil, "naa."),
		Entry(nil, "iqn.2003-01.org:21000024ff12ab34"),
		Entry(nil, "21:00:00:24:ff:12:ab"),
		Entry(nil, "21000024ff12ab3x"),
	)
})
