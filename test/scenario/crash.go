package scenario

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/restic/fakerestic"
)

// Crashes is the number of tries.
type Crashes struct {
	Scenarios int
	// Points are the moments at which the agent was killed; with two crashes in a
	// row each pair is one.
	Points int
	// Lost and Leaked are the things, a logical volume or a part of an export,
	// that were missing after the next agent had run, and those that were too
	// many. What is another one than it was counts as both.
	Lost, Leaked int
	// Exposed are the logical volumes that were exported while what is in them was
	// incomplete.
	Exposed int
	// Differences say which, and after which crash.
	Differences []string
}

// errKilled is what an agent sees that is killed, and errDead what it sees after that: nothing that it
// still tries has any effect.
var (
	errKilled = errors.New("killed")
	errDead   = errors.New("dead")
)

// moment is when an agent is killed.
type moment struct {
	call  int                      // from 1
	at    func(fakehost.Call) bool // or before this one
	after bool                     // after the call took effect, not before
}

func (m moment) String() string {
	if m.at != nil {
		return "before a call"
	}
	if m.after {
		return fmt.Sprintf("after call %d", m.call)
	}
	return fmt.Sprintf("before call %d", m.call)
}

// mortal is a tap that kills the agent.
type mortal struct {
	fakehost.Tap
	mu      sync.Mutex
	counted func(fakehost.Call) bool
	at      moment
	calls   int
	dead    bool
	last    fakehost.Call
	kill    context.CancelFunc
}

// newMortal lets an agent live until a moment, counting certain calls; the zero
// moment never comes.
func newMortal(f *Fake, at moment, counted func(fakehost.Call) bool, kill context.CancelFunc) *mortal {
	m := &mortal{at: at, counted: counted, kill: kill}
	m.Tap = fakehost.Tap{Host: f.Host, Before: m.before, After: m.after}
	return m
}

func (m *mortal) before(c fakehost.Call) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return errDead
	}
	if m.counted(c) {
		m.calls++
		if m.at.at != nil && m.at.at(c) {
			return m.die(c)
		}
		if m.at.call == m.calls && !m.at.after {
			return m.die(c)
		}
	}
	return nil
}

func (m *mortal) after(c fakehost.Call, err error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return errDead
	}
	// Others may have begun meanwhile: several goroutines observe.
	if m.at.call != 0 && m.at.call <= m.calls && m.at.after && m.counted(c) {
		return m.die(c)
	}
	return err
}

func (m *mortal) die(c fakehost.Call) error {
	m.dead, m.last = true, c
	m.kill()
	return errKilled
}

// image is a machine with its directory, as it is kept to go back to it.
type image struct {
	node  fakehost.Node
	data  map[string]string // in the logical volumes
	files map[string]string // of specs
	// state are the files of the agent, by name.
	state  map[string][]byte
	status status.Report
	// repositories are those of restic, and now is the time.
	repositories *fakerestic.Restic
	now          time.Time
}

// repositoriesFile is the file of the catalog of repositories.
const repositoriesFile = "repositories.json"

// stateFiles are the files of the agent that outlive it.
var stateFiles = []string{"identities.json", repositoriesFile}

func (f *Fake) image(status status.Report) (image, error) {
	state := map[string][]byte{}
	for _, name := range stateFiles {
		data, err := os.ReadFile(filepath.Join(f.dir, "state", name))
		if err == nil {
			state[name] = data
		} else if !errors.Is(err, os.ErrNotExist) {
			return image{}, err
		}
	}
	return image{f.Node(), Data(f), maps.Clone(f.files), state, status, f.repositories.Clone(), f.now}, nil
}

// restore makes a machine of an image in a directory, which is emptied.
func (i image) restore(dir string) (*Fake, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	f, err := NewFake(i.node, dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "state"), 0o700); err != nil {
		return nil, err
	}
	for name, data := range i.state {
		if err := os.WriteFile(filepath.Join(dir, "state", name), data, 0o600); err != nil {
			return nil, err
		}
	}
	if i.repositories != nil {
		f.repositories = i.repositories.Clone()
	}
	if !i.now.IsZero() {
		f.setClock(i.now)
	}
	return f, f.Begin(context.Background(), Step{Files: i.files}, status.Report{})
}

// Killer kills the agent at every moment of a scenario.
type Killer struct {
	// Dir is a directory for files that are thrown away.
	Dir string
	// Counted says which calls count as moments; nil: those that may change the
	// machine, and every start of restic.
	Counted func(fakehost.Call) bool
	// Long counts them also where a scenario says which are the most telling.
	Long bool
	// Late starts the next agent only in the next step. What it missed until then is not there, so it is not compared
	// with anything, but nothing may be half done, and no backup wrong.
	Late bool
	// Twice kills the next agent as well, at every moment of its life.
	Twice bool

	tried Crashes
}

