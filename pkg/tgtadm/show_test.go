package tgtadm

import (
	"net/netip"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// shown is what tgtd 1.0.85 printed, for two targets.
const shown = `Target 1: iqn.2026-11.lab:t1
    System information:
        Driver: iscsi
        State: ready
    I_T nexus information:
        I_T nexus: 3
            Initiator: iqn.1993-08.org.debian:h5init alias: none
            Connection: 0
                IP Address: 127.0.0.1
    LUN information:
        LUN: 0
            Type: controller
            SCSI ID: IET     00010000
            SCSI SN: beaf10
            Size: 0 MB, Block size: 1
            Online: Yes
            Removable media: No
            Prevent removal: No
            Readonly: No
            SWP: No
            Thin-provisioning: No
            Backing store type: null
            Backing store path: None
            Backing store flags: 
        LUN: 1
            Type: disk
            SCSI ID: IET     00010001
            SCSI SN: beaf11
            Size: 67 MB, Block size: 512
            Online: Yes
            Removable media: No
            Prevent removal: No
            Readonly: Yes
            SWP: No
            Thin-provisioning: No
            Backing store type: rdwr
            Backing store path: /tmp/tgtlab/d1.img
            Backing store flags: sync direct
    Account information:
        volreconciler:db:abcdef0123
        alice
        tgtu (outgoing)
    ACL information:
        ALL
        iqn.1993-08.org.debian:h5init
Target 7: iqn.2026-11.lab:t7
    System information:
        Driver: iscsi
        State: offline
        Nop interval: 5
        Nop count: 3
    I_T nexus information:
    LUN information:
        LUN: 0
            Type: controller
            SCSI ID: IET     00070000
            SCSI SN: beaf70
            Size: 0 MB, Block size: 1
            Online: Yes
            Something new: 7
    Account information:
    ACL information:
`

// drivers is the list of names that goes with it.
const drivers = `LLDs:
    iscsi: ready
        Target 7: iqn.2026-11.lab:t7
        Target 1: iqn.2026-11.lab:t1
    iser: error
`

func parse(text, drivers string) ([]Target, error) {
	headings, err := parseHeadings(drivers)
	if err != nil {
		return nil, err
	}
	return parseTargets(text, headings)
}

var _ = Describe("What the daemon shows", func() {
	controller := LUN{Type: "controller", ID: "IET     00010000", Serial: "beaf10", BlockSize: 1, Online: true, Store: "null"}

	It("is read into targets", func() {
		Expect(parse(shown, drivers)).To(Equal([]Target{
			{
				ID: 1, Name: "iqn.2026-11.lab:t1", Driver: "iscsi", Ready: true,
				LUNs: []LUN{controller, {
					Number: 1, Type: "disk", ID: "IET     00010001", Serial: "beaf11", Megabytes: 67, BlockSize: 512,
					Online: true, ReadOnly: true, Store: "rdwr", Path: "/tmp/tgtlab/d1.img", Flags: "sync direct",
				}},
				Incoming: []string{"volreconciler:db:abcdef0123", "alice"}, Outgoing: "tgtu",
				Access:   []string{"ALL", "iqn.1993-08.org.debian:h5init"},
				Sessions: []Session{{ID: 3, Initiator: "iqn.1993-08.org.debian:h5init", Alias: "none", Address: "127.0.0.1"}},
			},
			{
				ID: 7, Name: "iqn.2026-11.lab:t7", Driver: "iscsi",
				LUNs: []LUN{{Type: "controller", ID: "IET     00070000", Serial: "beaf70", BlockSize: 1, Online: true}},
			},
		}))
	})

	It("is empty where there are no targets", func() {
		Expect(parse("", "LLDs:\n    iscsi: ready\n    iser: error\n")).To(BeEmpty())
	})

	alias := func(text string) string { return strings.Replace(shown, "alias: none", "alias: "+text, 1) }
	DescribeTable("is not changed by what an initiator calls itself",
		func(text string) {
			honest, err := parse(shown, drivers)
			Expect(err).NotTo(HaveOccurred())
			targets, err := parse(alias(text), drivers)
			Expect(err).NotTo(HaveOccurred())
			Expect(targets[0].Unclear).To(BeTrue())
			targets[0].Unclear, targets[0].Sessions = false, honest[0].Sessions
			Expect(targets).To(Equal(honest))
		},
		Entry("a line break", "a\nb"),
		Entry("logical units of its own", "none\n            Connection: 0\n                IP Address: ::1\n    LUN information:\n        LUN: 9"),
		Entry("an access list of its own", "none\n    ACL information:\n        ALL"),
		Entry("a target that is not there", "none\nTarget 3: iqn.2026-11.lab:t3\n    System information:\n    I_T nexus information:"),
		Entry("the word between name and alias", "x alias: y"),
	)

	DescribeTable("is refused where it can be read in two ways, or is not what is expected",
		func(text, because string) {
			_, err := parse(text, drivers)
			Expect(err).To(MatchError(ContainSubstring(because)))
		},
		Entry("a target twice", alias("none\nTarget 7: iqn.2026-11.lab:t7"), `"Target 7: iqn.2026-11.lab:t7" occurs 2 times`),
		Entry("a target missing", strings.Replace(shown, "Target 7:", "Target 8:", 1), `"Target 7: iqn.2026-11.lab:t7" occurs 0 times`),
		Entry("something before", "hello\n"+shown, "begins with"),
		Entry("cut off", shown[:len(shown)-len("    ACL information:\n")], "access list information is missing"),
		Entry("an odd flag", strings.Replace(shown, "Readonly: Yes", "Readonly: Maybe", 1), "expected Yes or No"),
		Entry("an odd size", strings.Replace(shown, "67 MB", "67 GB", 1), "cannot parse size"),
		Entry("a target made meanwhile", shown+"Target 9: iqn.2026-11.lab:t9\n", "cannot parse list: line"),
	)

	It("has a session even if the daemon cut an initiator's text off", func() {
		targets, err := parse(alias("xxxx    LUN information:\nREST"), drivers)
		Expect(err).NotTo(HaveOccurred())
		Expect(targets[0].Unclear).To(BeTrue())
		cut := strings.Replace(shown, "alias: none\n            Connection: 0\n                IP Address: 127.0.0.1\n", "alias: xxxx", 1)
		targets, err = parse(cut, drivers)
		Expect(err).NotTo(HaveOccurred())
		Expect(targets[0].Unclear).To(BeTrue())
		Expect(targets[0].LUNs).To(HaveLen(2))
	})

	DescribeTable("rounds sizes", func(size, mb int) { Expect(Megabytes(uint64(size))).To(BeEquivalentTo(mb)) },
		Entry("nothing", 0, 0), Entry("32 MiB", 32<<20, 34), Entry("64 MiB", 64<<20, 67), Entry("164 MiB", 164<<20, 172))

	It("lists accounts, portals and the system", func() {
		Expect(parseAccounts("")).To(BeEmpty())
		Expect(parseAccounts("Account list:\n    bob\n    a b\n")).To(Equal([]string{"bob", "a b"}))
		_, err := parseAccounts("Liste:\n")
		Expect(err).To(HaveOccurred())
		Expect(parsePortals("Portal: 127.0.0.1:13270,1\nPortal: [::1]:3260,1\n")).To(Equal(
			[]netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:13270"), netip.MustParseAddrPort("[::1]:3260")}))
		for _, bad := range []string{"Portal: x:1,1\n", "127.0.0.1:1,1\n", "Portal: 127.0.0.1:1\n"} {
			_, err = parsePortals(bad)
			Expect(err).To(HaveOccurred(), bad)
		}
		Expect(parseSystem("System:\n    State: ready\n    debug: on\nLLDs:\n    iscsi: ready\n    iser: error\nBacking stores:\n    null\n" +
			"    rdwr (bsoflags sync:direct)\nDevice types:\n    disk\n    Account information:\n\n    alice\n    t (outgoing)\niSNS:\n    iSNS=Off\n")).To(Equal(System{
			Ready: true, Debug: true, Drivers: map[string]string{"iscsi": "ready", "iser": "error"},
			BackingStores: []string{"null", "rdwr"}, Discovery: []string{"alice"}, DiscoveryOutgoing: "t",
		}))
		_, err = parseSystem("hello\n")
		Expect(err).To(HaveOccurred())
	})

	It("counts what is in flight", func() {
		const head = "tgt lun sid rd_subm(bytes,cmds) rd_done(bytes,cmds) wr_subm(bytes,cmds) wr_done(bytes,cmds) errs\n"
		Expect(parseInFlight(head)).To(BeZero())
		Expect(parseInFlight(head + "  1   1   1     67235360  16416     67227168  16414            0      1            0      0    1\n")).To(BeEquivalentTo(3))
		for _, bad := range []string{"1 2 3\n", "1 1 1 0 0 0 1 0 0 0 0 0\n", "1 1 1 0 0 0 x 0 0 0 0 0\n"} {
			_, err := parseInFlight(head + bad)
			Expect(err).To(HaveOccurred(), bad)
		}
	})
})

var _ = DescribeTable("Accounts go without a free slot before one in use, and never all at once for a moment",
	func(bound, remove, unbind, rebind string, would bool) {
		u, r, err := unbindOrder(strings.Fields(bound), strings.Fields(remove))
		if would {
			Expect(err).To(MatchError(ErrWouldOpen))
			return
		}
		Expect(err).NotTo(HaveOccurred())
		Expect(strings.Join(u, " ")).To(Equal(unbind))
		Expect(strings.Join(r, " ")).To(Equal(rebind))
	},
	Entry("the last", "g a b", "b", "b", "", false),
	Entry("one in the middle", "g a b", "a", "b a", "b", false),
	Entry("two", "g a b c", "a c", "c b a", "b", false),
	Entry("all", "g a", "g a", "a g", "", false),
	Entry("the first", "g a", "g", "", "", true),
	Entry("one that is not there", "g a", "x", "", "", false),
)
