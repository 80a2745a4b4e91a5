package fakehost

import (
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// The kernel modules that matter.
const (
	coreModule   = "target_core_mod"
	iblockModule = "target_core_iblock"
	iscsiModule  = "iscsi_target_mod"
	iserModule   = "ib_isert"
	fcModule     = "tcm_fc"
	qlaModule    = "tcm_qla2xxx"
)

// modprobe plays modprobe(8).
func (c *configfs) modprobe(argv []string) (host.Output, error) {
	for _, name := range argv[1:] {
		if strings.HasPrefix(name, "-") {
			continue
		}
		if !c.insert(strings.ReplaceAll(name, "-", "_")) {
			out := host.Output{Stderr: "modprobe: FATAL: Module " + name + " not found in directory /lib/modules/6.1.0\n"}
			return out, &host.CommandError{Argv: argv, ExitCode: 1, Stderr: out.Stderr}
		}
	}
	c.register()
	return host.Output{}, nil
}

// register makes the directories of LIO and nvmet in configfs, once they are
// loaded.
func (c *configfs) register() {
	if c.root == nil && c.modules[coreModule] {
		c.root = newDir("target", rootType)
	}
	if c.nvmet == nil && c.modules[nvmetModule] {
		c.nvmet = newDir("nvmet", nvmetType)
	}
}

// insert loads a module and those that it needs. It reports false if the
// machine does not have it.
func (c *configfs) insert(name string) bool {
	if slices.Contains(c.missing, name) {
		return false
	}
	switch name {
	case coreModule, nvmetModule:
	case iblockModule, iscsiModule, fcModule, qlaModule:
		if !c.insert(coreModule) {
			return false
		}
	case nvmetTCPModule, nvmetRDMAModule:
		if !c.insert(nvmetModule) {
			return false
		}
	case iserModule:
		if !c.insert(iscsiModule) {
			return false
		}
	default:
		return false
	}
	c.modules[name] = true
	return true
}
