package spec

import (
	"fmt"
	"strings"
	"time"
)

// maxNQN is the length that the NVMe base specification allows for a qualified
// name, in bytes.
const maxNQN = 223

const (
	nqnForm = "nqn.YYYY-MM.<domain, reversed>:<name> or " + uuidNQN + "<UUID>"
	// uuidNQN begins the names that hosts make for themselves (/etc/nvme/hostnqn).
	uuidNQN = "nqn.2014-08.org.nvmexpress:uuid:"

	wwpnForm = "a WWPN of 16 hexadecimal digits, for example naa.2100001b32a1b2c3, 0x2100001b32a1b2c3 or 21:00:00:1b:32:a1:b2:c3"
)

// CheckInitiator reports whether a name can be that of an initiator of a protocol:
// an iSCSI name (iqn., eui., naa.) for iscsi and iser, an NQN for nvme-tcp and
// nvme-rdma, a WWPN in any form that [NormalizeWWPN] takes for fc. The error says
// what is allowed.
func CheckInitiator(protocol Protocol, name string) error {
	switch protocol {
	case ProtocolISCSI, ProtocolISER:
		return checkInitiatorName(name)
	case ProtocolNVMeTCP, ProtocolNVMeRDMA:
		return checkHostNQN(name)
	case ProtocolFC:
		_, err := NormalizeWWPN(name)
		return err
	default:
		return fmt.Errorf("cannot check initiator names: protocol %s is not supported", quote(string(protocol)))
	}
}

// checkHostNQN accepts the names that the kernel takes for a host. It takes others
// as well; but a comma ends an option where the initiator's kernel reads it
// (/dev/nvme-fabrics), and a slash cannot be in the name of a directory of configfs.
func checkHostNQN(name string) error {
	rest, isNQN := strings.CutPrefix(name, "nqn.")
	if !isNQN {
		return fmt.Errorf("%s is not an NVMe host name; write %s, as in the host's /etc/nvme/hostnqn", quote(name), nqnForm)
	}
	if len(name) > maxNQN {
		return fmt.Errorf("%s has %d bytes; at most %d are allowed", quote(name), len(name), maxNQN)
	}
	if err := checkCharacters(name, alphanumeric+".-_:", "letters, digits, ., -, _ and :"); err != nil {
		return err
	}
	if uuid, ok := strings.CutPrefix(name, uuidNQN); ok {
		return checkNQNUUID(name, uuid)
	}
	domain, unique, _ := strings.Cut(rest, ":")
	date, domain, _ := strings.Cut(domain, ".")
	if _, err := time.Parse("2006-01", date); err != nil || strings.Trim(domain, ".") != domain || !strings.Contains(domain, ".") || unique == "" {
		return fmt.Errorf("%s is not an NVMe host name; write %s, with a year and month in which you owned the domain", quote(name), nqnForm)
	}
	return nil
}

// checkSubsystemName accepts the names that the kernel takes for a subsystem, but
// that of discovery.
func checkSubsystemName(name string) error {
	err := checkHostNQN(name)
	switch {
	case err != nil && !strings.HasPrefix(name, "nqn."):
		return fmt.Errorf("%s is not an NVMe subsystem name; write %s", quote(name), nqnForm)
	case err != nil:
		return err
	case strings.HasPrefix(name, "nqn.2014-08.org.nvmexpress.discovery"):
		return fmt.Errorf("%s is reserved for the discovery service; choose another name", quote(name))
	}
	return nil
}

// checkNQNUUID takes both cases: NQNs are compared byte by byte, so that of a host that sends
// upper case must be written so.
func checkNQNUUID(name, uuid string) error {
	groups := strings.Split(strings.ToLower(uuid), "-")
	isUUID := len(groups) == 5
	for i, digits := range []int{8, 4, 4, 4, 12} {
		isUUID = isUUID && isHex(groups[i], digits)
	}
	if !isUUID {
		return fmt.Errorf("%s must have a UUID after %s, for example 01234567-89ab-cdef-0123-456789abcdef", quote(name), uuidNQN)
	}
	return nil
}

// NormalizeWWPN returns the world wide port name of a Fibre Channel port as naa.
// and 16 hexadecimal digits in lower case. It takes the forms that people meet:
// naa.2100…, 0x2100… (/sys/class/fc_host), 21:00:… (switches) and the digits alone,
// in upper or lower case. The error says so.
func NormalizeWWPN(name string) (string, error) {
	digits := strings.ToLower(name)
	if plain, ok := strings.CutPrefix(digits, "naa."); ok {
		digits = plain
	} else if plain, ok := strings.CutPrefix(digits, "0x"); ok {
		digits = plain
	} else if pairs := strings.Split(digits, ":"); len(pairs) == 8 && len(digits) == 23 {
		for _, pair := range pairs {
			if !isHex(pair, 2) {
				return "", fmt.Errorf("%s is not a port name; write %s", quote(name), wwpnForm)
			}
		}
		digits = strings.Join(pairs, "")
	}
	switch {
	case !isHex(digits, 16):
		return "", fmt.Errorf("%s is not a port name; write %s", quote(name), wwpnForm)
	case strings.Trim(digits, "0") == "":
		return "", fmt.Errorf("%s is all zeros, which is not a port name; write %s", quote(name), wwpnForm)
	default:
		return "naa." + digits, nil
	}
}
