package observe

import (
	"errors"
	"hash/maphash"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// cache reads files like the host, but those of configfs only once: what it has read it returns
// until it is told to forget it. It does nothing of the kind before it is switched on.
//
// It knows directories of two kinds. Objects are targets, backstores, subsystems and the like: a
// change of one file may change others of the same object, so that an object is forgotten as a
// whole. What lies above only lists objects.
type cache struct {
	host.Files
	seed maphash.Seed

	mu sync.Mutex
	on bool
	// forgotten is the number of calls of forget, so that what was read across one is not kept.
	forgotten uint64
	// unkept counts what was read of each object and could not be remembered. Several objects may be
	// read at once. Under elsewhere it counts files on disk, which belong to no object.
	unkept map[string]uint64
	// objects are what is known of each object, and of each directory above, by their paths.
	objects map[string]*object
	// same are values that were read last, so that equal ones are kept once.
	same map[cached]*cached
	// attributes are some of those that were read last, likewise.
	attributes []map[string]string
	// audited is what objects were before the audit that is under way; nil: there is none.
	audited map[string]*object
	// missed are the files and objects that an audit found changed though nobody had said so.
	missed map[string]bool
	// adoptees are read in full.
	adoptees adoptees
}

// object is what is known of an object. A node has thousands that differ in little, each with a
// hundred files. What is equal is therefore kept once for all.
type object struct {
	// files are what its files, directories and symlinks were, by their paths below its own.
	files map[string]*cached
	// parsed is what was made of them, see [remembered]; nil: nothing yet. Then only the sum is left
	// of the files.
	parsed any
	sum    uint64
}

// cached is what a file, directory or symlink was.
type cached struct {
	// text is what is in the file, where the symlink leads, or the entries of the directory.
	text string
	// missing is true if there is no such file.
	missing bool
}

func newCache(h host.Files) *cache { return &cache{Files: h, seed: maphash.MakeSeed()} }

// switchOn makes it remember what it reads from now on.
func (c *cache) switchOn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on, c.objects, c.unkept = true, map[string]*object{}, map[string]uint64{}
}

// ReadFile returns what is in a file.
func (c *cache) ReadFile(p string) ([]byte, error) {
	text, err := c.readText(p)
	return []byte(text), err
}

// readText returns what is in a file, as it is remembered.
func (c *cache) readText(p string) (string, error) {
	return c.get(p, func() (string, error) {
		data, err := c.Files.ReadFile(p)
		return string(data), err
	})
}

// ReadDir returns what is in a directory. Of each entry the name and the type are known.
func (c *cache) ReadDir(p string) ([]fs.DirEntry, error) {
	text, err := c.get(p, func() (string, error) {
		entries, err := c.Files.ReadDir(p)
		return joinEntries(entries), err
	})
	return splitEntries(text), err
}

// Readlink returns where a symlink leads.
func (c *cache) Readlink(p string) (string, error) {
	return c.get(p, func() (string, error) { return c.Files.Readlink(p) })
}

// get returns what is remembered of a path, or reads it.
func (c *cache) get(p string, read func() (string, error)) (string, error) {
	dir, inside := objectOf(p)
	name := p[len(dir):]
	c.mu.Lock()
	if o := c.objects[dir]; o != nil {
		if e, known := o.files[name]; known {
			c.mu.Unlock()
			return e.answer(p)
		}
	}
	before := c.forgotten
	c.mu.Unlock()
	text, err := read()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.on || c.forgotten != before || !canBeKept(p, inside, err):
		c.noteUnkept(dir, inside)
	default:
		if c.objects[dir] == nil {
			c.objects[dir] = &object{}
		}
		if c.objects[dir].files == nil {
			c.objects[dir].files = map[string]*cached{}
		}
		name, now := c.shared(cached{text: name}).text, c.shared(cached{text: text, missing: err != nil})
		c.objects[dir].files[name] = now
		c.compare(dir, name, now)
		return now.text, err
	}
	return text, err
}

// elsewhere stands for files that are on disk.
const elsewhere = ""

// noteUnkept notes that something that was read could not be remembered. The caller holds the lock.
func (c *cache) noteUnkept(dir string, inside bool) {
	switch {
	case !c.on:
	case inside:
		c.unkept[dir]++
	case !strings.HasPrefix(dir, "/sys/") && !strings.HasPrefix(dir, "/proc/"): // objectOf returns the path
		c.unkept[elsewhere]++
	}
}

