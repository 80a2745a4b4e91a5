package spec

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Keeper keeps, across restarts, what files say that are without mistakes.
type Keeper interface {
	// Kept returns what is kept, by the absolute paths of the files. It is called once, before Keep.
	Kept() (map[string][]byte, error)
	// Keep keeps what files say, by their absolute paths, where nil stands for what is kept, and
	// what is kept of the files in stay. All else is forgotten. After an error it is called again.
	Keep(texts map[string][]byte, stay map[string]bool) error
}

// keeping is what a Source hands to its [Keeper].
type keeping struct {
	Keeper
	dir  string // of the files
	root string // its absolute path
	// last is what of the files was told to be kept last: to be told of again only if it is
	// another.
	last map[string]bool
	err  error
}

// open returns the objects that were kept of the files of the directory, by their paths.
func (k *keeping) open(targetPrefix string) holding {
	h := holding{}
	if k.Keeper == nil {
		return h
	}
	texts, err := k.Kept()
	k.err = err
	for path, text := range texts {
		below, err := filepath.Rel(k.root, path)
		if err != nil || !filepath.IsLocal(below) { // of another directory
			continue
		}
		name := filepath.Join(k.dir, below)
		h[name] = restored(read(name, text, targetPrefix).objects)
	}
	return h
}

// restored marks objects as what their files said before the start.
func restored(objects []*object) []*object {
	all := make([]*object, len(objects))
	for i, o := range objects {
		all[i] = o.held()
		all[i].restored = true
	}
	return all
}

// keep tells what the files say that are without mistakes. What was kept of the others stays as
// long as it holds, or may be recalled.
func (k *keeping) keep(readings []reading, files map[string]*file, held, gone holding) {
	if k.Keeper == nil {
		return
	}
	if k.err == nil && !k.news(readings, files, held, gone) {
		return
	}
	texts, stay := map[string][]byte{}, map[string]bool{}
	told := make(map[string]bool, len(readings))
	for _, r := range readings {
		if r.good() {
			texts[k.absolute(r.path)] = files[r.path].text
		}
	}
	for _, h := range []holding{held, gone} {
		for path := range h {
			told[path] = true
			stay[k.absolute(path)] = true
		}
	}
	if k.err = k.Keep(texts, stay); k.err != nil {
		return
	}
	k.last = told
	for _, f := range files {
		f.text = nil
	}
}

// news reports whether something is to be kept, or forgotten.
func (k *keeping) news(readings []reading, files map[string]*file, held, gone holding) bool {
	for _, r := range readings {
		if r.good() && files[r.path].text != nil {
			return true
		}
	}
	for path := range k.last {
		_, holds := held[path]
		if _, recalled := gone[path]; !holds && !recalled {
			return true
		}
	}
	return k.last == nil
}

// good reports whether a file is without mistakes.
func (r reading) good() bool { return r.problem == nil && len(r.content.findings) == 0 }

func (k *keeping) absolute(path string) string {
	below, err := filepath.Rel(k.dir, path)
	if err != nil {
		return path
	}
	return filepath.Join(k.root, below)
}

// warnings say what is not kept, and which files hold with what they said before the start.
func (k *keeping) warnings(held holding) []string {
	var warnings []string
	if k.err != nil {
		warnings = append(warnings, "cannot save the last good content of the spec files; after a restart a broken file has none: "+strings.ReplaceAll(k.err.Error(), "\n", "; "))
	}
	var files []string
	for path, objects := range held {
		if slices.ContainsFunc(objects, func(o *object) bool { return o.restored }) {
			files = append(files, path)
		}
	}
	const shown = 3
	if len(files) == 0 {
		return warnings
	}
	slices.Sort(files)
	more := ""
	if n := len(files) - shown; n > 0 {
		files, more = files[:shown], fmt.Sprintf(", and %d more", n)
	}
	return append(warnings, "these files have findings or cannot be read; their last good content, saved earlier, is in effect: "+strings.Join(files, ", ")+more)
}

// withoutOutdated leaves out objects from before the start that another file declares by now: they
// may have moved there while no agent ran. Those that remain come last.
func withoutOutdated(objects []*object) []*object {
	if !slices.ContainsFunc(objects, func(o *object) bool { return o.restored }) {
		return objects
	}
	declared := map[ID]bool{}
	for _, o := range objects {
		declared[o.id] = declared[o.id] || !o.restored
	}
	var now, before []*object
	for _, o := range objects {
		switch {
		case !o.restored:
			now = append(now, o)
		case !declared[o.id]:
			before = append(before, o)
		}
	}
	return append(now, before...)
}
