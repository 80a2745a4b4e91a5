package change

import (
	"fmt"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Backstore names a LIO storage object by its path below core/.
type Backstore struct {
	HBA  string `json:"hba"`
	Name string `json:"name"`
}

// Path is the backstore's place below core/.
func (b Backstore) Path() string { return b.HBA + "/" + b.Name }

// Lane is the backstore: all others may change beside it.
func (b Backstore) Lane() string { return "backstore/" + b.Path() }

// System is LIO.
func (Backstore) System() observe.System { return observe.LIO }

// CreateBackstore binds a backstore to a logical volume. The unit serial that
// initiators see is derived from the UUID of the logical volume found behind
// Device, see [observe.UnitSerial].
type CreateBackstore struct {
	Backstore
	Device string `json:"device"`
	// LVUUID is the UUID that the logical volume must have; empty if the
	// logical volume is created by the same plan.
	LVUUID   string `json:"lvUUID,omitempty"`
	ReadOnly bool   `json:"readOnly,omitempty"`
	// Unmap lets the initiators' discards through.
	Unmap bool `json:"unmap,omitempty"`
}

// SetUnmap sets whether the initiators' discards reach the device.
type SetUnmap struct {
	Backstore
	Unmap bool `json:"unmap"`
}

// RemoveBackstore lets go of a device. Nothing may be linked to the backstore.
type RemoveBackstore struct{ Backstore }

// Target names an iSCSI target, and the export whose it must be: every change
// but CreateTarget does nothing to a target that lacks the export's mark.
type Target struct {
	IQN    string `json:"target"`
	Export string `json:"export"`
}

// Lane is the target: all others may change beside it.
func (t Target) Lane() string { return "target/" + t.IQN }

// System is LIO.
func (Target) System() observe.System { return observe.LIO }

// CreateTarget creates a target with one, disabled, portal group, marked as ours.
type CreateTarget struct{ Target }

// SetAttributes sets a portal group's attributes.
type SetAttributes struct {
	Target
	Attrib observe.TPGAttrib `json:"attributes"`
}

// AddPortal makes a target listen on an address, ip:port or [ip]:port.
type AddPortal struct {
	Target
	Portal string `json:"portal"`
}

// RemovePortal makes a target stop listening on an address.
type RemovePortal struct {
	Target
	Portal string `json:"portal"`
}

// AddLUN links a backstore into a portal group.
type AddLUN struct {
	Target
	LUN       int    `json:"lun"`
	Backstore string `json:"backstore"` // path below core/
}

// RemoveLUN takes a LUN out of a portal group, and with it out of every ACL.
type RemoveLUN struct {
	Target
	LUN int `json:"lun"`
}

// AddInitiator lets an initiator log in, with the authentication it needs.
type AddInitiator struct {
	Target
	Initiator string `json:"initiator"`
	// Auth is empty if the initiator needs none.
	Auth Auth `json:"auth"`
}

// SetAuth changes what an initiator needs to log in. Live sessions go on.
type SetAuth struct {
	Target
	Initiator string `json:"initiator"`
	Auth      Auth   `json:"auth"`
}

// RemoveInitiator removes an initiator's ACL, which ends its session.
type RemoveInitiator struct {
	Target
	Initiator string `json:"initiator"`
}

// MapLUN shows a LUN of the portal group to an initiator, under the same number.
type MapLUN struct {
	Target
	Initiator string `json:"initiator"`
	LUN       int    `json:"lun"`
	ReadOnly  bool   `json:"readOnly,omitempty"`
}

// UnmapLUN hides a LUN from an initiator.
type UnmapLUN struct {
	Target
	Initiator string `json:"initiator"`
	LUN       int    `json:"lun"`
}

// SetWriteProtect changes whether an initiator may write to a LUN.
type SetWriteProtect struct {
	Target
	Initiator string `json:"initiator"`
	LUN       int    `json:"lun"`
	ReadOnly  bool   `json:"readOnly"`
}

// EnableTarget lets initiators log in.
type EnableTarget struct{ Target }

// RemoveTarget takes a target down with all that is in it. Unless it is forced,
// it does nothing and returns [ErrInUse] if there are live sessions.
type RemoveTarget struct {
	Target
	// Force ends live sessions.
	Force bool `json:"force,omitempty"`
}

// Auth is the authentication of an initiator as the kernel knows it. Passwords
// are never shown.
type Auth struct {
	Username       string      `json:"username,omitempty"`
	Password       spec.Secret `json:"-"`
	MutualUsername string      `json:"mutualUsername,omitempty"`
	MutualPassword spec.Secret `json:"-"`
}

// Needed reports whether the initiator has to authenticate at all.
func (a Auth) Needed() bool { return a.Username != "" }

func (a Auth) String() string {
	switch {
	case !a.Needed():
		return "no authentication"
	case a.MutualUsername != "":
		return "mutual CHAP"
	default:
		return "CHAP"
	}
}

func (CreateBackstore) sealed() {}
func (SetUnmap) sealed()        {}
func (RemoveBackstore) sealed() {}
func (CreateTarget) sealed()    {}
func (SetAttributes) sealed()   {}
func (AddPortal) sealed()       {}
func (RemovePortal) sealed()    {}
func (AddLUN) sealed()          {}
func (RemoveLUN) sealed()       {}
func (AddInitiator) sealed()    {}
func (SetAuth) sealed()         {}
func (RemoveInitiator) sealed() {}
func (MapLUN) sealed()          {}
func (UnmapLUN) sealed()        {}
func (SetWriteProtect) sealed() {}
func (EnableTarget) sealed()    {}
func (RemoveTarget) sealed()    {}

func (c CreateBackstore) String() string {
	return fmt.Sprintf("create backstore %s on %s%s", c.Path(), c.Device, readOnly(c.ReadOnly))
}

func (c SetUnmap) String() string {
	return fmt.Sprintf("set unmap of backstore %s to %t", c.Path(), c.Unmap)
}

func (c RemoveBackstore) String() string { return fmt.Sprintf("remove backstore %s", c.Path()) }

func (c CreateTarget) String() string { return fmt.Sprintf("create target %s", c.IQN) }

func (c SetAttributes) String() string {
	who := "listed initiators only"
	if c.Attrib.GenerateNodeACLs {
		who = "any initiator"
	}
	return fmt.Sprintf("set target %s to admit %s", c.IQN, who)
}

func (c AddPortal) String() string { return fmt.Sprintf("add portal %s to %s", c.Portal, c.IQN) }

func (c RemovePortal) String() string {
	return fmt.Sprintf("remove portal %s from %s", c.Portal, c.IQN)
}

func (c AddLUN) String() string {
	return fmt.Sprintf("add LUN %d to %s: %s", c.LUN, c.IQN, c.Backstore)
}

func (c RemoveLUN) String() string { return fmt.Sprintf("remove LUN %d from %s", c.LUN, c.IQN) }

func (c AddInitiator) String() string {
	return fmt.Sprintf("admit initiator %s to %s, %s", c.Initiator, c.IQN, c.Auth)
}

func (c SetAuth) String() string {
	return fmt.Sprintf("set authentication of initiator %s at %s: %s", c.Initiator, c.IQN, c.Auth)
}

func (c RemoveInitiator) String() string {
	return fmt.Sprintf("remove initiator %s from %s", c.Initiator, c.IQN)
}

func (c MapLUN) String() string {
	return fmt.Sprintf("map LUN %d of %s to initiator %s%s", c.LUN, c.IQN, c.Initiator, readOnly(c.ReadOnly))
}

func (c UnmapLUN) String() string {
	return fmt.Sprintf("unmap LUN %d of %s from initiator %s", c.LUN, c.IQN, c.Initiator)
}

func (c SetWriteProtect) String() string {
	return fmt.Sprintf("set write protection of LUN %d of %s for initiator %s to %t", c.LUN, c.IQN, c.Initiator, c.ReadOnly)
}

func (c EnableTarget) String() string { return fmt.Sprintf("enable target %s", c.IQN) }

func (c RemoveTarget) String() string {
	if c.Force {
		return fmt.Sprintf("remove target %s, whoever is logged in", c.IQN)
	}
	return fmt.Sprintf("remove target %s", c.IQN)
}

func readOnly(yes bool) string {
	if yes {
		return ", read-only"
	}
	return ""
}
