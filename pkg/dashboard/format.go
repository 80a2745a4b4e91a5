package dashboard

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// formatBytes returns a size as specs have it, rounded to three digits or so: 20Gi.
func formatBytes(n uint64) string {
	units := []string{" B", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"}
	size, unit := float64(n), 0
	for size >= 1024 && unit < len(units)-1 {
		size, unit = size/1024, unit+1
	}
	if rounded := math.Round(size*10) / 10; size < 100 && rounded != math.Trunc(rounded) {
		return fmt.Sprintf("%.1f%s", rounded, units[unit])
	}
	return fmt.Sprintf("%.0f%s", size, units[unit])
}

// formatPercent rounds to a tenth; what is not quite full is not shown as full.
func formatPercent(p float64) string {
	if p > 99.9 && p < 100 {
		p = 99.9
	}
	return strconv.FormatFloat(p, 'f', 1, 64) + "%"
}

// digits returns a number with its thousands apart: 1,024.
func digits(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// count returns "1 object" or "2 objects".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return digits(n) + " " + noun + "s"
}

// age returns how long before now something was, in the largest unit that says enough.
func age(now, then time.Time) string {
	switch d := now.Sub(then); {
	case then.IsZero():
		return ""
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

// clock is a time of today, when a full date and time; both are the node's, as in its logs.
func clock(t time.Time) string { return t.Local().Format("15:04:05 MST") }
func when(t time.Time) string  { return t.Local().Format("2006-01-02 15:04:05") }
func iso(t time.Time) string   { return t.UTC().Format(time.RFC3339) }

// clip returns the beginning of a text of which a list shows no more; its object's page has the whole.
func clip(limit int, what any) string {
	text := visible(what)
	if len(text) <= limit { // bytes: most texts need not be counted
		return text
	}
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return text
}

// visible replaces what a browser would obey instead of showing it: control characters, and those that
// turn the direction of writing.
func visible(what any) string {
	text, is := what.(string)
	if !is {
		text = fmt.Sprint(what) // a kind, a phase
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r), r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f, r == 0x061c:
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// permille is how far a job is, as the width of its bar.
func permille(p *status.Progress) int {
	percent, _ := p.Percent()
	return 10 * percent
}

// tenths is a percentage as the width of a bar.
func tenths(percent float64) int { return max(0, min(1000, int(10*percent))) }

// linkTo returns the address of an object's page.
func linkTo(kind spec.Kind, name string) string {
	return "/objects/" + url.PathEscape(string(kind)) + "/" + url.PathEscape(name)
}

// phaseClass names a phase in the style sheet. A phase that it does not know is shown as a word alone.
func phaseClass(p status.Phase) string { return strings.ToLower(string(p)) }
