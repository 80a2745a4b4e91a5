package observe

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// DataPhase says that what is in a logical volume is being changed as a whole, so
// that nobody is to use it. It is a tag, so that it outlives whoever does it.
type DataPhase string

// The phases of data.
const (
	// Populating: it is being filled from its source; what is in it is incomplete.
	Populating DataPhase = "populating"
	// Reverting: it is being put back to what a snapshot of it holds.
	Reverting DataPhase = "reverting"
	// Clearing: what was in it is being destroyed. It is no object's any more, is
	// never handed out again, and is removed when that is done.
	Clearing DataPhase = "clearing"
	// Staged: it is to come in the place of its object's logical volume, which is the
	// one that counts until it says that it was replaced.
	Staged DataPhase = "staged"
	// Replaced: another logical volume came in its place. What is in it is out of date.
	Replaced DataPhase = "replaced"
)

// KindSource is the kind, in tags, of a snapshot that exists only to be copied from,
// while a volume is filled, an image is written, or a volume moves. Its name is that of
// the volume or image; [TagFor] says which of the three it is, unless a volume is filled.
const (
	KindSource = "source"
	forImage   = "image"
	forMove    = "move"
)

// PhaseTag returns the tag that says a phase.
func PhaseTag(p DataPhase) string { return TagPhase + string(p) }

// CheckpointOfClearing is what a checkpoint of [Clearing] is of.
const CheckpointOfClearing = "clear"

// Phase returns what is being done to the content; empty: nothing. Where tags
// contradict each other, or somebody took one away, it is what is safest to believe.
func (lv LogicalVolume) Phase() DataPhase {
	checkpoint := lv.Tag(TagCheckpoint)
	has := func(p DataPhase) bool { return slices.Contains(lv.Tags, PhaseTag(p)) }
	switch {
	case has(Clearing), strings.HasPrefix(checkpoint, CheckpointOfClearing+":"):
		return Clearing
	case lv.ReplacedBy() != "":
		return Replaced
	case has(Staged), lv.Tag(TagSynced) != "":
		return Staged
	case has(Reverting), lv.Tag(TagRevert) != "":
		return Reverting
	case has(Populating), checkpoint != "":
		return Populating
	default:
		return ""
	}
}

// SourceTags returns the tags of the snapshot that a Volume is filled from, or an
// Image is written from.
func SourceTags(of spec.ID) []string {
	tags := []string{TagKind + KindSource, TagName + of.Name}
	if of.Kind == spec.KindImage {
		tags = append(tags, TagFor+forImage)
	}
	return tags
}

// SourceOf returns the Volume that is filled from this snapshot, or the Image that
// is written from it. It reports false if it is not one that was made for that.
func (lv LogicalVolume) SourceOf() (spec.ID, bool) {
	of := spec.ID{Kind: spec.KindVolume, Name: lv.Tag(TagName)}
	switch lv.Tag(TagFor) {
	case "":
	case forImage:
		of.Kind = spec.KindImage
	default:
		return spec.ID{}, false // that of a move, or by a later version
	}
	return of, lv.Tag(TagKind) == KindSource && of.Name != ""
}

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
func (lv LogicalVolume) Checkpoint(what string) uint64 {
	for _, t := range lv.TagsWith(TagCheckpoint + what + ":") {
		if n, err := strconv.ParseUint(strings.TrimPrefix(t, TagCheckpoint+what+":"), 10, 64); err == nil {
			return n
		}
	}
	return 0
}

// TagsWith returns the tags that begin with a prefix.
func (lv LogicalVolume) TagsWith(prefix string) []string {
	var tags []string
	for _, t := range lv.Tags {
		if strings.HasPrefix(t, prefix) {
			tags = append(tags, t)
		}
	}
	return tags
}
