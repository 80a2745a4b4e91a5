package fakehost_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
)

var _ = Describe("LVM's shell in memory", func() {
	var s fakehost.Shell
	BeforeEach(func() {
		h, err := fakehost.New(fakehost.Node{VolumeGroups: []fakehost.VolumeGroup{{Name: "vg0", ExtentSize: 4 << 20, Extents: 10}}})
		Expect(err).NotTo(HaveOccurred())
		s = fakehost.Shell{Runner: h}
	})
	It("takes a report as it is for a process", func(ctx SpecContext) {
		out, err := s.Run(ctx, "vgs", "--reportformat", "json", "-o", "vg_name")
		Expect(err).NotTo(HaveOccurred())
		Expect(string(out.Stdout)).To(ContainSubstring(`{"vg_name":"vg0"}`))
	})
	It("answers in JSON without being asked to", func(ctx SpecContext) {
		out, err := s.Run(ctx, "vgs", "-o", "vg_name")
		Expect(err).NotTo(HaveOccurred())
		Expect(string(out.Stdout)).To(ContainSubstring(`{"vg_name":"vg0"}`))
	})
	DescribeTable("refuses what LVM 2.03.31 refuses there",
		func(ctx SpecContext, text string, argv ...string) {
			_, err := s.Run(ctx, argv...)
			Expect(err).To(MatchError(And(ContainSubstring("exit status 3"), ContainSubstring(text))))
		},
		Entry("the form", "Argument --reportformat cannot be used in interactive mode.", "vgs", "--reportformat=json"),
		Entry("the form, as a setting", `Configuration option "report/output_format" is not allowed here.`, "vgs", "--config", "report/output_format=json"),
		Entry("the log", `Configuration option "log/report_command_log" is not allowed here.`, "lvcreate", "--config", "log/report_command_log=0"),
	)
})
