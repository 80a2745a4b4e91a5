package ondisk

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// UnitSerial returns the SCSI unit serial number of a logical volume: a
// function of its identity alone, see [Tags.Identity], so that initiators see the same
// device after a reboot and after the export was created again.
//
// LIO makes the NAA identifier from the first 25 hexadecimal digits of the
// serial (drivers/target/target_core_spc.c, spc_gen_naa_6h_vendor_specific).
// LVM's UUIDs are not hexadecimal, hence the hash.
func UnitSerial(identity string) string {
	h := sha256.Sum256([]byte("volreconciler:" + strings.ReplaceAll(identity, "-", "")))
	return uuidOf([16]byte(h[:16]))
}

// uuidOf returns 16 bytes as text in the form of a UUID.
func uuidOf(b [16]byte) string {
	text := make([]byte, 0, 36)
	for i, part := range [][]byte{b[0:4], b[4:6], b[6:8], b[8:10], b[10:16]} {
		if i > 0 {
			text = append(text, '-')
		}
		text = hex.AppendEncode(text, part)
	}
	return string(text)
}

// NAA returns the NAA identifier that initiators see for a unit serial, as in
// /dev/disk/by-id/wwn-0x….
func NAA(serial string) string {
	return "6001405" + spec.NAADigits(serial)
}

// NamespaceUUID returns the UUID of the NVMe namespace of a logical volume: a
// function of its identity alone, like [UnitSerial]. It is of version 8 (RFC 9562,
// section 5.8): its content is application specific.
func NamespaceUUID(identity string) string {
	h := sha256.Sum256([]byte("volreconciler:nvme:" + strings.ReplaceAll(identity, "-", "")))
	h[6] = h[6]&0x0f | 0x80 // version 8
	h[8] = h[8]&0x3f | 0x80 // variant 10
	return uuidOf([16]byte(h[:16]))
}

// NamespaceNGUID returns the NGUID that belongs to a namespace's UUID: the same 16
// bytes, as hexadecimal digits.
func NamespaceNGUID(uuid string) string { return strings.ReplaceAll(uuid, "-", "") }
