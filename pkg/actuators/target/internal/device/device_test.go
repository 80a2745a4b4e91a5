package device

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
)

var _ = Describe("the logical volume behind a device", func() {
	const (
		vg = "0123456789abcdefghijklmnopqrstuv"
		lv = "NgKyJa8gzQlUek5xemjYFoJLBcOE6weK"
	)

	DescribeTable("has a name in device-mapper",
		func(device, want string) { Expect(mapperName(device)).To(Equal(want)) },
		Entry("plain", "/dev/vg0/db", "vg0-db"),
		Entry("with dashes", "/dev/my-vg/db-data", "my--vg-db--data"),
	)

	It("has its UUID in that of device-mapper", func() {
		Expect(parseMapperUUID("LVM-" + vg + lv)).To(Equal(lv))
	})

	DescribeTable("is not",
		func(uuid string) {
			_, err := parseMapperUUID(uuid)
			Expect(err).To(MatchError(ContainSubstring("is not that of a logical volume")))
		},
		Entry("without a UUID", ""),
		Entry("of another tool", "CRYPT-LUKS2-"+vg+lv),
		Entry("an inner layer", "LVM-"+vg+lv+"-real"),
		Entry("too short", "LVM-"+vg),
	)

	DescribeTable("is compared with the one of the plan",
		func(want string, ok bool) {
			err := (Volume{UUID: lv}).Check("/dev/vg0/db", want)
			if ok {
				Expect(err).NotTo(HaveOccurred())
			} else {
				Expect(err).To(MatchError(change.ErrStale))
			}
		},
		Entry("unknown yet", "", true),
		Entry("as LVM writes it", "NgKyJa-8gzQ-lUek-5xem-jYFo-JLBc-OE6weK", true),
		Entry("without dashes", lv, true),
		Entry("another", strings.ToLower(lv), false),
	)
})
