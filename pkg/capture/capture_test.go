package capture

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/actuators/lvm"
	"github.com/volreconciler/volreconciler/pkg/actuators/target/lio"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/reconcile/execute"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const (
	password = "correct horse battery"
	mutual   = "staple staple staple"

	iqn       = "iqn.2026-11.org.example:db"
	initiator = "iqn.1993-08.org.debian:01:db-host"
)

// objects are what the machine of these specs holds.
const objects = `
{apiVersion: volreconciler/v1alpha1, kind: Pool, metadata: {name: slow}, spec: {volumeGroup: vg0}}
---
{apiVersion: volreconciler/v1alpha1, kind: Pool, metadata: {name: fast}, spec: {volumeGroup: vg0, thinPool: {name: pool0, size: 1Gi}}}
---
{apiVersion: volreconciler/v1alpha1, kind: Volume, metadata: {name: log}, spec: {pool: slow, size: 64Mi}}
---
{apiVersion: volreconciler/v1alpha1, kind: Volume, metadata: {name: db}, spec: {pool: fast, size: 2Gi}}
---
{apiVersion: volreconciler/v1alpha1, kind: Snapshot, metadata: {name: db-old}, spec: {volume: db}}
---
{apiVersion: volreconciler/v1alpha1, kind: Snapshot, metadata: {name: log-old}, spec: {volume: log, size: 16Mi}}
---
apiVersion: volreconciler/v1alpha1
kind: Export
metadata: {name: db}
spec:
  protocol: iscsi
  target: ` + iqn + `
  luns: [{volume: db}, {snapshot: log-old, readOnly: true}]
  initiators:
    - name: ` + initiator + `
      auth:
        chap: {username: somebody, passwordFrom: {file: CHAP}}
        mutual: {username: node, passwordFrom: {file: MUTUAL}}
    - name: iqn.1993-08.org.debian:01:nobody
`

// converge makes a machine as objects say.
func converge(ctx context.Context, h host.Host, objects string) {
	GinkgoHelper()
	dir := GinkgoT().TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		Expect(os.MkdirAll(filepath.Dir(file), 0o700)).To(Succeed())
		Expect(os.WriteFile(file, []byte(text), 0o600)).To(Succeed())
		return file
	}
	objects = strings.NewReplacer("CHAP", write("chap", password), "MUTUAL", write("mutual", mutual)).Replace(objects)
	write("specs/all.yaml", objects)
	memory, err := reconcile.OpenMemory(filepath.Join(dir, "identities.json"))
	Expect(err).NotTo(HaveOccurred())
	loop := &reconcile.Loop{
		Source:   spec.NewSource(filepath.Join(dir, "specs"), spec.Options{Secrets: true, Settle: time.Millisecond}),
		Observer: observe.New(h),
		Executor: &execute.Executor{Actuators: map[observe.System]change.Actuator{
			observe.LVM: lvm.New(h, h), observe.LIO: lio.New(h),
		}},
		Memory: memory, Status: &status.Board{}, Log: logr.Discard(),
	}
	for range 3 {
		loop.Pass(ctx)
	}
	status, _ := loop.Status.Report()
	Expect(status.Converged()).To(BeTrue(), "%+v", status)
}

// withoutPasswords returns a state in which each password that is set is the
// placeholder.
func withoutPasswords(s observe.State) observe.State {
	hide := func(secret spec.Secret) spec.Secret {
		if secret == (spec.Secret{}) {
			return secret
		}
		return spec.NewSecret(spec.Redacted)
	}
	for _, t := range s.LIO.ISCSI {
		for name, acl := range t.ACLs {
			acl.Auth.Password, acl.Auth.MutualPassword = hide(acl.Auth.Password), hide(acl.Auth.MutualPassword)
			t.ACLs[name] = acl
		}
	}
	return s
}

