package fakehost_test

import (
	"context"
	"path"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/actuators/target/lio"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const (
	iqn       = "iqn.2026-11.io.volreconciler:db"
	export    = "db"
	initiator = "iqn.1993-08.org.debian:guest"
	v1UUID    = "klPxWH-qTP9-5sIJ-Dvsx-hDgB-lL4e-LO3pQe"
)

var (
	target    = change.Target{Fabric: observe.ISCSI, Name: iqn, Export: export}
	backstore = change.Backstore{HBA: ondisk.HBA, Name: "volreconciler:volume:v1"}
)

// lioMachine returns one with a few logical volumes.
func lioMachine(edit ...func(*fakehost.Node)) *fakehost.Host {
	GinkgoHelper()
	n := fakehost.Node{VolumeGroups: []fakehost.VolumeGroup{{
		Name: "vg-0", UUID: "9xyzuE-TcKt-nll1-UZEK-JP3X-XSvm-9goYD9", ExtentSize: 4 << 20, Extents: 1000,
		LogicalVolumes: []fakehost.LogicalVolume{
			{Name: "asleep", UUID: "i8MWLs-4LDj-JCcr-2xTc-nIdh-t9x8-kXIkNV", Type: "thick", Size: 4 << 20, SkipActivation: true},
			{Name: "ro", UUID: "14plAN-oy5w-kcPt-LStu-JDXv-MSHm-w4q3l6", Type: "thick", Size: 4 << 20, Active: true, Minor: 1, ReadOnly: true},
			{Name: "v1", UUID: v1UUID, Type: "thick", Size: 8 << 20, Active: true, Minor: 2},
			{Name: "v2", UUID: "klPxWH-qTP9-5sIJ-Dvsx-hDgB-lL4e-LO3pQf", Type: "thick", Size: 8 << 20, Active: true, Minor: 3},
		},
	}}}
	for _, e := range edit {
		e(&n)
	}
	h, err := fakehost.New(n)
	Expect(err).NotTo(HaveOccurred())
	return h
}

// observed returns what LIO holds.
func observed(h *fakehost.Host) observe.Targets {
	GinkgoHelper()
	state := observe.New(h).Observe(context.Background())
	Expect(state.Unknown).To(BeEmpty())
	return state.LIO
}

// apply applies changes one by one, each of them twice: the second time nothing
// is changed, though it may be tried.
func apply(ctx context.Context, h *fakehost.Host, changes ...change.Change) {
	GinkgoHelper()
	var changing []string
	tap := &fakehost.Tap{Host: h, After: func(c fakehost.Call, err error) error {
		if err == nil && c.Changes() {
			changing = append(changing, c.String())
		}
		return err
	}}
	a := lio.New(tap)
	for _, c := range changes {
		Expect(a.Apply(ctx, c)).To(Succeed(), c.String())
		before := h.Node()
		changing = nil
		Expect(a.Apply(ctx, c)).To(Succeed(), c.String())
		Expect(h.Node()).To(Equal(before), "%s, again", c)
		switch c.(type) {
		case change.AddInitiator, change.SetAuth:
			// Credentials are written whatever they are.
		default:
			Expect(changing).To(BeEmpty(), "%s, again", c)
		}
	}
}

func createBackstore() change.CreateBackstore {
	return change.CreateBackstore{Backstore: backstore, Device: "/dev/vg-0/v1", LVUUID: v1UUID}
}

// exported are the changes that export v1 to the initiator.
func exported() []change.Change {
	return []change.Change{
		createBackstore(),
		change.CreateTarget{Target: target},
		change.SetAttributes{Target: target, Attrib: observe.TPGAttrib{Authentication: true}},
		change.AddPortal{Target: target, Portal: "10.0.0.1:3260"},
		change.AddLUN{Target: target, LUN: 4, Backstore: backstore.Path()},
		change.AddInitiator{Target: target, Initiator: initiator, Auth: change.Auth{Username: "alice", Password: spec.NewSecret("secretsecret1")}},
		change.MapLUN{Target: target, Initiator: initiator, LUN: 4},
		change.EnableTarget{Target: target},
	}
}

