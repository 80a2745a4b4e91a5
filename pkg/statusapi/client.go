package statusapi

import (
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
	body, err := c.get(ctx, "/v1/status?"+query.Encode())
	if err != nil {
		return status.Report{}, err
	}
	defer func() { _ = body.Close() }()
	var report status.Report
	if err := json.NewDecoder(body).Decode(&report); err != nil {
		return status.Report{}, fmt.Errorf("cannot read the agent's response: %w", err)
	}
	return report, nil
}

// Get returns what the agent answers at a path of [Handler], as it is.
func (c *Client) Get(ctx context.Context, path string) ([]byte, error) {
	body, err := c.get(ctx, path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	return io.ReadAll(body)
}

// get returns the body of the answer if it is a good one. The caller must close it.
func (c *Client) get(ctx context.Context, path string) (io.ReadCloser, error) {
	// The host in the URL is for HTTP's sake; the connection is to the socket.
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent"+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	switch {
	case err != nil:
		return nil, err
	case response.StatusCode == http.StatusOK:
		return response.Body, nil
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusServiceUnavailable {
		return nil, ErrNotReady
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxMessage))
	return nil, errors.Join(fmt.Errorf("the agent responds with %s: %s", response.Status, strings.TrimSpace(string(text))), err)
}
