package fakehost

import (
	"bytes"
	"strings"

	"gopkg.in/yaml.v3"
)

// entriesMark replaces the entries of a tree in a marshalled node.
const entriesMark = "these-are-the-entries"

// marshal returns the YAML of a node. A machine may have hundreds of thousands of entries
// in configfs, with few different texts, and the YAML library takes its time for each:
// these are written here, as it would write them.
func (n Node) marshal() ([]byte, error) {
	trees := [][]Entry{n.ConfigFS, n.NVMet}
	for i, tree := range []*[]Entry{&n.ConfigFS, &n.NVMet} {
		if len(*tree) > 0 {
			*tree = []Entry{{Path: entriesMark + string(rune('0'+i))}}
		}
	}
	data, err := yaml.Marshal(n)
	if err != nil {
		return nil, err
	}
	for i, entries := range trees {
		mark := entryStart + entriesMark + string(rune('0'+i)) + "\n"
		before, after, found := bytes.Cut(data, []byte(mark))
		if !found {
			continue
		}
		w := entryWriter{texts: map[string]string{}}
		w.out.Grow(len(before) + len(after) + 100*len(entries))
		w.out.Write(before)
		for _, e := range entries {
			if err := w.entry(e); err != nil {
				return nil, err
			}
		}
		w.out.Write(after)
		data = w.out.Bytes()
	}
	return data, nil
}

// entryStart is what an entry begins with.
const entryStart = "    - path: "

// entryWriter writes entries, and remembers how texts look.
type entryWriter struct {
	out   bytes.Buffer
	texts map[string]string
}

func (w *entryWriter) entry(e Entry) error {
	if !isPlainPath(e.Path) || e.Link != "" && !isPlainPath(e.Link) {
		text, err := marshalEntry(e)
		w.out.WriteString(text)
		return err
	}
	w.out.WriteString(entryStart + e.Path + "\n")
	if e.Text != nil {
		text, known := w.texts[*e.Text]
		if !known {
			whole, err := marshalEntry(Entry{Path: entriesMark, Text: e.Text})
			if err != nil {
				return err
			}
			text = strings.TrimPrefix(whole, entryStart+entriesMark+"\n")
			w.texts[*e.Text] = text
		}
		w.out.WriteString(text)
	}
	if e.Link != "" {
		w.out.WriteString("      link: " + e.Link + "\n")
	}
	return nil
}

// marshalEntry returns the YAML of an entry as an item of a node's list.
func marshalEntry(e Entry) (string, error) {
	data, err := yaml.Marshal(map[string][]Entry{"": {e}})
	_, entry, _ := strings.Cut(string(data), "\n")
	return entry, err
}

// isPlainPath reports whether YAML takes a path for a text without quotes, whatever its
// parts are: most are so.
func isPlainPath(path string) bool {
	if path == "" || path[0] < 'a' || path[0] > 'z' || !strings.Contains(path, "/") || strings.HasSuffix(path, ":") {
		return false
	}
	return strings.Trim(path, alphanumeric+"_.:/-") == ""
}
