package spec_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Durations", func() {
	DescribeTable("are read, and written back without units that are zero",
		func(text string, duration time.Duration, written string) {
			d, err := spec.ParseDuration(text)
			Expect(err).NotTo(HaveOccurred())
			Expect(time.Duration(d)).To(Equal(duration))
			Expect(d.String()).To(Equal(written))
			Expect(spec.ParseDuration(written)).To(Equal(d))
		},
		Entry(nil, "0s", time.Duration(0), "0s"),
		Entry(nil, "0h", time.Duration(0), "0s"),
		Entry(nil, "30s", 30*time.Second, "30s"),
		Entry(nil, "10m", 10*time.Minute, "10m"),
		Entry(nil, "24h", 24*time.Hour, "24h"),
		Entry(nil, "1.5h", 90*time.Minute, "1h30m"),
		Entry(nil, "60s", time.Minute, "1m"),
		Entry(nil, "1h0m5s", time.Hour+5*time.Second, "1h0m5s"),
		Entry(nil, "20h10m", 20*time.Hour+10*time.Minute, "20h10m"),
		Entry(nil, "1500ms500ms", 2*time.Second, "2s"),
	)

	DescribeTable("that could be misunderstood are refused",
		func(text, message string) {
			_, err := spec.ParseDuration(text)
			Expect(err).To(MatchError(ContainSubstring(message)))
		},
		Entry(nil, "", "the duration is empty; write"),
		Entry(nil, "0", "has no unit"),
		Entry(nil, "24", "has no unit"),
		Entry(nil, "-1h", "negative"),
		Entry(nil, "+1h", "is not a duration; write"),
		Entry(nil, "1d", "a day is 24h"),
		Entry(nil, "1 h", "is not a duration; write"),
		Entry(nil, "forever", "is not a duration; write"),
		Entry(nil, "1500ms", "has fractions of a second; write"),
		Entry(nil, "9999999h", "is not a duration; write"),
	)
})
