package specdoc

import "github.com/volreconciler/volreconciler/pkg/spec"

func poolDocs() docs {
	return docs{
		"": {
			Meaning: "An existing volume group, with or without a thin pool.",
			Example: `apiVersion: volreconciler/v1alpha1
kind: Pool
metadata: {name: fast}
spec:
  volumeGroup: vg0
  thinPool: {name: pool0, size: 80%}
`,
		},
		"spec": {
			Meaning: "Where volumes are created, and what happens to deleted ones.", Example: "{volumeGroup: vg0}",
		},
		"spec.volumeGroup": {
			Meaning: "The LVM volume group. It is never created or removed.", Values: vgName, Example: "vg0",
		},
		"spec.thinPool": {
			Meaning: "The thin pool in which volumes are created.",
			Default: "none: thick volumes", Example: "{name: pool0, size: 80%}",
		},
		"spec.thinPool.name": {
			Meaning: "Its logical volume; created if missing. An existing thin pool that volreconciler did not create is used unchanged, and never grown.",
			Default: "the Pool's name", Values: lvName, Example: "pool0",
		},
		"spec.thinPool.size": {
			Meaning: "The size of the thin pool. It may grow, and is never shrunk.", Values: sizeOrPercent, Example: "80%",
		},
		"spec.trash": {
			Meaning: "How long a deleted Volume or Snapshot can be recovered; `0s`: it is removed at once.",
			Default: "`" + spec.DefaultTrash.String() + "`", Values: duration, Example: "72h", See: "The trash",
		},
		"spec.clear": {
			Meaning: "How a deleted thick Volume or Snapshot is wiped when it leaves the trash.",
			Default: "`" + string(spec.DefaultClear) + "`", Values: enum(spec.ClearZero, spec.ClearDiscard, spec.ClearNone), Example: "discard", See: "Wiping",
		},
	}
}

// deletionPolicy is of Volumes and Snapshots.
func deletionPolicy() Doc {
	return Doc{
		Meaning: "What happens when no file declares the object any more: its logical volume is kept, or moves into the trash.",
		Default: "`" + string(spec.DefaultDeletionPolicy) + "`", Values: enum(spec.Retain, spec.Delete), Example: "Delete", See: "The trash",
	}
}
