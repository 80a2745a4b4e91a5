package change

import (
	"fmt"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Target names a target, and the export that must own it: every change except
// CreateTarget does nothing to a target that lacks the export's mark.
type Target struct {
	Fabric observe.Fabric `json:"fabric"`
	// Name is its IQN, NQN, or WWPN.
	Name   string `json:"target"`
	Export string `json:"export"`
}

// ID is the target without its owner.
func (t Target) ID() observe.TargetID { return observe.TargetID{Fabric: t.Fabric, Name: t.Name} }

// Lane is the target: all others may change beside it.
func (t Target) Lane() string { return "target/" + t.Name }

// Part is its directory, as far as it is known.
func (t Target) Part() observe.Part { return t.ID().Part() }

// System is what serves the target's fabric.
func (t Target) System() observe.System { return t.Fabric.System() }

// CreateTarget creates a target with one, disabled, portal group, marked as ours.
type CreateTarget struct{ Target }

// AdoptTarget marks an iSCSI target that somebody else made as that of an export. It does nothing
// unless the target's LUNs are those that the plan saw. Live sessions continue.
type AdoptTarget struct {
	Target
	// LUNs are the backstores, by their paths, of the LUNs that the target must have.
	LUNs map[int]string `json:"luns"`
}

// MoveMark moves the mark of an iSCSI target's owner from its alias, which older
// agents used, to its own place. Live sessions continue.
type MoveMark struct{ Target }

// SetAttributes sets a portal group's attributes.
type SetAttributes struct {
	Target
	Attrib observe.TPGAttrib `json:"attributes"`
}

// SetParameter sets an attribute of a target that its Export may set, see
// [spec.Attributes]. What is negotiated at login applies from the next login on.
type SetParameter struct {
	Target
	Attribute string `json:"attribute"`
	Value     string `json:"value"`
}

// AddPortal makes a target listen on an address, ip:port or [ip]:port. A portal
// that listens already, for another transport, changes to this one.
type AddPortal struct {
	Target
	Portal    string            `json:"portal"`
	Transport observe.Transport `json:"transport"`
	Idle      Idle              `json:"-"`
}

// RemovePortal makes a target stop listening on an address.
type RemovePortal struct {
	Target
	Portal string `json:"portal"`
	Idle   Idle   `json:"-"`
}

// AddLUN links a backstore into a portal group.
type AddLUN struct {
	Target
	LUN int `json:"lun"`
	// Backstore is LIO's, by its path below core/.
	Backstore string `json:"backstore,omitempty"`
	// Device is what a LUN without a backstore serves, and LVUUID the UUID that
	// its logical volume must have; empty if it is created by the same plan.
	Device string `json:"device,omitempty"`
	LVUUID string `json:"lvUUID,omitempty"`
	// Identity is for such a LUN what [CreateBackstore] has for others: the identifiers
	// that initiators see are derived from it.
	Identity string `json:"identity,omitempty"`
	// ReadOnly and Unmap are for a LUN without a backstore what
	// [CreateBackstore] has for others.
	ReadOnly bool `json:"readOnly,omitempty"`
	Unmap    bool `json:"unmap,omitempty"`
	Idle     Idle `json:"-"`
}

// ResizeLUN tells the initiators of a LUN without a backstore that its logical
// volume has grown.
type ResizeLUN struct {
	Target
	LUN int `json:"lun"`
	// Device, LVUUID and Identity are those of [AddLUN].
	Device   string `json:"device"`
	LVUUID   string `json:"lvUUID,omitempty"`
	Identity string `json:"identity,omitempty"`
	Idle     Idle   `json:"-"`
}

// RemoveLUN takes a LUN out of a portal group, and with it out of every ACL.
type RemoveLUN struct {
	Target
	LUN  int  `json:"lun"`
	Idle Idle `json:"-"`
}

// AddInitiator lets an initiator log in, with the authentication it needs.
type AddInitiator struct {
	Target
	Initiator string `json:"initiator"`
	// Auth is empty if the initiator needs none.
	Auth Auth `json:"auth"`
}

// SetAuth changes what an initiator needs to log in. Live sessions continue.
type SetAuth struct {
	Target
	Initiator string `json:"initiator"`
	Auth      Auth   `json:"auth"`
}

// SetAccounts changes the accounts with which initiators log in to a target that has
// accounts of its own, and how it proves itself. Live sessions continue.
type SetAccounts struct {
	Target
	Auth observe.TargetAuth `json:"auth"`
}

// RemoveInitiator removes an initiator's ACL, and ends its session.
type RemoveInitiator struct {
	Target
	Initiator string `json:"initiator"`
	// KeepSessions are the sessions that continue and may be its own, by the initiator's name, or by
	// the address where the kernel says no more: it only cannot log in again. None: its session
	// is ended. LIO can only end it.
	KeepSessions []string `json:"keepSessions,omitempty"`
	Idle         Idle     `json:"-"`
}

// MapLUN shows a LUN of the portal group to an initiator, under the same number.
type MapLUN struct {
	Target
	Initiator string `json:"initiator"`
	LUN       int    `json:"lun"`
	ReadOnly  bool   `json:"readOnly,omitempty"`
	Idle      Idle   `json:"-"`
}

// UnmapLUN hides a LUN from an initiator.
type UnmapLUN struct {
	Target
	Initiator string `json:"initiator"`
	LUN       int    `json:"lun"`
	Idle      Idle   `json:"-"`
}

// SetWriteProtect changes whether an initiator may write to a LUN.
type SetWriteProtect struct {
	Target
	// Initiator is empty if it is for all of them.
	Initiator string `json:"initiator"`
	LUN       int    `json:"lun"`
	ReadOnly  bool   `json:"readOnly"`
	Idle      Idle   `json:"-"`
}

// EnableTarget lets those initiators log in that are admitted.
type EnableTarget struct{ Target }

// DisableTarget ends all sessions of a target and admits no new ones, so that
// initiators wait until it is enabled again. Of LIO's iSCSI targets only.
type DisableTarget struct {
	Target
	Idle Idle `json:"-"`
}

// RemoveTarget removes a target with everything in it. Unless it is forced, it
// does nothing and returns [ErrSessions] if there are live sessions.
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
	// Refused is true if no password is the right one: nobody logs in.
	Refused bool `json:"refused,omitempty"`
}

