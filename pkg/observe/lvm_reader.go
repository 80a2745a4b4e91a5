package observe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// lvmReader reads all volume groups with one process, as long as nothing is
// wrong.
//
// LVM waits without a limit for the lock of a volume group, and for a device
// that does not answer. A report that takes too long is therefore left to itself,
// and the volume groups that need no waiting are read without it.
type lvmReader struct {
	host host.Host
	// patience is how long a report is waited for.
	patience time.Duration

	mu sync.Mutex
	// left are the reports that were left to themselves: one of each kind at
	// most, whatever happens.
	left map[reportKind]<-chan lvmReport
}

// reportKind tells the two ways to ask apart.
type reportKind string

const (
	complete reportKind = "complete"
	// unlocked fails where another process holds the lock of a volume group.
	unlocked reportKind = "unlocked"
)

// defaultPatience is longer than LVM takes for thousands of logical volumes, and
// than other commands usually hold a lock.
const defaultPatience = 15 * time.Second

// lvmReport is what a report came to.
type lvmReport struct {
	groups map[string]VolumeGroup
	// unread is why volume groups may exist that are not in groups.
	unread error
	// err is why there is nothing at all.
	err error
}

// errNoAnswer means that a report is still running.
var errNoAnswer = errors.New("lvm does not answer")

func (r *lvmReader) read(ctx context.Context) lvmReport {
	report := r.ask(ctx, complete)
	if errors.Is(report.err, errNoAnswer) {
		report = r.ask(ctx, unlocked)
	}
	addHolders(r.host, report.groups)
	return report
}

// ask waits for a report, unless one of its kind is still running.
func (r *lvmReader) ask(ctx context.Context, kind reportKind) lvmReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	if running, ok := r.left[kind]; ok {
		select {
		case <-running: // what it says is old by now
			delete(r.left, kind)
		default:
			return lvmReport{err: r.noAnswer()}
		}
	}
	answer := make(chan lvmReport, 1)
	go func() { answer <- readReport(ctx, r.host, kind) }()
	select {
	case report := <-answer:
		return report
	case <-time.After(r.patience):
		if r.left == nil {
			r.left = map[reportKind]<-chan lvmReport{}
		}
		r.left[kind] = answer
		return lvmReport{err: r.noAnswer()}
	}
}

func (r *lvmReader) noAnswer() error {
	return fmt.Errorf("%w within %s: another process holds a lock, or a device does not answer (see ps ax | grep lvm, dmesg)", errNoAnswer, r.patience)
}

// readReport runs a report to its end.
//
// A report that fails is printed all the same: of what is in it nothing is
// missing, see parseGroup, but what is not in it is unknown.
func readReport(ctx context.Context, run host.Runner, kind reportKind) lvmReport {
	argv := reportCommand()
	if kind == unlocked {
		argv = reportCommand("--config", "global/wait_for_locks=0")
	}
	out, failed := run.Run(ctx, argv...)
	var cmd *host.CommandError
	if failed != nil && (!errors.As(failed, &cmd) || cmd.ExitCode != host.LVMFailed) {
		return lvmReport{err: brief(failed)}
	}
	groups, unread, err := parseReport(out.Stdout)
	switch {
	case err != nil && failed != nil:
		return lvmReport{err: brief(failed)}
	case err != nil:
		return lvmReport{err: fmt.Errorf("lvm fullreport: %w", err)}
	case unread != nil:
		unread = fmt.Errorf("lvm fullreport: %w", unread)
	}
	return lvmReport{groups: groups, unread: errors.Join(unread, brief(failed))}
}

// brief leaves the options out of the error of a report: they are many and say
// nothing to whoever reads it.
func brief(err error) error {
	var cmd *host.CommandError
	if !errors.As(err, &cmd) {
		return err
	}
	short := *cmd
	short.Argv = cmd.Argv[:2]
	return &short
}
