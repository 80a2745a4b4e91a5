package statusapi

import "context"

// Agent is what an agent says of itself.
type Agent struct {
	// Specs are the absolute paths of all directories that it reads spec files from, without symbolic links.
	Specs []string `json:"specs"`
}

// Agent returns what the agent says of itself, also before its first pass has ended. An older agent does not
// have that answer, which is an error.
//
// If there is no agent, the error is that of connect(2).
func (c *Client) Agent(ctx context.Context) (Agent, error) {
	body, err := c.get(ctx, "/v1/agent", "")
	if err != nil {
		return Agent{}, err
	}
	defer func() { _ = body.Close() }()
	return decode[Agent](body)
}
