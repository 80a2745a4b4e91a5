package statusapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// ErrNotReady means that the agent runs and has no status to show yet.
var ErrNotReady = errors.New(notReady)

// ErrEnded means that the agent has ended, or ends.
var ErrEnded = errors.New("the agent has stopped")

// maxMessage is how much is read of an answer that is an error.
const maxMessage = 4 << 10

// Client asks the agent on this node.
type Client struct{ http http.Client }

// NewClient returns a Client of the agent that listens on a socket.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}
	return &Client{http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// Status returns the agent's report as soon as it is of another generation than
// the given one; of no generation is 0. After a while it returns what there is,
// or [ErrNotReady] if the agent has not ended a pass yet.
//
// If there is no agent, the error is that of connect(2).
func (c *Client) Status(ctx context.Context, generation int64) (status.Report, error) {
	return c.StatusOf(ctx, generation, spec.ID{})
}

// StatusOf is Status with the objects of a kind alone, or with the one that is named. An
// older agent returns all objects.
func (c *Client) StatusOf(ctx context.Context, generation int64, objects spec.ID) (status.Report, error) {
	query := url.Values{"wait": {strconv.FormatInt(generation, 10)}}
	if objects.Kind != "" {
		query.Set("kind", string(objects.Kind))
	}
	if objects.Name != "" {
		query.Set("name", objects.Name)
	}
	body, err := c.get(ctx, "/v1/status?"+query.Encode(), "")
	if err != nil {
		return status.Report{}, err
	}
	defer func() { _ = body.Close() }()
	return decode[status.Report](body)
}

// Events returns those of the last events whose ID is greater than since, the oldest first.
func (c *Client) Events(ctx context.Context, since int64) ([]status.Event, error) {
	body, err := c.get(ctx, "/v1/events?since="+strconv.FormatInt(since, 10), "")
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	all, err := decode[Events](body)
	return all.Events, err
}

// Follow calls a function with each event whose ID is greater than since, as it happens. It returns the
// error of that function, or [ErrEnded] when the agent ends, or the error of ctx.
func (c *Client) Follow(ctx context.Context, since int64, each func(status.Event) error) error {
	body, err := c.get(ctx, "/v1/events?since="+strconv.FormatInt(since, 10), eventStream)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	lines := bufio.NewReader(body)
	for {
		line, err := lines.ReadString('\n')
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return ErrEnded
		}
		data, isEvent := strings.CutPrefix(line, "data: ")
		if !isEvent {
			continue // its ID, which it has itself, or a sign of life
		}
		e, err := decode[status.Event](strings.NewReader(data))
		if err != nil {
			return err
		}
		if err := each(e); err != nil {
			return err
		}
	}
}

// Get returns what the agent answers at a path of [Handler], as it is.
func (c *Client) Get(ctx context.Context, path string) ([]byte, error) {
	body, err := c.get(ctx, path, "")
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	return io.ReadAll(body)
}

// get returns the body of the answer if it is a good one. The caller must close it. accept is the type of
// the answer; empty: any.
func (c *Client) get(ctx context.Context, path, accept string) (io.ReadCloser, error) {
	// The host in the URL is for HTTP's sake; the connection is to the socket.
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent"+path, nil)
	if err != nil {
		return nil, err
	}
	if accept != "" {
		request.Header.Set("Accept", accept)
	}
	response, err := c.http.Do(request)
	switch {
	case err != nil:
		return nil, err
	case response.StatusCode == http.StatusOK:
		return response.Body, nil
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxMessage))
	said := strings.TrimSpace(string(text))
	if response.StatusCode == http.StatusServiceUnavailable && said == notReady {
		return nil, ErrNotReady
	}
	return nil, errors.Join(fmt.Errorf("the agent responds with %s: %s", response.Status, said), err)
}

// decode reads an answer in JSON.
func decode[T any](body io.Reader) (T, error) {
	var value, none T
	if err := json.NewDecoder(body).Decode(&value); err != nil {
		return none, fmt.Errorf("cannot read the agent's response: %w", err)
	}
	return value, nil
}
