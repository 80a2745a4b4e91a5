package lio

import (
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("listening sockets", func() {
	DescribeTable("serve a portal, or do not",
		func(listener, portal string, want bool) {
			Expect(serves(netip.MustParseAddrPort(listener), netip.MustParseAddrPort(portal))).To(Equal(want))
		},
		Entry(nil, "10.0.0.1:3260", "10.0.0.1:3260", true),
		Entry(nil, "10.0.0.1:3260", "10.0.0.1:3261", false),
		Entry(nil, "[::]:3260", "0.0.0.0:3260", true),
		Entry(nil, "0.0.0.0:3260", "[::]:3260", false),
		Entry(nil, "[::1]:3260", "0.0.0.0:3260", false),
	)

	DescribeTable("exclude one another, or do not",
		func(a, b string, want bool) {
			Expect(overlaps(netip.MustParseAddrPort(a), netip.MustParseAddrPort(b))).To(Equal(want))
			Expect(overlaps(netip.MustParseAddrPort(b), netip.MustParseAddrPort(a))).To(Equal(want))
		},
		Entry(nil, "10.0.0.1:3260", "10.0.0.1:3260", true),
		Entry(nil, "10.0.0.1:3260", "10.0.0.2:3260", false),
		Entry(nil, "10.0.0.1:3260", "10.0.0.1:3261", false),
		Entry(nil, "0.0.0.0:3260", "10.0.0.1:3260", true),
		Entry(nil, "0.0.0.0:3260", "[fd00::1]:3260", false),
		Entry(nil, "[::]:3260", "10.0.0.1:3260", true),
		Entry(nil, "[::]:3260", "[fd00::1]:3260", true),
		Entry(nil, "[::]:3260", "0.0.0.0:3260", true),
	)
})
