package fakehost

import (
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

var portType = &itemType{
	what: aPort,
	attributes: map[string]attribute{
		"addr_adrfam":  {text: "\n", store: storePort("ipv4", "ipv6", "ib", "fc", "loop", "pcie")},
		"addr_traddr":  {text: "\n", store: storePort()},
		"addr_trsvcid": {text: "\n", store: storePort()},
		"addr_trtype":  {text: "\n", store: storePort("tcp", "rdma", "fc", "loop", "pci")},
	},
	groups: map[string]*itemType{
		"subsystems": {link: linkPort, unlink: func(c *configfs, from, to *node) { c.endPortSessions(from.parent, to) }},
	},
}

// storePort keeps a part of a port's address, one of some words if there are any.
// While it listens nothing can be changed.
func storePort(words ...string) func(*configfs, *node, string) (string, error) {
	return func(_ *configfs, n *node, value string) (string, error) {
		value = strings.TrimSuffix(value, "\n")
		switch {
		case n.parent.children["subsystems"].linkIn() != nil:
			return "", syscall.EACCES
		case value == "", len(words) > 0 && !slices.Contains(words, value):
			return "", syscall.EINVAL
		}
		return value + "\n", nil
	}
}

// linkPort follows nvmet_port_subsys_allow_link: a port listens as long as it serves
// a subsystem.
func linkPort(c *configfs, from, to *node) error {
	if !to.isOf(aSubsystem) {
		return syscall.EINVAL
	}
	for _, other := range from.children {
		if other.target == to {
			return syscall.EEXIST
		}
	}
	if from.linkIn() != nil {
		return nil
	}
	return c.enablePort(from.parent)
}

// enablePort follows nvmet_enable_port in drivers/nvme/target/core.c, and add_port
// of the transports.
func (c *configfs) enablePort(port *node) error {
	transport := strings.TrimSpace(port.textOf("addr_trtype"))
	if transport != "tcp" && transport != "rdma" || !c.insert("nvmet_"+transport) {
		return syscall.EINVAL
	}
	address, ok := portAddress(port)
	if family := map[bool]string{true: "ipv4\n", false: "ipv6\n"}[address.Addr().Is4()]; !ok || port.textOf("addr_adrfam") != family {
		return syscall.EINVAL
	}
	if slices.Contains(c.missingAddresses, address.Addr().String()) {
		return syscall.EADDRNOTAVAIL
	}
	if transport == "rdma" {
		if !address.Addr().IsUnspecified() && !slices.Contains(c.rdma, address.Addr().String()) {
			return syscall.ENODEV
		}
		return nil
	}
	taken := func(other netip.AddrPort) bool { return overlap(address, other) }
	if slices.ContainsFunc(c.foreignSockets(), taken) || slices.ContainsFunc(c.nvmeListeners(), taken) ||
		slices.ContainsFunc(c.sockets, func(s *socket) bool { return taken(s.address) }) {
		return syscall.EADDRINUSE
	}
	return nil
}

func portAddress(port *node) (netip.AddrPort, bool) {
	ip, err := netip.ParseAddr(strings.TrimSpace(port.textOf("addr_traddr")))
	number, portErr := parseUint(strings.TrimSpace(port.textOf("addr_trsvcid")), 16)
	return netip.AddrPortFrom(ip, uint16(number)), err == nil && portErr == nil
}

// nvmeListeners are the addresses on which ports listen by TCP.
func (c *configfs) nvmeListeners() []netip.AddrPort {
	var all []netip.AddrPort
	for at := range c.allNVMet() {
		if !at.isOf(aPort) || at.textOf("addr_trtype") != "tcp\n" || at.children["subsystems"] == nil || at.children["subsystems"].linkIn() == nil {
			continue
		}
		if address, ok := portAddress(at); ok {
			all = append(all, address)
		}
	}
	return all
}
