package retention

import "time"

// period is one line of Keep while snapshots are counted, from the newest to the oldest.
type period struct {
	rule  Rule
	field string
	left  int // how many more it keeps
	// of returns the number of the period that a time (in UTC) is in. Nil: each snapshot is one of its own.
	of   func(time.Time) int
	last int // the period of the snapshot that it kept last
}

// periods returns the lines of Keep, in the order of restic's reasons.
func (k Keep) periods() [6]period {
	return [6]period{
		{rule: Last, field: "last", left: k.Last},
		{rule: Hourly, field: "hourly", left: k.Hourly, of: hour, last: -1},
		{rule: Daily, field: "daily", left: k.Daily, of: day, last: -1},
		{rule: Weekly, field: "weekly", left: k.Weekly, of: week, last: -1},
		{rule: Monthly, field: "monthly", left: k.Monthly, of: month, last: -1},
		{rule: Yearly, field: "yearly", left: k.Yearly, of: time.Time.Year, last: -1},
	}
}

// byPeriods adds the rules of Keep to the verdicts. counted has the snapshots, newest first.
func byPeriods(keep Keep, snapshots []Snapshot, counted []int, verdicts []Verdict) {
	periods := keep.periods()
	for nr, i := range counted {
		at := snapshots[i].Time.UTC()
		for p := range periods {
			p := &periods[p]
			if p.left == 0 {
				continue
			}
			if p.of != nil {
				in := p.of(at)
				if in == p.last {
					if nr == len(counted)-1 {
						verdicts[i].Rules |= Oldest
					}
					continue
				}
				p.last = in
			}
			p.left--
			verdicts[i].Rules |= p.rule
		}
	}
}

func hour(t time.Time) int { return day(t)*24 + t.Hour() }

func day(t time.Time) int { return t.Year()*366 + t.YearDay() }

func week(t time.Time) int {
	year, week := t.ISOWeek()
	return year*100 + week
}

func month(t time.Time) int { return t.Year()*12 + int(t.Month()) }
