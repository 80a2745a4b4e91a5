package schedule_test

import (
	"testing"
	"time"

	"github.com/volreconciler/volreconciler/pkg/schedule"
)

// FuzzParse checks that what is accepted is due some day, and that Next and Latest agree on when.
func FuzzParse(f *testing.F) {
	for _, expr := range []string{"5 * * * *", "@weekly", "0 0 29 2 *", "*/15 1-3,5 */2 JAN-mar 1-5", "0 0 31 2 SUN", "TZ=0", "*-5 , 1/2 ? 7"} {
		f.Add(expr, int64(1774746000), true)
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, expr string, seconds int64, local bool) {
		zone := time.UTC
		if local {
			zone = berlin
		}
		s, err := schedule.Parse(expr, zone)
		if err != nil {
			return
		}
		const fromYear1900, until2090 = -2208988800, 3786912000
		if seconds < fromYear1900 || seconds > until2090 {
			return
		}
		after := time.Unix(seconds, 0).UTC()
		next := s.Next(after)
		if !next.After(after) || next.After(after.AddDate(8, 0, 2)) {
			t.Fatalf("after %s %q is due at %s", after, expr, next)
		}
		if latest := s.Latest(next); !latest.Equal(next) {
			t.Fatalf("%q is due at %s, but the latest moment until then is %s", expr, next, latest)
		}
		if latest := s.Latest(next.Add(-1)); latest.After(after) || s.Next(latest) != next {
			t.Fatalf("%q was due at %s, and is due next at %s, but between them at %s", expr, latest, next, s.Next(latest))
		}
	})
}
