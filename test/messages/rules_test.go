package messages

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/volreconciler/volreconciler/test/prose/retired"
)

// tooLong is how many characters a rendered message may have. Aim at 200.
const tooLong = 300

// counted is one of something in the plural.
var counted = regexp.MustCompile(`\b1 (physical volumes|logical volumes|files|objects|volumes|snapshots|initiators|sessions|targets)\b`)

// risks are pieces of advice that can cost data, and the words that say so.
var risks = []struct {
	advice    *regexp.Regexp
	condition string
}{
	{regexp.MustCompile(`\bvgreduce\b`), "only if they are lost for good"},
	{regexp.MustCompile(`\bto create a new\b.*/recreate`), "a new, empty one"},
	{regexp.MustCompile(`\badopt everything\b`), "If no other node"},
	{regexp.MustCompile(`\blvchange --deltag\)`), "Find the right one"},
	{regexp.MustCompile(`\ballow-deletions\b`), "exactly these"},
}

// readRetired returns the words that the project does not use, and those that messages do not use.
func readRetired() (retired.Words, error) {
	all, err := os.ReadFile("../prose/retired.txt")
	if err != nil {
		return retired.Words{}, err
	}
	own, err := os.ReadFile("retired.txt")
	if err != nil {
		return retired.Words{}, err
	}
	return retired.Parse(string(all) + string(own))
}

// complaints are what is wrong with an entry.
func complaints(e entry, words retired.Words) (found []string) {
	complain := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	if e.eg == "" {
		return []string{"has no example"}
	}
	if !pattern(e.text).MatchString(e.eg) {
		complain("the example is not what it renders: %s", e.eg)
	}
	if verb.MatchString(strings.ReplaceAll(e.eg, "%%", "")) && hasVerb(e.text) {
		complain("the example has verbs: %s", e.eg)
	}
	if n := utf8.RuneCountInString(e.eg); n > tooLong {
		complain("is too long: the example has %d characters, %d are allowed", n, tooLong)
	}
	if strings.Contains(e.eg, "  ") {
		complain("has two blanks in a row")
	}
	if many := counted.FindString(e.eg); many != "" {
		complain("says %q", many)
	}
	for _, r := range risks {
		if r.advice.MatchString(e.eg) && !strings.Contains(e.eg, r.condition) {
			complain("advises %s without %q", r.advice.FindString(e.eg), r.condition)
		}
	}
	own := verb.ReplaceAllString(e.text, "…")
	for _, hit := range words.In(own) {
		complain("says %q; write: %s", own[hit.From:hit.To], hit.Instead)
	}
	if e.kind == kindPart {
		return found
	}
	if strings.HasSuffix(e.eg, ".") {
		complain("ends with a full stop")
	}
	if first, _ := utf8.DecodeRuneInString(e.text); unicode.IsUpper(first) && !isName(firstWord(e.text)) {
		complain("begins in upper case with what is neither a name nor a kind")
	}
	if e.kind == kindStatus && e.none == "" && !actsOrWaits(e.eg) {
		complain("says neither what it waits for nor what the reader can do (or has a line none: WHY)")
	}
	return found
}

func firstWord(text string) string {
	word, _, _ := strings.Cut(text, " ")
	return strings.TrimRight(word, ":,;")
}

// isName: the names of kinds, systems and protocols are written with capitals.
func isName(word string) bool {
	switch word {
	case "Pool", "Volume", "Snapshot", "Image", "Export", "LUN", "LUNs", "LVM", "LIO", "NVMe", "iSCSI", "Pools", "Volumes", "Snapshots", "Images", "Exports":
		return true
	}
	kind, _, isID := strings.Cut(word, "/")
	return isID && isName(kind) || word == strings.ToUpper(word)
}

// A wait names what ends it.
var waits = regexp.MustCompile(`(?i)\b(waiting (for|to|until)|waits (for|until)|until|once|unless|retried|tried again)\b`)

// An action is an imperative after "; " or ". ", or a command after ": ".
var acts = regexp.MustCompile(`(?:^|[;.] |[;.] (?:To|If|For|Only if|Otherwise|First) [^;.]*, ?|, or |: )(?i:` + strings.Join(imperatives, "|") + `)\b`)

// To … : COMMAND also is an action.
var commands = regexp.MustCompile(`\b(lvchange|lvremove|lvrename|lvconvert|lvextend|vgreduce|vgextend|vgcfgrestore|vgmerge|vgcreate|volreconciler|annotate) `)

var imperatives = []string{
	"add", "adopt", "annotate", "ask", "change", "check", "choose", "clear", "close", "connect", "convert", "copy", "correct", "create",
	"declare", "delete", "disconnect", "export", "extend", "increase", "find", "fix", "free", "give", "grow", "install", "keep", "list", "log", "look", "make",
	"mount", "move", "name", "raise", "reconnect", "reduce", "release", "remove", "rename", "repair", "replace", "restart", "resume", "restore", "retain", "revert", "run",
	"see", "set", "split", "start", "stop", "take", "undo", "unmount", "use", "wait", "write",
}

func actsOrWaits(text string) bool {
	return waits.MatchString(text) || acts.MatchString(text) || commands.MatchString(text)
}
