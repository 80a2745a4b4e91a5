package observe

import (
	"bytes"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

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

	mu sync.Mutex
	on bool
	// forgotten is the number of calls of forget, so that what was read across one is not kept.
	forgotten uint64
	// objects are the files of each object, and of each directory above, by their paths.
	objects map[string]map[string]cached
	// audited is what objects were before the audit that is under way; nil: there is none.
	audited map[string]map[string]cached
	// missed are the files that an audit found changed though nobody had said so.
	missed map[string]bool
	// reads is how many files and directories were read from the machine.
	reads int64
}

// cached is what a file, directory or symlink was.
type cached struct {
	data []byte
	dir  []fs.DirEntry
	link string
	// err is nil, or that there is no such file.
	err error
}

func newCache(h host.Files) *cache { return &cache{Files: h} }

// switchOn makes it remember what it reads from now on.
func (c *cache) switchOn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on, c.objects = true, map[string]map[string]cached{}
}

// ReadFile returns what is in a file.
func (c *cache) ReadFile(p string) ([]byte, error) {
	e := c.get(p, func() (e cached) { e.data, e.err = c.Files.ReadFile(p); return e })
	return e.data, e.err
}

// ReadDir returns what is in a directory.
func (c *cache) ReadDir(p string) ([]fs.DirEntry, error) {
	e := c.get(p, func() (e cached) { e.dir, e.err = c.Files.ReadDir(p); return e })
	return e.dir, e.err
}

// Readlink returns where a symlink leads.
func (c *cache) Readlink(p string) (string, error) {
	e := c.get(p, func() (e cached) { e.link, e.err = c.Files.Readlink(p); return e })
	return e.link, e.err
}

// get returns what is remembered of a path, or reads it.
func (c *cache) get(p string, read func() cached) cached {
	object, inside := objectOf(p)
	c.mu.Lock()
	if e, known := c.objects[object][p]; known {
		c.mu.Unlock()
		return e
	}
	before := c.forgotten
	c.reads++
	c.mu.Unlock()
	e := read()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.on && c.forgotten == before && canBeKept(p, inside, e.err) {
		if c.objects[object] == nil {
			c.objects[object] = map[string]cached{}
		}
		c.objects[object][p] = e
		c.compare(object, p, e)
	}
	return e
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
func forgetIn(objects map[string]map[string]cached, p string) {
	object, inside := objectOf(p)
	files, known := objects[object]
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
		for file := range files {
			if file == p || strings.HasPrefix(p, file+"/") || strings.HasPrefix(file, p+"/") {
				delete(files, file)
			}
		}
	default:
		delete(objects, object)
	}
	if !known || p == object {
		for dir := path.Dir(object); len(dir) >= len(ConfigFS); dir = path.Dir(dir) {
			delete(objects, dir)
		}
	}
}

// forgetAll makes the cache read everything again.
func (c *cache) forgetAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgotten++
	if c.on {
		c.objects = map[string]map[string]cached{}
	}
}

// audit makes the cache read everything again, and note what has changed meanwhile.
func (c *cache) audit() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgotten++
	if c.on {
		c.audited, c.objects = c.objects, map[string]map[string]cached{}
	}
}

// endAudit ends an audit that everything was read for. It reports whether it found anything.
func (c *cache) endAudit() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.audited = nil
	return len(c.missed) > 0
}

// compare notes a file that the audit found changed. The caller holds the lock.
func (c *cache) compare(object, p string, now cached) {
	before, known := c.audited[object][p]
	if !known || isVolatile(p) || sameCached(before, now) {
		return
	}
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

// readSoFar is how many files and directories were read from the machine.
func (c *cache) readSoFar() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reads
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

// withoutStatus returns the text of a backstore's info without whether a LUN leads to it, which
// it begins with: that changes with the target.
func withoutStatus(info []byte) []byte {
	if rest, is := bytes.CutPrefix(info, []byte("Status: ")); is {
		_, rest, _ = bytes.Cut(rest, []byte("  "))
		return rest
	}
	return info
}

func sameCached(a, b cached) bool {
	return (a.err == nil) == (b.err == nil) && bytes.Equal(withoutStatus(a.data), withoutStatus(b.data)) && a.link == b.link &&
		slices.EqualFunc(a.dir, b.dir, func(a, b fs.DirEntry) bool { return a.Name() == b.Name() && a.Type() == b.Type() })
}
