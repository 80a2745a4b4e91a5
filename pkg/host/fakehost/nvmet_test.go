package fakehost_test

import (
	"context"
	"strings"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
)

var _ = Describe("nvmet", func() {
	const (
		dir = "/sys/kernel/config/nvmet/"
		nqn = "nqn.2026-01.org.example:db"
		s   = dir + "subsystems/" + nqn
		p   = dir + "ports/1"
	)
	var h *fakehost.Host

	isOpen := func(ctx context.Context, h *fakehost.Host) bool {
		GinkgoHelper()
		out, err := h.Run(ctx, "lvs", "--noheadings", "-o", "lv_device_open", "vg0/db")
		Expect(err).NotTo(HaveOccurred())
		return strings.TrimSpace(string(out.Stdout)) == "open"
	}
	write := func(file, text string) error { return h.WriteFile(file, []byte(text)) }

	BeforeEach(func(ctx SpecContext) {
		var err error
		h, err = fakehost.New(fakehost.Node{
			APIVersion: fakehost.APIVersion, Kind: "Node",
			VolumeGroups: []fakehost.VolumeGroup{{
				Name: "vg0", ExtentSize: 4 << 20, Extents: 100,
				LogicalVolumes: []fakehost.LogicalVolume{{Name: "db", Type: "thick", Size: 64 << 20, Active: true}},
			}},
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(h.Mkdir(s)).To(MatchError(syscall.ENOENT))
		_, err = h.Run(ctx, "modprobe", "nvmet")
		Expect(err).NotTo(HaveOccurred())
		Expect(h.Mkdir(s)).To(Succeed())
		Expect(h.Mkdir(p)).To(Succeed())
		Expect(h.Mkdir(dir + "hosts/h")).To(Succeed())
	})

	It("refuses names that the kernel does", func() {
		Expect(h.Mkdir(dir + "ports/x")).To(MatchError(syscall.EINVAL))
		Expect(h.Mkdir(s + "/namespaces/0")).To(MatchError(syscall.EINVAL))
		Expect(h.Mkdir(dir + "subsystems/nqn.2014-08.org.nvmexpress.discovery")).To(MatchError(syscall.EINVAL))
	})

	It("has namespaces that keep their device open, and what they are while enabled", func(ctx SpecContext) {
		n := s + "/namespaces/1"
		Expect(h.Mkdir(n)).To(Succeed())
		Expect(write(n+"/enable", "1")).To(MatchError(syscall.EINVAL))
		Expect(write(n+"/device_path", "/dev/vg0/none")).To(Succeed())
		Expect(write(n+"/enable", "1")).To(MatchError(syscall.ENOENT))
		Expect(write(n+"/revalidate_size", "1")).To(MatchError(syscall.EINVAL))
		Expect(write(n+"/device_path", "/dev/vg0/db")).To(Succeed())
		Expect(write(n+"/device_uuid", "x")).To(MatchError(syscall.EINVAL))
		Expect(write(n+"/enable", "1")).To(Succeed())
		Expect(write(n+"/device_path", "/dev/vg0/db")).To(MatchError(syscall.EBUSY))
		Expect(write(n+"/revalidate_size", "1")).To(Succeed())
		Expect(isOpen(ctx, h)).To(BeTrue())
		again, err := fakehost.New(h.Node())
		Expect(err).NotTo(HaveOccurred())
		Expect(isOpen(ctx, again)).To(BeTrue())
		Expect(h.Remove(n)).To(Succeed())
		Expect(isOpen(ctx, h)).To(BeFalse())
	})

	It("has ports that listen while they serve something", func() {
		Expect(h.Symlink(s, p+"/subsystems/x")).To(MatchError(syscall.EINVAL))
		for name, text := range map[string]string{"trtype": "tcp", "adrfam": "ipv4", "traddr": "192.0.2.1", "trsvcid": "4420"} {
			Expect(write(p+"/addr_"+name, text)).To(Succeed())
		}
		Expect(h.Symlink(s, p+"/subsystems/x")).To(Succeed())
		Expect(h.Symlink(s, p+"/subsystems/y")).To(MatchError(syscall.EEXIST))
		Expect(write(p+"/addr_trtype", "rdma")).To(MatchError(syscall.EACCES))
		Expect(h.Readlink(p + "/subsystems/x")).To(Equal("../../../../nvmet/subsystems/" + nqn))
		Expect(h.ReadFile("/proc/net/tcp")).To(ContainSubstring(":1144 00000000:0000 0A"))
		Expect(h.Remove(p)).To(MatchError(syscall.ENOTEMPTY))
		Expect(h.Remove(s)).To(MatchError(syscall.EBUSY))
	})

	It("admits listed hosts, or any", func() {
		Expect(h.Symlink(dir+"hosts/h", s+"/allowed_hosts/h")).To(Succeed())
		Expect(write(s+"/attr_allow_any_host", "1")).To(MatchError(syscall.EINVAL))
		Expect(h.Remove(dir + "hosts/h")).To(MatchError(syscall.EBUSY))
		Expect(h.Remove(s + "/allowed_hosts/h")).To(Succeed())
		Expect(write(s+"/attr_allow_any_host", "1")).To(Succeed())
		Expect(h.Symlink(dir+"hosts/h", s+"/allowed_hosts/h")).To(MatchError(syscall.EINVAL))
	})

	It("takes keys of the form that they have", func() {
		Expect(write(dir+"hosts/h/dhchap_key", "")).To(MatchError(syscall.EINVAL))
		Expect(write(dir+"hosts/h/dhchap_key", "DHHC-1:04:x:")).To(MatchError(syscall.EINVAL))
		Expect(write(dir+"hosts/h/dhchap_key", "DHHC-1:01:x:")).To(Succeed())
	})
})
