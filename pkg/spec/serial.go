package spec

import (
	"fmt"
	"strings"
)

const (
	// maxSerial leaves room for the name of the file in which the kernel keeps persistent reservations that
	// are to outlive a reboot: aptpl_SERIAL (core_scsi3_write_aptpl_to_file in
	// drivers/target/target_core_pr.c), of at most 255 bytes. With a longer serial the kernel refuses such
	// reservations. It stores up to 253 (INQUIRY_VPD_SERIAL_LEN of include/target/target_core_base.h).
	maxSerial = 255 - len("aptpl_")
	// serialCharacters are those of LVM's tags (lvm(8), "Valid names"), because a tag keeps the
	// serial. The slash is left out: the kernel names a file by the serial.
	serialCharacters = alphanumeric + "_+.-=!:&#"
	// naaDigits is how many hexadecimal digits of a serial the NAA identifier has.
	naaDigits = 25
)

// NAADigits returns the part of the NAA identifier that the kernel makes of a unit serial: its
// first 25 hexadecimal digits, whatever else is between them, filled up with zeroes
// (spc_gen_naa_6h_vendor_specific in drivers/target/target_core_spc.c). Initiators take two
// disks with the same digits for two paths to one.
func NAADigits(serial string) string {
	digits := make([]byte, 0, naaDigits)
	for _, c := range []byte(strings.ToLower(serial)) {
		if len(digits) < naaDigits && (c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			digits = append(digits, c)
		}
	}
	return string(digits) + strings.Repeat("0", naaDigits-len(digits))
}

// CheckSerial reports whether a Volume can have a unit serial.
func CheckSerial(serial string) error {
	switch {
	case len(serial) > maxSerial:
		return fmt.Errorf("%s has %d characters; at most %d are allowed: the kernel keeps reservations in a file that is named by it", quote(serial), len(serial), maxSerial)
	case NAADigits(serial) == NAADigits(""):
		return fmt.Errorf("%s has no hexadecimal digit other than 0, and initiators tell disks apart by these. Write a serial that has some", quote(serial))
	default:
		return checkCharacters(serial, serialCharacters, "letters, digits, _, +, ., -, =, !, :, & and #")
	}
}

// checkSerials refuses two Volumes that initiators would take for one disk.
func (a *assembly) checkSerials() {
	first := map[string]*object{}
	for o, v := range objectsOf[Volume](a) {
		if v.Spec.Serial == "" || a.invalid[o.id] != nil {
			continue
		}
		if other := claimFirst(first, NAADigits(v.Spec.Serial), o); other != nil {
			a.clash(o, other, "spec.serial", "a serial with the hexadecimal digits of "+quote(v.Spec.Serial))
		}
	}
}
