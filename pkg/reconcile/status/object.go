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
	Ready       Phase = "Ready"       // as desired
	Progressing Phase = "Progressing" // being changed, or about to be
	Blocked     Phase = "Blocked"     // waits for somebody; nothing is tried
	Failed      Phase = "Failed"      // was tried, and will be again
	Deleting    Phase = "Deleting"    // no file names it any more; it goes away
	Orphaned    Phase = "Orphaned"    // no file names it any more; it stays
	Foreign     Phase = "Foreign"     // another installation made it; it is left alone
	Suspended   Phase = "Suspended"   // left alone because its annotation says so
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
)

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
	// Progress is how far the job has come that moves the object's data; nil: there
	// is none.
	Progress *Progress `json:"progress,omitempty"`

	Pool     *Pool   `json:"pool,omitempty"`
	Volume   *Volume `json:"volume,omitempty"`
	Export   *Export `json:"export,omitempty"`
	Snapshot *Volume `json:"snapshot,omitempty"`
	Image    *Image  `json:"image,omitempty"`
}

// ID names the object.
func (o Object) ID() spec.ID { return spec.ID{Kind: o.Kind, Name: o.Name} }

// Pool is what a Pool holds.
type Pool struct {
	VolumeGroup string `json:"volumeGroup"`
	ThinPool    string `json:"thinPool,omitempty"`
	Size        uint64 `json:"size"`
	Free        uint64 `json:"free"`
	// Provisioned is the sum of the sizes of the thin volumes in a thin pool,
	// ProvisionedAfter what it will be once the plan is carried out.
	Provisioned      uint64 `json:"provisioned,omitempty"`
	ProvisionedAfter uint64 `json:"provisionedAfter,omitempty"`
	// DataPercent and MetadataPercent say how full a thin pool is.
	DataPercent     float64 `json:"dataPercent,omitempty"`
	MetadataPercent float64 `json:"metadataPercent,omitempty"`
	// UsageUnknown is true of a thin pool that is inactive: nobody knows how full it is, and
	// Free says nothing.
	UsageUnknown bool `json:"usageUnknown,omitempty"`
}

// Volume is the logical volume of a Volume or Snapshot.
type Volume struct {
	Size       uint64 `json:"size"`
	DevicePath string `json:"devicePath"`
	LVUUID     string `json:"lvUUID"`
	// Serial is the unit serial, WWN the NAA identifier, and NamespaceUUID the UUID of
	// the NVMe namespace, that initiators see wherever it is exported.
	Serial        string `json:"serial"`
	WWN           string `json:"wwn"`
	NamespaceUUID string `json:"namespaceUUID"`
	Active        bool   `json:"active"`
	// Pool is the Pool in which the logical volume lies; empty: no Pool declares that place.
	Pool string `json:"pool,omitempty"`
	// Volume is the Volume of which a declared Snapshot is one.
	Volume string `json:"volume,omitempty"`
	// Allocated is how much space the logical volume takes, as far as LVM says it.
	Allocated uint64 `json:"allocated,omitempty"`
	// ExportedBy are the Exports through which it is exported at the moment.
	ExportedBy  []string `json:"exportedBy,omitempty"`
	DataPercent float64  `json:"dataPercent,omitempty"`
	HeldBy      []string `json:"heldBy,omitempty"`
	// CreatedAt, of a Volume, is when it was made, also if its data was moved to another logical
	// volume since, and TakenAt, of a Snapshot, since when its content is; zero: not known.
	CreatedAt time.Time `json:"createdAt,omitzero"`
	TakenAt   time.Time `json:"takenAt,omitzero"`
	// Attachments are the initiators that are logged in and see it.
	Attachments []Attachment `json:"attachments,omitempty"`
	// DeletedAt is when it went into the trash, RemovedAfter when it may be
	// removed; zero: it is not there, or it is not known.
	DeletedAt    time.Time `json:"deletedAt,omitzero"`
	RemovedAfter time.Time `json:"removedAfter,omitzero"`
}

// Export is the target of an Export.
type Export struct {
	Target string `json:"target"`
	// Protocol is what the target speaks.
	Protocol spec.Protocol `json:"protocol,omitempty"`
	Portals  []string      `json:"portals"`
	LUNs     int           `json:"luns"`
	// Sessions are the initiators that are logged in.
	Sessions []string `json:"sessions,omitempty"`
	// Connections are their sessions one by one, as far as the kernel tells more of
	// them.
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
	// Initiator is empty if the kernel says where a session comes from, but not who
	// it is.
	Initiator string `json:"initiator,omitempty"`
	// Address is the initiator's, without a port; empty if the kernel does not say it.
	Address string `json:"address,omitempty"`
	// Transport is tcp, rdma or fc.
	Transport observe.Transport `json:"transport,omitempty"`
}

// Attachment is an initiator that is logged in to an export and sees a volume.
type Attachment struct {
	Export    string `json:"export"`
	Initiator string `json:"initiator,omitempty"`
	Address   string `json:"address,omitempty"`
}
