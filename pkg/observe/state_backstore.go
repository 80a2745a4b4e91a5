package observe

import (
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Targets is what LIO holds.
type Targets struct {
	// Backstores by their path below core/, as in iblock_0/name.
	Backstores map[string]Backstore
	// ISCSI are the iSCSI targets by name, FC the Fibre Channel ones by their
	// WWPN, in the form of spec: naa. and 16 digits.
	ISCSI map[string]Target
	FC    map[string]Target
	// Discovery is the authentication that initiators need to discover the iSCSI targets.
	Discovery DiscoveryAuth
}

// Backstore is a LIO storage object.
type Backstore struct {
	// HBA and Name are the two levels of its path: core/<HBA>/<Name>.
	HBA, Name string
	// Enabled is false until the backstore is bound to its device.
	Enabled bool
	// BlockDevice is the kernel's name of the device it is bound to, as in
	// dm-3; empty while it is not enabled.
	BlockDevice string
	Device      string // udev_path
	Serial      string // vpd_unit_serial
	ReadOnly    bool
	// Mark is the alias of a backstore that somebody else made, which is where the agent marks a
	// backstore that it adopts. Of our own backstores it is empty: their name is the mark.
	Mark string
	// Product is the product id that initiators see of a backstore that somebody else made; empty:
	// the kernel does not tell it. It is read, like Special and Attributes, if something will be adopted.
	Product string
	// Special is what such a backstore shows to initiators, and a backstore of ours cannot.
	Special []string
	// Unmap is emulate_tpu: discards of the initiators reach the device.
	Unmap bool
	// UnmapBySame is emulate_tpws: they reach it by WRITE SAME as well. HidesLimits is
	// true if Linux initiators do not find the limits of UNMAP, so that they discard
	// by WRITE SAME or not at all, see [Backstore.UnmapIs]. Both are read of our own
	// backstores.
	UnmapBySame, HidesLimits bool
	// CanUnmap is true if the device supports discards; else Unmap cannot be set.
	CanUnmap bool
	// Registrations are the initiators that registered a key for persistent reservations.
	// They are read of our own backstores.
	Registrations []Registration
	// Attributes are those that an Export may set, as far as the kernel has them.
	// They are read of our own backstores.
	Attributes map[string]string
}

// Path is the backstore's place below core/.
func (b Backstore) Path() string { return b.HBA + "/" + b.Name }

// UnmapIs reports whether all is set for discards to reach the device, or for none to
// do so.
//
// Since the kernel knows of atomic writes, it ends the Block Limits page after 44 bytes
// for a device that has none (spc_emulate_evpd_b0 in drivers/target/target_core_spc.c).
// Linux initiators read limits of UNMAP only in a page of 64 bytes (sd_read_block_limits
// in drivers/scsi/sd.c); without these they use WRITE SAME if it is offered.
func (b Backstore) UnmapIs(on bool) bool {
	return b.Unmap == on && b.UnmapBySame == (on && b.HidesLimits)
}

// Owner returns the object whose backstore this is, by its name, or by its mark if it was adopted.
func (b Backstore) Owner() (spec.ID, bool) {
	if id, ours := ondisk.BackstoreOwner(b.Name); ours {
		return id, true
	}
	return ondisk.BackstoreOwner(b.Mark)
}

// IsAdopted reports whether somebody else made a backstore that is ours.
func (b Backstore) IsAdopted() bool {
	_, made := ondisk.BackstoreOwner(b.Name)
	_, ours := b.Owner()
	return ours && !made
}
