package specdoc

func snapshotDocs() docs {
	return docs{
		"": {
			Meaning: "A point-in-time copy of a Volume, in the Volume's Pool.",
			Example: `apiVersion: volreconciler/v1alpha1
kind: Snapshot
metadata: {name: db-before-upgrade}
spec:
  volume: db-data
`,
		},
		"spec": {
			Meaning: "Which Volume it is taken of.", Example: "{volume: db-data}",
		},
		"spec.volume": {
			Meaning: "The Volume. The snapshot is taken when the object first appears.",
			Values:  nameOf("a Volume"), Example: "db-data",
		},
		"spec.size": {
			Meaning: "Copy-on-write space of a thick snapshot. It may grow. It is refused in thin pools, where none is needed.",
			Default: "the origin's size", Values: size, Example: "5Gi",
		},
		"spec.deletionPolicy": deletionPolicy(),
	}
}
