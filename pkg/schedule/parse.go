package schedule

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// names are the expressions that have a name.
var names = map[string]string{
	"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *",
}

// syntax is what every message about an expression ends with.
const syntax = `write five fields (minute, hour, day of the month, month, weekday), such as "30 1 * * *", ` +
	`or @hourly, @daily, @weekly, @monthly, @yearly`

// positions are the fields by their order in an expression.
var positions = [5]struct{ name, allowed string }{
	{"minute", "0-59"}, {"hour", "0-23"}, {"day of the month", "1-31"}, {"month", "1-12 or JAN-DEC"}, {"weekday", "0-6 or SUN-SAT (Sunday is 0)"},
}

var parser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// element is one of the comma-separated parts of a field. robfig/cron takes *-5 for *, and a field of
// commas alone for one that never matches.
var element = regexp.MustCompile(`^(\*|[0-9]{1,2}|[A-Za-z]{3})(-([0-9]{1,2}|[A-Za-z]{3}))?(/[0-9]{1,2})?$`)

// Parse reads an expression of five fields, or one of the names @hourly, @daily, @weekly, @monthly and
// @yearly. Times in it are those of the zone.
func Parse(expr string, zone *time.Location) (Schedule, error) {
	given := strings.TrimSpace(expr)
	text := given
	switch {
	case strings.HasPrefix(text, "TZ="), strings.HasPrefix(text, "CRON_TZ="):
		return Schedule{}, fmt.Errorf("schedule %q has a time zone in it: set timeZone instead", given)
	case strings.HasPrefix(text, "@"):
		named, found := names[text]
		if !found {
			return Schedule{}, fmt.Errorf("schedule %q is not known: %s", given, syntax)
		}
		text = named
	}
	parts := strings.Fields(text)
	if len(parts) != len(positions) {
		return Schedule{}, fmt.Errorf("schedule %q has %d fields: %s", given, len(parts), syntax)
	}
	for i, part := range parts {
		if !isValid(i, part) {
			return Schedule{}, fmt.Errorf("schedule %q: %q is not a %s: use %s, a list (1,2), a range (1-3), * or a step (*/2)",
				given, part, positions[i].name, positions[i].allowed)
		}
	}
	parsed, err := parser.Parse(strings.Join(parts, " "))
	if err != nil {
		return Schedule{}, fmt.Errorf("schedule %q: %w", given, err)
	}
	bits, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return Schedule{}, fmt.Errorf("schedule %q is not known: %s", given, syntax)
	}
	s := Schedule{
		expr: given, zone: zone,
		fields: fields{minutes: bits.Minute, hours: bits.Hour, days: bits.Dom, months: bits.Month, weekdays: bits.Dow},
		// 0-23 names all hours, and is meant as * is.
		everyHour: strings.ContainsAny(parts[1], "*/") || bits.Hour == 1<<24-1,
	}
	if !s.hasDay() {
		return Schedule{}, fmt.Errorf("schedule %q is never due: none of its months has day %s", given, parts[2])
	}
	return s, nil
}

// isValid reports whether a field is one by itself.
func isValid(position int, field string) bool {
	for part := range strings.SplitSeq(field, ",") {
		if !element.MatchString(part) || strings.HasPrefix(part, "*-") {
			return false
		}
	}
	alone := [5]string{"*", "*", "*", "*", "*"}
	alone[position] = field
	_, err := parser.Parse(strings.Join(alone[:], " "))
	return err == nil
}

// hasDay reports whether there is a day that matches, in leap years at least.
func (f fields) hasDay() bool {
	if f.weekdays&star == 0 && f.days&star == 0 {
		return true // a weekday is enough
	}
	for month := time.January; month <= time.December; month++ {
		days := time.Date(2024, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
		if f.months>>month&1 == 1 && f.days&(1<<(days+1)-1) != 0 {
			return true
		}
	}
	return false
}
