package host

import (
	"slices"
	"strings"
	"testing"
)

// split takes a line apart as LVM does (lvm_split in its tools/lvmcmdline.c): at
// white space, with quotes around whole words and no escapes, up to a comment.
func split(line string) []string {
	const space = " \t\n\v\f\r"
	var words []string
	for {
		line = strings.TrimLeft(line, space)
		if line == "" || line[0] == '#' {
			return words
		}
		ends := space
		if line[0] == '\'' || line[0] == '"' {
			ends, line = line[:1], line[1:]
		}
		n := strings.IndexAny(line, ends)
		if n < 0 {
			return append(words, line)
		}
		words, line = append(words, line[:n]), line[n+1:]
	}
}

// FuzzShellLine checks that the shell gets exactly the words of a command, or
// nothing at all. The words are given as one text, a byte that no word holds
// between them.
func FuzzShellLine(f *testing.F) {
	for _, seed := range []string{
		"lvs", "lvs|-S|lv_uuid=x && lv_tags=volreconciler/kind=volume", "lvcreate||-n|", "lvs|#x|x#y|# x", "lvs|'|\"", "lvs|'a b'|\"a b\"",
		"lvs|a\nlvremove|vg0", "lvs|\t|a\tb", "lvs|\\|a\\ b", "lvs|a\x00b", "lvs|ä|\u00a0", "lvs| | a|a |  ", "#|x", "--config|x|-|--", "lvs|\v|\f\r",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		argv := strings.Split(text, "|")
		line, err := shellLine(argv)
		if err != nil {
			return
		}
		if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
			t.Errorf("%q is no line", line)
		}
		if words := split(strings.TrimSuffix(line, "\n")); !slices.Equal(words, argv) {
			t.Errorf("%q became %q, which LVM reads as %q", argv, line, words)
		}
	})
}
