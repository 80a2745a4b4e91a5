package plan

import (
	"maps"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// fabric is what serves an export: a kind of target, over a transport.
type fabric struct {
	observe.Fabric
	traits
	transport observe.Transport
}

// traits are what a plan has to know of a kind of target. Nothing else in it asks which one
// it is, so that another kind is another row of [traitsOf].
type traits struct {
	// backstores is true if LUNs are links to LIO's backstores. Else they are
	// made of the device itself.
	backstores bool
	// maps is true if each initiator has a list of LUNs of its own, which also says who may
	// write. Else all of them see what is in the target.
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
	// keysOnly is true if an initiator proves itself by a key, without a user name.
	keysOnly bool
	// inheritsViews is true if an access list takes over what its initiator saw while anybody was
	// let in.
	inheritsViews bool
	// refuses is true if an initiator that is still listed can be kept from logging in again.
	refuses bool
	// outlives is true if the session of an initiator goes on that is not listed any more.
	outlives bool
	// addresses is true if the kernel may tell who is logged in by the address alone.
	addresses bool
	// uncounted is true if nothing says how many are logged in: the access lists name them all.
	uncounted bool
	// parameters is true if a spec may set attributes of the target, and discovery if
	// initiators can ask which targets there are.
	parameters, discovery bool
	// pause is how initiators are made to wait, rather than fail what is under way.
	pause pause
	// markInGroup is true if the mark of the owner is on the portal group, and markInLUNs if
	// it is on the LUNs: what is there has none before its first LUN.
	markInGroup, markInLUNs bool
	// alwaysConnected is true if initiators are logged in for as long as they can, whether
	// they see anything or not.
	alwaysConnected bool
	// listCloses is true if a target cannot be open to anybody while an initiator is listed.
	listCloses bool
	// caches is true if it keeps a cache of what it serves, which must not be served by
	// others as well.
	caches bool
	// resizeEndsSessions is true if initiators have to log in anew when a LUN is resized.
	resizeEndsSessions bool
	// separateFamilies is true if a portal for any IPv6 address does not serve IPv4.
	separateFamilies bool
	// identify returns what initiators tell a LUN without a backstore by.
	identify func(identity string) string
	// closed are the attributes with which listed initiators are admitted only,
	// and open those with which anybody is.
	closed, open observe.TPGAttrib
}

// pause is a way to make initiators wait.
type pause int

const (
	noPause        pause = iota
	disableTarget        // they log in again when it is enabled
	withoutPortals       // they connect again when there is one
)

var traitsOf = map[observe.Fabric]traits{
	observe.ISCSI: {
		backstores: true, maps: true, enables: true, ownPortals: true, inheritsViews: true, refuses: true, parameters: true, discovery: true,
		pause: disableTarget, markInGroup: true, identify: ondisk.UnitSerial,
		// The group asks for authentication by default, so that an access list
		// which is only half set up lets nobody in.
		closed: observe.TPGAttrib{Authentication: true, DemoModeWriteProtect: true},
		open:   observe.TPGAttrib{GenerateNodeACLs: true, CacheDynamicACLs: true, DemoModeDiscovery: true},
	},
	observe.FC: {
		backstores: true, maps: true, enables: true, markInLUNs: true, alwaysConnected: true, uncounted: true, identify: ondisk.UnitSerial,
	},
	observe.NVMe: {
		ownPortals: true, keysOnly: true, listCloses: true, outlives: true, addresses: true, pause: withoutPortals, identify: ondisk.NamespaceUUID,
		open: observe.TPGAttrib{GenerateNodeACLs: true},
	},
	observe.TGTISCSI: {
		accounts: true, caches: true, outlives: true, resizeEndsSessions: true, separateFamilies: true, identify: ondisk.UnitSerial,
		open: observe.TPGAttrib{GenerateNodeACLs: true},
	},
}

// fabricOf returns what serves a protocol on this machine.
func (in Input) fabricOf(p spec.Protocol) fabric {
	of, over := in.servedBy(p)
	return fabric{Fabric: of, traits: traitsOf[of], transport: over}
}

// targetOf names the target of an export.
func (in Input) targetOf(e spec.Export) observe.TargetID {
	of, _ := in.servedBy(e.Spec.Protocol)
	return observe.TargetID{Fabric: of, Name: e.Spec.Target}
}

func (in Input) servedBy(p spec.Protocol) (of observe.Fabric, over observe.Transport) {
	of, over = observe.ISCSI, observe.TCP
	switch p {
	case spec.ProtocolNVMeTCP:
		of = observe.NVMe
	case spec.ProtocolNVMeRDMA:
		of, over = observe.NVMe, observe.RDMA
	case spec.ProtocolFC:
		of, over = observe.FC, ""
	case spec.ProtocolISER:
		over = observe.RDMA
	default:
		if in.TGT {
			of = observe.TGTISCSI
		}
	}
	return of, over
}

// protocolOf returns what a target speaks that no file declares, as far as its portals say it.
func protocolOf(t observe.Target) spec.Protocol {
	rdma := slices.Contains(slices.Collect(maps.Values(t.Portals)), observe.RDMA)
	switch {
	case t.Fabric == observe.FC:
		return spec.ProtocolFC
	case t.Fabric == observe.NVMe && rdma:
		return spec.ProtocolNVMeRDMA
	case t.Fabric == observe.NVMe:
		return spec.ProtocolNVMeTCP
	case rdma:
		return spec.ProtocolISER
	default:
		return spec.ProtocolISCSI
	}
}

// identity returns what initiators tell a LUN without a backstore by; empty if
// its logical volume, whose [observe.LogicalVolume.Identity] it is made of, is not
// there yet.
func (f fabric) identity(of string) string {
	if of == "" {
		return ""
	}
	return f.identify(of)
}
