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
	if !slices.Contains(protocols, string(s.Protocol)) {
		v.oneOf("spec.protocol", "protocol", string(s.Protocol), protocols...)
		return // what else is allowed depends on it
	}
	v.target(s)
	v.oneOf("spec.disconnect", "way to treat live sessions", string(s.Disconnect), string(DisconnectForce), string(DisconnectWait))
	v.portals(s)
	v.luns(s.LUNs)
	v.initiators(s)
	v.attributes(s)
	switch {
	case s.Protocol == ProtocolFC:
		v.fibreChannel(s)
	case s.Protocol.IsNVMe():
		v.nvme(s)
	}
}

func (v *validation) target(s ExportSpec) {
	if s.Protocol == ProtocolFC && s.Target == "" {
		v.refuse("spec.target", "is missing; for fc it is the WWPN of a port of this node (see /sys/class/fc_host/*/port_name)")
		return
	}
	v.check("spec.target", v.because("spec.target", "the target prefix and metadata.name", s.Protocol.checkTarget(s.Target)))
}

// fibreChannel refuses what Fibre Channel does not have.
func (v *validation) fibreChannel(s ExportSpec) {
	if s.AllowAnyInitiator {
		v.refuse("spec.allowAnyInitiator", "is not possible with fc, whose ports do not ask who comes; list the initiators")
	}
	for i, initiator := range s.Initiators {
		if initiator.Auth != nil {
			v.refuse(itemPath("spec.initiators", i)+".auth", "is not possible with fc, which has no passwords; remove it, and see to the zones of the fabric")
		}
	}
}

// nvme refuses what nvmet cannot do: every host that is allowed sees all of a
// subsystem, and may write.
func (v *validation) nvme(s ExportSpec) {
	const cannot = "is not possible with %s: the kernel's NVMe target lets every host write; use iscsi, or export a copy"
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
			v.refuse(itemPath("spec.initiators", i)+".luns", "is not possible with %s, where every host sees all namespaces; make several Exports", s.Protocol)
		}
	}
}

func (v *validation) portals(s ExportSpec) {
	switch {
	case s.Protocol == ProtocolFC && s.Portals != nil:
		v.refuse("spec.portals", "is not possible with fc, where the target is a port itself; remove it")
		return
	case s.Protocol != ProtocolFC && len(s.Portals) == 0:
		v.refuse("spec.portals", "is empty; list at least one portal, or leave the field out for %s", s.Protocol.DefaultPortal())
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
			v.refuse(path, "%s and %s cannot both be served: one covers every address, also the other's; keep one of them", portal, before[j])
		}
		before = append(before, portal)
	}
}

func (v *validation) luns(luns []LUN) {
	if len(luns) == 0 {
		v.refuse("spec.luns", "is empty; an Export needs at least one LUN")
	}
	numbers, backings := map[int]int{}, map[ID]int{}
	for i, lun := range luns {
		path := itemPath("spec.luns", i)
		switch {
		case lun.Volume == "" && lun.Snapshot == "":
			v.refuse(path, "names neither a volume nor a snapshot; give one of them")
			continue
		case lun.Volume != "" && lun.Snapshot != "":
			v.refuse(path, "names both a volume and a snapshot; make two LUNs of it")
			continue
		case lun.Volume != "":
			v.check(joinPath(path, "volume"), checkObjectName(lun.Volume))
		default:
			v.check(joinPath(path, "snapshot"), checkObjectName(lun.Snapshot))
		}
		v.lunNumber(path, *lun.Number, numbers, i)
		if first, twice := backings[lun.Backing()]; twice {
			v.refuse(path, "%s is already LUN %d of this Export (spec.luns[%d]); a volume seen twice by one initiator is corrupted by it",
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
		v.refuse(where, "%d is out of range; a LUN is 0 to %d", number, maxLUN)
		return
	}
	first, twice := taken[number]
	if !twice {
		taken[number] = index
		return
	}
	hint := ""
	if !v.object.given(where) || !v.object.given(itemPath("spec.luns", first)+".lun") {
		hint = " (a LUN without a number has its position in the list, from 0)"
	}
	v.refuse(where, "LUN %d is already taken by spec.luns[%d]%s; give every LUN a number of its own", number, first, hint)
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
			v.refuse(joinPath(path, "name"), "%s is already listed as spec.initiators[%d] (upper and lower case mean the same)", quote(initiator.Name), first)
		} else {
			before[name] = i
		}
		v.shown(joinPath(path, "luns"), initiator.LUNs, s.LUNs)
		if initiator.Auth != nil {
			v.auth(joinPath(path, "auth"), s.Protocol, *initiator.Auth)
		}
	}
}

// shown checks the LUNs that one initiator is to see.
func (v *validation) shown(path string, numbers []int, luns []LUN) {
	if numbers != nil && len(numbers) == 0 {
		v.refuse(path, "is empty; list the numbers of LUNs of this Export, or leave the field out for all")
	}
	for i, n := range numbers {
		if !slices.ContainsFunc(luns, func(l LUN) bool { return *l.Number == n }) {
			v.refuse(itemPath(path, i), "this Export has no LUN %d; see spec.luns", n)
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
		v.refuse("spec.allowAnyInitiator", "cannot be combined with initiators: their rights and passwords would not be asked for; remove one of the two")
	}
	readOnly := 0
	for _, lun := range s.LUNs {
		if lun.ReadOnly {
			readOnly++
		}
	}
	if readOnly > 0 && readOnly < len(s.LUNs) {
		v.refuse("spec.allowAnyInitiator", "needs all LUNs readOnly, or none: without ACLs the kernel has one write protection for the whole target; list the initiators, or split the Export")
	}
}

func (v *validation) auth(path string, p Protocol, a Auth) {
	chap, mutual := joinPath(path, "chap"), joinPath(path, "mutual")
	if a.CHAP == nil && a.Mutual == nil {
		v.refuse(path, "is empty; give chap (and mutual), or leave the field out")
	}
	if a.CHAP == nil && a.Mutual != nil {
		v.refuse(mutual, "needs chap beside it: a target proves itself only to an initiator that does too")
	}
	if a.CHAP != nil {
		v.credentials(chap, p, *a.CHAP)
	}
	if a.Mutual != nil {
		v.credentials(mutual, p, *a.Mutual)
	}
	if a.CHAP != nil && a.Mutual != nil && a.CHAP.PasswordFrom == a.Mutual.PasswordFrom {
		v.refuse(joinPath(mutual, "passwordFrom"), "is the same as chap's, but the two passwords must differ (RFC 7143, section 12.1.3)")
	}
}

func (v *validation) credentials(path string, p Protocol, c Credentials) {
	switch {
	case p.IsNVMe() && c.Username != "":
		v.refuse(joinPath(path, "username"), "is not possible with %s, where a host proves its own name; remove it", p)
	case !p.IsNVMe() && c.Username == "" && !v.object.given(joinPath(path, "username")):
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
		return fmt.Errorf(`%s begins with "NULL", which is how the kernel is told that there is no name; choose another`, quote(name))
	case strings.Contains(name, ";") || strings.Contains(name, "CHAP_"):
		return fmt.Errorf(`%s must not contain ";" or "CHAP_": the kernel takes it for the end of the name, or for another key of the login`, quote(name))
	case len(name) > 1 && name[0] == '0' && strings.ContainsAny(name[1:2], "xXbB"):
		return fmt.Errorf("%s begins with %s, which the kernel takes for an encoded number and not for a name; choose another", quote(name), name[:2])
	case strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return fmt.Errorf("%s must consist of printable ASCII characters without spaces", quote(name))
	default:
		return nil
	}
}
