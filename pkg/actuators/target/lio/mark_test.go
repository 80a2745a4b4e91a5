package lio

import (
	"context"
	"errors"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

var _ = Describe("the mark of a target", func() {
	target := change.Target{Fabric: observe.ISCSI, Name: "iqn.2026-01.com.example:db", Export: "db"}
	dir := observe.ISCSITarget(target.Name)
	var h *fakehost.Host

	text := func(file string) string {
		GinkgoHelper()
		text, err := h.ReadFile(file)
		Expect(err).NotTo(HaveOccurred())
		return strings.TrimSuffix(string(text), "\n")
	}
	write := func(file, text string) {
		GinkgoHelper()
		Expect(h.WriteFile(file, []byte(text))).To(Succeed())
	}
	// older makes of the target what an older agent would have made.
	older := func(export string) {
		write(dir.Mark(), "NULL")
		write(dir.Alias(), ondisk.TargetMark(export))
	}
	owner := func(ctx context.Context) string {
		id, _ := observed(ctx, h).LIO.ISCSI[target.Name].Owner()
		return id.Name
	}

	BeforeEach(func(ctx SpecContext) {
		h = machine()
		apply(ctx, h, change.CreateTarget{Target: target}, change.AddInitiator{Target: target, Initiator: "iqn.x:y"},
			change.AddPortal{Target: target, Portal: "10.0.0.1:3260", Transport: observe.TCP}, change.EnableTarget{Target: target})
		Expect(h.Login(target.Name, "iqn.x:y")).To(Succeed())
	})

	It("is in no answer at login, whose length no initiator minds then", func(ctx SpecContext) {
		Expect(text(dir.Mark())).To(Equal("volreconciler:db"))
		Expect(text(dir.Alias())).To(Equal("LIO Target"))
		Expect(owner(ctx)).To(Equal("db"))
	})

	It("is moved out of the alias under a live session", func(ctx SpecContext) {
		before := observed(ctx, h).LIO.ISCSI[target.Name]
		older("db")
		Expect(observed(ctx, h).LIO.ISCSI[target.Name].MarkInAlias).To(BeTrue())
		apply(ctx, h, change.MoveMark{Target: target})
		Expect(text(dir.Alias())).To(Equal("LIO Target"))
		Expect(observed(ctx, h).LIO.ISCSI[target.Name]).To(Equal(before))
		Expect(before.Connections).To(HaveLen(1))
	})

	It("is there at every moment of that", func(ctx SpecContext) {
		killed := errors.New("killed")
		for calls := range 3 {
			older("db")
			left := calls
			tap := &fakehost.Tap{Host: h, Before: func(c fakehost.Call) error {
				if !c.Changes() {
					return nil
				}
				if left == 0 {
					return killed
				}
				left--
				return nil
			}}
			if err := New(tap).Apply(ctx, change.MoveMark{Target: target}); calls < 2 {
				Expect(err).To(MatchError(killed))
				Expect(observed(ctx, h).LIO.ISCSI[target.Name].MarkInAlias).To(BeTrue(), "so that the next pass goes on")
			}
			Expect(owner(ctx)).To(Equal("db"))
			apply(ctx, h, change.MoveMark{Target: target})
			Expect(text(dir.Alias())).To(Equal("LIO Target"))
		}
	})

	It("leaves an alias alone that an administrator chose", func(ctx SpecContext) {
		write(dir.Alias(), "database")
		apply(ctx, h, change.MoveMark{Target: target})
		Expect(text(dir.Alias())).To(Equal("database"))
		Expect(owner(ctx)).To(Equal("db"))
	})

	DescribeTable("is not moved, and nothing else is done,", func(ctx SpecContext, mark, alias string) {
		write(dir.Mark(), mark)
		write(dir.Alias(), alias)
		before := h.Node()
		for _, c := range []change.Change{
			change.MoveMark{Target: target}, change.CreateTarget{Target: target}, change.DisableTarget{Target: target},
			change.RemoveTarget{Target: target, Force: true},
		} {
			Expect(New(h).Apply(ctx, c)).To(MatchError(change.ErrStale), c.String())
		}
		Expect(h.Node()).To(Equal(before))
	},
		Entry("if it is another export's", "NULL", "volreconciler:web"),
		Entry("if there are two", "volreconciler:db", "volreconciler:web"),
		Entry("if it no longer exists", "NULL", "LIO Target"),
		Entry("if somebody else's is there", "theirs", "LIO Target"),
	)

	It("of an older agent is one: its target can be changed and removed", func(ctx SpecContext) {
		older("db")
		apply(ctx, h, change.DisableTarget{Target: target}, change.RemoveTarget{Target: target, Force: true})
		Expect(observed(ctx, h).LIO.ISCSI).To(BeEmpty())
	})
})
