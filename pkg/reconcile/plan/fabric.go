package plan

import (
	"maps"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// fabric is a kind of target that serves Exports, over a transport.
type fabric struct {
	observe.Fabric
	traits
	transport observe.Transport
}

// traits are what a plan has to know of a kind of target. Nothing else in the package asks which
// kind it is, so another kind is another row of [traitsOf].
type traits struct {
	// backstores is true if LUNs are links to LIO's backstores. Otherwise they are made of the
	// device itself.
	backstores bool
	// mapsLUNs is true if each initiator has a list of LUNs of its own, with write protection.
	// Otherwise all initiators see all LUNs of the target.
	mapsLUNs bool
	// hasEnable is true if a target is closed until it is enabled. Otherwise it is closed until it
	// has a portal, or admits an initiator.
	hasEnable bool
	// ownPortals is true if a target has portals of its own. Otherwise they are those of the whole
	// system, and cannot be removed for one target.
	ownPortals bool
	// targetAccounts is true if passwords and write protection belong to the target, not to each
	// of its initiators.
	targetAccounts bool
	// keysOnly is true if an initiator authenticates with a key, without a user name.
	keysOnly bool
	// inheritsViews is true if a new access list keeps showing what its initiator saw while any
	// initiator was admitted.
	inheritsViews bool
	// refusesLogins is true if an initiator that is still listed can be kept from logging in
	// again.
	refusesLogins bool
	// sessionsOutliveListing is true if an initiator that is removed from the list keeps its
	// session.
	sessionsOutliveListing bool
	// sessionsByAddress is true if the kernel may know a session by its address alone.
	sessionsByAddress bool
	// sessionsUncounted is true if the kernel does not count sessions: the access lists name them
	// all.
	sessionsUncounted bool
	// parameters is true if a spec may set attributes of the target, and discovery if initiators
	// can discover the target.
	parameters, discovery bool
	// pause is how initiators are made to wait without failing their requests.
	pause pause
	// markInGroup is true if the owner's mark is on the portal group, and markInLUNs if it is on
	// the LUNs: such a target has no mark before its first LUN.
	markInGroup, markInLUNs bool
	// alwaysConnected is true if initiators are connected whenever they can be, whether they see a
	// LUN or not.
	alwaysConnected bool
	// listCloses is true if a target cannot admit any initiator while one is listed.
	listCloses bool
	// adopts is true if a target of somebody else can be marked without a change that initiators see.
	adopts bool
	// caches is true if the target caches what it serves, which must not be served by others as
	// well.
	caches bool
	// resizeEndsSessions is true if initiators must log in again when a LUN is resized.
	resizeEndsSessions bool
	// separateFamilies is true if a portal for any IPv6 address does not serve IPv4.
	separateFamilies bool
	// identify returns what initiators know a LUN without a backstore by.
	identify func(identity string) string
	// closedAttrib are the attributes that admit listed initiators only, and openAttrib those that admit any.
	closedAttrib, openAttrib observe.TPGAttrib
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
		backstores: true, mapsLUNs: true, hasEnable: true, ownPortals: true, inheritsViews: true, refusesLogins: true, parameters: true, discovery: true, adopts: true,
		pause: disableTarget, markInGroup: true, identify: ondisk.UnitSerial,
		// The group asks for authentication by default, so that an access list
		// which is only half set up lets nobody in.
		closedAttrib: observe.TPGAttrib{Authentication: true, DemoModeWriteProtect: true},
		openAttrib:   observe.TPGAttrib{GenerateNodeACLs: true, CacheDynamicACLs: true, DemoModeDiscovery: true},
	},
	observe.FC: {
		backstores: true, mapsLUNs: true, hasEnable: true, markInLUNs: true, alwaysConnected: true, sessionsUncounted: true, identify: ondisk.UnitSerial,
	},
	observe.NVMe: {
		ownPortals: true, keysOnly: true, listCloses: true, sessionsOutliveListing: true, sessionsByAddress: true, pause: withoutPortals, identify: ondisk.NamespaceUUID,
		openAttrib: observe.TPGAttrib{GenerateNodeACLs: true},
	},
	observe.TGTISCSI: {
		targetAccounts: true, caches: true, sessionsOutliveListing: true, resizeEndsSessions: true, separateFamilies: true, identify: ondisk.UnitSerial,
		openAttrib: observe.TPGAttrib{GenerateNodeACLs: true},
	},
}

// fabricOf returns what serves a protocol on this machine.
func (in Input) fabricOf(p spec.Protocol) fabric {
	of, over := in.fabricAndTransport(p)
	return fabric{Fabric: of, traits: traitsOf[of], transport: over}
}

// targetOf returns the target of an Export.
func (in Input) targetOf(e spec.Export) observe.TargetID {
	of, _ := in.fabricAndTransport(e.Spec.Protocol)
	return observe.TargetID{Fabric: of, Name: e.Spec.Target}
}

func (in Input) fabricAndTransport(p spec.Protocol) (of observe.Fabric, over observe.Transport) {
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

// protocolOf returns the protocol of an undeclared target, as far as its portals show it.
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

// identity returns what initiators know a LUN without a backstore by. of is the logical volume's
// [observe.LogicalVolume.Identity]; empty: it does not exist yet.
func (f fabric) identity(of string) string {
	if of == "" {
		return ""
	}
	return f.identify(of)
}
