package soak

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/volreconciler/volreconciler/pkg/actuators/jobs"
	"github.com/volreconciler/volreconciler/pkg/actuators/lvm"
	"github.com/volreconciler/volreconciler/pkg/actuators/target/lio"
	"github.com/volreconciler/volreconciler/pkg/actuators/target/nvmet"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/reconcile/execute"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/test/scenario"
)

// Memory is a node in memory, with the agent as `run` has it. It lives in a
// bubble of testing/synctest, where waiting takes no time.
//
// With a third of the seeds the agent has events of all changes, with another one of some.
//
// With every other seed changes are made one by one and take a while, so that the
// administrator does something in the midst of them. They cannot do that side by
// side, because time does not pass there while somebody waits for a mutex.
type Memory struct {
	*scenario.Fake
	dir  string
	seed uint64

	mu    sync.Mutex
	lives int
	life  *life
	calls map[string]int
	// wrong is what no agent may do, not even for a moment.
	wrong error
}

var _ Node = (*Memory)(nil)

// The agent's settings, and what a call takes at most.
const (
	grace   = 30 * time.Second
	settle  = 10 * time.Minute
	resync  = 90 * time.Second
	audit   = 10 * time.Minute
	slowest = 400 * time.Millisecond
	restFor = 2 * time.Minute
)

// life is an agent.
type life struct {
	wake   chan struct{}
	status *status.Board
	kill   context.CancelFunc
	ended  chan struct{}
	// left is how many calls it will live to make; negative: all.
	left    int
	changed []string
}

// errKilled is what an agent sees that has been killed.
var errKilled = errors.New("killed")

// NewMemory returns an empty node. Files are in a directory of its own.
func NewMemory(seed uint64, dir string) (*Memory, error) {
	f, err := scenario.NewFake(scenario.Empty(), dir)
	m := &Memory{Fake: f, dir: dir, seed: seed, calls: map[string]int{}}
	return m, errors.Join(err, os.MkdirAll(m.path("secrets"), 0o700))
}

func (m *Memory) path(names ...string) string {
	return filepath.Join(append([]string{m.dir}, names...)...)
}

// sleep lets time go by in the bubble.
func sleep(d time.Duration) { <-time.After(d) }

func (m *Memory) slow() bool { return m.seed%2 == 0 }

// pause is what somebody takes to type a command.
func (m *Memory) pause() { sleep(m.delay("by hand")) }

// delay is a time that follows from the seed and from how often something
// happened, and not from which goroutine was faster.
func (m *Memory) delay(what string) time.Duration {
	m.mu.Lock()
	m.calls[what]++
	n := m.calls[what]
	m.mu.Unlock()
	sum := fnv.New64a()
	_, _ = fmt.Fprintf(sum, "%d %s %d", m.seed, what, n)
	return time.Duration(sum.Sum64() % uint64(slowest))
}

func (m *Memory) wake() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.life == nil {
		return
	}
	select {
	case m.life.wake <- struct{}{}:
	default:
	}
}

