package tgt

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
)

// A session appears between the observation and the step.
var _ = Describe("a change that would hit an initiator which has logged in to tgtd since", func() {
	all := change.Idle{All: true}
	add := change.AddLUN{Target: db, LUN: 1, Device: "/dev/vg0/other", LVUUID: otherUUID}

	It("is not made, and is when the plan names it", func(ctx SpecContext) {
		n := exporting(ctx)
		n.apply(ctx, open()...)
		_, status := n.login(initiator)
		Expect(status).To(BeZero())
		before, _ := n.seen(ctx, iqn)
		n.grow("db", 128*mib)
		for _, c := range []change.Change{
			change.WithIdle(add, all),
			change.ResizeLUN{Target: db, LUN: 0, Device: "/dev/vg0/db", LVUUID: lvUUID, Idle: all},
			change.SetWriteProtect{Target: db, LUN: 0, ReadOnly: true, Idle: all},
			change.RemoveLUN{Target: db, LUN: 0, Idle: all},
			change.RemoveInitiator{Target: db, Initiator: initiator, Idle: change.Idle{Initiators: []string{initiator}}},
			change.RemoveTarget{Target: db},
		} {
			err := n.Apply(ctx, c)
			Expect(err).To(And(MatchError(change.ErrSessions), MatchError(change.ErrInUse), MatchError(ContainSubstring("has sessions of "+initiator))), c.String())
			after, _ := n.seen(ctx, iqn)
			Expect(after).To(Equal(before), c.String())
		}
		but := change.Idle{All: true, But: []string{initiator}}
		n.apply(ctx,
			change.WithIdle(add, change.Idle{Unlisted: true}),
			change.SetWriteProtect{Target: db, LUN: 0, ReadOnly: true, Idle: but},
			change.RemoveLUN{Target: db, LUN: 0, Idle: but},
			change.RemoveInitiator{Target: db, Initiator: initiator, Idle: but},
		)
	})

	It("shows no new LUN to an initiator that came in before the target was closed", func(ctx SpecContext) {
		n := exporting(ctx)
		n.apply(ctx, open()...)
		_, status := n.login(initiator)
		Expect(status).To(BeZero())
		Expect(n.tgt.ForbidInitiator(ctx, 1, initiator)).To(Succeed())
		Expect(n.Apply(ctx, change.WithIdle(add, change.Idle{Unlisted: true}))).To(MatchError(change.ErrSessions))
	})
})
