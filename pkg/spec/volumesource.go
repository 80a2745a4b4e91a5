package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// keyBytes is how much of a hash names an image or a backup: enough that two of one
// node never have the same, and short in a tag.
const keyBytes = 8

// Object returns the Volume or Snapshot that the content comes from. It reports
// false if that is an image or a backup. Whether there is such an object is not said, see
// [VolumeSource].
func (s VolumeSource) Object() (ID, bool) {
	switch {
	case s.Volume != "":
		return ID{KindVolume, s.Volume}, true
	case s.Snapshot != "":
		return ID{KindSnapshot, s.Snapshot}, true
	default:
		return ID{}, false
	}
}

// Tag returns the value of the source in a tag of LVM: volume:NAME,
// snapshot:NAME, or image: or backup: and the Key of that. It is stored on logical
// volumes, and must be the same in every version.
func (s VolumeSource) Tag() string {
	switch {
	case s.Volume != "":
		return "volume:" + s.Volume
	case s.Snapshot != "":
		return "snapshot:" + s.Snapshot
	case s.Image != nil:
		return "image:" + s.Image.Key()
	case s.Backup != nil:
		return "backup:" + s.Backup.Key()
	default:
		return ""
	}
}

// Key returns 16 hexadecimal digits that stand for an image of a valid Set: another
// path, URL, format or checksum has another key. It says nothing of what the file
// holds, and how its blocks are counted is none of it. Like [VolumeSource.Tag] it is stored, and must be the same in every version.
func (i ImageSource) Key() string {
	return keyOf(i.Path, i.URL, string(i.Format), i.SHA256)
}

// Key returns 16 hexadecimal digits that stand for what a source says, with the rules of [ImageSource.Key].
func (b BackupSource) Key() string { return keyOf(b.Repository, b.Volume, b.At) }

// keyOf hashes fields, none of which can have a NUL in it.
func keyOf(fields ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(fields, "\x00")))
	return hex.EncodeToString(sum[:keyBytes])
}
