package spec

import "strings"

// Protocol is how an Export is reached.
type Protocol string

// The protocols.
const (
	ProtocolISCSI    Protocol = "iscsi"     // SCSI over TCP
	ProtocolISER     Protocol = "iser"      // iSCSI with its data over RDMA
	ProtocolNVMeTCP  Protocol = "nvme-tcp"  // NVMe over TCP
	ProtocolNVMeRDMA Protocol = "nvme-rdma" // NVMe over RDMA
	ProtocolFC       Protocol = "fc"        // SCSI over Fibre Channel
)

// Protocols are all protocols, in the order in which findings list them. What has to know
// all of them is checked against it: this package, the planner, and test/contributing.
func Protocols() []Protocol {
	return []Protocol{ProtocolISCSI, ProtocolISER, ProtocolNVMeTCP, ProtocolNVMeRDMA, ProtocolFC}
}

// IsNVMe reports whether a protocol's names are NQNs.
func (p Protocol) IsNVMe() bool { return p == ProtocolNVMeTCP || p == ProtocolNVMeRDMA }

// withoutTCP reports whether the protocol's ports have nothing to do with those of
// TCP. (iSER is served on the same portal as iSCSI.)
func (p Protocol) withoutTCP() bool { return p == ProtocolNVMeRDMA }

// DefaultPortal is where an Export of the protocol is served if its file does not
// say: on every IPv4 address of the node and the port that IANA has assigned to the
// protocol. It is empty for Fibre Channel.
func (p Protocol) DefaultPortal() string {
	switch {
	case p == ProtocolFC:
		return ""
	case p.IsNVMe():
		return "0.0.0.0:4420"
	default:
		return "0.0.0.0:3260"
	}
}

// defaultTarget returns the target name of an Export that does not give one; it
// is empty where there is no default.
func (p Protocol) defaultTarget(prefix, export string) string {
	switch {
	case p == ProtocolFC:
		return ""
	case p.IsNVMe():
		return "nqn." + strings.TrimPrefix(prefix, "iqn.") + ":" + export
	default:
		return prefix + ":" + export
	}
}

// canonicalName returns a name of a target or initiator in the one form that is
// compared. A name that cannot be parsed is left for validation to report.
func (p Protocol) canonicalName(name string) string {
	if p != ProtocolFC {
		return name
	}
	if wwpn, err := NormalizeWWPN(name); err == nil {
		return wwpn
	}
	return name
}

// checkTarget reports whether a name can be that of a target of the protocol.
func (p Protocol) checkTarget(name string) error {
	switch {
	case p == ProtocolFC:
		_, err := NormalizeWWPN(name)
		return err
	case p.IsNVMe():
		return checkSubsystemName(name)
	default:
		return checkTargetName(name)
	}
}
