package lio

import (
	"net/netip"

	"github.com/volreconciler/volreconciler/pkg/observe"
)

// listeners returns the addresses on which this machine accepts TCP
// connections, kernel sockets included.
func (a *Actuator) listeners() ([]netip.AddrPort, error) {
	sockets, err := observe.ReadSockets(a.host, observe.SocketListening)
	var all []netip.AddrPort
	for _, s := range sockets {
		all = append(all, s.Local)
	}
	return all, err
}

// serves reports whether a socket that listens on one address accepts all
// connections to the portal. LIO's sockets on [::] take IPv4 as well, unless
// the sysctl net.ipv6.bindv6only forbids it.
func serves(listener, portal netip.AddrPort) bool {
	if listener == portal {
		return true
	}
	return listener.Port() == portal.Port() &&
		listener.Addr() == netip.IPv6Unspecified() && portal.Addr() == netip.IPv4Unspecified()
}

// overlaps reports whether two sockets cannot listen on these addresses at once.
func overlaps(a, b netip.AddrPort) bool {
	return a.Port() == b.Port() && (covers(a.Addr(), b.Addr()) || covers(b.Addr(), a.Addr()))
}

// covers reports whether a socket bound to a takes connections to b.
func covers(a, b netip.Addr) bool {
	return a == b || a == netip.IPv6Unspecified() || a == netip.IPv4Unspecified() && b.Is4()
}
