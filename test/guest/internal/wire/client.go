package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// killGrace is how long Exec waits for a cancelled command to be dead. A
// process in an uninterruptible sleep never is.
const killGrace = 5 * time.Second

// ErrGone is the error of commands whose connection ended before they did.
var ErrGone = errors.New("connection to the guest lost")

// Client asks the other end to run commands. Its methods are safe for
// concurrent use.
type Client struct {
	ready chan struct{}
	done  chan struct{}
	err   error // why the connection ended; set before done is closed

	write   sync.Mutex
	encoder *json.Encoder
	window  *windowed

	mu      sync.Mutex
	lastID  uint64
	pending map[uint64]*call
}

type call struct {
	end chan end

	mu             sync.Mutex
	stdout, stderr io.Writer // nil once the caller has gone on
}

// deliver drops what a writer refuses: one reader that went away must not stop
// the other commands of the connection.
func (c *call) deliver(r reply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stdout != nil && len(r.Stdout) > 0 {
		_, _ = c.stdout.Write(r.Stdout)
	}
	if c.stderr != nil && len(r.Stderr) > 0 {
		_, _ = c.stderr.Write(r.Stderr)
	}
}

// abandon sees to it that the caller's writers are not used any more.
func (c *call) abandon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stdout, c.stderr = nil, nil
}

// NewClient starts reading conn. It stops when conn ends; closing conn is up to
// the caller.
func NewClient(conn io.ReadWriter) *Client {
	c := &Client{
		ready:   make(chan struct{}),
		done:    make(chan struct{}),
		pending: map[uint64]*call{},
	}
	c.window = newWindowed(conn, c.done)
	c.encoder = json.NewEncoder(c.window)
	go c.read(json.NewDecoder(conn))
	return c
}

// Ready is closed when the other end can take commands.
func (c *Client) Ready() <-chan struct{} { return c.ready }

// Done is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.done }

// Exec runs a command and returns its exit status, 128 plus the signal's number
// if a signal ended it. An error means that the command could not be started or,
// if it is [ErrGone], that its end is not known. When ctx ends, the command and
// the processes of its process group are killed, and the error is the context's.
func (c *Client) Exec(ctx context.Context, command Command) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	id, call := c.begin(command)
	defer call.abandon()
	defer c.forget(id)
	sent, over := make(chan struct{}), make(chan struct{})
	defer close(over)
	failed := make(chan error, 1)
	go func() {
		// A guest that hangs reads nothing, and sending may block for ever.
		if err := c.send(request{ID: id, Command: &command}); err != nil {
			failed <- fmt.Errorf("%w: %w", ErrGone, err)
			return
		}
		close(sent)
		select {
		case <-ctx.Done():
		case <-over:
		}
		if ctx.Err() != nil {
			_ = c.send(request{ID: id})
		}
	}()

	select {
	case end := <-call.end:
		return end.result()
	case err := <-failed:
		return 0, err
	case <-c.done:
		return 0, c.err
	case <-ctx.Done():
	}
	select {
	case <-sent:
	default:
		return 0, ctx.Err()
	}
	select {
	case <-call.end:
	case <-c.done:
	case <-time.After(killGrace):
		return 0, fmt.Errorf("%w, and the command could not be killed", ctx.Err())
	}
	return 0, ctx.Err()
}

func (e end) result() (int, error) {
	if e.Error != "" {
		return 0, errors.New(e.Error)
	}
	return e.ExitCode, nil
}

func (c *Client) begin(command Command) (uint64, *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastID++
	call := &call{end: make(chan end, 1), stdout: command.Stdout, stderr: command.Stderr}
	c.pending[c.lastID] = call
	return c.lastID, call
}

func (c *Client) forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, id)
}

func (c *Client) send(r request) error {
	c.write.Lock()
	defer c.write.Unlock()
	return c.encoder.Encode(r)
}

func (c *Client) read(decoder *json.Decoder) {
	defer close(c.done)
	for {
		var r reply
		if err := decoder.Decode(&r); err != nil {
			c.err = fmt.Errorf("%w: %w", ErrGone, err)
			return
		}
		if r.ID == 0 {
			select {
			case <-c.ready:
				c.window.free <- r.Read
			default:
				close(c.ready)
			}
			continue
		}
		c.mu.Lock()
		call := c.pending[r.ID]
		c.mu.Unlock()
		if call == nil {
			continue
		}
		call.deliver(r)
		if r.End != nil {
			call.end <- *r.End
			c.forget(r.ID)
		}
	}
}
