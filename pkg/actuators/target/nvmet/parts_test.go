package nvmet

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const configDir = "/sys/kernel/config/nvmet"

var _ = Describe("a namespace", func() {
	It("is that of the logical volume of the plan only", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, change.CreateTarget{Target: db})
		Expect(New(h).Apply(ctx, change.AddLUN{Target: db, Device: "/dev/vg0/db", LVUUID: other})).To(MatchError(change.ErrStale))
		Expect(seen(ctx, h).LUNs).To(BeEmpty())
		apply(ctx, h, change.AddLUN{Target: db, Device: "/dev/vg0/db"})
		Expect(New(h).Apply(ctx, change.AddLUN{Target: db, Device: "/dev/vg0/other", LVUUID: other})).To(MatchError(change.ErrStale))
	})

	It("has the identity of the plan, if that is not its logical volume's own UUID", func(ctx SpecContext) {
		h := machine()
		moved := change.AddLUN{Target: db, Device: "/dev/vg0/db", LVUUID: lvUUID, Identity: other}
		apply(ctx, h, change.CreateTarget{Target: db}, moved)
		Expect(seen(ctx, h).LUNs[0]).To(HaveField("Identity", ondisk.NamespaceUUID(other)))
		moved.LVUUID = other
		Expect(New(h).Apply(ctx, moved)).To(MatchError(change.ErrStale))
		Expect(New(h).Apply(ctx, change.AddLUN{Target: db, Device: "/dev/vg0/db", LVUUID: lvUUID})).To(MatchError(change.ErrStale))
	})

	It("is completed if it was left half made", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, change.CreateTarget{Target: db})
		Expect(h.Mkdir(observe.NamespaceDir(nqn, 0))).To(Succeed())
		Expect(seen(ctx, h).LUNs[0].Device).To(BeEmpty())
		apply(ctx, h, change.AddLUN{Target: db, Device: "/dev/vg0/db", LVUUID: lvUUID})
	})

	It("cannot be read-only", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, change.CreateTarget{Target: db})
		for _, c := range []change.AddLUN{
			{Target: db, Device: "/dev/vg0/fixed"}, {Target: db, Device: "/dev/vg0/fixed", ReadOnly: true},
		} {
			Expect(New(h).Apply(ctx, c)).To(MatchError(change.ErrUnsupported))
		}
		Expect(seen(ctx, h).LUNs).To(BeEmpty())
	})

	It("grows", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, export(db)...)
		apply(ctx, h, change.ResizeLUN{Target: db, LUN: 0, Device: "/dev/vg0/db"})
		Expect(New(h).Apply(ctx, change.ResizeLUN{Target: db, LUN: 1})).To(MatchError(change.ErrStale))
	})
})