var _ = Describe("Capture", func() {
	var machine *fakehost.Host

	BeforeEach(func() {
		var err error
		machine, err = fakehost.New(fakehost.Node{VolumeGroups: []fakehost.VolumeGroup{
			{Name: "vg0", ExtentSize: 4 << 20, Extents: 2560, LogicalVolumes: []fakehost.LogicalVolume{
				{Name: "root", Type: "thick", Size: 1 << 30, Active: true, Minor: 4},
				{Name: "swap-1", Type: "thick", Size: 1 << 30, Active: true, Minor: 5, HeldBy: []string{"vg1-cache"}},
				{Name: "cache", Type: "other", Size: 4 << 20},
				{Name: "old", Type: "thick", Size: 64 << 20, ReadOnly: true, Health: "partial"},
			}},
			{Name: "empty", ExtentSize: 1 << 20, Extents: 100},
		}, Mounts: []fakehost.Mount{{LV: "vg0/root", Dir: "/"}, {LV: "vg0/root", Dir: "/mnt/a b"}}})
		Expect(err).NotTo(HaveOccurred())
	})

	capture := func(ctx context.Context, h host.Host) fakehost.Node {
		GinkgoHelper()
		node, err := Capture(ctx, h)
		Expect(err).NotTo(HaveOccurred())
		return node
	}
	// copied returns a machine that is made of a node's file.
	copied := func(n fakehost.Node) *fakehost.Host {
		GinkgoHelper()
		file, err := n.Marshal()
		Expect(err).NotTo(HaveOccurred())
		parsed, err := fakehost.Parse(file)
		Expect(err).NotTo(HaveOccurred())
		h, err := fakehost.New(parsed)
		Expect(err).NotTo(HaveOccurred())
		return h
	}
	look := func(ctx context.Context, h host.Host) observe.State {
		GinkgoHelper()
		s := observe.New(h).Observe(ctx)
		Expect(s.Err()).NotTo(HaveOccurred())
		return s
	}

	It("returns a node that looks like the machine, but for the passwords", func(ctx SpecContext) {
		converge(ctx, machine, objects)
		node := capture(ctx, machine)
		state := look(ctx, machine)
		Expect(state.LIO.ISCSI[iqn].ACLs[initiator].Auth.Password.Reveal()).To(Equal(password))
		Expect(look(ctx, copied(node))).To(Equal(withoutPasswords(state)))
	})

	It("takes no password along, but says where one is set", func(ctx SpecContext) {
		converge(ctx, machine, objects)
		node := capture(ctx, machine)
		file, err := node.Marshal()
		Expect(err).NotTo(HaveOccurred())
		Expect(string(file)).NotTo(Or(ContainSubstring(password), ContainSubstring(mutual)))
		acls := look(ctx, copied(node)).LIO.ISCSI[iqn].ACLs
		Expect(acls[initiator].Auth).To(Equal(observe.CHAP{
			Username: "somebody", Password: spec.NewSecret(spec.Redacted),
			MutualUsername: "node", MutualPassword: spec.NewSecret(spec.Redacted),
		}))
		Expect(acls["iqn.1993-08.org.debian:01:nobody"].Auth).To(Equal(observe.CHAP{}))
	})

	DescribeTable("returns a node that can be worked on like the machine", func(ctx SpecContext, atomicWrites bool) {
		Expect(machine.Edit(func(n *fakehost.Node) { n.AtomicWrites = atomicWrites })).To(Succeed())
		converge(ctx, machine, objects)
		other := copied(capture(ctx, machine))
		more := strings.Replace(objects, "luns: [", "luns: [{volume: log, lun: 9}, ", 1)
		more += "    - name: iqn.1993-08.org.debian:01:another\n      readOnly: true\n"
		converge(ctx, machine, more)
		converge(ctx, other, more)
		Expect(withoutPasswords(look(ctx, other))).To(Equal(withoutPasswords(look(ctx, machine))))
	},
		Entry("with a kernel that knows of no atomic writes", false),
		Entry("with one that does", true),
	)

	It("changes nothing", func(ctx SpecContext) {
		converge(ctx, machine, objects)
		before := machine.Node()
		capture(ctx, &fakehost.Tap{Host: machine, Before: func(c fakehost.Call) error {
			defer GinkgoRecover()
			Expect(c.Changes()).To(BeFalse(), c.String())
			return nil
		}})
		Expect(machine.Node()).To(Equal(before))
	})

	It("returns the same node for the same machine, sorted", func(ctx SpecContext) {
		converge(ctx, machine, objects)
		node := capture(ctx, machine)
		Expect(capture(ctx, machine)).To(Equal(node))
		Expect(capture(ctx, copied(node))).To(Equal(node))
		Expect(slices.IsSortedFunc(node.ConfigFS, func(a, b fakehost.Entry) int { return strings.Compare(a.Path, b.Path) })).To(BeTrue())
	})

	It("captures a machine on which LIO is not loaded", func(ctx SpecContext) {
		node := capture(ctx, machine)
		Expect(node.Modules).To(BeEmpty())
		Expect(node.ConfigFS).To(BeEmpty())
		Expect(look(ctx, copied(node))).To(Equal(look(ctx, machine)))
	})

	DescribeTable("counts the space that hidden logical volumes have", func(ctx SpecContext, reserved int64) {
		converge(ctx, machine, objects)
		Expect(machine.Edit(func(n *fakehost.Node) { n.VolumeGroups[0].ReservedExtents = reserved })).To(Succeed())
		node := capture(ctx, machine)
		Expect(look(ctx, copied(node)).VolumeGroups["vg0"].Free).To(Equal(look(ctx, machine).VolumeGroups["vg0"].Free))
		Expect(node.VolumeGroups).To(ContainElement(HaveField("ReservedExtents", reserved)))
	},
		Entry("more than follows from the visible ones", int64(17)),
		Entry("less", int64(-1)),
	)

	DescribeTable("is an error if something cannot be read", func(ctx SpecContext, path, message string) {
		converge(ctx, machine, objects)
		node, err := Capture(ctx, &fakehost.Tap{Host: machine, Before: func(c fakehost.Call) error {
			if strings.HasSuffix(c.String(), path) {
				return errors.New("an initiator with an unreadable name")
			}
			return nil
		}})
		Expect(err).To(MatchError(ContainSubstring(message)))
		Expect(node).To(BeZero())
	},
		Entry("of LIO", "/auth/password", "lio: cannot read iSCSI targets: an initiator"),
		Entry("of modules", "/sys/module/iscsi_target_mod", "an initiator with an unreadable name"),
		Entry("of LVM", "-o-all", "an initiator with an unreadable name"),
		Entry("of what only LVM knows", "lv_skip_activation", "an initiator with an unreadable name"),
	)

	It("holds the Fibre Channel ports, and who is logged in to them", func(ctx SpecContext) {
		ports := []fakehost.FCPort{{WWPN: "2000525400123456", Driver: "fcoe"}, {WWPN: "2000525400999999", Driver: "qla2xxx"}}
		Expect(machine.Edit(func(n *fakehost.Node) { n.FCPorts = ports })).To(Succeed())
		converge(ctx, machine, objects+`---
apiVersion: volreconciler/v1alpha1
kind: Export
metadata: {name: fibre}
spec: {protocol: fc, target: naa.2000525400123456, luns: [{volume: log}], initiators: [{name: naa.2000525400abcdef}]}
`)
		Expect(machine.Connect("naa.2000525400123456", "naa.2000525400abcdef")).To(Succeed())
		node, err := Capture(ctx, machine)
		Expect(err).NotTo(HaveOccurred())
		Expect(node.FCPorts).To(Equal(machine.Node().FCPorts))
		again, err := fakehost.New(node)
		Expect(err).NotTo(HaveOccurred())
		Expect(observe.New(again).Observe(ctx).LIO.FC).To(Equal(observe.New(machine).Observe(ctx).LIO.FC))
	})

	It("is an error that names the volume group which cannot be read", func(ctx SpecContext) {
		Expect(machine.Edit(func(n *fakehost.Node) { n.VolumeGroups[0].Unusable = "Cannot process vg0: metadata is damaged" })).To(Succeed())
		node, err := Capture(ctx, machine)
		Expect(err).To(MatchError(ContainSubstring("vg0")))
		Expect(node).To(BeZero())
	})

	It("leaves out what goes away meanwhile", func(ctx SpecContext) {
		converge(ctx, machine, objects)
		acl := observe.ISCSITarget(iqn).ACL(initiator)
		var removed atomic.Bool
		node := capture(ctx, &fakehost.Tap{Host: machine, Before: func(c fakehost.Call) error {
			if c.Path != acl+"/info" || !removed.CompareAndSwap(false, true) {
				return nil
			}
			defer GinkgoRecover()
			for _, lun := range look(ctx, machine).LIO.ISCSI[iqn].ACLs[initiator].LUNs {
				dir := observe.ISCSITarget(iqn).MappedLUN(initiator, lun.LUN)
				Expect(machine.Remove(dir + "/" + lun.Link)).To(Succeed())
				Expect(machine.Remove(dir)).To(Succeed())
			}
			Expect(machine.Remove(acl)).To(Succeed())
			return nil
		}})
		Expect(removed.Load()).To(BeTrue())
		seen := look(ctx, copied(node)).LIO.ISCSI[iqn].ACLs
		Expect(slices.Collect(maps.Keys(seen))).To(ConsistOf("iqn.1993-08.org.debian:01:nobody"))
	})

	It("is read again when something goes away after it was observed", func(ctx SpecContext) {
		converge(ctx, machine, objects)
		spare := observe.BackstoreDir("iblock_7", "spare")
		Expect(machine.Mkdir(observe.HBADir("iblock_7"))).To(Succeed())
		Expect(machine.Mkdir(spare)).To(Succeed())
		removals := 0
		node := capture(ctx, &fakehost.Tap{Host: machine, Before: func(c fakehost.Call) error {
			if c.Path == spare+"/enable" {
				removals++
				return machine.Remove(spare)
			}
			return nil
		}})
		Expect(removals).To(Equal(1))
		Expect(look(ctx, copied(node)).LIO.Backstores).NotTo(HaveKey("iblock_7/spare"))
	})
})

