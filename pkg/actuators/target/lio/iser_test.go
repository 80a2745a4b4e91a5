package lio

import (
	"path"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

var _ = Describe("a portal for iSER", func() {
	const (
		iqn       = "iqn.2026-11.org.example:iser"
		initiator = "iqn.1993-08.org.debian:01:a"
	)
	target := change.Target{Fabric: observe.ISCSI, Name: iqn, Export: "iser"}
	portal := func(address string, over observe.Transport) change.AddPortal {
		return change.AddPortal{Target: target, Portal: address, Transport: over}
	}
	withRDMA := func(n *fakehost.Node) { n.RDMA = []string{"10.9.0.1", "fd00::1"} }

	DescribeTable("serves RDMA, and again TCP alone",
		func(ctx SpecContext, address string) {
			h := machine(withRDMA)
			apply(ctx, h, change.CreateTarget{Target: target}, portal(address, observe.RDMA))
			Expect(observed(ctx, h).LIO.ISCSI[iqn].Portals).To(Equal(map[string]observe.Transport{address: observe.RDMA}))
			Expect(h.Node().Modules).To(ContainElement("ib_isert"))
			apply(ctx, h, portal(address, observe.TCP))
			Expect(observed(ctx, h).LIO.ISCSI[iqn].Portals).To(Equal(map[string]observe.Transport{address: observe.TCP}))
			apply(ctx, h, portal(address, observe.RDMA))
			Expect(observed(ctx, h).LIO.ISCSI[iqn].Portals).To(Equal(map[string]observe.Transport{address: observe.RDMA}))
		},
		Entry("IPv4", "10.9.0.1:3260"),
		Entry("IPv6", "[fd00::1]:3260"),
		Entry("all addresses", "0.0.0.0:3260"),
	)

	DescribeTable("does not stay without an RDMA device",
		func(ctx SpecContext, address string) {
			h := machine(withRDMA)
			apply(ctx, h, change.CreateTarget{Target: target})
			err := New(h).Apply(ctx, portal(address, observe.RDMA))
			Expect(err).To(MatchError(change.ErrUnsupported))
			Expect(err).To(MatchError(ContainSubstring("list devices with rdma link; without hardware")))
			Expect(observed(ctx, h).LIO.ISCSI[iqn].Portals).To(BeEmpty())
			apply(ctx, h, portal(address, observe.TCP))
			Expect(New(h).Apply(ctx, portal(address, observe.RDMA))).To(MatchError(change.ErrUnsupported))
			Expect(observed(ctx, h).LIO.ISCSI[iqn].Portals).To(BeEmpty(), "what an interrupted attempt left goes as well")
		},
		Entry("another address", "10.9.0.2:3260"),
		Entry("this machine's own", "127.0.0.1:3260"),
	)

	It("stays as it is while somebody is logged in", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h,
			change.CreateTarget{Target: target}, portal("10.9.0.2:3260", observe.TCP),
			change.AddInitiator{Target: target, Initiator: initiator}, change.EnableTarget{Target: target})
		Expect(h.Login(iqn, initiator)).To(Succeed())
		Expect(New(h).Apply(ctx, portal("10.9.0.2:3260", observe.RDMA))).To(MatchError(change.ErrUnsupported))
		Expect(observed(ctx, h).LIO.ISCSI[iqn].Portals).To(HaveKey("10.9.0.2:3260"))
	})

	It("needs the module", func(ctx SpecContext) {
		h := machine(withRDMA, func(n *fakehost.Node) { n.MissingModules = []string{"ib_isert"} })
		apply(ctx, h, change.CreateTarget{Target: target})
		err := New(h).Apply(ctx, portal("10.9.0.1:3260", observe.RDMA))
		Expect(err).To(MatchError(change.ErrUnsupported))
		Expect(err).To(MatchError(ContainSubstring("iSER needs the module ib_isert")))
		Expect(observed(ctx, h).LIO.ISCSI[iqn].Portals).To(BeEmpty())
	})

	It("says what may keep an address that is in use", func(ctx SpecContext) {
		h := machine(withRDMA)
		apply(ctx, h, change.CreateTarget{Target: target})
		tap := &fakehost.Tap{Host: h, Before: func(c fakehost.Call) error {
			if c.Op == "write" && path.Base(c.Path) == "iser" {
				return syscall.EADDRINUSE
			}
			return nil
		}}
		err := New(tap).Apply(ctx, portal("10.9.0.1:3260", observe.RDMA))
		Expect(err).To(MatchError(ContainSubstring("\"Unable to create kthread: iscsi_np\", reboot: an agent was killed while it created this portal")))
		Expect(err).To(MatchError(syscall.EADDRINUSE))
		Expect(observed(ctx, h).LIO.ISCSI[iqn].Portals).To(BeEmpty())
	})
})
