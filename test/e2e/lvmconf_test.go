package e2e

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// loud are settings of lvm.conf that change what LVM prints beside its reports, and
// odd those that change the reports, each as far from the default as it goes.
var (
	loud = []string{
		`log/report_command_log = 1`, `log/command_log_sort = "log_message"`, `log/command_log_cols = "log_object_name"`,
		`log/command_log_selection = "log_type=error"`, `log/command_names = 1`, `log/prefix = "{\"report\": "`, `log/indent = 0`,
		`log/verbose = 3`, `log/level = 7`, `log/file = "/run/lvm.log"`,
	}
	odd = []string{
		`report/output_format = "json"`, `report/compact_output = 1`, `report/compact_output_cols = "lv_name,lv_tags,vg_name"`,
		`report/aligned = 0`, `report/buffered = 0`, `report/headings = 2`, `report/separator = ","`, `report/list_item_separator = ";"`,
		`report/prefixes = 1`, `report/quoted = 0`, `report/columns_as_rows = 1`, `report/binary_values_as_numeric = 1`,
		`report/time_format = "%c"`, `report/mark_hidden_devices = 0`, `report/two_word_unknown_device = 1`,
		`report/lvs_sort = "-lv_size"`, `report/vgs_sort_full = "no_such_field"`, `report/lvs_sort_full = "no_such_field"`,
		`report/pvs_sort_full = "no_such_field"`, `report/segs_sort_full = "no_such_field"`, `report/pvsegs_sort_full = "no_such_field"`,
		`report/pvs_cols_full = "no_such_field"`, `report/segs_cols_full = "no_such_field"`, `report/pvsegs_cols_full = "no_such_field"`,
		`global/units = "G"`, `global/si_unit_consistency = 0`, `global/suffix = 1`,
	}
	silent = []string{`log/silent = 1`, `log/prefix = ""`, `report/headings = 0`}
)

// configureLVM writes settings into a file of /etc/lvm, behind those that are there, until
// the spec ends.
func configureLVM(ctx context.Context, file string, settings []string) {
	GinkgoHelper()
	if try(ctx, "[ -d /run/lvm-plain ]").ExitCode != 0 {
		sh(ctx, "cp -a /etc/lvm /run/lvm-plain")
		DeferCleanup(func(ctx SpecContext) {
			sh(ctx, "rm -f /etc/lvm/lvm*.conf /run/lvm.log && cp -a /run/lvm-plain/lvm*.conf /etc/lvm/ && rm -r /run/lvm-plain")
		}, NodeTimeout(limit))
	}
	put(ctx, "/run/lvm-settings", "\n"+strings.Join(settings, "\n")+"\n")
	sh(ctx, "cp /run/lvm-plain/lvm*.conf /etc/lvm/ && cat /run/lvm-settings >> /etc/lvm/"+file)
}

// plainLVM runs a script whose LVM commands do not read what configureLVM has written.
func plainLVM(ctx context.Context, script string) string {
	GinkgoHelper()
	return sh(ctx, "export LVM_SYSTEM_DIR=/run/lvm-plain; "+script)
}

