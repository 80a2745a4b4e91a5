package schedule_test

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/schedule"
)

const local = "01-02 15:04 -0700"

var _ = Describe("A schedule where clocks change", func() {
	DescribeTable("is due", func(zone, expr, from, until string, expected ...string) {
		s := parse(expr, zone)
		start, end := moment(from), moment(until)
		var forward, back []string
		for t := s.Next(start.Add(-1)); t.Before(end); t = s.Next(t) {
			forward = append(forward, t.In(s.Zone()).Format(local))
		}
		for t := s.Latest(end.Add(-1)); !t.Before(start); t = s.Latest(t.Add(-1)) {
			back = append([]string{t.In(s.Zone()).Format(local)}, back...)
		}
		Expect(forward).To(Equal(expected))
		Expect(back).To(Equal(expected))
	},
		// Berlin: 2026-03-29 02:00 is 03:00, 2026-10-25 03:00 is 02:00.
		Entry("after the gap", "Europe/Berlin", "30 2 * * *", "2026-03-28 00:00", "2026-03-31 00:00",
			"03-28 02:30 +0100", "03-29 03:00 +0200", "03-30 02:30 +0200"),
		Entry("once for all times in the gap, and the first after it", "Europe/Berlin", "0,15,45 2,3 * * *", "2026-03-29 00:00", "2026-03-29 12:00",
			"03-29 03:00 +0200", "03-29 03:15 +0200", "03-29 03:45 +0200"),
		Entry("the first of two times", "Europe/Berlin", "30 2 * * *", "2026-10-24 00:00", "2026-10-27 00:00",
			"10-24 02:30 +0200", "10-25 02:30 +0200", "10-26 02:30 +0100"),
		Entry("each hour through the gap", "Europe/Berlin", "30 * * * *", "2026-03-29 00:00", "2026-03-29 03:00",
			"03-29 01:30 +0100", "03-29 03:30 +0200", "03-29 04:30 +0200"),
		Entry("each hour, twice by the clock", "Europe/Berlin", "@hourly", "2026-10-24 23:30", "2026-10-25 03:30",
			"10-25 02:00 +0200", "10-25 02:00 +0100", "10-25 03:00 +0100", "10-25 04:00 +0100"),
		Entry("each hour if all are named", "Europe/Berlin", "30 0-23 * * *", "2026-03-29 00:00", "2026-03-29 03:00",
			"03-29 01:30 +0100", "03-29 03:30 +0200", "03-29 04:30 +0200"),
		Entry("at steps that exist", "Europe/Berlin", "0 */2 * * *", "2026-03-28 23:00", "2026-03-29 05:00",
			"03-29 00:00 +0100", "03-29 04:00 +0200", "03-29 06:00 +0200"),
		Entry("in a range of hours, each of them", "Europe/Berlin", "0 1-4 * * *", "2026-10-24 22:00", "2026-10-25 12:00",
			"10-25 01:00 +0200", "10-25 02:00 +0200", "10-25 03:00 +0100", "10-25 04:00 +0100"),
		// New York: 2026-03-08 02:00 is 03:00, 2026-11-01 02:00 is 01:00.
		Entry("in New York after the gap", "America/New_York", "5 2 * * *", "2026-03-08 00:00", "2026-03-09 12:00",
			"03-08 03:00 -0400", "03-09 02:05 -0400"),
		Entry("in New York the first of two times", "America/New_York", "59 1 * * *", "2026-11-01 00:00", "2026-11-02 12:00",
			"11-01 01:59 -0400", "11-02 01:59 -0500"),
		// Beirut and Cairo: midnight does not exist (2026-03-29, 2026-04-24), or the hour before it exists twice.
		Entry("in Beirut on a day without midnight", "Asia/Beirut", "0 12 * * SUN", "2026-03-28 00:00", "2026-03-31 00:00",
			"03-29 12:00 +0300"),
		Entry("in Beirut at a midnight that does not exist", "Asia/Beirut", "@daily", "2026-03-27 12:00", "2026-03-30 00:00",
			"03-28 00:00 +0200", "03-29 01:00 +0300", "03-30 00:00 +0300"),
		Entry("in Beirut once at the midnight that is reached twice", "Asia/Beirut", "0 0 * * *", "2026-10-23 12:00", "2026-10-26 00:00",
			"10-24 00:00 +0300", "10-25 00:00 +0200", "10-26 00:00 +0200"),
		Entry("in Cairo on a day without midnight", "Africa/Cairo", "0 12 * * FRI", "2026-04-23 00:00", "2026-04-26 00:00",
			"04-24 12:00 +0300"),
		Entry("in Cairo in the hour that exists twice", "Africa/Cairo", "30 23 * * THU", "2026-10-28 00:00", "2026-10-31 00:00",
			"10-29 23:30 +0300"),
		// Lord Howe: half an hour; 2026-10-04 02:00 is 02:30, 2026-04-05 02:00 is 01:30.
		Entry("on Lord Howe after the gap of half an hour", "Australia/Lord_Howe", "15 2 * * *", "2026-10-03 00:00", "2026-10-05 00:00",
			"10-04 02:30 +1100", "10-05 02:15 +1100"),
		Entry("on Lord Howe the first of two times", "Australia/Lord_Howe", "45 1 * * *", "2026-04-04 00:00", "2026-04-06 00:00",
			"04-05 01:45 +1100", "04-06 01:45 +1030"),
		Entry("on Lord Howe at all times that match", "Australia/Lord_Howe", "45 */1 * * *", "2026-04-04 13:30", "2026-04-04 17:00",
			"04-05 00:45 +1100", "04-05 01:45 +1100", "04-05 01:45 +1030", "04-05 02:45 +1030"),
		// Apia: 2011-12-30 does not exist.
		Entry("in Apia at the end of the day that does not exist", "Pacific/Apia", "0 12 * * FRI", "2011-12-25 00:00", "2012-01-07 00:00",
			"12-31 00:00 +1400", "01-06 12:00 +1400"),
		Entry("in Apia daily", "Pacific/Apia", "0 0 * * *", "2011-12-28 12:00", "2012-01-01 00:00",
			"12-29 00:00 -1000", "12-31 00:00 +1400", "01-01 00:00 +1400"),
		Entry("in UTC", "UTC", "30 2 * * *", "2026-03-28 00:00", "2026-03-31 00:00",
			"03-28 02:30 +0000", "03-29 02:30 +0000", "03-30 02:30 +0000"),
	)

	It("is due when a walk minute by minute says so", func() {
		random := rand.New(rand.NewPCG(uint64(GinkgoRandomSeed()), 2))
		changes := map[string][]string{
			"Europe/Berlin":       {"2026-03-29 01:00", "2026-10-25 01:00"},
			"America/New_York":    {"2026-03-08 07:00", "2026-11-01 06:00"},
			"Asia/Beirut":         {"2026-03-28 22:00", "2026-10-24 21:00"},
			"Africa/Cairo":        {"2026-04-23 22:00", "2026-10-29 21:00"},
			"Australia/Lord_Howe": {"2026-04-04 15:00", "2026-10-03 15:30"},
			"Pacific/Apia":        {"2011-12-30 10:00", "2011-04-02 14:00"},
			"America/Caracas":     {"2007-12-09 07:00", "2016-05-01 07:00"}, // half an hour back, and forward, for good
			"UTC":                 {"2026-03-29 01:00"},
		}
		runs := 0
		for range 40 {
			for zone, days := range changes {
				for _, change := range days {
					s := parse(randomExpression(random), zone)
					start := moment(change).Add(-36 * time.Hour).Add(-time.Duration(random.IntN(1440)) * time.Minute)
					end := start.Add(96 * time.Hour)
					expected := walk(s, start, end)
					runs += len(expected)
					var forward, back []time.Time
					for t := s.Next(start); !t.IsZero() && !t.After(end); t = s.Next(t) {
						forward = append(forward, t)
					}
					for t := s.Latest(end); t.After(start); t = s.Latest(t.Add(-1)) {
						back = append([]time.Time{t}, back...)
					}
					Expect(forward).To(Equal(expected), "Next: seed %d, %s in %s", GinkgoRandomSeed(), s, zone)
					Expect(back).To(Equal(expected), "Latest: seed %d, %s in %s", GinkgoRandomSeed(), s, zone)
				}
			}
		}
		Expect(runs).To(BeNumerically(">", 1000))
	})
})

