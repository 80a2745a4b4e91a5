package host

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// given are the devices that LVM is limited to; nil: it is not.
type given struct {
	devices []string
	fresh   []bool
}

func (g *given) ForLVM(_ context.Context, fresh bool) ([]string, bool) {
	g.fresh = append(g.fresh, fresh)
	return g.devices, g.devices != nil
}

var _ = Describe("the devices that LVM may open", func() {
	DescribeTable("are given to a process as an option",
		func(argv, devices, want []string) { Expect(withDevices(argv, devices)).To(Equal(want)) },
		Entry("a report", []string{"lvm", "fullreport", "-o", "x"}, []string{"/dev/sda", "/dev/sdb1"}, []string{"lvm", "fullreport", "--devices", "/dev/sda,/dev/sdb1", "-o", "x"}),
		Entry("a change", []string{"lvremove", "vg0/a"}, []string{"/dev/sda"}, []string{"lvremove", "--devices", "/dev/sda", "vg0/a"}),
		Entry("none at all", []string{"lvs"}, []string{}, []string{"lvs", "--devices", "/dev/null"}),
	)

	It("are more than one argument where there are too many for one", func() {
		devices := slices.Repeat([]string{"/dev/mapper/mpathabcdefgh"}, 10000)
		argv := withDevices([]string{"lvs"}, devices)
		Expect(len(argv)).To(BeNumerically(">", 5))
		var all []string
		for i, arg := range argv[1:] {
			if i%2 == 0 {
				Expect(arg).To(Equal("--devices"))
				continue
			}
			Expect(len(arg)).To(BeNumerically("<", 128<<10))
			all = append(all, strings.Split(arg, ",")...)
		}
		Expect(all).To(Equal(devices))
	})

	It("are the last words of a line of the shell, as a configuration", func() {
		config := shellDevices([]string{"/dev/sda", "/dev/cciss/c0d0.1"})
		Expect(config).To(Equal(`devices/use_devicesfile=0 devices/hints="none" devices/global_filter=["a|.*|"] devices/filter=["a|^/dev/sda$|","a|^/dev/cciss/c0d0[.]1$|","r|.*|"]`))
		Expect(split(limitedLine("lvs vg0\n", []string{"/dev/sda", "/dev/cciss/c0d0.1"}))).To(Equal([]string{"lvs", "vg0", "--config", config}))
	})

	Describe("in commands", func() {
		var (
			o    *OS
			dir  string
			to   *given
			said = func(out Output) []string { return strings.Split(strings.TrimSpace(string(out.Stdout)), "\n") }
		)
		BeforeEach(func() {
			dir = GinkgoT().TempDir()
			for _, name := range []string{"lvs", "lvcreate", "lvmconfig", "thin_delta"} {
				Expect(os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\nfor word; do echo \"$word\"; done >&${LVM_REPORT_FD:-1}\n"), 0o700)).To(Succeed())
			}
			o, to = New(), &given{devices: []string{"/dev/sda"}}
			o.LimitLVM(to)
		})
		run := func(ctx context.Context, argv ...string) []string {
			GinkgoHelper()
			out, err := o.Run(ctx, append([]string{filepath.Join(dir, argv[0])}, argv[1:]...)...)
			Expect(err).NotTo(HaveOccurred())
			return said(out)
		}

		It("are named to all that open devices, reports being given the newest", func(ctx SpecContext) {
			Expect(run(ctx, "lvs", "vg0")).To(ContainElements("--devices", "/dev/sda", "vg0"))
			Expect(run(ctx, "lvcreate", "vg0")).To(ContainElements("--devices", "/dev/sda", "vg0"))
			Expect(to.fresh).To(Equal([]bool{true, false}))
		})
		It("are not named to others", func(ctx SpecContext) {
			Expect(run(ctx, "lvmconfig", "x")).NotTo(ContainElement("--devices"))
			Expect(run(ctx, "thin_delta", "x")).To(Equal([]string{"x"}))
		})
		It("are those that LVM finds where nobody knows better", func(ctx SpecContext) {
			to.devices = nil
			Expect(run(ctx, "lvs", "vg0")).NotTo(ContainElement("--devices"))
		})
	})
})

var _ = Describe("the start of a device", func() {
	It("is read as far as it goes", func() {
		file := filepath.Join(GinkgoT().TempDir(), "disk")
		Expect(os.WriteFile(file, []byte("LABELONE"), 0o600)).To(Succeed())
		Expect(New().ReadStart(file, 4096)).To(Equal([]byte("LABELONE")))
		_, err := New().ReadStart(file+".none", 4096)
		Expect(err).To(MatchError(ContainSubstring("No such file")))
		Expect(err).NotTo(MatchError(ErrCannotRead))
	})
})