// shared returns the value that is kept for all that are equal to it. The caller holds the lock.
func (c *cache) shared(e cached) *cached {
	if kept := c.same[e]; kept != nil {
		return kept
	}
	if c.same == nil || len(c.same) > 100*len(c.objects)+1000 {
		c.same = map[cached]*cached{} // most of them are no longer in use
	}
	e.text = strings.Clone(e.text) // it may be a part of a longer one
	c.same[e] = &e
	return &e
}

// sharedAttributes returns the attributes that are kept for all that are equal to them.
func (c *cache) sharedAttributes(values map[string]string) map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.on {
		return values
	}
	for _, kept := range c.attributes {
		if maps.Equal(kept, values) {
			return kept
		}
	}
	const differing = 32 // what is looked for among more takes too long
	c.attributes = append(c.attributes, values)
	if len(c.attributes) > differing {
		c.attributes = slices.Delete(c.attributes, 0, 1)
	}
	return values
}

// answer is what reading a path that was this says.
func (e *cached) answer(p string) (string, error) {
	if e.missing {
		return "", &fs.PathError{Op: "open", Path: p, Err: syscall.ENOENT}
	}
	return e.text, nil
}

// remembered returns what read has made of an object's files, and whether it found it, without making
// it again as long as nothing of that object is forgotten. It is shared by all who ask, and must not
// be changed. Nothing may come from files of others.
func remembered[T any](h host.Files, dir string, read func() (T, bool, error)) (T, bool, error) {
	c, remembers := h.(*cache)
	if !remembers {
		return read()
	}
	c.mu.Lock()
	if o := c.objects[dir]; o != nil && o.parsed != nil {
		if value, is := o.parsed.(T); is {
			c.mu.Unlock()
			return value, true, nil
		}
	}
	forgotten, unkept := c.forgotten, c.unkept[dir]+c.unkept[elsewhere]
	c.mu.Unlock()
	value, found, err := read()
	c.mu.Lock()
	defer c.mu.Unlock()
	if o := c.objects[dir]; o != nil && found && err == nil && c.forgotten == forgotten && c.unkept[dir]+c.unkept[elsewhere] == unkept {
		o.parsed, o.sum, o.files = value, c.sum(o.files), nil
		if before := c.audited[dir]; before != nil && before.parsed != nil && before.sum != o.sum {
			c.miss(dir)
		}
	}
	return value, found, err
}

// sum tells files from others, but for what changes without being told.
func (c *cache) sum(files map[string]*cached) uint64 {
	var sum uint64 // in any order
	for name, e := range files {
		if !isVolatile(name) {
			sum += maphash.Comparable(c.seed, file{name, e.announced()})
		}
	}
	return sum
}

// file is what a file with a name was.
type file struct {
	name string
	cached
}

// canBeKept reports whether the outcome of reading a path is worth remembering. That a file is
// missing is, if the object that it would belong to is there to say when it comes; any other error
// may have gone a moment later.
func canBeKept(p string, inside bool, err error) bool {
	return strings.HasPrefix(p, ConfigFS+"/") && (err == nil || inside && errors.Is(err, fs.ErrNotExist))
}

// objectOf returns the directory of the object that a path in configfs belongs to. It reports false
// if the path lies above all objects, and returns the path.
func objectOf(p string) (string, bool) {
	below, in := strings.CutPrefix(p, ConfigFS+"/")
	if !in {
		return p, false
	}
	parts := strings.SplitN(below, "/", 5)
	depth := 3 // target/iscsi/NAME, nvmet/subsystems/NAME
	if len(parts) > 1 && parts[0] == "target" && parts[1] == "core" {
		depth = 4 // target/core/HBA/NAME
	}
	if len(parts) < depth {
		return p, false
	}
	return ConfigFS + "/" + strings.Join(parts[:depth], "/"), true
}

// forget makes the cache read again what a change of a path may have changed. An audit that is
// under way does not compare that.
func (c *cache) forget(p string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgotten++
	forgetIn(c.objects, p)
	forgetIn(c.audited, p)
}

// forgetIn forgets what a change of a path may have changed.
func forgetIn(objects map[string]*object, p string) {
	object, inside := objectOf(p)
	known := objects[object]
	switch {
	case !inside:
		// Whatever is below may be another one now.
		for o := range objects {
			if strings.HasPrefix(o, p+"/") {
				delete(objects, o)
			}
		}
		delete(objects, object)
	case strings.HasPrefix(object, PortsDir+"/") && p != object:
		// A port lists thousands of subsystems, and none of its files changes another.
		if known != nil {
			known.forgetFile(p[len(object):])
		}
	default:
		delete(objects, object)
	}
	if known == nil || p == object {
		for dir := path.Dir(object); len(dir) >= len(ConfigFS); dir = path.Dir(dir) {
			delete(objects, dir)
		}
	}
}

