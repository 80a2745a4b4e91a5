package spec

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// maxLUN is the largest logical unit number: the kernel takes larger ones, but
// targetcli fails as a whole when it meets one.
const maxLUN = 255

// maxCHAP is how many bytes of a CHAP name or password the kernel stores.
const maxCHAP = 255

// validation collects what is wrong with one object.
type validation struct {
	object   *object
	decoded  []Finding // a field that could not be read gets no second finding
	findings []Finding
}

// validate judges an object that has its defaults, by itself. decoded is what
// was found wrong while reading it.
func (o *object) validate(decoded []Finding) []Finding {
	v := &validation{object: o, decoded: decoded}
	switch value := o.value.(type) {
	case *Pool:
		v.metadata(value.Metadata)
		v.pool(value.Spec)
	case *Volume:
		v.metadata(value.Metadata)
		v.volume(value.Spec)
	case *Snapshot:
		v.metadata(value.Metadata)
		v.snapshot(value.Metadata.Name, value.Spec)
	case *Export:
		v.metadata(value.Metadata)
		v.export(value.Spec)
	default:
		v.check("", fmt.Errorf("no rules are known for a %T", o.value))
	}
	return v.findings
}

// check records an error of a field, if there is one.
func (v *validation) check(path string, err error) {
	if err == nil || slices.ContainsFunc(v.decoded, func(f Finding) bool { return sameBranch(f.Path, path) }) {
		return
	}
	v.findings = append(v.findings, v.object.finding(path, err))
}

// refuse records an error of a field.
func (v *validation) refuse(path, format string, args ...any) {
	v.check(path, fmt.Errorf(format, args...))
}

func (v *validation) metadata(m Metadata) {
	v.check("metadata.name", checkObjectName(m.Name))
	for _, key := range slices.Sorted(maps.Keys(m.Labels)) {
		path := entryPath("metadata.labels", key)
		v.check(path, checkLabelKey(key))
		v.check(path, checkLabelName(m.Labels[key]))
	}
	size := 0
	for _, key := range slices.Sorted(maps.Keys(m.Annotations)) {
		path := entryPath("metadata.annotations", key)
		v.check(path, checkLabelKey(key))
		v.check(path, checkOwnAnnotation(key, m.Annotations[key]))
		size += len(key) + len(m.Annotations[key])
	}
	if size > maxAnnotationBytes {
		v.refuse("metadata.annotations", "have %d bytes in all; at most %d are allowed", size, maxAnnotationBytes)
	}
}

// checkOwnAnnotation checks the annotations that mean something to the agent. A
// mistyped one is refused: it would leave an object unfrozen that somebody
// believes to be frozen.
func checkOwnAnnotation(key, value string) error {
	known := []string{AnnotationReconcile, AnnotationRecreate, AnnotationAllowDeletions}
	switch {
	case key == AnnotationReconcile && value != "suspended":
		return fmt.Errorf("%s is no known value; write suspended, or remove the annotation", quote(value))
	case key == AnnotationRecreate && (value == "" || strings.ContainsAny(value, " \t\r\n")):
		return fmt.Errorf("%s is no UUID of a logical volume; copy it from the object's status", quote(value))
	case key == AnnotationAllowDeletions && !isToken(value):
		return fmt.Errorf("%s is no token of deletions, 16 hexadecimal digits; copy it from the status of the objects that wait", quote(value))
	case strings.HasPrefix(key, "volreconciler/") && !slices.Contains(known, key):
		return fmt.Errorf("unknown annotation%s (allowed: %s)", suggest(key, known), strings.Join(known, ", "))
	default:
		return nil
	}
}

// isToken reports whether a text has the form of what allows deletions.
func isToken(text string) bool {
	return len(text) == 16 && strings.Trim(text, "0123456789abcdef") == ""
}

func (v *validation) pool(s PoolSpec) {
	v.check("spec.volumeGroup", checkVGName(s.VolumeGroup))
	if s.ThinPool != nil {
		v.check("spec.thinPool.name", v.because("spec.thinPool.name", "the Pool's name", checkLVName(s.ThinPool.Name)))
	}
}

