package doctor

import (
	"fmt"
	"path"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// module is what the specs need of the kernel: one of these, with underscores.
type module struct {
	anyOf []string
	what  string
}

// modulesFor returns the modules that the specs need.
func modulesFor(n needs, tgt bool) []module {
	var list []module
	require := func(needed bool, what string, anyOf ...string) {
		if needed {
			list = append(list, module{anyOf, what})
		}
	}
	require(len(n.groups) > 0, "logical volumes", "dm_mod")
	require(n.thinPools, "thin pools", "dm_thin_pool")
	require(n.thickSnapshots, "Snapshots in Pools without a thin pool", "dm_snapshot")
	iscsi := n.exports(spec.ProtocolISCSI) && !tgt || n.exports(spec.ProtocolISER)
	require(iscsi || n.exports(spec.ProtocolFC), "exports over SCSI", "target_core_mod")
	require(iscsi || n.exports(spec.ProtocolFC), "backstores on logical volumes", "target_core_iblock")
	require(iscsi, "iSCSI", "iscsi_target_mod")
	require(n.exports(spec.ProtocolISER), "iSER", "ib_isert")
	require(n.exports(spec.ProtocolFC), "Fibre Channel", "tcm_qla2xxx", "tcm_fc")
	require(n.exports(spec.ProtocolNVMeTCP, spec.ProtocolNVMeRDMA), "NVMe", "nvmet")
	require(n.exports(spec.ProtocolNVMeTCP), "NVMe over TCP", "nvmet_tcp")
	require(n.exports(spec.ProtocolNVMeRDMA), "NVMe over RDMA", "nvmet_rdma")
	return list
}

func checkModules(f Facts) []Finding {
	var all []Finding
	for _, m := range modulesFor(needsOf(f.Set), f.TGT) {
		if found, wrong := checkModule(f.Kernel, m); wrong {
			found.Severity, found.Subject = Error, strings.Join(m.anyOf, " or ")
			found.Consequence = "what needs it cannot work: " + m.what
			all = append(all, found)
		}
	}
	return all
}

// checkModule says why none of the modules can be used.
func checkModule(k Kernel, m module) (Finding, bool) {
	var found Finding
	for _, name := range m.anyOf {
		switch file := k.Forbidden[name]; {
		case k.Loaded[name]:
			return Finding{}, false
		case k.Modules[name] && k.LoadingDisabled:
			found = Finding{
				Text:    fmt.Sprintf("module %s is not loaded, and the kernel refuses to load modules (kernel.modules_disabled = 1)", name),
				Command: "write its name into /etc/modules-load.d/volreconciler.conf, and reboot",
			}
		case k.Modules[name] && file != "":
			found = Finding{
				Text:    fmt.Sprintf("module %s is not loaded, and %s keeps it from being loaded", name, file),
				Command: "remove the line install " + name + " from " + file,
			}
		case k.Modules[name]:
			return Finding{}, false
		case k.NoneInstalled:
			found = Finding{
				Text:    fmt.Sprintf("module %s is not loaded, and no modules are installed for the running kernel %s", name, k.Release),
				Command: "reboot into an installed kernel",
			}
		default:
			found = Finding{
				Text:    fmt.Sprintf("kernel %s has no module %s", k.Release, name),
				Command: "install a kernel that has it, on Debian: apt install linux-image-amd64, and reboot",
			}
		}
	}
	return found, true
}

func checkConfigFS(f Facts) []Finding {
	n := needsOf(f.Set)
	if f.Kernel.ConfigFS || !n.exports() || f.TGT && !n.exports(spec.ProtocolNVMeTCP, spec.ProtocolNVMeRDMA, spec.ProtocolISER, spec.ProtocolFC) {
		return nil
	}
	return []Finding{{
		Severity: Error, Subject: configFSDir, Text: "configfs is not mounted there",
		Consequence: "no Export can be created or read",
		Command:     "mount -t configfs configfs " + configFSDir + " (systemd does so by sys-kernel-config.mount)",
	}}
}

func checkRDMA(f Facts) []Finding {
	if len(f.Kernel.RDMA) > 0 {
		return nil
	}
	var all []Finding
	n := needsOf(f.Set)
	for _, p := range []spec.Protocol{spec.ProtocolISER, spec.ProtocolNVMeRDMA} {
		if export := n.protocols[p]; export != "" {
			all = append(all, Finding{
				Severity: Error, Subject: "Export/" + export, Text: fmt.Sprintf("protocol %s needs an RDMA device, and /sys/class/infiniband has none", p),
				Consequence: "the kernel refuses its portals", Command: "load the driver of the adapter, or use protocol iscsi or nvme-tcp; look: rdma link",
			})
		}
	}
	return all
}

// program is one that the specs need.
type program struct {
	name string
	// what needs it, and how bad it is if it is not there.
	severity Severity
	without  string
	install  string
}

// programsFor returns the programs that the specs need. Where LVM looks for its own is configured.
func programsFor(n needs, config map[string]string) []program {
	var list []program
	require := func(needed bool, p program) {
		if needed && p.name != "" {
			list = append(list, p)
		}
	}
	configured := func(key string) string { return strings.Trim(config[key], `"`) }
	const thin = "apt install thin-provisioning-tools"
	require(true, program{"lvm", Error, "no Pool, Volume or Snapshot can be read or changed", "apt install lvm2"})
	require(len(n.groups) > 0, program{"modprobe", Error, "kernel modules cannot be loaded", "apt install kmod"})
	require(n.thinPools, program{configured("global/thin_check_executable"), Warning, "damaged thin pool metadata is not noticed when a pool is activated", thin})
	require(n.thinPools, program{configured("global/thin_repair_executable"), Warning, "a damaged thin pool cannot be repaired", thin})
	require(n.thinPools, program{"thin_delta", Warning, "thin Volumes cannot be moved to another pool while in use", thin})
	require(n.images, program{"qemu-img", Error, "no Volume can be filled from an image, and no Image can be written", "apt install qemu-utils"})
	require(n.images, program{"prlimit", Error, "no image can be converted: conversions run with limits", "apt install util-linux"})
	require(n.xz, program{"xz", Error, "images that xz compressed cannot be read", "apt install xz-utils"})
	return list
}

func checkPrograms(f Facts) []Finding {
	var all []Finding
	for _, p := range programsFor(needsOf(f.Set), f.LVM.Config) {
		if !f.Programs[p.name] {
			all = append(all, Finding{
				Severity: p.severity, Subject: path.Base(p.name), Text: fmt.Sprintf("program %s is not installed", p.name),
				Consequence: p.without, Command: p.install,
			})
		}
	}
	return all
}

func checkTools(f Facts) []Finding {
	var all []Finding
	for _, r := range f.Tools {
		found := Finding{Severity: Note, Subject: r.Tool, Text: r.Text, Consequence: r.Consequence}
		if r.Warning {
			found.Severity, found.Command = Warning, "upgrade "+r.Tool
		}
		all = append(all, found)
	}
	return all
}

func checkUdev(f Facts) []Finding {
	if f.Udev || len(f.Set.Pools) == 0 {
		return nil
	}
	return []Finding{{
		Severity: Warning, Subject: "/run/udev/control", Text: "udev is not running, or this container does not have /run/udev of the node",
		Consequence: "links in /dev to logical volumes may be missing, so that exports fail; the agent does not learn of new devices at once",
		Command:     "systemctl start systemd-udevd; for a container: mount /run/udev into it",
	}}
}
