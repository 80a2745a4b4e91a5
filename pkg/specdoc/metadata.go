package specdoc

import "github.com/volreconciler/volreconciler/pkg/spec"

// metadataDocs are the texts of the fields that all kinds have.
func metadataDocs(kind spec.Kind) docs {
	return docs{
		"apiVersion": {
			Meaning: "The version of the format.", Values: enum(spec.APIVersion), Example: spec.APIVersion,
		},
		"kind": {
			Meaning: "What the object is.", Values: enum(kind), Example: string(kind),
		},
		"metadata": {
			Meaning: "The name of the object, and what is known about it beside its spec.", Example: "{name: db-data}",
		},
		"metadata.name": {
			Meaning: "The name of the object, unique per kind. Another name is another object.", Values: objectName, Example: "db-data",
		},
		"metadata.labels": {
			Meaning: "Labels to select objects by, as in Kubernetes: `volreconciler get -l app=db`.",
			Keys:    labelKey, Values: labelValue, Example: "{app: db}",
		},
		"metadata.annotations": {
			Meaning: "Notes, as in Kubernetes. Those that begin with `volreconciler/` have a meaning to the agent.",
			Keys:    labelKey, Values: &Values{Text: "any text; in quotes if YAML reads another type", Empty: true},
			Example: "{volreconciler/reconcile: suspended}",
		},
		"metadata.annotations." + spec.AnnotationReconcile: {
			Meaning: "The object is observed and shown, never changed.", Values: enum("suspended"), Example: "suspended", See: "Suspended objects",
		},
		"metadata.annotations." + spec.AnnotationRecreate: {
			Meaning: "On a Volume, Snapshot or Pool that is `Blocked: Vanished`: abandon the logical volume of this UUID and create a new, empty one.",
			Values:  &Values{Text: "the UUID of a logical volume, as in the status", Pattern: "^[^ \t\r\n]+$"},
			Example: "fcZMy3-uTzw-qWm8-wI2M-UrGV-Ljb6-8kYvYs",
		},
		"metadata.annotations." + spec.AnnotationAllowDeletions: {
			Meaning: "On any Pool: delete the objects that are `Blocked: TooManyDeletions`, whose message has this token.",
			Values:  &Values{Text: "16 hexadecimal digits, in quotes", Pattern: "^[0-9a-f]{16}$"},
			Example: `"4f2a9c1be07d63a8"`, See: "Many deletions",
		},
	}
}
