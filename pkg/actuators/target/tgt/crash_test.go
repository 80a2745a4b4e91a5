package tgt

import (
	"context"
	"fmt"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/tgtadm"
)

// history is a change that an agent dies in the midst of.
type history struct {
	text   string
	before []change.Change
	change change.Change
	// closed is that nobody may log in without a password at any time.
	closed bool
	// prepare does what somebody else does before.
	prepare func(ctx context.Context, n *node)
}

var (
	rotation = change.SetAccounts{Target: db, Auth: auth("u", password2, "v", password)}
	resize   = change.ResizeLUN{Target: db, LUN: 0, Device: "/dev/vg0/db"}
	addition = change.AddLUN{Target: db, LUN: 1, Device: "/dev/vg0/other", LVUUID: otherUUID}
)

func histories() []history {
	readOnly := addition
	readOnly.ReadOnly = true
	unguarded := func(ctx context.Context, n *node) {
		t, err := n.find(ctx, iqn)
		Expect(err).NotTo(HaveOccurred())
		Expect(n.tgt.UnbindAccounts(ctx, t.ID, t.Incoming, t.Incoming...)).To(Succeed())
		Expect(n.tgt.BindAccount(ctx, t.ID, "u", tgtadm.Incoming)).To(Succeed())
	}
	grown := func(_ context.Context, n *node) { n.grow("db", 128*mib) }
	return []history{
		{"making a target", nil, export()[0], true, nil},
		{"asking for passwords", export()[:1], export()[1], true, nil},
		{"adding a LUN", export()[:2], export()[2], true, nil},
		{"adding a LUN to a target with initiators", export(), addition, true, nil},
		{"adding a read-only LUN to a target with initiators", export(), readOnly, true, nil},
		{"admitting an initiator", export()[:3], export()[3], true, nil},
		{"changing passwords", export(), rotation, true, nil},
		{"changing passwords where somebody unbound the guard", export(), rotation, true, unguarded},
		{"asking for no password any more", export(), change.SetAccounts{Target: db}, false, nil},
		{"resizing a LUN", export(), resize, true, grown},
		{"protecting a LUN", export(), change.SetWriteProtect{Target: db, ReadOnly: true}, true, nil},
		{"removing a LUN", export(), change.RemoveLUN{Target: db, LUN: 0}, true, nil},
		{"removing an initiator", export(), change.RemoveInitiator{Target: db, Initiator: initiator}, true, nil},
		{"removing a target", export(), change.RemoveTarget{Target: db}, true, nil},
		{"opening a target", open()[:2], change.SetAttributes{Target: db, Attrib: observe.TPGAttrib{GenerateNodeACLs: true}}, false, nil},
	}
}

var _ = Describe("The agent dies in the midst of", func() {
	for _, h := range histories() {
		for _, lost := range []bool{false, true} {
			text := h.text + ", before a request"
			if lost {
				text = h.text + ", after a request"
			}
			It(text, func(ctx SpecContext) {
				n := exporting(ctx)
				n.lost = lost
				points := 0
				for ; ; points++ {
					n.begin(ctx, h)
					n.left.Store(int64(points))
					err := n.Apply(ctx, h.change)
					n.left.Store(-1)
					at := fmt.Sprintf("after %d requests", points)
					if h.closed {
						n.expectClosed(ctx, at)
					}
					for range 2 {
						Expect(n.Apply(ctx, h.change)).To(Succeed(), at)
					}
					n.expectDone(ctx, h, at)
					if err == nil {
						break
					}
					Expect(err).To(MatchError(errCut), at)
				}
				Expect(points).To(BeNumerically(">", 1))
			})
		}
	}
})

// begin makes the node as it was before the change.
func (n *node) begin(ctx context.Context, h history) {
	GinkgoHelper()
	Expect(n.Apply(ctx, change.RemoveTarget{Target: db, Force: true})).To(Succeed())
	n.grow("db", 64*mib)
	for _, c := range h.before {
		Expect(n.Apply(ctx, c)).To(Succeed())
	}
	if h.prepare != nil {
		h.prepare(ctx, n)
	}
}

// expectClosed expects that nobody can log in without a password, be it a stranger
// or the initiator.
func (n *node) expectClosed(ctx context.Context, at string) {
	GinkgoHelper()
	t, err := n.find(ctx, iqn)
	Expect(err).NotTo(HaveOccurred(), at)
	if t == nil {
		return
	}
	admitted := observe.TGTInitiators(t.Access)
	Expect(admitted).NotTo(ContainElement(tgtadm.AllInitiators), at)
	if len(admitted) > 0 && t.Ready {
		Expect(t.Incoming).NotTo(BeEmpty(), at)
		_, status := n.login(initiator)
		Expect(status).NotTo(BeZero(), at)
	}
	_, status := n.login(stranger)
	Expect(status).NotTo(BeZero(), at)
}

// expectDone expects that the change was made, whatever there was before.
func (n *node) expectDone(ctx context.Context, h history, at string) {
	GinkgoHelper()
	t, there := n.seen(ctx, iqn)
	switch c := h.change.(type) {
	case change.RemoveTarget:
		Expect(there).To(BeFalse(), at)
	case change.SetAccounts:
		Expect(t.HasAuth(c.Auth)).To(BeTrue(), at)
	case change.AddLUN:
		Expect(t.LUNs[c.LUN]).To(And(HaveField("Device", Not(BeEmpty())), HaveField("ReadOnly", c.ReadOnly)), at)
	case change.ResizeLUN:
		Expect(t.LUNs[c.LUN].HasSize(128*mib)).To(BeTrue(), at)
	case change.SetWriteProtect:
		Expect(t.LUNs[c.LUN].ReadOnly).To(BeTrue(), at)
	case change.RemoveLUN:
		Expect(t.LUNs).To(BeEmpty(), at)
	case change.AddInitiator:
		Expect(t.ACLs).To(HaveKey(initiator), at)
	case change.RemoveInitiator:
		Expect(t.ACLs).To(BeEmpty(), at)
	case change.CreateTarget:
		Expect(there && t.OwnedBy("db")).To(BeTrue(), at)
	case change.SetAttributes:
		Expect(t.Attrib).To(Equal(c.Attrib), at)
	default:
		Fail("no such change: " + change.Name(c))
	}
	if there && t.Offline {
		// What is planned for such a target.
		Expect(n.Apply(ctx, change.EnableTarget{Target: db})).To(Succeed(), at)
		t, _ = n.seen(ctx, iqn)
	}
	Expect(t.Offline).To(BeFalse(), at)
	Expect(slices.Contains(t.Accounts, ondisk.GuardAccount) || len(t.Accounts) == 0).To(BeTrue(), at)
}

var _ = Describe("The agent, with exports by tgtd, dies", func() {
	for _, lost := range []bool{false, true} {
		text := "before any request"
		if lost {
			text = "after any request"
		}
		It(text+", and the next one brings everything to its end", func(ctx SpecContext) {
			a := newAgent(ctx)
			a.lost = lost
			for points := int64(0); ; points += 2 {
				a.restart(ctx)
				a.write(true)
				a.left.Store(points)
				stand := a.converge(ctx)
				a.left.Store(-1)
				a.expectClosed(ctx, fmt.Sprintf("after %d requests", points))
				if len(stand) == 0 {
					break
				}
				a.apply(ctx)
				t, _ := a.seen(ctx, iqn)
				Expect(t.HasAuth(auth("u", password))).To(BeTrue(), "after %d requests", points)
			}
			Expect(a.connects(ctx, user("u", password), 0)).To(BeTrue())
		}, SpecTimeout(time.Minute))
	}
})
