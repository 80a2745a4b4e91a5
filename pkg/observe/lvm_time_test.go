package observe

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

var _ = Describe("since when a logical volume is", func() {
	made := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	DescribeTable("is read whatever LVM writes, and is no time if that is none",
		func(want time.Time, value string) {
			row := lvRow{Name: "a", UUID: "u", Layout: "linear", Size: "1", Permissions: "writeable", Major: "-1", Minor: "-1", Time: value}
			lv, err := row.parse("vg0")
			Expect(err).NotTo(HaveOccurred())
			Expect(lv.Created).To(Equal(want))
		},
		Entry("seconds", made, "1795348800"),
		Entry("as LVM writes it of its own accord", made, "2026-11-22 13:00:00 +0100"),
		Entry("missing", time.Time{}, ""),
		Entry("1970", time.Time{}, "0"),
		Entry("before", time.Time{}, "-1"),
		Entry("too large for a year", time.Time{}, "9223372036854775807"),
		Entry("in the words of another locale", time.Time{}, "So 22 Nov 2026 13:00:00 CET"),
	)
	It("is that of the first one for what was moved", func() {
		lv := LogicalVolume{Created: made}
		Expect(lv.ContentSince()).To(Equal(made))
		lv.Tags = ondisk.Tags{ondisk.TagIdentity + "first"}
		Expect(lv.ContentSince().IsZero()).To(BeTrue(), "an older agent moved it")
		lv.Tags = append(lv.Tags, ondisk.CreatedTag(made.Add(-time.Hour)))
		Expect(lv.ContentSince()).To(Equal(made.Add(-time.Hour)))
	})
	It("is asked for with the rest", func() {
		Expect(fields[lvRow]()).To(ContainSubstring(",lv_time,"))
	})
})
