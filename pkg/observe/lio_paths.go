package observe

import (
	"path"
	"strconv"
)

// Where LIO lives in configfs. The layout is the kernel's, see
// drivers/target/target_core_configfs.c and target_core_fabric_configfs.c.
const (
	// ConfigFS is where configfs is mounted.
	ConfigFS = "/sys/kernel/config"
	// LIODir appears once the module target_core_mod is loaded.
	LIODir = ConfigFS + "/target"
	// BackstoresDir holds a directory per HBA, and in each of them one per
	// backstore.
	BackstoresDir = LIODir + "/core"
	// ISCSIDir holds the iSCSI targets. Making it loads iscsi_target_mod.
	ISCSIDir = LIODir + "/iscsi"
)

// lioModuleDir is there while LIO is loaded, whether configfs is mounted or not.
const lioModuleDir = "/sys/module/target_core_mod"

const (
	tpgName   = "tpgt_1"
	tpgPrefix = "tpgt_"
	lunPrefix = "lun_"
)

// HBADir is the directory of an HBA's backstores.
func HBADir(hba string) string { return path.Join(BackstoresDir, hba) }

// BackstoreDir is a backstore's directory.
func BackstoreDir(hba, name string) string { return path.Join(BackstoresDir, hba, name) }

// BackstoreMark is the file with a backstore's alias. The kernel keeps it and does not use it, and
// takes another one at any time (target_dev_alias_store in drivers/target/target_core_configfs.c).
func BackstoreMark(hba, name string) string { return path.Join(BackstoreDir(hba, name), "alias") }

// TargetDir is the directory of a LIO target. What is in it is the same for all of
// LIO's fabrics, but for how they write the names of targets and initiators.
type TargetDir struct {
	TargetID
	// Path is the directory's.
	Path string
}

// ISCSITarget is the directory of an iSCSI target.
func ISCSITarget(iqn string) TargetDir {
	return TargetDir{TargetID{ISCSI, iqn}, path.Join(ISCSIDir, iqn)}
}

// TPG is the directory of the target's first portal group.
func (d TargetDir) TPG() string { return path.Join(d.Path, tpgName) }

// Enable is the file that says whether initiators may log in. The targets of
// some fabrics have none.
func (d TargetDir) Enable() string { return path.Join(d.TPG(), "enable") }

// Attrib holds the portal group's attributes.
func (d TargetDir) Attrib() string { return path.Join(d.TPG(), "attrib") }

// Mark is the file that holds the mark of an iSCSI target's owner: the name by which
// the portal group would prove itself to initiators that have no ACL. It counts
// together with a password only, which nobody sets.
func (d TargetDir) Mark() string { return path.Join(d.TPG(), "auth", "userid_mutual") }

// Alias is the file that holds what an iSCSI target calls itself at each login, and
// in which older agents had the mark.
func (d TargetDir) Alias() string { return path.Join(d.TPG(), "param", "TargetAlias") }

// Portals holds a directory per portal.
func (d TargetDir) Portals() string { return path.Join(d.TPG(), "np") }

// LUNs holds a directory per LUN.
func (d TargetDir) LUNs() string { return path.Join(d.TPG(), "lun") }

// LUN is the directory of a LUN, with a symlink to its backstore in it.
func (d TargetDir) LUN(lun int) string { return path.Join(d.LUNs(), lunName(lun)) }

// ACLs holds a directory per initiator.
func (d TargetDir) ACLs() string { return path.Join(d.TPG(), "acls") }

// ACL is the directory of an initiator's ACL.
func (d TargetDir) ACL(initiator string) string {
	if d.Fabric == FC {
		initiator = colonWWPN(initiator)
	}
	return path.Join(d.ACLs(), initiator)
}

// MappedLUN is the directory of a LUN as an initiator sees it, with a symlink to
// the portal group's LUN in it.
func (d TargetDir) MappedLUN(initiator string, lun int) string {
	return path.Join(d.ACL(initiator), lunName(lun))
}

func lunName(lun int) string { return lunPrefix + strconv.Itoa(lun) }
