package tgtadm

import (
	"fmt"
	"strings"
)

// MaxName is how long the name of a target, an initiator or an account may be,
// in bytes. iSCSI allows 223 for the first two, tgtd checks none of them. Account
// names and passwords of 256 bytes and more would fill its buffers up to where
// it expects their end.
const MaxName = 223

// checkText refuses what the daemon would take for something else: it separates
// parameters by commas, and prints names on lines of their own.
func checkText(what, s, forbidden string) error {
	switch {
	case s == "":
		return fmt.Errorf("%s is empty", what)
	case len(s) > MaxName:
		return fmt.Errorf("%s has %d bytes; at most %d are allowed", what, len(s), MaxName)
	}
	for _, r := range s {
		if r < ' ' || r == 0x7f || strings.ContainsRune(forbidden, r) {
			return fmt.Errorf("%s %q contains %q", what, s, r)
		}
	}
	return nil
}

// checkTargetName refuses what tgtd refuses. It does so without checking first
// whether there is a name at all.
func checkTargetName(name string) error {
	if err := checkText("the target name", name, ""); err != nil {
		return err
	}
	for _, r := range name {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune(":.-", r):
		default:
			return fmt.Errorf("the target name %q contains %q; tgtd allows letters, digits, colons, dots and hyphens", name, r)
		}
	}
	return nil
}

func checkTID(tid int32) error {
	if tid <= 0 {
		return fmt.Errorf("%d is not a target ID; the lowest is 1", tid)
	}
	return nil
}