// walk is the rule of the package once more: for each minute of real time in (start, end], look at the
// clock on the wall. It begins early, to know what the clock has shown before.
func walk(s schedule.Schedule, start, end time.Time) []time.Time {
	wallOf := func(t time.Time) time.Time {
		_, offset := t.In(s.Zone()).Zone()
		return t.Add(time.Duration(offset) * time.Second)
	}
	const minute = time.Minute
	var due []time.Time
	shown := wallOf(start.Add(-48*time.Hour - minute)) // the latest that the clock has shown
	for t := start.Add(-48 * time.Hour); !t.After(end); t = t.Add(minute) {
		wall := wallOf(t)
		run := matches(s.String(), wall)
		if !everyHour(s.String()) {
			run = run && wall.After(shown)
			for skipped := shown.Add(minute); skipped.Before(wall); skipped = skipped.Add(minute) {
				run = run || matches(s.String(), skipped)
			}
		}
		if wall.After(shown) {
			shown = wall
		}
		if run && t.After(start) {
			due = append(due, t)
		}
	}
	return due
}

func everyHour(expr string) bool { return strings.ContainsAny(strings.Fields(expr)[1], "*/") }

// matches reads the expressions that randomExpression makes, without the parser.
func matches(expr string, wall time.Time) bool {
	f := strings.Fields(expr)
	inMonthDay, inWeekday := in(f[2], wall.Day(), 1), in(f[4], int(wall.Weekday()), 0)
	day := inMonthDay || inWeekday
	if f[2] == "*" || f[4] == "*" {
		day = inMonthDay && inWeekday
	}
	return day && in(f[0], wall.Minute(), 0) && in(f[1], wall.Hour(), 0) && in(f[3], int(wall.Month()), 1)
}

