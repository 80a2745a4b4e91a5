//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/volreconciler/volreconciler/test/guest/internal/handover"
	"github.com/volreconciler/volreconciler/test/guest/internal/wire"
)

const (
	agentName = "agent"

	// portName is the name of the virtio-serial port that leads to the host.
	portName = "agent"

	// drain is how long output may pause after a command's end before the
	// command counts as silent although somebody, a daemon that it left
	// behind, still holds its output open.
	drain = 300 * time.Millisecond
)

// toldVariable hands on to the agent what the guest was told.
const toldVariable = "GUEST_TOLD"

func agent() error {
	told, err := handover.Parse([]byte(os.Getenv(toldVariable)))
	if err != nil {
		return err
	}
	if err := os.Unsetenv(toldVariable); err != nil { // not for the commands
		return err
	}
	say(agentName, "preparing the node")
	if err := prepareNode(told); err != nil {
		return err
	}
	port, err := openPort(told.Machine)
	if err != nil {
		return err
	}
	defer func() { _ = port.Close() }()
	say(agentName, "ready")
	return wire.Serve(context.Background(), port, run)
}

// openPort opens the line to the host.
func openPort(machine string) (*os.File, error) {
	if machine == handover.UserMode {
		return openSerial("/dev/ttyS0")
	}
	names, err := filepath.Glob("/sys/class/virtio-ports/*/name")
	if err != nil {
		return nil, err
	}
	for _, path := range names {
		name, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(string(name)) == portName {
			return os.OpenFile(filepath.Join("/dev", filepath.Base(filepath.Dir(path))), os.O_RDWR, 0)
		}
	}
	return nil, fmt.Errorf("no virtio-serial port %q", portName)
}

// openSerial opens a serial line that passes on every byte as it is.
func openSerial(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if _, err := term.MakeRaw(int(f.Fd())); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("set up %s: %w", path, err)
	}
	return f, nil
}

// run is the [wire.Runner] of the guest. The command gets a process group of
// its own, which is killed as a whole when ctx ends.
func run(ctx context.Context, command wire.Command) (int, error) {
	if len(command.Argv) == 0 {
		return 0, errors.New("no command given")
	}
	cmd := exec.Command(command.Argv[0], command.Argv[1:]...)
	cmd.Env = append(os.Environ(), command.Env...)
	cmd.Dir = command.Dir
	if cmd.Dir == "" {
		cmd.Dir = "/"
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// Only standard input is left to Cmd, and nobody waits for a daemon that
	// holds it open without reading.
	cmd.WaitDelay = drain
	if len(command.Stdin) > 0 {
		cmd.Stdin = strings.NewReader(string(command.Stdin))
	}
	stdout, err := newSink(command.Stdout)
	if err != nil {
		return 0, err
	}
	stderr, err := newSink(command.Stderr)
	if err != nil {
		stdout.abandon()
		return 0, err
	}
	cmd.Stdout, cmd.Stderr = stdout.write, stderr.write
	if err := cmd.Start(); err != nil {
		stdout.abandon()
		stderr.abandon()
		return 0, err
	}
	go stdout.copy()
	go stderr.copy()
	kill := context.AfterFunc(ctx, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer kill()
	if err := cmd.Wait(); cmd.ProcessState == nil {
		return 0, err
	}
	stdout.finish()
	stderr.finish()
	return exitCode(cmd.ProcessState), nil
}

func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// sink is a pipe whose content goes to a writer until the command is over. What
// processes that outlive the command still write is read and dropped: a closed
// pipe would kill them.
type sink struct {
	read, write *os.File
	to          io.Writer
	over        chan struct{}
	copied      chan struct{}
}

func newSink(to io.Writer) (*sink, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	return &sink{read: read, write: write, to: to, over: make(chan struct{}), copied: make(chan struct{})}, nil
}

func (s *sink) abandon() {
	_ = s.read.Close()
	_ = s.write.Close()
}

func (s *sink) copy() {
	defer func() { _ = s.read.Close() }()
	_ = s.write.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := s.read.Read(buffer)
		if n > 0 {
			_, _ = s.to.Write(buffer[:n])
			s.renewDeadline()
		}
		if err != nil {
			close(s.copied)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				_ = s.read.SetReadDeadline(time.Time{})
				_, _ = io.Copy(io.Discard, s.read)
			}
			return
		}
	}
}

func (s *sink) renewDeadline() {
	select {
	case <-s.over:
		_ = s.read.SetReadDeadline(time.Now().Add(drain))
	default:
	}
}

// finish returns once all that the ended command has written is delivered.
func (s *sink) finish() {
	close(s.over)
	_ = s.read.SetReadDeadline(time.Now().Add(drain))
	<-s.copied
}
