package tgtadm

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"
)

// DefaultSocket is where tgtd listens unless its environment has TGT_IPC_SOCKET
// or its option -C (--control-port) a number other than 0, which ends the name.
const DefaultSocket = "/var/run/tgtd/socket.0"

// requestLimit is how long a request may take. The daemon has one thread, which
// may be waiting for a device that it opens or reads.
const requestLimit = time.Minute

// Dial connects to the daemon's socket.
type Dial func(ctx context.Context) (net.Conn, error)

// Client sends requests to one tgtd. It holds no connection, because the daemon
// takes one request per connection. It is safe for concurrent use.
//
// Errors are [RequestError] values. If a context ends while an answer is waited
// for, it is unknown whether the daemon did what was asked: look again.
type Client struct{ dial Dial }

// New returns a client of the daemon that dial connects to.
func New(dial Dial) *Client { return &Client{dial: dial} }

// do sends a request and returns the text of the answer. what says what is
// asked for; it must not contain a password.
func (c *Client) do(ctx context.Context, what string, r request) (string, error) {
	answer, err := c.exchange(ctx, r)
	if err != nil {
		return "", &RequestError{Request: what, Err: err}
	}
	return answer, nil
}

func (c *Client) exchange(ctx context.Context, r request) (string, error) {
	if strings.ContainsRune(r.text, 0) {
		return "", fmt.Errorf("a parameter contains a NUL byte")
	}
	if len(r.text) >= maxText {
		return "", fmt.Errorf("the parameters have %d bytes; tgtd accepts at most %d", len(r.text), maxText-1)
	}
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	conn, err := c.dial(ctx)
	if err != nil {
		return "", fmt.Errorf("cannot connect; check that tgtd runs: %w", err)
	}
	defer func() { _ = conn.Close() }() // everything was read, or failed
	// Whatever ends the context ends the reads and writes below.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	_, writeErr := conn.Write(r.encode())
	answer, err := readAnswer(conn)
	switch {
	case err == nil:
		return answer, nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("no answer yet; the request may have succeeded: %w", context.Cause(ctx))
	case writeErr != nil && !isCode(err):
		// A refused peer may see a broken pipe before the end of the stream.
		return "", fmt.Errorf("%w (%w)", ErrNoAnswer, writeErr)
	default:
		return "", err
	}
}

func isCode(err error) bool {
	_, ok := err.(Code) //nolint:errorlint // readAnswer returns it bare
	return ok
}
