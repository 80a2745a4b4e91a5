package spec

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Duration is a time span in whole seconds that is not negative, written as Go
// writes them: 24h, 1h30m, 0s.
type Duration time.Duration

const durationForm = "whole seconds, minutes or hours with their unit, like 30s, 1h30m or 24h"

// ParseDuration reads a duration: numbers with the units h, m and s, as
// [time.ParseDuration] reads them.
//
// Signs, parts of a second, and numbers without a unit are errors, 0 included:
// whoever leaves out the unit may mean another one.
func ParseDuration(text string) (Duration, error) {
	d, err := time.ParseDuration(text)
	switch {
	case text == "":
		return 0, errors.New("the duration is empty; write " + durationForm)
	case text[0] == '-':
		return 0, fmt.Errorf("%s is negative; write %s", quote(text), durationForm)
	case countDigits(text) == len(text):
		return 0, fmt.Errorf("%s has no unit; write %s", quote(text), durationForm)
	case text[0] == '+' || err != nil:
		hint := ""
		if days, ok := strings.CutSuffix(text, "d"); ok && countDigits(days) == len(days) {
			hint = "; a day is 24h"
		}
		return 0, fmt.Errorf("%s is not a duration; write %s%s", quote(text), durationForm, hint)
	case d%time.Second != 0:
		return 0, fmt.Errorf("%s has fractions of a second; write %s", quote(text), durationForm)
	default:
		return Duration(d), nil
	}
}

// String writes the duration without units that are zero: 24h, 1h30m, 0s.
// [ParseDuration] reads it back.
func (d Duration) String() string {
	text := time.Duration(d).String()
	if whole, ok := strings.CutSuffix(text, "m0s"); ok {
		text = whole + "m"
	}
	if whole, ok := strings.CutSuffix(text, "h0m"); ok {
		text = whole + "h"
	}
	return text
}

// MarshalText writes the duration as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the duration as [ParseDuration] does.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := ParseDuration(string(text))
	if err == nil {
		*d = parsed
	}
	return err
}
