package ondisk

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// DataPhase says that the content of a logical volume is being changed as a whole, so
// that nobody may use it. It is a tag, so that it outlives the agent's process.
type DataPhase string

// The phases of data.
const (
	// Populating: it is being filled from its source; its content is incomplete.
	Populating DataPhase = "populating"
	// Reverting: it is being reverted to what a snapshot of it holds.
	Reverting DataPhase = "reverting"
	// Clearing: it is being wiped. It belongs to no object any more, is never used
	// again, and is removed when that is done.
	Clearing DataPhase = "clearing"
	// Staged: it is being prepared to become its object's current logical volume. The
	// present one is current until its tag says that it was superseded.
	Staged DataPhase = "staged"
	// Superseded: another logical volume came in its place. What is in it is out of date.
	// No tag of [PhaseTag] says it; [TagReplacedBy] does.
	Superseded DataPhase = "replaced"
	// Unknown: what its tag says is not known to this version.
	Unknown DataPhase = "unknown"
)

// PhaseTag returns the tag that says a phase.
func PhaseTag(p DataPhase) string { return TagPhase + string(p) }

// Phase returns what is being done to the content; empty: nothing. Where tags
// contradict each other, or somebody took one away, it is what is safest to believe.
func (t Tags) Phase() DataPhase {
	has := func(p DataPhase) bool { return slices.Contains(t, PhaseTag(p)) }
	switch {
	case has(Clearing), len(t.TagsWith(TagCheckpoint+CheckpointOfClearing+":")) > 0:
		return Clearing
	case t.SupersededBy() != "":
		return Superseded
	case has(Staged), t.Tag(TagSynced) != "":
		return Staged
	case has(Reverting), t.Tag(TagRevert) != "":
		return Reverting
	case has(Populating), t.Tag(TagCheckpoint) != "":
		return Populating
	case t.Tag(TagPhase) != "":
		return Unknown
	default:
		return ""
	}
}

// What checkpoints of [Clearing] are of.
const (
	CheckpointOfClearing = "clear"
	// CheckpointOfDiscarding is of what was only discarded: that is not zero yet. It
	// is of clearing, too.
	CheckpointOfDiscarding = CheckpointOfClearing + ":discard"
)

// CheckpointTag returns the tag that says how many bytes, from the start, of what
// have reached the device. what names what is copied, the UUID of a logical volume
// or the key of an image: a copy of something else begins anew.
func CheckpointTag(what string, bytes uint64) string {
	return fmt.Sprintf("%s%s:%d", TagCheckpoint, what, bytes)
}

// Checkpoint returns how many bytes of what have reached the device; 0: none, or
// it is not known.
//
// There may be checkpoints of several sources on a volume: until it is complete,
// those of earlier sources say that there may be some of these in it.
func (t Tags) Checkpoint(what string) uint64 {
	for _, tag := range t.TagsWith(TagCheckpoint + what + ":") {
		if n, err := strconv.ParseUint(strings.TrimPrefix(tag, TagCheckpoint+what+":"), 10, 64); err == nil {
			return n
		}
	}
	return 0
}

// SyncedTag returns the tag of a staged logical volume that holds what a snapshot holds, except
// where the snapshot's origin was written to since: in at most that many bytes at the end of the
// last sync round.
func SyncedTag(snapshot string, bytes uint64) string {
	return fmt.Sprintf("%s%s:%d", TagSynced, snapshot, bytes)
}

// Interrupted is more bytes than any round copies. As those of [SyncedTag] it says
// that the origin, and not only a snapshot of that, was copied to the staged logical
// volume: a cutover began. Whoever reads it makes another round of copying first.
const Interrupted = math.MaxInt64

// Synced returns what [SyncedTag] says. It reports false if it says nothing, or two
// things at once.
func (t Tags) Synced() (snapshot string, bytes uint64, ok bool) {
	tags := t.TagsWith(TagSynced)
	if len(tags) != 1 {
		return "", 0, false
	}
	snapshot, count, _ := strings.Cut(strings.TrimPrefix(tags[0], TagSynced), ":")
	bytes, err := strconv.ParseUint(count, 10, 64)
	return snapshot, bytes, err == nil && snapshot != ""
}

// SupersededBy returns the UUID of the logical volume that replaced this
// one; empty: none did.
func (t Tags) SupersededBy() string { return t.Tag(TagReplacedBy) }

// Identity is what initiators tell a logical volume of this UUID by, as [UnitSerial]
// and [NamespaceUUID] make it, and what it is remembered by: its own UUID, or that of
// the first one that the data was in. One that was replaced has none of these: nobody
// must take it for the one in its place.
func (t Tags) Identity(uuid string) string {
	if t.SupersededBy() != "" {
		return "replaced:" + uuid
	}
	if first := t.Tag(TagIdentity); first != "" {
		return first
	}
	return uuid
}
