package schedule_test

import (
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/schedule"
)

var _ = Describe("Parse", func() {
	DescribeTable("refuses", func(expr, message string) {
		_, err := schedule.Parse(expr, time.UTC)
		Expect(err).To(MatchError(ContainSubstring(message)))
		Expect(err).To(MatchError(ContainSubstring(strings.TrimSpace(expr))))
	},
		Entry("nothing", "", "has 0 fields: write five fields"),
		Entry("seconds", "0 5 * * * *", "has 6 fields: write five fields"),
		Entry("@every", "@every 1h", "is not known: write five fields"),
		Entry("@reboot", "@reboot", "is not known"),
		Entry("a time zone", "TZ=Europe/Berlin 5 * * * *", "set timeZone instead"),
		Entry("a time zone without anything after it", "CRON_TZ=0", "set timeZone instead"),
		Entry("a minute that does not exist", "60 * * * *", `"60" is not a minute: use 0-59`),
		Entry("a weekday that does not exist", "0 0 * * 7", `"7" is not a weekday: use 0-6 or SUN-SAT (Sunday is 0)`),
		Entry("the name of a month as a weekday", "0 0 * * JAN", `"JAN" is not a weekday`),
		Entry("a range from the end", "0 5-2 * * *", `"5-2" is not a hour`),
		Entry("a step of zero", "*/0 * * * *", `"*/0" is not a minute`),
		Entry("a list without anything", ", * * * *", `"," is not a minute`),
		Entry("a list with a gap", "1,,2 * * * *", `"1,,2" is not a minute`),
		Entry("a range from a star", "*-5 * * * *", `"*-5" is not a minute`),
		Entry("a question mark", "0 0 ? * *", `"?" is not a day of the month`),
		Entry("a day that no month has", "0 0 30 2 *", "is never due: none of its months has day 30"),
	)

	DescribeTable("accepts", func(expr, after, expected string) {
		Expect(parse(expr, "UTC").Next(moment(after))).To(Equal(moment(expected)))
	},
		Entry("fields", "5 * * * *", "2026-01-01 00:05", "2026-01-01 01:05"),
		Entry("with spaces around", " 35  1 * * * ", "2026-01-01 00:00", "2026-01-01 01:35"),
		Entry("@hourly", "@hourly", "2026-01-01 00:00", "2026-01-01 01:00"),
		Entry("@daily", "@daily", "2026-01-01 00:00", "2026-01-02 00:00"),
		Entry("@weekly", "@weekly", "2026-01-01 00:00", "2026-01-04 00:00"),
		Entry("@monthly", "@monthly", "2026-01-01 00:00", "2026-02-01 00:00"),
		Entry("@yearly", "@yearly", "2026-01-01 00:00", "2027-01-01 00:00"),
		Entry("names in any case", "0 0 1 dec Mon-fri", "2026-01-01 00:00", "2026-12-01 00:00"),
		Entry("one of two restricted days", "0 0 13 * FRI", "2026-01-02 00:00", "2026-01-09 00:00"),
		Entry("both of two days if one is free", "0 0 * * FRI", "2026-01-02 00:00", "2026-01-09 00:00"),
		Entry("February 29", "0 0 29 2 *", "2026-01-01 00:00", "2028-02-29 00:00"),
		Entry("February 29 across a century", "0 0 29 2 *", "2096-02-29 00:00", "2104-02-29 00:00"),
		Entry("a weekday in a month without the day", "0 0 31 2 SUN", "2026-01-01 00:00", "2026-02-01 00:00"),
	)

	It("returns the last moment that was due, the moment itself included", func() {
		leap := parse("0 0 29 2 *", "UTC")
		Expect(leap.Latest(moment("2026-01-01 00:00"))).To(Equal(moment("2024-02-29 00:00")))
		Expect(leap.Latest(moment("2024-02-29 00:00"))).To(Equal(moment("2024-02-29 00:00")))
		Expect(leap.Latest(moment("2104-02-28 23:59"))).To(Equal(moment("2096-02-29 00:00")))
		Expect(leap.Latest(moment("2024-02-28 23:59:59 +0000"))).To(Equal(moment("2020-02-29 00:00")))
	})

	It("makes nothing due of a zero schedule", func() {
		Expect(schedule.Schedule{}.Next(time.Now())).To(BeZero())
		Expect(schedule.Schedule{}.Latest(time.Now())).To(BeZero())
	})
})