var _ = DescribeTable("who holds a logical volume", func(lv observe.LogicalVolume, mounts []fakehost.Mount, devices []string) {
	lv.VolumeGroup, lv.Name, lv.Minor = "vg0", "a", 7
	m, d := holders(lv, observe.Targets{Backstores: map[string]observe.Backstore{"iblock_0/x": {BlockDevice: "dm-8"}, "iblock_0/y": {}}})
	Expect(m).To(Equal(mounts))
	Expect(d).To(Equal(devices))
},
	Entry("nobody", observe.LogicalVolume{}, nil, nil),
	Entry("mounts and devices", observe.LogicalVolume{Open: true, HeldBy: []string{"mounted on /a (b)", "dm-3 (vg1-root)", "md0"}},
		[]fakehost.Mount{{LV: "vg0/a", Dir: "/a (b)"}}, []string{"vg1-root", "md0"}),
	Entry("somebody of whom the kernel does not tell", observe.LogicalVolume{Open: true}, nil, []string{"unknown"}),
	Entry("the volumes in a thin pool", observe.LogicalVolume{Open: true, Type: observe.ThinPool}, nil, nil),
)

var _ = DescribeTable("passwords", func(file, text, shown string) {
	Expect(redact(file, text)).To(Equal(shown))
},
	Entry("set", "x/auth/password", "secret\n", "<redacted>\n"),
	Entry("set, without a newline", "x/auth/password_mutual", "secret", "<redacted>\n"),
	Entry("not set", "x/auth/password", "NULL\n", "NULL\n"),
	Entry("never set", "x/auth/password", "\n", "\n"),
	Entry("what the kernel takes for not set", "x/auth/password", "NULLsecret\n", "NULL\n"),
	Entry("a user", "x/auth/userid", "somebody\n", "somebody\n"),
)
