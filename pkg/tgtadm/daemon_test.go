package tgtadm

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/test/tgtd"
)

const (
	iqn       = "iqn.2026-11.io.volreconciler:t1"
	initiator = "iqn.1993-08.org.debian:tester"
)

// daemon is a tgtd of the specs' own.
type daemon struct {
	*Client
	tgtd   *tgtd.Daemon
	portal netip.AddrPort
	disk   string
}

// startDaemon starts a tgtd, or skips the spec where there is none.
func startDaemon(ctx context.Context) *daemon {
	GinkgoHelper()
	d := &daemon{tgtd: tgtd.Start(), disk: filepath.Join(GinkgoT().TempDir(), "disk")}
	d.portal, d.Client = d.tgtd.Portal, New(d.tgtd.Dial)
	Expect(os.WriteFile(d.disk, nil, 0o600)).To(Succeed())
	Expect(os.Truncate(d.disk, 64<<20)).To(Succeed())
	Eventually(ctx, d.System).WithContext(ctx).Should(HaveField("Ready", true))
	return d
}

// export makes a target with one disk that the initiator may use.
func (d *daemon) export(ctx context.Context) {
	GinkgoHelper()
	Expect(d.NewTarget(ctx, 1, iqn)).To(Succeed())
	Expect(d.NewLUN(ctx, 1, 1, BackingStore{Path: d.disk})).To(Succeed())
	Expect(d.AllowInitiator(ctx, 1, initiator)).To(Succeed())
}

func (d *daemon) target(ctx context.Context) Target {
	GinkgoHelper()
	targets, err := d.Targets(ctx)
	Expect(err).NotTo(HaveOccurred())
	Expect(targets).NotTo(BeEmpty())
	return targets[0]
}

func (d *daemon) sessions(ctx context.Context) ([]Session, error) {
	targets, err := d.Targets(ctx)
	if err != nil || len(targets) == 0 {
		return nil, err
	}
	return targets[0].Sessions, nil
}

// login logs an initiator in, without a password, and keeps the session until
// the spec ends. It returns the connection and the status that the target
// answered; 0: logged in.
func (d *daemon) login(name, alias string) (net.Conn, int) {
	GinkgoHelper()
	return d.tgtd.Login(name, alias, iqn)
}

// iscsi runs one of libiscsi's tools against logical unit 1, or skips the spec.
func (d *daemon) iscsi(ctx context.Context, tool, credentials string) (string, error) {
	GinkgoHelper()
	return d.tgtd.ISCSI(ctx, initiator, credentials, iqn, 1, tool)
}

// load has libiscsi read from logical unit 1 for a while; the function it returns
// waits for its end and returns what it said.
func (d *daemon) load(ctx context.Context, long time.Duration) func() string {
	GinkgoHelper()
	return d.tgtd.Load(ctx, initiator, "", iqn, 1, long)
}

const refused = 0x0201 // authentication failure