// forgetFile forgets a file, what is below it and the directories that it is in, and what was made of
// them all.
func (o *object) forgetFile(name string) {
	o.parsed = nil
	for file := range o.files {
		if file == name || strings.HasPrefix(name, file+"/") || strings.HasPrefix(file, name+"/") {
			delete(o.files, file)
		}
	}
}

// forgetAll makes the cache read everything again.
func (c *cache) forgetAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgotten++
	if c.on {
		c.objects, c.same, c.unkept = map[string]*object{}, nil, map[string]uint64{}
	}
}

// audit makes the cache read everything again, and note what has changed meanwhile.
func (c *cache) audit() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgotten++
	if c.on {
		c.audited, c.objects, c.same, c.unkept = c.objects, map[string]*object{}, nil, map[string]uint64{}
	}
}

// endAudit ends an audit that everything was read for, if there is one. It reports whether it found anything.
func (c *cache) endAudit() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.audited, c.same = nil, nil
	return len(c.missed) > 0
}

// compare notes a file that the audit found changed. The caller holds the lock.
func (c *cache) compare(dir, name string, now *cached) {
	o := c.audited[dir]
	if o == nil {
		return
	}
	p := dir + name
	if before := o.files[name]; before == nil || before.announced() == now.announced() || isVolatile(p) {
		return
	}
	c.miss(p)
}

func (c *cache) miss(p string) {
	if c.missed == nil {
		c.missed = map[string]bool{}
	}
	c.missed[p] = true
}

// takeMissed returns what the audits found since the last call, ordered, but for what these
// parts cover.
func (c *cache) takeMissed(said []Part) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var missed []string
	for p := range c.missed {
		if !slices.ContainsFunc(said, func(part Part) bool { return says(string(part), p) }) {
			missed = append(missed, p)
		}
	}
	c.missed = nil
	slices.Sort(missed)
	return missed
}

// says reports whether whoever says that a path may have changed says it of a file. Empty paths are
// all of them.
func says(p, file string) bool {
	if p == "" || p == file || strings.HasPrefix(file, p+"/") {
		return true
	}
	object, inside := objectOf(file)
	if other, _ := objectOf(p); inside {
		return object == other
	}
	return strings.HasPrefix(p, file+"/") // what is made or removed is in the list
}

// isVolatile reports whether the kernel changes a file without telling: sessions come and go, and
// initiators register keys.
func isVolatile(p string) bool {
	switch path.Base(p) {
	case "dynamic_sessions", "sessions":
		return true
	case "info":
		return path.Base(path.Dir(path.Dir(p))) == "acls"
	}
	return path.Base(path.Dir(p)) == "pr"
}

// announced is what of a file does not change in silence. The info of a backstore begins with whether
// a LUN leads to it, which changes with the target.
func (e cached) announced() cached {
	if rest, is := strings.CutPrefix(e.text, "Status: "); is {
		_, e.text, _ = strings.Cut(rest, "  ")
	}
	return e
}

// dirEntry is the entry of a directory.
type dirEntry struct {
	name string
	mode fs.FileMode
}

func (e dirEntry) Name() string               { return e.name }
func (e dirEntry) IsDir() bool                { return e.mode.IsDir() }
func (e dirEntry) Type() fs.FileMode          { return e.mode }
func (e dirEntry) Info() (fs.FileInfo, error) { return nil, errors.ErrUnsupported }

// joinEntries returns the entries of a directory as a text: each one's name, a slash, which no name
// has, its type, and another slash.
func joinEntries(entries []fs.DirEntry) string {
	var text []byte
	for _, e := range entries {
		text = append(append(text, e.Name()...), '/')
		text = append(strconv.AppendUint(text, uint64(e.Type()), 36), '/')
	}
	return string(text)
}

func splitEntries(text string) []fs.DirEntry {
	entries := make([]fs.DirEntry, 0, strings.Count(text, "/")/2)
	for text != "" {
		var name, mode string
		name, text, _ = strings.Cut(text, "/")
		mode, text, _ = strings.Cut(text, "/")
		m, _ := strconv.ParseUint(mode, 36, 32) // joinEntries has written it
		entries = append(entries, dirEntry{name, fs.FileMode(m)})
	}
	return entries
}
