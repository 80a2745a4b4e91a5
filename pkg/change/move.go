package change

import (
	"fmt"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Stage is a sync round: it makes a staged logical volume hold what a snapshot of
// the current logical volume holds, and marks it with ondisk.SyncedTag.
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

// Cutover copies what changed in the current logical volume since its last snapshot to
// the staged one, and then marks the first, with one tag, as ondisk.Superseded. Nothing
// on this machine may have it open, and nothing can open it exclusively meanwhile.
//
// It is no job: the volume's initiators wait for it. If too much changed since the
// snapshot it does not begin: it tells the next plan so, by the mark of the staged
// logical volume, and returns [ErrStale].
type Cutover struct {
	LV
	// Staged becomes the current logical volume.
	Staged LV `json:"staged"`
	// Since is the snapshot that Staged was synced with. Without a UUID nothing is
	// copied: Staged is a clone, and the previous content is abandoned.
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

// Lane is the data of the staged logical volume.
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
	return bytesLeft(c.Size, c.Done)
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
