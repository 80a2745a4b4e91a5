package ondisk

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
)

// markPrefix begins the marks of our targets.
const markPrefix = "volreconciler:"

// TargetMark returns the mark of an export's target.
func TargetMark(export string) string { return markPrefix + export }

// IsTargetMark reports whether a text is the mark of a target of ours.
func IsTargetMark(text string) bool { return strings.HasPrefix(text, markPrefix) }

// ExportOfMark returns the export whose target carries a mark. It reports false if it
// is none of ours.
func ExportOfMark(mark string) (export string, ok bool) {
	name, ok := strings.CutPrefix(mark, markPrefix)
	return name, ok && name != ""
}

// ChooseMark returns the mark of an iSCSI target from its two possible places: its own
// place, and the alias, which older agents used. inAlias is whether the alias still holds
// it. Two different marks are none: the target's owner is unknown.
func ChooseMark(mark, alias string) (chosen string, inAlias bool) {
	marked, inAlias := IsTargetMark(mark), IsTargetMark(alias)
	switch {
	case marked && inAlias && mark != alias:
		return "both " + mark + " and " + alias, false
	case inAlias:
		return alias, true
	case mark != "":
		return mark, false
	default:
		return alias, false
	}
}

// SubsystemModel is the model number of our NVMe subsystems. With the serial
// number, see [SubsystemSerial], it is the mark of their owner.
const SubsystemModel = "volreconciler"

// SubsystemSerial returns the serial number of the NVMe subsystem of an export,
// which is also the mark of its owner: there is no room for a name of any length.
func SubsystemSerial(nqn, export string) string {
	h := sha256.Sum256([]byte("volreconciler:export:" + nqn + " " + export))
	return fmt.Sprintf("%x", h[:10])
}

// SubsystemMark returns the mark of a subsystem's owner, in the form of [TargetMark];
// empty if it is not one of ours. The name of the export is that which its NQN ends with
// if the serial number agrees, as it does for the NQNs that exports get by default. It is
// the serial number otherwise.
func SubsystemMark(nqn, model, serial string) string {
	if model != SubsystemModel {
		return ""
	}
	if name := nqn[strings.LastIndex(nqn, ":")+1:]; SubsystemSerial(nqn, name) == serial {
		return TargetMark(name)
	}
	return TargetMark(serial)
}

// FirstNVMePort is the number of the first NVMe port that is ours: administrators begin with
// 1, as nvmetcli does. Ports carry no other mark. A port of somebody else that listens
// on the address that is asked for is used, but never changed or removed: an
// address cannot have two.
const FirstNVMePort = 9000

// IsOurNVMePort reports whether a port of this number was made by us.
func IsOurNVMePort(id string) bool {
	n, err := strconv.ParseUint(id, 10, 16)
	return err == nil && n >= FirstNVMePort
}
