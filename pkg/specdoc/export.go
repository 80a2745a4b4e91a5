package specdoc

import (
	"maps"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

func exportDocs() docs {
	texts := docs{
		"": {
			Meaning: "Volumes and Snapshots that are offered to initiators.",
			Example: `apiVersion: volreconciler/v1alpha1
kind: Export
metadata: {name: db}
spec:
  protocol: iscsi
  luns:
    - volume: db-data
  initiators:
    - name: iqn.1993-08.org.debian:01:db-host
`,
		},
		"spec": {
			Meaning: "What is exported, how, and to whom.", Example: "{protocol: iscsi, luns: [{volume: db-data}]}",
		},
		"spec.protocol": {
			Meaning: "How initiators reach the Export.", Values: enum(spec.Protocols()...), Example: "nvme-tcp", See: "Protocols",
		},
		"spec.target": {
			Meaning: "The target's name: an IQN, an NQN, or for `fc` the WWPN of a port of this node.",
			Default: "`<target-prefix>:<name>`; for `fc` required",
			Values:  &Values{Text: "an IQN in lower case, an NQN or a WWPN", Pattern: "^((iqn|nqn)[.].+|" + wwpn + ")$", MaxLength: 223},
			Example: "iqn.2026-11.org.example:db", See: "Names of targets",
		},
		"spec.portals[]": {
			Meaning: "Addresses with port on which the Export is served. Not for `fc`.",
			Default: "`0.0.0.0:3260`, for NVMe `0.0.0.0:4420`",
			Values: &Values{
				Text: "an IP address and a port, as `192.0.2.1:3260` or `[2001:db8::1]:3260`", Pattern: `^(\[[0-9a-fA-F:.]+\]|[0-9.]+):[0-9]+$`,
			},
			Example: `["0.0.0.0:3260", "[::]:3260"]`, See: "Portals",
		},
		"spec.luns[]": {
			Meaning: "What is exported, at least one.", OneOf: []string{"volume", "snapshot"},
			Example: "[{volume: db-data}, {snapshot: db-before-upgrade, lun: 7, readOnly: true}]",
		},
		"spec.luns[].volume": {
			Meaning: "A Volume.", Values: nameOf("a Volume"), Example: "db-data",
		},
		"spec.luns[].snapshot": {
			Meaning: "A Snapshot. It is writable unless `readOnly` is set.", Values: nameOf("a Snapshot"), Example: "db-before-upgrade",
		},
		"spec.luns[].lun": {
			Meaning: "The logical unit number. An NVMe namespace has the next higher number.",
			Default: "its position, from 0", Values: &Values{Max: 255}, Example: "7", See: "LUN numbers",
		},
		"spec.luns[].readOnly": {
			Meaning: "Read-only for every initiator. The change waits for connected initiators, whose unflushed writes would fail. Not for NVMe.",
			Default: "`false`", Example: "true",
		},
		"spec.allowAnyInitiator": {
			Meaning: "Any initiator may log in without a password. `initiators` must be empty. Not for `fc`.",
			Default: "`false`", Example: "true", See: "Any initiator",
		},
		"spec.initiators[]": {
			Meaning: "Who may log in.", Default: "none: nobody",
			Example: "[{name: iqn.1993-08.org.debian:01:db-host}]",
		},
		"spec.initiators[].name": {
			Meaning: "The initiator's name, exactly as it sends it.",
			Values: &Values{
				Text: "an `iqn.`, `eui.` or `naa.` name, an NQN or a WWPN", Pattern: "^((iqn|eui|nqn)[.].+|" + wwpn + ")$", MaxLength: 223,
			},
			Example: "iqn.1993-08.org.debian:01:db-host", See: "Names of initiators",
		},
		"spec.initiators[].luns[]": {
			Meaning: "The numbers of the LUNs that this initiator sees. Not for NVMe.",
			Default: "all", Values: &Values{Max: 255}, Example: "[0, 7]", See: "LUN numbers",
		},
		"spec.initiators[].readOnly": {
			Meaning: "All LUNs are read-only for this initiator. Not for NVMe.", Default: "`false`", Example: "true",
		},
		"spec.initiators[].auth": {
			Meaning: "What the two ends must prove to each other. Not for `fc`.", Default: "none: no passwords",
			Example: "{chap: {username: db, passwordFrom: {file: /etc/volreconciler/secrets/db}}}", See: "Passwords",
		},
		"spec.initiators[].auth.chap": {
			Meaning: "What the initiator must prove: CHAP, for NVMe DH-HMAC-CHAP.", Default: "none",
			Example: "{username: db, passwordFrom: {file: /etc/volreconciler/secrets/db}}",
		},
		"spec.initiators[].auth.mutual": {
			Meaning: "What the target must prove to the initiator. It needs `chap`, and another password. libiscsi needs a longer user name.",
			Default: "none", Example: "{username: storage-node, passwordFrom: {file: /etc/volreconciler/secrets/node}}", See: "Logins by libiscsi",
		},
		"spec.attributes": {
			Meaning: "Settings of the kernel's SCSI target by the kernel's names. One that is not listed has the kernel's default.",
			Default: "none", Example: `{MaxOutstandingR2T: "8", queue_depth: "128"}`, See: "Attributes",
		},
		"spec.adopt": {
			Meaning: "Adopt an existing iSCSI target of that name, which nobody owns, and the backstores of its LUNs. They must be exactly as declared.",
			Default: "`false`", Example: "true", See: "Adopting a target",
		},
		"spec.disconnect": {
			Meaning: "What happens to sessions that would lose something: it remains until they end, or is removed at once.",
			Default: "`" + string(spec.DefaultDisconnect) + "`", Values: enum(spec.DisconnectWait, spec.DisconnectForce), Example: "Force", See: "Sessions",
		},
	}
	for _, end := range []string{"chap", "mutual"} {
		maps.Copy(texts, credentialDocs("spec.initiators[].auth."+end))
	}
	maps.Copy(texts, attributeDocs("spec.attributes."))
	return texts
}

// credentialDocs are the texts of a user name and where its password is.
func credentialDocs(path string) docs {
	return docs{
		path + ".username": {
			Meaning: "The user name. Required, except for NVMe, where the name is that of the host.",
			Values: &Values{
				Text: "printable ASCII without spaces and `;`, at most 255 bytes, not beginning with `NULL`, `0x` or `0b`", Pattern: "^[!-:<-~]+$", MaxLength: 255,
			},
			Example: "db",
		},
		path + ".passwordFrom": {
			Meaning: "Where the password is.", Example: "{file: /etc/volreconciler/secrets/db}",
		},
		path + ".passwordFrom.file": {
			Meaning: "A file with only the password, or for NVMe the key. Nobody but root may have any right to it.",
			Values:  filePath, Example: "/etc/volreconciler/secrets/db", See: "Passwords",
		},
	}
}
