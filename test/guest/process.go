package guest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Files that the process of a machine inherits, by number.
const (
	agentFD  = 3 // our end of the line to the guest's agent is the other
	initrdFD = 4
	// terminalFD is one more line, for somebody's shell.
	terminalFD = 5
)

// killTimeout is how long a killed process may take to end.
const killTimeout = 10 * time.Second

// process is the host's process that a guest runs in: an emulator, or a kernel.
type process struct {
	cmd      *exec.Cmd
	console  *console
	agent    net.Conn
	terminal net.Conn // nil if nobody asked for one
	done     chan struct{}
	err      error // how it ended; set before done is closed
}

// startProcess starts a guest's process in a directory, on the processor that it is
// pinned to if it is. Its output is the guest's console.
func startProcess(argv, environment []string, dir string, initrd []byte, terminal bool, pin *pin) (*process, error) {
	initrdFile, err := memoryFile("initrd", initrd)
	if err != nil {
		return nil, err
	}
	defer func() { _ = initrdFile.Close() }()
	p := &process{cmd: exec.Command(argv[0], argv[1:]...), console: &console{}, done: make(chan struct{})}
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer func() { _ = theirs.Close() }()
	p.agent = ours
	p.cmd.ExtraFiles = []*os.File{agentFD - 3: theirs, initrdFD - 3: initrdFile}
	if terminal {
		ours, theirs, err := socketPair()
		if err != nil {
			return nil, err
		}
		defer func() { _ = theirs.Close() }()
		p.terminal = ours
		p.cmd.ExtraFiles = append(p.cmd.ExtraFiles, theirs)
	}
	if pin != nil {
		defer func() { _ = pin.slot.Close() }()
		p.cmd.ExtraFiles = append(p.cmd.ExtraFiles, pin.slot)
	}
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), environment...)
	p.cmd.Stdout, p.cmd.Stderr = p.console, p.console
	p.cmd.SysProcAttr = &syscall.SysProcAttr{
		// A process group of its own: Ctrl-C in a terminal is for us, and the
		// guest goes down in an orderly way.
		Setpgid:   true,
		Pdeathsig: syscall.SIGKILL,
	}
	started := make(chan error)
	go p.run(started, pin)
	if err := <-started; err != nil {
		p.close()
		return nil, fmt.Errorf("start the guest (hack/install-deps.sh installs what it needs): %w", err)
	}
	return p, nil
}

// run starts the process and stays until it ends. The kernel sends the parent death
// signal when the thread ends that started the child, so this goroutine keeps
// its thread for as long as the process lives.
func (p *process) run(started chan<- error, pin *pin) {
	runtime.LockOSThread()
	var err error
	if pin != nil {
		err = pin.hold()
	}
	if err == nil {
		err = p.cmd.Start()
	}
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	p.close()
	close(p.done)
}

func (p *process) close() {
	_ = p.agent.Close()
	if p.terminal != nil {
		_ = p.terminal.Close()
	}
}

// kill returns when the process is dead, or when it takes longer than that can take
// unless the host's kernel holds it. What User-mode Linux runs its processes in is of
// the same group.
func (p *process) kill() {
	select {
	case <-p.done: // the number may be somebody else's by now
		return
	default:
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	select {
	case <-p.done:
	case <-time.After(killTimeout):
	}
}

// exitError says that the process is gone although nobody asked it to go.
func (p *process) exitError() error {
	if p.err != nil {
		return fmt.Errorf("%s: %w", p.cmd.Args[0], p.err)
	}
	return errors.New("the guest went down")
}

// memoryFile is a file without a name, which nobody has to remove.
func memoryFile(name string, content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.Write(content); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func socketPair() (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "agent"), os.NewFile(uintptr(fds[1]), "agent")
	defer func() { _ = ours.Close() }()
	conn, err := net.FileConn(ours)
	if err != nil {
		_ = theirs.Close()
		return nil, nil, err
	}
	return conn, theirs, nil
}
