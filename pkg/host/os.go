package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// commandLimit is how long a command may take. LVM waits without a limit
	// for the lock of a volume group, and a dead device can make it hang. It also
	// takes minutes for discards, where lvm.conf asks for them.
	commandLimit = 10 * time.Minute
	// stopGrace is how long a command may take to end after SIGTERM.
	stopGrace = 10 * time.Second
	// outputGrace is how long output is waited for after a command has ended.
	// Daemons that it started, dmeventd for one, may hold its output open.
	outputGrace = 2 * time.Second
)

// SearchPath is where commands are searched, whatever the agent's own PATH.
var SearchPath = []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// OS is the real machine. It is safe for concurrent use.
type OS struct {
	processes atomic.Int64
	running   atomic.Int64
	limit     time.Duration
	grace     time.Duration
	devices   LVMDevices // nil: LVM looks by itself
}

var _ Host = (*OS)(nil)

// New returns the real machine.
func New() *OS { return &OS{limit: commandLimit, grace: stopGrace} }

// Processes returns how many processes were started so far.
func (o *OS) Processes() int64 { return o.processes.Load() }

// Running returns how many commands run now, of which each ends or is left behind by the time limit.
func (o *OS) Running() int64 { return o.running.Load() }

// Run runs a command, see [Runner].
//
// A command that exceeds the time limit receives SIGTERM. LVM ends by that where it
// can, as while it waits for a lock, and blocks it where it must not, as while
// it holds one. It never receives SIGKILL, which could leave devices suspended, and
// with them everybody who uses them: a command that continues all the same is
// left behind, and reported as an error.
func (o *OS) Run(ctx context.Context, argv ...string) (Output, error) {
	if err := ctx.Err(); err != nil {
		return Output{}, notRun(argv, err)
	}
	if len(argv) == 0 {
		return Output{}, notRun(argv, errors.New("no command"))
	}
	args, report := lvmProcess(argv)
	if devices, limited := o.devicesFor(ctx, argv); limited {
		args = withDevices(args, devices)
	}
	cmd, err := command(args...)
	if err != nil {
		return Output{}, notRun(argv, err)
	}
	if report {
		// What LVM says besides, such as "Retrying metadata scan.", is not mixed with it.
		cmd.Env = append(cmd.Env, "LVM_OUT_FD=2", "LVM_REPORT_FD=1")
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &stdout, &stderr, outputGrace
	if err := cmd.Start(); err != nil {
		return Output{}, notRun(argv, err)
	}
	o.processes.Add(1)
	o.running.Add(1)
	defer o.running.Add(-1)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	select {
	case err = <-ended:
	case <-time.After(o.limit):
		stop(cmd)
		select {
		case err = <-ended:
			err = errors.Join(fmt.Errorf("stopped after %s", o.limit), err)
		case <-time.After(o.grace):
			// The buffers are still the command's: nothing of them is returned.
			return Output{}, notRun(argv, fmt.Errorf("still running after %s as process %d", o.limit, cmd.Process.Pid))
		}
	}
	out := Output{Stdout: stdout.Bytes(), Stderr: stderr.String()}
	return out, result(argv, out, err)
}

// result makes the error that Run returns of the one that Wait returned.
func result(argv []string, out Output, err error) error {
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return nil
	case errors.As(err, &exit) && exit.Exited():
		return &CommandError{Argv: argv, ExitCode: exit.ExitCode(), Stderr: out.Stderr}
	default:
		return &CommandError{Argv: argv, ExitCode: -1, Stderr: out.Stderr, Err: err}
	}
}

// notRun is the error of a command that has no exit status.
func notRun(argv []string, err error) error {
	return &CommandError{Argv: argv, ExitCode: -1, Err: err}
}

// command prepares a command: minimal environment, no open files of ours, and
// a process group of its own, so that Ctrl-C at the agent does not hit it.
func command(argv ...string) (*exec.Cmd, error) {
	path, err := find(argv[0])
	if err != nil {
		return nil, err
	}
	return &exec.Cmd{
		Path: path,
		Args: argv,
		Dir:  "/",
		Env: []string{
			"LC_ALL=C",
			"PATH=" + strings.Join(SearchPath, ":"),
			// LVM complains of open files that are not its own. It has none of
			// ours; those of a test runner or a service manager are no news.
			"LVM_SUPPRESS_FD_WARNINGS=1",
		},
		SysProcAttr: &unix.SysProcAttr{Setpgid: true},
	}, nil
}

// stop asks a command and what it started to end.
func stop(cmd *exec.Cmd) {
	// It fails only if they have ended, which is what was wanted.
	_ = unix.Kill(-cmd.Process.Pid, unix.SIGTERM)
}

// find returns the path of a command.
func find(name string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	for _, dir := range SearchPath {
		path := filepath.Join(dir, name)
		if fi, err := os.Stat(path); err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("%w in %s", exec.ErrNotFound, strings.Join(SearchPath, ":"))
}

// configFS is where configfs is mounted.
const configFS = "/sys/kernel/config/"

// ReadFile reads a file, see [Files].
//
// It does without os.File too: a pass reads thousands of attributes of a few
// bytes, and more than half of the time would go into stat and the poller.
func (*OS) ReadFile(path string) ([]byte, error) {
	fd, err := retry(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	data := make([]byte, 0, 512)
	last := false
	for {
		var n int
		if !last {
			n, err = retry(func() (int, error) { return unix.Read(fd, data[len(data):cap(data)]) })
		}
		// configfs copies all that there is and fits (configfs_read_iter in fs/configfs/file.c):
		// what does not fill the room is the end, and need not be asked for again.
		last = strings.HasPrefix(path, configFS) && n < cap(data)-len(data)
		if err != nil || n == 0 {
			if err := errors.Join(err, unix.Close(fd)); err != nil {
				return nil, &fs.PathError{Op: "read", Path: path, Err: err}
			}
			return data, nil
		}
		if data = data[:len(data)+n]; len(data) == cap(data) {
			data = slices.Grow(data, len(data))
		}
	}
}

// ReadDir reads a directory, see [Files].
func (*OS) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(path) }

// Readlink reads a symlink, see [Files].
func (*OS) Readlink(path string) (string, error) { return os.Readlink(path) }

// Lstat says what is at a path, see [Files].
func (*OS) Lstat(path string) (fs.FileInfo, error) { return os.Lstat(path) }

// WriteFile writes to an existing file, see [Files].
//
// It does without os.File, which would continue after a short write with a second
// one, and the kernel would take that for a new value of the attribute.
func (*OS) WriteFile(path string, data []byte) error {
	fd, err := retry(func() (int, error) { return unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	n, err := retry(func() (int, error) { return unix.Write(fd, data) })
	if err == nil && n < len(data) {
		err = io.ErrShortWrite
	}
	if err := errors.Join(err, unix.Close(fd)); err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

// retry repeats a system call that a signal interrupted before it did anything.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// Mkdir makes a directory, see [Files].
func (*OS) Mkdir(path string) error { return os.Mkdir(path, 0o755) }

// Remove removes a symlink or an empty directory, see [Files].
func (*OS) Remove(path string) error { return os.Remove(path) }

// Symlink makes a symlink, see [Files].
func (*OS) Symlink(target, link string) error { return os.Symlink(target, link) }
