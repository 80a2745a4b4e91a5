package spec

import (
	"slices"
	"strconv"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/publicurl"
)

// maxQuoted is how many bytes of the input a message repeats at most.
const maxQuoted = 80

// quote repeats a piece of the input in a message: shortened, and with every
// control character escaped, because messages go to terminals and logs. Of a URL it repeats
// what everybody may see.
func quote(text string) string {
	text = publicurl.InValue(text)
	if len(text) > maxQuoted {
		text = strings.ToValidUTF8(text[:maxQuoted], "") + "…"
	}
	return strconv.Quote(text)
}

// suggest names the candidate that the text was probably meant to be, as a
// piece of a sentence; empty if none is near.
func suggest(text string, candidates []string) string {
	best, nearest := "", 0
	for _, candidate := range slices.Sorted(slices.Values(candidates)) {
		d := distance(strings.ToLower(text), strings.ToLower(candidate))
		// A third of the letters wrong is still a slip; beyond that it is
		// another word.
		if d <= max(1, len(candidate)/3) && (best == "" || d < nearest) {
			best, nearest = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + strconv.Quote(best) + "?"
}

// Suggest names the candidate that a text was probably meant to be, as a piece of a sentence that
// begins with "; did you mean"; empty if none is near. The case does not matter.
func Suggest(text string, candidates []string) string { return suggest(text, candidates) }

// distance counts the letters to insert, delete, replace or swap with their
// neighbour to turn a into b (optimal string alignment).
func distance(a, b string) int {
	// A text this long is no slip of the names compared here, and the table
	// grows with the product of the lengths.
	if len(a) > maxQuoted || len(b) > maxQuoted {
		return max(len(a), len(b))
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
