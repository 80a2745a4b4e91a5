package fakehost

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Login plays an initiator that logs in to a target: its portal group must be
// enabled and have an ACL for the initiator, or admit anybody. Without a
// password credentials are not looked at; with one it must be the right one,
// where the target asks for any. An NVMe host connects to a subsystem likewise.
func (h *Host) Login(iqn, initiator string, password ...string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if subsystem := h.tree.subsystem(iqn); subsystem != nil {
		return h.tree.loginNVMe(subsystem, initiator, password)
	}
	tpg, err := h.tree.enabledTPG(iqn)
	if err != nil {
		return err
	}
	auth := tpg
	acl, err := tpg.walk("acls/" + initiator)
	dynamic := err != nil
	if !dynamic {
		auth = acl
	} else if tpg.textOf("attrib/generate_node_acls") != flagText(true) {
		return fmt.Errorf("%s does not admit %s", iqn, initiator)
	}
	if len(password) > 0 && asksForAuthentication(tpg, auth) && !accepts(auth, password[0]) {
		return fmt.Errorf("%s does not accept the credentials of %s", iqn, initiator)
	}
	if dynamic {
		names := dynamicSessions(tpg)
		if !slices.Contains(names, initiator) {
			setDynamicSessions(tpg, append(names, initiator))
			countSessions(tpg.parent, 1)
		}
		return nil
	}
	if !loggedIn(acl) {
		acl.setText("info", sessionText(initiator))
		countSessions(tpg.parent, 1)
	}
	return nil
}

// Logout ends an initiator's session, if it has one.
func (h *Host) Logout(iqn, initiator string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tree.subsystem(iqn) != nil {
		return h.tree.logoutNVMe(iqn, initiator)
	}
	tpg, err := h.tree.enabledTPG(iqn)
	if err != nil {
		return err
	}
	if acl, err := tpg.walk("acls/" + initiator); err == nil && loggedIn(acl) {
		endSession(acl)
		return nil
	}
	if names := dynamicSessions(tpg); slices.Contains(names, initiator) {
		setDynamicSessions(tpg, slices.DeleteFunc(names, func(n string) bool { return n == initiator }))
		countSessions(tpg.parent, -1)
		return nil
	}
	return fmt.Errorf("%s is not logged in to %s", initiator, iqn)
}

// enabledTPG returns a target's first portal group that admits anybody at all.
func (c *configfs) enabledTPG(iqn string) (*node, error) {
	if c.root != nil {
		target, err := c.root.walk("iscsi/" + iqn)
		if err == nil && target.isDir() {
			for _, name := range slices.Sorted(maps.Keys(target.children)) {
				if n := target.children[name]; n.isOf(aTPG) && n.textOf("enable") == flagText(true) {
					return n, nil
				}
			}
		}
	}
	return nil, fmt.Errorf("no portal group of %s is enabled", iqn)
}

// asksForAuthentication reports whether the ACL, or else the group, does.
func asksForAuthentication(tpg, auth *node) bool {
	if own := strings.TrimSpace(auth.textOf("attrib/authentication")); own == "0" || own == "1" {
		return own == "1"
	}
	return tpg.textOf("attrib/authentication") == flagText(true)
}

func accepts(auth *node, password string) bool {
	want := strings.TrimSuffix(auth.textOf("auth/password"), "\n")
	return want != "" && !strings.HasPrefix(want, "NULL") && want == password &&
		!strings.HasPrefix(auth.textOf("auth/userid"), "NULL") && auth.textOf("auth/userid") != "\n"
}

// sessionText is the info of an ACL with a session
// (lio_target_nacl_info_show in drivers/target/iscsi/iscsi_target_configfs.c).
func sessionText(initiator string) string {
	_, alias, _ := cutLast(initiator, ":")
	return "InitiatorName: " + initiator + "\n" +
		"InitiatorAlias: " + alias + "\n" +
		"LIO Session ID: 1   ISID: 0x00 02 3d 00 00 1a  TSIH: 1  SessionType: Normal\n" +
		"Session State: TARG_SESS_STATE_LOGGED_IN\n" +
		"---------------------[iSCSI Session Values]-----------------------\n" +
		"  CmdSN/WR  :  CmdSN/WC  :  ExpCmdSN  :  MaxCmdSN  :     ITT    :     TTT\n" +
		" 0x00000040   0x00000040   0x000000ed   0x0000012c   0x00000002   0x000000ee\n" +
		"----------------------[iSCSI Connections]-------------------------\n" +
		"CID: 0  Connection State: TARG_CONN_STATE_LOGGED_IN\n" +
		"   Address 127.0.0.1 TCP  StatSN: 0xb2bc88ef\n"
}

const noSession = "No active iSCSI Session for Initiator Endpoint: "

func loggedIn(acl *node) bool { return strings.HasPrefix(acl.textOf("info"), "InitiatorName: ") }

// adoptSession gives a new ACL the session that its initiator has without one
// (core_tpg_add_initiator_node_acl in drivers/target/target_core_tpg.c).
func adoptSession(acl *node) {
	acl.setText("info", noSession+acl.name+"\n")
	tpg := acl.ancestor(2)
	names := dynamicSessions(tpg)
	if slices.Contains(names, acl.name) {
		setDynamicSessions(tpg, slices.DeleteFunc(names, func(n string) bool { return n == acl.name }))
		acl.setText("info", sessionText(acl.name))
	}
}

// endSession ends the session of an ACL.
func endSession(acl *node) {
	if loggedIn(acl) {
		acl.setText("info", noSession+acl.name+"\n")
		countSessions(acl.ancestor(3), -1)
	}
}

// endSessions ends all sessions of a portal group.
func endSessions(tpg *node) {
	if acls, err := tpg.walk("acls"); err == nil {
		for _, acl := range acls.children {
			endSession(acl)
		}
	}
	countSessions(tpg.parent, -len(dynamicSessions(tpg)))
	setDynamicSessions(tpg, nil)
}

// dynamicSessions are the initiators that are logged in without an ACL.
func dynamicSessions(tpg *node) []string {
	return strings.FieldsFunc(tpg.textOf("dynamic_sessions"), func(r rune) bool { return r == '\n' || r == 0 })
}

// setDynamicSessions names them as target_show_dynamic_sessions in
// drivers/target/target_core_transport.c does.
func setDynamicSessions(tpg *node, initiators []string) {
	var b strings.Builder
	for _, name := range initiators {
		b.WriteString(name + "\n\x00")
	}
	tpg.setText("dynamic_sessions", b.String())
}

// countSessions changes a target's number of sessions.
func countSessions(target *node, by int) {
	const file = "fabric_statistics/iscsi_instance/sessions"
	if n, err := strconv.Atoi(strings.TrimSpace(target.textOf(file))); err == nil {
		target.setText(file, strconv.Itoa(max(n+by, 0))+"\n")
	}
}
