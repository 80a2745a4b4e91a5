package change

import (
	"cmp"
	"fmt"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// Backstore names a LIO storage object by its path below core/.
type Backstore struct {
	HBA  string `json:"hba"`
	Name string `json:"name"`
}

// Path is the backstore's place below core/.
func (b Backstore) Path() string { return b.HBA + "/" + b.Name }

// Lane is the backstore: all others may change beside it.
func (b Backstore) Lane() string { return "backstore/" + b.Path() }

// Part is its directory.
func (b Backstore) Part() observe.Part { return observe.Part(observe.BackstoreDir(b.HBA, b.Name)) }

// System is LIO.
func (Backstore) System() observe.System { return observe.LIO }

// CreateBackstore binds a backstore to a logical volume. The unit serial that
// initiators see is derived from Identity, see [ondisk.UnitSerial].
type CreateBackstore struct {
	Backstore
	Device string `json:"device"`
	// LVUUID is the UUID that the logical volume must have; empty if the
	// logical volume is created by the same plan.
	LVUUID string `json:"lvUUID,omitempty"`
	// Identity is that of the logical volume, see [observe.LogicalVolume.Identity];
	// empty: the UUID of the logical volume behind Device.
	Identity string `json:"identity,omitempty"`
	ReadOnly bool   `json:"readOnly,omitempty"`
	// Unmap lets the initiators' discards through.
	Unmap bool `json:"unmap,omitempty"`
	// Serial is the unit serial if it is not derived from Identity.
	Serial string `json:"serial,omitempty"`
	// Product is the product id that initiators are shown, where the kernel lets it be
	// set; empty: the kernel's own.
	Product string `json:"product,omitempty"`
}

// UnitSerial returns the unit serial that initiators are to see, given the UUID of the logical
// volume behind Device.
func (c CreateBackstore) UnitSerial(lvUUID string) string {
	return cmp.Or(c.Serial, ondisk.UnitSerial(cmp.Or(c.Identity, lvUUID)))
}

// AdoptBackstore marks a backstore that somebody else made as that of an object. It does nothing
// unless the backstore is bound to the logical volume, with the serial by which initiators know it.
// Live sessions continue.
type AdoptBackstore struct {
	Backstore
	// Mark is what is written: the name that a backstore of ours would have, see
	// [ondisk.BackstoreName].
	Mark string `json:"mark"`
	// Device, LVUUID, Serial and ReadOnly are what the backstore must have.
	Device   string `json:"device"`
	LVUUID   string `json:"lvUUID"`
	Serial   string `json:"serial"`
	ReadOnly bool   `json:"readOnly,omitempty"`
}

// SetUnmap sets whether the initiators' discards reach the device.
type SetUnmap struct {
	Backstore
	Unmap bool `json:"unmap"`
}

// SetBackstoreAttribute sets an attribute of a backstore that the exports of its
// volume may set, see [spec.Attributes].
type SetBackstoreAttribute struct {
	Backstore
	Attribute string `json:"attribute"`
	Value     string `json:"value"`
}

// RemoveBackstore removes a backstore and releases its device. Nothing may be linked to it.
type RemoveBackstore struct{ Backstore }

func (CreateBackstore) sealed()       {}
func (AdoptBackstore) sealed()        {}
func (SetUnmap) sealed()              {}
func (SetBackstoreAttribute) sealed() {}
func (RemoveBackstore) sealed()       {}

func (c CreateBackstore) String() string {
	return fmt.Sprintf("create backstore %s on %s%s", c.Path(), c.Device, readOnly(c.ReadOnly))
}

func (c AdoptBackstore) String() string {
	return fmt.Sprintf("adopt backstore %s, serial %s, on %s", c.Path(), c.Serial, c.Device)
}

func (c SetUnmap) String() string {
	return fmt.Sprintf("set unmap of backstore %s to %t", c.Path(), c.Unmap)
}

func (c SetBackstoreAttribute) String() string {
	return fmt.Sprintf("set %s of backstore %s to %s", c.Attribute, c.Path(), c.Value)
}

func (c RemoveBackstore) String() string { return fmt.Sprintf("remove backstore %s", c.Path()) }

func readOnly(yes bool) string {
	if yes {
		return ", read-only"
	}
	return ""
}