func (v *validation) volume(s VolumeSpec) {
	v.check("spec.pool", checkObjectName(s.Pool))
	v.check("spec.lvName", v.because("spec.lvName", "metadata.name", checkLVName(s.LVName)))
	v.deletionPolicy(s.DeletionPolicy)
}

func (v *validation) snapshot(name string, s SnapshotSpec) {
	v.check("spec.volume", checkObjectName(s.Volume))
	if err := checkLVName(name); err != nil && checkObjectName(name) == nil {
		v.refuse("metadata.name", "%w (a Snapshot's name is its logical volume's name)", err)
	}
	v.deletionPolicy(s.DeletionPolicy)
}

// because adds to an error of a default where the value comes from. If that is
// a name which is refused itself, there is nothing to add.
func (v *validation) because(path, source string, err error) error {
	switch {
	case err == nil || v.object.given(path):
		return err
	case v.object.id.Name == "" || checkObjectName(v.object.id.Name) != nil:
		return nil //nolint:nilerr // the name's own finding says it
	}
	return fmt.Errorf("%w (it is taken from %s, because the field is not given)", err, source)
}

func (v *validation) deletionPolicy(p DeletionPolicy) {
	v.oneOf("spec.deletionPolicy", "deletion policy", string(p), string(Delete), string(Retain))
}

func (v *validation) oneOf(path, what, value string, known ...string) {
	if !slices.Contains(known, value) {
		v.refuse(path, "%s is no %s%s (allowed: %s)", quote(value), what, suggest(value, known), strings.Join(known, ", "))
	}
}

func (v *validation) export(s ExportSpec) {
	if s.Protocol != ProtocolISCSI {
		v.refuse("spec.protocol", "%s is not supported%s (allowed: %s)",
			quote(string(s.Protocol)), suggest(string(s.Protocol), []string{string(ProtocolISCSI)}), ProtocolISCSI)
	}
	v.check("spec.target", v.because("spec.target", "the target prefix and metadata.name", checkTargetName(s.Target)))
	v.oneOf("spec.disconnect", "way to treat live sessions", string(s.Disconnect), string(DisconnectForce), string(DisconnectWait))
	v.portals(s.Portals)
	v.luns(s.LUNs)
	v.initiators(s)
}

func (v *validation) portals(portals []string) {
	if len(portals) == 0 {
		v.refuse("spec.portals", "is empty; list at least one portal, or leave the field out for %s", DefaultPortal)
	}
	var before []netip.AddrPort
	for i, text := range portals {
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
		v.check(joinPath(path, "name"), checkInitiatorName(initiator.Name))
		name := strings.ToLower(initiator.Name)
		if first, twice := before[name]; twice {
			v.refuse(joinPath(path, "name"), "%s is already listed as spec.initiators[%d] (upper and lower case mean the same)", quote(initiator.Name), first)
		} else {
			before[name] = i
		}
		if initiator.Auth != nil {
			v.auth(joinPath(path, "auth"), *initiator.Auth)
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

func (v *validation) auth(path string, a Auth) {
	chap, mutual := joinPath(path, "chap"), joinPath(path, "mutual")
	if a.CHAP == nil && a.Mutual == nil {
		v.refuse(path, "is empty; give chap (and mutual), or leave the field out")
	}
	if a.CHAP == nil && a.Mutual != nil {
		v.refuse(mutual, "needs chap beside it: a target proves itself only to an initiator that does too")
	}
	if a.CHAP != nil {
		v.credentials(chap, *a.CHAP)
	}
	if a.Mutual != nil {
		v.credentials(mutual, *a.Mutual)
	}
	if a.CHAP != nil && a.Mutual != nil && a.CHAP.PasswordFrom == a.Mutual.PasswordFrom {
		v.refuse(joinPath(mutual, "passwordFrom"), "is the same as chap's, but the two passwords must differ (RFC 7143, section 12.1.3)")
	}
}

func (v *validation) credentials(path string, c Credentials) {
	v.check(joinPath(path, "username"), checkUsername(c.Username))
	v.check(path+".passwordFrom.file", checkSecretPath(c.PasswordFrom.File))
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
