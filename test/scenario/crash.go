package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
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

// errKilled is what an agent sees that has been killed: nothing that it still
// tries has any effect.
var errKilled = errors.New("killed")

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
		return errKilled
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
		return errKilled
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
	node   fakehost.Node
	data   map[string]string // in the logical volumes
	files  map[string]string // of specs
	memory []byte
	status status.Report
}

func (f *Fake) image(status status.Report) (image, error) {
	memory, err := os.ReadFile(f.memory())
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	files := map[string]string{}
	for name, text := range f.files {
		files[name] = text
	}
	return image{f.Node(), Data(f), files, memory, status}, err
}

func (f *Fake) memory() string { return filepath.Join(f.dir, "state", "identities.json") }

// restore makes a machine of an image in a directory, which is emptied.
func (i image) restore(dir string) (*Fake, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	f, err := NewFake(i.node, dir)
	if err != nil {
		return nil, err
	}
	if i.memory != nil {
		if err := os.MkdirAll(filepath.Dir(f.memory()), 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(f.memory(), i.memory, 0o600); err != nil {
			return nil, err
		}
	}
	return f, f.Begin(context.Background(), Step{Files: i.files}, status.Report{})
}

// Killer kills the agent at every moment of a scenario.
type Killer struct {
	// Dir is a directory for files that are thrown away.
	Dir string
	// Counted says which calls count as moments; nil: those that may change the
	// machine.
	Counted func(fakehost.Call) bool
	// Long counts them also where a scenario says which are the most telling.
	Long bool
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
		k.Counted = fakehost.Call.Changes
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
	for _, step := range s.Steps {
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
		if err := k.step(ctx, step, before, after, life.calls); err != nil {
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

func (k *Killer) live(ctx context.Context, f *Fake, until moment) (life, error) {
	ctx, kill := context.WithCancel(ctx)
	defer kill()
	tap := newMortal(f, until, k.Counted, kill)
	status, err := f.Start(&tap.Tap).Apply(ctx)
	if tap.dead {
		k.look(f, until)
		return life{killed: true, calls: tap.calls, end: fmt.Sprintf("%s (%s)", until, tap.last)}, nil
	}
	return life{status: status, calls: tap.calls}, err
}

// look checks that nothing incomplete was accessible when the agent died.
func (k *Killer) look(f *Fake, at moment) {
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
	missing, extra := Compare(want.everything(), image{node: atRest(f.Node(), want.node), data: Data(f), status: life.status}.everything())
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
