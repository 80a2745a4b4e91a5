package nvmet

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
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("an NVMe subsystem", func() {
	It("is exported, and taken down again without a trace", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, export(db)...)
		Expect(seen(ctx, h)).To(Equal(observe.Target{
			Fabric: observe.NVMe, Name: nqn, HasTPG: true, Enabled: true, Mark: "volreconciler:db", Sessions: -1,
			Portals: map[string]observe.Transport{portal: observe.TCP},
			LUNs:    map[int]observe.TargetLUN{0: {Device: "/dev/vg0/db", Identity: ondisk.NamespaceUUID(lvUUID)}},
			ACLs: map[string]observe.ACL{
				host1: {Initiator: host1, Authentication: "1", Auth: observe.CHAP{Password: spec.NewSecret(key), MutualPassword: spec.NewSecret(key2)}},
				host2: {Initiator: host2, Authentication: "0"},
			},
		}))
		apply(ctx, h, change.RemoveTarget{Target: db})
		n := h.Node()
		Expect(n.NVMet).To(HaveLen(4), "%v", n.NVMet)
		Expect(n.NVMeDevices).To(BeEmpty())
	})

	It("gets no namespace of a device that was mounted since it was planned", func(ctx SpecContext) {
		h := machine()
		add := change.AddLUN{Target: db, LUN: 0, Device: "/dev/vg0/db"}
		apply(ctx, h, change.CreateTarget{Target: db})
		Expect(h.Edit(func(n *fakehost.Node) { n.Mounts = []fakehost.Mount{{LV: "vg0/db", Dir: "/mnt"}} })).To(Succeed())
		Expect(New(h).Apply(ctx, add)).To(And(MatchError(change.ErrInUse), MatchError(ContainSubstring("mounted on /mnt"))))
		Expect(seen(ctx, h).LUNs).To(BeEmpty())
		Expect(h.Edit(func(n *fakehost.Node) { n.Mounts = nil })).To(Succeed())
		apply(ctx, h, add)
		Expect(h.Edit(func(n *fakehost.Node) { n.Mounts = []fakehost.Mount{{LV: "vg0/db", Dir: "/mnt"}} })).To(Succeed())
		apply(ctx, h, add) // what is served goes on being served
	})

	It("is known by its mark where its NQN does not end with the export's name", func(ctx SpecContext) {
		h := machine()
		t := change.Target{Fabric: observe.NVMe, Name: nqn, Export: "another-name"}
		apply(ctx, h, export(t)...)
		Expect(seen(ctx, h).Mark).To(Equal(ondisk.TargetMark(ondisk.SubsystemSerial(nqn, "another-name"))))
		Expect(seen(ctx, h).OwnedBy("another-name")).To(BeTrue())
		apply(ctx, h, change.RemoveTarget{Target: t})
	})

	It("is made anew where a shell was seen by a host before it was marked", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, change.CreateTarget{Target: db}, change.AddPortal{Target: db, Portal: portal, Transport: observe.TCP},
			change.SetAttributes{Target: db, Attrib: observe.TPGAttrib{GenerateNodeACLs: true}})
		Expect(h.Login(nqn, host1)).To(Succeed())
		apply(ctx, h, change.RemovePortal{Target: db, Portal: portal})
		Expect(h.WriteFile("/sys/kernel/config/nvmet/subsystems/"+nqn+"/attr_model", []byte("x"))).NotTo(Succeed())
		t := change.Target{Fabric: observe.NVMe, Name: nqn, Export: "web"}
		Expect(New(h).Apply(ctx, change.CreateTarget{Target: t})).To(MatchError(change.ErrStale))
		apply(ctx, h, change.RemoveTarget{Target: db}, change.CreateTarget{Target: t})
	})

	It("is closed and opened", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, export(db)...)
		open := change.SetAttributes{Target: db, Attrib: observe.TPGAttrib{GenerateNodeACLs: true}}
		Expect(New(h).Apply(ctx, open)).To(MatchError(ContainSubstring("to list no hosts before it admits any host")))
		apply(ctx, h, change.RemoveInitiator{Target: db, Initiator: host1}, change.RemoveInitiator{Target: db, Initiator: host2}, open)
		Expect(seen(ctx, h).Attrib.GenerateNodeACLs).To(BeTrue())
		Expect(New(h).Apply(ctx, change.AddInitiator{Target: db, Initiator: host1})).To(MatchError(change.ErrStale))
		apply(ctx, h, change.SetAttributes{Target: db}, change.AddInitiator{Target: db, Initiator: host1})
	})

	It("loads what it needs, and says what is missing", func(ctx SpecContext) {
		h := machine(func(n *fakehost.Node) { n.MissingModules = []string{"nvmet_tcp"} })
		apply(ctx, h, change.CreateTarget{Target: db})
		Expect(h.Node().Modules).To(ConsistOf("nvmet"))
		Expect(New(h).Apply(ctx, change.AddPortal{Target: db, Portal: portal, Transport: observe.TCP})).To(
			MatchError(ContainSubstring("Module nvmet-tcp not found")))
	})

	It("refuses a change of another system", func(ctx SpecContext) {
		Expect(New(nil).Apply(ctx, change.MapLUN{})).To(MatchError("unknown nvmet change MapLUN"))
	})

	It("begins nothing once it is to stop", func(ctx SpecContext) {
		stopped, stop := context.WithCancel(ctx)
		stop()
		Expect(New(nil).Apply(stopped, change.RemoveTarget{})).To(MatchError(context.Canceled))
	})

	DescribeTable("of somebody else is left alone",
		func(ctx SpecContext, c change.Change) {
			h := machine()
			apply(ctx, h, export(db)...)
			dir := "/sys/kernel/config/nvmet/subsystems/" + nqn
			Expect(h.WriteFile(dir+"/attr_model", []byte("Linux"))).To(Succeed())
			before := h.Node()
			Expect(New(h).Apply(ctx, c)).To(MatchError(change.ErrStale))
			Expect(h.Node()).To(Equal(before))

			// One of ours, but of another export.
			Expect(h.WriteFile(dir+"/attr_model", []byte("volreconciler"))).To(Succeed())
			Expect(h.WriteFile(dir+"/attr_serial", []byte(ondisk.SubsystemSerial(nqn, "web")))).To(Succeed())
			before = h.Node()
			Expect(New(h).Apply(ctx, c)).To(MatchError(change.ErrStale))
			Expect(h.Node()).To(Equal(before))
		},
		Entry(nil, change.CreateTarget{Target: db}),
		Entry(nil, change.SetAttributes{Target: db, Attrib: observe.TPGAttrib{GenerateNodeACLs: true}}),
		Entry(nil, change.AddLUN{Target: db, LUN: 1, Device: "/dev/vg0/other", LVUUID: other}),
		Entry(nil, change.ResizeLUN{Target: db, LUN: 0, Device: "/dev/vg0/db"}),
		Entry(nil, change.RemoveLUN{Target: db, LUN: 0}),
		Entry(nil, change.AddInitiator{Target: db, Initiator: "nqn.2026-01.org.example:new"}),
		Entry(nil, change.SetAuth{Target: db, Initiator: host1, Auth: keys(key2, "")}),
		Entry(nil, change.RemoveInitiator{Target: db, Initiator: host1}),
		Entry(nil, change.AddPortal{Target: db, Portal: "192.0.2.1:4421", Transport: observe.TCP}),
		Entry(nil, change.RemovePortal{Target: db, Portal: portal}),
		Entry(nil, change.RemoveTarget{Target: db, Force: true}),
	)

	It("that no longer exists makes a plan stale, or is as it should be", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, change.CreateTarget{Target: db}, change.RemoveTarget{Target: db})
		apply(ctx, h, change.RemoveLUN{Target: db}, change.RemoveInitiator{Target: db, Initiator: host1}, change.RemovePortal{Target: db, Portal: portal})
		for _, c := range append(export(db)[1:], change.SetAttributes{Target: db}, change.ResizeLUN{Target: db}) {
			Expect(New(h).Apply(ctx, c)).To(MatchError(change.ErrStale), c.String())
		}
	})

	It("is what it should be wherever the agent dies", func(ctx SpecContext) {
		rdma := change.AddPortal{Target: db, Portal: portal, Transport: observe.RDMA}
		changes := append(export(db),
			change.AddPortal{Target: db, Portal: "[2001:db8::1]:4420", Transport: observe.TCP},
			rdma,
			change.SetAuth{Target: db, Initiator: host1, Auth: keys(key2, "")},
			change.RemovePortal{Target: db, Portal: "[2001:db8::1]:4420"},
			change.RemoveLUN{Target: db, LUN: 0},
			change.RemoveInitiator{Target: db, Initiator: host2},
			change.RemoveTarget{Target: db},
		)
		h := machine(func(n *fakehost.Node) { n.RDMA = []string{"192.0.2.1"} })
		for _, c := range changes {
			start := h.Node()
			apply(ctx, h, c)
			want := h.Node()
			for after := 0; ; after++ {
				crashed, err := fakehost.New(start)
				Expect(err).NotTo(HaveOccurred())
				if err := New(dying(crashed, after)).Apply(ctx, c); err == nil {
					break
				}
				Expect(New(crashed).Apply(ctx, c)).To(Succeed(), "%s after %d calls", c, after)
				if _, cuts := c.(change.RemoveInitiator); cuts {
					// The portal may be missing, and is planned again.
					Expect(New(crashed).Apply(ctx, rdma)).To(Succeed())
				}
				Expect(portrait(crashed)).To(Equal(portraitOf(want)), "%s after %d calls", c, after)
			}
		}
	})
})

var errDead = errors.New("dead")

// dying is a host that makes some changing calls, and no more calls after them.
func dying(h *fakehost.Host, calls int) *fakehost.Tap {
	return &fakehost.Tap{Host: h, Before: func(c fakehost.Call) error {
		if c.Changes() {
			calls--
		}
		if calls < 0 {
			return errDead
		}
		return nil
	}}
}

// portrait is what nvmet holds, but for hosts that are listed nowhere and for the
// numbers of ports.
func portrait(h *fakehost.Host) []string { return portraitOf(h.Node()) }

func portraitOf(n fakehost.Node) []string {
	var lines []string
	for _, e := range n.NVMet {
		line := e.Path + " " + e.Link
		if e.Text != nil {
			line += *e.Text
		}
		if !strings.HasPrefix(line, "hosts/") {
			lines = append(lines, line)
		}
	}
	return lines
}