// reloaded checks that what a machine holds can be stored and loaded, and
// returns the loaded one.
func reloaded(h *fakehost.Host) *fakehost.Host {
	GinkgoHelper()
	again, err := fakehost.New(h.Node())
	Expect(err).NotTo(HaveOccurred())
	Expect(again.Node()).To(Equal(h.Node()))
	return again
}

var _ = Describe("LIO on the fake machine", func() {
	var h *fakehost.Host
	BeforeEach(func() { h = lioMachine() })

	Describe("under the actuator", func() {
		It("holds a backstore, and with it the device", func(ctx SpecContext) {
			c := createBackstore()
			c.Unmap = true
			apply(ctx, h, c)
			want := observe.Backstore{
				HBA: backstore.HBA, Name: backstore.Name, Enabled: true, BlockDevice: "dm-2", Device: "/dev/vg-0/v1",
				Serial: ondisk.UnitSerial(v1UUID), Unmap: true, CanUnmap: true,
				Attributes: observed(h).Backstores[backstore.Path()].Attributes,
			}
			Expect(observed(h).Backstores).To(Equal(map[string]observe.Backstore{backstore.Path(): want}))
			for _, h := range []*fakehost.Host{h, reloaded(h)} {
				Expect(isOpen(h, "v1")).To(BeTrue())
			}
			apply(ctx, h, change.SetUnmap{Backstore: backstore})
			want.Unmap = false
			Expect(observed(h).Backstores[backstore.Path()]).To(Equal(want))
			apply(ctx, h, change.RemoveBackstore{Backstore: backstore})
			Expect(observed(h).Backstores).To(BeEmpty())
			Expect(isOpen(h, "v1")).To(BeFalse())
		})

		It("holds a target with all that is in it", func(ctx SpecContext) {
			apply(ctx, h, exported()...)
			apply(ctx, h,
				change.SetWriteProtect{Target: target, Initiator: initiator, LUN: 4, ReadOnly: true},
				change.AddInitiator{Target: target, Initiator: initiator + "2"},
				change.MapLUN{Target: target, Initiator: initiator + "2", LUN: 4, ReadOnly: true},
				change.AddPortal{Target: target, Portal: "[::1]:3260"},
				change.SetAuth{Target: target, Initiator: initiator, Auth: change.Auth{
					Username: "bob", Password: spec.NewSecret("other"), MutualUsername: "tgt", MutualPassword: spec.NewSecret("third")}},
			)
			want := observe.Target{
				Fabric: observe.ISCSI, Name: iqn, HasTPG: true, Enabled: true, Mark: "volreconciler:db",
				Attrib: observe.TPGAttrib{Authentication: true},
				// All of them are the kernel's defaults.
				Attributes: observed(h).ISCSI[iqn].Attributes,
				Portals:    map[string]observe.Transport{"10.0.0.1:3260": observe.TCP, "[::1]:3260": observe.TCP},
				LUNs:       map[int]observe.TargetLUN{4: {Backstore: backstore.Path(), Link: "backstore"}},
				ACLs: map[string]observe.ACL{
					initiator: {
						Initiator: initiator, Authentication: "1",
						Auth: observe.CHAP{
							Username: "bob", Password: spec.NewSecret("other"),
							MutualUsername: "tgt", MutualPassword: spec.NewSecret("third"),
						},
						LUNs: map[int]observe.MappedLUN{4: {LUN: 4, Link: "lun", WriteProtect: true}},
					},
					initiator + "2": {
						Initiator: initiator + "2", Authentication: "0",
						LUNs: map[int]observe.MappedLUN{4: {LUN: 4, Link: "lun", WriteProtect: true}},
					},
				},
			}
			Expect(observed(h).ISCSI).To(Equal(map[string]observe.Target{iqn: want}))
			Expect(observed(reloaded(h))).To(Equal(observed(h)))

			apply(ctx, h,
				change.UnmapLUN{Target: target, Initiator: initiator, LUN: 4},
				change.RemoveInitiator{Target: target, Initiator: initiator + "2"},
				change.RemoveLUN{Target: target, LUN: 4},
				change.RemovePortal{Target: target, Portal: "[::1]:3260"},
			)
			want.Portals = map[string]observe.Transport{"10.0.0.1:3260": observe.TCP}
			want.LUNs = map[int]observe.TargetLUN{}
			delete(want.ACLs, initiator+"2")
			clear(want.ACLs[initiator].LUNs)
			want.ACLs[initiator] = observe.ACL{
				Initiator: initiator, Authentication: "1", Auth: want.ACLs[initiator].Auth, LUNs: want.ACLs[initiator].LUNs}
			Expect(observed(h).ISCSI).To(HaveKeyWithValue(iqn, want))
			apply(ctx, h, change.RemoveBackstore{Backstore: backstore})
		})

		It("takes a target down with all that is in it", func(ctx SpecContext) {
			apply(ctx, h, exported()...)
			h = reloaded(h)
			apply(ctx, h, change.RemoveTarget{Target: target}, change.RemoveBackstore{Backstore: backstore})
			Expect(observed(h)).To(Equal(observed(lioMachine())))
			Expect(isOpen(h, "v1")).To(BeFalse())
			Expect(h.ReadFile("/proc/net/tcp")).NotTo(ContainSubstring(":0CBC"))
		})

		It("keeps dynamic ACLs while it admits anybody, as the kernel does", func(ctx SpecContext) {
			apply(ctx, h, exported()...)
			open := observe.TPGAttrib{GenerateNodeACLs: true}
			Expect(lio.New(h).Apply(ctx, change.SetAttributes{Target: target, Attrib: open})).NotTo(Succeed())
			open.CacheDynamicACLs = true
			apply(ctx, h, change.SetAttributes{Target: target, Attrib: open})
			Expect(observed(h).ISCSI[iqn].Attrib).To(Equal(open))
		})

		DescribeTable("refuses to bind a backstore",
			func(ctx SpecContext, device string, edit func(*fakehost.Node), want error, text string) {
				h := lioMachine(edit)
				apply(ctx, h, createBackstore())
				before := isOpen(h, path.Base(device))
				err := lio.New(h).Apply(ctx, change.CreateBackstore{
					Backstore: change.Backstore{HBA: ondisk.HBA, Name: "volreconciler:volume:other"}, Device: device})
				Expect(err).To(MatchError(want))
				Expect(err).To(MatchError(ContainSubstring(text)))
				Expect(observed(h).Backstores).To(HaveLen(1))
				Expect(isOpen(h, path.Base(device))).To(Equal(before))
			},
			Entry("to a device that another one is bound to", "/dev/vg-0/v1", func(*fakehost.Node) {},
				change.ErrInUse, "/dev/vg-0/v1 is bound to backstore iblock_900/volreconciler:volume:v1"),
			Entry("to a mounted one", "/dev/vg-0/v2",
				func(n *fakehost.Node) { n.Mounts = []fakehost.Mount{{LV: "vg-0/v2", Dir: "/mnt/a b"}} },
				change.ErrInUse, "/dev/vg-0/v2 is mounted on /mnt/a b"),
			Entry("to one with another device on top", "/dev/vg-0/v2",
				func(n *fakehost.Node) {
					n.VolumeGroups[0].LogicalVolumes[3].HeldBy = []string{"vg1-root"}
				},
				change.ErrInUse, "(vg1-root)"),
			Entry("to a read-only one", "/dev/vg-0/ro", func(*fakehost.Node) {},
				syscall.EACCES, "can only be exported read-only"),
		)

		It("binds a backstore read-only to a read-only device", func(ctx SpecContext) {
			c := createBackstore()
			c.Device, c.LVUUID, c.ReadOnly = "/dev/vg-0/ro", "", true
			apply(ctx, h, c)
			Expect(observed(h).Backstores[backstore.Path()].ReadOnly).To(BeTrue())
		})

		DescribeTable("without a kernel module",
			func(ctx SpecContext, module string, c change.Change) {
				h := lioMachine(func(n *fakehost.Node) { n.MissingModules = []string{module} })
				Expect(lio.New(h).Apply(ctx, c)).To(MatchError(
					ContainSubstring("modprobe: FATAL: Module " + module + " not found in directory /lib/modules/6.1.0")))
			},
			Entry("of LIO", "target_core_mod", createBackstore()),
			Entry("of block backstores", "target_core_iblock", createBackstore()),
			Entry("of iSCSI", "iscsi_target_mod", change.CreateTarget{Target: target}),
		)

		It("cannot be seen while configfs is not mounted", func(ctx SpecContext) {
			h := lioMachine(func(n *fakehost.Node) { n.ConfigFSUnmounted = true })
			Expect(observed(h)).To(Equal(observed(lioMachine())))
			Expect(lio.New(h).Apply(ctx, createBackstore())).To(MatchError(ContainSubstring("Mount configfs")))
			Expect(observe.New(h).Observe(ctx).Unknown).To(HaveKey(observe.LIO))
			reloaded(h)
		})

		It("is empty after a reboot", func(ctx SpecContext) {
			Expect(h.Edit(func(n *fakehost.Node) { n.Mounts = []fakehost.Mount{{LV: "vg-0/v2", Dir: "/mnt"}} })).To(Succeed())
			apply(ctx, h, exported()...)
			h.Reboot()
			Expect(observed(h)).To(Equal(observed(lioMachine())))
			Expect(isOpen(h, "v1")).To(BeFalse())
			n := h.Node()
			Expect(n.Mounts).To(BeEmpty())
			Expect(n.Modules).To(BeEmpty())
			seen := map[int]bool{}
			for i, before := range lioMachine().Node().VolumeGroups[0].LogicalVolumes {
				after := n.VolumeGroups[0].LogicalVolumes[i]
				Expect(after.Active).To(Equal(!before.SkipActivation))
				if after.Active {
					Expect(after.Minor).NotTo(Equal(before.Minor))
					Expect(seen).NotTo(HaveKey(after.Minor))
					seen[after.Minor] = true
				}
			}
			apply(ctx, h, exported()...)
		})
	})

	Describe("sockets", func() {
		portals := func(ctx context.Context, h *fakehost.Host, name string, portals ...string) error {
			t := change.Target{Fabric: observe.ISCSI, Name: iqn + name, Export: export + name}
			apply(ctx, h, change.CreateTarget{Target: t})
			for _, p := range portals {
				if err := lio.New(h).Apply(ctx, change.AddPortal{Target: t, Portal: p}); err != nil {
					return err
				}
			}
			return nil
		}

		It("are shared between targets", func(ctx SpecContext) {
			Expect(portals(ctx, h, "1", "10.0.0.1:3260", "[::1]:3261")).To(Succeed())
			Expect(portals(ctx, h, "2", "10.0.0.1:3260", "[::1]:3261")).To(Succeed())
			Expect(h.ReadFile("/proc/net/tcp")).To(ContainSubstring(" 0100000A:0CBC 00000000:0000 0A "))
			Expect(h.ReadFile("/proc/net/tcp6")).To(ContainSubstring(" 00000000000000000000000001000000:0CBD "))
			apply(ctx, h, change.RemovePortal{Target: change.Target{Fabric: observe.ISCSI, Name: iqn + "1", Export: export + "1"}, Portal: "10.0.0.1:3260"})
			Expect(h.ReadFile("/proc/net/tcp")).To(ContainSubstring(":0CBC"))
			apply(ctx, h, change.RemovePortal{Target: change.Target{Fabric: observe.ISCSI, Name: iqn + "2", Export: export + "2"}, Portal: "10.0.0.1:3260"})
			Expect(h.ReadFile("/proc/net/tcp")).NotTo(ContainSubstring(":0CBC"))
		})

		DescribeTable("cannot be opened beside one of somebody else",
			func(ctx SpecContext, listener, portal string, ok bool) {
				h := lioMachine(func(n *fakehost.Node) { n.Listeners = []string{listener} })
				err := portals(ctx, h, "1", portal)
				if ok {
					Expect(err).NotTo(HaveOccurred())
					return
				}
				Expect(err).To(MatchError(syscall.EINVAL))
				Expect(err).To(MatchError(ContainSubstring("another process listens on " + listener)))
			},
			Entry("on the same address", "10.0.0.1:3260", "10.0.0.1:3260", false),
			Entry("on all addresses", "0.0.0.0:3260", "10.0.0.1:3260", false),
			Entry("on all addresses of both families", "[::]:3260", "10.0.0.1:3260", false),
			Entry("for all addresses", "10.0.0.1:3260", "[::]:3260", false),
			Entry("on another port", "0.0.0.0:3261", "10.0.0.1:3260", true),
			Entry("of the other family", "0.0.0.0:3260", "[::1]:3260", true),
			Entry("on another address", "10.0.0.2:3260", "10.0.0.1:3260", true),
		)

		It("of the other family are taken for one's own", func(ctx SpecContext) {
			Expect(portals(ctx, h, "1", "[::1]:3260")).To(Succeed())
			Expect(portals(ctx, h, "2", "0.0.0.0:3260")).To(MatchError(ContainSubstring("a wildcard portal of the other IP version")))
			Expect(portals(ctx, lioMachine(), "3", "[::]:3260")).To(Succeed())
			h = lioMachine()
			Expect(portals(ctx, h, "1", "[::]:3260")).To(Succeed())
			Expect(portals(ctx, h, "2", "0.0.0.0:3260")).To(Succeed(), "they serve both")
		})

		It("stay what they were when they are stored", func(ctx SpecContext) {
			Expect(portals(ctx, h, "1", "0.0.0.0:3260")).To(Succeed())
			Expect(portals(ctx, h, "2", "[::1]:3260")).To(Succeed())
			Expect(portals(ctx, h, "3", "[::1]:3260")).To(Succeed())
			h = reloaded(h)
			Expect(h.Node().Sockets).To(Equal([]string{"0.0.0.0:3260", "[::1]:3260"}))
			apply(ctx, h, change.RemovePortal{Target: change.Target{Fabric: observe.ISCSI, Name: iqn + "2", Export: export + "2"}, Portal: "[::1]:3260"})
			Expect(h.Node().Sockets).To(HaveLen(2))
			apply(ctx, h, change.RemovePortal{Target: change.Target{Fabric: observe.ISCSI, Name: iqn + "3", Export: export + "3"}, Portal: "[::1]:3260"})
			Expect(h.Node().Sockets).To(HaveLen(1))
		})

		It("are one per target and address", func(ctx SpecContext) {
			Expect(portals(ctx, h, "1", "[::]:3260")).To(Succeed())
			Expect(portals(ctx, h, "1", "0.0.0.0:3260")).To(MatchError(syscall.EINVAL))
		})

		DescribeTable("need an address",
			func(ctx SpecContext, name string, want error) {
				apply(ctx, h, change.CreateTarget{Target: target})
				err := h.Mkdir(path.Join(observe.ISCSITarget(iqn).Portals(), name))
				if want == nil {
					Expect(err).NotTo(HaveOccurred())
				} else {
					Expect(err).To(MatchError(want))
				}
			},
			Entry("IPv4", "10.0.0.1:3260", nil),
			Entry("IPv6", "[fe80::1]:3260", nil),
			Entry("IPv4 in brackets", "[10.0.0.1]:3260", nil),
			Entry("IPv6 without brackets", "fe80::1:3260", syscall.EINVAL),
			Entry("a name", "localhost:3260", syscall.EINVAL),
			Entry("no port", "10.0.0.1", syscall.EINVAL),
			Entry("a port that is too high", "10.0.0.1:65536", syscall.EINVAL),
			Entry("no closing bracket", "[::1:3260", syscall.EINVAL),
		)
	})

	Describe("sessions", func() {
		BeforeEach(func(ctx SpecContext) { apply(ctx, h, exported()...) })

		session := func(h *fakehost.Host) (loggedIn bool, dynamic []string, count int) {
			t := observed(h).ISCSI[iqn]
			return t.ACLs[initiator].LoggedIn, t.DynamicSessions, t.Sessions
		}

		It("need an ACL", func(ctx SpecContext) {
			Expect(h.Login(iqn, "iqn.2003-01.org.foreign:y")).NotTo(Succeed())
			Expect(h.Login(iqn+"x", initiator)).NotTo(Succeed())
			Expect(h.Login(iqn, initiator)).To(Succeed())
			loggedIn, dynamic, count := session(h)
			Expect(loggedIn).To(BeTrue())
			Expect(dynamic).To(BeEmpty())
			Expect(count).To(Equal(1))
			reloaded(h)
			Expect(lio.New(h).Apply(ctx, change.RemoveTarget{Target: target})).To(MatchError(change.ErrInUse))
			Expect(h.Logout(iqn, initiator)).To(Succeed())
			Expect(h.Logout(iqn, initiator)).NotTo(Succeed())
			apply(ctx, h, change.RemoveTarget{Target: target})
		})

		It("need the password where one is given", func(ctx SpecContext) {
			Expect(h.Login(iqn, initiator, "wrong")).NotTo(Succeed())
			Expect(h.Login(iqn, initiator, "secretsecret1")).To(Succeed())
			apply(ctx, h, change.SetAuth{Target: target, Initiator: initiator})
			Expect(h.Login(iqn, initiator, "any")).To(Succeed())
		})

		It("need no ACL where anybody is admitted, and an ACL takes them over", func(ctx SpecContext) {
			apply(ctx, h,
				change.RemoveInitiator{Target: target, Initiator: initiator},
				change.SetAttributes{Target: target, Attrib: observe.TPGAttrib{GenerateNodeACLs: true, CacheDynamicACLs: true}})
			Expect(h.Login(iqn, initiator)).To(Succeed())
			Expect(h.Login(iqn, initiator+"2")).To(Succeed())
			h = reloaded(h)
			_, dynamic, count := session(h)
			Expect(dynamic).To(ConsistOf(initiator, initiator+"2"))
			Expect(count).To(Equal(2))

			apply(ctx, h, change.AddInitiator{Target: target, Initiator: initiator})
			loggedIn, dynamic, count := session(h)
			Expect(loggedIn).To(BeTrue())
			Expect(dynamic).To(ConsistOf(initiator + "2"))
			Expect(count).To(Equal(2))

			apply(ctx, h, change.RemoveInitiator{Target: target, Initiator: initiator + "2"})
			_, dynamic, count = session(h)
			Expect(dynamic).To(BeEmpty())
			Expect(count).To(Equal(1))
		})

		It("end with the ACL", func(ctx SpecContext) {
			Expect(h.Login(iqn, initiator)).To(Succeed())
			apply(ctx, h, change.RemoveInitiator{Target: target, Initiator: initiator})
			_, _, count := session(h)
			Expect(count).To(BeZero())
		})

		It("end when the portal group is disabled, and none begins", func() {
			Expect(h.WriteFile(path.Join(observe.ISCSITarget(iqn).TPG(), "attrib/generate_node_acls"), []byte("1"))).To(Succeed())
			Expect(h.Login(iqn, initiator)).To(Succeed())
			Expect(h.Login(iqn, initiator+"2")).To(Succeed())
			Expect(h.WriteFile(path.Join(observe.ISCSITarget(iqn).TPG(), "enable"), []byte("0"))).To(Succeed())
			loggedIn, dynamic, count := session(h)
			Expect(loggedIn).To(BeFalse())
			Expect(dynamic).To(BeEmpty())
			Expect(count).To(BeZero())
			Expect(h.Login(iqn, initiator)).NotTo(Succeed())
		})
	})
})

// isOpen reports whether anything holds a logical volume of vg-0 open.
func isOpen(h *fakehost.Host, lv string) bool {
	GinkgoHelper()
	state := observe.New(h).Observe(context.Background())
	Expect(state.Unknown).NotTo(HaveKey(observe.LVM))
	Expect(state.VolumeGroups["vg-0"].LogicalVolumes).To(HaveKey(lv))
	return state.VolumeGroups["vg-0"].LogicalVolumes[lv].Open
}
