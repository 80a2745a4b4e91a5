package spec

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// parsePortal reads an address and port as 192.0.2.1:3260 or [2001:db8::1]:3260.
// Host names are refused: what a name leads to changes without the file.
func parsePortal(text string) (netip.AddrPort, error) {
	portal, err := netip.ParseAddrPort(text)
	switch {
	case err != nil && strings.Count(text, ":") > 1 && !strings.Contains(text, "]"):
		return netip.AddrPort{}, fmt.Errorf("%s is not a portal; put an IPv6 address in brackets, for example [2001:db8::1]:3260", quote(text))
	case err != nil:
		return netip.AddrPort{}, fmt.Errorf("%s is not a portal; write an IP address (no host name) and a port, for example 192.0.2.1:3260 or [2001:db8::1]:3260", quote(text))
	case portal.Port() == 0:
		return netip.AddrPort{}, fmt.Errorf("%s has port 0; the port must be 1 to 65535, usually 3260", quote(text))
	case portal.Addr().Zone() != "":
		return netip.AddrPort{}, fmt.Errorf("%s has a zone (%%%s), which is not allowed in a portal; write an address that is unique on the node", quote(text), portal.Addr().Zone())
	case portal.Addr().IsMulticast():
		return netip.AddrPort{}, fmt.Errorf("%s is a multicast address, which cannot accept connections; write a unicast address", quote(text))
	}
	return netip.AddrPortFrom(portal.Addr().Unmap(), portal.Port()), nil
}

// portalsCollide reports whether the kernel cannot listen on both: one is a
// wildcard address on the other's port. The kernel compares without the family of
// the addresses. (The same portal twice is no collision, targets share it; and of
// the two wildcards [::] serves for both.)
func portalsCollide(a, b netip.AddrPort) bool {
	return a.Port() == b.Port() && a.Addr().IsUnspecified() != b.Addr().IsUnspecified()
}

// withoutIPv4Wildcards returns the portals with [::] for 0.0.0.0 on some ports.
func withoutIPv4Wildcards(portals []string, ports map[uint16]bool) []string {
	var out []string
	for _, text := range portals {
		portal, err := netip.ParseAddrPort(text)
		if err == nil && portal.Addr() == netip.IPv4Unspecified() && ports[portal.Port()] {
			text = netip.AddrPortFrom(netip.IPv6Unspecified(), portal.Port()).String()
		}
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}