// Tried returns what was tried so far.
func (k *Killer) Tried() Crashes { return k.tried }

// Run lets a scenario happen with a crash at every moment, and compares what the
// next agent makes of it with what is there without any.
func (k *Killer) Run(ctx context.Context, s Scenario) error {
	if k.Counted == nil {
		k.Counted = changesOrReadsBackups
	}
	f, err := image{node: Used()}.restore(filepath.Join(k.Dir, "calm"))
	if err != nil {
		return err
	}
	k.tried.Scenarios++
	counted := k.Counted
	defer func() { k.Counted = counted }()
	if s.Telling != nil && !k.Long {
		k.Counted = func(c fakehost.Call) bool { return counted(c) && s.Telling(c) }
	}
	var status status.Report
	for n, step := range s.Steps {
		before, err := f.image(status)
		if err != nil {
			return err
		}
		if err := f.Begin(ctx, step, status); err != nil {
			return fmt.Errorf("%s: %s: by hand: %w", s.Name, step.Name, err)
		}
		if step.Dies != nil {
			life, err := k.live(ctx, f, moment{at: step.Dies()})
			if err == nil && !life.killed {
				err = errors.New("the agent did not come to where it dies")
			}
			if err != nil {
				return fmt.Errorf("%s: %s: %w", s.Name, step.Name, err)
			}
			status = life.status
			continue
		}
		life, err := k.live(ctx, f, moment{})
		if err != nil {
			return fmt.Errorf("%s: %s: %w", s.Name, step.Name, err)
		}
		status = life.status
		after, err := f.image(status)
		if err != nil {
			return err
		}
		if step.Repeated && !k.Long {
			continue
		}
		if k.Late {
			if n+1 < len(s.Steps) && s.Steps[n+1].Dies == nil {
				err = k.late(ctx, step, s.Steps[n+1], before, life.calls)
			}
		} else {
			err = k.step(ctx, step, before, after, life.calls)
		}
		if err != nil {
			return fmt.Errorf("%s: %s: %w", s.Name, step.Name, err)
		}
	}
	return nil
}

// step kills the agent at every moment of one step.
func (k *Killer) step(ctx context.Context, step Step, before, after image, calls int) error {
	for call := 1; call <= calls; call++ {
		for _, at := range []moment{{call: call}, {call: call, after: true}} {
			f, killed, err := k.crash(ctx, step, before, at)
			if err != nil {
				return err
			}
			if k.Twice {
				err = k.again(ctx, f, after, killed)
			} else {
				err = k.recover(ctx, f, after, killed)
			}
			if err != nil {
				return fmt.Errorf("killed %s: %w", killed, err)
			}
		}
	}
	return nil
}

// late kills the agent at every moment of one step, and looks at whether anything is wrong at the end of the next one.
func (k *Killer) late(ctx context.Context, step, next Step, before image, calls int) error {
	for call := 1; call <= calls; call++ {
		for _, at := range []moment{{call: call}, {call: call, after: true}} {
			f, killed, err := k.crash(ctx, step, before, at)
			if err != nil {
				return err
			}
			if err := f.Begin(ctx, next, before.status); err != nil {
				continue // there is not yet what somebody does something to
			}
			k.tried.Points++
			life, err := k.live(ctx, f, moment{})
			if err != nil {
				return fmt.Errorf("killed %s: %w", killed, err)
			}
			wrong := slices.Concat(Mismatches(f), Readable(f.Node()))
			if len(next.Stand) == 0 {
				wrong = append(wrong, Unfinished(f.Node())...)
			}
			if stand := Stand(life.status); len(next.Stand) == 0 && len(stand) > 0 {
				wrong = append(wrong, fmt.Sprint("objects are ", stand))
			}
			if len(wrong) > 0 {
				k.tried.Lost++
				k.tried.Differences = append(k.tried.Differences, fmt.Sprintf("killed %s, and started in %q:\n  %s", killed, next.Name, strings.Join(wrong, "\n  ")))
			}
		}
	}
	return nil
}

// again kills the agent that continues after a crash, at every moment.
func (k *Killer) again(ctx context.Context, f *Fake, after image, first string) error {
	between, err := f.image(status.Report{})
	if err != nil {
		return err
	}
	for call := 1; ; call++ {
		f, err := between.restore(filepath.Join(k.Dir, "twice"))
		if err != nil {
			return err
		}
		life, err := k.live(ctx, f, moment{call: call, after: true})
		if err != nil {
			return err
		}
		if !life.killed {
			return nil // it came to its end before that moment
		}
		if err := k.recover(ctx, f, after, first+", and again "+life.end); err != nil {
			return err
		}
	}
}

