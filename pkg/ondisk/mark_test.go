package ondisk

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = DescribeTable("The mark of a target is read as it was written",
	func(mark, export string) {
		name, ok := ExportOfMark(mark)
		Expect(ok).To(Equal(export != ""))
		if ok {
			Expect(name).To(Equal(export))
			Expect(IsTargetMark(mark)).To(BeTrue())
			Expect(TargetMark(export)).To(Equal(mark))
		}
	},
	Entry("ours", "volreconciler:db", "db"),
	Entry("ours, of the longest name", "volreconciler:"+strings.Repeat("n", 63), strings.Repeat("n", 63)),
	Entry("of nobody", "volreconciler:", ""),
	Entry("nothing", "", ""),
	Entry("somebody else's", "LIO Target", ""),
	Entry("that of passwords", "volreconciler-auth:00:00", ""),
)

var _ = DescribeTable("The mark of an iSCSI target is read where it belongs, or in the alias where older agents put it",
	func(mark, alias, chosen string, inAlias bool) {
		got, where := ChooseMark(mark, alias)
		Expect(got).To(Equal(chosen))
		Expect(where).To(Equal(inAlias))
	},
	Entry("nobody's", "", "LIO Target", "LIO Target", false),
	Entry("ours", TargetMark("db"), "LIO Target", TargetMark("db"), false),
	Entry("an older agent's", "", TargetMark("db"), TargetMark("db"), true),
	Entry("an older agent's, with another text where it belongs", "somebody", TargetMark("db"), TargetMark("db"), true),
	Entry("one that is being moved", TargetMark("db"), TargetMark("db"), TargetMark("db"), true),
	Entry("two that contradict each other", TargetMark("db"), TargetMark("web"), "both volreconciler:db and volreconciler:web", false),
	Entry("somebody else's", "somebody", "LIO Target", "somebody", false),
)

var _ = DescribeTable("The mark of an NVMe subsystem is its model and serial number",
	func(nqn, model, serial, mark string) { Expect(SubsystemMark(nqn, model, serial)).To(Equal(mark)) },
	Entry("with the name of the export in the NQN", "nqn.x:db", SubsystemModel, SubsystemSerial("nqn.x:db", "db"), "volreconciler:db"),
	Entry("with an NQN that does not say it", "nqn.x:other", SubsystemModel, SubsystemSerial("nqn.x:other", "db"), "volreconciler:"+SubsystemSerial("nqn.x:other", "db")),
	Entry("of another NQN", "nqn.x:db", SubsystemModel, SubsystemSerial("nqn.y:db", "db"), "volreconciler:"+SubsystemSerial("nqn.y:db", "db")),
	Entry("of another maker", "nqn.x:db", "Linux", SubsystemSerial("nqn.x:db", "db"), ""),
)

var _ = DescribeTable("NVMe ports are known by their number",
	func(id string, ours bool) { Expect(IsOurNVMePort(id)).To(Equal(ours)) },
	Entry("the first of nvmetcli", "1", false),
	Entry("the last of others", "8999", false),
	Entry("the first of ours", "9000", true),
	Entry("the last", "65535", true),
	Entry("more than the kernel takes", "65536", false),
	Entry("no number", "port", false),
)

var _ = Describe("The mark of passwords", func() {
	alice := Account{Username: "alice", Password: spec.NewSecret("secret secret")}
	bob := Account{Username: "bob", Password: spec.NewSecret("another secret")}
	own := Account{Username: "target", Password: spec.NewSecret("its own secret")}

	It("fits the accounts that it was made of, in any order, and no others", func() {
		mark, err := NewPasswordMark([]Account{alice, bob}, own)
		Expect(err).NotTo(HaveOccurred())
		Expect(mark).To(MatchRegexp(`^volreconciler-auth:[0-9a-f]{32}:[0-9a-f]{64}$`))
		Expect(IsPasswordMark(mark)).To(BeTrue())
		Expect(IsTargetMark(mark)).To(BeFalse())
		Expect(PasswordMarkFits(mark, []Account{bob, alice}, own)).To(BeTrue())
		changed := bob
		changed.Password = spec.NewSecret("a changed secret")
		Expect(PasswordMarkFits(mark, []Account{alice, changed}, own)).To(BeFalse())
		Expect(PasswordMarkFits(mark, []Account{alice}, own)).To(BeFalse())
		Expect(PasswordMarkFits(mark, []Account{alice, bob}, Account{})).To(BeFalse())
		again, err := NewPasswordMark([]Account{alice, bob}, own)
		Expect(err).NotTo(HaveOccurred())
		Expect(again).NotTo(Equal(mark), "each has a salt of its own")
	})
	It("never changes its form", func() {
		mark, err := passwordMark([]Account{bob, alice}, own, []byte("0123456789abcdef"))
		Expect(err).NotTo(HaveOccurred())
		Expect(mark).To(Equal("volreconciler-auth:30313233343536373839616263646566:6a4831b530eb010d530947167cdf75923d639d95fe325614efcb9617fac3c1fd"))
	})
	DescribeTable("fits nothing if it cannot be read",
		func(mark string) { Expect(PasswordMarkFits(mark, []Account{alice}, own)).To(BeFalse()) },
		Entry("none", ""),
		Entry("short salt", "volreconciler-auth:00:00"),
		Entry("no digits", "volreconciler-auth:"+strings.Repeat("x", 32)+":00"),
		Entry("two at once", "volreconciler-auth:00:00 volreconciler-auth:00:00"),
	)
})

var _ = Describe("What initiators tell a volume by", func() {
	It("never changes: initiators have it in their configuration", func() {
		serial := UnitSerial(uuid)
		Expect(serial).To(Equal("7e493391-b090-bb4a-cb63-3abc1e106844"))
		Expect(NAA(serial)).To(Equal("60014057e493391b090bb4acb633abc1"))
		Expect(SubsystemSerial("nqn.x:db", "db")).To(Equal("dac279320345c8c9434a"))
	})
})
