package change

import (
	"fmt"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// LV names a logical volume.
type LV struct {
	VolumeGroup string `json:"volumeGroup"`
	Name        string `json:"name"`
	// UUID is that of the logical volume the plan saw; empty for one that is
	// yet to be created.
	UUID string `json:"uuid,omitempty"`
}

// String is the name that LVM's commands take: vg/lv.
func (lv LV) String() string { return lv.VolumeGroup + "/" + lv.Name }

// fullName is String, which most changes have of their own.
func (lv LV) fullName() string { return lv.String() }

// Lane is the volume group: LVM locks it as a whole anyway.
func (lv LV) Lane() string { return "vg/" + lv.VolumeGroup }

// Part is all of LVM: one report is of all volume groups.
func (LV) Part() observe.Part { return observe.AllOfLVM }

// System is LVM.
func (LV) System() observe.System { return observe.LVM }

// CreateThinPool creates a thin pool.
type CreateThinPool struct {
	LV
	Size spec.Size `json:"size"` // of its data, a multiple of the extent size
	Tags []string  `json:"tags"`
}

// GrowThinPool extends a thin pool's data.
type GrowThinPool struct {
	LV
	From spec.Size `json:"from"`
	To   spec.Size `json:"to"`
}

// CreateVolume creates a logical volume and activates it.
type CreateVolume struct {
	LV
	// ThinPool is the thin pool it lives in; empty: a thick one.
	ThinPool string    `json:"thinPool,omitempty"`
	Size     spec.Size `json:"size"`
	Tags     []string  `json:"tags"`
}

// GrowVolume extends a logical volume, online.
type GrowVolume struct {
	LV
	From spec.Size `json:"from"`
	To   spec.Size `json:"to"`
}

// CreateSnapshot creates a snapshot of a logical volume.
type CreateSnapshot struct {
	LV
	Origin string `json:"origin"`
	// OriginUUID is that of the origin that the plan saw; empty if the origin is
	// created by the same plan.
	OriginUUID string `json:"originUUID,omitempty"`
	// Thin is true for a snapshot of a thin volume.
	Thin bool `json:"thin"`
	// Size is the copy-on-write space of a thick snapshot; 0: as much as a
	// complete overwrite of the origin needs.
	Size spec.Size `json:"size,omitempty"`
	Tags []string  `json:"tags"`
}

// GrowSnapshot extends a thick snapshot's copy-on-write space.
type GrowSnapshot struct {
	LV
	From spec.Size `json:"from"`
	To   spec.Size `json:"to"`
}

// SetTags adds and removes tags. This is how a logical volume is adopted, how its
// deletion policy is recorded, and how it is moved into the trash and out of it.
type SetTags struct {
	LV
	Add    []string `json:"add,omitempty"`
	Remove []string `json:"remove,omitempty"`
}

// Activate makes a logical volume's device appear.
type Activate struct{ LV }

// Deactivate makes a logical volume's device disappear, and with it those of its
// thick snapshots, which cannot be without it.
type Deactivate struct{ LV }

// RemoveLV removes a logical volume with its data. It needs the UUID, and does
// nothing to a logical volume that does not have the object's tags or has
// snapshots that depend on it.
type RemoveLV struct {
	LV
	Tags []string `json:"tags"`
}

func (CreateThinPool) sealed() {}
func (GrowThinPool) sealed()   {}
func (CreateVolume) sealed()   {}
func (GrowVolume) sealed()     {}
func (CreateSnapshot) sealed() {}
func (GrowSnapshot) sealed()   {}
func (SetTags) sealed()        {}
func (Activate) sealed()       {}
func (Deactivate) sealed()     {}
func (RemoveLV) sealed()       {}

func (c CreateThinPool) String() string {
	return fmt.Sprintf("create thin pool %s, %s", c.LV, c.Size)
}

func (c GrowThinPool) String() string {
	return fmt.Sprintf("grow thin pool %s from %s to %s", c.LV, c.From, c.To)
}

func (c CreateVolume) String() string {
	if c.ThinPool == "" {
		return fmt.Sprintf("create thick volume %s, %s", c.LV, c.Size)
	}
	return fmt.Sprintf("create thin volume %s, %s, in %s", c.LV, c.Size, c.ThinPool)
}

func (c GrowVolume) String() string {
	return fmt.Sprintf("grow volume %s from %s to %s", c.LV, c.From, c.To)
}

func (c CreateSnapshot) String() string {
	switch {
	case c.Thin:
		return fmt.Sprintf("create thin snapshot %s of %s", c.LV, c.Origin)
	case c.Size == 0:
		return fmt.Sprintf("create thick snapshot %s of %s, with room for a complete overwrite", c.LV, c.Origin)
	default:
		return fmt.Sprintf("create thick snapshot %s of %s, with %s of copy-on-write space", c.LV, c.Origin, c.Size)
	}
}

func (c GrowSnapshot) String() string {
	return fmt.Sprintf("grow copy-on-write space of snapshot %s from %s to %s", c.LV, c.From, c.To)
}

func (c SetTags) String() string {
	var what []string
	for _, t := range c.Add {
		what = append(what, "+"+t)
	}
	for _, t := range c.Remove {
		what = append(what, "-"+t)
	}
	return fmt.Sprintf("set tags of %s: %s", c.LV, strings.Join(what, " "))
}

func (c Activate) String() string { return fmt.Sprintf("activate %s", c.LV) }

func (c Deactivate) String() string { return fmt.Sprintf("deactivate %s", c.LV) }

func (c RemoveLV) String() string { return fmt.Sprintf("remove %s and the data in it", c.LV) }
