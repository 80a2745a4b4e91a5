// Package limited runs a program on untrusted input: with limits for memory, time and
// open files, with bounded output, and never longer than its context. It knows nothing of
// the programs. Start reading at [Run].
package limited

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Limits are the child's resource limits, see setrlimit(2).
//
// They are set by prlimit(1), of util-linux, which is on every Debian and execs
// the program after it has limited itself. Setting them from here on the running
// child would come too late for its first instructions, and Go cannot do it between
// fork and exec.
type Limits struct {
	// Memory is the address space in bytes. It bounds more than what is used:
	// stacks and libraries count, used or not.
	Memory int64
	// CPU is processor time, counted over all threads, in whole seconds.
	CPU time.Duration
	// Files is the number of open files.
	Files int
}

// Command is a program and what it is given.
type Command struct {
	Limits Limits
	Argv   []string
	// Files become the child's descriptors 3, 4 and so on, and so /proc/self/fd/3 …
	Files []*os.File
	Stdin *os.File
	// Stdout receives what it prints; nil: that is discarded.
	Stdout io.Writer
}

// Error is a program that could not be run or failed.
type Error struct {
	Argv []string
	// Stderr is the beginning and the end of what it had to say.
	Stderr string
	Err    error
}

// Error renders the command line, how it ended, and what it said.
func (e *Error) Error() string {
	s := strings.Join(e.Argv, " ") + ": " + e.Err.Error()
	if said := strings.Join(strings.Fields(e.Stderr), " "); said != "" {
		s += ": " + said
	}
	return s
}

// Unwrap returns how it ended; [syscall.ENOSPC] is recognised in what it said.
func (e *Error) Unwrap() []error {
	errs := []error{e.Err}
	if strings.Contains(e.Stderr, "No space left on device") {
		errs = append(errs, syscall.ENOSPC)
	}
	return errs
}

// Run runs a command to its end. When ctx ends, its whole process group is killed,
// and the cause of ctx is returned. When this process dies, the kernel kills the
// child: one that continued writing to a device that another agent has taken up
// again would be a disaster.
func Run(ctx context.Context, c Command) error {
	done := make(chan error, 1)
	go func() {
		// The kernel sends the signal when the *thread* that forked ends, so
		// this one is kept until the child is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		done <- run(ctx, c)
	}()
	return <-done
}

func run(ctx context.Context, c Command) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	argv := append([]string{
		"--as=" + strconv.FormatInt(c.Limits.Memory, 10),
		"--cpu=" + strconv.FormatInt(int64(c.Limits.CPU.Seconds()), 10),
		"--nofile=" + strconv.Itoa(c.Limits.Files),
		"--core=0", "--",
	}, c.Argv...)
	said := &excerpt{}
	cmd := exec.CommandContext(ctx, "prlimit", argv...)
	// Few arenas: each reserves 64 MiB of the address space.
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "MALLOC_ARENA_MAX=2", "TMPDIR=/nonexistent"}
	cmd.Dir = "/"
	cmd.Stdin = io.Reader(nil)
	if c.Stdin != nil {
		cmd.Stdin = c.Stdin
	}
	cmd.Stdout, cmd.Stderr = c.Stdout, said
	cmd.ExtraFiles = c.Files
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	// Descendants that survived could hold the pipes open for ever.
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%s: stopped: %w", c.Argv[0], cause)
	}
	if errors.Is(err, exec.ErrNotFound) {
		err = fmt.Errorf("%w; install util-linux", err)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		switch {
		// prlimit's own words for "no such program" are exit status 127 or 1.
		case strings.Contains(said.String(), "failed to execute"):
			err = fmt.Errorf("%w; install %s", err, c.Argv[0])
		case overLimit(exit):
			err = fmt.Errorf("%w (its limits: %d MiB of address space, %v of processor time)", err, c.Limits.Memory>>20, c.Limits.CPU)
		}
	}
	return &Error{Argv: c.Argv, Stderr: said.String(), Err: err}
}

// overLimit tells whether a program may have been ended by its limits: SIGXCPU and SIGKILL
// are for the processor time, and the others are what programs do without memory.
func overLimit(exit *exec.ExitError) bool {
	status, ok := exit.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return false
	}
	switch status.Signal() {
	case syscall.SIGXCPU, syscall.SIGKILL, syscall.SIGABRT, syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGTRAP:
		return true
	default:
		return false
	}
}

// excerpt keeps the beginning and the end of what is written to it.
type excerpt struct {
	head, tail []byte
	dropped    bool
}

const excerptHalf = 2 << 10

func (e *excerpt) Write(b []byte) (int, error) {
	n := len(b)
	if room := excerptHalf - len(e.head); room > 0 {
		take := min(room, len(b))
		e.head, b = append(e.head, b[:take]...), b[take:]
	}
	e.tail = append(e.tail, b...)
	if over := len(e.tail) - excerptHalf; over > 0 {
		e.tail, e.dropped = append([]byte(nil), e.tail[over:]...), true
	}
	return n, nil
}

func (e *excerpt) String() string {
	if e.dropped {
		return string(e.head) + " … " + string(e.tail)
	}
	return string(e.head) + string(e.tail)
}
