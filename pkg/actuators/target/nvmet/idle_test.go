package nvmet

import (
	"fmt"
	"maps"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// A session appears between the observation and the step.
var _ = Describe("a change that would hit a host which has connected since", func() {
	all := change.Idle{All: true}
	hosts := func(n *fakehost.Node) (names []string) {
		for _, s := range n.NVMeSessions {
			names = append(names, s.Host)
		}
		return names
	}
	for _, debugFS := range []bool{true, false} {
		named := host2
		if !debugFS {
			named = "192.0.2.1" // all that the kernel says
		}
		DescribeTable("is not made, and is as soon as it has left, or the plan names it",
			func(ctx SpecContext, c change.Change, idle change.Idle) {
				for _, end := range []string{"leaves", "is named"} {
					h := machine(func(n *fakehost.Node) {
						n.NVMeDebugFS, n.RDMA, n.Modules = debugFS, []string{"192.0.2.1"}, []string{"nvmet", "nvmet_tcp", "nvmet_rdma"}
					})
					apply(ctx, h, export(db)...)
					Expect(h.Login(nqn, host2)).To(Succeed())
					node := h.Node()
					err := New(h).Apply(ctx, change.WithIdle(c, idle))
					Expect(err).To(And(MatchError(change.ErrSessions), MatchError(change.ErrInUse), MatchError(ContainSubstring("has sessions of "+named))))
					Expect(h.Node()).To(Equal(node), "nothing was done")
					if end == "leaves" {
						Expect(h.Logout(nqn, host2)).To(Succeed())
					} else if idle.But = []string{named}; change.Name(c) == "RemoveTarget" {
						c = change.RemoveTarget{Target: db, Force: true}
					}
					apply(ctx, h, change.WithIdle(c, idle))
					Expect(h.Node()).NotTo(Equal(node))
				}
			},
			Entry("a namespace that goes", change.RemoveLUN{Target: db, LUN: 0}, all),
			Entry("a namespace of a number that was freed", change.AddLUN{Target: db, LUN: 1, Device: "/dev/vg0/other", LVUUID: other}, all),
			Entry("a host", change.RemoveInitiator{Target: db, Initiator: host2}, change.Idle{Initiators: []string{host2}}),
			Entry("a portal", change.RemovePortal{Target: db, Portal: portal}, all),
			Entry("a portal that changes its transport", change.AddPortal{Target: db, Portal: portal, Transport: observe.RDMA}, all),
			Entry("a subsystem", change.RemoveTarget{Target: db}, all),
		)
	}

	It("is made if it hits others only", func(ctx SpecContext) {
		h := machine(func(n *fakehost.Node) { n.NVMeDebugFS = true })
		apply(ctx, h, export(db)...)
		Expect(h.Login(nqn, host2)).To(Succeed())
		apply(ctx, h, change.RemoveInitiator{Target: db, Initiator: host1, Idle: change.Idle{Initiators: []string{host1}}},
			change.AddLUN{Target: db, LUN: 1, Device: "/dev/vg0/other", LVUUID: other, Idle: change.Idle{Unlisted: true}})
		n := h.Node()
		Expect(hosts(&n)).To(HaveExactElements(host2))
	})

	It("shows no new namespace to a host that came in before the subsystem was closed", func(ctx SpecContext) {
		h := machine(func(n *fakehost.Node) { n.NVMeDebugFS = true })
		apply(ctx, h, change.CreateTarget{Target: db}, change.SetAttributes{Target: db, Attrib: observe.TPGAttrib{GenerateNodeACLs: true}},
			change.AddPortal{Target: db, Portal: portal, Transport: observe.TCP})
		Expect(h.Login(nqn, host1)).To(Succeed())
		apply(ctx, h, change.SetAttributes{Target: db})
		add := change.AddLUN{Target: db, LUN: 1, Device: "/dev/vg0/other", LVUUID: other, Idle: change.Idle{Unlisted: true}}
		Expect(New(h).Apply(ctx, add)).To(MatchError(change.ErrSessions))
		Expect(seen(ctx, h).LUNs).To(BeEmpty())
		Expect(h.Logout(nqn, host1)).To(Succeed())
		apply(ctx, h, add)
	})

	It("is made of a subsystem that no port serves: its sessions have ended", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, export(db)...)
		Expect(h.Login(nqn, host2)).To(Succeed())
		apply(ctx, h, change.RemovePortal{Target: db, Portal: portal}, change.RemoveLUN{Target: db, LUN: 0, Idle: all})
	})

	It("is not made if it has connected over a port that somebody else linked, by another name", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, export(db)...)
		ports, err := observe.ReadPorts(h)
		Expect(err).NotTo(HaveOccurred())
		links := observe.PortSubsystemsDir(ports[0].ID)
		Expect(h.Remove(links + "/" + nqn)).To(Succeed())
		Expect(h.Symlink(observe.SubsystemDir(nqn), links+"/theirs")).To(Succeed())
		Expect(h.Login(nqn, host2)).To(Succeed())
		Expect(New(h).Apply(ctx, change.RemoveLUN{Target: db, LUN: 0, Idle: all})).To(MatchError(change.ErrSessions))
	})

	It("does not put out a host that connects in the moment in which it is removed, nor let it in again", func(ctx SpecContext) {
		h := &late{Host: machine(func(n *fakehost.Node) { n.NVMeDebugFS = true })}
		apply(ctx, h.Host, export(db)...)
		remove := change.RemoveInitiator{Target: db, Initiator: host2, Idle: change.Idle{Initiators: []string{host2}}}
		Expect(New(h).Apply(ctx, remove)).To(MatchError(change.ErrSessions))
		n := h.Node()
		Expect(hosts(&n)).To(HaveExactElements(host2))
		Expect(slices.Sorted(maps.Keys(seen(ctx, h.Host).ACLs))).To(HaveExactElements(host1))
		Expect(New(h.Host).Apply(ctx, remove)).To(MatchError(change.ErrSessions), "it is not done yet")
		Expect(h.Logout(nqn, host2)).To(Succeed())
		apply(ctx, h.Host, remove)
	})
})

var _ = Describe("a host that is to go when it has left", func() {
	for _, debugFS := range []bool{true, false} {
		It(fmt.Sprintf("is not listed any more, and stays connected, debugfs %t", debugFS), func(ctx SpecContext) {
			h := machine(func(n *fakehost.Node) { n.NVMeDebugFS = debugFS })
			apply(ctx, h, export(db)...)
			Expect(h.Login(nqn, host1)).To(Succeed())
			Expect(h.Login(nqn, host2)).To(Succeed())
			apply(ctx, h, change.RemoveInitiator{Target: db, Initiator: host2, KeepSessions: []string{"192.0.2.1"}})
			n := h.Node()
			Expect(n.NVMeSessions).To(HaveLen(2))
			Expect(seen(ctx, h).ACLs).NotTo(HaveKey(host2))
			if debugFS {
				Expect(seen(ctx, h).DynamicSessions).To(HaveExactElements(host2))
			}
			Expect(h.Logout(nqn, host2)).To(Succeed())
			Expect(h.Login(nqn, host2)).NotTo(Succeed())
		})
	}
})

// late is a machine to which a host connects right before it is not listed any more.
type late struct{ *fakehost.Host }

func (l *late) Remove(path string) error {
	if path == observe.AllowedHostsDir(nqn)+"/"+host2 {
		Expect(l.Login(nqn, host2)).To(Succeed())
	}
	return l.Host.Remove(path)
}
