package spec_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

const hostUUID = "nqn.2014-08.org.nvmexpress:uuid:4c4c4544-0042-4a10-8052-b3c04f4d5832"

var _ = DescribeTable("CheckInitiator takes",
	func(protocol spec.Protocol, name string) {
		Expect(spec.CheckInitiator(protocol, name)).To(Succeed())
	},
	Entry("an IQN for iscsi", spec.ProtocolISCSI, "iqn.1993-08.org.debian:01:abc"),
	Entry("an IQN in upper case, of iPXE", spec.ProtocolISCSI, "iqn.2000-01.org.etherboot:UNKNOWN"),
	Entry("an IQN in upper case for iser", spec.ProtocolISER, "iqn.1993-08.org.debian:01:ABC"),
	Entry("an IQN with an underscore", spec.ProtocolISCSI, "iqn.2004-01.com.example:build_host_1"),
	Entry("an IQN of Windows", spec.ProtocolISCSI, "iqn.1991-05.com.microsoft:WIN_SRV-01.example.org"),
	Entry("an IQN with a domain of one label", spec.ProtocolISCSI, "iqn.1991-05.local:host"),
	Entry("an IQN of QEMU", spec.ProtocolISCSI, "iqn.2008-11.org.linux-kvm"),
	Entry("an IQN of AIX", spec.ProtocolISCSI, "iqn.localhost.hostid.7f000001"),
	Entry("an IQN of 223 bytes", spec.ProtocolISCSI, "iqn.2026-11.org.example:"+strings.Repeat("X", 199)),
	Entry("an EUI in upper case", spec.ProtocolISCSI, "eui.0123456789ABCDEF"),
	Entry("an NAA in upper case", spec.ProtocolISCSI, "naa.500000000000ABCD"),
	Entry("a UUID in upper case for nvme-tcp", spec.ProtocolNVMeTCP, strings.Replace(hostUUID, "4c4c4544", "4C4C4544", 1)),
	Entry("a UUID of an older nvme-cli", spec.ProtocolNVMeTCP, "nqn.2014-08.org.nvmexpress:NVMf:uuid:4c4c4544-0042-4a10-8052-b3c04f4d5832"),
	Entry("an EUI for iscsi", spec.ProtocolISCSI, "eui.0123456789abcdef"),
	Entry("an NAA for iser", spec.ProtocolISER, "naa.5000000000000001"),
	Entry("a UUID for nvme-tcp", spec.ProtocolNVMeTCP, hostUUID),
	Entry("a UUID for nvme-rdma", spec.ProtocolNVMeRDMA, hostUUID),
	Entry("an NQN with a date and a domain", spec.ProtocolNVMeTCP, "nqn.2026-11.org.example:Host_1"),
	Entry("an NQN of 223 bytes", spec.ProtocolNVMeTCP, "nqn.2026-11.org.example:"+strings.Repeat("x", 199)),
	Entry("a WWPN for fc", spec.ProtocolFC, "21:00:00:1B:32:a1:b2:c3"),
)