var _ = Describe("A real tgtd", func() {
	var d *daemon
	BeforeEach(func(ctx SpecContext) { d = startDaemon(ctx) })

	It("has no targets first, and one portal", func(ctx SpecContext) {
		Expect(d.Targets(ctx)).To(BeEmpty())
		Expect(d.Accounts(ctx)).To(BeEmpty())
		Expect(d.Portals(ctx)).To(ConsistOf(d.portal))
		s, err := d.System(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(s).To(And(HaveField("Debug", false), HaveField("Drivers", HaveKeyWithValue("iscsi", "ready")), HaveField("BackingStores", ContainElement("rdwr"))))
	})

	It("makes, shows and deletes targets, and says what is there already", func(ctx SpecContext) {
		d.export(ctx)
		Expect(d.NewTarget(ctx, 1, iqn+"x")).To(MatchError(ErrTargetExists))
		Expect(d.NewTarget(ctx, 2, iqn)).To(MatchError(ErrTargetExists))
		Expect(d.NewTarget(ctx, 2, strings.Repeat("n", MaxName))).To(Succeed())
		Expect(d.NewLUN(ctx, 1, 1, BackingStore{Path: d.disk})).To(MatchError(ErrLUNExists))
		Expect(d.NewLUN(ctx, 1, 0, BackingStore{Path: d.disk})).To(MatchError(ErrLUNExists))
		Expect(d.NewLUN(ctx, 1, 2, BackingStore{Path: "/nonexistent"})).To(MatchError(ErrInvalid))
		Expect(d.NewLUN(ctx, 9, 2, BackingStore{Path: d.disk})).To(MatchError(ErrNoTarget))
		Expect(d.AllowInitiator(ctx, 1, initiator)).To(MatchError(ErrACLExists))
		Expect(d.AllowAddress(ctx, 1, "10.0.0.0/8")).To(Succeed())
		Expect(d.UpdateLUN(ctx, 1, 1, Parameter{"scsi_sn", strings.Repeat("s", 36)}, Parameter{"scsi_id", "some-id"},
			Parameter{"readonly", "1"}, Parameter{"thin_provisioning", "1"})).To(Succeed())
		Expect(d.UpdateLUN(ctx, 1, 0, Parameter{"scsi_sn", "mark"})).To(Succeed())
		Expect(d.UpdateTarget(ctx, 1, "MaxBurstLength", "131072")).To(Succeed())
		Expect(d.UpdateTarget(ctx, 1, "nonsense", "1")).To(MatchError(ErrInvalid))
		Expect(d.TargetParameters(ctx, 1)).To(HaveKeyWithValue("MaxBurstLength", "131072"))

		t := d.target(ctx)
		Expect(t).To(And(HaveField("Name", iqn), HaveField("Driver", "iscsi"), HaveField("Ready", true), HaveField("Unclear", false)))
		Expect(t.Access).To(Equal([]string{"10.0.0.0/8", initiator}))
		Expect(t.LUNs).To(HaveLen(2))
		Expect(t.LUNs[0]).To(And(HaveField("Type", "controller"), HaveField("Serial", "mark")))
		Expect(t.LUNs[1]).To(Equal(LUN{
			Number: 1, Type: "disk", ID: "some-id", Serial: strings.Repeat("s", 36), Megabytes: Megabytes(64 << 20), BlockSize: 512,
			Online: true, ReadOnly: true, ThinProvisioning: true, Store: "rdwr", Path: d.disk,
		}))

		Expect(d.ForbidAddress(ctx, 1, "10.0.0.0/8")).To(Succeed())
		Expect(d.ForbidAddress(ctx, 1, "10.0.0.0/8")).To(MatchError(ErrNoACL))
		Expect(d.ForbidInitiator(ctx, 1, initiator)).To(Succeed())
		Expect(d.ForbidInitiator(ctx, 1, initiator)).To(MatchError(ErrNoACL))
		Expect(d.DeleteLUN(ctx, 1, 1)).To(Succeed())
		Expect(d.DeleteLUN(ctx, 1, 1)).To(MatchError(ErrNoLUN))
		Expect(d.DeleteLUN(ctx, 1, 0)).To(MatchError(ErrInvalid))
		Expect(d.DeleteTarget(ctx, 1, false)).To(Succeed())
		Expect(d.DeleteTarget(ctx, 1, false)).To(MatchError(ErrNoTarget))
		Expect(d.DeleteTarget(ctx, 2, false)).To(Succeed())
		Expect(d.Targets(ctx)).To(BeEmpty())
	})

	It("lets in whom it should, and nobody by a text that is the address is missing", func(ctx SpecContext) {
		Expect(d.NewTarget(ctx, 1, iqn)).To(Succeed())
		Expect(d.AllowAddress(ctx, 1, "volreconciler:db")).To(Succeed())
		for _, name := range []string{initiator, "volreconciler:db"} {
			_, status := d.login(name, "x")
			Expect(status).NotTo(BeZero(), name)
		}
		Expect(d.AllowInitiator(ctx, 1, initiator)).To(Succeed())
		_, status := d.login(strings.ToUpper(initiator), "x")
		Expect(status).NotTo(BeZero())
		_, status = d.login(initiator, "x")
		Expect(status).To(BeZero())
		Expect(d.AllowAddress(ctx, 1, AllInitiators)).To(Succeed())
		_, status = d.login("iqn.x:y", "x")
		Expect(status).To(BeZero())
	})

	It("keeps a target closed while a password changes, and its sessions", func(ctx SpecContext) {
		d.export(ctx)
		Expect(d.NewAccount(ctx, "guard", "unknowntoanybody")).To(Succeed())
		Expect(d.BindAccount(ctx, 1, "guard", Incoming)).To(Succeed())
		for _, name := range []string{"alice", "bob"} {
			Expect(d.NewAccount(ctx, name, "secretsecret1")).To(Succeed())
			Expect(d.NewAccount(ctx, name, "secretsecret1")).To(MatchError(ErrAccountExists))
			Expect(d.BindAccount(ctx, 1, name, Incoming)).To(Succeed())
			Expect(d.BindAccount(ctx, 1, name, Incoming)).To(MatchError(ErrAccountExists))
		}
		Expect(d.target(ctx).Incoming).To(Equal([]string{"guard", "alice", "bob"}))
		out, err := d.iscsi(ctx, "iscsi-inq", "alice%secretsecret1@")
		Expect(err).NotTo(HaveOccurred(), out)
		closed := func() {
			GinkgoHelper()
			_, status := d.login(initiator, "x")
			Expect(status).To(Equal(refused))
		}
		closed()
		Expect(d.UnbindAccounts(ctx, 1, d.target(ctx).Incoming, "guard")).To(MatchError(ErrWouldOpen))
		Expect(d.UnbindAccounts(ctx, 1, d.target(ctx).Incoming, "alice")).To(Succeed())
		Expect(d.target(ctx).Incoming).To(Equal([]string{"guard", "bob"}))
		closed()
		Expect(d.DeleteAccount(ctx, "alice")).To(Succeed())
		Expect(d.DeleteAccount(ctx, "alice")).To(MatchError(ErrNoAccount))
		Expect(d.BindAccount(ctx, 1, "alice", Incoming)).To(MatchError(ErrNoAccount))
		closed()
		Expect(d.NewAccount(ctx, "alice", "secret, with=commas")).To(Succeed())
		Expect(d.BindAccount(ctx, 1, "alice", Incoming)).To(Succeed())
		for credentials, ok := range map[string]bool{"alice%secretsecret1@": false, "alice%secret, with=commas@": true, "bob%secretsecret1@": true} {
			out, err := d.iscsi(ctx, "iscsi-inq", credentials)
			Expect(err == nil).To(Equal(ok), "%s: %s", credentials, out)
		}

		Expect(d.NewAccount(ctx, "target", "backsecret123")).To(Succeed())
		Expect(d.BindAccount(ctx, 1, "target", Outgoing)).To(Succeed())
		Expect(d.BindAccount(ctx, 1, "target", Outgoing)).To(MatchError(ErrOutgoingExists))
		Expect(d.BindAccount(ctx, 1, "alice", Outgoing)).To(MatchError(ErrOutgoingExists))
		Expect(d.target(ctx)).To(And(HaveField("Outgoing", "target"), HaveField("Incoming", []string{"guard", "bob", "alice"})))
		Expect(d.UnbindOutgoing(ctx, 1, "alice")).To(MatchError(ErrNoAccount))
		Expect(d.UnbindOutgoing(ctx, 1, "target")).To(Succeed())
		Expect(d.Accounts(ctx)).To(ConsistOf("guard", "alice", "bob", "target"))
		Expect(d.UnbindAccounts(ctx, 1, d.target(ctx).Incoming, "guard", "alice", "bob")).To(Succeed())
		Expect(d.target(ctx).Incoming).To(BeEmpty())
		_, status := d.login(initiator, "x")
		Expect(status).To(BeZero(), "without accounts it asks for no password")
	})

	It("asks for passwords in discovery", func(ctx SpecContext) {
		Expect(d.NewAccount(ctx, "alice", "secretsecret1")).To(Succeed())
		Expect(d.BindAccount(ctx, Discovery, "alice", Incoming)).To(Succeed())
		Expect(d.System(ctx)).To(HaveField("Discovery", []string{"alice"}))
		Expect(d.UnbindAccounts(ctx, Discovery, []string{"alice"}, "alice")).To(Succeed())
		Expect(d.System(ctx)).To(HaveField("Discovery", BeEmpty()))
	})

	It("shows sessions, refuses to delete what they use, and closes them", func(ctx SpecContext) {
		d.export(ctx)
		conn, status := d.login(initiator, "some alias")
		Expect(status).To(BeZero())
		sessions := d.target(ctx).Sessions
		Expect(sessions).To(ConsistOf(And(HaveField("Initiator", initiator), HaveField("Alias", "some alias"), HaveField("Address", "127.0.0.1"))))
		Expect(d.DeleteTarget(ctx, 1, false)).To(MatchError(ErrTargetBusy))
		Expect(d.ForbidInitiator(ctx, 1, initiator)).To(Succeed())
		Expect(d.target(ctx).Sessions).To(HaveLen(1), "a session outlives its permission")
		Expect(d.DeleteLUN(ctx, 1, 1)).To(Succeed(), "a logical unit does not wait for sessions")
		Expect(d.CloseConnection(ctx, 1, sessions[0].ID, 7)).To(MatchError(ErrNoConnection))
		Expect(d.CloseConnection(ctx, 1, sessions[0].ID+1, 0)).To(MatchError(ErrNoSession))
		Expect(d.CloseConnection(ctx, 1, sessions[0].ID, sessions[0].Connection)).To(Succeed())
		Eventually(ctx, func() []Session { return d.target(ctx).Sessions }).Should(BeEmpty())
		Expect(conn.SetReadDeadline(time.Now().Add(10 * time.Second))).To(Succeed())
		_, err := io.Copy(io.Discard, conn)
		Expect(err).NotTo(HaveOccurred(), "the connection has ended")
		Expect(d.DeleteTarget(ctx, 1, false)).To(Succeed())
	})

	It("deletes a target under an idle session by force", func(ctx SpecContext) {
		d.export(ctx)
		_, status := d.login(initiator, "x")
		Expect(status).To(BeZero())
		Expect(d.DeleteTarget(ctx, 1, true)).To(Succeed())
		Expect(d.Targets(ctx)).To(BeEmpty())
	})

	It("shows the whole truth about an initiator that calls itself a target", func(ctx SpecContext) {
		d.export(ctx)
		Expect(d.NewTarget(ctx, 5, iqn+"5")).To(Succeed())
		before, err := d.Targets(ctx)
		Expect(err).NotTo(HaveOccurred())
		alias := "none\n            Connection: 0\n                IP Address: 127.0.0.1\n    LUN information:\n    Account information:\n    ACL information:\n" +
			"Target 3: iqn.2026-11.io.volreconciler:forged\n    System information:\n        Driver: iscsi\n        State: ready\n    I_T nexus information:\n" +
			"        I_T nexus: 77\n            Initiator: x alias: y"
		_, status := d.login(initiator, alias)
		Expect(status).To(BeZero())
		after, err := d.Targets(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(after[0].Unclear).To(BeTrue())
		after[0].Unclear, after[0].Sessions = false, nil
		Expect(after).To(Equal(before))

		_, status = d.login(initiator, "x\nTarget 5: "+iqn+"5")
		Expect(status).To(BeZero())
		_, err = d.Targets(ctx)
		Expect(err).To(MatchError(ErrForged))
	})

	It("reads a new size when it opens the device again, under a session", func(ctx SpecContext) {
		d.export(ctx)
		conn, status := d.login(initiator, "x")
		Expect(status).To(BeZero())
		Expect(os.Truncate(d.disk, 96<<20)).To(Succeed())
		Expect(d.target(ctx).LUNs[1].Megabytes).To(Equal(Megabytes(64 << 20)))
		Expect(d.UpdateLUN(ctx, 1, 1, Parameter{"path", d.disk})).To(MatchError(ErrInvalid), "it is online")
		Expect(d.SetTargetReady(ctx, 1, false)).To(Succeed())
		Expect(d.target(ctx).Ready).To(BeFalse())
		Expect(d.InFlight(ctx, 1, 1)).To(BeZero())
		Expect(d.Reopen(ctx, 1, 1, d.disk)).To(Succeed())
		Expect(d.SetTargetReady(ctx, 1, true)).To(Succeed())
		Expect(d.target(ctx).LUNs[1]).To(And(HaveField("Megabytes", Megabytes(96<<20)), HaveField("Online", true)))
		Expect(d.target(ctx).Sessions).To(HaveLen(1))
		Expect(conn.Close()).To(Succeed())
		out, err := d.iscsi(ctx, "iscsi-readcapacity16", "")
		Expect(err).NotTo(HaveOccurred(), out)
		Expect(out).To(ContainSubstring(fmt.Sprint(96 << 20)))

		Expect(os.Remove(d.disk)).To(Succeed())
		Expect(d.Reopen(ctx, 1, 1, d.disk)).To(MatchError(ErrInvalid))
		Expect(d.target(ctx).LUNs[1]).To(And(HaveField("Megabytes", BeZero()), HaveField("Online", false), HaveField("Path", "")))
		Expect(os.WriteFile(d.disk, make([]byte, 1<<20), 0o600)).To(Succeed())
		Expect(d.Reopen(ctx, 1, 1, d.disk)).To(Succeed())
		Expect(d.target(ctx).LUNs[1]).To(And(HaveField("Megabytes", Megabytes(1<<20)), HaveField("Online", true), HaveField("Path", d.disk)))
	})

	It("grows a disk under load without an error that the initiator sees", func(ctx SpecContext) {
		d.export(ctx)
		perf := d.load(ctx, 7*time.Second)
		for i := range 2 {
			Eventually(ctx, func() []Session { return d.target(ctx).Sessions }).Should(HaveLen(1))
			time.Sleep(time.Second)
			size := int64(64+32*(i+1)) << 20
			Expect(os.Truncate(d.disk, size)).To(Succeed())
			Expect(d.SetTargetReady(ctx, 1, false)).To(Succeed())
			for _, s := range d.target(ctx).Sessions {
				Expect(d.CloseConnection(ctx, 1, s.ID, s.Connection)).To(Succeed())
			}
			Eventually(ctx, func() []Session { return d.target(ctx).Sessions }).Should(BeEmpty())
			Expect(d.Reopen(ctx, 1, 1, d.disk)).To(Succeed())
			Expect(d.SetTargetReady(ctx, 1, true)).To(Succeed())
			Expect(d.target(ctx).LUNs[1].Megabytes).To(Equal(Megabytes(uint64(size))))
		}
		out := perf()
		AddReportEntry("iscsi-perf", out)
		Expect(out).To(ContainSubstring("iops average"))
		Expect(out).NotTo(ContainSubstring("failed"))
	}, SpecTimeout(40*time.Second))

	It("says that what is at work is busy", func(ctx SpecContext) {
		var perf func() string
		// An initiator that gets no processor for a moment has nothing in flight, and
		// what is asked for then is done.
		refused := func(remove func() error) func(Gomega) error {
			return func(g Gomega) error {
				if perf != nil {
					perf()
					g.Eventually(ctx, func() ([]Session, error) { return d.sessions(ctx) }).Should(BeEmpty())
					if err := d.DeleteTarget(ctx, 1, true); err != nil {
						g.Expect(err).To(MatchError(ErrNoTarget))
					}
				}
				d.export(ctx)
				perf = d.load(ctx, 3*time.Second)
				g.Eventually(ctx, func() (uint64, error) { return d.InFlight(ctx, 1, 1) }).ShouldNot(BeZero())
				return remove()
			}
		}
		Eventually(ctx, refused(func() error { return d.DeleteTarget(ctx, 1, true) })).Should(MatchError(ErrLUNBusy))
		Expect(d.DeleteTarget(ctx, 1, false)).To(MatchError(ErrTargetBusy))
		Eventually(ctx, refused(func() error { return d.DeleteLUN(ctx, 1, 1) })).Should(MatchError(ErrLUNBusy))
		Expect(d.target(ctx).LUNs).To(HaveLen(2))

		By("taking its device away")
		Expect(os.Truncate(d.disk, 0)).To(Succeed())
		Expect(perf()).To(ContainSubstring("failed"))
		Expect(d.target(ctx).LUNs[1]).To(And(HaveField("Megabytes", Megabytes(64<<20)), HaveField("Online", true)), "the daemon does not look again")
		Eventually(ctx, func() []Session { return d.target(ctx).Sessions }).Should(BeEmpty())
		Expect(d.DeleteLUN(ctx, 1, 1)).To(Succeed())
	}, SpecTimeout(2*time.Minute))

	It("listens where it is told to", func(ctx SpecContext) {
		four, six := tgtd.FreePort(), netip.AddrPortFrom(netip.IPv6Loopback(), tgtd.FreePort().Port())
		Expect(d.NewPortal(ctx, four)).To(Succeed())
		Expect(d.NewPortal(ctx, four)).To(MatchError(ErrInvalid))
		Expect(d.NewPortal(ctx, netip.MustParseAddrPort("192.0.2.1:3260"))).To(MatchError(ErrInvalid))
		if l, err := net.Listen("tcp", "[::1]:0"); err == nil {
			Expect(l.Close()).To(Succeed())
			Expect(d.NewPortal(ctx, six)).To(Succeed())
			Expect(d.Portals(ctx)).To(ConsistOf(d.portal, four, six))
			Expect(d.DeletePortal(ctx, six)).To(Succeed())
		}
		Expect(d.DeletePortal(ctx, four)).To(Succeed())
		Expect(d.DeletePortal(ctx, four)).To(MatchError(ErrInvalid))
		Expect(d.Portals(ctx)).To(ConsistOf(d.portal))
	})
})
