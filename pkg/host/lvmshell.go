package host

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// LVMFailed is the exit status of an LVM command that was understood and failed
// (ECMD_FAILED in its tools/errors.h). Its text may tell why.
const LVMFailed = 5

// LVMShell runs LVM commands in persistent lvm(8) shells, so that a series of
// commands costs one process instead of one each: most of a short command's
// time is its start.
//
// It starts a shell when there is none idle, and so has as many as there were
// commands at the same time: one, as long as they come one after the other.
// [LVMShell.Close] ends them, best after each series.
//
// The shells run under the node's own configuration, lvm.conf, devices file,
// metadata backups and all; nothing but the form of their answers is set, in a
// copy of it in Dir. Where that cannot be written, or the shell is missing from
// the build, each command has its own process.
type LVMShell struct {
	// Dir is the directory of that copy, which is made where needed. It is set before
	// the first command.
	Dir string

	os       *OS
	lvm      string // the command
	etc      string // LVM's configuration
	limit    time.Duration
	lifetime time.Duration

	mu     sync.Mutex
	idle   []*shell
	broken bool // no shell can be had on this machine

	writing sync.Mutex // of Dir, by whoever starts a shell
}

var _ Runner = (*LVMShell)(nil)

// NewLVMShell returns an LVMShell without a process yet.
func NewLVMShell(o *OS) *LVMShell {
	return &LVMShell{Dir: "/run/volreconciler/lvm", os: o, lvm: "lvm", etc: lvmEtc, limit: o.limit, lifetime: shellLifetime}
}

// Run runs an LVM command such as lvcreate, see [Runner]. The Output is that of
// the command as a process of its own: what it printed and its warnings and
// errors; of a report it is JSON, "report" and "log".
//
// If the shell is lost on the way, the error says so, and what became of the
// command is not known. The next Run starts a new shell.
func (s *LVMShell) Run(ctx context.Context, argv ...string) (Output, error) {
	if err := ctx.Err(); err != nil {
		return Output{}, notRun(argv, err)
	}
	words := InLVMShell(argv)
	devices, limited := s.os.devicesFor(ctx, argv)
	if len(words) > shellWords || limited && (len(words)+2 > shellWords || slices.Contains(words, "--config")) {
		return s.os.Run(ctx, argv...)
	}
	line, err := shellLine(words)
	if err != nil {
		return Output{}, notRun(argv, err)
	}
	if limited {
		line = limitedLine(line, devices)
	}
	s.os.running.Add(1)
	defer s.os.running.Add(-1)
	sh := s.take()
	if sh == nil {
		return s.os.Run(ctx, argv...)
	}
	a, err := sh.ask(line, s.limit)
	if errors.Is(err, errNotSent) {
		sh.abandon()
		return s.os.Run(ctx, argv...)
	}
	if err == nil && (a.Report == nil || a.ret != retProcessed) {
		// What LVM printed besides its report, and why it failed, are in the log
		// that it keeps of the last command.
		a, err = sh.lastLog(a)
	}
	if err != nil {
		sh.abandon()
		return Output{}, notRun(argv, fmt.Errorf("lvm shell: %w", err))
	}
	s.giveBack(sh)
	return a.result(argv)
}

// Close ends the shells that are idle, and waits for them. A later Run starts a
// new one.
func (s *LVMShell) Close() error {
	s.mu.Lock()
	idle := s.idle
	s.idle, s.broken = nil, false
	s.mu.Unlock()
	var errs []error
	for _, sh := range idle {
		errs = append(errs, sh.close())
	}
	return errors.Join(errs...)
}

// take returns a shell that is ready for a command, or nil if none can be had.
func (s *LVMShell) take() *shell {
	if sh, ok := s.takeIdle(); ok {
		return sh
	}
	sh, err := s.start()
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.broken = true // until Close, it is not tried again
		return nil
	}
	return sh
}

// takeIdle returns an idle shell, or nil if none is to be started either. It
// reports false if one is.
func (s *LVMShell) takeIdle() (*shell, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := len(s.idle) - 1; n >= 0; n-- {
		sh := s.idle[n]
		s.idle = s.idle[:n]
		if time.Since(sh.started) < s.lifetime {
			return sh, true
		}
		go func() { _ = sh.close() }() // it ends when it likes
	}
	return nil, s.broken
}

func (s *LVMShell) giveBack(sh *shell) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = append(s.idle, sh)
}

// shellLifetime is how old a shell may become before a new one takes its place.
// Between two commands a shell sees changes of all metadata, but not those of
// lvm.conf, of which it has a copy, and of the devices file (lvmdevices(8)), tried
// with LVM 2.03.16.
const shellLifetime = time.Minute

// shellWords is how many words LVM takes on a line (MAX_ARGS in its
// tools/tools.h, less one). It does not answer to more.
const shellWords = 63

