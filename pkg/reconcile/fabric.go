package reconcile

import (
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// fabric is what Diff has to know of the kind of target that serves an export.
type fabric struct {
	observe.Fabric
	transport observe.Transport
	// backstores is true if LUNs are links to LIO's backstores. Else they are
	// made of the device itself.
	backstores bool
	// maps is true if each initiator has a list of LUNs of its own. Else all of
	// them see what is in the target.
	maps bool
	// enables is true if a target is closed until it is enabled. Else nobody
	// reaches it before it has a portal, or an initiator is admitted.
	enables bool
	// ownPortals is true if a target has portals of its own. Else they are those
	// of the whole system, which is not the target's to close.
	ownPortals bool
	// accounts is true if passwords, and who may write, are a target's and not of
	// each of its initiators.
	accounts bool
	// closed are the attributes with which listed initiators are admitted only,
	// and open those with which anybody is.
	closed, open observe.TPGAttrib
}

// fabricOf returns what serves a protocol on this machine.
func (in Input) fabricOf(p spec.Protocol) fabric {
	switch p {
	case spec.ProtocolNVMeTCP:
		return nvme(observe.TCP)
	case spec.ProtocolNVMeRDMA:
		return nvme(observe.RDMA)
	case spec.ProtocolFC:
		return fabric{Fabric: observe.FC, backstores: true, maps: true, enables: true}
	case spec.ProtocolISER:
		return iscsi(observe.RDMA)
	default:
		if in.TGT {
			return fabric{Fabric: observe.TGTISCSI, transport: observe.TCP, accounts: true, open: observe.TPGAttrib{GenerateNodeACLs: true}}
		}
		return iscsi(observe.TCP)
	}
}

func iscsi(over observe.Transport) fabric {
	return fabric{
		Fabric: observe.ISCSI, transport: over, backstores: true, maps: true, enables: true, ownPortals: true,
		// The group asks for authentication by default, so that an access list
		// which is only half set up lets nobody in.
		closed: observe.TPGAttrib{Authentication: true, DemoModeWriteProtect: true},
		open:   observe.TPGAttrib{GenerateNodeACLs: true, CacheDynamicACLs: true, DemoModeDiscovery: true},
	}
}

func nvme(over observe.Transport) fabric {
	return fabric{Fabric: observe.NVMe, transport: over, ownPortals: true, open: observe.TPGAttrib{GenerateNodeACLs: true}}
}

// identity returns what initiators tell a LUN without a backstore by; empty if
// its logical volume, whose [observe.LogicalVolume.Identity] it is made of, is not
// there yet.
func (f fabric) identity(of string) string {
	switch {
	case of == "":
		return ""
	case f.Fabric == observe.NVMe:
		return ondisk.NamespaceUUID(of)
	default:
		return ondisk.UnitSerial(of)
	}
}
