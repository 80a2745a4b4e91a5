package e2e

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// The kernel keeps what it made for an initiator that was let in without a list, until the target
// goes: which LUNs it sees, and how.
var _ = Describe("An iSCSI target that let anybody in", func() {
	i := iscsiTCP
	export := func(ctx context.Context, who string, luns string) {
		specs(ctx, "export.yaml", fmt.Sprintf("kind: Export\nmetadata: {name: db}\nspec: {portals: [%q], luns: [%s], %s}", i.portal(), luns, who))
	}
	listed := func(entries string) string { return fmt.Sprintf("initiators: [{name: %q%s}]", i.host("db"), entries) }
	const anyone, both = "allowAnyInitiator: true", "{volume: one, lun: 0}, {volume: two, lun: 1}"
	connect := func(ctx context.Context) session {
		return mustConnect(ctx, i, attachment{target: i.target("db"), portal: i.portal(), host: i.host("db")})
	}
	BeforeEach(func(ctx SpecContext) {
		i.setUp(ctx)
		specs(ctx, "pool.yaml", thickPool, volume("one", "slow", "16Mi", ""), volume("two", "slow", "16Mi", ""))
		agent()
	}, NodeTimeout(limit))

	It("shows those that are listed by now nothing but what is listed", func(ctx SpecContext) {
		export(ctx, anyone, both)
		allReady(ctx, 4)
		s := connect(ctx)
		Expect(s.luns(ctx)).To(HaveLen(2))
		s.disconnect(ctx)
		export(ctx, listed(", luns: [0]"), both)
		allReady(ctx, 4)
		s = connect(ctx)
		Expect(s.luns(ctx)).To(And(HaveLen(1), HaveKey(0)))
		s.disconnect(ctx)
	}, NodeTimeout(limit))

	It("lets nobody write to what became read-only, and anybody to what is not any more", func(ctx SpecContext) {
		export(ctx, anyone, "{volume: one}")
		allReady(ctx, 4)
		s := connect(ctx)
		Expect(writes(ctx, device(ctx, s, 0))).To(BeTrue())
		s.disconnect(ctx)
		export(ctx, anyone, "{volume: one, readOnly: true}")
		allReady(ctx, 4)
		s = connect(ctx)
		Expect(writes(ctx, device(ctx, s, 0))).To(BeFalse())
		s.disconnect(ctx)
		export(ctx, anyone, "{volume: one}")
		allReady(ctx, 4)
		s = connect(ctx)
		Expect(writes(ctx, device(ctx, s, 0))).To(BeTrue())
		s.disconnect(ctx)
	}, NodeTimeout(limit))

	It("shows all to anybody again", func(ctx SpecContext) {
		export(ctx, anyone, "{volume: one}")
		allReady(ctx, 4)
		connect(ctx).disconnect(ctx)
		export(ctx, `initiators: [{name: "iqn.1994-05.com.example:other"}]`, both)
		allReady(ctx, 4)
		_, err := i.connect(ctx, attachment{target: i.target("db"), portal: i.portal(), host: i.host("db")})
		Expect(err).To(HaveOccurred(), "it is not listed")
		export(ctx, anyone, both)
		allReady(ctx, 4)
		s := connect(ctx)
		Expect(s.luns(ctx)).To(HaveLen(2))
		s.disconnect(ctx)
	}, NodeTimeout(limit))
})