func in(field string, value, lowest int) bool {
	for part := range strings.SplitSeq(field, ",") {
		span, step, stepped := strings.Cut(part, "/")
		every := 1
		if stepped {
			every, _ = strconv.Atoi(step)
		}
		from, until := lowest, 60
		if span != "*" {
			low, high, ranged := strings.Cut(span, "-")
			from, _ = strconv.Atoi(low)
			switch {
			case ranged:
				until, _ = strconv.Atoi(high)
			case !stepped:
				until = from
			}
		}
		if value >= from && value <= until && (value-from)%every == 0 {
			return true
		}
	}
	return false
}

// randomExpression favours the hours at which clocks change.
func randomExpression(random *rand.Rand) string {
	pick := func(choices ...string) string { return choices[random.IntN(len(choices))] }
	number := func(n int) string { return strconv.Itoa(random.IntN(n)) }
	return strings.Join([]string{
		pick("0", "30", number(60), number(60)+","+number(60), "*/15", "10-20", "*", "59"),
		pick("*", "0", "1", "2", "3", "23", number(24), "1-3", "22,23,0", "*/2", "*/3", "1/2", "0-6/2", number(24)+","+number(24)),
		pick("*", "*", "*", "*/2", "29", "30", "24,28-31"),
		pick("*", "*", "*", "3,4,10", "12"),
		pick("*", "*", "*", "0", "5", "1-5", "4,6"),
	}, " ")
}
