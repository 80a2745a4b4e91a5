package spec

import (
	"fmt"
	"strings"
	"time"
)

// maxISCSIName is the length that RFC 7143 allows for an iSCSI name, in bytes.
const maxISCSIName = 223

const iqnForm = "iqn.YYYY-MM.<domain, reversed>:<name>"

// CheckTargetPrefix reports whether target names can be made of a prefix: the
// name of an Export after it, with a colon between.
func CheckTargetPrefix(prefix string) error {
	if err := checkIQN(prefix); err != nil {
		return err
	}
	if longest := maxISCSIName - len(":") - maxDNSLabel; len(prefix) > longest {
		return fmt.Errorf("%s has %d characters; at most %d are allowed, to leave room for the Export's name", quote(prefix), len(prefix), longest)
	}
	return nil
}

// checkTargetName accepts what the kernel, initiators and targetcli all accept.
// The kernel alone takes any text, but a single name that targetcli does not
// know breaks it as a whole.
func checkTargetName(name string) error {
	if !strings.HasPrefix(name, "iqn.") {
		return fmt.Errorf("%s is not a target name; write %s", quote(name), iqnForm)
	}
	if err := checkIQN(name); err != nil {
		return err
	}
	if _, unique, _ := strings.Cut(name, ":"); unique == "" {
		return fmt.Errorf("%s has no unique part after a colon; write %s", quote(name), iqnForm)
	}
	return nil
}

// checkInitiatorName accepts what initiators send: the kernel compares it byte by byte, so it
// must be written as it is sent, whatever the standards and targetcli say. Letters may be
// in upper case (iPXE), there may be underscores (of Windows and Linux hosts that are called so), and AIX
// names none but itself: iqn.localhost.hostid.7f000001.
func checkInitiatorName(name string) error {
	if len(name) > maxISCSIName {
		return fmt.Errorf("%s has %d bytes; at most %d are allowed", quote(name), len(name), maxISCSIName)
	}
	kind, rest, _ := strings.Cut(name, ".")
	switch kind {
	case "iqn":
		return checkInitiatorIQN(name, rest)
	case "eui":
		if !isHex(strings.ToLower(rest), 16) {
			return fmt.Errorf("%s must be eui. followed by 16 hexadecimal digits", quote(name))
		}
		return nil
	case "naa":
		if digits := strings.ToLower(rest); !isHex(digits, 16) || !strings.Contains("125", digits[:1]) {
			return fmt.Errorf("%s must have 16 hexadecimal digits after naa., the first of them 1, 2 or 5; targetcli fails on any other", quote(name))
		}
		return nil
	default:
		return fmt.Errorf("%s is not an initiator name; write %s, eui.<16 hexadecimal digits> or naa.<16 hexadecimal digits>, exactly as the initiator sends it (Linux: /etc/iscsi/initiatorname.iscsi)", quote(name), iqnForm)
	}
}

// checkInitiatorIQN checks what follows iqn. in the name of an initiator.
func checkInitiatorIQN(name, rest string) error {
	if err := checkCharacters(name, alphanumeric+".-:_", "letters, digits, ., -, : and _"); err != nil {
		return err
	}
	date, domain, _ := strings.Cut(rest, ".")
	_, err := time.Parse("2006-01", date)
	undated := date != "" && strings.Trim(date, lowerLetters+upperLetters) == ""
	if err != nil && !undated || domain == "" || strings.ContainsAny(domain[:1], ".:") {
		return fmt.Errorf("%s must have the form %s", quote(name), iqnForm)
	}
	return nil
}

// checkIQN checks an iSCSI qualified name.
func checkIQN(name string) error {
	if len(name) > maxISCSIName {
		return fmt.Errorf("%s has %d bytes; at most %d are allowed", quote(name), len(name), maxISCSIName)
	}
	if name != strings.ToLower(name) {
		return fmt.Errorf("%s must be in lower case: %s", quote(name), quote(strings.ToLower(name)))
	}
	if err := checkCharacters(name, lowerLetters+decimalDigits+".-:", "lower-case letters, digits, ., - and :"); err != nil {
		return err
	}
	rest, isIQN := strings.CutPrefix(name, "iqn.")
	date, domain, _ := strings.Cut(rest, ".")
	_, err := time.Parse("2006-01", date)
	if !isIQN || err != nil || domain == "" || strings.ContainsAny(domain[:1], ".:") {
		return fmt.Errorf("%s must have the form %s, with a year and month in which you owned the domain", quote(name), iqnForm)
	}
	if !strings.Contains(domain, ".") {
		return fmt.Errorf("%s needs a domain with a dot, for example com.example; targetcli fails on any other", quote(name))
	}
	return nil
}

// isHex reports whether a text is that many hexadecimal digits in lower case.
func isHex(text string, digits int) bool {
	return len(text) == digits && strings.Trim(text, decimalDigits+"abcdef") == ""
}
