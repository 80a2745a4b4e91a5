package fakehost

import (
	"encoding/hex"
	"fmt"
	"path"
	"strings"
	"syscall"
)

// nvmetDir is where nvmet lives in configfs.
const nvmetDir = configDir + "/nvmet"

// nvmet's kernel modules.
const (
	nvmetModule     = "nvmet"
	nvmetTCPModule  = "nvmet_tcp"
	nvmetRDMAModule = "nvmet_rdma"
)

// What directories are, where others have to know.
const (
	aSubsystem = "subsystem"
	aNamespace = "namespace"
	aPort      = "port"
	aHost      = "host"
)

// The layout below /sys/kernel/config/nvmet, see drivers/nvme/target/configfs.c.
// What the agent has no use for is left out.

var nvmetType = &itemType{groups: map[string]*itemType{
	"hosts":      {members: hostType, check: anyName},
	"ports":      {members: portType, check: checkNumber(16, 0)},
	"subsystems": {members: subsystemType, check: checkNQN},
}}

const discoveryNQN = "nqn.2014-08.org.nvmexpress.discovery"

func checkNQN(_ *configfs, _ *node, name string) error {
	if name == discoveryNQN || len(name) > 223 { // NVMF_NQN_SIZE, and a NUL
		return syscall.EINVAL
	}
	return nil
}

// checkNumber refuses names that are not numbers of so many bits, or too small.
func checkNumber(bits int, least uint64) func(*configfs, *node, string) error {
	return func(_ *configfs, _ *node, name string) error {
		n, err := parseUint(name, bits)
		if err != nil || n < least {
			return syscall.EINVAL
		}
		return nil
	}
}

var subsystemType = &itemType{
	what: aSubsystem,
	attributes: map[string]attribute{
		"attr_allow_any_host": {text: "0\n", store: storeAnyHost},
		"attr_model":          {text: "Linux\n", store: storeNumberOf(40)},
		"attr_serial":         {text: "0123456789abcdef\n", store: storeNumberOf(20)},
	},
	groups: map[string]*itemType{
		"allowed_hosts": {link: linkHost},
		"namespaces":    {members: namespaceType, check: checkNumber(32, 1)},
	},
}

// storeAnyHost follows nvmet_subsys_attr_allow_any_host_store.
func storeAnyHost(_ *configfs, n *node, value string) (string, error) {
	on, err := parseBool(value)
	if err == nil && on && n.parent.children["allowed_hosts"].linkIn() != nil {
		err = syscall.EINVAL
	}
	return flagText(on), err
}

// storeNumberOf keeps a serial or model number, which cannot change once a host has
// seen it.
func storeNumberOf(length int) func(*configfs, *node, string) (string, error) {
	return func(c *configfs, n *node, value string) (string, error) {
		value, _, _ = strings.Cut(value, "\n")
		ascii := !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' })
		if c.discovered[n.parent] || value == "" || len(value) > length || !ascii {
			return "", syscall.EINVAL
		}
		return value + "\n", nil
	}
}

// linkHost follows nvmet_allowed_hosts_allow_link.
func linkHost(_ *configfs, from, to *node) error {
	if !to.isOf(aHost) || from.parent.textOf("attr_allow_any_host") == flagText(true) {
		return syscall.EINVAL
	}
	for _, other := range from.children {
		if other.target == to {
			return syscall.EEXIST
		}
	}
	return nil
}

var hostType = &itemType{
	what: aHost,
	attributes: map[string]attribute{
		"dhchap_key":      {text: "\n", store: storeKey},
		"dhchap_ctrl_key": {text: "\n", store: storeKey},
	},
	make: func(c *configfs, n *node) error {
		if c.withoutNVMeAuth {
			clear(n.children)
		}
		return nil
	},
}

// storeKey follows nvmet_auth_set_key in drivers/nvme/target/auth.c. What stands
// for a password that may not be seen is taken, too.
func storeKey(_ *configfs, _ *node, value string) (string, error) {
	var hash int
	if _, err := fmt.Sscanf(value, "DHHC-1:%d:", &hash); value != "<redacted>" && (err != nil || hash < 0 || hash > 3) {
		return "", syscall.EINVAL
	}
	return value + "\n", nil
}

var namespaceType = &itemType{
	what: aNamespace,
	attributes: map[string]attribute{
		"device_nguid":    {text: "00000000-0000-0000-0000-000000000000\n", store: storeIdentity},
		"device_path":     {text: "(null)\n", store: storeDevicePath},
		"device_uuid":     {text: "5a1b9d0e-8c3f-4a57-9d61-0f1e2d3c4b5a\n", store: storeIdentity},
		"enable":          {text: "0\n", store: storeNamespaceEnable},
		"revalidate_size": {store: storeRevalidate, writeOnly: true},
	},
	drop: func(c *configfs, n *node) { c.closeNamespace(n) },
}

