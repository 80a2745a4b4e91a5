package spec

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Keeper stores the last good content of files across restarts.
type Keeper interface {
	// Kept returns the stored texts by the absolute paths of the files. It is called once, before Keep.
	Kept() (map[string][]byte, error)
	// Keep stores texts by the absolute paths of their files; nil leaves a stored text as it is.
	// What is stored for the files in stay is kept as well; all else is removed. After an error it is
	// called again.
	Keep(texts map[string][]byte, stay map[string]bool) error
}

// keeperState is a [Keeper], with what a Source has stored there.
type keeperState struct {
	Keeper
	dir  string // of the files
	root string // its absolute path
	// last are the paths with which Keep was last called; nil: not yet. Keep is called
	// again only if something changed.
	last map[string]bool
	err  error
}

// load returns the objects stored for the files of the directory, by their paths.
func (k *keeperState) load(targetPrefix string) lastGood {
	h := lastGood{}
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
		h[name] = fromLastStart(read(name, text, targetPrefix).objects)
	}
	return h
}

// fromLastStart marks objects as the content that their files had before the start.
func fromLastStart(objects []*object) []*object {
	all := make([]*object, len(objects))
	for i, o := range objects {
		all[i] = o.asLastGood()
		all[i].restored = true
	}
	return all
}

// save stores the content of the files without mistakes. What is stored for the other files is
// kept while it is in effect, or was removed only recently.
func (k *keeperState) save(readings []reading, files map[string]*file, good, gone lastGood) {
	if k.Keeper == nil {
		return
	}
	if k.err == nil && !k.mustSave(readings, files, good, gone) {
		return
	}
	texts, stay := map[string][]byte{}, map[string]bool{}
	told := make(map[string]bool, len(readings))
	for _, r := range readings {
		if r.isGood() {
			texts[k.absolute(r.path)] = files[r.path].text
		}
	}
	for _, h := range []lastGood{good, gone} {
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

// mustSave reports whether the stored content has to change.
func (k *keeperState) mustSave(readings []reading, files map[string]*file, good, gone lastGood) bool {
	for _, r := range readings {
		if r.isGood() && files[r.path].text != nil {
			return true
		}
	}
	for path := range k.last {
		_, inEffect := good[path]
		if _, remembered := gone[path]; !inEffect && !remembered {
			return true
		}
	}
	return k.last == nil
}

// isGood reports whether a file was read without mistakes.
func (r reading) isGood() bool { return r.problem == nil && len(r.content.findings) == 0 }

func (k *keeperState) absolute(path string) string {
	below, err := filepath.Rel(k.dir, path)
	if err != nil {
		return path
	}
	return filepath.Join(k.root, below)
}

// warnings say what is not kept, and which files hold with what they said before the start.
func (k *keeperState) warnings(good lastGood) []string {
	var warnings []string
	if k.err != nil {
		warnings = append(warnings, "cannot save the last good content of the spec files; after a restart a broken file has none: "+strings.ReplaceAll(k.err.Error(), "\n", "; "))
	}
	var files []string
	for path, objects := range good {
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
