package observe

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// A Volume moves to another Pool by being copied to a second logical volume there,
// which is [Staged] until the first one says, by one tag, that it was [Replaced]. In a
// thin pool it is put back to a snapshot in the same way, by a clone of that.

// Identity is what initiators tell a logical volume by, as [UnitSerial] and
// [NamespaceUUID] make it, and what it is remembered by: its own UUID, or that of the
// first one that the data was in. One that was replaced has none of these: nobody
// must take it for the one in its place.
func (lv LogicalVolume) Identity() string {
	if by := lv.ReplacedBy(); by != "" {
		return "replaced:" + lv.UUID
	}
	if first := lv.Tag(TagIdentity); first != "" {
		return first
	}
	return lv.UUID
}

// ReplacedBy returns the UUID of the logical volume that came in the place of this
// one; empty: none did.
func (lv LogicalVolume) ReplacedBy() string { return lv.Tag(TagReplacedBy) }

// SyncedTag returns the tag that says that a staged logical volume holds what a
// snapshot holds, at least where its origin was not written to since, and in how many
// bytes that may have been by the time that the last round of copying was done.
func SyncedTag(snapshot string, bytes uint64) string {
	return fmt.Sprintf("%s%s:%d", TagSynced, snapshot, bytes)
}

// Synced returns what [SyncedTag] says. It reports false if it says nothing, or two
// things at once.
func (lv LogicalVolume) Synced() (snapshot string, bytes uint64, ok bool) {
	tags := lv.TagsWith(TagSynced)
	if len(tags) != 1 {
		return "", 0, false
	}
	snapshot, count, _ := strings.Cut(strings.TrimPrefix(tags[0], TagSynced), ":")
	bytes, err := strconv.ParseUint(count, 10, 64)
	return snapshot, bytes, err == nil && snapshot != ""
}

// MoveTags returns the tags of a snapshot from which a Volume is copied that moves to
// another Pool.
func MoveTags(volume string) []string {
	return []string{TagKind + KindSource, TagName + volume, TagFor + forMove}
}

// MoveOf returns the Volume that moves with the help of this snapshot. It reports
// false if it is not one that was made for that.
func (lv LogicalVolume) MoveOf() (spec.ID, bool) {
	of := spec.ID{Kind: spec.KindVolume, Name: lv.Tag(TagName)}
	return of, lv.Tag(TagKind) == KindSource && lv.Tag(TagFor) == forMove && of.Name != ""
}
