package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// scheduledTime is how the name of a scheduled snapshot ends: the moment for which it was taken, in UTC.
const scheduledTime = "20060102t150405z"

// maxScheduledPrefix leaves room for a hyphen and the time in the name of a Snapshot.
const maxScheduledPrefix = maxDNSLabel - 1 - len(scheduledTime)

// prefixDigits is how many digits of a checksum are in a name that was shortened.
const prefixDigits = 8

// SnapshotName returns the name of a schedule's snapshot of a Volume: the schedule's name, that of the Volume unless
// the schedule is of one Volume by name, and the moment in UTC. A long name is shortened, and has a part of a
// checksum in it.
func (s SnapshotSchedule) SnapshotName(volume string, moment time.Time) string {
	return s.SnapshotPrefix(volume) + "-" + moment.UTC().Format(scheduledTime)
}

// SnapshotPrefix returns the part of that name before the hyphen and the moment.
func (s SnapshotSchedule) SnapshotPrefix(volume string) string {
	prefix := s.Metadata.Name
	if len(s.Spec.Volumes) != 1 {
		prefix += "-" + volume
	}
	if len(prefix) <= maxScheduledPrefix {
		return prefix
	}
	sum := sha256.Sum256([]byte(prefix))
	begin, _ := cut(prefix)
	return begin + "-" + hex.EncodeToString(sum[:])[:prefixDigits]
}

// cut returns the beginning of a name that leaves room for a hyphen and the digits of a checksum. It reports false
// if that is all of the name.
func cut(name string) (begin string, isCut bool) {
	if most := maxScheduledPrefix - len("-") - prefixDigits; len(name) > most {
		return strings.TrimRight(name[:most], "-"), true
	}
	return name, false
}

// DrillName returns the name of the volume into which a schedule restores a backup of a Volume to compare it.
func (s SnapshotSchedule) DrillName(volume string) string {
	name := s.Metadata.Name + "-" + volume + "-drill"
	if len(name) <= maxDNSLabel {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return strings.TrimRight(name[:maxDNSLabel-15], "-") + "-" + hex.EncodeToString(sum[:4]) + "-drill"
}

// MayHave reports whether a schedule may have made a snapshot of a name, as far as the name says.
func (s SnapshotSchedule) MayHave(snapshot string) bool {
	if _, is := ScheduledAt(snapshot); !is {
		return false
	}
	prefix := snapshot[:len(snapshot)-len(scheduledTime)] // with the hyphen
	if strings.HasPrefix(prefix, s.Metadata.Name+"-") {
		return true
	}
	begin, isCut := cut(s.Metadata.Name)
	return isCut && strings.HasPrefix(prefix, begin+"-") && len(prefix) == len(begin)+len("-")+prefixDigits+len("-")
}

// ScheduledAt returns the moment in the name of a scheduled snapshot. It reports false if the name has none.
func ScheduledAt(name string) (time.Time, bool) {
	at := len(name) - len(scheduledTime)
	if at < 2 || name[at-1] != '-' {
		return time.Time{}, false
	}
	moment, err := time.Parse(scheduledTime, name[at:])
	if err != nil || moment.Format(scheduledTime) != name[at:] {
		return time.Time{}, false
	}
	return moment, true
}
