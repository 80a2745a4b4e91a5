package lio

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

var _ = Describe("disabling a target", func() {
	target := change.Target{Fabric: observe.ISCSI, Name: "iqn.2026-01.com.example:db", Export: "db"}

	It("keeps all that is in it, so that it can be enabled again", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, change.CreateTarget{Target: target}, change.AddPortal{Target: target, Portal: "10.0.0.1:3260", Transport: observe.TCP},
			change.EnableTarget{Target: target})
		before := observed(ctx, h).LIO.ISCSI[target.Name]
		Expect(before.Enabled).To(BeTrue())
		apply(ctx, h, change.DisableTarget{Target: target})
		after := observed(ctx, h).LIO.ISCSI[target.Name]
		Expect(after.Enabled).To(BeFalse())
		apply(ctx, h, change.EnableTarget{Target: target})
		Expect(observed(ctx, h).LIO.ISCSI[target.Name]).To(Equal(before))
	})

	It("is done if it no longer exists", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, change.DisableTarget{Target: target})
		Expect(h.Node().ConfigFS).To(BeEmpty())
	})

	It("is not done to another's", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, change.CreateTarget{Target: target}, change.EnableTarget{Target: target})
		other := target
		other.Export = "web"
		Expect(New(h).Apply(ctx, change.DisableTarget{Target: other})).To(MatchError(change.ErrStale))
		Expect(observed(ctx, h).LIO.ISCSI[target.Name].Enabled).To(BeTrue())
	})
})
