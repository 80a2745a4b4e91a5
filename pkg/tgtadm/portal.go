package tgtadm

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Portals returns the addresses that the daemon listens on. They are those of
// all targets: a target cannot have its own. A daemon that was started without
// any has 0.0.0.0:3260 and [::]:3260.
func (c *Client) Portals(ctx context.Context) ([]netip.AddrPort, error) {
	text, err := c.do(ctx, "show portals", request{mode: modePortal, op: opShow, tid: everyTarget})
	if err != nil {
		return nil, err
	}
	portals, err := parsePortals(text)
	if err != nil {
		return nil, &RequestError{Request: "show portals", Err: err}
	}
	return portals, nil
}

// parsePortals reads lines like "Portal: [::1]:3260,1". The last number is the
// portal group, always 1.
func parsePortals(text string) ([]netip.AddrPort, error) {
	var portals []netip.AddrPort
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		rest, ok := strings.CutPrefix(line, "Portal: ")
		address, group, ok2 := strings.Cut(rest, ",")
		if _, err := strconv.ParseUint(group, 10, 16); !ok || !ok2 || err != nil {
			return nil, fmt.Errorf("cannot parse portal %q", line)
		}
		portal, err := netip.ParseAddrPort(address)
		if err != nil {
			return nil, fmt.Errorf("cannot parse portal %q: %w", line, err)
		}
		portals = append(portals, portal)
	}
	return portals, nil
}

// NewPortal makes the daemon listen on an address, for all targets. [ErrInvalid]
// says that it cannot: it does so already, somebody else does, or the machine
// does not have the address. Its log says which.
func (c *Client) NewPortal(ctx context.Context, portal netip.AddrPort) error {
	return c.portal(ctx, opNew, portal)
}

// DeletePortal makes the daemon stop listening on an address; sessions through
// it continue. [ErrInvalid] says that it does not listen there.
func (c *Client) DeletePortal(ctx context.Context, portal netip.AddrPort) error {
	return c.portal(ctx, opDelete, portal)
}

func (c *Client) portal(ctx context.Context, op uint32, portal netip.AddrPort) error {
	verb := "new"
	if op == opDelete {
		verb = "delete"
	}
	what := fmt.Sprintf("%s portal %s", verb, portal)
	switch {
	case !portal.IsValid():
		return &RequestError{Request: what, Err: fmt.Errorf("the address is missing")}
	case portal.Addr().Zone() != "":
		// It would be listened on, but neither shown nor found for deletion.
		return &RequestError{Request: what, Err: fmt.Errorf("tgtd does not support address zones")}
	case portal.Port() == 0:
		return &RequestError{Request: what, Err: fmt.Errorf("the port is missing")}
	}
	return c.change(ctx, what, request{mode: modePortal, op: op, tid: everyTarget, text: "portal=" + portal.String()})
}
