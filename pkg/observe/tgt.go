package observe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/tgtadm"
)

// tgtd keeps two access lists per target, of names and of addresses, and takes any
// text in both. Ours for addresses have entries that are no addresses, and so let
// nobody in: whose the target is ([ondisk.TargetMark]), and what its passwords are ([TargetAuth]).

// tgtFirstLUN is tgtd's number of LUN 0: its own logical unit 0 is the target's
// controller, which cannot be a disk.
const tgtFirstLUN = 1

// TGTLUN returns tgtd's number of a LUN.
func TGTLUN(lun int) uint64 { return uint64(lun) + tgtFirstLUN }

// readTGT reads the iSCSI targets of tgtd. A tgtd that does not answer is an
// error: its targets may well be served.
func readTGT(ctx context.Context, c *tgtadm.Client) (map[string]Target, error) {
	targets, err := c.Targets(ctx)
	if err != nil {
		return nil, explainTGT(err)
	}
	portals, err := c.Portals(ctx)
	if err != nil {
		return nil, explainTGT(err)
	}
	all := map[string]Target{}
	for _, t := range targets {
		if t.Driver == tgtISCSI {
			all[t.Name] = TGTTarget(t, portals)
		}
	}
	return all, nil
}

// tgtISCSI is the name of tgtd's driver of iSCSI.
const tgtISCSI = "iscsi"

func explainTGT(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("cannot connect to tgtd: start it (Debian: systemctl start tgt), or set tgt-socket: %w", err)
	case errors.Is(err, tgtadm.ErrNoAnswer):
		return fmt.Errorf("tgtd must run as the same user and group as the agent: %w", err)
	default:
		return err
	}
}

// TGTTarget returns what there is of a target of tgtd. portals are the daemon's.
func TGTTarget(t tgtadm.Target, portals []netip.AddrPort) Target {
	out := Target{
		Fabric: TGTISCSI, Name: t.Name, HasTPG: true, Offline: !t.Ready,
		Mark: TGTMark(t.Access), AuthMark: strings.Join(TGTAuthMarks(t.Access), " "),
		Accounts: t.Incoming, OwnAccount: t.Outgoing,
		Portals: map[string]Transport{}, LUNs: map[int]TargetLUN{}, ACLs: map[string]ACL{}, Sessions: len(t.Sessions),
	}
	for _, p := range portals {
		out.Portals[p.String()] = TCP
	}
	for _, l := range t.LUNs {
		if l.Number >= tgtFirstLUN {
			out.LUNs[int(l.Number-tgtFirstLUN)] = tgtLUN(t, l)
		}
	}
	for _, name := range TGTInitiators(t.Access) {
		if name == tgtadm.AllInitiators {
			out.Attrib.GenerateNodeACLs = true
		} else {
			out.ACLs[name] = ACL{Initiator: name}
		}
	}
	out.Enabled = out.Attrib.GenerateNodeACLs || len(out.ACLs) > 0
	for _, s := range t.Sessions {
		if acl, listed := out.ACLs[s.Initiator]; listed {
			acl.LoggedIn = true
			out.ACLs[s.Initiator] = acl
		} else {
			out.DynamicSessions = append(out.DynamicSessions, s.Initiator)
		}
	}
	if t.Unclear {
		out.Unattributed = []string{"an initiator with an unreadable name"}
	}
	return out
}

func tgtLUN(t tgtadm.Target, l tgtadm.LUN) TargetLUN {
	const million = 1_000_000
	out := TargetLUN{Device: l.Path, Identity: l.Serial, Size: l.Megabytes * million, ReadOnly: l.ReadOnly}
	if !l.Online || TGTUnfinished(t.ID, l) {
		out.Device = ""
	}
	return out
}

// TGTUnfinished reports whether a logical unit has the ID that tgtd gives to a new
// one: ours get another right after they were made.
func TGTUnfinished(tid int32, l tgtadm.LUN) bool {
	return l.ID == fmt.Sprintf("IET     %04x%04x", tid, l.Number)
}

// HasSize reports whether initiators see a LUN as large as a logical volume,
// as far as that is known: tgtd rounds to megabytes of a million bytes.
func (l TargetLUN) HasSize(bytes uint64) bool {
	return tgtadm.Megabytes(l.Size) == tgtadm.Megabytes(bytes)
}

// TGTMark returns the mark of a target's owner; empty if there is none, or more
// than one.
func TGTMark(access []string) string {
	marks := entries(access, ondisk.IsTargetMark)
	if len(marks) != 1 {
		return ""
	}
	return marks[0]
}

// TGTAuthMarks returns the marks of a target's passwords, of which there should be
// one at most.
func TGTAuthMarks(access []string) []string { return entries(access, ondisk.IsPasswordMark) }

// TGTInitiators returns the entries of access lists that let somebody in: names
// of initiators, addresses, or [tgtadm.AllInitiators].
func TGTInitiators(access []string) []string {
	return slices.DeleteFunc(slices.Clone(access), func(entry string) bool {
		return ondisk.IsTargetMark(entry) || ondisk.IsPasswordMark(entry)
	})
}

func entries(access []string, which func(string) bool) []string {
	return slices.DeleteFunc(slices.Clone(access), func(entry string) bool { return !which(entry) })
}

// TGTServes reports whether a portal of tgtd takes the connections to another: it
// listens on IPv4 and IPv6 apart.
func TGTServes(have, want netip.AddrPort) bool {
	return have.Port() == want.Port() && (have.Addr() == want.Addr() ||
		have.Addr().IsUnspecified() && have.Addr().Is4() == want.Addr().Is4())
}
