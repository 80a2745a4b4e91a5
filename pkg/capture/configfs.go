package capture

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// recorder is a host that remembers what is read of LIO and nvmet. What somebody removes
// meanwhile is forgotten when that is noticed.
type recorder struct {
	host.Host

	mu sync.Mutex
	// seen are what was read, by path; listed are the names in a directory.
	seen   map[string]fakehost.Entry
	listed map[string][]string
	gone   map[string]bool
}

func newRecorder(h host.Host) *recorder {
	return &recorder{Host: h, seen: map[string]fakehost.Entry{}, listed: map[string][]string{}, gone: map[string]bool{}}
}

// ReadFile reads a file, see [host.Files].
func (r *recorder) ReadFile(name string) ([]byte, error) {
	data, err := r.Host.ReadFile(name)
	text := redact(name, string(data))
	r.note(name, fakehost.Entry{Text: &text}, err)
	return data, err
}

// Readlink reads a symlink, see [host.Files].
func (r *recorder) Readlink(name string) (string, error) {
	target, err := r.Host.Readlink(name)
	to := target
	if !path.IsAbs(to) {
		to = path.Join(path.Dir(name), to)
	}
	r.note(name, fakehost.Entry{Link: to}, err)
	return target, err
}

// ReadDir reads a directory, see [host.Files].
func (r *recorder) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := r.Host.ReadDir(name)
	r.note(name, fakehost.Entry{}, err)
	if err != nil || !below(name) {
		return entries, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
		if e.IsDir() {
			r.note(path.Join(name, e.Name()), fakehost.Entry{}, nil)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listed[name] = names
	return entries, nil
}

func (r *recorder) note(name string, e fakehost.Entry, err error) {
	if !below(name) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		e.Path = name
		r.seen[name] = e
		delete(r.gone, name)
	case errors.Is(err, fs.ErrNotExist):
		r.gone[name] = true
	}
}

// roots are the directories of LIO and nvmet.
var roots = []string{observe.LIODir, observe.NVMetDir}

// below reports whether a path is in one of the roots, or is one.
func below(name string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return isIn(root, name) })
}

func isIn(root, name string) bool { return name == root || strings.HasPrefix(name, root+"/") }

// entries returns what was read below a root, with the directories that it is in.
func (r *recorder) entries(root string) ([]fakehost.Entry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string]fakehost.Entry{}
	for name, e := range r.seen {
		if !isIn(root, name) || !r.there(name) {
			continue
		}
		all[name] = e
		for dir := path.Dir(name); isIn(root, dir); dir = path.Dir(dir) {
			all[dir] = fakehost.Entry{Path: dir}
		}
	}
	sorted := make([]fakehost.Entry, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		e := all[name]
		e.Path = relative(root, e.Path)
		if e.Link != "" {
			if !isIn(root, e.Link) {
				return nil, fmt.Errorf("symbolic link %s points outside of %s, to %s", name, root, e.Link)
			}
			e.Link = relative(root, e.Link)
		}
		sorted = append(sorted, e)
	}
	return sorted, nil
}

// there reports whether a file still existed when it was last read, with all
// directories that it is in.
func (r *recorder) there(name string) bool {
	for ; below(name); name = path.Dir(name) {
		names, listed := r.listed[path.Dir(name)]
		if r.gone[name] || listed && !slices.Contains(names, path.Base(name)) {
			return false
		}
	}
	return true
}

// relative makes a path relative to the root that it is in.
func relative(root, name string) string {
	if name == root {
		return "."
	}
	return strings.TrimPrefix(name, root+"/")
}

// redact replaces a password, or a host's key, by a word that says that there is
// one. LIO takes all that begins with NULL for unset, and nvmet may print a null
// pointer.
func redact(name, text string) string {
	base := path.Base(name)
	isKey := base == observe.HostKey || base == observe.HostControllerKey
	switch {
	case !isKey && !strings.HasPrefix(base, "password"):
		return text
	case isKey && strings.TrimSpace(text) == "(null)":
		return "\n"
	case strings.TrimSpace(text) == "":
		return text
	case strings.HasPrefix(text, "NULL"):
		return "NULL\n"
	default:
		return spec.Redacted + "\n"
	}
}
