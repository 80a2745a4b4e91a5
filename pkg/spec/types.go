package spec

import (
	"fmt"
	"slices"
	"strings"
)

// APIVersion is the only value of apiVersion that this version understands.
const APIVersion = "volreconciler/v1alpha1"

// Kind says what an object describes.
type Kind string

// The kinds of objects.
const (
	KindPool     Kind = "Pool"
	KindVolume   Kind = "Volume"
	KindSnapshot Kind = "Snapshot"
	KindExport   Kind = "Export"
	KindImage    Kind = "Image"

	KindRepository       Kind = "Repository"
	KindSnapshotSchedule Kind = "SnapshotSchedule"
	KindBackup           Kind = "Backup"
)

// Kinds returns all kinds, each after those that it may depend on.
func Kinds() []Kind {
	return []Kind{KindPool, KindVolume, KindSnapshot, KindExport, KindImage, KindRepository, KindSnapshotSchedule, KindBackup}
}

// ID names an object. Names are unique per kind.
type ID struct {
	Kind Kind
	Name string
}

// String returns the ID as Kind/name, the form used in logs and plans.
func (id ID) String() string { return string(id.Kind) + "/" + id.Name }

// ParseID reads what [ID.String] wrote. Whether there is such a kind is not checked.
func ParseID(text string) ID {
	kind, name, _ := strings.Cut(text, "/")
	return ID{Kind: Kind(kind), Name: name}
}

// Annotation keys that the agent understands.
const (
	// AnnotationReconcile with the value "suspended" freezes an object: it is
	// observed and shown, never changed.
	AnnotationReconcile = "volreconciler/reconcile"
	// AnnotationRecreate allows a vanished volume, snapshot or thin pool to be created
	// anew. Its value is the UUID of the logical volume that is gone.
	AnnotationRecreate = "volreconciler/recreate"
	// AnnotationAllowDeletions on any Pool lets more objects be deleted at once
	// than is allowed otherwise. Its value is what the status of these objects
	// names; it stands for exactly these.
	AnnotationAllowDeletions = "volreconciler/allow-deletions"
)

