package status

import (
	"time"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Phase is the state of an object in one word.
type Phase string

// The phases.
const (
	Ready       Phase = "Ready"       // as declared
	Progressing Phase = "Progressing" // being changed, or about to be
	Blocked     Phase = "Blocked"     // waits for somebody; no change is tried
	Failed      Phase = "Failed"      // was tried, and will be again
	Deleting    Phase = "Deleting"    // undeclared; it is being removed, or waits for that
	Orphaned    Phase = "Orphaned"    // undeclared, and kept
	Foreign     Phase = "Foreign"     // another installation made it; it is not changed
	Suspended   Phase = "Suspended"   // not changed because its annotation says so
)

// Reasons, one CamelCase word each, that scripts may rely on.
const (
	ReasonAsDesired          = "AsDesired"
	ReasonConverging         = "Converging"
	ReasonSuspended          = "Suspended"
	ReasonInvalid            = "Invalid"
	ReasonObservationFailed  = "ObservationFailed"
	ReasonVolumeGroupMissing = "VolumeGroupMissing"
	ReasonDeviceMissing      = "DeviceMissing"
	ReasonNotOwned           = "NotOwned"
	ReasonForeign            = "OtherInstallation"
	ReasonNotDeclared        = "NotDeclared"
	ReasonContradiction      = "Contradiction"
	ReasonPoolDamaged        = "PoolDamaged"
	ReasonAmbiguous          = "Ambiguous"
	ReasonImmutableField     = "ImmutableField"
	ReasonShrinkRefused      = "ShrinkRefused"
	ReasonVanished           = "Vanished"
	ReasonSnapshotsExist     = "SnapshotsExist"
	ReasonSnapshotOverflow   = "SnapshotOverflow"
	ReasonNoSpace            = "NoSpace"
	ReasonNotReady           = "DependencyNotReady"
	ReasonContended          = "Contended"
	ReasonInUse              = "InUse"
	ReasonSessionsActive     = "SessionsActive"
	ReasonReservationsActive = "ReservationsActive"
	ReasonBackstoreMismatch  = "BackstoreMismatch"
	ReasonGracePeriod        = "GracePeriod"
	ReasonIncompleteInput    = "IncompleteInput"
	ReasonTooManyDeletions   = "TooManyDeletions"
	ReasonInTrash            = "InTrash"
	ReasonRetained           = "Retained"
	ReasonRemoving           = "Removing"
	ReasonUnsupported        = "Unsupported"
	ReasonSourceInvalid      = "SourceInvalid"
	ReasonClearing           = "Clearing"
	ReasonReverting          = "Reverting"
	ReasonBackupTooOld       = "BackupTooOld"
)

// Phases are all phases.
func Phases() []Phase {
	return []Phase{Ready, Progressing, Blocked, Failed, Deleting, Orphaned, Foreign, Suspended}
}

// Reasons are all reasons but those of changes that failed: they are the name of the change and Failed.
func Reasons() []string {
	return []string{
		ReasonAsDesired, ReasonConverging, ReasonSuspended, ReasonInvalid, ReasonObservationFailed, ReasonVolumeGroupMissing,
		ReasonDeviceMissing, ReasonNotOwned, ReasonForeign, ReasonNotDeclared, ReasonContradiction, ReasonPoolDamaged,
		ReasonAmbiguous, ReasonImmutableField, ReasonShrinkRefused, ReasonVanished, ReasonSnapshotsExist,
		ReasonSnapshotOverflow, ReasonNoSpace, ReasonNotReady, ReasonContended, ReasonInUse, ReasonSessionsActive,
		ReasonReservationsActive, ReasonBackstoreMismatch, ReasonGracePeriod, ReasonIncompleteInput, ReasonTooManyDeletions,
		ReasonInTrash, ReasonRetained, ReasonRemoving, ReasonUnsupported, ReasonSourceInvalid, ReasonClearing,
		ReasonReverting, ReasonBackupTooOld,
	}
}

// WaitsForOthers reports whether an object of a reason waits for initiators, users or another object, and
// so needs nobody for a while.
func WaitsForOthers(reason string) bool {
	switch reason {
	case ReasonSessionsActive, ReasonReservationsActive, ReasonInUse, ReasonNotReady, ReasonClearing, ReasonGracePeriod:
		return true
	}
	return false
}

// Object is one object's status. Sizes are in bytes.
type Object struct {
	Kind    spec.Kind `json:"kind"`
	Name    string    `json:"name"`
	Phase   Phase     `json:"phase"`
	Reason  string    `json:"reason"`
	Message string    `json:"message,omitempty"`
	// Labels are those of the file that declares the object.
	Labels map[string]string `json:"labels,omitempty"`
	// Since is when Phase and Reason last changed.
	Since time.Time `json:"since,omitzero"`
	// Progress is that of the job that copies or wipes the object's data; nil: there is none.
	Progress *Progress `json:"progress,omitempty"`
	// Drift is the last correction of a drift; nil: there was none since the agent was started.
	Drift *Drift `json:"drift,omitempty"`

	Pool     *Pool   `json:"pool,omitempty"`
	Volume   *Volume `json:"volume,omitempty"`
	Export   *Export `json:"export,omitempty"`
	Snapshot *Volume `json:"snapshot,omitempty"`
	Image    *Image  `json:"image,omitempty"`

	Repository *Repository `json:"repository,omitempty"`
	Schedule   *Schedule   `json:"schedule,omitempty"`
	Backup     *Backup     `json:"backup,omitempty"`
}

// ID names the object.
func (o Object) ID() spec.ID { return spec.ID{Kind: o.Kind, Name: o.Name} }

// Pool is the status of a Pool.
type Pool struct {
	VolumeGroup string `json:"volumeGroup"`
	ThinPool    string `json:"thinPool,omitempty"`
	Size        uint64 `json:"size"`
	Free        uint64 `json:"free"`
	// Provisioned is the sum of the sizes of the thin volumes in a thin pool,
	// ProvisionedAfter what it will be once the plan is carried out.
	Provisioned      uint64 `json:"provisioned,omitempty"`
	ProvisionedAfter uint64 `json:"provisionedAfter,omitempty"`
	// Allocated is how much of Size is taken.
	Allocated uint64 `json:"allocated,omitempty"`
	// MetadataSize is the size of a thin pool's metadata, and ChunkSize the unit in which the pool allocates.
	MetadataSize uint64 `json:"metadataSize,omitempty"`
	ChunkSize    uint64 `json:"chunkSize,omitempty"`
	// LVMMetadataFree is how much LVM's metadata of the volume group may still grow.
	LVMMetadataFree uint64 `json:"lvmMetadataFree"`
	// DataPercent and MetadataPercent say how full a thin pool is.
	DataPercent     float64 `json:"dataPercent,omitempty"`
	MetadataPercent float64 `json:"metadataPercent,omitempty"`
	// UsageUnknown is true of a thin pool that is inactive: nobody knows how full it is, and Free
	// is 0.
	UsageUnknown bool `json:"usageUnknown,omitempty"`
}

// Volume is the logical volume of a Volume or Snapshot.
type Volume struct {
	Size       uint64 `json:"size"`
	DevicePath string `json:"devicePath"`
	LVUUID     string `json:"lvUUID"`
	// Serial is the unit serial, WWN the NAA identifier, and NamespaceUUID the UUID of the NVMe
	// namespace, that initiators see wherever it is exported.
	Serial        string `json:"serial"`
	WWN           string `json:"wwn"`
	NamespaceUUID string `json:"namespaceUUID"`
	Active        bool   `json:"active"`
	// Pool is the Pool of the logical volume, by where that is; empty: no Pool declares that
	// place.
	Pool string `json:"pool,omitempty"`
	// Volume is the Volume of a declared Snapshot.
	Volume string `json:"volume,omitempty"`
	// Allocated is how much space the logical volume takes, as far as LVM reports it.
	Allocated uint64 `json:"allocated,omitempty"`
	// COWSize is the copy-on-write space of a thick Snapshot; DataPercent says how full it is.
	COWSize uint64 `json:"cowSize,omitempty"`
	// Device is the number of its block device, as in 253:7; empty: it is inactive.
	Device string `json:"device,omitempty"`
	// ExportedBy are the Exports that export it now.
	ExportedBy  []string `json:"exportedBy,omitempty"`
	DataPercent float64  `json:"dataPercent,omitempty"`
	HeldBy      []string `json:"heldBy,omitempty"`
	// CreatedAt is when a Volume was created, also if its data was moved to another logical volume
	// since. TakenAt is when a Snapshot was taken. Zero: unknown.
	CreatedAt time.Time `json:"createdAt,omitzero"`
	TakenAt   time.Time `json:"takenAt,omitzero"`
	// Attachments are the connected initiators that see it.
	Attachments []Attachment `json:"attachments,omitempty"`
	// DeletedAt is when it was put into the trash, RemovedAfter when it may be removed; zero: it
	// is not in the trash, or the time is unknown.
	DeletedAt    time.Time `json:"deletedAt,omitzero"`
	RemovedAfter time.Time `json:"removedAfter,omitzero"`
}

// Export is the target of an Export.
type Export struct {
	Target string `json:"target"`
	// Protocol is that of the target.
	Protocol spec.Protocol `json:"protocol,omitempty"`
	Portals  []string      `json:"portals"`
	LUNs     int           `json:"luns"`
	// Sessions are the connected initiators.
	Sessions []string `json:"sessions,omitempty"`
	// Connections are their sessions one by one, as far as the kernel reports them.
	Connections []Connection `json:"connections,omitempty"`
}

// Image is an image file that is complete.
type Image struct {
	Path   string           `json:"path"`
	Format spec.ImageFormat `json:"format"`
	// Size is that of the file, and SHA256 its checksum when it was written.
	Size   uint64 `json:"size"`
	SHA256 string `json:"sha256"`
}

// Connection is a session of an initiator.
type Connection struct {
	// Initiator is empty if the kernel reports where a session comes from, but not whose it is.
	Initiator string `json:"initiator,omitempty"`
	// Address is the initiator's, without a port; empty if the kernel does not report it.
	Address string `json:"address,omitempty"`
	// Transport is tcp, rdma or fc.
	Transport observe.Transport `json:"transport,omitempty"`
}

// Attachment is a connected initiator of an Export that sees a volume.
type Attachment struct {
	Export    string `json:"export"`
	Initiator string `json:"initiator,omitempty"`
	Address   string `json:"address,omitempty"`
}
