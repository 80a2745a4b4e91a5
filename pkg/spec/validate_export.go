package spec

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// maxLUN is the largest logical unit number: the kernel takes larger ones, but
// targetcli fails as a whole when it meets one.
const maxLUN = 255

// maxCHAP is how many bytes of a CHAP name or password the kernel stores.
const maxCHAP = 255

func (v *validation) export(s ExportSpec) {
	if all := Protocols(); !slices.Contains(all, s.Protocol) {
		names := make([]string, len(all))
		for i, p := range all {
			names[i] = string(p)
		}
		v.oneOf("spec.protocol", "protocol", string(s.Protocol), names...)
		return // what else is allowed depends on it
	}
	v.target(s)
	v.oneOf("spec.disconnect", "disconnect mode", string(s.Disconnect), string(DisconnectForce), string(DisconnectWait))
	v.portals(s)
	v.luns(s.LUNs)
	v.initiators(s)
	v.attributes(s)
	if s.Adopt && s.Protocol != ProtocolISCSI && s.Protocol != ProtocolISER {
		v.refuse("spec.adopt", "is not possible with %s, whose targets have no place for a mark that initiators do not see; remove it, and the target on the node", s.Protocol)
	}
	switch {
	case s.Protocol == ProtocolFC:
		v.fibreChannel(s)
	case s.Protocol.IsNVMe():
		v.nvme(s)
	}
}

func (v *validation) target(s ExportSpec) {
	if s.Protocol == ProtocolFC && s.Target == "" {
		v.refuse("spec.target", "is required with fc; write the WWPN of a port of this node (see /sys/class/fc_host/*/port_name)")
		return
	}
	v.check("spec.target", v.because("spec.target", "the target prefix and metadata.name", s.Protocol.checkTarget(s.Target)))
}

// fibreChannel refuses what Fibre Channel does not have.
func (v *validation) fibreChannel(s ExportSpec) {
	if s.AllowAnyInitiator {
		v.refuse("spec.allowAnyInitiator", "is not possible with fc, whose ports cannot admit unknown initiators; list the initiators")
	}
	for i, initiator := range s.Initiators {
		if initiator.Auth != nil {
			v.refuse(itemPath("spec.initiators", i)+".auth", "is not possible with fc, which has no passwords; remove it, and restrict access by zoning the fabric")
		}
	}
}

// nvme refuses what nvmet cannot do: every host that is allowed sees all of a
// subsystem, and may write.
func (v *validation) nvme(s ExportSpec) {
	const cannot = "is not possible with %s: the kernel's NVMe target cannot write-protect a namespace; use iscsi, or export a copy"
	for i, lun := range s.LUNs {
		if lun.ReadOnly {
			v.refuse(itemPath("spec.luns", i)+".readOnly", cannot, s.Protocol)
		}
	}
	for i, initiator := range s.Initiators {
		if initiator.ReadOnly {
			v.refuse(itemPath("spec.initiators", i)+".readOnly", cannot, s.Protocol)
		}
		if initiator.LUNs != nil {
			v.refuse(itemPath("spec.initiators", i)+".luns", "is not possible with %s, where every host sees all namespaces; create several Exports", s.Protocol)
		}
	}
}

func (v *validation) portals(s ExportSpec) {
	switch {
	case s.Protocol == ProtocolFC && s.Portals != nil:
		v.refuse("spec.portals", "is not possible with fc, where the target itself is a port; remove it")
		return
	case s.Protocol != ProtocolFC && len(s.Portals) == 0:
		v.refuse("spec.portals", "is empty; list at least one portal, or leave the field out (default: %s)", s.Protocol.DefaultPortal())
	}
	var before []netip.AddrPort
	for i, text := range s.Portals {
		path := itemPath("spec.portals", i)
		portal, err := parsePortal(text)
		if err != nil {
			v.check(path, err)
			continue
		}
		if j := slices.Index(before, portal); j >= 0 {
			v.refuse(path, "%s is listed twice; remove one of them", portal)
		}
		if j := slices.IndexFunc(before, func(b netip.AddrPort) bool { return portalsCollide(b, portal) }); j >= 0 {
			v.refuse(path, "%s and %s overlap: a wildcard address includes every other address on its port; keep one of them", portal, before[j])
		}
		before = append(before, portal)
	}
}

func (v *validation) luns(luns []LUN) {
	if len(luns) == 0 {
		v.refuse("spec.luns", "is empty; list at least one LUN")
	}
	numbers, backings := map[int]int{}, map[ID]int{}
	for i, lun := range luns {
		path := itemPath("spec.luns", i)
		switch {
		case lun.Volume == "" && lun.Snapshot == "":
			v.refuse(path, "has neither volume nor snapshot; set one of them")
			continue
		case lun.Volume != "" && lun.Snapshot != "":
			v.refuse(path, "has both volume and snapshot; keep one, or write two LUNs")
			continue
		case lun.Volume != "":
			v.check(joinPath(path, "volume"), checkObjectName(lun.Volume))
		default:
			v.check(joinPath(path, "snapshot"), checkObjectName(lun.Snapshot))
		}
		v.lunNumber(path, *lun.Number, numbers, i)
		if first, twice := backings[lun.Backing()]; twice {
			v.refuse(path, "%s is already LUN %d of this Export (spec.luns[%d]); an initiator that sees a volume twice corrupts it. Remove one of them",
				lun.Backing(), *luns[first].Number, first)
		} else {
			backings[lun.Backing()] = i
		}
	}
}

