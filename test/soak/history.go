package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/test/scenario"
)

// Node is where a history happens: a machine with its files and an agent that
// runs on it all the time.
type Node interface {
	scenario.Machine
	// Put writes a file of specs; an empty one is removed. SECRETS/ in it stands
	// for the directory of passwords.
	Put(ctx context.Context, name, text string) error
	// Secret writes a password's file.
	Secret(ctx context.Context, name, password string) error
	// Hide moves the directory of specs away, and Show back.
	Hide(ctx context.Context) error
	Show(ctx context.Context) error
	// Kill kills the agent after some more of its doings; 0: at once; negative: not
	// after all. Another one is started by Start, or by Rest.
	Kill(ctx context.Context, after int) error
	Start(ctx context.Context) error
	// Lives is how many agents were started.
	Lives() int
	// Rest gives the agent time for a pass and what it leads to, and starts one if there is none.
	Rest(ctx context.Context) error
	// Idle lets the agent make some more passes and returns what it changed.
	Idle(ctx context.Context) ([]string, error)
	// RealTime reports whether the node runs in real time. If so, there are no days and
	// no reboots.
	RealTime() bool
	// Day lets a day go by.
	Day(ctx context.Context)
	// Status is how the agent says that the objects stand.
	Status(ctx context.Context) (status.Report, error)
	// Look reads the machine, with what is in the logical volumes, or [Unread],
	// and with passwords.
	Look(ctx context.Context) (fakehost.Node, error)
}

// History is a random history of a node, which begins with an empty volume group.
type History struct {
	Node Node
	Seed uint64
	// Patience is how often the agent is given more time to come to rest.
	Patience int
	// Busy is how many things happen in a round at most.
	Busy int
	// Say, if not nil, is called with everything that happens.
	Say func(string)

	// Rounds, Actions and Kills count what happened so far. Lost and Leaked are the
	// things that were missing after a round, and those that were too many.
	Rounds, Actions, Kills int
	Lost, Leaked           int

	rand    *rand.Rand
	model   *Model
	touched map[string]bool
	serial  int
	last    []string // what happened
}

// lastShown is how much of what happened is shown after a failure.
const lastShown = 30

// Begin writes the first files.
func (h *History) Begin(ctx context.Context) error {
	h.rand = rand.New(rand.NewPCG(h.Seed, 0)) //nolint:gosec // it has to be the same each time
	h.model = newModel()
	if err := h.Node.Put(ctx, "pools.yaml", pools("24h")); err != nil {
		return err
	}
	if err := h.Node.Start(ctx); err != nil {
		return err
	}
	return h.check(ctx)
}

// Round lets some things happen and compares what comes of them.
func (h *History) Round(ctx context.Context) error {
	h.Rounds++
	h.touched = map[string]bool{}
	h.note("round %d", h.Rounds)
	lives := h.Node.Lives()
	if err := h.doRound(ctx); err != nil {
		return h.failed(err)
	}
	if err := h.check(ctx); err != nil {
		return h.failed(err)
	}
	h.Kills += h.Node.Lives() - lives
	if h.model.emptied {
		h.model.emptied = false
		h.note("the trash keeps things again")
		if err := h.Node.Put(ctx, "pools.yaml", pools("24h")); err != nil {
			return err
		}
		return h.check(ctx)
	}
	return nil
}

func (h *History) note(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	h.last = append(h.last, line)
	if len(h.last) > lastShown {
		h.last = h.last[1:]
	}
	if h.Say != nil {
		h.Say(line)
	}
}

func (h *History) failed(err error) error {
	return fmt.Errorf("seed %d, round %d: %w\nwhat happened last:\n  %s", h.Seed, h.Rounds, err, strings.Join(h.last, "\n  "))
}

// doRound does what a round consists of.
func (h *History) doRound(ctx context.Context) error {
	if alone := h.choose(alone); h.chance(15) {
		if what, err := alone(ctx, h); what != "" || err != nil {
			h.Actions++
			h.note("%s", what)
			return err
		}
	}
	down := h.chance(20)
	switch {
	case down:
		h.note("the agent is killed, and not started yet")
		if err := h.Node.Kill(ctx, 0); err != nil {
			return err
		}
	case h.chance(25):
		after := h.rand.IntN(30)
		h.note("the agent is to be killed after %d more calls", after)
		if err := h.Node.Kill(ctx, after); err != nil {
			return err
		}
	}
	if h.chance(20) {
		if err := h.doOne(ctx, first); err != nil {
			return err
		}
	}
	for range 1 + h.rand.IntN(h.Busy) {
		kind := edits
		if h.chance(45) {
			kind = byHand
		}
		if err := h.doOne(ctx, kind); err != nil {
			return err
		}
	}
	if down {
		return h.Node.Start(ctx)
	}
	return nil
}

