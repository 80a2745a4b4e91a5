package scenario

import (
	"fmt"
	"strings"
)

const (
	thick = "kind: Pool\nmetadata: {name: slow}\nspec: {volumeGroup: vg0, trash: 0s}"
	thin  = "kind: Pool\nmetadata: {name: fast}\nspec: {volumeGroup: vg0, trash: 0s, thinPool: {name: pool0, size: 1Gi}}"
	// The same with a time in which a deleted volume can be restored.
	thickTrash = "kind: Pool\nmetadata: {name: slow}\nspec: {volumeGroup: vg0, trash: 24h}"
	thinTrash  = "kind: Pool\nmetadata: {name: fast}\nspec: {volumeGroup: vg0, trash: 24h, thinPool: {name: pool0, size: 1Gi}}"
	hostA      = "iqn.1993-08.org.debian:01:a"
	hostB      = "iqn.1993-08.org.debian:01:b"
)

// target is the name of an Export's target, where it gives none.
func target(export string) string { return "iqn.2026-11.io.volreconciler:" + export }

// file is a file of specs. The documents need no apiVersion.
func file(documents ...string) string {
	for i, d := range documents {
		documents[i] = "apiVersion: volreconciler/v1alpha1\n" + d + "\n"
	}
	return strings.Join(documents, "---\n")
}

// volume is a Volume. more are further fields.
func volume(name, pool, size string, more ...string) string {
	return object("Volume", name, append([]string{"pool: " + pool, "size: " + size}, more...))
}

func snapshot(name, of string, more ...string) string {
	return object("Snapshot", name, append([]string{"volume: " + of}, more...))
}

// export is an Export over iSCSI.
func export(name string, fields ...string) string {
	return object("Export", name, append([]string{"protocol: iscsi"}, fields...))
}

// luns are an Export's, each a flow mapping.
func luns(entries ...string) string { return "luns: [{" + strings.Join(entries, "}, {") + "}]" }

// open are initiators that need no password.
func open(names ...string) string {
	return "initiators: [{name: '" + strings.Join(names, "'}, {name: '") + "'}]"
}

// chap is hostA with a password, from the secret of that name.
func chap(secret string) string {
	return fmt.Sprintf("initiators: [{name: '%s', auth: {chap: {username: u, passwordFrom: {file: %s}}}}]", hostA, SecretPath(secret))
}

// SecretPath is where the password of that name is kept. The password is the
// same for all that run the scenarios, see [Password].
func SecretPath(name string) string { return "/etc/volreconciler/secrets/" + name }

// Password is the password of that name.
func Password(name string) string { return "password-of-" + name }

func object(kind, name string, fields []string) string {
	return fmt.Sprintf("kind: %s\nmetadata: {name: %s}\nspec: {%s}", kind, name, strings.Join(fields, ", "))
}

// annotated adds an annotation to an object.
func annotated(document, key, value string) string {
	return strings.Replace(document, "metadata: {", fmt.Sprintf("metadata: {annotations: {%s: %q}, ", key, value), 1)
}