var _ = DescribeTable("CheckInitiator refuses",
	func(protocol spec.Protocol, name, message string) {
		Expect(spec.CheckInitiator(protocol, name)).To(MatchError(ContainSubstring(message)))
	},
	Entry("nothing, for iscsi", spec.ProtocolISCSI, "", `eui.<16 hexadecimal digits> or naa.<16 hexadecimal digits>, exactly as the initiator sends it`),
	Entry("an NQN for iscsi", spec.ProtocolISCSI, hostUUID, "eui.<16 hexadecimal digits> or naa.<16 hexadecimal digits>, exactly as the initiator sends it"),
	Entry("an IQN of 224 bytes", spec.ProtocolISER, "iqn.2026-11.org.example:"+strings.Repeat("x", 200), "has 224 bytes; at most 223 are allowed"),
	Entry("an IQN with a space", spec.ProtocolISCSI, "iqn.1993-08.org.debian:01:a b", `contains ' '`),
	Entry("an IQN with a slash", spec.ProtocolISCSI, "iqn.1993-08.org.debian:../a", `contains '/'`),
	Entry("an IQN with month 13", spec.ProtocolISCSI, "iqn.1993-13.org.debian:a", "must have the form"),
	Entry("an IQN of a date alone", spec.ProtocolISCSI, "iqn.1993-08.:a", "must have the form"),
	Entry("IQN in upper case", spec.ProtocolISCSI, "IQN.1993-08.org.debian:01:abc", "eui.<16 hexadecimal digits> or naa.<16 hexadecimal digits>, exactly as the initiator sends it"),
	Entry("nothing, for nvme", spec.ProtocolNVMeTCP, "", `"" is not an NVMe host name; write nqn.YYYY-MM.`),
	Entry("an IQN for nvme", spec.ProtocolNVMeRDMA, "iqn.1993-08.org.debian:01:abc", "is not an NVMe host name; write"),
	Entry("an NQN of 224 bytes", spec.ProtocolNVMeTCP, "nqn.2026-11.org.example:"+strings.Repeat("x", 200), "has 224 bytes; at most 223 are allowed"),
	Entry("an NQN with a comma", spec.ProtocolNVMeTCP, "nqn.2026-11.org.example:a,b", `contains ','`),
	Entry("an NQN with a slash", spec.ProtocolNVMeTCP, "nqn.2026-11.org.example:a/b", `contains '/'`),
	Entry("an NQN with a new line", spec.ProtocolNVMeTCP, "nqn.2026-11.org.example:a\n", `contains '\n'`),
	Entry("an NQN without a date", spec.ProtocolNVMeTCP, "nqn.org.example:a", "is not an NVMe host name; write"),
	Entry("an NQN with month 13", spec.ProtocolNVMeTCP, "nqn.2026-13.org.example:a", "is not an NVMe host name; write"),
	Entry("an NQN without a domain", spec.ProtocolNVMeTCP, "nqn.2026-11:a", "is not an NVMe host name; write"),
	Entry("an NQN with nothing after its domain", spec.ProtocolNVMeTCP, "nqn.2026-11.org.example:", "is not an NVMe host name; write"),
	Entry("an NQN without a colon", spec.ProtocolNVMeTCP, "nqn.2014-08.org.nvmexpress.discovery", "is not an NVMe host name; write"),
	Entry("an NQN with a broken UUID", spec.ProtocolNVMeTCP, hostUUID[:60], "must have a UUID after nqn.2014-08"),
	Entry("an NQN with no UUID", spec.ProtocolNVMeTCP, "nqn.2014-08.org.nvmexpress:uuid:", "must have a UUID after nqn.2014-08"),
	Entry("an IQN for fc", spec.ProtocolFC, "iqn.1993-08.org.debian:01:abc", "is not a port name; write"),
	Entry("an unknown protocol", spec.Protocol("aoe"), "x", `cannot check initiator names: protocol`),
)

var _ = DescribeTable("NormalizeWWPN",
	func(name, want string) {
		got, err := spec.NormalizeWWPN(name)
		if want == "" {
			Expect(err).To(MatchError(ContainSubstring("a WWPN of 16 hexadecimal digits, for example naa.2100001b32a1b2c3, 0x2100001b32a1b2c3 or 21:00:00:1b:32:a1:b2:c3")))
			Expect(got).To(BeEmpty())
			return
		}
		Expect(err).NotTo(HaveOccurred())
		Expect(got).To(Equal(want))
	},
	Entry("naa.", "naa.2100001b32a1b2c3", "naa.2100001b32a1b2c3"),
	Entry("NAA. in upper case", "NAA.2100001B32A1B2C3", "naa.2100001b32a1b2c3"),
	Entry("0x", "0x2100001b32a1b2c3", "naa.2100001b32a1b2c3"),
	Entry("0X", "0X2100001B32A1B2C3", "naa.2100001b32a1b2c3"),
	Entry("colons", "21:00:00:1b:32:A1:B2:C3", "naa.2100001b32a1b2c3"),
	Entry("digits alone", "2100001B32a1b2c3", "naa.2100001b32a1b2c3"),
	Entry("nothing", "", ""),
	Entry("zeros", "0000000000000000", ""),
	Entry("zeros with colons", "00:00:00:00:00:00:00:00", ""),
	Entry("too short", "2100001b32a1b2c", ""),
	Entry("too long", "naa.2100001b32a1b2c3d", ""),
	Entry("no hexadecimal digit", "2100001b32a1b2cg", ""),
	Entry("two prefixes", "naa.0x2100001b32a1b2c3", ""),
	Entry("a prefix and colons", "0x21:00:00:1b:32:a1:b2:c3", ""),
	Entry("colons in the wrong places", "2:100:00:1b:32:a1:b2:c3", ""),
	Entry("seven pairs", "21:00:00:1b:32:a1:b2", ""),
	Entry("space around it", " 2100001b32a1b2c3", ""),
)
