package e2e

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/watch"
)

// operation is done to the kernel by a shell, and to the machine in memory by a call.
type operation struct {
	shell string
	fake  func(ctx context.Context, h host.Host) error
}

func makes(path string) operation {
	return operation{"mkdir " + path, func(_ context.Context, h host.Host) error { return h.Mkdir(path) }}
}

func removes(path string) operation {
	return operation{fmt.Sprintf("if [ -h %[1]s ]; then rm %[1]s; else rmdir %[1]s; fi", path), func(_ context.Context, h host.Host) error { return h.Remove(path) }}
}

func links(target, link string) operation {
	return operation{"ln -s " + target + " " + link, func(_ context.Context, h host.Host) error { return h.Symlink(target, link) }}
}

func puts(path, text string) operation {
	return operation{"printf %s " + text + " > " + path, func(_ context.Context, h host.Host) error { return h.WriteFile(path, []byte(text)) }}
}

func runs(argv ...string) operation {
	return operation{strings.Join(argv, " "), func(ctx context.Context, h host.Host) error { _, err := h.Run(ctx, argv...); return err }}
}

var _ = Describe("The machine in memory", func() {
	It("reports nothing that a kernel does not", func(ctx SpecContext) {
		backstore, acl := coreDirectory+"/iblock_7/data", aPortalGroup+"/acls/iqn.1994-05.org.example:i"
		operations := []operation{
			runs("lvcreate", "-y", "-n", "data", "-L", "16m", "vg0"), runs("lvcreate", "-y", "-an", "-Zn", "-n", "other", "-L", "16m", "vg0"),
			runs("lvchange", "--addtag", "x", "vg0/data"), runs("lvextend", "-L", "32m", "vg0/data"),
			runs("lvchange", "-an", "vg0/data"), runs("lvchange", "-ay", "vg0/data"), runs("lvremove", "-y", "vg0/other"),
			makes(coreDirectory + "/iblock_7"), makes(backstore), puts(backstore+"/control", "udev_path=/dev/vg0/data"),
			puts(backstore+"/enable", "1"), puts(backstore+"/attrib/emulate_tpu", "0"),
			makes(aTarget), makes(aPortalGroup), makes(aPortalGroup + "/lun/lun_0"), links(backstore, aPortalGroup+"/lun/lun_0/data"),
			makes(acl), makes(acl + "/lun_0"), links(aPortalGroup+"/lun/lun_0", acl+"/lun_0/data"),
			puts(aPortalGroup+"/attrib/authentication", "0"), puts(acl+"/auth/userid", "someone"),
			removes(acl + "/lun_0/data"), removes(acl + "/lun_0"), removes(acl), removes(aPortalGroup + "/lun/lun_0/data"),
			removes(aPortalGroup + "/lun/lun_0"), removes(aPortalGroup), removes(aTarget), removes(backstore), removes(coreDirectory + "/iblock_7"),
			runs("lvremove", "-y", "vg0/data"),
		}
		fake, err := fakehost.New(fakehost.Node{VolumeGroups: []fakehost.VolumeGroup{{Name: "vg0", ExtentSize: 4 << 20, Extents: 100}}})
		Expect(err).NotTo(HaveOccurred())
		for _, module := range []string{"target_core_mod", "target_core_iblock", "iscsi_target_mod"} {
			_, err := fake.Run(ctx, "modprobe", module)
			Expect(err).NotTo(HaveOccurred())
		}
		Expect(fake.Mkdir("/sys/kernel/config/target/iscsi")).To(Succeed())
		expected := fake.Watch()
		expected.PhysicalVolumes([]string{"/dev/disk-vg0"})
		kernel := watching(ctx, nil, "/dev/vda")
		for _, o := range operations {
			expected.Take()
			Expect(o.fake(ctx, fake)).To(Succeed(), o.shell)
			reported := expected.Take()
			Expect(reported).NotTo(BeEmpty(), o.shell)
			mark := len(kernel.since(0))
			sh(ctx, "set -e; { "+o.shell+"; } > /dev/null; udevadm settle")
			for _, e := range reported {
				Eventually(ctx, func() []watch.Event { return kernel.since(mark) }).WithTimeout(time.Minute).Should(ContainElement(sameEvent(e)), "%s: %v", o.shell, e)
			}
		}
	}, NodeTimeout(limit))
})

// sameEvent matches the kernel's event that the machine in memory reports: the names of devices are
// others there.
func sameEvent(e watch.Event) OmegaMatcher {
	switch e.Source {
	case watch.Metadata:
		return event(watch.Metadata, "/dev/vda")
	case watch.Devices:
		return And(HaveField("Source", watch.Devices), HaveField("Path", HavePrefix("/dev/dm-")))
	default:
		return event(e.Source, e.Path)
	}
}
