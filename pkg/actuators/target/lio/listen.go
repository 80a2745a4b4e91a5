package lio

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strconv"
	"strings"
)

// listeners returns the addresses on which this machine accepts TCP
// connections, kernel sockets included.
func (a *Actuator) listeners() ([]netip.AddrPort, error) {
	var all []netip.AddrPort
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := a.host.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // IPv6 is off
		} else if err != nil {
			return nil, err
		}
		found, err := parseListeners(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// parseListeners returns the addresses of the listening sockets in the text of
// /proc/net/tcp or /proc/net/tcp6, see proc_pid_net(5).
func parseListeners(text string) ([]netip.AddrPort, error) {
	const (
		localField, stateField = 1, 3
		listening              = "0A" // TCP_LISTEN in include/net/tcp_states.h
	)
	var all []netip.AddrPort
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) <= stateField || fields[stateField] != listening {
			continue
		}
		local, err := parseSocketAddress(fields[localField])
		if err != nil {
			return nil, err
		}
		all = append(all, local)
	}
	return all, nil
}

// parseSocketAddress reads 0100007F:0CBC: the address as 32-bit words in the
// machine's byte order, and the port.
func parseSocketAddress(text string) (netip.AddrPort, error) {
	address, port, _ := strings.Cut(text, ":")
	words, err := hex.DecodeString(address)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("socket address %q: %w", text, err)
	}
	for w := words; len(w) >= 4; w = w[4:] {
		binary.NativeEndian.PutUint32(w, binary.BigEndian.Uint32(w))
	}
	addr, ok := netip.AddrFromSlice(words)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("socket address %q: neither IPv4 nor IPv6", text)
	}
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("socket address %q: %w", text, err)
	}
	return netip.AddrPortFrom(addr, uint16(n)), nil
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
