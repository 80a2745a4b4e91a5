package spec_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Sizes", func() {
	DescribeTable("are read, and written back in the largest exact binary unit",
		func(text string, bytes uint64, written string) {
			size, err := spec.ParseSize(text)
			Expect(err).NotTo(HaveOccurred())
			Expect(uint64(size)).To(Equal(bytes))
			Expect(size.String()).To(Equal(written))
			Expect(spec.ParseSize(written)).To(Equal(size))
		},
		Entry(nil, "1", uint64(1), "1"),
		Entry(nil, "512", uint64(512), "512"),
		Entry(nil, "1073741824", uint64(1<<30), "1Gi"),
		Entry(nil, "1Ki", uint64(1<<10), "1Ki"),
		Entry(nil, "4Mi", uint64(4<<20), "4Mi"),
		Entry(nil, "20Gi", uint64(20<<30), "20Gi"),
		Entry(nil, "3Ti", uint64(3<<40), "3Ti"),
		Entry(nil, "1024Ti", uint64(1<<50), "1Pi"),
		Entry(nil, "7Ei", uint64(7<<60), "7Ei"),
		Entry(nil, "1K", uint64(1000), "1000"),
		Entry(nil, "1500M", uint64(1_500_000_000), "1500000000"),
		Entry(nil, "64G", uint64(64_000_000_000), "62500000Ki"),
		Entry(nil, "2T", uint64(2_000_000_000_000), "1953125000Ki"),
		Entry(nil, "9E", uint64(9_000_000_000_000_000_000), "8789062500000000Ki"),
		Entry(nil, "9223372036854775807", uint64(1<<63-1), "9223372036854775807"),
	)

	DescribeTable("that could be misunderstood are refused",
		func(text, message string) {
			_, err := spec.ParseSize(text)
			Expect(err).To(MatchError(ContainSubstring(message)))
		},
		Entry(nil, "", "the size is empty; write"),
		Entry(nil, "0", "greater than zero"),
		Entry(nil, "0Gi", "greater than zero"),
		Entry(nil, "-1", "negative"),
		Entry(nil, "-5Gi", "negative"),
		Entry(nil, "+5Gi", "not a size"),
		Entry(nil, "010", "leading zero"),
		Entry(nil, "020Gi", "leading zero"),
		Entry(nil, "0x10", "not a size"),
		Entry(nil, "0b1", "not a size"),
		Entry(nil, "1e3", "not a size"),
		Entry(nil, "1_000", "not a size"),
		Entry(nil, "1,000", "not a size"),
		Entry(nil, "1.5Gi", "fraction"),
		Entry(nil, "1.5", "fraction"),
		Entry(nil, "20 Gi", "not a size"),
		Entry(nil, " 20Gi", "not a size"),
		Entry(nil, "20Gi ", "not a size"),
		Entry(nil, "10GB", "not a size"),
		Entry(nil, "10GiB", "not a size"),
		Entry(nil, "10g", "not a size"),
		Entry(nil, "10k", "not a size"),
		Entry(nil, "10m", "not a size"),
		Entry(nil, "Gi", "not a size"),
		Entry(nil, "80%", "not a size"),
		Entry(nil, "٣Gi", "not a size"),
		Entry(nil, "8Ei", "too large"),
		Entry(nil, "9223372036854775808", "too large"),
		Entry(nil, "18446744073709551617", "too large"),
		Entry(nil, "10E", "too large"),
		Entry(nil, "99999999999999999999999Gi", "too large"),
	)

	DescribeTable("may be percentages for thin pools",
		func(text string, want spec.SizeOrPercent, written string) {
			got, err := spec.ParseSizeOrPercent(text)
			Expect(err).NotTo(HaveOccurred())
			Expect(got).To(Equal(want))
			Expect(got.String()).To(Equal(written))
		},
		Entry(nil, "1%", spec.SizeOrPercent{Percent: 1}, "1%"),
		Entry(nil, "95%", spec.SizeOrPercent{Percent: 95}, "95%"),
		Entry(nil, "10Gi", spec.SizeOrPercent{Bytes: 10 << 30}, "10Gi"),
	)

	DescribeTable("are no percentages",
		func(text, message string) {
			_, err := spec.ParseSizeOrPercent(text)
			Expect(err).To(MatchError(ContainSubstring(message)))
		},
		Entry(nil, "0%", "is not a percentage; write"),
		Entry(nil, "%", "is not a percentage; write"),
		Entry(nil, "08%", "is not a percentage; write"),
		Entry(nil, "-5%", "is not a percentage; write"),
		Entry(nil, "1.5%", "is not a percentage; write"),
		Entry(nil, "80 %", "is not a percentage; write"),
		Entry(nil, "96%", "%, to leave space in the volume group for the thin pool's metadata and spare"),
		Entry(nil, "100%", "%, to leave space in the volume group for the thin pool's metadata and spare"),
		Entry(nil, "99999999999999999999%", "%, to leave space in the volume group for the thin pool's metadata and spare"),
		Entry(nil, "80%VG", "not a size"),
	)

	It("never shows control characters of the input", func() {
		_, err := spec.ParseSize("1\x1b[31m")
		Expect(err).To(MatchError(ContainSubstring(`"1\x1b[31m"`)))
	})
})
