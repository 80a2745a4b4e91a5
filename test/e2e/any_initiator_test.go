package e2e

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

// The kernel keeps what it made for an initiator that was let in without a list, until the target
// goes: which LUNs it sees, and how.
var _ = Describe("An iSCSI target that let anybody in", func() {
	i := iscsiTCP
	export := func(ctx context.Context, who string, luns string) {
		specs(ctx, "export.yaml", fmt.Sprintf("kind: Export\nmetadata: {name: db}\nspec: {protocol: iscsi, portals: [%q], luns: [%s], %s}", i.portal(), luns, who))
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

	It("lets nobody in again who was taken out, while the session goes on", func(ctx SpecContext) {
		inquiry := fmt.Sprintf("iscsi-inq -i %s iscsi://%s/%s/0", i.host("db"), i.portal(), i.target("db"))
		export(ctx, listed(""), "{volume: one}")
		allReady(ctx, 4)
		s := connect(ctx)
		disk := device(ctx, s, 0)
		Expect(try(ctx, inquiry).ExitCode).To(BeZero())
		export(ctx, `initiators: [{name: "iqn.1994-05.com.example:other"}]`, "{volume: one}")
		eventually(ctx, "Export/db", beIn(status.Blocked, status.ReasonSessionsActive))
		passes(ctx, 2)
		Expect(try(ctx, inquiry).ExitCode).NotTo(BeZero())
		Expect(writes(ctx, disk)).To(BeTrue())
		export(ctx, listed(""), "{volume: one}")
		allReady(ctx, 4)
		Expect(try(ctx, inquiry).ExitCode).To(BeZero())
		Expect(writes(ctx, disk)).To(BeTrue())
		s.disconnect(ctx)
	}, NodeTimeout(limit))
})
