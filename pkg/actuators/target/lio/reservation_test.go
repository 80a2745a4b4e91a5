package lio

import (
	"context"
	"fmt"
	"strings"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

var _ = Describe("persistent reservations", func() {
	const initiator, other = "iqn.1993-08.org.debian:01:a", "iqn.1993-08.org.debian:01:b"
	var (
		h         *fakehost.Host
		backstore = change.Backstore{HBA: ondisk.HBA, Name: "volreconciler:volume:v1"}
		target    = change.Target{Fabric: observe.ISCSI, Name: "iqn.2026-11.io.volreconciler:e", Export: "e"}
	)
	create := func(ctx context.Context) {
		GinkgoHelper()
		apply(ctx, h, change.CreateBackstore{Backstore: backstore, Device: "/dev/vg0/v1"})
	}
	serve := func(ctx context.Context) {
		GinkgoHelper()
		create(ctx)
		apply(ctx, h, change.CreateTarget{Target: target}, change.AddLUN{Target: target, LUN: 3, Backstore: backstore.Path()})
		for _, name := range []string{initiator, other} {
			apply(ctx, h, change.AddInitiator{Target: target, Initiator: name}, change.MapLUN{Target: target, Initiator: name, LUN: 3})
		}
		apply(ctx, h, change.EnableTarget{Target: target})
		Expect(h.Login(target.Name, initiator)).To(Succeed())
		Expect(h.Login(target.Name, other)).To(Succeed())
	}
	registered := func(ctx context.Context) []observe.Registration {
		GinkgoHelper()
		return observed(ctx, h).LIO.Backstores[backstore.Path()].Registrations
	}
	isKept := func(name string, key uint64, kept bool) observe.Registration {
		r := observe.Registration{Initiator: name, SID: "00023d00001a", Key: key, Kept: kept}
		if kept {
			r.Target = target.Name
		}
		return r
	}
	holder := func() string {
		text, err := h.ReadFile(observe.BackstoreDir(backstore.HBA, backstore.Name) + "/pr/res_holder")
		Expect(err).NotTo(HaveOccurred())
		return string(text)
	}

	It("are observed, with whether the kernel keeps them", func(ctx SpecContext) {
		h = machine()
		serve(ctx)
		Expect(registered(ctx)).To(BeEmpty())
		Expect(h.Register(target.Name, initiator, 3, 0xa, false)).To(Succeed())
		Expect(registered(ctx)).To(ConsistOf(isKept(initiator, 0xa, false)))
		Expect(h.Register(target.Name, other, 3, 0xb, true)).To(Succeed())
		Expect(registered(ctx)).To(ConsistOf(isKept(initiator, 0xa, true), isKept(other, 0xb, true)))
	})

	DescribeTable("that the kernel keeps are there again", func(ctx SpecContext, gone func(context.Context)) {
		h = machine()
		serve(ctx)
		Expect(h.Register(target.Name, initiator, 3, 0xa, true)).To(Succeed())
		Expect(h.Register(target.Name, other, 3, 0xb, true)).To(Succeed())
		Expect(h.Reserve(target.Name, initiator, 3)).To(Succeed())
		gone(ctx)
		serve(ctx)
		Expect(registered(ctx)).To(ConsistOf(isKept(initiator, 0xa, true), isKept(other, 0xb, true)), "once each")
		Expect(holder()).To(ContainSubstring(initiator))
		Expect(h.Reserve(target.Name, other, 3)).NotTo(Succeed(), "it is reserved")
	},
		Entry("after a reboot", func(context.Context) { h.Reboot() }),
		Entry("when the backstore was removed", func(ctx context.Context) {
			apply(ctx, h, change.RemoveLUN{Target: target, LUN: 3}, change.RemoveBackstore{Backstore: backstore})
		}),
		Entry("when the target was removed as well", func(ctx context.Context) {
			apply(ctx, h, change.RemoveTarget{Target: target, Force: true}, change.RemoveBackstore{Backstore: backstore})
		}),
	)

	It("that the kernel does not take back keep the backstore from being served", func(ctx SpecContext) {
		h = machine()
		serve(ctx)
		Expect(h.Register(target.Name, initiator, 3, 0xa, true)).To(Succeed())
		h.Reboot()
		tap := &fakehost.Tap{Host: h, Before: func(c fakehost.Call) error {
			if c.Op == "write" && c.Path == observe.BackstoreDir(backstore.HBA, backstore.Name)+"/pr/res_aptpl_metadata" {
				return syscall.EINVAL
			}
			return nil
		}}
		err := New(tap).Apply(ctx, change.CreateBackstore{Backstore: backstore, Device: "/dev/vg0/v1"})
		Expect(err).To(And(MatchError(syscall.EINVAL), MatchError(ContainSubstring("remove /etc/target/pr/aptpl_"))))
		Expect(observed(ctx, h).LIO.Backstores).To(BeEmpty())
	})
})

var _ = Describe("the directory in which the kernel keeps them", func() {
	dir := func(path string) func(*fakehost.Node) {
		return func(n *fakehost.Node) { n.Files = append(n.Files, fakehost.File{Path: path + "/."}) }
	}
	create := change.CreateBackstore{Backstore: change.Backstore{HBA: ondisk.HBA, Name: "volreconciler:volume:v1"}, Device: "/dev/vg0/v1"}

	DescribeTable("is there before the first backstore, where rtslib would have it", func(ctx SpecContext, want string, with ...func(*fakehost.Node)) {
		h := machine(with...)
		apply(ctx, h, create)
		Expect(observe.ReadDBRoot(h)).To(Equal(want))
		for _, d := range []string{observe.ReservationsDir(want), observe.ALUADir(want)} {
			info, err := h.Lstat(d)
			Expect(err).NotTo(HaveOccurred(), d)
			Expect(info.IsDir()).To(BeTrue())
		}
	},
		Entry("where it is not installed", "/etc/target"),
		Entry("on Debian", "/etc/rtslib-fb-target", dir("/etc/rtslib-fb-target")),
		Entry("where something is kept already", "/etc/target", dir("/etc/rtslib-fb-target"), dir("/etc/target"), dir("/etc/target/pr"),
			func(n *fakehost.Node) { n.Files = append(n.Files, fakehost.File{Path: "/etc/target/pr/aptpl_1"}) }),
		Entry("where somebody has made one where the kernel looks by itself", observe.DefaultDBRoot, dir("/var/target"), dir("/var/target/pr")),
	)

	It("stays where it is while there is a backstore", func(ctx SpecContext) {
		h := machine()
		_, err := h.Run(ctx, "modprobe", "target_core_mod")
		Expect(err).NotTo(HaveOccurred())
		for _, d := range []string{"/iblock_0", "/iblock_0/somebody"} {
			Expect(h.Mkdir(observe.BackstoresDir + d)).To(Succeed())
		}
		apply(ctx, h, create)
		Expect(observe.ReadDBRoot(h)).To(Equal(observe.DefaultDBRoot))
		_, err = h.Lstat("/var/target/pr")
		Expect(err).NotTo(HaveOccurred())
	})

	It("is made when the agent starts and serves already", func(ctx SpecContext) {
		h := machine()
		New(h).Prepare()
		_, err := h.Lstat("/etc/target")
		Expect(err).To(HaveOccurred(), "LIO is not loaded")
		_, err = h.Run(ctx, "modprobe", "target_core_mod")
		Expect(err).NotTo(HaveOccurred())
		for _, d := range []string{"/iblock_900", "/iblock_900/volreconciler:volume:v1", "/iblock_901", "/iblock_1"} {
			Expect(h.Mkdir(observe.BackstoresDir + d)).To(Succeed())
		}
		New(h).Prepare()
		_, err = h.Lstat("/var/target/pr")
		Expect(err).NotTo(HaveOccurred())
		entries, err := h.ReadDir(observe.BackstoresDir)
		Expect(err).NotTo(HaveOccurred())
		Expect(entries).To(ConsistOf(HaveField("Name()", "iblock_900"), HaveField("Name()", "iblock_1")), "what a crash left empty no longer exists")
	})

	It("keeps nobody from being served if it cannot be made", func(ctx SpecContext) {
		h := machine()
		tap := &fakehost.Tap{Host: h, Before: func(c fakehost.Call) error {
			if c.Op == "mkdir" && strings.HasPrefix(c.Path, "/etc") {
				return syscall.EROFS
			}
			return nil
		}}
		Expect(New(tap).Apply(ctx, create)).To(Succeed())
	})
})

var _ = Describe("backstores", func() {
	It("have the product id that is asked for, where the kernel has one to set", func(ctx SpecContext) {
		h := machine()
		b := change.Backstore{HBA: ondisk.HBA, Name: "volreconciler:volume:v1"}
		file := observe.BackstoreDir(b.HBA, b.Name) + "/wwn/product_id"
		create := change.CreateBackstore{Backstore: b, Device: "/dev/vg0/v1", Product: "v1"}
		apply(ctx, h, create)
		Expect(h.ReadFile(file)).To(BeEquivalentTo("v1\n"))
		apply(ctx, h, change.RemoveBackstore{Backstore: b})
		create.Product = ""
		apply(ctx, h, create)
		Expect(h.ReadFile(file)).To(BeEquivalentTo("IBLOCK\n"), "the kernel's own")
		apply(ctx, h, change.RemoveBackstore{Backstore: b})

		create.Product = "v1"
		old := &fakehost.Tap{Host: h, Before: func(c fakehost.Call) error {
			if c.Path == file {
				return syscall.ENOENT
			}
			return nil
		}}
		Expect(New(old).Apply(ctx, create)).To(Succeed())
	})

	It("are in directories that go with them, as those of targetcli do", func(ctx SpecContext) {
		h := machine()
		var stores []change.Backstore
		for i := range 2 {
			b := change.Backstore{HBA: ondisk.NthHBA(i), Name: fmt.Sprintf("volreconciler:volume:v%d", i+1)}
			stores = append(stores, b)
			apply(ctx, h, change.CreateBackstore{Backstore: b, Device: fmt.Sprintf("/dev/vg0/v%d", i+1)})
		}
		hbas := func() (names []string) {
			entries, err := h.ReadDir(observe.BackstoresDir)
			Expect(err).NotTo(HaveOccurred())
			for _, e := range entries {
				names = append(names, e.Name())
			}
			return names
		}
		Expect(hbas()).To(ConsistOf("iblock_900", "iblock_901"))
		apply(ctx, h, change.RemoveBackstore{Backstore: stores[0]})
		Expect(hbas()).To(ConsistOf("iblock_901"))

		By("leaving the directory of an older agent as long as there is one in it")
		shared := change.Backstore{HBA: "iblock_901", Name: "volreconciler:volume:v1"}
		apply(ctx, h, change.CreateBackstore{Backstore: shared, Device: "/dev/vg0/v1"})
		apply(ctx, h, change.RemoveBackstore{Backstore: stores[1]})
		Expect(hbas()).To(ConsistOf("iblock_901"))
		apply(ctx, h, change.RemoveBackstore{Backstore: shared})
		Expect(hbas()).To(BeEmpty())
	})
})
