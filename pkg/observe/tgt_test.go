package observe

import (
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/tgtadm"
)

var _ = Describe("a target of tgtd", func() {
	users := func(pairs ...string) TargetAuth {
		var a TargetAuth
		for i := 0; i < len(pairs); i += 2 {
			a.Accounts = append(a.Accounts, ondisk.Account{Username: pairs[i], Password: spec.NewSecret(pairs[i+1])})
		}
		return a
	}
	// with is a target that has these accounts.
	with := func(auth TargetAuth) Target {
		mark, err := auth.NewMark()
		Expect(err).NotTo(HaveOccurred())
		return Target{Accounts: append([]string{ondisk.GuardAccount}, auth.Usernames()...), OwnAccount: auth.Own.Username, AuthMark: mark}
	}

	It("is read", func() {
		t := TGTTarget(tgtadm.Target{
			ID: 7, Name: "iqn.x", Ready: true,
			LUNs: []tgtadm.LUN{
				{Number: 0, Type: "controller"},
				{Number: 1, ID: "6001405", Serial: "s", Path: "/dev/vg0/a", Online: true, Megabytes: 67, ReadOnly: true},
				{Number: 2, ID: "6001405", Serial: "s2", Online: true},
				{Number: 3, ID: "6001405", Serial: "s3", Path: "/dev/vg0/b"},
				{Number: 4, ID: "IET     00070004", Serial: "beaf74", Path: "/dev/vg0/c", Online: true},
			},
			Access:   []string{"volreconciler:db", "volreconciler-auth:00:11", "10.0.0.0/8", "iqn.host"},
			Sessions: []tgtadm.Session{{Initiator: "iqn.host"}, {Initiator: "iqn.other"}},
			Unclear:  true,
		}, []netip.AddrPort{netip.MustParseAddrPort("[::]:3260")})
		owner, ours := t.Owner()
		Expect(ours).To(BeTrue())
		Expect(owner.Name).To(Equal("db"))
		Expect(t.LUNs).To(HaveLen(4))
		Expect(t.LUNs[0]).To(Equal(TargetLUN{Device: "/dev/vg0/a", Identity: "s", Size: 67_000_000, ReadOnly: true}))
		for n := 1; n < 4; n++ {
			Expect(t.LUNs[n].Device).To(BeEmpty())
		}
		Expect(t.ACLs).To(And(HaveLen(2), HaveKeyWithValue("iqn.host", HaveField("LoggedIn", true)), HaveKey("10.0.0.0/8")))
		Expect(t.DynamicSessions).To(Equal([]string{"iqn.other"}))
		Expect(t.Unattributed).To(HaveLen(1))
		Expect(t.AuthMark).To(Equal("volreconciler-auth:00:11"))
		Expect(t.Portals).To(Equal(map[string]Transport{"[::]:3260": TCP}))
		Expect(t.Enabled).To(BeTrue())
		Expect(t.Offline).To(BeFalse())
		Expect(t.Empty()).To(BeFalse())
	})

	It("is nobody's with two marks, and an empty shell with none", func() {
		Expect(TGTMark([]string{"volreconciler:a", "volreconciler:b"})).To(BeEmpty())
		shell := TGTTarget(tgtadm.Target{ID: 1, Name: "iqn.x", LUNs: []tgtadm.LUN{{}}}, []netip.AddrPort{netip.MustParseAddrPort("[::]:3260")})
		Expect(shell.Empty()).To(BeTrue())
		shell.Accounts = []string{"u"}
		Expect(shell.Empty()).To(BeFalse())
		all := TGTTarget(tgtadm.Target{Access: []string{"ALL"}}, nil)
		Expect(all.Attrib.GenerateNodeACLs).To(BeTrue())
		Expect(all.ACLs).To(BeEmpty())
	})

	It("has the passwords that its mark says", func() {
		mutual := users("u", "secret")
		mutual.Own = ondisk.Account{Username: "t", Password: spec.NewSecret("other")}
		ambiguous := users(`u" "a`, "b")
		all := []TargetAuth{users("u", "secret"), users("u", "other"), users("v", "secret"), users("u", "secret", "v", "secret"), mutual, users("u", `a" "b`), ambiguous}
		for i, have := range all {
			for j, want := range all {
				Expect(with(have).HasAuth(want)).To(Equal(i == j), "%d %d", i, j)
			}
			Expect(with(have).HasAuth(TargetAuth{})).To(BeFalse())
			Expect(Target{}.HasAuth(have)).To(BeFalse())
			unmarked := with(have)
			unmarked.AuthMark = ""
			Expect(unmarked.HasAuth(have)).To(BeFalse())
			Expect(with(have).AuthMark).NotTo(Equal(with(have).AuthMark), "each has a salt of its own")
			Expect(len(with(have).AuthMark)).To(BeNumerically("<=", tgtadm.MaxName))
		}
		Expect(Target{}.HasAuth(TargetAuth{})).To(BeTrue())
		Expect(with(users("a", "1", "b", "2")).HasAuth(users("b", "2", "a", "1"))).To(BeTrue(), "the order is nothing")
		unguarded := with(users("u", "secret"))
		unguarded.Accounts = unguarded.Accounts[1:]
		Expect(unguarded.HasAuth(users("u", "secret"))).To(BeFalse())
	})

	It("tells sizes that are rounded", func() {
		for size := uint64(4 << 20); size < 16<<40; size = size*3/2 + 512 {
			size := size / 512 * 512
			shown := tgtLUN(tgtadm.Target{}, tgtadm.LUN{Megabytes: tgtadm.Megabytes(size), Online: true})
			Expect(shown.HasSize(size)).To(BeTrue(), "%d", size)
			Expect(shown.HasSize(size+4<<20)).To(BeFalse(), "%d", size)
		}
	})

	DescribeTable("listens",
		func(have, want string, serves bool) {
			Expect(TGTServes(netip.MustParseAddrPort(have), netip.MustParseAddrPort(want))).To(Equal(serves))
		},
		Entry(nil, "0.0.0.0:3260", "10.0.0.1:3260", true),
		Entry(nil, "0.0.0.0:3260", "10.0.0.1:3261", false),
		Entry(nil, "0.0.0.0:3260", "[::1]:3260", false),
		Entry(nil, "[::]:3260", "[::1]:3260", true),
		Entry(nil, "[::]:3260", "0.0.0.0:3260", false),
		Entry(nil, "10.0.0.1:3260", "0.0.0.0:3260", false),
		Entry(nil, "10.0.0.1:3260", "10.0.0.1:3260", true),
	)
})
