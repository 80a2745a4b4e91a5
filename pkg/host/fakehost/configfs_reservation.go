package fakehost

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"syscall"
)

// Persistent reservations follow drivers/target/target_core_pr.c, as far as an agent can
// see them: a registration ends with the mapped LUN by which it was made, and what was
// registered with APTPL is in a file below dbroot, which no removal changes.

const (
	noRegistrations = "SPC-3 PR Registrations:\nNone\n"
	noHolder        = "No SPC-3 Reservation holder\n"
	notKept         = "APTPL Bit Status: Disabled\n"
	kept            = "APTPL Bit Status: Activated\n"
	noMetadata      = "Ready to process PR APTPL metadata..\n"
	nothingInFile   = "No Registrations or Reservations\n"
	// sid is that of all sessions, see sessionText.
	sid = "00023d00001a"
)

var reservationType = &itemType{attributes: map[string]attribute{
	"res_aptpl_active": {text: notKept},
	// Beyond what the kernel shows it has what waits for the mapped LUN that it is of.
	"res_aptpl_metadata":      {text: noMetadata, store: storeMetadata},
	"res_holder":              {text: noHolder},
	"res_pr_registered_i_pts": {text: noRegistrations},
}}

// storeDBRoot follows target_core_item_dbroot_store in
// drivers/target/target_core_configfs.c.
func storeDBRoot(c *configfs, n *node, value string) (string, error) {
	dir := strings.TrimSuffix(value, "\n")
	for _, hba := range n.parent.childrenOf("core") {
		for _, b := range hba.children {
			if b.isOf(aBackstore) {
				return "", syscall.EINVAL
			}
		}
	}
	if !c.files.isDir(dir) {
		return "", syscall.EINVAL
	}
	return dir + "\n", nil
}

// registration is one initiator's on a backstore, as it is in the file.
type registration struct {
	initiator, target string
	lun               int
	key               uint64
	holder            bool
}

func (r registration) lines() []string {
	holder := "res_holder=0"
	if r.holder {
		holder = "res_holder=1\nres_type=05\nres_scope=00"
	}
	return strings.Split(fmt.Sprintf("initiator_fabric=iSCSI\ninitiator_node=%s\ninitiator_sid=%s\nsa_res_key=%d\n%s\nres_all_tg_pt=0\nmapped_lun=%d\n"+
		"target_fabric=iSCSI\ntarget_node=%s\ntpgt=1\nport_rtpi=1\ntarget_lun=%d", r.initiator, sid, r.key, holder, r.lun, r.target, r.lun), "\n")
}

func parseRegistration(text string) registration {
	var r registration
	for field := range strings.FieldsFuncSeq(text, func(c rune) bool { return c == ',' || c == '\n' }) {
		name, value, _ := strings.Cut(field, "=")
		switch name {
		case "initiator_node":
			r.initiator = value
		case "target_node":
			r.target = value
		case "mapped_lun":
			_, _ = fmt.Sscanf(value, "%d", &r.lun)
		case "sa_res_key":
			_, _ = fmt.Sscanf(value, "%d", &r.key)
		case "res_holder":
			r.holder = value == "1"
		}
	}
	return r
}

// storeMetadata takes a registration that a mapped LUN is to have as soon as it is there.
func storeMetadata(_ *configfs, n *node, value string) (string, error) {
	if r := parseRegistration(value); n.ancestor(2).links > 0 || r.initiator == "" || r.target == "" {
		return "", syscall.EINVAL
	}
	return n.text + strings.TrimSpace(value) + "\n", nil
}

// Register plays an initiator that registers a key for a LUN, with APTPL or without.
func (h *Host) Register(iqn, initiator string, lun int, key uint64, aptpl bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	b, err := h.tree.backstoreSeenBy(iqn, initiator, lun)
	if err != nil {
		return err
	}
	all := slices.DeleteFunc(b.registrations(), func(r registration) bool { return r.initiator == initiator })
	b.setRegistrations(append(all, registration{initiator: initiator, target: iqn, lun: lun, key: key}))
	b.setText("pr/res_aptpl_active", notKept)
	return h.tree.writeReservations(b, iqn, lun, aptpl)
}

// Reserve plays an initiator that reserves a LUN for those that are registered.
func (h *Host) Reserve(iqn, initiator string, lun int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	b, err := h.tree.backstoreSeenBy(iqn, initiator, lun)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(b.registrations(), func(r registration) bool { return r.initiator == initiator }) || b.textOf("pr/res_holder") != noHolder {
		return fmt.Errorf("reservation conflict of %s at LUN %d of %s", initiator, lun, iqn)
	}
	b.setText("pr/res_holder", holderText(initiator))
	return h.tree.writeReservations(b, iqn, lun, b.textOf("pr/res_aptpl_active") == kept)
}

