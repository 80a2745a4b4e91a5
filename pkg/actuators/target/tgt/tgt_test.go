package tgt

import (
	"bytes"
	"context"
	"encoding/hex"
	"net/netip"
	"os"
	"os/exec"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/tgtadm"
	"github.com/volreconciler/volreconciler/test/tgtd"
)

var _ = Describe("An export on tgtd", func() {
	It("is there as it is told, with a stable identity, and reachable", func(ctx SpecContext) {
		n := exporting(ctx)
		n.apply(ctx, export()...)
		t, there := n.seen(ctx, iqn)
		Expect(there).To(BeTrue())
		serial := ondisk.UnitSerial(lvUUID)
		Expect(t.Mark).To(Equal("volreconciler:db"))
		Expect(t.LUNs).To(And(HaveLen(1), HaveKeyWithValue(0, And(
			HaveField("Identity", serial), HaveField("Device", HaveSuffix("lv-db")), HaveField("ReadOnly", false)))))
		Expect(t.LUNs[0].HasSize(64 * mib)).To(BeTrue())
		Expect(t.ACLs).To(And(HaveLen(1), HaveKey(initiator)))
		Expect(t.Portals).To(HaveKeyWithValue(n.portal.String(), observe.TCP))
		Expect(t.HasAuth(auth("u", password))).To(BeTrue())
		Expect(t.HasAuth(auth("u", password2))).To(BeFalse())
		Expect(t.HasAuth(auth("v", password))).To(BeFalse())
		Expect(t.Enabled).To(BeTrue())

		out, err := n.iscsi(ctx, initiator, user("u", password), 0, "iscsi-inq", "-e", "1", "-c", "128")
		Expect(err).NotTo(HaveOccurred(), out)
		Expect(out).To(ContainSubstring(serial))
	})

	It("has the same NAA identifier that LIO would give it", func(ctx SpecContext) {
		n := exporting(ctx)
		n.apply(ctx, open()...)
		conn, status := n.login(initiator)
		Expect(status).To(BeZero())
		naa, err := hex.DecodeString(ondisk.NAA(ondisk.UnitSerial(lvUUID)))
		Expect(err).NotTo(HaveOccurred())
		// Binary, an NAA identifier of the logical unit, with 16 bytes.
		Expect(bytes.Contains(identification(conn), append([]byte{1, 3, 0, 16}, naa...))).To(BeTrue())
	})

	It("lets in who proves it, and nobody else", func(ctx SpecContext) {
		n := exporting(ctx)
		n.apply(ctx, export()...)
		for _, c := range []struct {
			name, credentials string
			in                bool
		}{
			{initiator, user("u", password), true},
			{initiator, user("u", password2), false},
			{initiator, user("v", password), false},
			{initiator, "", false},
			{stranger, user("u", password), false},
		} {
			out, err := n.iscsi(ctx, c.name, c.credentials, 0, "iscsi-inq")
			Expect(err == nil).To(Equal(c.in), "%+v: %s", c, out)
		}
	})

	It("asks for another password when it is told to, and sessions go on", func(ctx SpecContext) {
		n := exporting(ctx)
		n.apply(ctx, open()...)
		_, status := n.login(initiator)
		Expect(status).To(BeZero())
		n.apply(ctx, change.SetAccounts{Target: db, Auth: auth("u", password)})
		out, err := n.iscsi(ctx, initiator, "", 0, "iscsi-inq")
		Expect(err).To(HaveOccurred(), out)
		n.apply(ctx, change.SetAccounts{Target: db, Auth: auth("u", password2, "v", password)})
		for credentials, in := range map[string]bool{
			user("u", password): false, user("u", password2): true, user("v", password): true, user("v", password2): false,
		} {
			out, err := n.iscsi(ctx, initiator, credentials, 0, "iscsi-inq")
			Expect(err == nil).To(Equal(in), "%s: %s", credentials, out)
		}
		t, _ := n.seen(ctx, iqn)
		Expect(t.ACLs[initiator].LoggedIn).To(BeTrue())

		By("taking a user away, and then all")
		n.apply(ctx, change.SetAccounts{Target: db, Auth: auth("v", password)})
		Expect(n.tgt.Accounts(ctx)).To(ConsistOf(ondisk.GuardAccount, "v"))
		n.apply(ctx, change.SetAccounts{Target: db})
		Expect(n.tgt.Accounts(ctx)).To(ConsistOf(ondisk.GuardAccount))
		out, err = n.iscsi(ctx, initiator, "", 0, "iscsi-inq")
		Expect(err).NotTo(HaveOccurred(), out)
	})

	It("proves itself", func(ctx SpecContext) {
		n := exporting(ctx)
		mutual := auth("u", password)
		mutual.Own = auth("t", password2).Accounts[0]
		n.apply(ctx, export()...)
		n.apply(ctx, change.SetAccounts{Target: db, Auth: mutual})
		t, _ := n.seen(ctx, iqn)
		Expect(t.HasAuth(mutual)).To(BeTrue())
		Expect(t.OwnAccount).To(Equal("t"))
		out, err := n.iscsi(ctx, initiator, user("u", password), 0, "iscsi-inq")
		Expect(err).NotTo(HaveOccurred(), out)
		n.apply(ctx, change.SetAccounts{Target: db, Auth: auth("u", password)})
		Expect(n.tgt.Accounts(ctx)).To(ConsistOf(ondisk.GuardAccount, "u"))
	})

	It("puts accounts right that somebody changed by hand, without ever being open", func(ctx SpecContext) {
		n := exporting(ctx)
		n.apply(ctx, export()...)
		t, err := n.find(ctx, iqn)
		Expect(err).NotTo(HaveOccurred())
		Expect(n.tgt.UnbindAccounts(ctx, t.ID, t.Incoming, t.Incoming...)).To(Succeed())
		Expect(n.tgt.BindAccount(ctx, t.ID, "u", tgtadm.Incoming)).To(Succeed())
		Expect(n.tgt.BindAccount(ctx, t.ID, ondisk.GuardAccount, tgtadm.Incoming)).To(Succeed())
		seen, _ := n.seen(ctx, iqn)
		Expect(seen.HasAuth(auth("u", password))).To(BeFalse())
		n.apply(ctx, change.SetAccounts{Target: db, Auth: auth("u", password)})
		seen, _ = n.seen(ctx, iqn)
		Expect(seen.HasAuth(auth("u", password))).To(BeTrue())
		Expect(seen.Offline).To(BeFalse())
	})

	It("shares a user with another of ours, and with nobody else's", func(ctx SpecContext) {
		n := exporting(ctx)
		n.apply(ctx, export()...)
		second := change.Target{Fabric: observe.TGTISCSI, Name: iqn + "2", Export: "db2"}
		n.apply(ctx, change.CreateTarget{Target: second}, change.SetAccounts{Target: second, Auth: auth("a", password, "u", password)})
		for name, want := range map[string]observe.TargetAuth{iqn: auth("u", password), iqn + "2": auth("a", password, "u", password)} {
			t, _ := n.seen(ctx, name)
			Expect(t.HasAuth(want)).To(BeTrue(), name)
		}
		n.apply(ctx, change.SetAccounts{Target: db, Auth: auth("u", password2)})
		t, _ := n.seen(ctx, iqn+"2")
		Expect(t.Accounts).To(ConsistOf(ondisk.GuardAccount, "a", "u"))
		n.apply(ctx, change.SetAccounts{Target: second, Auth: auth("a", password, "u", password2)})
		out, err := n.iscsi(ctx, initiator, user("u", password2), 0, "iscsi-inq")
		Expect(err).NotTo(HaveOccurred(), out)
		n.apply(ctx, change.RemoveTarget{Target: second})
		Expect(n.tgt.Accounts(ctx)).To(ConsistOf(ondisk.GuardAccount, "u"))

		Expect(n.tgt.NewTarget(ctx, 9, "iqn.2026-11.org.example:theirs")).To(Succeed())
		Expect(n.tgt.NewAccount(ctx, "theirs", password)).To(Succeed())
		Expect(n.tgt.BindAccount(ctx, 9, "theirs", tgtadm.Incoming)).To(Succeed())
		err = n.Apply(ctx, change.SetAccounts{Target: db, Auth: auth("theirs", password2)})
		Expect(err).To(MatchError(And(ContainSubstring("theirs"), Not(ContainSubstring(password2)))))
		t, _ = n.seen(ctx, iqn)
		Expect(t.HasAuth(auth("u", password2))).To(BeTrue())
	})

	It("is not made while passwords would be logged", func(ctx SpecContext) {
		n := exporting(ctx)
		n.apply(ctx, change.CreateTarget{Target: db})
		Expect(n.debug(ctx, "on")).To(Succeed())
		Expect(n.Apply(ctx, export()[1])).To(MatchError(ContainSubstring("debug=on")))
		Expect(n.debug(ctx, "off")).To(Succeed())
		n.apply(ctx, export()...)
	})

	It("admits nobody without a password who should have one", func(ctx SpecContext) {
		n := exporting(ctx)
		n.apply(ctx, change.CreateTarget{Target: db})
		Expect(n.Apply(ctx, change.AddInitiator{Target: db, Initiator: initiator, Auth: needed})).To(MatchError(change.ErrStale))
		t, _ := n.seen(ctx, iqn)
		Expect(t.ACLs).To(BeEmpty())
	})

	It("is for anybody if it is told so", func(ctx SpecContext) {
		n := exporting(ctx)
		n.apply(ctx, open()[:2]...)
		n.apply(ctx, change.SetAttributes{Target: db, Attrib: observe.TPGAttrib{GenerateNodeACLs: true}})
		_, status := n.login(stranger)
		Expect(status).To(BeZero())
		t, _ := n.seen(ctx, iqn)
		Expect(t.Attrib.GenerateNodeACLs).To(BeTrue())
		Expect(t.DynamicSessions).To(Equal([]string{stranger}))
		n.apply(ctx, change.SetAttributes{Target: db}, change.RemoveInitiator{Target: db, Initiator: stranger})
		t, _ = n.seen(ctx, iqn)
		Expect(t.DynamicSessions).To(BeEmpty())
		_, status = n.login(stranger)
		Expect(status).NotTo(BeZero())
	})

	It("cuts an initiator off that is removed", func(ctx SpecContext) {
		n := exporting(ctx)
		n.apply(ctx, open()...)
		n.apply(ctx, change.AddInitiator{Target: db, Initiator: stranger})
		_, status := n.login(initiator)
		Expect(status).To(BeZero())
		_, status = n.login(stranger)
		Expect(status).To(BeZero())
		n.apply(ctx, change.RemoveInitiator{Target: db, Initiator: initiator})
		t, _ := n.seen(ctx, iqn)
		Expect(t.ACLs).To(And(HaveLen(1), HaveKeyWithValue(stranger, HaveField("LoggedIn", true))))
		Expect(t.Sessions).To(Equal(1))
		_, status = n.login(initiator)
		Expect(status).NotTo(BeZero())

		By("removing an address that somebody added by hand")
		Expect(n.tgt.AllowAddress(ctx, 1, "10.0.0.0/8")).To(Succeed())
		t, _ = n.seen(ctx, iqn)
		Expect(t.ACLs).To(HaveKey("10.0.0.0/8"))
		n.apply(ctx, change.RemoveInitiator{Target: db, Initiator: "10.0.0.0/8"})
		t, _ = n.seen(ctx, iqn)
		Expect(t.ACLs).NotTo(HaveKey("10.0.0.0/8"))
	})

	It("can be read-only", func(ctx SpecContext) {
		n := exporting(ctx)
		n.apply(ctx, open()...)
		n.apply(ctx, change.AddLUN{Target: db, LUN: 1, Device: "/dev/vg0/other", LVUUID: otherUUID, ReadOnly: true})
		t, _ := n.seen(ctx, iqn)
		Expect(t.LUNs[0].ReadOnly).To(BeFalse())
		Expect(t.LUNs[1].ReadOnly).To(BeTrue())
		Expect(t.Offline).To(BeFalse())
		n.apply(ctx, change.SetWriteProtect{Target: db, LUN: 1}, change.SetWriteProtect{Target: db, LUN: 0, ReadOnly: true})
		t, _ = n.seen(ctx, iqn)
		Expect(t.LUNs[0].ReadOnly).To(BeTrue())
		Expect(t.LUNs[1].ReadOnly).To(BeFalse())
	})

	It("grows, with and without sessions", func(ctx SpecContext) {
		n := exporting(ctx)
		n.apply(ctx, open()...)
		resize := change.ResizeLUN{Target: db, LUN: 0, Device: "/dev/vg0/db"}
		capacity := func() string {
			out, err := n.iscsi(ctx, initiator, "", 0, "iscsi-readcapacity16")
			Expect(err).NotTo(HaveOccurred(), out)
			return out
		}
		n.grow("db", 128*mib)
		n.apply(ctx, resize)
		Expect(capacity()).To(ContainSubstring("134217728"))
		_, status := n.login(initiator)
		Expect(status).To(BeZero())
		n.grow("db", 192*mib)
		n.apply(ctx, resize)
		Expect(capacity()).To(ContainSubstring("201326592"))
		t, _ := n.seen(ctx, iqn)
		Expect(t.Offline).To(BeFalse())
		Expect(t.LUNs[0].HasSize(192 * mib)).To(BeTrue())
	})

	It("has the identity of the plan, if that is not its logical volume's own UUID", func(ctx SpecContext) {
		n := exporting(ctx)
		moved := change.AddLUN{Target: db, LUN: 1, Device: "/dev/vg0/other", LVUUID: otherUUID, Identity: lvUUID}
		n.apply(ctx, change.CreateTarget{Target: db}, moved)
		t, _ := n.seen(ctx, iqn)
		Expect(t.LUNs[1]).To(HaveField("Identity", ondisk.UnitSerial(lvUUID)))
		n.grow("other", 128*mib)
		n.apply(ctx, change.ResizeLUN{Target: db, LUN: 1, Device: "/dev/vg0/other", LVUUID: otherUUID, Identity: lvUUID})
		for _, c := range []change.Change{
			change.ResizeLUN{Target: db, LUN: 1, Device: "/dev/vg0/other", LVUUID: otherUUID},
			change.ResizeLUN{Target: db, LUN: 1, Device: "/dev/vg0/other", LVUUID: lvUUID, Identity: lvUUID},
			change.AddLUN{Target: db, LUN: 1, Device: "/dev/vg0/other", LVUUID: otherUUID},
		} {
			Expect(n.Apply(ctx, c)).To(MatchError(change.ErrStale), c.String())
		}
	})

	It("loses a LUN, and goes when nobody is logged in, or by force", func(ctx SpecContext) {
		n := exporting(ctx)
		n.apply(ctx, export()...)
		n.apply(ctx, change.AddLUN{Target: db, LUN: 7, Device: "/dev/vg0/other", LVUUID: otherUUID}, change.RemoveLUN{Target: db, LUN: 7})
		t, _ := n.seen(ctx, iqn)
		Expect(t.LUNs).To(And(HaveLen(1), HaveKey(0)))
		n.apply(ctx, change.RemoveTarget{Target: db})
		_, there := n.seen(ctx, iqn)
		Expect(there).To(BeFalse())
		Expect(n.tgt.Accounts(ctx)).To(ConsistOf(ondisk.GuardAccount))

		n.apply(ctx, open()...)
		_, status := n.login(initiator)
		Expect(status).To(BeZero())
		err := n.Apply(ctx, change.RemoveTarget{Target: db})
		Expect(err).To(MatchError(change.ErrInUse))
		Expect(err).To(MatchError(ContainSubstring(initiator)))
		_, status = n.login(initiator)
		Expect(status).To(BeZero())
		n.apply(ctx, change.RemoveTarget{Target: db, Force: true})
		_, there = n.seen(ctx, iqn)
		Expect(there).To(BeFalse())
	})

	It("does nothing to what is not managed by volreconciler", func(ctx SpecContext) {
		n := exporting(ctx)
		Expect(n.tgt.NewTarget(ctx, 1, iqn)).To(Succeed())
		Expect(n.tgt.NewLUN(ctx, 1, 1, tgtadm.BackingStore{Path: n.file("/dev/vg0/other")})).To(Succeed())
		Expect(n.tgt.AllowInitiator(ctx, 1, stranger)).To(Succeed())
		before, err := n.find(ctx, iqn)
		Expect(err).NotTo(HaveOccurred())
		for _, c := range slices.Concat(export(), []change.Change{
			change.SetAttributes{Target: db, Attrib: observe.TPGAttrib{GenerateNodeACLs: true}}, change.EnableTarget{Target: db},
			change.ResizeLUN{Target: db, LUN: 0, Device: "/dev/vg0/other"}, change.SetWriteProtect{Target: db, ReadOnly: true},
			change.RemoveLUN{Target: db, LUN: 0}, change.RemoveInitiator{Target: db, Initiator: stranger},
			change.AddPortal{Target: db, Portal: "127.0.0.1:1", Transport: observe.TCP}, change.RemoveTarget{Target: db, Force: true},
		}) {
			Expect(n.Apply(ctx, c)).To(MatchError(change.ErrStale), c.String())
		}
		Expect(n.find(ctx, iqn)).To(Equal(before))
		t, _ := n.seen(ctx, iqn)
		_, ours := t.Owner()
		Expect(ours).To(BeFalse())
	})

	It("listens where it is told, for all targets", func(ctx SpecContext) {
		n := exporting(ctx)
		n.apply(ctx, change.CreateTarget{Target: db})
		more := tgtd.FreePort()
		n.apply(ctx, change.AddPortal{Target: db, Portal: more.String(), Transport: observe.TCP})
		Expect(n.tgt.Portals(ctx)).To(ContainElement(more))
		all := netip.AddrPortFrom(netip.IPv4Unspecified(), tgtd.FreePort().Port())
		n.apply(ctx, change.AddPortal{Target: db, Portal: all.String(), Transport: observe.TCP},
			change.AddPortal{Target: db, Portal: netip.AddrPortFrom(more.Addr(), all.Port()).String(), Transport: observe.TCP})
		Expect(n.Apply(ctx, change.AddPortal{Target: db, Portal: "192.0.2.1:3260", Transport: observe.TCP})).
			To(MatchError(ContainSubstring("or this node does not have it")))
	})

	It("completes a LUN that was left half made, and opens one again that could not be", func(ctx SpecContext) {
		n := exporting(ctx)
		n.apply(ctx, change.CreateTarget{Target: db})
		Expect(n.tgt.NewLUN(ctx, 1, 1, tgtadm.BackingStore{Path: n.file("/dev/vg0/other")})).To(Succeed())
		t, _ := n.seen(ctx, iqn)
		Expect(t.LUNs[0].Device).To(BeEmpty())
		n.apply(ctx, open()...)
		t, _ = n.seen(ctx, iqn)
		Expect(t.LUNs[0]).To(And(HaveField("Identity", ondisk.UnitSerial(lvUUID)), HaveField("Device", HaveSuffix("lv-db"))))

		file := n.file("/dev/vg0/db")
		Expect(os.Rename(file, file+".away")).To(Succeed())
		Expect(n.tgt.Reopen(ctx, 1, 1, file)).NotTo(Succeed())
		t, _ = n.seen(ctx, iqn)
		Expect(t.LUNs[0].Device).To(BeEmpty())
		n.apply(ctx, open()...)
		t, _ = n.seen(ctx, iqn)
		Expect(t.LUNs[0].Device).To(HaveSuffix("lv-db"))
	})

	It("is not made of another volume than was planned", func(ctx SpecContext) {
		n := exporting(ctx)
		n.apply(ctx, change.CreateTarget{Target: db})
		Expect(n.Apply(ctx, change.AddLUN{Target: db, LUN: 0, Device: "/dev/vg0/db", LVUUID: otherUUID})).To(MatchError(change.ErrStale))
		n.apply(ctx, open()[1])
		Expect(n.Apply(ctx, change.AddLUN{Target: db, LUN: 0, Device: "/dev/vg0/other", LVUUID: otherUUID})).To(MatchError(change.ErrStale))
	})
})

// debug switches tgtd's logging of requests.
func (n *node) debug(ctx context.Context, to string) error {
	cmd := exec.CommandContext(ctx, "tgtadm", "--op", "update", "--mode", "sys", "--name", "debug", "--value", to)
	cmd.Env = append(os.Environ(), n.daemon.Environment())
	return cmd.Run()
}
