package ondisk

import (
	"crypto/sha256"
	"encoding/hex"
)

const (
	// maxProduct is the length of a product id of SCSI.
	maxProduct = 16
	// productHash is how many characters of a longer name's hash tell it apart.
	productHash = 4
)

// ProductName returns the product id of a new disk, by which people tell disks apart (lsblk -S):
// the name of its object. Of a long name it is the beginning, and a hash.
//
// It is recorded in a tag of the logical volume and never changes, even if a later version
// would choose another name: initiators use it in names of devices.
func ProductName(name string) string {
	if len(name) <= maxProduct {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:maxProduct-productHash-1] + "-" + hex.EncodeToString(sum[:])[:productHash]
}
