// Package ondisk holds everything by which the agent recognizes its own objects on a
// machine: tags, marks and identities. It is a format that outlives every process: each
// later version has to read it, on every node on which an earlier version ran.
//
// On logical volumes there are tags, all with the prefix volreconciler/ (package spec
// says what the values may hold that come from a file):
//
//	kind=        pool, volume or snapshot, and which one: the owner; or source, a
//	name=          snapshot that is only copied from
//	by=          the installation that made it, and after a colon the name of its node
//	for=         of such a one: image, or move; a volume is filled without it
//	deletion=    delete or retain: what may happen to the data without a file
//	deleted=     since when it is in the trash
//	phase=       populating, reverting, clearing or staged
//	source=      what a volume is filled from, or was
//	filled       what was to be written as a whole is there
//	checkpoint=  what is being copied, or how it is cleared, and how many bytes are done
//	revert=      the request of a revert that is being done
//	reverted=    that of one that was done
//	identity=    the UUID of the first logical volume that the data was in
//	created=     when that one was made, where it is another one
//	origin=      on a Snapshot, by hand: the identity of the volume that it is of
//	synced=      the snapshot that a staged logical volume holds, and how many bytes
//	               had changed in its origin since
//	since=       of a snapshot: the one that was copied before it
//	rounded=     the size that was asked for, and what rounding made of it where the volume
//	             was before
//	product=     the product id that initiators are shown; those that older agents made
//	               have none, and the kernel's own
//	replaced-by= the UUID of the logical volume that is the current one instead
//
// On targets there are marks, which name their owner, and the identities by which
// initiators recognize a volume. Those must never change for the same data:
//
//	iSCSI (LIO)    volreconciler:EXPORT in auth/userid_mutual; of older agents in the alias
//	Fibre Channel  volreconciler:EXPORT as the name of the symlinks of its LUNs
//	NVMe           the model number volreconciler, and [SubsystemSerial]; its ports are
//	                 those from [FirstNVMePort] on
//	tgtd           volreconciler:EXPORT among the addresses that it admits, with the mark
//	                 of its passwords, and [GuardAccount] as its first account
//	backstores     volreconciler:KIND:NAME, each in a directory of its own from [HBA] on
//	SCSI LUNs      [UnitSerial], and of tgtd [NAA]
//	namespaces     [NamespaceUUID] and [NamespaceNGUID]
//
// A Volume that moves to another Pool is copied to a second logical volume there,
// which is [Staged] until the cutover: one tag on the first logical volume, which then
// is [Superseded]. In a thin pool a revert is done in the same way, with a clone of the
// snapshot.
//
// The package decides nothing and touches nothing: package observe reads what is on the
// machine, and the packages below actuators write it. Start reading at [Tags] and
// [TargetMark]; docs/format.md describes the same format for administrators.
package ondisk
