package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// alternatives joins words as in "a, b or c".
func alternatives(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// count returns "1 object" or "2 objects".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// bytes returns a size that is easy to read, rounded to three digits or so.
func bytes(n uint64) string {
	units := []string{"B", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"}
	size, unit := float64(n), 0
	for size >= 1024 && unit < len(units)-1 {
		size, unit = size/1024, unit+1
	}
	if rounded := math.Round(size*10) / 10; size < 100 && rounded != math.Trunc(rounded) {
		return fmt.Sprintf("%.1f%s", rounded, units[unit])
	}
	return fmt.Sprintf("%.0f%s", size, units[unit])
}

// age returns how long ago something was, in the largest unit that says enough.
func age(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

// timeLeft returns how long until something may happen, to the minute; once it may,
// "due".
func timeLeft(d time.Duration) string {
	switch {
	case d <= 0:
		return "due"
	case d < time.Minute:
		return "less than 1m left"
	default:
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s") + " left"
	}
}
