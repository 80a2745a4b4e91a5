package observe

import (
	"context"
	"io/fs"
	"slices"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
)

// interrupted is a machine on which something happens while it is read.
type interrupted struct {
	*fakehost.Host
	afterReport, afterSubsystems func()
	reports                      int
	beforeReport                 <-chan struct{} // nil: nothing is waited for
	backstores                   error           // of reading their directory
}

func (i *interrupted) Run(ctx context.Context, argv ...string) (host.Output, error) {
	if !slices.Contains(argv, "fullreport") {
		return i.Host.Run(ctx, argv...)
	}
	i.reports++
	if i.beforeReport != nil {
		<-i.beforeReport
	}
	out, err := i.Host.Run(ctx, argv...)
	if f := i.afterReport; f != nil {
		i.afterReport = nil
		f()
	}
	return out, err
}

func (i *interrupted) ReadDir(dir string) ([]fs.DirEntry, error) {
	if dir == BackstoresDir && i.backstores != nil {
		return nil, i.backstores
	}
	entries, err := i.Host.ReadDir(dir)
	if dir != SubsystemsDir {
		return entries, err // LIO is read at the same time
	}
	if f := i.afterSubsystems; f != nil {
		i.afterSubsystems = nil
		f()
	}
	return entries, err
}

var _ = Describe("what is remembered of LVM", func() {
	var m *interrupted
	var o *Observer
	BeforeEach(func(ctx SpecContext) {
		h, err := fakehost.New(fakehost.Node{VolumeGroups: []fakehost.VolumeGroup{{Name: "vg0", ExtentSize: 4 << 20, Extents: 100}}})
		Expect(err).NotTo(HaveOccurred())
		_, err = h.Run(ctx, "lvcreate", "-y", "-n", "a", "-L", "16m", "vg0")
		Expect(err).NotTo(HaveOccurred())
		m = &interrupted{Host: h}
		o = New(m)
		o.Remember()
	})
	tag := func(ctx context.Context) {
		_, err := m.Host.Run(ctx, "lvchange", "--addtag", "x", "vg0/a")
		Expect(err).NotTo(HaveOccurred())
	}
	reports := func(ctx context.Context) int {
		before := m.reports
		o.Observe(ctx)
		return m.reports - before
	}

	It("is read again if it was read without what has the devices open", func(ctx SpecContext) {
		m.backstores = syscall.EIO
		Expect(reports(ctx)).To(Equal(1))
		m.backstores = nil
		Expect(reports(ctx)).To(Equal(1))
		Expect(reports(ctx)).To(BeZero())
	})
	DescribeTable("is read again", func(ctx SpecContext, part Part, again int) {
		Expect(reports(ctx)).To(Equal(1))
		Expect(reports(ctx)).To(BeZero())
		o.Forget(part)
		Expect(reports(ctx)).To(Equal(again))
		Expect(reports(ctx)).To(BeZero())
	},
		Entry("with LVM", AllOfLVM, 1),
		Entry("with everything", Everything, 1),
		Entry("with all of configfs, which has devices open", AllOfConfigFS, 1),
		Entry("with a backstore", Part(BackstoreDir("iblock_0", "a")+"/enable"), 1),
		Entry("with a directory of backstores", Part(HBADir("iblock_0")), 1),
		Entry("with all of LIO", Part(LIODir), 1),
		Entry("with a namespace", Part(SubsystemDir("nqn.a")+"/namespaces/1/enable"), 1),
		Entry("with all of nvmet", Part(NVMetDir), 1),
		Entry("but not with a target, which opens nothing", Part(ISCSITarget("iqn.a").Path), 0),
		Entry("nor with a port", Part(PortDir("1")), 0),
		Entry("nor with what is read each time", Part("/etc/lvm"), 0),
	)
	It("is not kept if it was forgotten while it was read", func(ctx SpecContext) {
		m.afterReport = func() {
			tag(ctx)
			o.Forget(AllOfLVM)
		}
		o.Observe(ctx)
		Expect(o.Observe(ctx).VolumeGroups["vg0"].LogicalVolumes["a"].Tags).To(ContainElement("x"))
	})
	It("is not kept if what opens devices changed since the machine began to be read", func(ctx SpecContext) {
		made := make(chan struct{})
		m.beforeReport = made
		m.afterSubsystems = func() {
			defer close(made)
			defer GinkgoRecover()
			_, err := m.Host.Run(ctx, "modprobe", "nvmet")
			Expect(err).NotTo(HaveOccurred())
			ns := SubsystemDir("nqn.a") + "/namespaces/1"
			Expect(m.Mkdir(SubsystemDir("nqn.a"))).To(Succeed())
			Expect(m.Mkdir(ns)).To(Succeed())
			Expect(m.WriteFile(ns+"/device_path", []byte("/dev/vg0/a"))).To(Succeed())
			Expect(m.WriteFile(ns+"/enable", []byte("1"))).To(Succeed())
			o.Forget(Part(NVMetDir))
		}
		o.Observe(ctx)
		Expect(o.Observe(ctx).VolumeGroups["vg0"].LogicalVolumes["a"].OpenedBy).To(Equal([]string{"served as namespace 1 of nqn.a"}))
	})
	It("is missed by an audit if nobody said that it changed, whatever is changed then", func(ctx SpecContext) {
		o.Observe(ctx)
		tag(ctx)
		o.Audit()
		o.Observe(ctx)
		o.Forget(AllOfLVM)
		Expect(o.EndAudit()).To(BeTrue())
		Expect(o.Missed()).To(Equal([]string{"LVM"}))
		Expect(o.Missed()).To(BeEmpty())
	})
	It("is not missed if it is said a moment later, or was by the agent itself in between", func(ctx SpecContext) {
		o.Observe(ctx)
		tag(ctx)
		o.Audit()
		o.Observe(ctx)
		Expect(o.EndAudit()).To(BeTrue())
		Expect(o.Missed(AllOfLVM)).To(BeEmpty())

		_, err := m.Host.Run(ctx, "lvchange", "--deltag", "x", "vg0/a")
		Expect(err).NotTo(HaveOccurred())
		o.Audit()
		o.Forget(AllOfLVM)
		o.Observe(ctx)
		Expect(o.EndAudit()).To(BeFalse())
	})
})
