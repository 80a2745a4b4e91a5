package specdoc

import (
	"maps"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

func volumeDocs() docs {
	d := docs{
		"": {
			Meaning: "A logical volume in a Pool.",
			Example: `apiVersion: volreconciler/v1alpha1
kind: Volume
metadata: {name: db-data}
spec:
  pool: fast
  size: 20Gi
`,
		},
		"spec": {
			Meaning: "Where the volume is, how large it is, and what it holds at first.", Example: "{pool: fast, size: 20Gi}",
		},
		"spec.pool": {
			Meaning: "The Pool that the volume is in. A change moves the volume while it is served.",
			Values:  nameOf("a Pool"), Example: "fast", See: "Moving to another Pool",
		},
		"spec.size": {
			Meaning: "The size, rounded up to the volume group's extents. It grows online; a smaller value is refused.",
			Values:  size, Example: "20Gi", See: "Growing",
		},
		"spec.lvName": {
			Meaning: "The logical volume's name. It cannot be changed later.",
			Default: "`metadata.name`", Values: lvName, Example: "legacy-name",
		},
		"spec.adopt": {
			Meaning: "Adopt an existing logical volume of that name, which nobody owns. Not together with `source`.",
			Default: "`false`", Example: "true", See: "Adopting",
		},
		"spec.serial": {
			Meaning: "The unit serial that SCSI initiators see. It cannot be changed while the volume is exported.",
			Default: "derived from the logical volume", Values: &Values{
				Text:    "at most 249 letters, digits and `_+.-=!:&#`, one of them a hexadecimal digit other than 0",
				Pattern: `^[A-Za-z0-9_+.=!:&#-]*[1-9A-Fa-f][A-Za-z0-9_+.=!:&#-]*$`, MaxLength: 249,
			},
			Example: "6dc3d746-e345-47a1-83af-9f72397e9788", See: "Serials",
		},
		"spec.source": {
			Meaning: "What the volume holds when it is created. It is read once, and can be removed afterwards.",
			Default: "none: an empty volume", OneOf: []string{"volume", "snapshot", "image", "backup"},
			Example: "{snapshot: db-before-upgrade}", See: "Sources",
		},
		"spec.source.volume": {
			Meaning: "A Volume to clone, which may be in use.", Values: nameOf("a Volume"), Example: "db-data",
		},
		"spec.source.snapshot": {
			Meaning: "A Snapshot, of any Volume.", Values: nameOf("a Snapshot"), Example: "db-before-upgrade",
		},
		"spec.source.image": {
			Meaning: "An image file, on the node or at a URL.", OneOf: []string{"path", "url"},
			Example: "{path: /srv/images/debian-13.qcow2, format: qcow2}",
		},
		"spec.source.image.path": {
			Meaning: "An image file on the node.", Values: filePath, Example: "/srv/images/debian-13.qcow2",
		},
		"spec.source.image.url": {
			Meaning: "An image file to download. With `http://` it needs `sha256`.",
			Values:  &Values{Text: "an `https://` or `http://` URL without user name, password and fragment", Pattern: `^https?://[!"$-~]+$`},
			Example: "https://images.example.org/debian-13.qcow2",
		},
		"spec.source.image.format": {
			Meaning: "The format of the image file.", Default: "detected",
			Values: enum(spec.FormatRaw, spec.FormatQCOW2, spec.FormatVMDK, spec.FormatVHDX), Example: "qcow2",
		},
		"spec.source.image.sha256": {
			Meaning: "The file's checksum, as `sha256sum` prints it. The content is not used if it differs.",
			Default: "none; for `http://` required",
			Values:  &Values{Text: "64 hexadecimal digits", Pattern: "^[0-9a-fA-F]{64}$"},
			Example: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		},
		"spec.source.image.blockSize": {
			Meaning: "The logical block size of the disk in the image, in bytes.",
			Default: "what the format says (vhdx), or `512`",
			Values:  &Values{Numbers: []int{spec.DefaultBlockSize, 4096}}, Example: "4096", See: "Disks with 4096-byte blocks",
		},
		"spec.revert": {
			Meaning: "Revert the volume to the content of one of its own Snapshots, or of a backup, once for each `request`.",
			Default: "none", OneOf: []string{"snapshot", "backup"}, Example: `{snapshot: db-before-upgrade, request: "1"}`, See: "Reverting",
		},
		"spec.revert.snapshot": {
			Meaning: "A declared Snapshot of this Volume.", Values: nameOf("a Snapshot"), Example: "db-before-upgrade",
		},
		"spec.revert.request": {
			Meaning: "A word of your choice. The revert is done once for each; another word asks for another revert.",
			Values:  word, Example: `"1"`,
		},
		"spec.deletionPolicy": deletionPolicy(),
	}
	maps.Copy(d, backupSourceDocs("spec.source.backup", "A backup in a Repository, of any Volume."))
	maps.Copy(d, backupSourceDocs("spec.revert.backup", "A backup in a Repository, of this Volume or another."))
	return d
}
