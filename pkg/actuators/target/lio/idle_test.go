package lio

import (
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// A session appears between the observation and the step.
var _ = Describe("a change that would hit an initiator which has logged in since", func() {
	const one, two = "iqn.2026-01.com.example:one", "iqn.2026-01.com.example:two"
	iscsi := change.Target{Fabric: observe.ISCSI, Name: "iqn.2026-01.com.example:db", Export: "db"}
	v1 := change.Backstore{HBA: ondisk.HBA, Name: "volreconciler:volume:v1"}
	v2 := change.Backstore{HBA: ondisk.HBA, Name: "volreconciler:volume:v2"}
	export := func(target change.Target, initiators ...string) []change.Change {
		all := []change.Change{
			change.CreateBackstore{Backstore: v1, Device: "/dev/vg0/v1"}, change.CreateBackstore{Backstore: v2, Device: "/dev/vg0/v2"},
			change.CreateTarget{Target: target},
			change.AddLUN{Target: target, LUN: 0, Backstore: v1.Path()},
		}
		for _, name := range initiators {
			all = append(all, change.AddInitiator{Target: target, Initiator: name}, change.MapLUN{Target: target, Initiator: name, LUN: 0})
		}
		return append(all, change.EnableTarget{Target: target})
	}
	only := func(names ...string) change.Idle { return change.Idle{Initiators: names} }
	viewers := change.Idle{Initiators: []string{one, two}, Unlisted: true}

	DescribeTable("is not made, and is as soon as it has logged out, or the plan names it",
		func(ctx SpecContext, c change.Change, idle change.Idle, before ...change.Change) {
			for _, end := range []string{"logs out", "is named"} {
				h := machine()
				apply(ctx, h, slices.Concat(export(iscsi, one, two), []change.Change{change.AddPortal{Target: iscsi, Portal: "10.0.0.1:3260", Transport: observe.TCP}}, before)...)
				Expect(h.Login(iscsi.Name, one)).To(Succeed())
				node := h.Node()
				stale := change.WithIdle(c, idle)
				err := New(h).Apply(ctx, stale)
				Expect(err).To(And(MatchError(change.ErrSessions), MatchError(change.ErrInUse), MatchError(ContainSubstring("has sessions of "+one))))
				Expect(h.Node()).To(Equal(node), "nothing was done")
				if end == "logs out" {
					Expect(h.Logout(iscsi.Name, one)).To(Succeed())
				} else if idle.But = []string{one}; change.Name(c) == "RemoveTarget" {
					c = change.RemoveTarget{Target: iscsi, Force: true}
				}
				apply(ctx, h, change.WithIdle(c, idle))
				Expect(h.Node()).NotTo(Equal(node))
			}
		},
		Entry("a LUN that goes", change.RemoveLUN{Target: iscsi, LUN: 0}, viewers),
		Entry("a LUN of a number that was freed", change.AddLUN{Target: iscsi, LUN: 1, Backstore: v2.Path()}, viewers),
		Entry("a mapping of a number that was freed", change.MapLUN{Target: iscsi, Initiator: one, LUN: 1}, only(one), change.AddLUN{Target: iscsi, LUN: 1, Backstore: v2.Path()}),
		Entry("a mapping that goes", change.UnmapLUN{Target: iscsi, Initiator: one, LUN: 0}, only(one)),
		Entry("an initiator", change.RemoveInitiator{Target: iscsi, Initiator: one}, only(one)),
		Entry("write access", change.SetWriteProtect{Target: iscsi, Initiator: one, LUN: 0, ReadOnly: true}, only(one)),
		Entry("a portal", change.RemovePortal{Target: iscsi, Portal: "10.0.0.1:3260"}, change.Idle{All: true}),
		Entry("a target that is closed", change.DisableTarget{Target: iscsi}, change.Idle{All: true}),
		Entry("a target that goes", change.RemoveTarget{Target: iscsi}, change.Idle{All: true}),
	)

	It("ends where somebody logs in while it is made", func(ctx SpecContext) {
		h := &late{Host: machine(), target: iscsi.Name, initiator: two}
		apply(ctx, h.Host, export(iscsi, one, two)...)
		h.before = observe.ISCSITarget(iscsi.Name).MappedLUN(one, 0)
		Expect(New(h).Apply(ctx, change.RemoveLUN{Target: iscsi, LUN: 0, Idle: viewers})).To(MatchError(change.ErrSessions))
		after := observed(ctx, h.Host).LIO.ISCSI[iscsi.Name]
		Expect(after.ACLs[two]).To(And(HaveField("LoggedIn", true), HaveField("LUNs", HaveKey(0))))
		Expect(after.LUNs[0].Backstore).To(Equal(v1.Path()))
	})

	It("is made if it hits others only", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, export(iscsi, one, two)...)
		Expect(h.Login(iscsi.Name, one)).To(Succeed())
		apply(ctx, h,
			change.SetWriteProtect{Target: iscsi, Initiator: two, LUN: 0, ReadOnly: true, Idle: only(two)},
			change.UnmapLUN{Target: iscsi, Initiator: two, LUN: 0, Idle: only(two)},
			change.RemoveInitiator{Target: iscsi, Initiator: two, Idle: only(two)},
		)
		Expect(observed(ctx, h).LIO.ISCSI[iscsi.Name].ACLs[one].LoggedIn).To(BeTrue())
	})

	It("is not made if it came in without an access list", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, append(export(iscsi), change.SetAttributes{Target: iscsi, Attrib: observe.TPGAttrib{GenerateNodeACLs: true, CacheDynamicACLs: true}})...)
		Expect(h.Login(iscsi.Name, one)).To(Succeed())
		for _, c := range []change.Change{
			change.RemoveLUN{Target: iscsi, LUN: 0, Idle: change.Idle{Unlisted: true}},
			change.RemoveInitiator{Target: iscsi, Initiator: one, Idle: only(one)},
			change.DisableTarget{Target: iscsi, Idle: change.Idle{All: true}},
		} {
			Expect(New(h).Apply(ctx, c)).To(MatchError(change.ErrSessions), c.String())
		}
		Expect(observed(ctx, h).LIO.ISCSI[iscsi.Name].DynamicSessions).To(HaveExactElements(one))
	})

	It("is made of a target that is closed: its sessions have ended", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, export(iscsi, one, two)...)
		Expect(h.Login(iscsi.Name, one)).To(Succeed())
		apply(ctx, h, change.DisableTarget{Target: iscsi, Idle: change.Idle{All: true, But: []string{one}}}, change.RemoveLUN{Target: iscsi, LUN: 0, Idle: viewers})
	})

	It("is not made over Fibre Channel either", func(ctx SpecContext) {
		fc := change.Target{Fabric: observe.FC, Name: fcPort, Export: "db"}
		h := machine(func(n *fakehost.Node) { n.FCPorts = []fakehost.FCPort{{WWPN: "2000525400123456", Driver: "fcoe"}} })
		apply(ctx, h, export(fc, fcInitiator)...)
		Expect(h.Connect(fcPort, fcInitiator)).To(Succeed())
		node := h.Node()
		steps := []change.Change{
			change.SetWriteProtect{Target: fc, Initiator: fcInitiator, LUN: 0, ReadOnly: true, Idle: only(fcInitiator)},
			change.UnmapLUN{Target: fc, Initiator: fcInitiator, LUN: 0, Idle: only(fcInitiator)},
			change.AddLUN{Target: fc, LUN: 1, Backstore: v2.Path(), Idle: only(fcInitiator)},
			change.RemoveLUN{Target: fc, LUN: 0, Idle: only(fcInitiator)},
			change.RemoveInitiator{Target: fc, Initiator: fcInitiator, Idle: only(fcInitiator)},
		}
		for _, c := range steps {
			Expect(New(h).Apply(ctx, c)).To(MatchError(change.ErrSessions), c.String())
			Expect(h.Node()).To(Equal(node), c.String())
		}
		h.Disconnect(fcPort, fcInitiator)
		apply(ctx, h, steps...)
	})
})

// late is a machine on which an initiator logs in right before a directory is removed.
type late struct {
	*fakehost.Host
	before, target, initiator string
}

func (l *late) Remove(path string) error {
	if path == l.before {
		Expect(l.Login(l.target, l.initiator)).To(Succeed())
	}
	return l.Host.Remove(path)
}
