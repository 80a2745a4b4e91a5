package observe

import (
	"cmp"
	"maps"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// fabrics are all fabrics, in the order in which plans deal with them.
var fabrics = []Fabric{ISCSI, FC, NVMe, TGTISCSI}

// TargetID names a target on a machine.
type TargetID struct {
	Fabric Fabric
	Name   string
}

// Targets returns the targets of a fabric by name.
func (s State) Targets(f Fabric) map[string]Target {
	switch f {
	case ISCSI:
		return s.LIO.ISCSI
	case FC:
		return s.LIO.FC
	case NVMe:
		return s.NVMe
	case TGTISCSI:
		return s.TGT
	default:
		return nil
	}
}

// TargetIDs returns all targets, in a fixed order.
func (s State) TargetIDs() []TargetID {
	ids := make([]TargetID, 0, len(s.LIO.ISCSI)+len(s.LIO.FC)+len(s.NVMe)+len(s.TGT))
	for _, f := range fabrics {
		first := len(ids)
		for name := range s.Targets(f) {
			ids = append(ids, TargetID{f, name})
		}
		slices.SortFunc(ids[first:], func(a, b TargetID) int { return cmp.Compare(a.Name, b.Name) })
	}
	return ids
}

// Target returns a target; an empty one if there is none.
func (s State) Target(id TargetID) (Target, bool) {
	t, ok := s.Targets(id.Fabric)[id.Name]
	return t, ok
}

// Fabric is a kind of target, with names of its own.
type Fabric string

// The fabrics.
const (
	ISCSI    Fabric = "iscsi" // LIO's iSCSI and iSER
	FC       Fabric = "fc"    // LIO's Fibre Channel
	NVMe     Fabric = "nvme"  // nvmet, over TCP and RDMA
	TGTISCSI Fabric = "tgt"   // tgtd's iSCSI
)

// System is the part of the machine that serves a fabric.
func (f Fabric) System() System {
	switch f {
	case NVMe:
		return NVMet
	case TGTISCSI:
		return TGT
	default:
		return LIO
	}
}

// Transport is what a portal's sessions run over.
type Transport string

// The transports.
const (
	TCP  Transport = "tcp"
	RDMA Transport = "rdma" // iSER, which serves TCP on the same portal; NVMe over RDMA
	// OverFC is Fibre Channel itself, whose targets have no portals.
	OverFC Transport = "fc"
)

// Session is one connection of an initiator to a target.
type Session struct {
	// Initiator is its name; empty if only its address is known.
	Initiator string
	// Address is where it comes from: an IP address, or a port's address in the
	// fabric, as in 0x010203. It is empty if the kernel does not say it.
	Address   string
	Transport Transport
}

// Target is a target of any fabric: an iSCSI or Fibre Channel target, or an NVMe
// subsystem. Of LIO's target portal groups only the first, tpgt_1, is looked
// into.
type Target struct {
	Fabric Fabric
	// Name is its IQN, NQN, or WWPN.
	Name string
	// HasTPG is false while tpgt_1 does not exist. Fabrics that have no portal
	// groups say true.
	HasTPG bool
	// OtherTPGs is the number of target portal groups besides tpgt_1.
	OtherTPGs int
	// Enabled is whether initiators may log in. Of fabrics whose targets cannot be
	// disabled it is whether anybody can reach them: whether an NVMe subsystem has
	// a port, and tgtd's target an initiator.
	Enabled bool
	// Mark is that of its owner, see [ondisk.TargetMark], wherever its fabric has a place
	// for one. Of an iSCSI target that nobody marked it is param/TargetAlias.
	Mark string
	// MarkInAlias is true while param/TargetAlias of an iSCSI target holds the mark
	// of ours, as older agents wrote it.
	MarkInAlias bool
	Attrib      TPGAttrib
	// Attributes are those that an Export may set, as far as the kernel has them.
	Attributes map[string]string
	// GroupAuth is true of an iSCSI target to be adopted if its portal group has credentials for
	// initiators without an ACL.
	GroupAuth bool
	// Portals in the form of spec: ip:port, [ip]:port. Those of tgtd are of the
	// whole daemon.
	Portals map[string]Transport
	// LUNs by number. An NVMe namespace identifier is one higher.
	LUNs map[int]TargetLUN
	// ACLs by initiator name.
	ACLs map[string]ACL
	// Accounts are the users who may log in to a target that has accounts of its
	// own instead of each of its initiators, in the order of tgtd, and OwnAccount is
	// as whom it proves itself to them. AuthMark identifies their passwords without
	// showing them, see [TargetAuth].
	Accounts   []string
	OwnAccount string
	AuthMark   string
	// Offline is that a target of tgtd takes no logins for now.
	Offline bool
	// DynamicSessions are the initiators that are logged in without an ACL.
	DynamicSessions []string
	// Unattributed are peers that are connected, but of which the kernel does not
	// say what their name is, by address.
	Unattributed []string
	// Connections are the live sessions as far as the kernel says more of them than
	// that they are there, by initiator and address.
	Connections []Session
	// Sessions is the number of live sessions, -1 if it could not be read.
	Sessions int
}

// TPGAttrib are the attributes of a target portal group that we set.
type TPGAttrib struct {
	Authentication       bool // authentication
	GenerateNodeACLs     bool // generate_node_acls
	CacheDynamicACLs     bool // cache_dynamic_acls
	DemoModeWriteProtect bool // demo_mode_write_protect
	DemoModeDiscovery    bool // demo_mode_discovery
	ProdModeWriteProtect bool // prod_mode_write_protect
}

// TargetLUN is a LUN of a target portal group.
type TargetLUN struct {
	// Backstore is LIO's: the path below core/; empty while the LUN is linked to
	// none.
	Backstore string
	// Device is the device that a LUN without a backstore serves; empty while it
	// serves none.
	Device string
	// Identity is what initiators tell a LUN without a backstore by: the UUID of
	// an NVMe namespace, the unit serial of a SCSI LUN.
	Identity string
	// Size is that which initiators see, where it can be read of a LUN without a
	// backstore; else 0. tgtd tells it rounded, see [TargetLUN.HasSize].
	Size uint64
	// ReadOnly is whether nobody may write to a LUN of tgtd.
	ReadOnly bool
	// Link is the name of the symlink, which is for its creator to choose.
	Link string
}

// ACL is what one initiator may do.
type ACL struct {
	Initiator string
	// Authentication is attrib/authentication: "-1" means the group's.
	Authentication string
	Auth           CHAP
	// LUNs by the number that the initiator sees.
	LUNs map[int]MappedLUN
	// LoggedIn is true while a session of the initiator is alive.
	LoggedIn bool
}

// byInitiator is the order of sessions.
func byInitiator(a, b Session) int {
	return cmp.Or(cmp.Compare(a.Initiator, b.Initiator), cmp.Compare(a.Address, b.Address))
}

// CHAP is what an ACL asks of both sides; empty: nothing.
type CHAP struct {
	Username       string
	Password       spec.Secret
	MutualUsername string
	MutualPassword spec.Secret
}

// MappedLUN is a LUN as one initiator sees it.
type MappedLUN struct {
	// LUN is the number in the target portal group; -1 while it is linked to none.
	LUN          int
	Link         string
	WriteProtect bool
}

// Owner returns the export whose target this is, by its mark.
func (t Target) Owner() (spec.ID, bool) {
	name, ok := ondisk.ExportOfMark(t.Mark)
	return spec.ID{Kind: spec.KindExport, Name: name}, ok && t.HasTPG
}

// OwnedBy reports whether a target carries the mark of an export.
func (t Target) OwnedBy(export string) bool {
	return t.Mark == ondisk.TargetMark(export) || t.Fabric == NVMe && t.Mark == ondisk.TargetMark(ondisk.SubsystemSerial(t.Name, export))
}

// WithOwners returns the state with the names of the exports whose NVMe
// subsystems are there, as far as they are among those that are given. The others
// keep the mark as the name. likely are the exports that name a subsystem, by its NQN:
// they are tried first, because every try costs a digest.
func (s State) WithOwners(exports []string, likely map[string][]string) State {
	known := make(map[string]bool, len(exports))
	for _, name := range exports {
		known[name] = true
	}
	subsystems := maps.Clone(s.NVMe)
	for nqn, t := range subsystems {
		marked, ours := ondisk.ExportOfMark(t.Mark)
		if !ours || known[marked] {
			continue
		}
		for _, names := range [][]string{likely[nqn], exports} {
			if n := slices.IndexFunc(names, t.OwnedBy); n >= 0 {
				t.Mark = ondisk.TargetMark(names[n])
				subsystems[nqn] = t
				break
			}
		}
	}
	s.NVMe = subsystems
	return s
}

// Empty reports whether the target is a bare shell: it serves nothing, nobody
// may log in, and nobody marked it. That is what an interrupted creation leaves.
//
// A Fibre Channel target is one as long as no LUN is linked into it, whoever may
// log in: only a LUN can carry a mark there, and what is left of our target
// without one must not be taken for somebody else's.
func (t Target) Empty() bool {
	if t.Fabric == FC {
		_, marked := FCMark(t.LUNs)
		return t.OtherTPGs == 0 && !marked
	}
	return t.OtherTPGs == 0 && !t.Enabled && (len(t.Portals) == 0 || t.Fabric == TGTISCSI) && len(t.LUNs) == 0 && len(t.ACLs) == 0 &&
		len(t.Accounts) == 0 && t.OwnAccount == "" &&
		(!t.HasTPG || t.Mark == "" || t.Mark == DefaultAlias)
}

// DefaultAlias is what the kernel puts into param/TargetAlias.
//
// Nothing longer may be there. LIO fills an answer at login up with what is left of
// the one before, and libiscsi takes that for keys. As long as the alias has no
// more than these ten bytes, nothing is left: the answer that holds it has 62
// bytes, and the next one, a challenge of CHAP, 60 to 62.
const DefaultAlias = "LIO Target"
