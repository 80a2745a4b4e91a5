package observe

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
)

// blockBackstore is what the kernel tells of a block backstore in its info
// attribute.
type blockBackstore struct {
	// blockDevice is the kernel's name of the device, as in dm-3; empty while
	// the backstore is not bound to one.
	blockDevice string
	path        string
	readOnly    bool
}

// parseBackstoreInfo reads core/<HBA>/<name>/info of a block backstore, as
// iblock_show_configfs_dev_params in drivers/target/target_core_iblock.c writes
// it. "Status" in it says whether the backstore is exported, not whether it is
// enabled.
func parseBackstoreInfo(text string) (blockBackstore, error) {
	var b blockBackstore
	b.blockDevice, _ = field(text, "iBlock device: ", "  ")
	b.path, _ = field(text, "  UDEV PATH: ", "  readonly: ")
	readOnly, ok := field(text, "  readonly: ", "\n")
	if !ok {
		return blockBackstore{}, fmt.Errorf("cannot parse the description of a block backstore: %q", text)
	}
	// Later kernels have more to say on the same line.
	readOnly, _, _ = strings.Cut(readOnly, " ")
	b.readOnly = readOnly != "0"
	return b, nil
}

// field returns the text between two marks.
func field(text, before, after string) (string, bool) {
	_, rest, ok := strings.Cut(text, before)
	if !ok {
		return "", false
	}
	value, _, ok := strings.Cut(rest, after)
	return value, ok
}

// parseUnitSerial reads wwn/vpd_unit_serial.
func parseUnitSerial(text string) string {
	_, serial, _ := strings.Cut(text, "T10 VPD Unit Serial Number: ")
	return strings.TrimSpace(serial)
}

// ParsePortal brings the name of a portal's directory into the form of spec. A
// name that is no address, as an older kernel may have let through, remains as it
// is.
func ParsePortal(name string) string {
	portal, err := netip.ParseAddrPort(name)
	if err != nil {
		return name
	}
	return portal.String()
}

// parseLUNName returns N of lun_N, which the kernel takes in any notation of C
// but tools write in decimal.
func parseLUNName(name string) (int, error) {
	number, ok := strings.CutPrefix(name, lunPrefix)
	if !ok {
		return 0, fmt.Errorf("%q is not the name of a LUN", name)
	}
	n, err := strconv.ParseUint(number, 0, 31)
	if err != nil {
		return 0, fmt.Errorf("%q is not the name of a LUN: %w", name, err)
	}
	return int(n), nil
}

// parseBackstoreLink returns the path below core/ to which a LUN's symlink
// leads.
func parseBackstoreLink(link string) string {
	_, backstore, _ := strings.Cut(link, "/core/")
	return backstore
}

// parseLUNLink returns the number of the LUN to which a mapped LUN's symlink
// leads.
func parseLUNLink(link string) (int, error) { return parseLUNName(path.Base(link)) }

// parseDynamicSessions reads dynamic_sessions: names ended by a newline and a
// NUL each, see target_show_dynamic_sessions in
// drivers/target/target_core_transport.c.
func parseDynamicSessions(text string) []string {
	return slices.Collect(strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' || r == 0 }))
}

// parseLoggedIn reads an ACL's info. A session that lost its connection a
// moment ago, and may recover, is one.
func parseLoggedIn(info string) bool {
	return !strings.HasPrefix(info, "No active iSCSI Session")
}

// parseConnections reads from an ACL's info where its session comes from
// (lio_target_nacl_info_show in drivers/target/iscsi/iscsi_target_configfs.c). What is
// not TCP is called SCTP there, also iSER.
func parseConnections(info, initiator string) []Session {
	var sessions []Session
	for line := range strings.Lines(info) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[0] != "Address" {
			continue
		}
		over := RDMA
		if fields[2] == "TCP" {
			over = TCP
		}
		sessions = append(sessions, Session{Initiator: initiator, Address: strings.Trim(fields[1], "[]"), Transport: over})
	}
	return sessions
}

// parseCredential reads an attribute below auth/. The kernel takes all that
// begins with NULL for unset. Only the newline that the kernel adds is removed:
// the rest is part of a password.
func parseCredential(text string) string {
	if strings.HasPrefix(text, "NULL") {
		return ""
	}
	return strings.TrimSuffix(text, "\n")
}
