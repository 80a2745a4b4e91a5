package fakerestic

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/volreconciler/volreconciler/pkg/restic"
)

// Restic is the program, and all repositories that it knows, by URL. It implements [restic.Runner].
type Restic struct {
	// New has the exit statuses and full IDs of restic 0.17 and newer.
	New bool

	mu       sync.Mutex
	repos    map[string]*repository
	count    int
	killAt   int
	commands []string
	// unreadable is the path of a file that the next backup cannot read.
	unreadable string
}

// NewRestic returns a restic without repositories, as of 0.14.
func NewRestic() *Restic { return &Restic{repos: map[string]*repository{}, killAt: -1} }

type repository struct {
	password  string
	snapshots []*snapshot
	locks     []lock
	readOnly  bool
	full      bool
	damaged   bool
	// ids were given out: none is a second time.
	ids []string
}

// lock is one of a process; those of the fake's own commands are gone when they end.
type lock struct {
	exclusive bool
	stale     bool
	id        int
}

type snapshot struct {
	restic.Snapshot
	nodes []node // in the order in which they were read
}

// node is a file or directory of a snapshot.
type node struct {
	path         string // /a/b
	dir          bool
	size         int64
	mtime, ctime time.Time
	inode        uint64
	content      []byte
}

// SetReadOnly makes a repository refuse everything that writes to it.
func (f *Restic) SetReadOnly(url string, is bool) {
	f.with(url, func(r *repository) { r.readOnly = is })
}

// SetFull makes a repository have no space left.
func (f *Restic) SetFull(url string, is bool) { f.with(url, func(r *repository) { r.full = is }) }

// SetDamaged makes check find something.
func (f *Restic) SetDamaged(url string, is bool) { f.with(url, func(r *repository) { r.damaged = is }) }

// Lock adds a lock of somebody else; a stale one is of a process that is gone.
func (f *Restic) Lock(url string, exclusive, stale bool) {
	f.with(url, func(r *repository) { r.locks = append(r.locks, lock{exclusive, stale, -1}) })
}

// Locks is how many locks there are.
func (f *Restic) Locks(url string) (n int) {
	f.with(url, func(r *repository) { n = len(r.locks) })
	return n
}

// KillAt makes the next backup or prune be killed: a backup after so many files; its lock is left.
func (f *Restic) KillAt(files int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.killAt = files
}

// FailRead makes the next backup unable to read a file, by its path in the snapshot, which is made without it.
func (f *Restic) FailRead(path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unreadable = path
}

// Alter changes a file of a snapshot, as nothing in the real world should.
func (f *Restic) Alter(url, id, path string, change func([]byte) []byte) {
	f.with(url, func(r *repository) {
		if s := r.find(id); s != nil {
			for i := range s.nodes {
				if n := &s.nodes[i]; n.path == path {
					n.content = change(append([]byte(nil), n.content...))
					n.size = int64(len(n.content))
				}
			}
		}
	})
}

// Drop removes a file from a snapshot, as an incomplete backup does.
func (f *Restic) Drop(url, id, path string) {
	f.with(url, func(r *repository) {
		if s := r.find(id); s != nil {
			for i, n := range s.nodes {
				if n.path == path {
					s.nodes = append(s.nodes[:i:i], s.nodes[i+1:]...)
					return
				}
			}
		}
	})
}

// Commands are the command lines so far.
func (f *Restic) Commands() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.commands...)
}

func (f *Restic) with(url string, do func(*repository)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.repos[url]; r != nil {
		do(r)
	}
}

// failure is an end with an exit status and a text.
type failure struct {
	code int
	text string
}

func (f failure) Error() string { return f.text }

// killed is an end by a signal.
type killed struct{ error }

// invocation is a command line, as far as it is understood.
type invocation struct {
	command  string
	names    []string
	flags    map[string][]string
	url      string
	password string
	dir      string
	stdout   io.Writer
	stderr   io.Writer
}

// boolean are the flags without a value.
var boolean = map[string]bool{"--json": true, "--no-cache": true, "--no-lock": true, "--force": true}

func parse(c restic.Command) (invocation, error) {
	i := invocation{command: c.Args[0], flags: map[string][]string{}, dir: c.Dir, stdout: c.Stdout, stderr: c.Stderr}
	for args := c.Args[1:]; len(args) > 0; args = args[1:] {
		name, value, joined := strings.Cut(args[0], "=")
		switch {
		case !strings.HasPrefix(args[0], "--"):
			i.names = append(i.names, args[0])
		case boolean[name]:
			i.flags[name] = nil
		case joined:
			i.flags[name] = append(i.flags[name], value)
		case len(args) > 1:
			i.flags[name] = append(i.flags[name], args[1])
			args = args[1:]
		default:
			return i, failure{1, "flag needs an argument: " + name}
		}
	}
	for _, e := range c.Env {
		name, value, _ := strings.Cut(e, "=")
		switch name {
		case "RESTIC_REPOSITORY":
			i.url = value
		case "RESTIC_PASSWORD":
			i.password = value
		}
	}
	if i.stdout == nil {
		i.stdout = io.Discard
	}
	return i, nil
}

