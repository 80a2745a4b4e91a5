package ondisk

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

// UnitSerial returns the SCSI unit serial number of a logical volume: a
// function of its identity alone, see [Tags.Identity], so that initiators see the same
// device after a reboot and after the export was made anew.
//
// LIO makes the NAA identifier from the first 25 hexadecimal digits of the
// serial (drivers/target/target_core_spc.c, spc_gen_naa_6h_vendor_specific).
// LVM's UUIDs are not hexadecimal, hence the hash.
func UnitSerial(identity string) string {
	h := sha256.Sum256([]byte("volreconciler:" + strings.ReplaceAll(identity, "-", "")))
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// NAA returns the NAA identifier that initiators see for a unit serial, as in
// /dev/disk/by-id/wwn-0x….
func NAA(serial string) string {
	hex := strings.ReplaceAll(serial, "-", "")
	return "6001405" + hex[:25]
}

// NamespaceUUID returns the UUID of the NVMe namespace of a logical volume: a
// function of its identity alone, like [UnitSerial]. It is of version 8 (RFC 9562,
// section 5.8): what is in it is for its maker to say.
func NamespaceUUID(identity string) string {
	h := sha256.Sum256([]byte("volreconciler:nvme:" + strings.ReplaceAll(identity, "-", "")))
	h[6] = h[6]&0x0f | 0x80 // version 8
	h[8] = h[8]&0x3f | 0x80 // variant 10
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// NamespaceNGUID returns the NGUID that goes with a namespace's UUID: the same 16
// bytes, as hexadecimal digits.
func NamespaceNGUID(uuid string) string { return strings.ReplaceAll(uuid, "-", "") }
