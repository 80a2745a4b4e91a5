package spec_test

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"regexp"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// exportOver is an Export of a protocol of the Volume db.
func exportOver(protocol, fields string) string {
	return header + "Export\nmetadata: {name: web}\nspec: {protocol: " + protocol + ", luns: [{volume: db}]" + fields + "}\n---\n"
}

var _ = DescribeTable("An Export of a protocol has the names and places of it", func(protocol, fields, target string, portals []string) {
	set := loadText(aPool + aVolume + exportOver(protocol, fields))
	Expect(errorsOf(set.Findings)).To(BeEmpty())
	Expect(set.Exports["web"].Spec.Target).To(Equal(target))
	Expect(set.Exports["web"].Spec.Portals).To(Equal(portals))
},
	Entry(nil, "iscsi", "", "iqn.2026-11.io.volreconciler:web", []string{"0.0.0.0:3260"}),
	Entry(nil, "iser", "", "iqn.2026-11.io.volreconciler:web", []string{"0.0.0.0:3260"}),
	Entry(nil, "nvme-tcp", "", "nqn.2026-11.io.volreconciler:web", []string{"0.0.0.0:4420"}),
	Entry(nil, "nvme-rdma", ", portals: ['[2001:db8::1]:4421']", "nqn.2026-11.io.volreconciler:web", []string{"[2001:db8::1]:4421"}),
	Entry(nil, "fc", ", target: '21:00:00:1B:32:a1:b2:c3'", "naa.2100001b32a1b2c3", nil),
)

var _ = Describe("Initiators", func() {
	It("have one form of a WWPN, however it is written", func() {
		set := loadText(aPool + aVolume + exportOver("fc", ", target: '0x2100001b32a1b2c3', initiators: [{name: '20:00:00:1B:32:A1:B2:C4'}]"))
		Expect(errorsOf(set.Findings)).To(BeEmpty())
		Expect(set.Exports["web"].Spec.Initiators).To(HaveExactElements(HaveField("Name", "naa.2000001b32a1b2c4")))
	})

	It("see all LUNs, or those that are listed for them", func() {
		set := loadText(aPool + aVolume + exportOver("iscsi", ", initiators: [{name: iqn.1993-08.org.debian:a, luns: [0]}, {name: iqn.1993-08.org.debian:b}]"))
		Expect(errorsOf(set.Findings)).To(BeEmpty())
		listed, all := set.Exports["web"].Spec.Initiators[0], set.Exports["web"].Spec.Initiators[1]
		Expect([]bool{listed.Sees(0), listed.Sees(1), all.Sees(0), all.Sees(1)}).To(Equal([]bool{true, false, true, true}))
	})
})

