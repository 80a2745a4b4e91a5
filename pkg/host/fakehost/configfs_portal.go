package fakehost

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

// socket is one on which LIO listens. Targets share it.
type socket struct {
	address netip.AddrPort
	users   int
}

// parsePortal reads the name of a portal's directory as
// lio_target_call_addnptotpg in drivers/target/iscsi/iscsi_target_configfs.c does.
func parsePortal(name string) (netip.AddrPort, bool) {
	ip, port, ok := strings.Cut(name, ":")
	if _, rest, bracket := strings.Cut(name, "["); bracket {
		if ip, rest, ok = strings.Cut(rest, "]"); ok {
			_, port, ok = strings.Cut(rest, ":")
		}
	}
	addr, err := netip.ParseAddr(ip)
	n, portErr := parseUint(port, 16)
	return netip.AddrPortFrom(addr, uint16(n)), ok && err == nil && portErr == nil
}

// listen opens the socket of a new portal, or joins the one that is there.
// Whatever goes wrong, the kernel says EINVAL.
func (c *configfs) listen(portal *node) error {
	address, ok := parsePortal(portal.name)
	if !ok || len(portal.name) > 256 { // MAX_PORTAL_LEN
		return syscall.EINVAL
	}
	for _, tpg := range portal.ancestor(3).children {
		for _, other := range tpg.childrenOf("np") {
			if s := c.portals[other]; s != nil && matches(address, s.address) {
				return syscall.EINVAL // iscsit_tpg_check_network_portal
			}
		}
	}
	s, err := c.socketFor(address)
	if err != nil {
		return err
	}
	s.users++
	c.portals[portal] = s
	return nil
}

// socketFor follows iscsit_add_np in drivers/target/iscsi/iscsi_target_login.c.
func (c *configfs) socketFor(address netip.AddrPort) (*socket, error) {
	for _, s := range c.sockets {
		if matches(address, s.address) {
			return s, nil
		}
	}
	taken := func(other netip.AddrPort) bool { return overlap(address, other) }
	if slices.ContainsFunc(c.foreignSockets(), taken) ||
		slices.ContainsFunc(c.sockets, func(s *socket) bool { return taken(s.address) }) {
		return nil, syscall.EINVAL
	}
	s := &socket{address: address}
	c.sockets = append(c.sockets, s)
	return s, nil
}

func (c *configfs) stopListening(portal *node) {
	s := c.portals[portal]
	delete(c.portals, portal)
	if s == nil {
		return
	}
	if s.users--; s.users == 0 {
		c.sockets = slices.DeleteFunc(c.sockets, func(other *socket) bool { return other == s })
	}
}

// loadPortals connects the portals that are there with their sockets. Those for
// all addresses come last: where others are there, too, they share theirs.
func (c *configfs) loadPortals() {
	for _, all := range []bool{false, true} {
		for n := range c.all() {
			address, ok := parsePortal(n.name)
			if !n.isOf(aPortal) || !ok || address.Addr().IsUnspecified() != all {
				continue
			}
			own := slices.IndexFunc(c.sockets, func(s *socket) bool { return s.address == address })
			if own >= 0 {
				c.portals[n] = c.sockets[own]
			} else if s, err := c.socketFor(address); err == nil {
				c.portals[n] = s
			} else {
				continue // no kernel would have it, but here it is
			}
			c.portals[n].users++
		}
	}
	c.sockets = slices.DeleteFunc(c.sockets, func(s *socket) bool { return s.users == 0 })
}

// matches reports whether LIO takes a socket for one on the wanted address. It
// compares what is at the address's place in memory, whatever the family, and
// so takes 0.0.0.0 for any IPv6 address and [::] for any IPv4 address
// (iscsit_check_np_match).
func matches(want, have netip.AddrPort) bool {
	if want.Port() != have.Port() {
		return false
	}
	if want.Addr().Is4() != have.Addr().Is4() {
		return want.Addr().IsUnspecified()
	}
	return want.Addr() == have.Addr()
}

// overlap reports whether sockets cannot listen on both addresses. One on [::]
// takes IPv4 as well.
func overlap(a, b netip.AddrPort) bool {
	all6 := netip.IPv6Unspecified()
	switch {
	case a.Port() != b.Port():
		return false
	case a.Addr() == all6 || b.Addr() == all6:
		return true
	case a.Addr().Is4() != b.Addr().Is4():
		return false
	default:
		return a.Addr() == b.Addr() || a.Addr().IsUnspecified() || b.Addr().IsUnspecified()
	}
}

// foreignSockets are those of others than LIO.
func (c *configfs) foreignSockets() []netip.AddrPort {
	var all []netip.AddrPort
	for _, l := range c.listeners {
		all = append(all, netip.MustParseAddrPort(l)) // load has seen to it
	}
	return all
}

// tcpTable is /proc/net/tcp, or /proc/net/tcp6, see proc_pid_net(5).
func (c *configfs) tcpTable(v6 bool) string {
	all := c.foreignSockets()
	for _, s := range c.sockets {
		all = append(all, s.address)
	}
	all = append(all, c.nvmeListeners()...)
	var b strings.Builder
	if v6 {
		b.WriteString("  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n")
	} else {
		b.WriteString("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     \n")
	}
	line := 0
	for _, address := range all {
		if address.Addr().Is6() != v6 {
			continue
		}
		local := socketText(address)
		nobody := strings.Repeat("0", len(local)-len(":0000")) + ":0000"
		fmt.Fprintf(&b, "%4d: %s %s 0A 00000000:00000000 00:00000000 00000000     0        0 %d 1 0000000000000000 100 0 0 10 0\n",
			line, local, nobody, 20000+line)
		line++
	}
	for _, s := range c.connections() {
		if s.local.Addr().Is6() == v6 {
			fmt.Fprintf(&b, "%4d: %s %s 01 00000000:00000000 00:00000000 00000000     0        0 %d 1 0000000000000000 20 4 24 10 -1\n",
				line, socketText(s.local), socketText(s.remote), 20000+line)
			line++
		}
	}
	return b.String()
}

// socketText is an address in 32-bit words of the machine's byte order.
func socketText(address netip.AddrPort) string {
	raw := address.Addr().AsSlice()
	var b strings.Builder
	for ; len(raw) >= 4; raw = raw[4:] {
		fmt.Fprintf(&b, "%08X", binary.NativeEndian.Uint32(raw))
	}
	fmt.Fprintf(&b, ":%04X", address.Port())
	return b.String()
}

// storeISER makes a portal serve iSER, or TCP alone (lio_target_np_driver_store in
// drivers/target/iscsi/iscsi_target_configfs.c, isert_setup_np in
// drivers/infiniband/ulp/isert/ib_isert.c). The module is loaded by the kernel,
// where it is there.
func storeISER(c *configfs, n *node, value string) (string, error) {
	text, err := storeFlag(c, n, value)
	if err != nil || text == n.text || text == flagText(false) {
		return text, err
	}
	portal, ok := parsePortal(n.parent.name)
	addr := portal.Addr()
	switch {
	case !ok, !c.insert(iserModule):
		return "", syscall.EINVAL
	case addr.IsUnspecified(), slices.Contains(c.rdma, addr.String()):
		return text, nil
	case addr.IsLoopback():
		return "", syscall.EADDRNOTAVAIL
	default:
		return "", syscall.ENODEV
	}
}