// crash returns to the state before a step and kills the agent in it.
func (k *Killer) crash(ctx context.Context, step Step, before image, at moment) (*Fake, string, error) {
	f, err := before.restore(filepath.Join(k.Dir, "crash"))
	if err != nil {
		return nil, "", err
	}
	if err := f.Begin(ctx, step, before.status); err != nil {
		return nil, "", err
	}
	life, err := k.live(ctx, f, at)
	if err == nil && !life.killed {
		err = fmt.Errorf("the agent did not come to %s this time", at)
	}
	return f, life.end, err
}

// life is what became of an agent.
type life struct {
	status status.Report
	calls  int // that count
	killed bool
	end    string // the moment and the call, if it was killed
}

// changesOrReadsBackups are the calls that may change the machine, and every start of restic.
func changesOrReadsBackups(c fakehost.Call) bool { return c.Changes() || c.Op == readRestic }

func (k *Killer) live(ctx context.Context, f *Fake, until moment) (life, error) {
	ctx, kill := context.WithCancel(ctx)
	defer kill()
	restorable := Restorable(f)
	tap := newMortal(f, until, k.Counted, kill)
	status, err := f.Start(&tap.Tap).Apply(ctx)
	if tap.dead {
		k.look(f, until, restorable)
		return life{killed: true, calls: tap.calls, end: fmt.Sprintf("%s (%s)", until, tap.last)}, nil
	}
	return life{status: status, calls: tap.calls}, err
}

// look checks that nothing incomplete was accessible when the agent died, and that every volume that could be
// restored before still can be.
func (k *Killer) look(f *Fake, at moment, restorable []string) {
	for _, volume := range restorable {
		if !slices.Contains(Restorable(f), volume) {
			k.tried.Lost++
			k.tried.Differences = append(k.tried.Differences, fmt.Sprintf("killed %s: no complete backup is left of %s", at, volume))
		}
	}
	exposed := Exposed(f.Node())
	k.tried.Exposed += len(exposed)
	for _, lv := range exposed {
		k.tried.Differences = append(k.tried.Differences, fmt.Sprintf("killed %s: exported while it was incomplete: %s", at, lv))
	}
}

// recover starts the agent once more and compares what it comes to.
func (k *Killer) recover(ctx context.Context, f *Fake, want image, killed string) error {
	k.tried.Points++
	life, err := k.live(ctx, f, moment{})
	if err != nil {
		return err
	}
	missing, extra := Compare(want.everything(), image{node: atRest(f.Node(), want.node), data: Data(f), status: life.status, repositories: f.repositories}.everything())
	k.tried.Lost += len(missing)
	k.tried.Leaked += len(extra)
	if len(missing)+len(extra) > 0 {
		k.tried.Differences = append(k.tried.Differences,
			fmt.Sprintf("killed %s:\n  lost:   %s\n  leaked: %s", killed, strings.Join(missing, "\n          "), strings.Join(extra, "\n          ")))
	}
	return nil
}

// atRest returns a node in which snapshots are inactive that would be without a crash.
// The agent activates those that it copies from. If it dies then, nothing says that it was
// not somebody else who did, and they remain active: that makes them writable by nobody.
func atRest(n, calm fakehost.Node) fakehost.Node {
	inactive := map[string]bool{}
	for _, vg := range calm.VolumeGroups {
		for _, lv := range vg.LogicalVolumes {
			inactive[vg.Name+"/"+lv.Name] = lv.SkipActivation && !lv.Active
		}
	}
	for _, vg := range n.VolumeGroups {
		for i, lv := range vg.LogicalVolumes {
			if inactive[vg.Name+"/"+lv.Name] {
				vg.LogicalVolumes[i].Active = false
			}
		}
	}
	return n
}

// everything renders what is on the node, its content, and the phases of the objects.
func (i image) everything() []string {
	lines := Portrait(i.node)
	for lv, text := range i.data {
		lines = append(lines, fmt.Sprintf("content of %s: %q", lv, text))
	}
	for _, f := range i.node.Files {
		lines = append(lines, fmt.Sprintf("file %s of %d bytes: %q", f.Path, f.Size, f.Text))
	}
	lines = append(lines, Readable(i.node)...)
	lines = i.withBackups(lines)
	for id, how := range Stand(i.status) {
		lines = append(lines, id+" is "+how)
	}
	return lines
}

// Compare returns the lines that are not in both.
func Compare(want, got []string) (missing, extra []string) {
	without := func(lines, others []string) []string {
		return slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return slices.Contains(others, l) })
	}
	return without(want, got), without(got, want)
}
