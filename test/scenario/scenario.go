package scenario

import (
	"context"
	"errors"
	"io/fs"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

// Scenario is a history of a node, which begins with an empty volume group vg0.
type Scenario struct {
	Name  string
	Steps []Step
	// FakeOnly is why it cannot happen on a real kernel; empty: it can.
	FakeOnly string
	// Telling says which calls are those at which a crash tells most; nil: all.
	Telling func(fakehost.Call) bool
}

// Step is what happens, and how the objects stand once the agent has done what
// it can.
type Step struct {
	Name string
	// At, in RFC 3339, is what the clock of the machine is set to. Empty: as in the step before, or, in
	// the first one, the real clock.
	At string
	// Files are written to the directory of specs, by name; an empty one is
	// removed.
	Files map[string]string
	// Answer, if not nil, returns files that depend on how the objects stood
	// before.
	Answer func(status.Report) map[string]string
	// ByHand, if not nil, is what people do to the machine before the agent runs.
	ByHand func(context.Context, Machine) error
	// Stand is how the objects stand that are not Ready, as Phase: Reason by
	// Kind/name.
	Stand map[string]string
	// Content is what is found in logical volumes afterwards, by vg/lv.
	Content map[string]string
	// Data is all that is in them, as by [Data]. It is looked at in memory only.
	Data map[string]string
	// Saved, if not nil, is what is in the backups of the repository, the oldest first. Only in memory.
	Saved []string
	// Repeated is true if another scenario has the same step: the agent is killed there, and here only in a long run.
	Repeated bool
	// Dies, if not nil, returns the moment at which the agent dies: before a call. The
	// next step starts from there, and this one is not expected to reach its end. Only
	// in memory.
	Dies func() func(fakehost.Call) bool
}

// Expected is how the objects stand that are not Ready; never nil.
func (s Step) Expected() map[string]string {
	if s.Stand == nil {
		return map[string]string{}
	}
	return s.Stand
}

// Machine is where people do something by hand.
type Machine interface {
	host.Runner
	// WriteFile, Mkdir, Remove and Symlink are those of [host.Files].
	WriteFile(path string, data []byte) error
	Mkdir(path string) error
	Remove(path string) error
	Symlink(target, link string) error
	// Write puts text at the beginning of a logical volume, vg/lv.
	Write(ctx context.Context, lv, text string) error
	// Mount mounts a logical volume that holds a file system, or makes one.
	Mount(ctx context.Context, lv, dir string) error
	Unmount(ctx context.Context, dir string) error
	// Login logs an initiator in to a target that asks for no password.
	Login(ctx context.Context, target, initiator string) error
	Logout(ctx context.Context, target, initiator string) error
	// Reboot restarts the machine.
	Reboot(ctx context.Context) error
}

// commands runs commands by hand.
func commands(lines ...[]string) func(context.Context, Machine) error {
	return func(ctx context.Context, m Machine) error {
		for _, argv := range lines {
			if _, err := m.Run(ctx, argv...); err != nil {
				return err
			}
		}
		return nil
	}
}

// all does several things by hand.
func all(doings ...func(context.Context, Machine) error) func(context.Context, Machine) error {
	return func(ctx context.Context, m Machine) error {
		for _, do := range doings {
			if err := do(ctx, m); err != nil {
				return err
			}
		}
		return nil
	}
}

func write(lv, text string) func(context.Context, Machine) error {
	return func(ctx context.Context, m Machine) error { return m.Write(ctx, lv, text) }
}

// configfs changes LIO by hand. Each line is an operation and its operands below
// the directory of LIO: mkdir, rmdir and rm take a path, echo a value and a
// path, ln where it leads and a path.
func configfs(lines ...[]string) func(context.Context, Machine) error {
	const lio = "/sys/kernel/config/target/"
	return func(_ context.Context, m Machine) error {
		for _, l := range lines {
			var err error
			switch l[0] {
			case "mkdir":
				if err = m.Mkdir(lio + l[1]); errors.Is(err, fs.ErrExist) {
					err = nil
				}
			case "rmdir", "rm":
				err = m.Remove(lio + l[1])
			case "echo":
				err = m.WriteFile(lio+l[2], []byte(l[1]))
			case "ln":
				err = m.Symlink(lio+l[1], lio+l[2])
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
}
