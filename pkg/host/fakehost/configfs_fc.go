package fakehost

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"syscall"
)

// Fibre Channel: the targets of tcm_fc, which serves the ports of libfc, and those
// of tcm_qla2xxx.

// fcType follows drivers/target/tcm_fc/tfc_conf.c.
var fcType = &itemType{
	attributes: map[string]attribute{"version": {text: "TCM FC 0.4 on Linux/x86_64 on 6.1.0\n"}},
	groups:     map[string]*itemType{"discovery_auth": {}},
	members: &itemType{
		groups:  map[string]*itemType{"fabric_statistics": {}, "param": {}},
		members: fcTPGType(nil, nil),
		check:   checkFirstTPG,
	},
	// Whether there is such a port is not asked.
	check: checkWWPN,
}

// qlaType follows drivers/scsi/qla2xxx/tcm_qla2xxx.c.
var qlaType = &itemType{
	attributes: map[string]attribute{"version": {text: "TCM QLOGIC QLA2XXX v0.1 on Linux/x86_64 on 6.1.0\n"}},
	groups:     map[string]*itemType{"discovery_auth": {}},
	members: &itemType{
		groups: map[string]*itemType{"fabric_statistics": {}, "param": {}},
		members: fcTPGType(
			map[string]attribute{
				"dynamic_sessions": {},
				"enable":           {text: "0\n", store: storeTPGEnable},
			},
			map[string]attribute{
				"cache_dynamic_acls":      {text: "1\n", store: storeFlag},
				"demo_mode_login_only":    {text: "1\n", store: storeFlag},
				"demo_mode_write_protect": {text: "1\n", store: storeFlag},
				"generate_node_acls":      {text: "1\n", store: storeFlag},
				"prod_mode_write_protect": {text: "0\n", store: storeFlag},
			},
		),
		check: checkFirstTPG,
	},
	check: func(c *configfs, dir *node, name string) error {
		local := func(p FCPort) bool { return p.Driver == "qla2xxx" && colons(p.WWPN) == name }
		if !slices.ContainsFunc(c.fcPorts, local) {
			return syscall.EINVAL // -ENODEV, which configfs is not told
		}
		return checkWWPN(c, dir, name)
	},
}

func fcTPGType(attributes, attrib map[string]attribute) *itemType {
	return &itemType{
		what:       aTPG,
		attributes: attributes,
		groups: map[string]*itemType{
			"acls": {
				members: &itemType{
					what:    anACL,
					groups:  map[string]*itemType{"attrib": {}, "auth": {}, "fabric_statistics": {}, "param": {}},
					members: mappedLUNType,
					check:   checkLUNName,
				},
				check: checkWWPN,
			},
			"attrib": {attributes: attrib},
			"auth":   {},
			"lun":    {members: lunType, check: checkLUNName},
			"np":     {},
			"param":  {},
		},
	}
}

// checkWWPN takes the one form of a name that the drivers take (ft_parse_wwn,
// tcm_qla2xxx_parse_wwn).
func checkWWPN(_ *configfs, _ *node, name string) error {
	if len(name) != len("20:00:00:00:00:00:00:00") || colons(strings.ReplaceAll(name, ":", "")) != name {
		return syscall.EINVAL
	}
	return nil
}

func checkFirstTPG(c *configfs, dir *node, name string) error {
	if name != "tpgt_1" {
		return syscall.EINVAL // a port has one portal group
	}
	return checkTPGName(c, dir, name)
}

// colons writes 16 hexadecimal digits as pairs; empty if they are something else.
func colons(digits string) string {
	if len(digits) != 16 || strings.Trim(digits, "0123456789abcdef") != "" {
		return ""
	}
	var pairs []string
	for ; digits != ""; digits = digits[2:] {
		pairs = append(pairs, digits[:2])
	}
	return strings.Join(pairs, ":")
}

func clonePorts(ports []FCPort) []FCPort {
	ports = slices.Clone(ports)
	for i := range ports {
		ports[i].Remote = slices.Clone(ports[i].Remote)
	}
	return ports
}

// port returns the machine's port of a name, nil if there is none.
func (c *configfs) port(wwpn string) *FCPort {
	i := slices.IndexFunc(c.fcPorts, func(p FCPort) bool { return undotted(p.WWPN) == undotted(wwpn) })
	if i < 0 {
		return nil
	}
	return &c.fcPorts[i]
}

// undotted is a port's name as plain digits, whatever form it is in.
func undotted(wwpn string) string {
	return strings.ReplaceAll(strings.TrimPrefix(wwpn, "naa."), ":", "")
}

// Connect plays an initiator that logs in to a Fibre Channel target, which must have
// an access list for it. The ports stay connected when the list is removed.
func (h *Host) Connect(target, initiator string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	port := h.tree.port(target)
	if port == nil || h.tree.root == nil {
		return fmt.Errorf("%s is no port", target)
	}
	acl := path.Join(colons(undotted(target)), "tpgt_1/acls", colons(undotted(initiator)))
	_, fc := h.tree.root.walk("fc/" + acl)
	_, qla := h.tree.root.walk("qla2xxx/" + acl)
	if fc != nil && qla != nil {
		return fmt.Errorf("%s does not admit %s", target, initiator)
	}
	if !slices.Contains(port.Remote, undotted(initiator)) {
		port.Remote = append(port.Remote, undotted(initiator))
	}
	return nil
}

// Disconnect ends what Connect began.
func (h *Host) Disconnect(target, initiator string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if port := h.tree.port(target); port != nil {
		port.Remote = slices.DeleteFunc(port.Remote, func(r string) bool { return r == undotted(initiator) })
	}
}

// fcSys returns what the kernel shows of Fibre Channel below /sys, by path.
func (c *configfs) fcSys(name string) (*node, error) {
	root := newDir("sys", nil)
	file := func(name, text string) {
		dir := root
		for _, part := range strings.Split(path.Dir(name), "/") {
			if dir.children[part] == nil {
				dir.add(newDir(part, nil))
			}
			dir = dir.children[part]
		}
		dir.add(&node{name: path.Base(name), text: text + "\n"})
	}
	for i, p := range c.fcPorts {
		file(fmt.Sprintf("class/fc_host/host%d/port_name", i), "0x"+p.WWPN)
		file(fmt.Sprintf("class/scsi_host/host%d/proc_name", i), p.Driver)
		if p.InitiatorMode != "" {
			file("module/qla2xxx/parameters/qlini_mode", p.InitiatorMode)
		}
		for j, remote := range p.Remote {
			dir := fmt.Sprintf("class/fc_remote_ports/rport-%d:0-%d/", i, j)
			file(dir+"port_name", "0x"+remote)
			file(dir+"port_id", fmt.Sprintf("0x%06x", j+1))
			file(dir+"port_state", "Online")
			file(dir+"roles", "FCP Initiator")
		}
	}
	return root.walk(below(name, "/sys"))
}
