package change

import (
	"fmt"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Stage makes a logical volume that is marked ondisk.Staged hold what a snapshot
// of the one that it is to replace holds, and marks it with ondisk.SyncedTag.
type Stage struct {
	LV
	// From is the snapshot, and Size how much of it there is.
	From LV        `json:"from"`
	Size spec.Size `json:"size"`
	// Since is an earlier snapshot of the same origin that the logical volume was
	// synced with: only what changed since is copied. Without a UUID all is.
	Since LV `json:"since,omitzero"`
	// Done and ReadsZero are those of [Populate].
	Done      spec.Size `json:"done,omitempty"`
	ReadsZero bool      `json:"readsZero"`
}

// Cutover copies what changed in a logical volume since the last snapshot of it to
// the one that is staged in its place, and then marks it, with one tag, as
// ondisk.Replaced. Nothing on this machine may have it open, and nothing can open it
// for itself meanwhile.
//
// It is no job: whoever had the logical volume open waits for it. If too much changed
// since the snapshot it does not begin: it tells the next plan so, by the mark of the
// staged one, and returns [ErrStale].
type Cutover struct {
	LV
	// Staged is what comes in its place.
	Staged LV `json:"staged"`
	// Since is the snapshot that Staged was synced with. Without a UUID nothing is
	// copied: Staged is a clone, and what is in the one before is given up.
	Since LV        `json:"since,omitzero"`
	Size  spec.Size `json:"size"`
}

// CutoverLimit is how much may have changed, in bytes, for a [Cutover]: initiators
// wait for as long as it takes to copy that.
const CutoverLimit = 256 << 20

// Rename gives a logical volume another name in its volume group.
type Rename struct {
	LV
	To string `json:"to"`
}

func (Stage) sealed()   {}
func (Cutover) sealed() {}
func (Rename) sealed()  {}

// Lane is the logical volume's data.
func (c Stage) Lane() string { return dataLane(c.LV) }

// Lane is the data of the one that is staged.
func (c Cutover) Lane() string { return dataLane(c.Staged) }

// System is the data in logical volumes.
func (Stage) System() observe.System { return observe.Data }

// System is the data in logical volumes.
func (Cutover) System() observe.System { return observe.Data }

// Bytes is what is left to copy; of what changed it is not known.
func (c Stage) Bytes() uint64 {
	if c.Since.UUID != "" {
		return 0
	}
	return left(c.Size, c.Done)
}

func (c Stage) String() string {
	if c.Since.UUID != "" {
		return fmt.Sprintf("copy to %s the changes up to %s", c.LV, c.From)
	}
	return fmt.Sprintf("copy %s to %s%s", c.From, c.LV, resumed(c.Done))
}

func (c Cutover) String() string {
	if c.Since.UUID == "" {
		return fmt.Sprintf("cut over to %s from %s", c.Staged, c.LV)
	}
	return fmt.Sprintf("cut over to %s from %s, with the last changes", c.Staged, c.LV)
}

func (c Rename) String() string { return fmt.Sprintf("rename %s to %s", c.LV, c.To) }
