package schedule

import (
	"fmt"
	"sync"
	"time"
)

// zones are those that were asked for, by their names: package time reads files for each.
var zones sync.Map

// Zone returns a time zone by its name in the IANA database. Each is read once: of a name that was valid before, it
// does no I/O.
func Zone(name string) (*time.Location, error) {
	if zone, known := zones.Load(name); known {
		return zone.(*time.Location), nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" || name == "" {
		return nil, fmt.Errorf("%q is not a time zone; write its name in the IANA database, like Europe/Berlin", name)
	}
	zones.Store(name, zone)
	return zone, nil
}