// lunNumber checks one logical unit number against the limits and against those
// before it.
func (v *validation) lunNumber(path string, number int, taken map[int]int, index int) {
	where := joinPath(path, "lun")
	if number < 0 || number > maxLUN {
		v.refuse(where, "%d is out of range; a LUN must be 0 to %d", number, maxLUN)
		return
	}
	first, twice := taken[number]
	if !twice {
		taken[number] = index
		return
	}
	hint := ""
	if !v.object.hasField(where) || !v.object.hasField(itemPath("spec.luns", first)+".lun") {
		hint = " (the default is the position in the list, from 0)"
	}
	v.refuse(where, "LUN %d is already used by spec.luns[%d]%s; give each LUN its own number", number, first, hint)
}

func (v *validation) initiators(s ExportSpec) {
	if s.AllowAnyInitiator {
		v.anyInitiator(s)
	}
	before := map[string]int{}
	for i, initiator := range s.Initiators {
		path := itemPath("spec.initiators", i)
		v.check(joinPath(path, "name"), CheckInitiator(s.Protocol, initiator.Name))
		name := strings.ToLower(initiator.Name)
		if first, twice := before[name]; twice {
			v.refuse(joinPath(path, "name"), "%s is already listed as spec.initiators[%d] (names are not case-sensitive); remove one of them", quote(initiator.Name), first)
		} else {
			before[name] = i
		}
		v.initiatorLUNs(joinPath(path, "luns"), initiator.LUNs, s.LUNs)
		if initiator.Auth != nil {
			v.auth(joinPath(path, "auth"), s.Protocol, *initiator.Auth)
		}
	}
}

// initiatorLUNs checks the LUNs listed for one initiator.
func (v *validation) initiatorLUNs(path string, numbers []int, luns []LUN) {
	if numbers != nil && len(numbers) == 0 {
		v.refuse(path, "is empty; list LUN numbers of this Export, or leave the field out to allow all LUNs")
	}
	for i, n := range numbers {
		if !slices.ContainsFunc(luns, func(l LUN) bool { return *l.Number == n }) {
			v.refuse(itemPath(path, i), "LUN %d does not exist in this Export; write a number from spec.luns", n)
		}
		if slices.Contains(numbers[:i], n) {
			v.refuse(itemPath(path, i), "LUN %d is listed twice; remove one of them", n)
		}
	}
}

// anyInitiator checks what allowAnyInitiator cannot be combined with. Without
// an ACL there is nothing per initiator and per LUN that the kernel could
// check: it has one write protection for all LUNs of the target.
func (v *validation) anyInitiator(s ExportSpec) {
	if len(s.Initiators) > 0 {
		v.refuse("spec.allowAnyInitiator", "cannot be combined with initiators, whose access rights and passwords would be ignored; remove one of the two")
	}
	readOnly := 0
	for _, lun := range s.LUNs {
		if lun.ReadOnly {
			readOnly++
		}
	}
	if readOnly > 0 && readOnly < len(s.LUNs) {
		v.refuse("spec.allowAnyInitiator", "requires all LUNs or none to be readOnly: without ACLs the kernel write-protects the whole target. List the initiators, or split the Export")
	}
}

func (v *validation) auth(path string, p Protocol, a Auth) {
	chap, mutual := joinPath(path, "chap"), joinPath(path, "mutual")
	if a.CHAP == nil && a.Mutual == nil {
		v.refuse(path, "is empty; set chap (and mutual), or leave the field out")
	}
	if a.CHAP == nil && a.Mutual != nil {
		v.refuse(mutual, "requires chap: a target authenticates itself only to an initiator that authenticates too")
	}
	if a.CHAP != nil {
		v.credentials(chap, p, *a.CHAP)
	}
	if a.Mutual != nil {
		v.credentials(mutual, p, *a.Mutual)
	}
	if a.CHAP != nil && a.Mutual != nil && a.CHAP.PasswordFrom == a.Mutual.PasswordFrom {
		v.refuse(joinPath(mutual, "passwordFrom"), "is the same file as for chap; the two passwords must differ (RFC 7143, section 12.1.3)")
	}
}

func (v *validation) credentials(path string, p Protocol, c Credentials) {
	switch {
	case p.IsNVMe() && c.Username != "":
		v.refuse(joinPath(path, "username"), "is not possible with %s, where a host authenticates with its own name; remove it", p)
	case !p.IsNVMe() && c.Username == "" && !v.object.hasField(joinPath(path, "username")):
		v.refuse(joinPath(path, "username"), "is missing")
	case !p.IsNVMe():
		v.check(joinPath(path, "username"), checkUsername(c.Username))
	}
	v.check(path+".passwordFrom.file", checkFilePath(c.PasswordFrom.File))
}

// checkUsername accepts what both ends of CHAP take for one word.
func checkUsername(name string) error {
	switch {
	case len(name) > maxCHAP:
		return fmt.Errorf("has %d bytes; at most %d are allowed", len(name), maxCHAP)
	case strings.HasPrefix(name, null):
		return fmt.Errorf(`%s begins with "NULL", which means no name to the kernel; choose another name`, quote(name))
	case strings.Contains(name, ";") || strings.Contains(name, "CHAP_"):
		return fmt.Errorf(`%s must not contain ";" or "CHAP_", which the kernel reads as the end of the name or as another login key`, quote(name))
	case len(name) > 1 && name[0] == '0' && strings.ContainsAny(name[1:2], "xXbB"):
		return fmt.Errorf("%s begins with %s, which the kernel reads as an encoded number; choose another name", quote(name), name[:2])
	case strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return fmt.Errorf("%s must consist of printable ASCII characters without spaces", quote(name))
	default:
		return nil
	}
}