// shellLine returns the line that makes the shell run a command.
//
// The shell splits lines at white space and knows quotes but no escapes
// (lvm_split in its tools/lvmcmdline.c), and takes a word that begins with # for a comment. Between single
// quotes all else is as it is. What could be taken for anything else than part of a word is
// refused rather than quoted in some clever way: no name, tag or size that LVM takes
// needs it.
func shellLine(argv []string) (string, error) {
	words := make([]string, len(argv))
	for i, arg := range argv {
		odd := strings.Count(arg, `"`)%2 == 1 // around a value in a selection there are two
		if odd || strings.ContainsFunc(arg, func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune(`'\`, r) }) {
			return "", fmt.Errorf("cannot pass argument %q to the lvm shell", arg)
		}
		words[i] = arg
		if arg == "" || strings.ContainsAny(arg, ` #"`) {
			words[i] = "'" + arg + "'"
		}
	}
	return strings.Join(words, " ") + "\n", nil
}

// shell is one process.
type shell struct {
	cmd     *exec.Cmd
	started time.Time
	stdin   io.WriteCloser
	report  *os.File
	answers *bufio.Reader
	stderr  tail
	ended   chan struct{}
}

// writeDir copies LVM's configuration, one at a time: two of them would remove each other's files.
func (s *LVMShell) writeDir() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return writeSystemDir(s.Dir, s.etc)
}

// startLimit is how long a new shell may take to answer.
const startLimit = 30 * time.Second

// start starts a shell and sees whether it answers.
func (s *LVMShell) start() (*shell, error) {
	cmd, err := command(s.lvm)
	if err != nil {
		return nil, err
	}
	if err := s.writeDir(); err != nil {
		return nil, err
	}
	report, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	// While we had it open too, the report would have no end.
	closeOurs := sync.OnceFunc(func() { _ = w.Close() })
	defer closeOurs()
	// On its own pipe the report is not mixed with the prompt (lvm(8)).
	cmd.ExtraFiles = []*os.File{w}
	cmd.Env = append(cmd.Env,
		"LVM_REPORT_FD=3",
		"LVM_SYSTEM_DIR="+s.Dir,
		// The shell writes its history there after every command.
		"HOME=/dev/null",
	)
	sh := &shell{cmd: cmd, started: time.Now(), report: report, answers: bufio.NewReader(report), ended: make(chan struct{})}
	cmd.Stderr, cmd.WaitDelay = &sh.stderr, outputGrace
	if sh.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, errors.Join(err, report.Close())
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, report.Close())
	}
	closeOurs()
	s.os.processes.Add(1)
	go func() {
		defer close(sh.ended)
		// How it ended matters to nobody: a command that it did not answer has
		// failed by that.
		_ = cmd.Wait()
	}()
	if _, err := sh.ask("version\n", startLimit); err != nil {
		sh.abandon()
		return nil, err
	}
	return sh, nil
}

// errNotSent means that the shell had ended before it was given a line.
var errNotSent = errors.New("not sent")

// ask sends a line and returns the answer to it.
func (sh *shell) ask(line string, limit time.Duration) (answer, error) {
	if err := sh.report.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return answer{}, err
	}
	if _, err := io.WriteString(sh.stdin, line); err != nil {
		return answer{}, fmt.Errorf("%w: %w", errNotSent, err)
	}
	a, err := readAnswer(sh.answers)
	if err != nil {
		return answer{}, sh.explain(err)
	}
	return a, nil
}

// lastLog completes the answer to the last command.
func (sh *shell) lastLog(a answer) (answer, error) {
	last, err := sh.ask("lastlog\n", startLimit)
	if err != nil {
		return answer{}, err
	}
	if last.ret != a.ret {
		return answer{}, errors.New("out of sync: the log belongs to another command")
	}
	a.Log = last.Log
	return a, nil
}

// explain adds what a shell that is lost had to say.
func (sh *shell) explain(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("no answer within the time limit")
	}
	if said := strings.Join(strings.Fields(sh.stderr.String()), " "); said != "" {
		return fmt.Errorf("%w: %s", err, said)
	}
	return err
}

// close ends an idle shell, by the end of its input.
func (sh *shell) close() error {
	err := sh.stdin.Close()
	select {
	case <-sh.ended:
	case <-time.After(stopGrace):
		sh.abandon()
		return fmt.Errorf("lvm shell: process %d does not exit", sh.cmd.Process.Pid)
	}
	return errors.Join(err, sh.report.Close())
}

// abandon ends a shell that is of no more use. As for why it is not killed, see
// [OS.Run]. A command that it still runs may finish.
func (sh *shell) abandon() {
	select {
	case <-sh.ended:
	default:
		stop(sh.cmd)
	}
	_ = sh.stdin.Close()
	_ = sh.report.Close()
}

// tail keeps the end of what a shell writes to stderr, which must be read lest
// the shell blocks.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailSize = 2048

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if n := len(t.buf) - tailSize; n > 0 {
		t.buf = slices.Delete(t.buf, 0, n)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