// Put is that of Node.
func (m *Memory) Put(_ context.Context, name, text string) error {
	defer m.wake()
	m.pause()
	path := m.path("specs", name)
	if text == "" {
		return os.Remove(path)
	}
	text = strings.ReplaceAll(text, "SECRETS", m.path("secrets"))
	if err := os.WriteFile(path+".tmp", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// Secret is that of Node.
func (m *Memory) Secret(_ context.Context, name, password string) error {
	defer m.wake()
	path := m.path("secrets", name)
	return errors.Join(os.WriteFile(path+".tmp", []byte(password+"\n"), 0o600), os.Rename(path+".tmp", path))
}

// Hide is that of Node.
func (m *Memory) Hide(context.Context) error {
	defer m.wake()
	return os.Rename(m.path("specs"), m.path("away"))
}

// Show is that of Node.
func (m *Memory) Show(context.Context) error {
	defer m.wake()
	return os.Rename(m.path("away"), m.path("specs"))
}

// Kill is that of Node.
func (m *Memory) Kill(_ context.Context, after int) error {
	m.mu.Lock()
	l := m.life
	if l == nil {
		m.mu.Unlock()
		return nil
	}
	if l.left != 0 { // it may be dead already
		l.left = after
	}
	m.mu.Unlock()
	if after == 0 {
		m.end()
	}
	return nil
}

// end ends the agent.
func (m *Memory) end() {
	m.mu.Lock()
	l := m.life
	m.life = nil
	m.mu.Unlock()
	if l != nil {
		l.kill()
		<-l.ended
	}
}

// Lives is that of Node.
func (m *Memory) Lives() int { return m.lives }

// Start is that of Node.
func (m *Memory) Start(ctx context.Context) error {
	m.end()
	memory, err := reconcile.OpenMemory(m.path("state", "identities.json"))
	if err != nil {
		return err
	}
	installation, err := reconcile.OpenInstallation(m.path("state"), m.path("state", "identities.json"), "soak")
	if err == nil {
		err = installation.Establish()
	}
	if err != nil {
		return err
	}
	ctx, kill := context.WithCancel(ctx)
	l := &life{wake: make(chan struct{}, 1), status: &status.Board{}, kill: kill, ended: make(chan struct{}), left: -1}
	tap := &fakehost.Tap{Host: fakehost.Hand{Host: m.Host, By: agentProcess}, Before: func(c fakehost.Call) error { return m.before(l, c) }}
	loop := &reconcile.Loop{
		Source:   spec.NewSource(m.path("specs"), spec.Options{Secrets: true}),
		Observer: observe.New(tap),
		Memory:   memory, Installation: installation, Status: l.status, Log: logr.Discard(),
		Grace: grace, TrashSettle: settle, MaxDeletions: maxDoomed + 1, Resync: resync,
	}
	var machine host.Host = tap
	end := func() {}
	if m.knowledge() != polled {
		machine, end = m.listen(ctx, loop, tap)
	}
	kernel := lio.New(machine)
	kernel.Prepare()
	loop.Executor = &execute.Executor{
		Actuators: map[observe.System]change.Actuator{
			observe.LVM: lvm.New(fakehost.Shell{Runner: machine}, machine), observe.LIO: kernel, observe.NVMet: nvmet.New(machine),
			observe.Data: jobs.New(machine, lvm.New(machine, machine), fakehost.Engine{Devices: tap}, nil, nil),
		},
		OneByOne: m.slow(),
	}
	m.mu.Lock()
	m.life = l
	m.lives++
	m.mu.Unlock()
	go func() {
		defer close(l.ended)
		defer end()
		loop.Run(ctx, l.wake)
	}()
	return nil
}

// before is called before every call of an agent.
func (m *Memory) before(l *life, c fakehost.Call) error {
	if c.Changes() && m.slow() {
		sleep(m.delay(c.String()))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if l.left == 0 {
		l.kill()
		return errKilled
	}
	if c.Changes() {
		if l.left > 0 {
			l.left--
		}
		l.changed = append(l.changed, c.String())
		m.wrong = errors.Join(m.wrong, m.deletesExported(c))
	}
	return nil
}

// deletesExported returns an error if a call deletes a logical volume for which
// there still is a backstore.
func (m *Memory) deletesExported(c fakehost.Call) error {
	line := c.String()
	if !strings.HasPrefix(line, "lvremove") && !strings.Contains(line, "--addtag "+ondisk.TagDeleted) {
		return nil
	}
	lv := strings.TrimPrefix(c.Argv[len(c.Argv)-1], vg+"/")
	for _, e := range m.Node().ConfigFS {
		if strings.HasSuffix(e.Path, ":"+lv+"/enable") {
			return fmt.Errorf("%s, while there is %s", line, e.Path)
		}
	}
	return nil
}

// Rest is that of Node.
func (m *Memory) Rest(ctx context.Context) error {
	m.wake()
	sleep(restFor)
	m.mu.Lock()
	dead := m.life == nil || m.life.left == 0
	m.mu.Unlock()
	if !dead {
		return nil
	}
	if err := m.Start(ctx); err != nil {
		return err
	}
	sleep(restFor)
	return nil
}

// Idle is that of Node.
func (m *Memory) Idle(context.Context) ([]string, error) {
	m.mu.Lock()
	m.life.changed = nil
	m.mu.Unlock()
	sleep(resync + time.Second)
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.life.changed, nil
}

// Day is that of Node.
func (m *Memory) Day(context.Context) { sleep(25 * time.Hour) }

// Status is that of Node.
func (m *Memory) Status(context.Context) (status.Report, error) {
	status, _ := m.life.status.Report()
	return status, nil
}

// Look is that of Node.
func (m *Memory) Look(context.Context) (fakehost.Node, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.Node(), m.wrong
}

// RealTime is that of Node.
func (m *Memory) RealTime() bool { return false }

// Reboot is that of scenario.Machine. The agent ends with it.
func (m *Memory) Reboot(ctx context.Context) error {
	m.end()
	return m.Fake.Reboot(ctx)
}

// End ends the agent for good.
func (m *Memory) End() { m.end() }
