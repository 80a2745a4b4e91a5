package spec_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = DescribeTable("A unit serial",
	func(serial, refused string) {
		if err := spec.CheckSerial(serial); refused == "" {
			Expect(err).NotTo(HaveOccurred())
		} else {
			Expect(err).To(MatchError(ContainSubstring(refused)))
		}
	},
	Entry("of targetcli", "6dc3d746-e345-47a1-83af-9f72397e9788", ""),
	Entry("of somebody", "SN_1+a.b=c!d:e&f#", ""),
	Entry("at the limit", strings.Repeat("a", 249), ""),
	Entry("too long", strings.Repeat("a", 250), "at most 249 are allowed"),
	Entry("with a space", "unit 1", "allowed"),
	Entry("that would be a path", "a/b", "allowed"),
	Entry("without a digit that tells it apart", "XYZ-000", "no hexadecimal digit other than 0"),
)

// As spc_gen_naa_6h_vendor_specific does it.
var _ = DescribeTable("The digits of a WWN",
	func(serial, digits string) { Expect(spec.NAADigits(serial)).To(Equal(digits)) },
	Entry("of a UUID", "6dc3d746-e345-47a1-83af-9f72397e9788", "6dc3d746e34547a183af9f723"),
	Entry("of upper case, and others between", "S-AB_xyz1", "ab10000000000000000000000"),
	Entry("of nothing", "", "0000000000000000000000000"),
)
