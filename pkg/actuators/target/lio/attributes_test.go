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

var _ = Describe("the attributes that an Export may set", func() {
	const iqn = "iqn.2026-11.org.example:db"
	target := change.Target{Fabric: observe.ISCSI, Name: iqn, Export: "db"}
	store := change.Backstore{HBA: ondisk.HBA, Name: "volreconciler:volume:v1"}
	parameter := func(name, value string) change.SetParameter {
		return change.SetParameter{Target: target, Attribute: name, Value: value}
	}
	attribute := func(name, value string) change.SetBackstoreAttribute {
		return change.SetBackstoreAttribute{Backstore: store, Attribute: name, Value: value}
	}

	It("are all there, with the defaults that are known", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, change.CreateBackstore{Backstore: store, Device: "/dev/vg0/v1"}, change.CreateTarget{Target: target})
		lio := observed(ctx, h).LIO
		for name, a := range spec.Attributes {
			have, there := lio.ISCSI[iqn].Attributes[name], true
			if a.Place == spec.BackstoreAttrib {
				have, there = lio.Backstores[store.Path()].Attributes[name]
			}
			Expect(there).To(BeTrue(), name)
			if a.Default != "" {
				Expect(have).To(Equal(a.Default), name)
			}
		}
	})

	It("are set, and set back", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, change.CreateBackstore{Backstore: store, Device: "/dev/vg0/v1"}, change.CreateTarget{Target: target},
			parameter("MaxBurstLength", "1048576"), parameter("HeaderDigest", "None"), parameter("login_timeout", "30"),
			attribute("emulate_caw", "0"), attribute("queue_depth", "64"))
		lio := observed(ctx, h).LIO
		Expect(lio.ISCSI[iqn].Attributes).To(And(HaveKeyWithValue("MaxBurstLength", "1048576"), HaveKeyWithValue("HeaderDigest", "None"), HaveKeyWithValue("login_timeout", "30")))
		Expect(lio.Backstores[store.Path()].Attributes).To(And(HaveKeyWithValue("emulate_caw", "0"), HaveKeyWithValue("queue_depth", "64")))
		apply(ctx, h, parameter("HeaderDigest", "CRC32C,None"), attribute("emulate_caw", "1"))
	})

	It("are refused while the backstore is exported, where the kernel does", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, change.CreateBackstore{Backstore: store, Device: "/dev/vg0/v1"}, change.CreateTarget{Target: target},
			change.AddLUN{Target: target, LUN: 0, Backstore: store.Path()}, attribute("emulate_caw", "0"))
		Expect(New(h).Apply(ctx, attribute("queue_depth", "64"))).To(MatchError(ContainSubstring("only while no LUN is linked")))
	})

	It("are no others, and nobody else's", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, change.CreateBackstore{Backstore: store, Device: "/dev/vg0/v1"}, change.CreateTarget{Target: target})
		for _, c := range []change.Change{parameter("generate_node_acls", "1"), parameter("queue_depth", "1"), attribute("emulate_write_cache", "1"), attribute("login_timeout", "30"), attribute("../enable", "1")} {
			Expect(New(h).Apply(ctx, c)).To(MatchError(ContainSubstring("unknown attribute")), c.String())
		}
		other := parameter("login_timeout", "30")
		other.Export = "web"
		Expect(New(h).Apply(ctx, other)).To(MatchError(change.ErrStale))
		Expect(New(h).Apply(ctx, change.SetBackstoreAttribute{Backstore: change.Backstore{HBA: "iblock_0", Name: "x"}, Attribute: "emulate_caw", Value: "0"})).To(MatchError(change.ErrStale))
	})

	It("need a kernel that has them", func(ctx SpecContext) {
		h := machine()
		apply(ctx, h, change.CreateTarget{Target: target})
		n := h.Node()
		for i, e := range n.ConfigFS {
			if path.Base(e.Path) == "login_keys_workaround" {
				n.ConfigFS = append(n.ConfigFS[:i], n.ConfigFS[i+1:]...)
				break
			}
		}
		h = machine(func(m *fakehost.Node) { *m = n })
		Expect(New(h).Apply(ctx, parameter("login_keys_workaround", "0"))).To(MatchError(change.ErrUnsupported))
	})
})