// doOne does doOne action of a kind, of those that are possible.
func (h *History) doOne(ctx context.Context, kind []action) error {
	for range 10 {
		what, err := h.choose(kind)(ctx, h)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if what != "" {
			h.Actions++
			h.note("%s", what)
			return nil
		}
	}
	return nil
}

func (h *History) choose(from []action) action { return from[h.rand.IntN(len(from))] }

// chance is true with a probability in percent.
func (h *History) chance(percent int) bool { return h.rand.IntN(100) < percent }

// check compares the node with the model, when the agent had time enough.
func (h *History) check(ctx context.Context) error {
	m := h.model
	_ = m.settle()
	var differences []string
	for try := 0; ; try++ {
		if err := h.Node.Rest(ctx); err != nil {
			return err
		}
		if m.broken != nil && h.Node.Lives() != m.broken.life {
			m.blind = true
		}
		n, err := h.Node.Look(ctx)
		if err != nil {
			return err
		}
		status, err := h.Node.Status(ctx)
		if err != nil {
			return err
		}
		m.adoptObserved(n)
		want := m.settle()
		missing, extra := scenario.Compare(m.lines(), m.look(n))
		differences = nil
		for _, line := range missing {
			differences = append(differences, "lost: "+line)
		}
		for _, line := range extra {
			differences = append(differences, "leaked: "+line)
		}
		differences = append(differences, h.compareConditions(want, status)...)
		if len(differences) == 0 {
			break
		}
		if try == h.Patience {
			h.Lost, h.Leaked = h.Lost+len(missing), h.Leaked+len(extra)
			return fmt.Errorf("the node is not as it should be:\n  %s\nmessages:\n  %s", strings.Join(differences, "\n  "), strings.Join(messages(status), "\n  "))
		}
	}
	changed, err := h.Node.Idle(ctx)
	if err == nil && len(changed) > 0 && !m.failing {
		err = fmt.Errorf("the agent changes what is as it should be:\n  %s", strings.Join(changed, "\n  "))
	}
	return err
}

// compareConditions compares the phases and reasons of the objects with those expected.
func (h *History) compareConditions(want map[string]string, report status.Report) []string {
	m := h.model
	if m.blind {
		return nil
	}
	var differences []string
	got := scenario.Stand(report)
	if m.broken != nil {
		delete(got, m.broken.object)
		want[m.broken.object] = ""
		for _, s := range m.snapshots() {
			if m.broken.twice && s.named && "Volume/"+s.of == m.broken.object {
				want[s.id()] = "Blocked: Invalid"
			}
		}
	} else if len(report.Findings) > 0 {
		differences = append(differences, "finding: "+report.Findings[0].Message)
	}
	for id, how := range want {
		if how != got[id] {
			differences = append(differences, fmt.Sprintf("%s should be %q and is %q", id, how, got[id]))
		}
	}
	for id, how := range got {
		if _, expected := want[id]; !expected {
			differences = append(differences, fmt.Sprintf("%s should be Ready or not there and is %q", id, how))
		}
	}
	for _, t := range m.things {
		named := slices.ContainsFunc(report.Objects, func(o status.Object) bool { return o.ID().String() == t.id() })
		if m.broken == nil && named != (t.named || t.lv != nil) {
			differences = append(differences, fmt.Sprintf("%s is in the status: %t", t.id(), named))
		}
	}
	slices.Sort(differences)
	return differences
}

func messages(report status.Report) []string {
	var lines []string
	for _, f := range report.Findings {
		lines = append(lines, "finding: "+f.File+": "+f.Message)
	}
	for _, o := range report.Objects {
		if o.Phase != status.Ready {
			lines = append(lines, fmt.Sprintf("%s: %s: %s: %s", o.ID(), o.Phase, o.Reason, o.Message))
		}
	}
	return lines
}