// Run implements [restic.Runner].
func (f *Restic) Run(ctx context.Context, c restic.Command) (int, error) {
	f.mu.Lock()
	f.commands = append(f.commands, strings.Join(c.Args, " "))
	f.mu.Unlock()
	i, err := parse(c)
	if err == nil {
		err = f.run(ctx, i)
	}
	switch e := err.(type) { //nolint:errorlint // our own, never wrapped
	case nil:
		return 0, nil
	case killed:
		return -1, e.error
	case failure:
		_, _ = fmt.Fprintln(c.Stderr, e.text)
		if !f.New && e.code >= 10 {
			return 1, nil
		}
		return e.code, nil
	default:
		_, _ = fmt.Fprintln(c.Stderr, "Fatal: "+err.Error())
		return 1, nil
	}
}

func (f *Restic) run(ctx context.Context, i invocation) error {
	switch i.command {
	case "version":
		_, err := fmt.Fprintln(i.stdout, "restic 0.14.0 (fake)")
		return err
	case "init":
		return f.init(i)
	case "unlock":
		_, err := f.open(i)
		if err == nil {
			f.with(i.url, func(r *repository) { r.unlock() })
		}
		return err
	}
	c, ok := f.commandOf(i.command)
	if !ok {
		return failure{1, fmt.Sprintf("unknown command %q for \"restic\"", i.command)}
	}
	r, err := f.open(i)
	if err != nil {
		return err
	}
	if c.locks(i) {
		l, err := f.lock(r, c.exclusive)
		if err != nil {
			return err
		}
		err = c.run(ctx, r, i)
		if k, is := err.(killed); !is || k.error == error(syscall.EINTR) { //nolint:errorlint // our own, never wrapped
			f.unlock(r, l)
		}
		return err
	}
	return c.run(ctx, r, i)
}

// command is what is known of a command of restic.
type command struct {
	run       func(context.Context, *repository, invocation) error
	exclusive bool
	writes    bool
}

func (f *Restic) commandOf(name string) (command, bool) {
	c, ok := map[string]command{
		"snapshots": {f.snapshots, false, false},
		"dump":      {f.dump, false, false},
		"stats":     {f.stats, false, false},
		"backup":    {f.backup, false, true},
		"forget":    {f.forget, true, true},
		"prune":     {f.prune, true, true},
		"check":     {f.check, true, false},
	}[name]
	return c, ok
}

// locks reports whether a command locks the repository.
func (c command) locks(i invocation) bool {
	_, no := i.flags["--no-lock"]
	return !no || c.writes
}

func (f *Restic) init(i invocation) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.repos[i.url] != nil {
		return failure{1, "Fatal: create repository at " + i.url + " failed: config file already exists"}
	}
	f.repos[i.url] = &repository{password: i.password}
	return nil
}

func (f *Restic) open(i invocation) (*repository, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.repos[i.url]
	switch {
	case r == nil:
		return nil, failure{10, "Fatal: unable to open config file: stat " + i.url + "/config: no such file or directory\n" +
			"Is there a repository at the following location?\n" + i.url}
	case r.password != i.password:
		return nil, failure{12, "Fatal: wrong password or no key found"}
	}
	return r, nil
}

// lock takes a lock: a shared one beside shared ones, an exclusive one alone. Stale ones count.
func (f *Restic) lock(r *repository, exclusive bool) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.readOnly {
		return 0, failure{1, "Fatal: unable to create lock in backend: open locks/tmp: read-only file system"}
	}
	for _, l := range r.locks {
		if l.exclusive || exclusive {
			how := ""
			if l.exclusive {
				how = "exclusively "
			}
			return 0, failure{11, "unable to create lock in backend: repository is already locked " + how + "by PID 4711 on node by root (UID 0, GID 0)"}
		}
	}
	f.count++
	r.locks = append(r.locks, lock{exclusive: exclusive, id: f.count, stale: true})
	return f.count, nil
}

func (f *Restic) unlock(r *repository, id int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for at, l := range r.locks {
		if l.id == id {
			r.locks = append(r.locks[:at:at], r.locks[at+1:]...)
			return
		}
	}
}

func (r *repository) unlock() {
	var kept []lock
	for _, l := range r.locks {
		if !l.stale {
			kept = append(kept, l)
		}
	}
	r.locks = kept
}

func (r *repository) find(id string) *snapshot {
	for _, s := range r.snapshots {
		if strings.HasPrefix(s.ID, id) {
			return s
		}
	}
	return nil
}

// newID returns the ID of a new snapshot, which follows from what is in it, whatever was done before.
func (r *repository) newID(s *snapshot) string {
	hash := sha256.New()
	_, _ = fmt.Fprintln(hash, s.Time, s.Host, s.Tags)
	for _, n := range s.nodes {
		_, _ = fmt.Fprintln(hash, n.path, n.size, string(n.content))
	}
	for {
		id := hex.EncodeToString(hash.Sum(nil))
		if !slices.Contains(r.ids, id) {
			r.ids = append(r.ids, id)
			return id
		}
		_, _ = fmt.Fprintln(hash, "another")
	}
}
