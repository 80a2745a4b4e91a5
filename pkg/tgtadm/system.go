package tgtadm

import (
	"context"
	"fmt"
	"strings"
)

// System is the daemon as a whole. It does not tell its version.
type System struct {
	// Ready is whether it accepts connections at all.
	Ready bool
	// Debug is whether it logs requests, passwords included.
	Debug bool
	// Drivers are its drivers and their states: "iscsi" is "ready".
	Drivers map[string]string
	// BackingStores are the types of backing store it was built with.
	BackingStores []string
	// Discovery are the accounts for discovery sessions, in the daemon's order.
	Discovery []string
	// DiscoveryOutgoing is the daemon's own account in discovery sessions. It is
	// shown only if there are others.
	DiscoveryOutgoing string
}

// System returns the daemon as a whole.
func (c *Client) System(ctx context.Context) (System, error) {
	text, err := c.do(ctx, "show system", request{mode: modeSystem, op: opShow, tid: everyTarget})
	if err != nil {
		return System{}, err
	}
	s, err := parseSystem(text)
	if err != nil {
		return System{}, &RequestError{Request: "show system", Err: err}
	}
	return s, nil
}

// parseSystem reads sections whose headings are not indented, but for that of
// the accounts, which is indented like its entries and followed by an empty line.
func parseSystem(text string) (System, error) {
	s := System{Drivers: map[string]string{}}
	section, seen := "", false
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		entry, ok := strings.CutPrefix(line, tab1)
		switch {
		case line == "":
			continue
		case !ok:
			section = line
			continue
		case entry == accountHeading:
			section = entry
			continue
		}
		switch section {
		case "System:":
			key, value, _ := strings.Cut(entry, ": ")
			switch key {
			case "State":
				s.Ready, seen = value == "ready", true
			case "debug":
				s.Debug = value == "on"
			}
		case "LLDs:":
			name, state, _ := strings.Cut(entry, ": ")
			s.Drivers[name] = state
		case "Backing stores:":
			name, _, _ := strings.Cut(entry, " ")
			s.BackingStores = append(s.BackingStores, name)
		case accountHeading:
			if name, ok := strings.CutSuffix(entry, outgoingMark); ok {
				s.DiscoveryOutgoing = name
			} else {
				s.Discovery = append(s.Discovery, entry)
			}
		}
	}
	if !seen {
		return System{}, fmt.Errorf("cannot parse system information: the state is missing: %.60q", text)
	}
	return s, nil
}