var _ = Describe("a port", func() {
	It("is shared by all subsystems on an address, and goes with the last one", func(ctx SpecContext) {
		h := machine()
		web := change.Target{Fabric: observe.NVMe, Name: "nqn.2026-01.org.example:web", Export: "web"}
		apply(ctx, h, export(db)...)
		apply(ctx, h, change.CreateTarget{Target: web}, change.AddPortal{Target: web, Portal: portal, Transport: observe.TCP})
		Expect(observe.ReadPorts(h)).To(HaveLen(1))
		apply(ctx, h, change.RemoveTarget{Target: db})
		Expect(observe.ReadPorts(h)).To(HaveLen(1))
		apply(ctx, h, change.RemovePortal{Target: web, Portal: portal})
		Expect(observe.ReadPorts(h)).To(BeEmpty())
	})

	It("takes no longer to add where it serves many subsystems", func(ctx SpecContext) {
		h := machine()
		links := 0
		tap := &fakehost.Tap{Host: h, Before: func(c fakehost.Call) error {
			if c.Op == "readlink" {
				links++
			}
			return nil
		}}
		for n := range 50 {
			t := change.Target{Fabric: observe.NVMe, Name: fmt.Sprintf("nqn.2026-01.org.example:%d", n), Export: fmt.Sprint(n)}
			apply(ctx, h, change.CreateTarget{Target: t})
			links = 0
			Expect(New(tap).Apply(ctx, change.AddPortal{Target: t, Portal: portal, Transport: observe.TCP})).To(Succeed())
			Expect(links).To(BeNumerically("<", 10))
		}
		Expect(observe.ReadPorts(h)).To(ConsistOf(HaveField("Links", HaveLen(50))))
	})

	It("that serves a subsystem by another name is not linked twice", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, change.CreateTarget{Target: db}, change.AddPortal{Target: db, Portal: portal, Transport: observe.TCP})
		ports, err := observe.ReadPorts(h)
		Expect(err).NotTo(HaveOccurred())
		dir := observe.PortSubsystemsDir(ports[0].ID) + "/"
		Expect(h.Remove(dir + nqn)).To(Succeed())
		Expect(h.Symlink(observe.SubsystemDir(nqn), dir+"any")).To(Succeed())
		apply(ctx, h, change.AddPortal{Target: db, Portal: portal, Transport: observe.TCP})
		ports, err = observe.ReadPorts(h)
		Expect(err).NotTo(HaveOccurred())
		Expect(ports).To(ConsistOf(HaveField("Links", Equal(map[string]string{nqn: "any"}))))
	})

	It("of somebody else is used, and stays", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, change.CreateTarget{Target: db})
		Expect(h.Mkdir(observe.PortDir("1"))).To(Succeed())
		for name, value := range map[string]string{"trtype": "tcp", "adrfam": "ipv6", "traddr": "2001:DB8:0::1", "trsvcid": "4420"} {
			Expect(h.WriteFile(observe.PortDir("1")+"/addr_"+name, []byte(value))).To(Succeed())
		}
		const six = "[2001:db8::1]:4420"
		apply(ctx, h, change.AddPortal{Target: db, Portal: six, Transport: observe.TCP})
		Expect(seen(ctx, h).Portals).To(Equal(map[string]observe.Transport{six: observe.TCP}))
		apply(ctx, h, change.RemovePortal{Target: db, Portal: six})
		Expect(observe.ReadPorts(h)).To(HaveExactElements(HaveField("ID", "1")))
	})

	It("that was left half made is completed", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, change.CreateTarget{Target: db})
		Expect(h.Mkdir(observe.PortDir("9003"))).To(Succeed())
		apply(ctx, h, change.AddPortal{Target: db, Portal: portal, Transport: observe.TCP})
		Expect(observe.ReadPorts(h)).To(HaveExactElements(HaveField("ID", "9003")))
	})

	It("changes its transport", func(ctx SpecContext) {
		h := machine(func(n *fakehost.Node) { n.RDMA = []string{"192.0.2.1"} })
		apply(ctx, h, change.CreateTarget{Target: db}, change.AddPortal{Target: db, Portal: portal, Transport: observe.TCP},
			change.AddPortal{Target: db, Portal: portal, Transport: observe.RDMA})
		Expect(seen(ctx, h).Portals).To(Equal(map[string]observe.Transport{portal: observe.RDMA}))
	})

	It("over another transport on the same address is removed by the name that it has", func(ctx SpecContext) {
		h := machine(func(n *fakehost.Node) { n.RDMA = []string{"192.0.2.1"} })
		apply(ctx, h, change.CreateTarget{Target: db}, change.AddPortal{Target: db, Portal: portal, Transport: observe.TCP})
		Expect(h.Mkdir(observe.PortDir("9007"))).To(Succeed())
		for name, value := range map[string]string{"trtype": "rdma", "adrfam": "ipv4", "traddr": "192.0.2.1", "trsvcid": "4420"} {
			Expect(h.WriteFile(observe.PortDir("9007")+"/addr_"+name, []byte(value))).To(Succeed())
		}
		Expect(h.Symlink(observe.SubsystemDir(nqn), observe.PortSubsystemsDir("9007")+"/any")).To(Succeed())
		const second = portal + " (rdma port 9007)"
		Expect(seen(ctx, h).Portals).To(Equal(map[string]observe.Transport{portal: observe.TCP, second: observe.RDMA}))
		apply(ctx, h, change.RemovePortal{Target: db, Portal: second})
		Expect(seen(ctx, h).Portals).To(Equal(map[string]observe.Transport{portal: observe.TCP}))
	})

	DescribeTable("that cannot listen says why, and does not stay",
		func(ctx SpecContext, edit func(*fakehost.Node), transport observe.Transport, why string) {
			h := machine(edit)
			apply(ctx, h, change.CreateTarget{Target: db})
			Expect(New(h).Apply(ctx, change.AddPortal{Target: db, Portal: portal, Transport: transport})).To(MatchError(ContainSubstring(why)))
			Expect(observe.ReadPorts(h)).To(BeEmpty())
		},
		Entry("an address that is not there", func(n *fakehost.Node) { n.MissingAddresses = []string{"192.0.2.1"} }, observe.TCP, "this node does not have the address"),
		Entry("an address that is taken", func(n *fakehost.Node) { n.Listeners = []string{portal} }, observe.TCP, "another process uses the address"),
		Entry("an address without RDMA", func(*fakehost.Node) {}, observe.RDMA, "no RDMA device"),
	)
})

