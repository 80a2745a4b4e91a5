package lio

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

var _ = Describe("applying", func() {
	// No machine: what is tested here must not get that far.
	actuator := New(nil)

	It("refuses a change of another system", func(ctx SpecContext) {
		Expect(actuator.Apply(ctx, change.Activate{})).To(MatchError("unknown LIO change Activate"))
	})

	It("begins nothing once it is to stop", func(ctx SpecContext) {
		stopped, stop := context.WithCancel(ctx)
		stop()
		Expect(actuator.Apply(stopped, change.EnableTarget{})).To(MatchError(context.Canceled))
	})

	DescribeTable("leaves somebody else's backstore alone",
		func(ctx SpecContext, c change.Change) {
			h := machine(func(n *fakehost.Node) { n.Modules = []string{"target_core_mod", "target_core_iblock"} })
			for _, dir := range []string{observe.HBADir("iblock_900"), observe.BackstoreDir("iblock_900", "disk1")} {
				Expect(h.Mkdir(dir)).To(Succeed())
			}
			Expect(New(h).Apply(ctx, c)).To(MatchError(change.ErrStale))
		},
		Entry(nil, change.CreateBackstore{Backstore: change.Backstore{HBA: "iblock_0", Name: "disk1"}}),
		Entry(nil, change.SetUnmap{Backstore: change.Backstore{HBA: "iblock_900", Name: "disk1"}}),
		Entry(nil, change.RemoveBackstore{Backstore: change.Backstore{HBA: "iblock_900", Name: "disk1"}}),
	)
})
