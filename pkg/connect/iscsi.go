package connect

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// portalGroup is the tag of the only target portal group that the agent makes.
const portalGroup = 1

// ISCSIData is the data of a connection over iSCSI or iSER, with the keys of
// Cinder's _get_iscsi_properties and those that its volume manager adds. The keys
// in the plural are there with multipath only, one entry per portal.
type ISCSIData struct {
	// TargetDiscovered is false: what is here was not found by discovery.
	TargetDiscovered bool     `json:"target_discovered"`
	TargetPortal     string   `json:"target_portal"`
	TargetIQN        string   `json:"target_iqn"`
	TargetLUN        int      `json:"target_lun"`
	TargetPortals    []string `json:"target_portals,omitempty"`
	TargetIQNs       []string `json:"target_iqns,omitempty"`
	TargetLUNs       []int    `json:"target_luns,omitempty"`
	// VolumeID is the name of the Volume or Snapshot.
	VolumeID string `json:"volume_id"`
	// AuthMethod is CHAP, or nothing.
	AuthMethod            string    `json:"auth_method,omitempty"`
	AuthUsername          string    `json:"auth_username,omitempty"`
	AuthPassword          *Password `json:"auth_password,omitempty"`
	DiscoveryAuthMethod   string    `json:"discovery_auth_method,omitempty"`
	DiscoveryAuthUsername string    `json:"discovery_auth_username,omitempty"`
	DiscoveryAuthPassword *Password `json:"discovery_auth_password,omitempty"`
	// AccessMode is rw or ro.
	AccessMode string `json:"access_mode"`
	Discard    bool   `json:"discard"`
	Encrypted  bool   `json:"encrypted"`
}

const methodCHAP = "CHAP"

func (c Connection) iscsiData(lun LUN) ISCSIData {
	data := ISCSIData{
		TargetPortal: c.portals[0].String(), TargetIQN: c.target(), TargetLUN: c.number(lun),
		VolumeID: lun.Object.Name, AccessMode: c.accessMode(lun), Discard: lun.Discard,
	}
	if c.request.Multipath {
		for _, portal := range c.portals {
			data.TargetPortals = append(data.TargetPortals, portal.String())
			data.TargetIQNs = append(data.TargetIQNs, c.target())
			data.TargetLUNs = append(data.TargetLUNs, c.number(lun))
		}
	}
	if chap := c.chap(); chap != nil {
		data.AuthMethod, data.AuthUsername, data.AuthPassword = methodCHAP, chap.Username, c.password(chap)
	}
	if auth := c.request.DiscoveryAuth; auth != nil && auth.CHAP != nil {
		data.DiscoveryAuthMethod, data.DiscoveryAuthUsername, data.DiscoveryAuthPassword = methodCHAP, auth.CHAP.Username, c.password(auth.CHAP)
	}
	return data
}

// iscsiScript is for iscsiadm, from version 2.0.871 on.
func (c Connection) iscsiScript(s *script) {
	iface := "default"
	if c.protocol() == spec.ProtocolISER {
		iface = "iser"
	}
	s.line("grep -qsxF %s /etc/iscsi/initiatorname.iscsi ||", quote("InitiatorName="+c.initiator.Name))
	s.line("\techo %s >&2", quote("this host's name is not "+c.initiator.Name+"; set it in /etc/iscsi/initiatorname.iscsi, because the target admits initiators by name"))
	s.line("")
	if c.chap() != nil {
		s.text(recordPasswords)
		s.password("password", "CHAP_PASSWORD_FILE", *c.chap())
		passwords := `"$password"`
		if mutual := c.mutual(); mutual != nil {
			s.password("mutual_password", "MUTUAL_PASSWORD_FILE", *mutual)
			passwords += ` "$mutual_password"`
		}
		s.line("check_passwords %s", passwords)
		s.line("")
	}
	s.line("failed=")
	for _, portal := range c.portals {
		c.login(s, portal, iface)
	}
	s.line(`[ -z "$failed" ] || { echo "cannot connect to$failed" >&2; exit 1; }`)
}

// login writes the commands for one portal. The record of a portal that is known is
// kept, except for its authentication settings.
func (c Connection) login(s *script, portal netip.AddrPort, iface string) {
	node := fmt.Sprintf("iscsiadm -m node -T %s -p %s -I %s", quote(c.target()), quote(fmt.Sprintf("%s,%d", portal, portalGroup)), iface)
	s.line("%s >/dev/null 2>&1 ||\n\t%s -o new", node, node)
	chap, mutual := c.chap(), c.mutual()
	if chap == nil {
		s.line("%s -o update -n node.session.auth.authmethod -v None", node)
	} else {
		// The directory of the record has the address without brackets.
		record := fmt.Sprintf("%s/%s,%d,%d/%s", c.target(), portal.Addr(), portal.Port(), portalGroup, iface)
		fields := []string{"authmethod", methodCHAP, "username", quote(chap.Username), "password", `"$password"`}
		if mutual != nil {
			fields = append(fields, "username_in", quote(mutual.Username), "password_in", `"$mutual_password"`)
		}
		s.line("set_auth %s %s", quote(record), strings.Join(fields, " "))
	}
	s.line("if %s --login || [ $? -eq 15 ]; then # 15: logged in already", node)
	s.line("\t%s --rescan", node)
	s.line("else\n\tfailed=\"$failed %s\"\nfi", portal)
	s.line("")
}

// recordPasswords are shell functions. iscsiadm takes a password as an argument
// only, and whatever is one is in the list of processes for everybody to see.
const recordPasswords = `# Passwords are written into iscsiadm's record by the shell itself: as an argument
# of a command, everybody on this host could read them in the list of processes.
set_auth() { # RECORD [FIELD VALUE]...
	for nodes in /etc/iscsi/nodes /var/lib/iscsi/nodes; do
		[ -f "$nodes/$1" ] && break
	done
	record=$nodes/$1
	[ -f "$record" ] || { echo "iscsiadm has no record $1 in /etc/iscsi/nodes or /var/lib/iscsi/nodes" >&2; exit 1; }
	new=$(mktemp "${nodes%/nodes}/.record.XXXXXX")
	shift
	{
		grep -Ev '^node\.session\.auth\.(authmethod|(username|password)(_in)?) = ' "$record"
		while [ $# -gt 0 ]; do
			printf 'node.session.auth.%s = %s\n' "$1" "$2"
			shift 2
		done
	} >"$new"
	mv "$new" "$record"
}

check_passwords() { # PASSWORD...
	for each; do
		case $each in
		[[:space:]]* | *[[:space:]])
			echo "iscsiadm does not accept a password that begins or ends with a space" >&2
			exit 1
			;;
		esac
	done
}

`
