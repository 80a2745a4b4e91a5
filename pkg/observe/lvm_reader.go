package observe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/pvscan"
)

// lvmReader reads all volume groups with one process, as long as nothing is
// wrong.
//
// LVM waits without a limit for the lock of a volume group, and for a device
// that does not answer. A report that takes too long is therefore left running, and
// the volume groups that need no waiting are read by another.
//
// If it is known which devices do not answer, LVM is not given these. If a device stopped
// answering only now, the report is left running and another is made without the device.
type lvmReader struct {
	host host.Host
	// devices knows which devices do not answer; nil: that is not known.
	devices Devices
	// patience is how long a report is waited for, and suspicion how long before the
	// devices are looked at.
	patience, suspicion time.Duration

	mu sync.Mutex
	// left are the reports that were left running: at most one of each kind for the
	// same devices, whatever happens.
	left map[reportKey]<-chan lvmReport
}

// Devices knows which block devices do not answer. LVM is not given them.
type Devices interface {
	// Recheck checks again the devices that LVM is given. It reports whether another
	// device does not answer.
	Recheck(ctx context.Context) bool
	// Silent returns the devices that do not answer.
	Silent() []pvscan.Silent
	// OwnTargets says which targets of this machine the kernel does not show.
	OwnTargets(names ...string)
}

// reportKey identifies a report: by its kind, and by the devices that LVM was not given.
type reportKey struct {
	kind    reportKind
	without string
}

// reportKind is one of the two commands that make a report.
type reportKind string

const (
	complete reportKind = "complete"
	// unlocked fails where another process holds the lock of a volume group.
	unlocked reportKind = "unlocked"
)

// defaultPatience is longer than LVM takes for thousands of logical volumes, and
// than other commands usually hold a lock.
const defaultPatience = 15 * time.Second

// defaultSuspicion is longer than a report takes on all but the largest nodes.
const defaultSuspicion = 3 * time.Second

// lvmReport is the result of a report.
type lvmReport struct {
	groups map[string]VolumeGroup
	// unread is why volume groups may exist that are not in groups. Of these, unusable are on
	// the machine, and unknown is what is left.
	unread   error
	unusable map[string]error
	unknown  error
	// silent are the devices that LVM was not given because they do not answer.
	silent []string
	// err is why there is nothing at all.
	err error
}

// errNoAnswer means that a report is still running.
var errNoAnswer = errors.New("LVM does not respond")

func (r *lvmReader) read(ctx context.Context) lvmReport {
	report := r.awaitReport(ctx, complete)
	if errors.Is(report.err, errNoAnswer) {
		report = r.awaitReport(ctx, unlocked)
	}
	report.unusable, report.unknown = splitByGroup(report.unread)
	report.excludeIncomplete(r.silent())
	addHolders(r.host, report.groups)
	return report
}

// silent returns the devices that do not answer.
func (r *lvmReader) silent() []string {
	var silent []string
	if r.devices != nil {
		for _, d := range r.devices.Silent() {
			silent = append(silent, d.String())
		}
	}
	return silent
}

// excludeIncomplete excludes the volume groups that lack physical volumes while devices do not
// answer. Those physical volumes are not lost: LVM was not given the device.
func (report *lvmReport) excludeIncomplete(silent []string) {
	if report.silent = silent; len(silent) == 0 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(report.groups)) {
		if n := report.groups[name].MissingPVs; n > 0 {
			delete(report.groups, name)
			lacks := fmt.Errorf("volume group %s lacks %d physical volume(s), and %s", name, n, shortList(silent))
			report.unread, report.unknown = errors.Join(report.unread, lacks), errors.Join(report.unknown, lacks)
		}
	}
}

// shortList lists silent devices in a short form: with one cause, many devices are silent.
func shortList(silent []string) string {
	if n := len(silent); n > 3 {
		return fmt.Sprintf("%s and %d other devices do not answer", strings.Join(silent[:3], ", "), n-3)
	}
	return strings.Join(silent, ", ")
}

// awaitReport waits for a report, unless one of its kind is still running.
func (r *lvmReader) awaitReport(ctx context.Context, kind reportKind) lvmReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		report, again := r.askOnce(ctx, reportKey{kind, strings.Join(r.silent(), "\n")})
		if !again {
			return report
		}
	}
}

// askOnce also reports whether to ask again, because a device was found that the report
// waits for.
func (r *lvmReader) askOnce(ctx context.Context, key reportKey) (report lvmReport, again bool) {
	for k, running := range r.left {
		select {
		case <-running: // what it says is old by now
			delete(r.left, k)
		default:
			if k == key {
				return lvmReport{err: r.noAnswerError()}, false
			}
		}
	}
	answer := make(chan lvmReport, 1)
	go func() { answer <- readReport(ctx, r.host, key.kind) }()
	limit := time.NewTimer(r.patience)
	defer limit.Stop()
	var suspect <-chan time.Time
	if r.devices != nil {
		suspect = time.After(r.suspicion)
	}
	for {
		select {
		case report := <-answer:
			return report, false
		case <-suspect:
			if !r.devices.Recheck(ctx) {
				continue
			}
		case <-limit.C:
			report = lvmReport{err: r.noAnswerError()}
		}
		if r.left == nil {
			r.left = map[reportKey]<-chan lvmReport{}
		}
		r.left[key] = answer
		return report, report.err == nil
	}
}

func (r *lvmReader) noAnswerError() error {
	return fmt.Errorf("%w within %s: another process holds a lock, or a device does not respond (see ps ax | grep lvm, dmesg)", errNoAnswer, r.patience)
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
		return lvmReport{err: withoutOptions(failed)}
	}
	groups, unread, err := parseReport(out.Stdout)
	switch {
	case err != nil && failed != nil:
		return lvmReport{err: withoutOptions(failed)}
	case err != nil:
		return lvmReport{err: fmt.Errorf("lvm fullreport: %w", err)}
	}
	unread = errors.Join(append([]error{unread}, slices.Concat(skippedGroups(out.Stderr, groups), excludeDuplicates(out.Stderr, groups))...)...)
	return lvmReport{groups: groups, unread: errors.Join(unread, withoutOptions(failed))}
}

// withoutOptions removes the options from the error of a report: they are many and do not help
// its reader.
func withoutOptions(err error) error {
	var cmd *host.CommandError
	if !errors.As(err, &cmd) {
		return err
	}
	short := *cmd
	short.Argv = cmd.Argv[:2]
	return &short
}
