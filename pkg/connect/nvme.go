package connect

import (
	"fmt"
	"net/netip"

	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// NVMeData is the data of a connection over NVMe. Cinder has two forms
// (nvmeof_conn_info_version): the first has one portal and calls the subsystem nqn,
// the second has portals and target_nqn. Without multipath both are there; with it
// the second alone, because os-brick reads nothing but the one portal where nqn is.
type NVMeData struct {
	NQN           string `json:"nqn,omitempty"`
	TargetPortal  string `json:"target_portal,omitempty"` // without port and brackets
	TargetPort    int    `json:"target_port,omitempty"`
	TransportType string `json:"transport_type,omitempty"` // tcp or rdma

	TargetNQN string       `json:"target_nqn"`
	Portals   []NVMePortal `json:"portals"`
	VolUUID   string       `json:"vol_uuid"`
	NGUID     string       `json:"nguid"`
	NSID      int          `json:"ns_id"`
	// VolumeID is the name of the Volume or Snapshot.
	VolumeID string `json:"volume_id"`
	// AuthMethod is DH-HMAC-CHAP, or nothing. Cinder has no authentication for
	// NVMe; the keys are those of iSCSI. The password is a DHHC-1 secret.
	AuthMethod   string    `json:"auth_method,omitempty"`
	AuthPassword *Password `json:"auth_password,omitempty"`
	// AccessMode is rw or ro.
	AccessMode string `json:"access_mode"`
	Discard    bool   `json:"discard"`
	Encrypted  bool   `json:"encrypted"`
}

// NVMePortal is a portal in the second form: address, port, and tcp or RoCEv2.
type NVMePortal [3]any

const (
	transportTCP  = "tcp"
	transportRDMA = "rdma"
)

func (c Connection) transport() string {
	if c.protocol() == spec.ProtocolNVMeRDMA {
		return transportRDMA
	}
	return transportTCP
}

func (c Connection) nvmeData(lun LUN) NVMeData {
	data := NVMeData{
		TargetNQN: c.target(), VolUUID: lun.UUID, NGUID: ondisk.NamespaceNGUID(lun.UUID), NSID: lun.namespaceID(),
		VolumeID: lun.Object.Name, AccessMode: c.accessMode(lun), Discard: lun.Discard,
	}
	transport := c.transport()
	if transport == transportRDMA {
		transport = "RoCEv2" // whatever the fabric is: os-brick takes another word for tcp
	}
	for _, portal := range c.portals {
		data.Portals = append(data.Portals, NVMePortal{portal.Addr().String(), int(portal.Port()), transport})
	}
	if !c.request.Multipath {
		first := c.portals[0]
		data.NQN, data.TargetPortal, data.TargetPort, data.TransportType = c.target(), first.Addr().String(), int(first.Port()), c.transport()
	}
	if chap := c.chap(); chap != nil {
		data.AuthMethod, data.AuthPassword = "DH-HMAC-CHAP", c.password(chap)
	}
	return data
}

// nvmeScript is for nvme-cli. With authentication the kernel's own interface is
// written to instead.
func (c Connection) nvmeScript(s *script) {
	s.line("modprobe nvme-%s", c.transport())
	s.text(nvmeConnected)
	if chap := c.chap(); chap != nil {
		s.text(nvmeSecrets)
		s.line("hostid=$(cat /etc/nvme/hostid)")
		s.password("secret", "DHCHAP_SECRET_FILE", *chap)
		s.line(`check_secret "$secret"`)
		if mutual := c.mutual(); mutual != nil {
			s.password("controller_secret", "DHCHAP_CTRL_SECRET_FILE", *mutual)
			s.line(`check_secret "$controller_secret"`)
		}
		s.line("")
	}
	s.line("failed=")
	for _, portal := range c.portals {
		s.line("connected %s %s %s %s %d ||", c.transport(), quote(c.target()), quote(c.initiator.Name), portal.Addr(), portal.Port())
		s.line("\t%s ||", c.nvmeConnect(portal))
		s.line("\tfailed=\"$failed %s\"", portal)
	}
	s.line(`[ -z "$failed" ] || { echo "cannot connect to$failed" >&2; exit 1; }`)
}

// nvmeConnect is the command for one portal.
func (c Connection) nvmeConnect(portal netip.AddrPort) string {
	if c.chap() == nil {
		return fmt.Sprintf("nvme connect -t %s -n %s -a %s -s %d -q %s",
			c.transport(), quote(c.target()), portal.Addr(), portal.Port(), quote(c.initiator.Name))
	}
	options := fmt.Sprintf("transport=%s,nqn=%s,traddr=%s,trsvcid=%d,hostnqn=%s,hostid=",
		c.transport(), c.target(), portal.Addr(), portal.Port(), c.initiator.Name)
	options = quote(options) + `"$hostid",dhchap_secret="$secret"`
	if c.mutual() != nil {
		options += `,dhchap_ctrl_secret="$controller_secret"`
	}
	return "printf %s " + options + " >/dev/nvme-fabrics"
}

const nvmeConnected = `
connected() { # TRANSPORT NQN HOSTNQN ADDRESS PORT
	for ctrl in /sys/class/nvme/nvme*; do
		[ "$(cat "$ctrl/transport" "$ctrl/subsysnqn" "$ctrl/hostnqn" 2>/dev/null)" = "$(printf '%s\n' "$1" "$2" "$3")" ] || continue
		case "$(cat "$ctrl/address")," in
		"traddr=$4,trsvcid=$5,"*) return 0 ;;
		esac
	done
	return 1
}

`

// nvmeSecrets is a shell function. nvme-cli takes a secret as an argument, which
// everybody can see, or from a file that would have to be made and removed.
const nvmeSecrets = `# Secrets are written to the kernel by the shell itself, as nvme-cli does it: as an
# argument of a command, everybody on this host could read them in the list of
# processes.
check_secret() { # SECRET
	case $1 in
	*,*) ;;
	DHHC-1:*) return 0 ;;
	esac
	echo "not an NVMe secret: it must begin with DHHC-1: (create one with nvme gen-dhchap-key)" >&2
	exit 1
}

`
