package spec_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("An object", func() {
	// named is a Volume with the given metadata, which carries the mark.
	named := func(metadata string) string {
		return header + "Volume\nmetadata: {" + metadata + "}\nspec: {pool: fast, size: 1Gi}\n"
	}

	DescribeTable("has bad metadata",
		func(marked, path, message string) { expectOneFinding(aPool+named(marked), path, message) },
		Entry("upper case", "name: "+mark+"Db", "metadata.name", "only lower-case letters, digits and -"),
		Entry("underscore", "name: "+mark+"db_data", "metadata.name", `contains '_'`),
		Entry("dot", "name: "+mark+"db.data", "metadata.name", `contains '.'`),
		Entry("slash", "name: "+mark+"a/b", "metadata.name", `contains '/'`),
		Entry("letter of another script", "name: "+mark+"dаta", "metadata.name", `contains 'а'`),
		Entry("hyphen at the end", "name: "+mark+"db-", "metadata.name", "begin and end with a letter or digit"),
		Entry("hyphen at the beginning", "name: "+mark+"-db", "metadata.name", "begin and end with a letter or digit"),
		Entry("64 characters", "name: "+mark+strings.Repeat("a", 64), "metadata.name", "at most 63"),
		Entry("label key", "name: db, labels: {a b: "+mark+"x}", `metadata.labels["a b"]`, `contains ' '`),
		Entry("label prefix", "name: db, labels: {A.example/b: "+mark+"x}", "metadata.labels[A.example/b]", "must be a DNS name"),
		Entry("label without a name", "name: db, labels: {example.com/: "+mark+"x}", "metadata.labels[example.com/]", "the key has no name; write one after the slash"),
		Entry("label value", "name: db, labels: {a: "+mark+"'-x'}", "metadata.labels[a]", "begin and end with a letter or digit"),
		Entry("long label value", "name: db, labels: {a: "+mark+strings.Repeat("x", 64)+"}", "metadata.labels[a]", "at most 63"),
		Entry("suspension, mistyped", "name: db, annotations: {volreconciler/reconcile: "+mark+"suspend}", "metadata.annotations[volreconciler/reconcile]", "write suspended"),
		Entry("suspension as a boolean", "name: db, annotations: {volreconciler/reconcile: "+mark+"false}", "metadata.annotations[volreconciler/reconcile]", "put it in quotes"),
		Entry("annotation, mistyped", "name: db, annotations: {volreconciler/reconcil: "+mark+"suspended}", "metadata.annotations[volreconciler/reconcil]", `did you mean "volreconciler/reconcile"?`),
		Entry("recreation of nothing", "name: db, annotations: {volreconciler/recreate: "+mark+`""}`, "metadata.annotations[volreconciler/recreate]", "is not the UUID"),
		Entry("permission for nothing known", "name: db, annotations: {volreconciler/allow-deletions: "+mark+`"yes"}`, "metadata.annotations[volreconciler/allow-deletions]", "16 hexadecimal digits"),
		Entry("too many annotations", "name: db, annotations: "+mark+"{a: "+strings.Repeat("x", 256<<10)+"}", "metadata.annotations", "at most 262144"),
	)

	DescribeTable("has a name that LVM refuses",
		func(marked, path, message string) { expectOneFinding(marked, path, message) },
		Entry("VG: space", header+"Pool\nmetadata: {name: p}\nspec: {volumeGroup: "+mark+"my vg}\n", "spec.volumeGroup", `contains ' '`),
		Entry("VG: path", header+"Pool\nmetadata: {name: p}\nspec: {volumeGroup: "+mark+"/dev/vg0}\n", "spec.volumeGroup", `contains '/'`),
		Entry("VG: option", header+"Pool\nmetadata: {name: p}\nspec: {volumeGroup: "+mark+"-y}\n", "spec.volumeGroup", "begins with -"),
		Entry("VG: dots", header+"Pool\nmetadata: {name: p}\nspec: {volumeGroup: "+mark+"..}\n", "spec.volumeGroup", "cannot be a name, because LVM creates a directory entry with it; choose another name"),
		Entry("VG: length", header+"Pool\nmetadata: {name: p}\nspec: {volumeGroup: "+mark+strings.Repeat("v", 128)+"}\n", "spec.volumeGroup", "at most 127"),
		Entry("thin pool", header+"Pool\nmetadata: {name: p}\nspec: {volumeGroup: vg0, thinPool: {size: 80%, name: "+mark+"pool_tdata}}\n", "spec.thinPool.name", `contains "_tdata"`),
		Entry("thin pool, by default", header+"Pool\nmetadata: {name: snapshots}\nspec: {volumeGroup: vg0, thinPool: "+mark+"{size: 80%}}\n", "spec.thinPool.name", "default from metadata.name of the Pool"),
		Entry("LV: option", aPool+volume("db", "pool: fast, size: 1Gi, lvName: "+mark+"--force"), "spec.lvName", "begins with -"),
		Entry("LV: tag", aPool+volume("db", "pool: fast, size: 1Gi, lvName: "+mark+"'@x'"), "spec.lvName", `contains '@'`),
		Entry("LV: path", aPool+volume("db", "pool: fast, size: 1Gi, lvName: "+mark+"vg0/x"), "spec.lvName", `contains '/'`),
		Entry("LV: dot", aPool+volume("db", "pool: fast, size: 1Gi, lvName: "+mark+"'.'"), "spec.lvName", "cannot be a name, because LVM creates a directory entry with it; choose another name"),
		Entry("LV: length", aPool+volume("db", "pool: fast, size: 1Gi, lvName: "+mark+strings.Repeat("l", 116)), "spec.lvName", "at most 115"),
		Entry("LV: reserved prefix", aPool+volume("db", "pool: fast, size: 1Gi, lvName: "+mark+"pvmove0"), "spec.lvName", `begins with "pvmove"`),
		Entry("LV: reserved part", aPool+volume("db", "pool: fast, size: 1Gi, lvName: "+mark+"lvol0_pmspare"), "spec.lvName", `contains "_pmspare"`),
		Entry("LV: reserved part in the middle", aPool+volume("db", "pool: fast, size: 1Gi, lvName: "+mark+"a_mimage_0"), "spec.lvName", `contains "_mimage"`),
		Entry("LV: reserved, by default", aPool+header+"Volume\nmetadata: {name: snapshot-1}\nspec: "+mark+"{pool: fast, size: 1Gi}\n", "spec.lvName", "default from metadata.name"),
		Entry("Snapshot", aPool+aVolume+header+"Snapshot\nmetadata: {name: "+mark+"snapshot-1}\nspec: {volume: db}\n", "metadata.name", "a Snapshot's name is also the name of its logical volume)"),
		Entry("device name", aPool+volume("db", "pool: fast, size: 1Gi, lvName: "+mark+strings.Repeat("-a", 58)[1:]), "spec.lvName", "characters (hyphens are doubled); device-mapper allows"),
	)

	DescribeTable("is an Export that cannot work",
		func(marked, path, message string) {
			expectOneFinding(aPool+aVolume+export("db", marked), path, message)
		},
		Entry("protocol", "target: 'iqn.2026-11.com.example:db', luns: [{volume: db}]}\n---\n"+header+"Export\nmetadata: {name: b}\nspec: {protocol: "+mark+"nvmetcp, luns: [{volume: db}]", "spec.protocol", `"nvmetcp" is not a valid protocol; did you mean "nvme-tcp"? (allowed: iscsi, iser, nvme-tcp, nvme-rdma, fc)`),
		Entry("disconnect", "luns: [{volume: db}], disconnect: "+mark+"force", "spec.disconnect", `did you mean "Force"? (allowed: Force, Wait)`),
		Entry("target: nothing like it", "target: "+mark+"disk1, luns: [{volume: db}]", "spec.target", "is not a target name; write"),
		Entry("target: upper case", "target: "+mark+"'iqn.2026-11.com.Example:db', luns: [{volume: db}]", "spec.target", `in lower case: "iqn.2026-11.com.example:db"`),
		Entry("target: underscore", "target: "+mark+"'iqn.2026-11.com.example:db_1', luns: [{volume: db}]", "spec.target", `contains '_'`),
		Entry("target: space", "target: "+mark+"'iqn.2026-11.com.example:db 1', luns: [{volume: db}]", "spec.target", `contains ' '`),
		Entry("target: slash", "target: "+mark+"'iqn.2026-11.com.example:../db', luns: [{volume: db}]", "spec.target", `contains '/'`),
		Entry("target: month", "target: "+mark+"'iqn.2026-13.com.example:db', luns: [{volume: db}]", "spec.target", "year and month"),
		Entry("target: no date", "target: "+mark+"'iqn.com.example:db', luns: [{volume: db}]", "spec.target", "year and month"),
		Entry("target: no dot", "target: "+mark+"'iqn.2026-11.example:db', luns: [{volume: db}]", "spec.target", "needs a domain with a dot"),
		Entry("target: no colon", "target: "+mark+"iqn.2026-11.com.example, luns: [{volume: db}]", "spec.target", "has no unique part after a colon; write"),
		Entry("target: nothing after the colon", "target: "+mark+"'iqn.2026-11.com.example:', luns: [{volume: db}]", "spec.target", "has no unique part after a colon; write"),
		Entry("target: eui", "target: "+mark+"eui.0123456789abcdef, luns: [{volume: db}]", "spec.target", "is not a target name; write"),
		Entry("target: length", "target: "+mark+"'iqn.2026-11.com.example:"+strings.Repeat("a", 200)+"', luns: [{volume: db}]", "spec.target", "at most 223"),
		Entry("portals: none", "luns: [{volume: db}], portals: "+mark+"[]", "spec.portals", "is empty; list at least one portal, or leave the field out (default: 0.0.0.0:3260)"),
		Entry("portal: no port", "luns: [{volume: db}], portals: ["+mark+"192.0.2.1]", "spec.portals[0]", "is not a portal; write an IP address (no host name) and a port, for example 192.0.2.1:3260 or [2001:db8::1]:3260"),
		Entry("portal: host name", "luns: [{volume: db}], portals: ["+mark+"'storage1:3260']", "spec.portals[0]", "is not a portal; write an IP address (no host name) and a port, for example 192.0.2.1:3260 or [2001:db8::1]:3260"),
		Entry("portal: no address", "luns: [{volume: db}], portals: ["+mark+"':3260']", "spec.portals[0]", "is not a portal; write an IP address (no host name) and a port, for example 192.0.2.1:3260 or [2001:db8::1]:3260"),
		Entry("portal: IPv6 without brackets", "luns: [{volume: db}], portals: ["+mark+"'2001:db8::1:3260']", "spec.portals[0]", "in brackets"),
		Entry("portal: zone", "luns: [{volume: db}], portals: ["+mark+"'[fe80::1%eth0]:3260']", "spec.portals[0]", "zone"),
		Entry("portal: port 0", "luns: [{volume: db}], portals: ["+mark+"'192.0.2.1:0']", "spec.portals[0]", "port 0"),
		Entry("portal: port 65536", "luns: [{volume: db}], portals: ["+mark+"'192.0.2.1:65536']", "spec.portals[0]", "is not a portal; write an IP address (no host name) and a port, for example 192.0.2.1:3260 or [2001:db8::1]:3260"),
		Entry("portal: leading zero", "luns: [{volume: db}], portals: ["+mark+"'192.0.2.01:3260']", "spec.portals[0]", "is not a portal; write an IP address (no host name) and a port, for example 192.0.2.1:3260 or [2001:db8::1]:3260"),
		Entry("portal: multicast", "luns: [{volume: db}], portals: ["+mark+"'224.0.0.1:3260']", "spec.portals[0]", "multicast"),
		Entry("portal twice", "luns: [{volume: db}], portals: ['192.0.2.1:3260', "+mark+"'192.0.2.1:3260']", "spec.portals[1]", "listed twice"),
		Entry("portal twice, written differently", "luns: [{volume: db}], portals: ['[::1]:3260', "+mark+"'[0:0::1]:3260']", "spec.portals[1]", "[::1]:3260 is listed twice"),
		Entry("portal twice, as IPv4 in IPv6", "luns: [{volume: db}], portals: ['192.0.2.1:3260', "+mark+"'[::ffff:192.0.2.1]:3260']", "spec.portals[1]", "192.0.2.1:3260 is listed twice"),
		Entry("portal beside the wildcard", "luns: [{volume: db}], portals: ['0.0.0.0:3260', "+mark+"'192.0.2.1:3260']", "spec.portals[1]", "overlap: a wildcard address includes every other address on its port; keep one of them"),
		Entry("wildcard beside a portal", "luns: [{volume: db}], portals: ['[2001:db8::1]:3260', "+mark+"'[::]:3260']", "spec.portals[1]", "overlap: a wildcard address includes every other address on its port; keep one of them"),
		Entry("LUNs: none", "luns: "+mark+"[]", "spec.luns", "at least one LUN"),
		Entry("LUN: nothing", "luns: ["+mark+"{readOnly: true}]", "spec.luns[0]", "has neither volume nor snapshot; set one of them"),
		Entry("LUN: both", "luns: ["+mark+"{volume: db, snapshot: s}]", "spec.luns[0]", "has both volume and snapshot; keep one, or write two LUNs"),
		Entry("LUN: bad name", "luns: [{volume: "+mark+"DB}]", "spec.luns[0].volume", "only lower-case letters"),
		Entry("LUN: negative", "luns: [{volume: db, lun: "+mark+"-1}]", "spec.luns[0].lun", "is out of range; a LUN must be 0 to 255"),
		Entry("LUN: 256", "luns: [{volume: db, lun: "+mark+"256}]", "spec.luns[0].lun", "is out of range; a LUN must be 0 to 255"),
		Entry("initiator: nothing like it", "luns: [{volume: db}], initiators: [{name: "+mark+"client1}]", "spec.initiators[0].name", "eui.<16 hexadecimal digits> or naa.<16 hexadecimal digits>, exactly as the initiator sends it"),
		Entry("initiator: no date", "luns: [{volume: db}], initiators: [{name: "+mark+"'iqn.93-08.org.debian:a'}]", "spec.initiators[0].name", "must have the form"),
		Entry("initiator: slash", "luns: [{volume: db}], initiators: [{name: "+mark+"'iqn.1993-08.org.debian:a/b'}]", "spec.initiators[0].name", `contains '/'`),
		Entry("initiator: space", "luns: [{volume: db}], initiators: [{name: "+mark+"'iqn.1991-05.com.microsoft:a b'}]", "spec.initiators[0].name", `contains ' '`),
		Entry("initiator: short eui", "luns: [{volume: db}], initiators: [{name: "+mark+"eui.0123}]", "spec.initiators[0].name", "must be eui. followed by 16 hexadecimal digits"),
		Entry("initiator: naa that targetcli refuses", "luns: [{volume: db}], initiators: [{name: "+mark+"naa.6001405a0123456789abcdef01234567}]", "spec.initiators[0].name", "1, 2 or 5"),
		Entry("initiator twice", "luns: [{volume: db}], initiators: [{name: 'iqn.1993-08.org.debian:a'}, {name: "+mark+"'iqn.1993-08.org.debian:a'}]", "spec.initiators[1].name", "already listed as spec.initiators[0]"),
		Entry("anyone, and initiators", "luns: [{volume: db}], allowAnyInitiator: "+mark+"true, initiators: [{name: 'iqn.1993-08.org.debian:a'}]", "spec.allowAnyInitiator", "cannot be combined with initiators"),
		Entry("auth: nothing", "luns: [{volume: db}], initiators: [{name: 'iqn.1993-08.org.debian:a', auth: "+mark+"{}}]", "spec.initiators[0].auth", "is empty"),
		Entry("auth: mutual alone", "luns: [{volume: db}], initiators: [{name: 'iqn.1993-08.org.debian:a', auth: {mutual: "+mark+"{username: t, passwordFrom: {file: /s}}}}]", "spec.initiators[0].auth.mutual", "requires chap: a target authenticates itself only to an initiator that authenticates too"),
		Entry("auth: one password for both", "luns: [{volume: db}], initiators: [{name: 'iqn.1993-08.org.debian:a', auth: {chap: {username: u, passwordFrom: {file: /s}}, mutual: {username: t, passwordFrom: "+mark+"{file: /s}}}}]", "spec.initiators[0].auth.mutual.passwordFrom", "must differ"),
		Entry("username: NULL", "luns: [{volume: db}], initiators: [{name: 'iqn.1993-08.org.debian:a', auth: {chap: {username: "+mark+"'NULL', passwordFrom: {file: /s}}}}]", "spec.initiators[0].auth.chap.username", "choose another"),
		Entry("username: CHAP_R", "luns: [{volume: db}], initiators: [{name: 'iqn.1993-08.org.debian:a', auth: {chap: {username: "+mark+"'CHAP_R', passwordFrom: {file: /s}}}}]", "spec.initiators[0].auth.chap.username", "must not contain \";\" or \"CHAP_\", which the kernel reads as the end of the name or as another login key"),
		Entry("username: 0B41", "luns: [{volume: db}], initiators: [{name: 'iqn.1993-08.org.debian:a', auth: {chap: {username: "+mark+"'0B41', passwordFrom: {file: /s}}}}]", "spec.initiators[0].auth.chap.username", "encoded number"),
		Entry("username: 0x41", "luns: [{volume: db}], initiators: [{name: 'iqn.1993-08.org.debian:a', auth: {chap: {username: "+mark+"'0x41', passwordFrom: {file: /s}}}}]", "spec.initiators[0].auth.chap.username", "encoded number"),
		Entry("username: a;b", "luns: [{volume: db}], initiators: [{name: 'iqn.1993-08.org.debian:a', auth: {chap: {username: "+mark+"'a;b', passwordFrom: {file: /s}}}}]", "spec.initiators[0].auth.chap.username", "must not contain \";\" or \"CHAP_\", which the kernel reads as the end of the name or as another login key"),
		Entry("username: space", "luns: [{volume: db}], initiators: [{name: 'iqn.1993-08.org.debian:a', auth: {chap: {username: "+mark+"a b, passwordFrom: {file: /s}}}}]", "spec.initiators[0].auth.chap.username", "without spaces"),
		Entry("username: newline", "luns: [{volume: db}], initiators: [{name: 'iqn.1993-08.org.debian:a', auth: {chap: {username: "+mark+`"a\n", passwordFrom: {file: /s}}}}]`, "spec.initiators[0].auth.chap.username", `"a\n" must consist of printable`),
		Entry("username: length", "luns: [{volume: db}], initiators: [{name: 'iqn.1993-08.org.debian:a', auth: {chap: {username: "+mark+strings.Repeat("u", 256)+", passwordFrom: {file: /s}}}}]", "spec.initiators[0].auth.chap.username", "at most 255"),
		Entry("password file: relative", "luns: [{volume: db}], initiators: [{name: 'iqn.1993-08.org.debian:a', auth: {chap: {username: u, passwordFrom: {file: "+mark+"secrets/db}}}}]", "spec.initiators[0].auth.chap.passwordFrom.file", "must be an absolute path"),
		Entry("password file: ..", "luns: [{volume: db}], initiators: [{name: 'iqn.1993-08.org.debian:a', auth: {chap: {username: u, passwordFrom: {file: "+mark+"/etc/../s}}}}]", "spec.initiators[0].auth.chap.passwordFrom.file", "must be an absolute path"),
	)

	DescribeTable("is an Export whose LUNs are in each other's way",
		func(luns, path, message string) {
			expectOneFinding(aPool+aVolume+volume("web", "pool: fast, size: 1Gi")+export("db", luns), path, message)
		},
		Entry("a number twice", "luns: [{volume: db, lun: 3}, {volume: web, lun: "+mark+"3}]", "spec.luns[1].lun", "LUN 3 is already used by spec.luns[0]; give"),
		Entry("a number and a position", "luns: [{volume: db, lun: 1}, "+mark+"{volume: web}]", "spec.luns[1].lun", "the default is the position in the list, from 0)"),
		Entry("a volume twice", "luns: [{volume: db}, "+mark+"{volume: db}]", "spec.luns[1]", "Volume/db is already LUN 0"),
		Entry("some read-only, for anyone", "luns: [{volume: db, readOnly: true}, {volume: web}], allowAnyInitiator: "+mark+"true", "spec.allowAnyInitiator", "requires all LUNs or none to be readOnly: without ACLs the kernel write-protects the whole target. List the initiators, or split the Export"),
	)

	It("may be an Export for nobody yet, or for anyone", func() {
		Expect(loadText(aPool + aVolume + export("db", "luns: [{volume: db}], initiators: []")).Findings).To(BeEmpty())
		Expect(loadText(aPool + aVolume + export("db", "luns: [{volume: db, readOnly: true}], allowAnyInitiator: true")).Findings).To(BeEmpty())
		Expect(loadText(aPool + aVolume + export("db", "luns: [{volume: db}], portals: ['0.0.0.0:3260', '[::]:3260']")).Findings).To(BeEmpty())
	})
})

var _ = Describe("A target prefix", func() {
	It("is checked before it is used", func() {
		Expect(spec.CheckTargetPrefix(spec.DefaultTargetPrefix)).To(Succeed())
		Expect(spec.CheckTargetPrefix("iqn.2026-11.com.example:rack1")).To(Succeed())
		Expect(spec.CheckTargetPrefix("iqn.2026-11.com.Example")).To(MatchError(ContainSubstring("lower case")))
		Expect(spec.CheckTargetPrefix("storage")).To(MatchError(ContainSubstring("must have the form")))
		Expect(spec.CheckTargetPrefix("iqn.2026-11.com.example." + strings.Repeat("a", 150))).To(MatchError(ContainSubstring("leave room")))
	})
})
