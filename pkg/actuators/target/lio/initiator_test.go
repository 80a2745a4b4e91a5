package lio

import (
	"path"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("the authentication of an initiator", func() {
	chap := change.Auth{Username: "alice", Password: spec.NewSecret("secret of alice")}
	mutual := change.Auth{
		Username: "alice", Password: spec.NewSecret("secret of alice"),
		MutualUsername: "target", MutualPassword: spec.NewSecret("secret of target"),
	}

	It("is asked for before the credentials are there, and clears those that are not wanted", func() {
		Expect(authWrites(chap)).To(HaveExactElements(
			aclWrite{"attrib/authentication", "1"},
			aclWrite{"auth/userid", "alice"},
			aclWrite{"auth/password", "secret of alice"},
			aclWrite{"auth/userid_mutual", "NULL"},
			aclWrite{"auth/password_mutual", "NULL"},
		))
	})

	It("goes both ways", func() {
		Expect(authWrites(mutual)).To(ContainElements(
			aclWrite{"auth/userid_mutual", "target"},
			aclWrite{"auth/password_mutual", "secret of target"},
		))
	})

	It("is no longer asked for before the credentials go", func() {
		writes := authWrites(change.Auth{})
		Expect(writes[0]).To(Equal(aclWrite{"attrib/authentication", "0"}))
		for _, w := range writes[1:] {
			Expect(w.value).To(Equal("NULL"))
		}
	})

	It("is written without a newline, which the kernel would keep", func() {
		for _, w := range slices.Concat(authWrites(mutual), authWrites(change.Auth{})) {
			Expect(w.value).NotTo(HaveSuffix("\n"))
		}
	})

	It("may be none", func() {
		Expect(checkCredentials(change.Auth{})).To(Succeed())
	})

	It("takes what the kernel takes", func() {
		Expect(checkCredentials(mutual)).To(Succeed())
		Expect(checkCredentials(change.Auth{Username: "u", Password: spec.NewSecret(strings.Repeat("x", 255))})).To(Succeed())
	})

	DescribeTable("refuses what the kernel would misunderstand, and does not tell it",
		func(password, why string) {
			oneWay := checkCredentials(change.Auth{Username: "u", Password: spec.NewSecret(password)})
			Expect(oneWay).To(MatchError("the password " + why))
			bothWays := chap
			bothWays.MutualUsername, bothWays.MutualPassword = "t", spec.NewSecret(password)
			Expect(checkCredentials(bothWays)).To(MatchError("the mutual password " + why))
		},
		Entry("nothing", "", "is empty"),
		Entry("the word for none", "NULL", "begins with NULL, which means none to the kernel"),
		Entry("what begins with it", "NULLification", "begins with NULL, which means none to the kernel"),
		Entry("too much", strings.Repeat("x", 256), "is longer than 255 bytes"),
		Entry("what ends early", "half\x00of it", "contains a NUL byte"),
	)
})

var _ = Describe("an initiator that is refused", func() {
	It("is asked for a password that nobody has", func() {
		Expect(authWrites(change.Auth{Refused: true})).To(HaveExactElements(
			aclWrite{"attrib/authentication", "1"},
			aclWrite{"auth/userid", "NULL"},
			aclWrite{"auth/password", "NULL"},
			aclWrite{"auth/userid_mutual", "NULL"},
			aclWrite{"auth/password_mutual", "NULL"},
		))
		Expect(checkCredentials(change.Auth{Refused: true})).To(Succeed())
	})
})

var _ = Describe("an access list", func() {
	const one = "iqn.2026-01.com.example:one"
	iscsi := change.Target{Fabric: observe.ISCSI, Name: "iqn.2026-01.com.example:db", Export: "db"}
	anybody := observe.TPGAttrib{GenerateNodeACLs: true, CacheDynamicACLs: true, DemoModeDiscovery: true}
	closed := observe.TPGAttrib{Authentication: true, DemoModeWriteProtect: true}
	made := func(ctx SpecContext, h *fakehost.Host) (calls []string) {
		tap := fakehost.Tap{Host: h, Before: func(c fakehost.Call) error {
			if c.Changes() && (c.Op == "mkdir" || c.Op == "remove") {
				calls = append(calls, c.Op+" "+path.Base(c.Path))
			}
			return nil
		}}
		add := change.AddInitiator{Target: iscsi, Initiator: one}
		Expect(New(&tap).Apply(ctx, add)).To(Succeed())
		Expect(New(&tap).Apply(ctx, add)).To(Succeed())
		return calls
	}
	It("takes over nothing that the kernel kept of an initiator that was let in without", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, change.CreateTarget{Target: iscsi}, change.SetAttributes{Target: iscsi, Attrib: closed})
		Expect(made(ctx, h)).To(HaveExactElements("mkdir "+one, "remove "+one, "mkdir "+one))
	})
	It("leaves the session that there is of it", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, change.CreateTarget{Target: iscsi}, change.SetAttributes{Target: iscsi, Attrib: anybody}, change.EnableTarget{Target: iscsi})
		Expect(h.Login(iscsi.Name, one)).To(Succeed())
		apply(ctx, h, change.SetAttributes{Target: iscsi, Attrib: closed})
		Expect(made(ctx, h)).To(HaveExactElements("mkdir " + one))
		Expect(observed(ctx, h).LIO.ISCSI[iscsi.Name].ACLs[one].LoggedIn).To(BeTrue())
	})
})
