package notify

import (
	"regexp"
	"strings"
	"time"
)

// hidden stands for a number that may be another one when the same happens again.
const hidden = "…"

var (
	word = regexp.MustCompile(`\S+`)
	// number is one with or without a unit: 4711, 97.5%, 3.2Gi, 1h30m. What has other letters is a name.
	number = regexp.MustCompile(`^[+-]?(\d+([.,]\d+)?(%|[KMGTPE]i?B?|[BbkmgtpesS]|ms|µs|ns|h|d|m)?(/s)?)+$`)
)

// lasting are words before a number that is a part of a name, or of what went wrong.
var lasting = map[string]bool{"lun": true, "luns": true, "uid": true, "status": true, "errno": true, "line": true, "version": true, "code": true}

// steady returns a message without what changes while a state lasts, or from one time to the next: sizes,
// percentages, times, numbers of processes. Receivers can compare such texts.
func steady(message string) string {
	before := ""
	return word.ReplaceAllStringFunc(message, func(w string) string {
		core := strings.Trim(w, `.,:;()[]{}"'`)
		last := before
		before = strings.ToLower(core)
		if core == "" || lasting[last] || !number.MatchString(core) && !isTime(core) {
			return w
		}
		return strings.Replace(w, core, hidden, 1)
	})
}

func isTime(text string) bool {
	_, err := time.Parse(time.RFC3339, text)
	return err == nil
}
