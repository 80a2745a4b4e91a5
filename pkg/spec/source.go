package spec

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
)

const (
	defaultSettle = 100 * time.Millisecond
	defaultPoll   = 10 * time.Second
	defaultRecall = 30 * time.Second

	// settleRounds is how many times a pass waits for files that are still
	// changing, before it continues without their new content.
	settleRounds = 5

	// coarse is how close to a read a change may lie without changing the times
	// of the file, on the coarsest file systems.
	coarse = 2 * time.Second
)

// Options say how a Source follows its directory. The zero value is usable.
type Options struct {
	// TargetPrefix is what target names begin with where an Export gives none;
	// default: [DefaultTargetPrefix].
	TargetPrefix string
	// Secrets asks for the password files to be read. Without it passwords stay
	// empty, and mistakes in those files are not found.
	Secrets bool
	// Redact, without Secrets, replaces every password by [Redacted],
	// for comparing with a node whose passwords were replaced by the same.
	Redact bool
	// Settle is for how long a file must be unchanged before its new content
	// takes effect; default: 100 ms.
	Settle time.Duration
	// Recall is for how long a removed file is remembered: if the directory becomes empty
	// within that time, its content remains in effect together with the rest, because rm
	// removes one file after the other; default: 30 s, negative: not at all.
	Recall time.Duration
	// Also are other files whose changes Watch wakes for.
	Also []string
	// Poll is how often Watch looks for changes that the kernel has not reported; default: 10 s.
	// Where all files are on file systems of which the kernel reports every change, it looks more
	// rarely.
	Poll time.Duration
	// Keeper keeps the last good content of the files for the next start; nil: nothing is kept.
	Keeper Keeper
	// Log receives a line when watching falls back to polling. Findings are not
	// logged here: the caller of Load knows which are new.
	Log logr.Logger
}

// Source follows a directory of spec files over time.
//
// It only remembers what makes it more careful: the last good content of every
// file. A Source that has just been made therefore trusts what it reads, as far
// as it is without mistakes.
//
// Its methods may be called from several goroutines at once.
type Source struct {
	dir     string
	options Options
	loaded  chan struct{} // tells Watch that a Load has ended

	mu       sync.Mutex
	files    map[string]*file
	lastGood lastGood
	removed  removedFiles
	keeper   keeperState
	opened   bool // what was stored has been read
	last     assembled
	follow   followed // what the last Load depended on
}

// file is what is known about a file from one Load to the next, so that one
// that has not changed is neither read nor parsed again.
type file struct {
	stamp   stamp
	readAt  time.Time
	problem error // why it cannot be read
	// digest is of the content last read, first seen like that at since.
	digest [sha256.Size]byte
	since  time.Time
	// settled is true once the content stayed the same for long enough; only
	// then has it been parsed.
	settled bool
	content content
	// text is what was read, until it is kept.
	text []byte
}

// NewSource returns a Source for a directory, which need not exist yet.
func NewSource(dir string, options Options) *Source {
	options.TargetPrefix = cmp.Or(options.TargetPrefix, DefaultTargetPrefix)
	options.Settle = cmp.Or(options.Settle, defaultSettle)
	options.Poll = cmp.Or(options.Poll, defaultPoll)
	options.Recall = cmp.Or(options.Recall, defaultRecall)
	dir = filepath.Clean(dir)
	root, err := filepath.Abs(dir)
	if err != nil { // the working directory is gone: nothing can be known again
		options.Keeper = nil
	}
	return &Source{
		dir:      dir,
		options:  options,
		keeper:   keeperState{Keeper: options.Keeper, dir: dir, root: root},
		loaded:   make(chan struct{}, 1),
		files:    map[string]*file{},
		lastGood: lastGood{},
	}
}

// Load reads the directory and returns all that is declared.
//
// It never fails: what is wrong is among the Findings, and then Complete is
// false. If a file has changed it waits until the file has settled, once for
// all of them; if ctx ends meanwhile, the old content holds and a finding says
// so. The maps are the caller's; what is in them is shared and must not be
// changed.
func (s *Source) Load(ctx context.Context) Set {
	s.mu.Lock()
	defer s.mu.Unlock()

	if !s.opened {
		s.lastGood, s.opened = s.keeper.load(s.options.TargetPrefix), true
	}
	found, settled := s.settle(ctx)
	readings := s.readings(found)
	findings := slices.Clone(found.problems)
	good, more := decideLastGood(s.lastGood, s.removed.recent(time.Now(), s.options.Recall), s.dir, readings, found.hides)
	findings = append(findings, more...)
	s.removed = s.removed.next(s.lastGood, good, time.Now(), s.options.Recall)
	s.lastGood = good
	s.keeper.save(readings, s.files, good, s.removed.recent(time.Now(), s.options.Recall))

	objects := withoutOutdated(good.objects())
	files := s.secretFiles(objects)
	var secrets secretReader
	read := readSecrets(files)
	switch {
	case s.options.Secrets:
		secrets = read.of
	case s.options.Redact:
		secrets = redacted
	}
	var set Set
	if invalid := good.invalid(readings); len(findings)+len(invalid) > 0 {
		set = assemble(objects, invalid, withoutPasswords(findings, objects), secrets)
		s.last = assembled{}
	} else {
		// Why something is invalid may have changed.
		s.last = s.last.next(objects, read, secrets)
		set = s.last.set.clone()
	}

	set.Warnings, set.Revision = s.keeper.warnings(good), s.revision(found)
	s.follow = s.follow.next(s.dir, found, slices.Concat(files, s.options.Also), settled)
	signal(s.loaded)
	return set
}