func enabled(namespace *node) bool { return namespace.textOf("enable") == flagText(true) }

func storeDevicePath(_ *configfs, n *node, value string) (string, error) {
	value, _, _ = strings.Cut(value, "\n")
	switch {
	case enabled(n.parent):
		return "", syscall.EBUSY
	case value == "":
		return "", syscall.EINVAL
	}
	return value + "\n", nil
}

// storeIdentity keeps a UUID or NGUID, with or without dashes.
func storeIdentity(_ *configfs, n *node, value string) (string, error) {
	if enabled(n.parent) {
		return "", syscall.EBUSY
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSuffix(value, "\n"), "-", ""))
	if err != nil || len(raw) != 16 {
		return "", syscall.EINVAL
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x\n", raw[0:4], raw[4:6], raw[6:8], raw[8:10], raw[10:16]), nil
}

// storeNamespaceEnable follows nvmet_bdev_ns_enable in
// drivers/nvme/target/io-cmd-bdev.c: the device is not opened for nvmet alone.
func storeNamespaceEnable(c *configfs, n *node, value string) (string, error) {
	on, err := parseBool(value)
	switch {
	case err != nil:
		return "", err
	case !on:
		c.closeNamespace(n.parent)
		return flagText(false), nil
	case enabled(n.parent):
		return flagText(true), nil
	}
	name := strings.TrimSpace(n.parent.textOf("device_path"))
	lv := c.device(name)
	switch {
	case name == "(null)":
		return "", syscall.EINVAL
	case lv == nil:
		return "", syscall.ENOENT
	case lv.ReadOnly:
		return "", syscall.EACCES
	}
	c.openNamespace(n.parent, lv.Minor)
	return flagText(true), nil
}

func storeRevalidate(_ *configfs, n *node, value string) (string, error) {
	on, err := parseBool(value)
	if err == nil && (!on || !enabled(n.parent)) {
		err = syscall.EINVAL
	}
	return "", err
}

func (c *configfs) openNamespace(n *node, minor int) {
	c.namespaces[n] = minor
	c.lvm.hold(minor)
}

func (c *configfs) closeNamespace(n *node) {
	if minor, open := c.namespaces[n]; open {
		c.lvm.release(minor)
		delete(c.namespaces, n)
	}
}

// loadNVMet reads nvmet of a node.
func (c *configfs) loadNVMet(n Node) error {
	if len(n.NVMet) > 0 || c.modules[nvmetTCPModule] || c.modules[nvmetRDMAModule] {
		c.modules[nvmetModule] = true
	}
	c.register()
	if err := loadTree(c.nvmet, n.NVMet, []string{"hosts", "ports", "subsystems"}); err != nil {
		return err
	}
	if c.nvmet == nil {
		return nil
	}
	for at := range c.allNVMet() {
		if !at.isOf(aNamespace) || !enabled(at) {
			continue
		}
		minor, known := n.NVMeDevices[at.path()]
		if lv := c.device(strings.TrimSpace(at.textOf("device_path"))); !known && lv != nil {
			minor, known = lv.Minor, true
		}
		if known {
			c.openNamespace(at, minor)
		}
	}
	for _, s := range n.NVMeSessions {
		subsystem, err := c.nvmet.walk(path.Join("subsystems", s.Subsystem))
		if err != nil {
			return fmt.Errorf("a session with %s: %w", s.Subsystem, err)
		}
		if port, err := c.nvmet.walk(path.Join("ports", s.Port)); err != nil || !port.isOf(aPort) {
			return fmt.Errorf("a session with %s: there is no port %s", s.Subsystem, s.Port)
		}
		c.discovered[subsystem] = true
		c.nvmeSessions = append(c.nvmeSessions, s)
	}
	return nil
}

func (c *configfs) storeNVMet(n *Node) {
	n.WithoutNVMeAuth, n.NVMeDebugFS = c.withoutNVMeAuth, c.nvmeDebugFS
	n.MissingAddresses = append([]string(nil), c.missingAddresses...)
	n.NVMeSessions = append([]NVMeSession(nil), c.nvmeSessions...)
	n.NVMet = entriesOf(c.nvmet)
	n.NVMeDevices = nil
	for at, minor := range c.namespaces {
		if n.NVMeDevices == nil {
			n.NVMeDevices = map[string]int{}
		}
		n.NVMeDevices[at.path()] = minor
	}
}

// allNVMet returns everything below /sys/kernel/config/nvmet, parents first.
func (c *configfs) allNVMet() func(yield func(*node) bool) {
	return func(yield func(*node) bool) {
		if c.nvmet != nil {
			c.nvmet.each(yield)
		}
	}
}