var _ = DescribeTable("An Export asks for what its protocol does not have", func(protocol, marked, path, message string) {
	expectOneFinding(aPool+aVolume+exportOver(protocol, marked), path, message)
},
	Entry("iqn for NVMe", "nvme-tcp", ", target: "+mark+"'iqn.2026-11.com.example:web'", "spec.target", "is not an NVMe subsystem name; write"),
	Entry("nqn for iSCSI", "iscsi", ", target: "+mark+"'nqn.2026-11.com.example:web'", "spec.target", "is not a target name; write"),
	Entry("the discovery service", "nvme-tcp", ", target: "+mark+"'nqn.2014-08.org.nvmexpress.discovery:x'", "spec.target", "is reserved for the discovery service; choose another name"),
	Entry("an NQN with a slash", "nvme-tcp", ", target: "+mark+"'nqn.2026-11.com.example:../web'", "spec.target", "contains '/'"),
	Entry("a write-protected namespace", "nvme-tcp", "}\n---\n"+header+"Export\nmetadata: {name: b}\nspec: {protocol: nvme-tcp, luns: [{volume: db, readOnly: "+mark+"true}]", "spec.luns[0].readOnly", "the kernel's NVMe target cannot write-protect a namespace; use iscsi, or export a copy"),
	Entry("a host that may only read", "nvme-rdma", ", initiators: [{name: 'nqn.2014-08.com.example:h', readOnly: "+mark+"true}]", "spec.initiators[0].readOnly", "the kernel's NVMe target cannot write-protect a namespace; use iscsi, or export a copy"),
	Entry("a host that sees less", "nvme-tcp", ", initiators: [{name: 'nqn.2014-08.com.example:h', luns: "+mark+"[0]}]", "spec.initiators[0].luns", "every host sees all namespaces"),
	Entry("a user name", "nvme-tcp", ", initiators: [{name: 'nqn.2014-08.com.example:h', auth: {chap: {username: "+mark+"u, passwordFrom: {file: /k}}}}]", "spec.initiators[0].auth.chap.username", "where a host authenticates with its own name; remove it"),
	Entry("no user name", "iscsi", ", initiators: [{name: 'iqn.1993-08.org.debian:a', auth: {chap: "+mark+"{passwordFrom: {file: /k}}}}]", "spec.initiators[0].auth.chap.username", "is missing"),
	Entry("no port", "iscsi", "}\n---\n"+header+"Export\nmetadata: {name: b}\nspec: "+mark+"{protocol: fc, luns: [{volume: db}]", "spec.target", "is required with fc; write the WWPN of a port of this node (see /sys/class/fc_host/*/port_name)"),
	Entry("a portal", "fc", ", target: naa.2100001b32a1b2c3, portals: "+mark+"['0.0.0.0:3260']", "spec.portals", "is not possible with fc, where the target itself is a port; remove it"),
	Entry("a password", "fc", ", target: naa.2100001b32a1b2c3, initiators: [{name: naa.2100001b32a1b2c4, auth: "+mark+"{chap: {username: u, passwordFrom: {file: /k}}}}]", "spec.initiators[0].auth", "has no passwords"),
	Entry("anybody", "fc", ", target: naa.2100001b32a1b2c3, allowAnyInitiator: "+mark+"true", "spec.allowAnyInitiator", "list the initiators"),
	Entry("a WWPN with too many digits", "fc", ", target: "+mark+"naa.2100001b32a1b2c3d", "spec.target", "is not a port name; write a WWPN of 16"),
	Entry("an IQN on Fibre Channel", "fc", ", target: naa.2100001b32a1b2c3, initiators: [{name: "+mark+"iqn.1993-08.org.debian:a}]", "spec.initiators[0].name", "is not a port name; write a WWPN of 16"),
	Entry("a LUN that is not there", "iscsi", ", initiators: [{name: iqn.1993-08.org.debian:a, luns: ["+mark+"1]}]", "spec.initiators[0].luns[0]", "LUN 1 does not exist in this Export; write a number from spec.luns"),
	Entry("a LUN twice", "iscsi", ", initiators: [{name: iqn.1993-08.org.debian:a, luns: [0, "+mark+"0]}]", "spec.initiators[0].luns[1]", "listed twice"),
	Entry("no LUN at all", "iscsi", ", initiators: [{name: iqn.1993-08.org.debian:a, luns: "+mark+"[]}]", "spec.initiators[0].luns", "is empty; list LUN numbers of this Export, or leave the field out to allow all LUNs"),
)

