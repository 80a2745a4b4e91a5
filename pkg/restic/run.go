package restic

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// killAfter is how long restic has to remove its lock after SIGINT. It removes it within
// milliseconds on a disk; a remote one may need a few requests.
const killAfter = 10 * time.Second

// Command is one start of the program.
type Command struct {
	Program string
	Args    []string
	Env     []string // all of the environment
	Dir     string   // the working directory; empty: /
	Stdout  io.Writer
	Stderr  io.Writer
}

// Runner runs a command to its end. It returns the exit status; the error is for a program that could
// not be started, was ended by a signal, or whose output could not be written (with exit
// status -1 unless it has one). When ctx ends, it asks the program to end, and does not return
// before the program is gone.
type Runner interface {
	Run(ctx context.Context, c Command) (int, error)
}

// Child runs commands as children of this process, which die with it.
type Child struct {
	Idle bool // lowest priority for processor and disk
}

// Run implements [Runner].
func (ch Child) Run(ctx context.Context, c Command) (int, error) {
	type answer struct {
		code int
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		// The kernel sends the death signal when the thread that forked ends, so it is kept
		// until the child is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		code, err := ch.run(ctx, c)
		done <- answer{code, err}
	}()
	a := <-done
	return a.code, a.err
}

func (ch Child) run(ctx context.Context, c Command) (int, error) {
	argv := append([]string{c.Program}, c.Args...)
	if ch.Idle {
		argv = append([]string{"ionice", "-c", "3", "nice", "-n", "19"}, argv...)
	}
	dir := c.Dir
	if dir == "" {
		dir = "/"
	}
	// The directory may be a file system that this process serves. Between fork and exec, the
	// Go runtime could not serve it: the directory is changed by a program of its own.
	argv = append([]string{"env", "--chdir=" + dir}, argv...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = c.Env, "/"
	cmd.Stdout, cmd.Stderr = c.Stdout, c.Stderr
	// A group of its own: Ctrl-C in a terminal must reach restic once, and from us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = killAfter
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return -1, err
	}
	return 0, nil
}

// tail keeps the end of what is written to it.
type tail struct{ text []byte }

// keep is enough for the last lines of restic.
const keep = 4 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.text = append(t.text, b...)
	if len(t.text) > 2*keep {
		t.text = append(t.text[:0], t.text[len(t.text)-keep:]...)
	}
	return len(b), nil
}

func (t *tail) String() string { return strings.TrimSpace(string(t.text)) }

const (
	// retries is how often restic may try again what will not become better by that: it does so for 15 minutes, for
	// each file, also when there is no space left or the repository is read-only.
	retries = 3
	// soonRetries is how often it may try again to answer a question: about 15 seconds.
	soonRetries = 5
)

// impatient ends restic when it tries again in vain.
type impatient struct {
	lines
	seen int
}

// newImpatient returns one; soon is true if it does not wait for a repository that does not answer either. A backup
// does: the network may be there again in a minute.
func newImpatient(soon bool, stop func(error)) *impatient {
	w := &impatient{}
	others := 0
	w.each = func(line []byte) {
		if !bytes.Contains(line, []byte("retrying after")) {
			return
		}
		if kind := classify(0, string(line)); errors.Is(kind, ErrFull) || errors.Is(kind, ErrReadOnly) {
			if w.seen++; w.seen == retries {
				stop(kind)
			}
		} else if others++; soon && others == soonRetries {
			stop(ErrUnreachable)
		}
	}
	return w
}