var _ = Describe("a host", func() {
	It("is never admitted without the key that it has to have", func(ctx SpecContext) {
		h := machine(func(n *fakehost.Node) { n.WithoutNVMeAuth = true })
		apply(ctx, h, change.CreateTarget{Target: db}, change.AddInitiator{Target: db, Initiator: host2})
		for _, name := range []string{host1, host2} {
			Expect(New(h).Apply(ctx, change.AddInitiator{Target: db, Initiator: name, Auth: keys(key, "")})).To(And(
				MatchError(change.ErrUnsupported), MatchError(ContainSubstring("CONFIG_NVME_TARGET_AUTH")),
				MatchError(Not(ContainSubstring(key)))))
		}
		Expect(seen(ctx, h).ACLs).To(BeEmpty())
		Expect(h.ReadDir(configDir + "/hosts")).To(BeEmpty())
	})

	It("is not admitted with what is no key, and nobody sees it", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, change.CreateTarget{Target: db})
		err := New(h).Apply(ctx, change.AddInitiator{Target: db, Initiator: host1, Auth: keys("not a key at all", "")})
		Expect(err).To(MatchError(ContainSubstring("DHHC-1:")))
		Expect(err).To(MatchError(Not(ContainSubstring("not a key at all"))))
		Expect(seen(ctx, h).ACLs).To(BeEmpty())
	})

	DescribeTable("gets other keys",
		func(ctx SpecContext, auth change.Auth) {
			h := machine()
			apply(ctx, h, export(db)...)
			apply(ctx, h, change.SetAuth{Target: db, Initiator: host1, Auth: auth})
			Expect(seen(ctx, h).ACLs[host1].Auth).To(Equal(observe.CHAP{Password: auth.Password, MutualPassword: auth.MutualPassword}))
		},
		Entry("both", keys(key2, key)),
		Entry("one only", keys(key, "")),
		Entry("none", change.Auth{}),
	)

	It("has its keys for all subsystems", func(ctx SpecContext) {
		h := machine()
		web := change.Target{Fabric: observe.NVMe, Name: "nqn.2026-01.org.example:web", Export: "web"}
		apply(ctx, h, export(db)...)
		apply(ctx, h, change.CreateTarget{Target: web}, change.AddInitiator{Target: web, Initiator: host1, Auth: keys(key2, key)})
		Expect(seen(ctx, h).ACLs[host1].Auth.Password).To(Equal(spec.NewSecret(key2)))

		By("losing them when no subsystem asks for them any more")
		Expect(New(h).Apply(ctx, change.SetAuth{Target: web, Initiator: host1})).To(MatchError(ContainSubstring("while it is listed in " + nqn)))
		Expect(New(h).Apply(ctx, change.AddInitiator{Target: web, Initiator: host1})).NotTo(Succeed())
		apply(ctx, h, change.SetAuth{Target: db, Initiator: host1}, change.AddInitiator{Target: web, Initiator: host1})
		Expect(seen(ctx, h).ACLs[host1].Authentication).To(Equal("0"))

		By("keeping those with which somebody else lists it")
		apply(ctx, h, change.SetAuth{Target: web, Initiator: host1, Auth: keys(key2, key)})
		Expect(h.WriteFile(observe.SubsystemDir(nqn)+"/attr_model", []byte("Linux"))).To(Succeed())
		Expect(New(h).Apply(ctx, change.SetAuth{Target: web, Initiator: host1, Auth: keys(key, key)})).To(MatchError(ContainSubstring("which is not managed by volreconciler")))
		apply(ctx, h, change.RemoveTarget{Target: web})
		Expect(observe.ReadHostAuth(h, host1)).To(HaveField("Password", spec.NewSecret(key2)), "somebody else's subsystem still lists it")
	})

	DescribeTable("is cut off when it is removed",
		func(ctx SpecContext, debugFS bool) {
			h := machine(func(n *fakehost.Node) { n.NVMeDebugFS = debugFS })
			apply(ctx, h, export(db)...)
			Expect(h.Login(nqn, host1, key)).To(Succeed())
			Expect(h.Login(nqn, host2)).To(Succeed())
			t := seen(ctx, h)
			if debugFS {
				Expect(t.ACLs[host1].LoggedIn).To(BeTrue())
				Expect(t.Sessions).To(Equal(2))
			} else {
				Expect(t.Unattributed).To(HaveExactElements("192.0.2.1", "192.0.2.2"))
			}
			Expect(New(h).Apply(ctx, change.RemoveTarget{Target: db})).To(MatchError(change.ErrInUse))
			apply(ctx, h, change.RemoveInitiator{Target: db, Initiator: host1})
			var left []string
			for _, s := range h.Node().NVMeSessions {
				left = append(left, s.Host)
			}
			Expect(left).NotTo(ContainElement(host1))
			if debugFS {
				Expect(left).To(HaveExactElements(host2))
			}
			Expect(h.Login(nqn, host1)).NotTo(Succeed())
			Expect(h.Login(nqn, host2)).To(Succeed())
			Expect(seen(ctx, h).Portals).To(HaveKey(portal))
		},
		Entry("by its controller", true),
		Entry("by taking the subsystem off its ports", false),
	)

	It("that came in while anybody was admitted is cut off, too", func(ctx SpecContext) {
		h := machine(func(n *fakehost.Node) { n.NVMeDebugFS = true })
		apply(ctx, h, change.CreateTarget{Target: db}, change.SetAttributes{Target: db, Attrib: observe.TPGAttrib{GenerateNodeACLs: true}},
			change.AddPortal{Target: db, Portal: portal, Transport: observe.TCP})
		Expect(h.Login(nqn, host1)).To(Succeed())
		Expect(seen(ctx, h).DynamicSessions).To(HaveExactElements(host1))
		apply(ctx, h, change.SetAttributes{Target: db}, change.RemoveInitiator{Target: db, Initiator: host1})
		Expect(seen(ctx, h).DynamicSessions).To(BeEmpty())
	})
})
