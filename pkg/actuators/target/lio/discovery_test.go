package lio

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("the authentication of discovery", func() {
	It("is set, changed, and taken away", func(ctx SpecContext) {
		h := machine()
		Expect(observed(ctx, h).LIO.Discovery).To(BeZero())
		one := change.Auth{Username: "d", Password: spec.NewSecret("secretsecret1")}
		apply(ctx, h, change.SetDiscoveryAuth{Auth: one})
		Expect(observed(ctx, h).LIO.Discovery).To(Equal(observe.DiscoveryAuth{Enforced: true, Auth: observe.CHAP{Username: "d", Password: one.Password}}))
		both := one
		both.Password, both.MutualUsername, both.MutualPassword = spec.NewSecret("secretsecret2"), "t", spec.NewSecret("secretsecret3")
		apply(ctx, h, change.SetDiscoveryAuth{Auth: both})
		Expect(observed(ctx, h).LIO.Discovery).To(Equal(observe.DiscoveryAuth{Enforced: true, Auth: observe.CHAP{
			Username: "d", Password: both.Password, MutualUsername: "t", MutualPassword: both.MutualPassword,
		}}))
		apply(ctx, h, change.SetDiscoveryAuth{})
		Expect(observed(ctx, h).LIO.Discovery).To(BeZero())
	})

	It("refuses what the kernel would take for none", func(ctx SpecContext) {
		h := machine()
		c := change.SetDiscoveryAuth{Auth: change.Auth{Username: "d", Password: spec.NewSecret("NULLsecretsecret")}}
		Expect(New(h).Apply(ctx, c)).To(MatchError(ContainSubstring("begins with NULL")))
		Expect(observed(ctx, h).LIO.Discovery).To(BeZero())
		Expect(c.String()).To(Equal("set authentication of iSCSI discovery: CHAP"))
	})
})