// Metadata is what every object has.
type Metadata struct {
	// Name is a DNS-1123 label of at most 63 characters, unique per kind.
	Name string `yaml:"name"`
	// Labels and Annotations are as in Kubernetes.
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

// Suspended reports whether the object is to be left as it is.
func (m Metadata) Suspended() bool { return m.Annotations[AnnotationReconcile] == "suspended" }

// DeletionPolicy says what becomes of the data when an object's file is removed.
type DeletionPolicy string

// The deletion policies.
const (
	Retain DeletionPolicy = "Retain" // the logical volume is kept; the default
	Delete DeletionPolicy = "Delete" // the logical volume is removed
)

// Pool is a volume group, with or without a thin pool in it.
type Pool struct {
	Metadata Metadata `yaml:"metadata"`
	Spec     PoolSpec `yaml:"spec"`
}

// PoolSpec is the declared state of a Pool.
type PoolSpec struct {
	// VolumeGroup is an existing LVM volume group.
	VolumeGroup string `yaml:"volumeGroup"`
	// ThinPool asks for thin volumes; nil means thick ones.
	ThinPool *ThinPool `yaml:"thinPool,omitempty"`
	// Trash is how long a deleted Volume or Snapshot can still be restored;
	// default: [DefaultTrash], 0: it is removed at once. After defaulting it is
	// never nil.
	Trash *Duration `yaml:"trash,omitempty"`
	// Clear says what happens to the blocks of a deleted thick Volume or Snapshot
	// when it leaves the trash; default: [DefaultClear]. After defaulting it is
	// never empty.
	Clear Clear `yaml:"clear,omitempty"`
}

// Clear says what happens to blocks that nobody is to read any more.
type Clear string

// What happens to blocks. Those of thin volumes are wiped by the thin pool before
// it hands them out again.
const (
	ClearZero    Clear = "zero"    // they are overwritten with zeroes, by the device itself where it can; the default
	ClearDiscard Clear = "discard" // the blocks are discarded; what the device reads there later is undefined
	ClearNone    Clear = "none"    // they are left as they are, and can be read in the next volume that uses the space
)

// ThinPool is the LVM thin pool of a Pool.
type ThinPool struct {
	// Name is the thin pool's logical volume; default: the Pool's name.
	Name string `yaml:"name,omitempty"`
	// Size is a size, or a share of the volume group.
	Size SizeOrPercent `yaml:"size"`
}

// Volume is a logical volume.
type Volume struct {
	Metadata Metadata   `yaml:"metadata"`
	Spec     VolumeSpec `yaml:"spec"`
}

// VolumeSpec is the declared state of a Volume.
type VolumeSpec struct {
	// Pool names the Pool it lives in.
	Pool string `yaml:"pool"`
	// Size is rounded up to the volume group's extent size. It may grow.
	Size Size `yaml:"size"`
	// LVName is the logical volume's name; default: metadata.name.
	LVName string `yaml:"lvName,omitempty"`
	// Adopt adopts an existing logical volume of that name that nobody owns.
	Adopt bool `yaml:"adopt,omitempty"`
	// Serial is the unit serial that SCSI initiators see; default: it is derived from the
	// logical volume. It keeps the disk of an adopted export the same. NVMe namespaces are known
	// by a UUID, which is always derived.
	Serial string `yaml:"serial,omitempty"`
	// Source is what the volume holds when it is created; nil: nothing. It is read
	// once, and may be taken out of the file afterwards.
	Source *VolumeSource `yaml:"source,omitempty"`
	// Revert asks for the content to be reverted to that of a snapshot.
	Revert *Revert `yaml:"revert,omitempty"`
	// DeletionPolicy is Retain unless given.
	DeletionPolicy DeletionPolicy `yaml:"deletionPolicy,omitempty"`
}

// VolumeSource is where the content of a new Volume comes from: exactly one of its
// fields is given.
//
// It is read once, when the Volume is created, and what it names may go away
// afterwards. Whether that has happened is seen on the node alone, so a Set takes a
// Volume for valid whose source is undeclared, or whose source is invalid: whoever
// creates the Volume has to look. Only sources that go in a circle are findings.
type VolumeSource struct {
	// Volume is a Volume to clone, which may be in use: the clone has the content
	// of the moment at which it was begun.
	Volume string `yaml:"volume,omitempty"`
	// Snapshot is a Snapshot, of any Volume.
	Snapshot string        `yaml:"snapshot,omitempty"`
	Image    *ImageSource  `yaml:"image,omitempty"`
	Backup   *BackupSource `yaml:"backup,omitempty"`
}

// ImageSource is an image file: exactly one of Path and URL is given.
type ImageSource struct {
	// Path is an absolute path on the node.
	Path string `yaml:"path,omitempty"`
	// URL begins with https:// or http://, and has no user name, password or
	// fragment; http asks for SHA256.
	URL string `yaml:"url,omitempty"`
	// Format is detected from the file's first bytes if it is not given.
	Format ImageFormat `yaml:"format,omitempty"`
	// SHA256 is the checksum of the file as it lies there or is downloaded, 64
	// hexadecimal digits; after defaulting in lower case.
	SHA256 string `yaml:"sha256,omitempty"`
	// BlockSize is that of the logical blocks of the disk that the image was made of, in
	// bytes: 512, or 4096. If it is 0 it is what the format says, or [DefaultBlockSize].
	BlockSize int `yaml:"blockSize,omitempty"`
}

// DefaultBlockSize is that of the logical blocks that an image was made for
// unless its spec sets another.
const DefaultBlockSize = 512

// ImageFormat is the format of an image file.
type ImageFormat string

// The formats of image files.
const (
	FormatRaw   ImageFormat = "raw"
	FormatQCOW2 ImageFormat = "qcow2"
	FormatVMDK  ImageFormat = "vmdk"
	FormatVHDX  ImageFormat = "vhdx"
)

// Revert asks for the content of a Volume to be reverted to that of one of its
// Snapshots, or of a backup, once. Exactly one of the two is given.
type Revert struct {
	// Snapshot is a declared Snapshot of this Volume, valid or not.
	Snapshot string        `yaml:"snapshot,omitempty"`
	Backup   *BackupSource `yaml:"backup,omitempty"`
	// Request is a word of the user's choice, of 1 to 63 letters, digits, _, . and
	// -, not beginning with -. It is done once for each; another word asks again.
	Request string `yaml:"request"`
}

// Snapshot is a point-in-time copy of a Volume in the Volume's pool. Its logical
// volume has the Snapshot's name.
type Snapshot struct {
	Metadata Metadata     `yaml:"metadata"`
	Spec     SnapshotSpec `yaml:"spec"`
}

// SnapshotSpec is the declared state of a Snapshot.
type SnapshotSpec struct {
	// Volume names the Volume of which it is a snapshot.
	Volume string `yaml:"volume"`
	// Size is the copy-on-write space, for thick pools only; 0 means the
	// origin's size. It may grow.
	Size Size `yaml:"size,omitempty"`
	// DeletionPolicy is Retain unless given.
	DeletionPolicy DeletionPolicy `yaml:"deletionPolicy,omitempty"`
}

// Image is an image file that a Volume or Snapshot is written to, once.
type Image struct {
	Metadata Metadata  `yaml:"metadata"`
	Spec     ImageSpec `yaml:"spec"`
}

// ImageSpec is the declared state of an Image. Exactly one of Volume and Snapshot is
// given.
type ImageSpec struct {
	// Volume is a Volume, which may be in use: the image has the content of the moment
	// at which writing was begun.
	Volume string `yaml:"volume,omitempty"`
	// Snapshot is a Snapshot, of any Volume.
	Snapshot string `yaml:"snapshot,omitempty"`
	// Path is the absolute path of the file. Its directory is never created.
	Path string `yaml:"path"`
	// Format is [FormatRaw] or [FormatQCOW2].
	Format ImageFormat `yaml:"format"`
	// Compress compresses a qcow2.
	Compress bool `yaml:"compress,omitempty"`
}

// Object returns the Volume or Snapshot that the image is of.
func (i ImageSpec) Object() ID {
	if i.Snapshot != "" {
		return ID{KindSnapshot, i.Snapshot}
	}
	return ID{KindVolume, i.Volume}
}

// Export offers volumes and snapshots to initiators.
type Export struct {
	Metadata Metadata   `yaml:"metadata"`
	Spec     ExportSpec `yaml:"spec"`
}

// ExportSpec is the declared state of an Export.
type ExportSpec struct {
	Protocol Protocol `yaml:"protocol"`
	// Target is the IQN, or for NVMe the NQN; default: <targetPrefix>:<name>. For
	// Fibre Channel it is the WWPN of a port of this node, and has no default.
	Target string `yaml:"target,omitempty"`
	// Portals are the addresses served, as ip:port or [ip]:port; default:
	// 0.0.0.0:3260, for NVMe 0.0.0.0:4420. Fibre Channel has none.
	Portals []string `yaml:"portals,omitempty"`
	LUNs    []LUN    `yaml:"luns"`
	// AllowAnyInitiator serves whoever asks, without ACL or authentication.
	AllowAnyInitiator bool        `yaml:"allowAnyInitiator,omitempty"`
	Initiators        []Initiator `yaml:"initiators,omitempty"`
	// Attributes are settings of the kernel's SCSI target by its names, see
	// [Attributes]. What is not among them has the kernel's default.
	Attributes map[string]string `yaml:"attributes,omitempty"`
	// Disconnect is Wait unless given.
	Disconnect Disconnect `yaml:"disconnect,omitempty"`
	// Adopt adopts an existing iSCSI target of that name that nobody owns, and the backstores of
	// its LUNs, if they are as the Export and its Volumes say. Nothing of them is changed.
	Adopt bool `yaml:"adopt,omitempty"`
}

// Disconnect says what becomes of live sessions that would lose something.
type Disconnect string

// What becomes of live sessions.
const (
	DisconnectWait  Disconnect = "Wait"  // what they would lose is kept until they end; the default
	DisconnectForce Disconnect = "Force" // they lose it, and with a target or access list they end
)

// LUN is one logical unit of an Export: a Volume or a Snapshot.
type LUN struct {
	Volume   string `yaml:"volume,omitempty"`
	Snapshot string `yaml:"snapshot,omitempty"`
	// Number is the logical unit number, 0 to 255; default: the position in
	// the list. After defaulting it is never nil.
	Number *int `yaml:"lun,omitempty"`
	// ByPosition is true if the file does not give the number. It is not a field of files.
	ByPosition bool `yaml:"-"`
	// ReadOnly write-protects this LUN for every initiator.
	ReadOnly bool `yaml:"readOnly,omitempty"`
}

// Backing returns the object behind the LUN.
func (l LUN) Backing() ID {
	if l.Snapshot != "" {
		return ID{KindSnapshot, l.Snapshot}
	}
	return ID{KindVolume, l.Volume}
}

// Initiator is one initiator that may log in.
type Initiator struct {
	// Name is the initiator's iSCSI name, in lower case, or its host NQN or WWPN.
	Name string `yaml:"name"`
	// LUNs are the numbers that this initiator sees; nil: all.
	LUNs []int `yaml:"luns,omitempty"`
	// ReadOnly write-protects all LUNs for this initiator.
	ReadOnly bool  `yaml:"readOnly,omitempty"`
	Auth     *Auth `yaml:"auth,omitempty"`
}

// Sees reports whether the initiator is shown a LUN.
func (i Initiator) Sees(lun int) bool { return i.LUNs == nil || slices.Contains(i.LUNs, lun) }

// Auth is the authentication between an initiator and the target.
type Auth struct {
	// CHAP authenticates the initiator to the target.
	CHAP *Credentials `yaml:"chap,omitempty"`
	// Mutual authenticates the target to the initiator, besides CHAP.
	Mutual *Credentials `yaml:"mutual,omitempty"`
}

// Credentials are a user name and where its password is found.
type Credentials struct {
	// Username is not for NVMe, where the name is that of the host.
	Username     string       `yaml:"username,omitempty"`
	PasswordFrom PasswordFrom `yaml:"passwordFrom"`
	// Password is filled in from PasswordFrom when a directory is loaded on a
	// node; it is no field of the file.
	Password Secret `yaml:"-"`
}

// PasswordFrom says where a password is found.
type PasswordFrom struct {
	// File is the absolute path of a file that holds the password alone. One
	// newline at its end is not part of the password.
	File string `yaml:"file"`
}

// Secret is a value that no output shows: printed, logged or marshalled it
// reads "<redacted>".
type Secret struct{ value string }

// NewSecret returns the secret with the given value.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the value. Only the code that hands it to the kernel calls it,
// and what shows it to an administrator who asks for just that.
func (s Secret) Reveal() string { return s.value }

// Redacted replaces a password wherever it could be seen.
const Redacted = "<redacted>"

// String and the other methods below keep the value out of every output.
func (s Secret) String() string { return Redacted }

// Format covers every verb of package fmt, %#v and %x included.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Redacted)) }

// MarshalText covers JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// Set is all that is declared.
//
// The objects in it are valid by themselves and have their defaults filled in.
// Objects in Invalid are named by the files but cannot be acted on; they are in
// none of the maps of valid objects, and whatever exists for them is not changed.
type Set struct {
	Pools     map[string]Pool
	Volumes   map[string]Volume
	Snapshots map[string]Snapshot
	Exports   map[string]Export
	Images    map[string]Image

	Repositories map[string]Repository
	Schedules    map[string]SnapshotSchedule
	Backups      map[string]Backup

	// Invalid says why a declared object is excluded.
	Invalid map[ID]error
	// Withheld are those of the invalid Exports that are valid by themselves: what is wrong is
	// a password file, or another object. They say who is admitted, and are not acted on.
	Withheld map[string]Export
	// Findings are all that is wrong with the input, in the order of files and
	// lines.
	Findings []Finding
	// Warnings are what the next start may lack, and what holds though no file says it now.
	Warnings []string
	// Revision names the content of all files that were read: "sha256:" and the first half of the
	// checksum of their names and checksums. It is another one only when a file has changed.
	Revision string
	// Complete is false if there is any finding. Nothing may be deleted or
	// unexported then, because a file that cannot be read might still name it.
	Complete bool
}

// Finding is one thing that is wrong with the input.
type Finding struct {
	File   string
	Line   int // from 1; 0: the file as a whole
	Column int // from 1; 0: the line as a whole
	// Path is the field, as in spec.luns[0].volume; empty: none in particular.
	Path string
	// Object is the object concerned; zero if it is not known.
	Object ID
	Err    error
}

// Error renders the finding as file:line:column: path: what is wrong.
func (f Finding) Error() string {
	s := f.File
	if f.Line > 0 {
		s += fmt.Sprintf(":%d", f.Line)
		if f.Column > 0 {
			s += fmt.Sprintf(":%d", f.Column)
		}
	}
	if s != "" {
		s += ": "
	}
	if f.Path != "" {
		s += f.Path + ": "
	}
	return s + f.Err.Error()
}

// Unwrap returns what is wrong, without the place.
func (f Finding) Unwrap() error { return f.Err }

// Size is a number of bytes, written as a string with a unit (20Gi, 1500M) or
// as plain bytes.
type Size uint64

// SizeOrPercent is a Size or a whole percentage of the volume group, like 80%.
type SizeOrPercent struct {
	Bytes   Size
	Percent int // 1 to 95; 0: Bytes applies
}