var _ = DescribeTable("Whatever lvm.conf says of what LVM prints, everything works:",
	func(ctx SpecContext, file string, settings []string) {
		configureLVM(ctx, file, settings)
		GinkgoWriter.Println(try(ctx, "lvs -a; lvs --reportformat json -o lv_tags").Stdout)
		sources := func(more string) {
			GinkgoHelper()
			specs(ctx, "volumes.yaml", volume("thick", "slow", "64Mi", "deletionPolicy: Delete, "+strings.ReplaceAll(more, "X", "thick-snap")),
				volume("thin", "fast", "64Mi", "deletionPolicy: Delete, "+strings.ReplaceAll(more, "X", "thin-snap")),
				snapshot("thick-snap", "thick", "size: 80Mi, deletionPolicy: Delete"), snapshot("thin-snap", "thin", "deletionPolicy: Delete"))
		}
		specs(ctx, "pools.yaml", thinPool, thickPool)
		specs(ctx, "volumes.yaml", volume("thick", "slow", "64Mi", "deletionPolicy: Delete"), volume("thin", "fast", "32Mi", "deletionPolicy: Delete"))
		agent()
		allReady(ctx, 4)

		By("snapshots, of volumes one of which grows")
		old := map[string]string{"thick": scatter(ctx, "/dev/vg0/thick")}
		fill(ctx, "/dev/vg0/thin", "precious", 32)
		sources("")
		allReady(ctx, 6)
		Expect(statusOf(ctx, "Volume/thin").Volume.Size).To(BeEquivalentTo(64 << 20))
		old["thin"] = content(ctx, "/dev/vg0/thin", 64)
		for name := range old {
			fill(ctx, "/dev/vg0/"+name, "overwritten", 16)
			Expect(content(ctx, "/dev/vg0/"+name, 64)).NotTo(Equal(old[name]))
		}

		By("clones and an export")
		specs(ctx, "clones.yaml", volume("thick-clone", "fast", "64Mi", "deletionPolicy: Delete, source: {snapshot: thick-snap}"),
			volume("thin-clone", "slow", "64Mi", "deletionPolicy: Delete, source: {volume: thin}"), export("all", "{volume: thick}, {volume: thin}, {volume: thin-clone}"))
		allReady(ctx, 9)
		Expect(content(ctx, "/dev/vg0/thick-clone", 64)).To(Equal(old["thick"]))
		Expect(content(ctx, "/dev/vg0/thin-clone", 64)).To(Equal(content(ctx, "/dev/vg0/thin", 64)))
		Expect(login(ctx, target("all"), loopback, dbHost).ExitCode).To(BeZero())
		Expect(content(ctx, disk(ctx, "Volume/thin-clone"), 64)).To(Equal(content(ctx, "/dev/vg0/thin", 64)))
		logout(ctx, target("all"), dbHost)

		By("reverting")
		sources("revert: {snapshot: X, request: again}")
		allReady(ctx, 9)
		for name := range old {
			Eventually(ctx, func() string { return content(ctx, "/dev/vg0/"+name, 64) }).Should(Equal(old[name]), name)
		}

		By("nothing to do")
		before := plainLVM(ctx, "vgs --noheadings -o vg_seqno vg0; lvs --noheadings -o lv_name,lv_tags,lv_size vg0")
		passes(ctx, 2)
		Expect(plainLVM(ctx, "vgs --noheadings -o vg_seqno vg0; lvs --noheadings -o lv_name,lv_tags,lv_size vg0")).To(Equal(before))

		By("deleting")
		remove(ctx, "volumes.yaml", "clones.yaml")
		Eventually(ctx, func() string { return plainLVM(ctx, "lvs --noheadings -o lv_name vg0 | xargs") }).Should(Equal("pool0"))
		allReady(ctx, 2)
	},
	Entry("what is beside the reports", "lvm.conf", loud, NodeTimeout(limit)),
	Entry("what is in the reports", "lvmlocal.conf", odd, NodeTimeout(limit)),
	Entry("both", "lvm.conf", append(append([]string{}, loud...), odd...), NodeTimeout(limit)),
	Entry("nothing at all is printed", "lvmlocal.conf", silent, NodeTimeout(limit)),
)

var _ = It("No setting of lvm.conf alone changes what is read", func(ctx SpecContext) {
	specs(ctx, "all.yaml", thinPool, thickPool, volume("thick", "slow", "16Mi", ""), volume("thin", "fast", "16Mi", ""),
		snapshot("snap", "thin", ""), export("all", "{volume: thick}, {volume: thin}"))
	agent()
	allReady(ctx, 6)
	kill(ctx)
	captured := func() string { return sh(ctx, "volreconciler capture | grep -v -i '\"\\?time\\|captured'") }
	sh(ctx, "volreconciler plan --specs /specs")
	want := captured()
	for i, setting := range append(append(append([]string{}, loud...), odd...), silent...) {
		configureLVM(ctx, []string{"lvm.conf", "lvmlocal.conf"}[i%2], []string{setting})
		r := try(ctx, "volreconciler plan --specs /specs")
		Expect(r.ExitCode).To(BeZero(), "with %s\n%s%s", setting, r.Stdout, r.Stderr)
		Expect(captured()).To(Equal(want), "with %s", setting)
	}
}, NodeTimeout(limit))
