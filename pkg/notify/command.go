package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

const (
	// commandLimit is how long a command may take before it is killed, with all that it has started.
	commandLimit = 30 * time.Second
	// commandEnds is how long its output is waited for after that.
	commandEnds = time.Second
	// maxComplaint is how much of what it writes to stderr is repeated.
	maxComplaint = 200
)

// runCommand runs the target's command with a message on its standard input.
func runCommand(ctx context.Context, t Target, m Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	var complaint head
	cmd := exec.CommandContext(ctx, t.Command[0], t.Command[1:]...)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(append(body, '\n')), &complaint
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = commandEnds
	err = cmd.Run()
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("it did not exit within %s and was killed", commandLimit)
	case errors.Is(err, exec.ErrWaitDelay):
		return nil // it exited with 0, and left something running
	case err != nil && len(complaint.text) > 0:
		return fmt.Errorf("%w: %s", err, oneLine(string(complaint.text)))
	}
	return err
}

// head keeps the beginning of what is written to it.
type head struct{ text []byte }

func (h *head) Write(p []byte) (int, error) {
	h.text = append(h.text, p[:min(len(p), maxComplaint-len(h.text))]...)
	return len(p), nil
}
