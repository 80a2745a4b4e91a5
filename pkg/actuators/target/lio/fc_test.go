package lio

import (
	"path"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const (
	fcPort      = "naa.2000525400123456"
	fcInitiator = "naa.2000525400abcdef"
)

var _ = Describe("a Fibre Channel target", func() {
	target := change.Target{Fabric: observe.FC, Name: fcPort, Export: "db"}
	store := change.Backstore{HBA: ondisk.HBA, Name: "volreconciler:volume:v1"}
	exported := []change.Change{
		change.CreateBackstore{Backstore: store, Device: "/dev/vg0/v1"},
		change.CreateTarget{Target: target},
		change.AddLUN{Target: target, LUN: 3, Backstore: store.Path()},
		change.AddInitiator{Target: target, Initiator: fcInitiator},
		change.MapLUN{Target: target, Initiator: fcInitiator, LUN: 3, ReadOnly: true},
		change.EnableTarget{Target: target},
	}
	withPort := func(driver string) func(*fakehost.Node) {
		return func(n *fakehost.Node) {
			n.FCPorts = []fakehost.FCPort{{WWPN: "2000525400999999", Driver: "lpfc"}, {WWPN: "2000525400123456", Driver: driver}}
		}
	}

	DescribeTable("is served by the driver of its port",
		func(ctx SpecContext, driver, dir string) {
			h := machine(withPort(driver))
			apply(ctx, h, exported...)
			links := map[string]string{}
			for _, e := range h.Node().ConfigFS {
				if e.Link != "" {
					links[e.Path] = e.Link
				}
			}
			tpg := dir + "/20:00:52:54:00:12:34:56/tpgt_1"
			Expect(links).To(Equal(map[string]string{
				tpg + "/lun/lun_3/volreconciler:db":                          "core/" + store.Path(),
				tpg + "/acls/20:00:52:54:00:ab:cd:ef/lun_3/volreconciler:db": tpg + "/lun/lun_3",
			}))
			Expect(observed(ctx, h).LIO.FC).To(Equal(map[string]observe.Target{fcPort: {
				Fabric: observe.FC, Name: fcPort, HasTPG: true, Enabled: true, Mark: "volreconciler:db",
				LUNs: map[int]observe.TargetLUN{3: {Backstore: store.Path(), Link: "volreconciler:db"}},
				ACLs: map[string]observe.ACL{fcInitiator: {
					Initiator: fcInitiator, Authentication: "-1",
					LUNs: map[int]observe.MappedLUN{3: {LUN: 3, Link: "volreconciler:db", WriteProtect: true}},
				}},
				Sessions: -1,
			}}))

			Expect(h.Connect(fcPort, fcInitiator)).To(Succeed())
			Expect(observed(ctx, h).LIO.FC[fcPort].ACLs[fcInitiator].LoggedIn).To(BeTrue())
			Expect(observed(ctx, h).LIO.FC[fcPort].Connections).To(Equal([]observe.Session{{Initiator: fcInitiator, Address: "0x000001", Transport: observe.OverFC}}))
			Expect(New(h).Apply(ctx, change.RemoveTarget{Target: target})).To(MatchError(change.ErrInUse))
			h.Disconnect(fcPort, fcInitiator)

			apply(ctx, h,
				change.SetWriteProtect{Target: target, Initiator: fcInitiator, LUN: 3},
				change.UnmapLUN{Target: target, Initiator: fcInitiator, LUN: 3},
				change.MapLUN{Target: target, Initiator: fcInitiator, LUN: 3},
				change.RemoveLUN{Target: target, LUN: 3},
				change.RemoveInitiator{Target: target, Initiator: fcInitiator},
				change.RemoveTarget{Target: target},
				change.RemoveBackstore{Backstore: store},
			)
			Expect(observed(ctx, h).LIO.FC).To(BeEmpty())
		},
		Entry("libfc", "fcoe", "fc"),
		Entry("libfc that does not say who it is", "", "fc"),
		Entry("QLogic", "qla2xxx", "qla2xxx"),
	)

	It("admits nobody before it is enabled, and listed initiators only then", func(ctx SpecContext) {
		h := machine(withPort("qla2xxx"))
		apply(ctx, h, change.CreateTarget{Target: target})
		t := observed(ctx, h).LIO.FC[fcPort]
		Expect(t.Enabled).To(BeFalse())
		Expect(t.Attrib).To(BeZero())

		file := observe.FCDrivers[1].Target(fcPort).Attrib() + "/generate_node_acls"
		Expect(h.WriteFile(file, []byte("1"))).To(Succeed())
		Expect(observed(ctx, h).LIO.FC[fcPort].Attrib).To(Equal(observe.TPGAttrib{GenerateNodeACLs: true}))
		apply(ctx, h, change.SetAttributes{Target: target})
		Expect(observed(ctx, h).LIO.FC[fcPort].Attrib).To(BeZero())
		Expect(h.WriteFile(file, []byte("1"))).To(Succeed())
		apply(ctx, h, change.EnableTarget{Target: target})
		Expect(observed(ctx, h).LIO.FC[fcPort].Attrib).To(BeZero())
	})

	DescribeTable("must be a port that can be one",
		func(ctx SpecContext, why string, add func(*fakehost.Node)) {
			h := machine(add)
			err := New(h).Apply(ctx, change.CreateTarget{Target: target})
			Expect(err).To(MatchError(change.ErrUnsupported))
			Expect(err).To(MatchError(ContainSubstring(why)))
			Expect(observed(ctx, h).LIO.FC).To(BeEmpty())
		},
		Entry("none", fcPort+" is not a Fibre Channel port of this node", func(*fakehost.Node) {}),
		Entry("others", "its ports are naa.2000525400000001, naa.2000525400000002", func(n *fakehost.Node) {
			n.FCPorts = []fakehost.FCPort{{WWPN: "2000525400000002"}, {WWPN: "2000525400000001"}}
		}),
		Entry("of another driver", "which LIO does not support; use a port of another adapter", withPort("lpfc")),
		Entry("without the module", "needs the module tcm_qla2xxx", func(n *fakehost.Node) {
			withPort("qla2xxx")(n)
			n.MissingModules = []string{"tcm_qla2xxx"}
		}),
		Entry("an initiator only", "load it with qlini_mode=disabled", func(n *fakehost.Node) {
			withPort("qla2xxx")(n)
			n.FCPorts[1].InitiatorMode = "enabled"
		}),
	)

	It("has no passwords", func(ctx SpecContext) {
		h := machine(withPort("fcoe"))
		apply(ctx, h, change.CreateTarget{Target: target})
		auth := change.Auth{Username: "u", Password: spec.NewSecret("secretsecret1")}
		for _, c := range []change.Change{
			change.AddInitiator{Target: target, Initiator: fcInitiator, Auth: auth},
			change.SetAuth{Target: target, Initiator: fcInitiator, Auth: auth},
		} {
			Expect(New(h).Apply(ctx, c)).To(MatchError(change.ErrUnsupported))
		}
	})

	It("is somebody else's with a LUN that is not managed by volreconciler", func(ctx SpecContext) {
		h := machine(withPort("fcoe"))
		apply(ctx, h, exported...)
		dir := observe.FCDrivers[0].Target(fcPort)
		Expect(h.Mkdir(dir.LUN(5))).To(Succeed())
		apply(ctx, h, change.RemoveInitiator{Target: target, Initiator: fcInitiator}) // linked to nothing, it is nobody's
		Expect(h.Symlink(path.Join(observe.BackstoresDir, store.Path()), dir.LUN(5)+"/9afeecee37")).To(Succeed())
		before := h.Node()
		t := observed(ctx, h).LIO.FC[fcPort]
		Expect(t.Mark).To(BeEmpty())
		Expect(t.Empty()).To(BeFalse())
		for _, c := range []change.Change{
			change.CreateTarget{Target: target},
			change.AddLUN{Target: target, LUN: 6, Backstore: store.Path()},
			change.RemoveLUN{Target: target, LUN: 3},
			change.AddInitiator{Target: target, Initiator: fcInitiator},
			change.RemoveTarget{Target: target, Force: true},
			change.EnableTarget{Target: target},
		} {
			Expect(New(h).Apply(ctx, c)).To(MatchError(change.ErrStale), c.String())
		}
		Expect(h.Node()).To(Equal(before))
	})
})