// Needed reports whether the initiator has to authenticate at all. NVMe knows
// keys without user names.
func (a Auth) Needed() bool { return a.Refused || a.Username != "" || a.Password != (spec.Secret{}) }

func (a Auth) String() string {
	switch {
	case a.Refused:
		return "no password"
	case !a.Needed():
		return "no authentication"
	case a.MutualUsername != "" || a.MutualPassword != (spec.Secret{}):
		return "mutual CHAP"
	default:
		return "CHAP"
	}
}

func (AdoptTarget) sealed()     {}
func (CreateTarget) sealed()    {}
func (MoveMark) sealed()        {}
func (SetAttributes) sealed()   {}
func (SetParameter) sealed()    {}
func (AddPortal) sealed()       {}
func (RemovePortal) sealed()    {}
func (AddLUN) sealed()          {}
func (RemoveLUN) sealed()       {}
func (AddInitiator) sealed()    {}
func (SetAuth) sealed()         {}
func (SetAccounts) sealed()     {}
func (RemoveInitiator) sealed() {}
func (MapLUN) sealed()          {}
func (UnmapLUN) sealed()        {}
func (SetWriteProtect) sealed() {}
func (DisableTarget) sealed()   {}
func (EnableTarget) sealed()    {}
func (RemoveTarget) sealed()    {}
func (ResizeLUN) sealed()       {}

func (c CreateTarget) String() string { return fmt.Sprintf("create target %s", c.Name) }

func (c AdoptTarget) String() string { return fmt.Sprintf("adopt target %s as it is", c.Name) }

func (c MoveMark) String() string {
	return fmt.Sprintf("move volreconciler's mark of target %s out of its alias", c.Name)
}

func (c SetAttributes) String() string {
	who := "listed initiators only"
	if c.Attrib.GenerateNodeACLs {
		who = "any initiator"
	}
	return fmt.Sprintf("set target %s to admit %s", c.Name, who)
}

func (c SetParameter) String() string {
	return fmt.Sprintf("set %s of %s to %s", c.Attribute, c.Name, c.Value)
}

func (c AddPortal) String() string {
	over := ""
	if c.Transport != observe.TCP {
		over = " over " + strings.ToUpper(string(c.Transport))
	}
	return fmt.Sprintf("add portal %s%s to %s", c.Portal, over, c.Name)
}

func (c RemovePortal) String() string {
	return fmt.Sprintf("remove portal %s from %s", c.Portal, c.Name)
}

func (c AddLUN) String() string {
	return fmt.Sprintf("add LUN %d to %s: %s", c.LUN, c.Name, c.Backstore+c.Device)
}

func (c ResizeLUN) String() string {
	return fmt.Sprintf("tell initiators of %s that LUN %d has grown", c.Name, c.LUN)
}

func (c RemoveLUN) String() string { return fmt.Sprintf("remove LUN %d from %s", c.LUN, c.Name) }

func (c AddInitiator) String() string {
	return fmt.Sprintf("admit initiator %s to %s, %s", c.Initiator, c.Name, c.Auth)
}

func (c SetAuth) String() string {
	return fmt.Sprintf("set authentication of initiator %s at %s: %s", c.Initiator, c.Name, c.Auth)
}

func (c SetAccounts) String() string {
	if !c.Auth.Needed() {
		return fmt.Sprintf("ask initiators of %s for no password", c.Name)
	}
	s := fmt.Sprintf("ask initiators of %s for a password, as user %s", c.Name, strings.Join(c.Auth.Usernames(), ", "))
	if c.Auth.Own.Username != "" {
		s += ", and authenticate to them as " + c.Auth.Own.Username
	}
	return s
}

func (c RemoveInitiator) String() string {
	if len(c.KeepSessions) > 0 {
		return fmt.Sprintf("remove initiator %s from %s, without ending its session", c.Initiator, c.Name)
	}
	return fmt.Sprintf("remove initiator %s from %s", c.Initiator, c.Name)
}

func (c MapLUN) String() string {
	return fmt.Sprintf("map LUN %d of %s to initiator %s%s", c.LUN, c.Name, c.Initiator, readOnly(c.ReadOnly))
}

func (c UnmapLUN) String() string {
	return fmt.Sprintf("unmap LUN %d of %s from initiator %s", c.LUN, c.Name, c.Initiator)
}

func (c SetWriteProtect) String() string {
	if c.Initiator == "" {
		return fmt.Sprintf("set write protection of LUN %d of %s to %t", c.LUN, c.Name, c.ReadOnly)
	}
	return fmt.Sprintf("set write protection of LUN %d of %s for initiator %s to %t", c.LUN, c.Name, c.Initiator, c.ReadOnly)
}

func (c EnableTarget) String() string { return fmt.Sprintf("enable target %s", c.Name) }

func (c DisableTarget) String() string { return fmt.Sprintf("disable target %s", c.Name) }

func (c RemoveTarget) String() string {
	if c.Force {
		return fmt.Sprintf("remove target %s, also while initiators are connected", c.Name)
	}
	return fmt.Sprintf("remove target %s", c.Name)
}
