package specdoc

import "github.com/volreconciler/volreconciler/pkg/spec"

func imageDocs() docs {
	return docs{
		"": {
			Meaning: "A Volume or Snapshot, written to an image file on the node.",
			Example: `apiVersion: volreconciler/v1alpha1
kind: Image
metadata: {name: db-golden}
spec:
  snapshot: db-before-upgrade
  path: /srv/images/exported/db-golden.qcow2
  format: qcow2
`,
		},
		"spec": {
			Meaning: "What is written, and where to.", OneOf: []string{"volume", "snapshot"},
			Example: "{volume: db-data, path: /srv/images/db.raw, format: raw}",
		},
		"spec.volume": {
			Meaning: "A Volume, which may be in use: a temporary snapshot of it is read.",
			Values:  nameOf("a Volume"), Example: "db-data",
		},
		"spec.snapshot": {
			Meaning: "A Snapshot, of any Volume. It is read directly.",
			Values:  nameOf("a Snapshot"), Example: "db-before-upgrade",
		},
		"spec.path": {
			Meaning: "The file. Its directory must exist. It is written once, together with its checksum in `<path>.sha256`.",
			Values: &Values{
				Text: "an absolute path on the node without `.` and `..`, whose name has at most 200 bytes", Pattern: "^(/[^/]+)+$",
			},
			Example: "/srv/images/exported/db-golden.qcow2",
		},
		"spec.format": {
			Meaning: "The format of the file. The name of the file does not matter.",
			Values:  enum(spec.FormatRaw, spec.FormatQCOW2), Example: "qcow2",
		},
		"spec.compress": {
			Meaning: "Compress a qcow2, which takes much longer.", Default: "`false`", Example: "true",
		},
	}
}
