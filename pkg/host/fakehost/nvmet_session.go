package fakehost

import (
	"fmt"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// nvmeDebugDir is where newer kernels say who is connected.
const nvmeDebugDir = "/sys/kernel/debug/nvmet"

// loginNVMe plays a host that connects to a subsystem through the first of its
// ports.
func (c *configfs) loginNVMe(subsystem *node, name string, key []string) error {
	port := c.portOf(subsystem)
	switch {
	case port == nil:
		return fmt.Errorf("%s has no port", subsystem.name)
	case subsystem.textOf("attr_allow_any_host") != flagText(true):
		host := c.nvmet.children["hosts"].children[name]
		listed := false
		for _, link := range subsystem.children["allowed_hosts"].children {
			listed = listed || link.target != nil && link.target == host
		}
		if !listed {
			return fmt.Errorf("%s does not admit %s", subsystem.name, name)
		}
		want := strings.TrimSpace(host.textOf("dhchap_key"))
		if len(key) > 0 && want != "" && want != key[0] {
			return fmt.Errorf("%s does not accept the key of %s", subsystem.name, name)
		}
	}
	c.discovered[subsystem] = true
	s := NVMeSession{Subsystem: subsystem.name, Host: name, Port: port.name}
	if !slices.Contains(c.nvmeSessions, s) {
		c.nvmeSessions = append(c.nvmeSessions, s)
	}
	return nil
}

func (c *configfs) logoutNVMe(subsystem, name string) error {
	before := len(c.nvmeSessions)
	c.endNVMeSessions(func(s NVMeSession) bool { return s.Subsystem == subsystem && s.Host == name })
	if len(c.nvmeSessions) == before {
		return fmt.Errorf("%s is not connected to %s", name, subsystem)
	}
	return nil
}

func (c *configfs) endNVMeSessions(which func(NVMeSession) bool) {
	c.nvmeSessions = slices.DeleteFunc(c.nvmeSessions, which)
}

// endPortSessions follows nvmet_port_del_ctrls.
func (c *configfs) endPortSessions(port, subsystem *node) {
	c.endNVMeSessions(func(s NVMeSession) bool { return s.Port == port.name && s.Subsystem == subsystem.name })
}

// subsystem returns an NVMe subsystem, nil if there is none of that name.
func (c *configfs) subsystem(nqn string) *node {
	if c.nvmet == nil {
		return nil
	}
	n, err := c.nvmet.walk(path.Join("subsystems", nqn))
	if err != nil || !n.isOf(aSubsystem) {
		return nil
	}
	return n
}

// portOf returns the first port that serves a subsystem, nil if there is none.
func (c *configfs) portOf(subsystem *node) *node {
	ports := c.nvmet.children["ports"].children
	for _, id := range slices.Sorted(maps.Keys(ports)) {
		for _, link := range ports[id].children["subsystems"].children {
			if link.target == subsystem {
				return ports[id]
			}
		}
	}
	return nil
}

// connection is an established TCP connection.
type connection struct{ local, remote netip.AddrPort }

// connections are those of the sessions by TCP: one for its administration and one
// for I/O each.
func (c *configfs) connections() []connection {
	var all []connection
	for i, s := range c.nvmeSessions {
		port := c.nvmet.children["ports"].children[s.Port]
		address, ok := portAddress(port)
		if !ok || port.textOf("addr_trtype") != "tcp\n" {
			continue
		}
		peer := netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})
		if address.Addr().Is6() {
			peer = netip.MustParseAddr("2001:db8::" + strconv.FormatInt(int64(i+1), 16))
		}
		for queue := range uint16(2) {
			all = append(all, connection{address, netip.AddrPortFrom(peer, 40000+queue)})
		}
	}
	return all
}

// debugFS is what is below /sys/kernel/debug/nvmet.
func (c *configfs) debugFS() *node {
	dir := newDir("nvmet", nil)
	if c.nvmet == nil {
		return dir
	}
	for nqn := range c.nvmet.children["subsystems"].children {
		subsystem := newDir(nqn, nil)
		dir.add(subsystem)
		for i, s := range c.nvmeSessions {
			if s.Subsystem != nqn {
				continue
			}
			controller := newDir("ctrl"+strconv.Itoa(i+1), nil)
			subsystem.add(controller)
			controller.add(&node{name: "hostnqn", text: s.Host})
			controller.add(&node{name: "state", text: "ready\n"})
		}
	}
	return dir
}

// breakController plays what is written to a controller's state, as
// nvmet_ctrl_state_write in drivers/nvme/target/debugfs.c does.
func (c *configfs) breakController(state *node, value string) error {
	i, err := strconv.Atoi(strings.TrimPrefix(state.parent.name, "ctrl"))
	if state.name != "state" || err != nil || !strings.HasPrefix(value, "fatal") {
		return syscall.EINVAL
	}
	gone := c.nvmeSessions[i-1]
	c.endNVMeSessions(func(s NVMeSession) bool { return s == gone })
	return nil
}