// settle reads the files that changed until all have stayed the same for the
// settling time, and forgets those that were removed.
func (s *Source) settle(ctx context.Context) (found listing, settled bool) {
	for round := 0; ; round++ {
		found = list(s.dir)
		settled = s.readAll(found)
		if settled || round == settleRounds || ctx.Err() != nil {
			break
		}
		timer := time.NewTimer(s.options.Settle)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
	listed := make(map[string]bool, len(found.entries))
	for _, e := range found.entries {
		listed[e.path] = true
	}
	for path := range s.files {
		if !listed[path] {
			delete(s.files, path)
		}
	}
	return found, settled
}

// readAll reads the files of a listing, and reports whether all have settled,
// and the listing is still the right one.
func (s *Source) readAll(found listing) bool {
	var reading sync.WaitGroup
	processors := make(chan struct{}, runtime.GOMAXPROCS(0))
	for _, e := range found.entries {
		f := s.files[e.path]
		if f == nil {
			f = &file{}
			s.files[e.path] = f
		}
		if f.isUnchanged(e.stamp) {
			continue
		}
		processors <- struct{}{}
		reading.Go(func() {
			f.read(e, s.options.Settle, s.options.TargetPrefix, s.options.Keeper != nil)
			<-processors
		})
	}
	reading.Wait()
	settled := true
	for _, e := range found.entries {
		f := s.files[e.path]
		settled = settled && (f.settled || f.problem != nil && !errors.Is(f.problem, fs.ErrNotExist))
	}
	// A directory that is a symbolic link may have been switched while the files
	// were read: then they are a mixture, or all old.
	root, err := realPath(s.dir)
	return settled && (err != nil || root == found.root)
}

// isUnchanged reports whether the file need not be read again.
func (f *file) isUnchanged(now stamp) bool {
	last := now.mtime
	if now.ctime.After(last) {
		last = now.ctime
	}
	return f.settled && f.problem == nil && f.stamp == now && f.readAt.Sub(last) > coarse
}

// read reads the file. Its content is used only if an earlier read found the same,
// at least the settling time ago: the file may still be being written.
func (f *file) read(e entry, settle time.Duration, targetPrefix string, keep bool) {
	now, before := time.Now(), f.stamp
	data, stamp, err := readFile(e.real)
	f.stamp, f.readAt, f.problem = stamp, now, err
	if err != nil {
		return
	}
	digest := sha256.Sum256(data)
	written := !f.settled && stamp != before // even if to the same content: emptied twice, say
	if f.since.IsZero() || digest != f.digest || written {
		f.digest, f.since, f.settled = digest, now, false
	}
	if !f.settled && now.Sub(f.since) >= settle {
		f.settled, f.content = true, read(e.path, data, targetPrefix)
		if keep {
			f.text = data
		}
	}
}

// readings says what each listed file means for this pass.
func (s *Source) readings(found listing) []reading {
	readings := make([]reading, 0, len(found.entries))
	for _, e := range found.entries {
		f := s.files[e.path]
		r := reading{path: e.path, content: f.content}
		switch {
		case f.problem != nil:
			r.problem = readProblem(f.problem)
		case !f.settled:
			r.problem = fmt.Errorf("the file is still being written; its new content takes effect once it is unchanged for %s", s.options.Settle)
		}
		if r.problem != nil {
			r.content = content{} // of an earlier version, which decideLastGood knows
		}
		readings = append(readings, r)
	}
	return readings
}

// revision names the content of the files of a listing.
func (s *Source) revision(found listing) string {
	return revisionOf(s.dir, found, func(e entry) [sha256.Size]byte { return s.files[e.path].digest })
}

func revisionOf(dir string, found listing, digest func(entry) [sha256.Size]byte) string {
	sum := sha256.New()
	for _, e := range found.entries {
		relative, err := filepath.Rel(dir, e.path)
		if err != nil {
			relative = e.path
		}
		_, _ = fmt.Fprintf(sum, "%x  %s\n", digest(e), relative) // never fails
	}
	return fmt.Sprintf("sha256:%x", sum.Sum(nil)[:sha256.Size/2])
}

func (s *Source) secretFiles(objects []*object) []string {
	if !s.options.Secrets {
		return nil
	}
	var files []string
	for _, o := range objects {
		files = append(files, o.secretFiles()...)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// signal wakes whoever waits for the channel; several wakes become one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