func holderText(initiator string) string {
	return "SPC-3 Reservation: iSCSI Initiator: " + initiator + ",i,0x" + sid + "\n"
}

// backstoreSeenBy returns the backstore behind a LUN of an initiator that is logged in.
func (c *configfs) backstoreSeenBy(iqn, initiator string, lun int) (*node, error) {
	tpg, err := c.enabledTPG(iqn)
	if err != nil {
		return nil, err
	}
	acl, err := tpg.walk("acls/" + initiator)
	if err != nil || !loggedIn(acl) {
		return nil, fmt.Errorf("%s is not logged in to %s by an access list", initiator, iqn)
	}
	mapped, err := acl.walk(fmt.Sprintf("lun_%d", lun))
	if err != nil || mapped.linkIn() == nil || mapped.linkIn().target.linkIn() == nil {
		return nil, fmt.Errorf("%s sees no LUN %d of %s", initiator, lun, iqn)
	}
	return mapped.linkIn().target.linkIn().target, nil
}

// writeReservations writes the file, if there is a place for it.
func (c *configfs) writeReservations(b *node, iqn string, lun int, aptpl bool) error {
	dir := path.Join(strings.TrimSpace(c.root.textOf("dbroot")), "pr")
	file := path.Join(dir, "aptpl_"+strings.TrimSpace(strings.TrimPrefix(b.textOf("wwn/vpd_unit_serial"), serialPrefix)))
	if !c.files.isDir(dir) {
		if aptpl {
			return fmt.Errorf("device not ready: %s cannot be written", file)
		}
		return nil
	}
	text := nothingInFile
	if aptpl {
		b.setText("pr/res_aptpl_active", kept)
		text = ""
		for i, r := range b.registrations() {
			r.target, r.lun = iqn, lun
			text += fmt.Sprintf("PR_REG_START: %d\n%s\nPR_REG_END: %d\n", i, strings.Join(r.lines(), "\n"), i)
		}
	}
	c.files[file] = File{Path: file, Text: text}
	return nil
}

// registrations returns those of a backstore, without what the kernel does not show.
func (n *node) registrations() []registration {
	var all []registration
	for line := range strings.Lines(n.textOf("pr/res_pr_registered_i_pts")) {
		var r registration
		rest, is := strings.CutPrefix(line, "iSCSI Node: ")
		initiator, rest, found := strings.Cut(rest, ",i,")
		_, key, hasKey := strings.Cut(rest, " Key: ")
		if !is || !found || !hasKey {
			continue
		}
		r.initiator = initiator
		_, _ = fmt.Sscanf(key, "0x%x", &r.key)
		r.holder = n.textOf("pr/res_holder") == holderText(initiator)
		all = append(all, r)
	}
	return all
}

func (n *node) setRegistrations(all []registration) {
	text := strings.TrimSuffix(noRegistrations, "None\n")
	for i, r := range all {
		text += fmt.Sprintf("iSCSI Node: %s,i,0x%s Key: 0x%016x PRgen: 0x%08x\n", r.initiator, sid, r.key, i)
	}
	if len(all) == 0 {
		text = noRegistrations
	}
	n.setText("pr/res_pr_registered_i_pts", text)
}

// dropRegistration removes the registration of an initiator that no longer sees a backstore.
func (n *node) dropRegistration(initiator string) {
	all := n.registrations()
	left := slices.DeleteFunc(slices.Clone(all), func(r registration) bool { return r.initiator == initiator })
	if len(left) == len(all) {
		return
	}
	n.setRegistrations(left)
	if n.textOf("pr/res_holder") == holderText(initiator) {
		n.setText("pr/res_holder", noHolder)
	}
}

// restoreRegistration restores the registration that was kept for an initiator's mapped LUN, which
// exists now.
func (n *node) restoreRegistration(iqn, initiator, lun string) {
	waiting := noMetadata
	for line := range strings.Lines(strings.TrimPrefix(n.textOf("pr/res_aptpl_metadata"), noMetadata)) {
		r := parseRegistration(line)
		if r.initiator != initiator || r.target != iqn || fmt.Sprintf("lun_%d", r.lun) != lun {
			waiting += line
			continue
		}
		n.setRegistrations(append(n.registrations(), r)) // twice, if it was written twice
		n.setText("pr/res_aptpl_active", kept)
		if r.holder {
			n.setText("pr/res_holder", holderText(initiator))
		}
	}
	n.setText("pr/res_aptpl_metadata", waiting)
}
