package schedule_test

import (
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/schedule"
)

// agent asks Due as the agent does, and remembers what it is told to.
type agent struct {
	schedule schedule.Schedule
	jitter   time.Duration
	state    schedule.State
	runs     []time.Time // moments
	at       []time.Time // when they were run
}

// ask returns when to ask next.
func (a *agent) ask(now time.Time) time.Time {
	timing := schedule.Due(a.schedule, a.jitter, "db", a.state, now)
	a.state = timing.State
	if !timing.Run.IsZero() {
		a.runs, a.at = append(a.runs, timing.Run), append(a.at, now)
		a.state.Done = timing.Run
	}
	return timing.Wake
}

// until asks at each wake-up, and returns the moments that were run.
func (a *agent) until(now, end time.Time) []time.Time {
	before := len(a.runs)
	for wakes := 0; !now.After(end); wakes++ {
		Expect(wakes).To(BeNumerically("<", 10000))
		next := a.ask(now)
		Expect(next).To(BeTemporally(">", now))
		now = next
	}
	return a.runs[before:]
}

func moments(texts ...string) []time.Time {
	var all []time.Time
	for _, text := range texts {
		all = append(all, moment(text))
	}
	return all
}

var _ = Describe("Due", func() {
	var a *agent
	BeforeEach(func() {
		a = &agent{schedule: parse("5 * * * *", "UTC"), state: schedule.State{Since: moment("2026-01-01 10:05")}}
	})

	It("runs each moment once, from the first one after the schedule was seen", func() {
		Expect(a.until(moment("2026-01-01 10:30"), moment("2026-01-01 13:04"))).To(Equal(moments("2026-01-01 11:05", "2026-01-01 12:05")))
		Expect(a.until(moment("2026-01-01 12:05"), moment("2026-01-01 13:04"))).To(BeEmpty())
	})

	It("runs one moment after any number of missed ones", func() {
		Expect(a.until(moment("2026-01-01 10:30"), moment("2026-01-01 11:05"))).To(HaveLen(1))
		Expect(a.until(moment("2026-03-01 07:50"), moment("2026-03-01 09:00"))).To(Equal(moments("2026-03-01 07:05", "2026-03-01 08:05")))
	})

	It("runs no moment twice when the clock goes back by an hour", func() {
		a.schedule = parse("*/10 * * * *", "UTC")
		Expect(a.until(moment("2026-01-01 10:30"), moment("2026-01-01 12:00"))).To(HaveLen(10))
		Expect(a.until(moment("2026-01-01 11:01"), moment("2026-01-01 12:09"))).To(BeEmpty())
		Expect(a.until(moment("2026-01-01 12:09"), moment("2026-01-01 12:25"))).To(Equal(moments("2026-01-01 12:10", "2026-01-01 12:20")))
	})

	It("runs one moment when the clock jumps a year ahead, and the next regular one when it is back", func() {
		Expect(a.until(moment("2026-01-01 10:30"), moment("2026-01-01 12:30"))).To(HaveLen(2))
		Expect(a.until(moment("2027-01-01 12:31"), moment("2027-01-01 12:40"))).To(Equal(moments("2027-01-01 12:05")))
		Expect(a.until(moment("2026-01-01 12:41"), moment("2026-01-01 15:00"))).To(Equal(moments("2026-01-01 13:05", "2026-01-01 14:05")))
	})

	It("is not stopped by having been seen first while the clock was ahead", func() {
		a.state = schedule.State{Since: moment("2027-01-01 00:00")}
		Expect(a.until(moment("2026-01-01 10:30"), moment("2026-01-01 12:30"))).To(Equal(moments("2026-01-01 11:05", "2026-01-01 12:05")))
	})

	It("runs no moment twice, and none before it was seen, after a start in 1970", func() {
		Expect(a.until(moment("1970-01-01 00:00"), moment("1970-01-01 02:00"))).To(Equal(moments("1970-01-01 00:05", "1970-01-01 01:05")))
		Expect(a.until(moment("2026-01-01 10:30"), moment("2026-01-01 11:30"))).To(Equal(moments("2026-01-01 11:05")))
		Expect(a.until(moment("1970-01-01 00:00"), moment("1970-01-01 00:30"))).To(Equal(moments("1970-01-01 00:05")))
		Expect(a.until(moment("2026-01-01 11:40"), moment("2026-01-01 12:30"))).To(Equal(moments("2026-01-01 12:05")))
	})

	It("runs the moment of a wrong clock once only, when its time has come", func() {
		Expect(a.until(moment("2026-01-02 00:00"), moment("2026-01-02 00:30"))).To(Equal(moments("2026-01-01 23:05", "2026-01-02 00:05")))
		Expect(a.until(moment("2026-01-01 11:00"), moment("2026-01-02 02:00"))).To(HaveLen(14), "11:05 to 1:05, without 0:05")
	})

	It("never wakes for a schedule that is not due again", func() {
		a.schedule = schedule.Schedule{}
		Expect(a.ask(moment("2026-01-01 10:30"))).To(BeZero())
		Expect(a.runs).To(BeEmpty())
	})

	It("runs all moments with their jitter, once and in order, whenever it is asked", func() {
		rapid.Check(GinkgoT(), func(t *rapid.T) {
			exprs := []string{"5 * * * *", "*/7 * * * *", "35 1 * * *", "30 2 * * 0", "0 */3 * * *"}
			a := &agent{
				schedule: parse(rapid.SampledFrom(exprs).Draw(t, "expr"), "Europe/Berlin"),
				jitter:   time.Duration(rapid.IntRange(0, 200).Draw(t, "jitter")) * time.Minute,
			}
			now := moment("2026-03-28 12:00").Add(time.Duration(rapid.IntRange(0, 86400).Draw(t, "start")) * time.Second)
			a.state.Since = now
			wake := now
			for range rapid.IntRange(1, 60).Draw(t, "asked") {
				last := now
				if rapid.Bool().Draw(t, "in time") {
					now = wake
				} else {
					now = now.Add(time.Duration(rapid.IntRange(0, 40000).Draw(t, "later")) * time.Second)
				}
				before := len(a.runs)
				asked := now
				wake = a.ask(asked)
				if !wake.After(now) {
					t.Fatalf("asked at %s, and is to be asked again at %s", now, wake)
				}
				settled := a.state.Since
				if len(a.runs) > 0 {
					settled = a.runs[len(a.runs)-1]
				}
				for m := a.schedule.Next(settled); m.Before(wake); m = a.schedule.Next(m) {
					if at := m.Add(schedule.Jitter("db", m, a.jitter)); at.After(now) && at.Before(wake) {
						t.Fatalf("asked at %s, and is to be asked again at %s, which misses %s at %s", now, wake, m, at)
					}
				}
				// What became due since the last question, by looking at each moment.
				var missed []time.Time
				for m := a.schedule.Next(last.Add(-a.jitter - time.Hour)); !m.After(now); m = a.schedule.Next(m) {
					at := m.Add(schedule.Jitter("db", m, a.jitter))
					if m.After(a.state.Since) && at.After(last) && !at.After(now) {
						missed = append(missed, m)
					}
				}
				if len(a.runs) > before+1 {
					t.Fatalf("%d runs at once", len(a.runs)-before)
				}
				if len(a.runs) == before && len(missed) > 0 && (before == 0 || missed[len(missed)-1].After(a.runs[before-1])) {
					t.Fatalf("at %s nothing was run, although %v were missed", now, missed)
				}
				if len(a.runs) > before && a.runs[before] != missed[len(missed)-1] {
					t.Fatalf("at %s %s was run, not the last of %v", now, a.runs[before], missed)
				}
			}
			if !slices.IsSortedFunc(a.runs, func(x, y time.Time) int {
				if !x.Before(y) {
					return 1
				}
				return -1
			}) {
				t.Fatalf("not once and in order: %v", a.runs)
			}
		})
	})
})

var _ = Describe("Jitter", func() {
	It("is the same for one name and moment, differs between them, and covers all of its range", func() {
		at := moment("2026-01-01 10:05")
		seen := map[time.Duration]int{}
		for i := range 10000 {
			m := at.Add(time.Duration(i) * time.Hour)
			jitter := schedule.Jitter("db", m, 9*time.Second)
			Expect(jitter).To(Equal(schedule.Jitter("db", m.In(time.FixedZone("x", 3600)), 9*time.Second)))
			seen[jitter]++
		}
		Expect(seen).To(HaveLen(10), "0 to 9 seconds")
		for jitter, times := range seen {
			Expect(jitter).To(BeNumerically("<=", 9*time.Second))
			Expect(times).To(BeNumerically("~", 1000, 200))
		}
		Expect(schedule.Jitter("db", at, time.Hour)).NotTo(Equal(schedule.Jitter("db2", at, time.Hour)))
		Expect(schedule.Jitter("db", at, time.Hour)).To(Equal(884*time.Second), "a restart, or a new release, changes nothing")
		Expect(schedule.Jitter("db", at, 0)).To(BeZero())
		Expect(schedule.Jitter("db", at, -time.Hour)).To(BeZero())
	})
})