var _ = Describe("The key of an NVMe host", func() {
	// key is as nvme gen-dhchap-key makes it.
	key := func(kind, raw string) string {
		sum := binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(raw)))
		return "DHHC-1:" + kind + ":" + base64.StdEncoding.EncodeToString(append([]byte(raw), sum...)) + ":"
	}
	const raw = "0123456789abcdef0123456789abcdef"

	load := func(ctx SpecContext, keys ...string) spec.Set {
		dir := GinkgoT().TempDir()
		text := aPool + aVolume
		for i, k := range keys {
			name := string(rune('a' + i))
			write(filepath.Join(dir, "keys", name), k)
			text += header + "Export\nmetadata: {name: " + name + "}\nspec: {protocol: nvme-tcp, luns: [{volume: db}], initiators: " +
				"[{name: 'nqn.2014-08.com.example:h', auth: {chap: {passwordFrom: {file: " + filepath.Join(dir, "keys", name) + "}}}}]}\n---\n"
		}
		write(filepath.Join(dir, "specs", "x.yaml"), text)
		return spec.NewSource(filepath.Join(dir, "specs"), spec.Options{Settle: quick, Secrets: true}).Load(ctx)
	}

	It("is taken as nvme-cli makes it", func(ctx SpecContext) {
		Expect(errorsOf(load(ctx, key("00", raw)+"\n").Findings)).To(BeEmpty())
		Expect(errorsOf(load(ctx, key("03", raw+raw)).Findings)).To(BeEmpty())
	})

	DescribeTable("is refused, and not repeated", func(ctx SpecContext, text, message string) {
		set := load(ctx, text)
		Expect(errorsOf(set.Findings)).To(HaveExactElements(And(ContainSubstring(message), Not(ContainSubstring(text)))))
		Expect(set.Exports).To(BeEmpty())
	},
		Entry("a password", "correct horse battery", "of the form DHHC-1:00:"),
		Entry("an unknown transformation", key("04", raw), "must have 00, 01, 02 or 03"),
		Entry("a length that does not fit", key("02", raw), "must be [48] bytes"),
		Entry("no base64", "DHHC-1:00:!!!!!!!!!!!!:", "in base64"),
		Entry("a wrong character", key("00", raw)[:11]+"A"+key("00", raw)[12:], "the key in the file does not match its checksum: a character is wrong or missing"),
	)

	It("is one for all Exports, because the kernel knows a host once", func(ctx SpecContext) {
		set := load(ctx, key("00", raw), key("00", "x"+raw[1:]))
		Expect(errorsOf(set.Findings)).To(HaveExactElements(ContainSubstring("one per node, not per Export")))
		Expect(set.Exports).To(BeEmpty())
	})
})

var _ = Describe("Protocols", func() {
	It("are all that there are", func() {
		source, err := os.ReadFile("protocol.go")
		Expect(err).NotTo(HaveOccurred())
		var names []spec.Protocol
		for _, constant := range regexp.MustCompile(`(?m)^\tProtocol\w+ +Protocol = "(.*?)"`).FindAllStringSubmatch(string(source), -1) {
			names = append(names, spec.Protocol(constant[1]))
		}
		Expect(spec.Protocols()).To(Equal(names))
	})

	// Whoever adds one must say here what it is like: much of this package asks only whether it is
	// one of NVMe or Fibre Channel, and would take it for iSCSI.
	It("each have a default place, and the names of one family", func() {
		names := map[string]string{"iqn": "iqn.1993-08.org.debian:a", "nqn": "nqn.2014-08.com.example:h", "wwpn": "0x2100001b32a1b2c3"}
		like := map[spec.Protocol]struct{ portal, family string }{
			spec.ProtocolISCSI:    {"0.0.0.0:3260", "iqn"},
			spec.ProtocolISER:     {"0.0.0.0:3260", "iqn"},
			spec.ProtocolNVMeTCP:  {"0.0.0.0:4420", "nqn"},
			spec.ProtocolNVMeRDMA: {"0.0.0.0:4420", "nqn"},
			spec.ProtocolFC:       {"", "wwpn"},
		}
		for _, p := range spec.Protocols() {
			Expect(like).To(HaveKey(p), "say here what its names and its default portal are")
			Expect(p.DefaultPortal()).To(Equal(like[p].portal), "%s", p)
			Expect(p.IsNVMe()).To(Equal(like[p].family == "nqn"), "%s", p)
			for family, name := range names {
				initiator := spec.CheckInitiator(p, name) == nil
				target := loadText(aPool+aVolume+exportOver(string(p), ", target: '"+name+"'")).Findings == nil
				Expect([]bool{initiator, target}).To(HaveEach(family == like[p].family), "%s %s", p, name)
			}
		}
	})
})
