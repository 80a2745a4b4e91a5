package observe

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = DescribeTable("the sessions in an ACL's info",
	func(info string, want ...Session) {
		sessions := parseConnections(info, "iqn.a:b")
		Expect(append([]Session{}, sessions...)).To(Equal(append([]Session{}, want...)))
	},
	Entry("none", "No active iSCSI Session for Initiator Endpoint: iqn.a:b\n"),
	Entry("TCP", "InitiatorName: iqn.a:b\nCID: 0  Connection State: TARG_CONN_STATE_LOGGED_IN\n   Address 10.0.0.2 TCP  StatSN: 0xb2bc88ef\n", Session{"iqn.a:b", "10.0.0.2", TCP}),
	Entry("IPv6, two connections, one of them iSER",
		"InitiatorName: iqn.a:b\nCID: 0  Connection State: X\n   Address fd00::2 TCP  StatSN: 0x1\nCID: 1  Connection State: X\n   Address [fd00::3] SCTP  StatSN: 0x1\n",
		Session{"iqn.a:b", "fd00::2", TCP}, Session{"iqn.a:b", "fd00::3", RDMA}),
	Entry("an alias that looks like one", "InitiatorName: iqn.a:b\nInitiatorAlias: Address\n"),
)

var _ = Describe("parsing what LIO tells", func() {
	DescribeTable("a block backstore",
		func(info string, want blockBackstore) {
			Expect(parseBackstoreInfo(info)).To(Equal(want))
		},
		Entry("bound", "Status: ACTIVATED  Max Queue Depth: 0  SectorSize: 512  HwMaxSectors: 128\n"+
			"        iBlock device: dm-6  UDEV PATH: /dev/vg0/t2  readonly: 1\n        Major: 253 Minor: 6  CLAIMED: IBLOCK\n",
			blockBackstore{blockDevice: "dm-6", path: "/dev/vg0/t2", readOnly: true}),
		Entry("told its device but not bound", "Status: DEACTIVATED  Max Queue Depth: 0  SectorSize: 0  HwMaxSectors: 0\n"+
			"          UDEV PATH: /dev/vg0/v1  readonly: 0\n        Major: 0 Minor: 0\n",
			blockBackstore{path: "/dev/vg0/v1"}),
		Entry("untouched", "Status: DEACTIVATED  Max Queue Depth: 0  SectorSize: 0  HwMaxSectors: 0\n"+
			"          readonly: 0\n        Major: 0 Minor: 0\n",
			blockBackstore{}),
		Entry("of a kernel that says more", "Status: ACTIVATED\n        iBlock device: dm-0  UDEV PATH: /dev/a b/c  readonly: 0  exclusive: 1\n",
			blockBackstore{blockDevice: "dm-0", path: "/dev/a b/c"}),
	)

	It("does not take a backstore of another kind for one", func() {
		_, err := parseBackstoreInfo("Status: DEACTIVATED\n        TCM FILEIO ID: 0        File: /tmp/f  Size: 1  Mode: Buffered-WCE Async: 0\n")
		Expect(err).To(MatchError(ContainSubstring("cannot parse the description of a block backstore")))
	})

	DescribeTable("a unit serial",
		func(text, want string) { Expect(parseUnitSerial(text)).To(Equal(want)) },
		Entry("set", "T10 VPD Unit Serial Number: 1944ffe3-5b92\n", "1944ffe3-5b92"),
		Entry("unset", "T10 VPD Unit Serial Number: \n", ""),
	)

	DescribeTable("a portal",
		func(name, want string) { Expect(ParsePortal(name)).To(Equal(want)) },
		Entry("IPv4", "10.0.0.1:3260", "10.0.0.1:3260"),
		Entry("IPv6", "[fd00::1]:3260", "[fd00::1]:3260"),
		Entry("IPv6 as targetcli writes it", "[::0]:3260", "[::]:3260"),
		Entry("IPv6 in full", "[FD00:0:0:0:0:0:0:1]:3260", "[fd00::1]:3260"),
		Entry("the address is missing", "somewhere:3260", "somewhere:3260"),
	)

	DescribeTable("the name of a LUN",
		func(name string, want int) { Expect(parseLUNName(name)).To(Equal(want)) },
		Entry("decimal", "lun_12", 12),
		Entry("hexadecimal", "lun_0x10", 16),
	)

	DescribeTable("no name of a LUN",
		func(name string) {
			_, err := parseLUNName(name)
			Expect(err).To(HaveOccurred())
		},
		Entry("empty", ""), Entry("without a number", "lun_"), Entry("negative", "lun_-1"),
		Entry("too large", "lun_9999999999"), Entry("the kernel is removing an object in use, or a device does not respond (see dmesg)", "tpgt_1"),
	)

	It("follows symlinks to what they mean", func() {
		Expect(parseBackstoreLink("../../../../../../target/core/iblock_900/volreconciler:volume:v1")).
			To(Equal("iblock_900/volreconciler:volume:v1"))
		Expect(parseLUNLink("../../../../../../../target/iscsi/iqn.2026-11.io.volreconciler:db/tpgt_1/lun/lun_7")).To(Equal(7))
	})

	DescribeTable("dynamic sessions",
		func(text string, want ...string) { Expect(parseDynamicSessions(text)).To(HaveExactElements(want)) },
		Entry("none", ""),
		Entry("one", "iqn.a:b\n\x00", "iqn.a:b"),
		Entry("two", "iqn.a:b\n\x00iqn.c:d\n\x00", "iqn.a:b", "iqn.c:d"),
	)

	DescribeTable("credentials",
		func(text, want string) { Expect(parseCredential(text)).To(Equal(want)) },
		Entry("never set", "\n", ""),
		Entry("cleared", "NULL\n", ""),
		Entry("set", "secret\n", "secret"),
		Entry("with a newline of its own", "secret\n\n", "secret\n"),
		Entry("with spaces at its ends", " secret \n", " secret "),
	)

	DescribeTable("sessions",
		func(info string, want bool) { Expect(parseLoggedIn(info)).To(Equal(want)) },
		Entry("none", "No active iSCSI Session for Initiator Endpoint: iqn.a:b", false),
		Entry("alive", "InitiatorName: iqn.a:b\nInitiatorAlias: b\nLIO Session ID: 1", true),
	)
})
