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

// TargetDir is a target's directory.
func TargetDir(iqn string) string { return path.Join(ISCSIDir, iqn) }

// TPGDir is the directory of a target's first portal group.
func TPGDir(iqn string) string { return path.Join(TargetDir(iqn), tpgName) }

// AliasFile holds the mark of a target's owner.
func AliasFile(iqn string) string { return path.Join(TPGDir(iqn), "param", "TargetAlias") }

// PortalsDir holds a directory per portal.
func PortalsDir(iqn string) string { return path.Join(TPGDir(iqn), "np") }

// LUNsDir holds a directory per LUN.
func LUNsDir(iqn string) string { return path.Join(TPGDir(iqn), "lun") }

// LUNDir is the directory of a LUN, with a symlink to its backstore in it.
func LUNDir(iqn string, lun int) string { return path.Join(LUNsDir(iqn), lunName(lun)) }

// ACLsDir holds a directory per initiator.
func ACLsDir(iqn string) string { return path.Join(TPGDir(iqn), "acls") }

// ACLDir is the directory of an initiator's ACL.
func ACLDir(iqn, initiator string) string { return path.Join(ACLsDir(iqn), initiator) }

// MappedLUNDir is the directory of a LUN as an initiator sees it, with a
// symlink to the portal group's LUN in it.
func MappedLUNDir(iqn, initiator string, lun int) string {
	return path.Join(ACLDir(iqn, initiator), lunName(lun))
}

func lunName(lun int) string { return lunPrefix + strconv.Itoa(lun) }
