package doctor

import (
	"fmt"
	"strings"
)

// Checks are all checks, in the order in which findings of one severity are shown.
func Checks() []Check {
	return []Check{
		{"specs", Error, "a spec file or a password file has a mistake", checkSpecs},
		{"unread", Warning, "a part of the node cannot be read, so its checks are incomplete", checkUnread},

		{"kernel-module", Error, "the kernel lacks a module, or may not load it", checkModules},
		{"configfs", Error, "configfs is not mounted", checkConfigFS},
		{"rdma-device", Error, "an Export needs RDMA, and the node has no RDMA device", checkRDMA},
		{"program", Error, "a program is not installed", checkPrograms},
		{"tool-version", Warning, "a program or the kernel has a version that was not tested", checkTools},
		{"udev", Warning, "udev is not running", checkUdev},

		{"volume-group", Error, "a volume group of a Pool does not exist, is incomplete or cannot be used", checkGroups},
		{"lvm-device-excluded", Error, "the devices file or a filter of LVM excludes a disk of a Pool", checkExcluded},
		{"lvm-volume-list", Error, "`volume_list` or host tags keep a declared volume inactive", checkVolumeList},
		{"lvm-scan-lvs", Error, "LVM looks for volume groups inside exported volumes", checkScanLVs},
		{"lvm-metadata-area", Error, "the metadata area of a volume group is too small for the declared volumes", checkMetadataArea},
		{"lvm-archive", Warning, "the archive of LVM's metadata is large, or there is none", checkArchive},
		{"lvm-autoextend", Warning, "dmeventd should grow thin pools or snapshots but cannot, or grows them beyond the specs", checkAutoextend},
		{"lvm-autoactivation", Note, "LVM does not activate declared volumes at boot; the agent does", checkAutoactivation},
		{"silent-device", Warning, "a block device does not answer", checkSilent},

		{"saved-targets", Error, "a file of targetcli or nvmetcli would restore what the agent manages or has removed", checkSaved},
		{"restore-service", Warning, "a service removes all targets when it stops or restarts", checkRestore},
		{"tgt-service", Warning, "tgtd starts at boot and takes the iSCSI port", checkTGT},
		{"multipath", Warning, "multipathd may take logical volumes", checkMultipath},

		{"port-taken", Error, "another process listens on a portal or on the address of `listen`", checkPorts},
		{"portal-address", Error, "the node does not have the address of a portal", checkAddresses},
		{"bindv6only", Warning, "a portal on `[::]` does not serve IPv4", checkBindV6Only},

		{"unsafe-path", Error, "another user can change the specs or the agent's state", checkPaths},
		{"config-readable", Warning, "every user can read secrets in the configuration file", checkConfig},
		{"disk-space", Warning, "the state directory or the image cache has too little space", checkSpace},
		{"clock", Warning, "nothing keeps the clock right, and the trash is emptied by it", checkClock},
		{"inotify-watches", Warning, "the limit of inotify is too low for the declared Exports", checkWatches},
		{"agent", Note, "no agent answers", checkAgent},
	}
}

// some lists the first few of many.
func some(list []string) string {
	const shown = 3
	if len(list) > shown {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:shown], ", "), len(list)-shown)
	}
	return strings.Join(list, ", ")
}

// size is a number of bytes for people.
func size(bytes uint64) string {
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if bytes < 10<<10 {
			return fmt.Sprintf("%d %s", bytes, unit)
		}
		bytes >>= 10
	}
	return fmt.Sprintf("%d TiB", bytes)
}
