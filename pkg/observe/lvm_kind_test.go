package observe

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
)

// warning is a machine whose LVM also says something on stderr, and succeeds.
type warning struct {
	*recording
	stderr string
}

func (w *warning) Run(ctx context.Context, argv ...string) (host.Output, error) {
	out, err := w.recording.Run(ctx, argv...)
	out.Stderr = w.stderr
	return out, err
}

// kindsReport is what LVM 2.03.31 said of a volume group, but for fields that were the same
// in all rows.
func kindsReport() string {
	row := func(name, attr, layout, size, more string) string {
		return fmt.Sprintf(`{"lv_name":%q, "lv_uuid":"uuid-%s", "lv_attr":%q, "lv_layout":%q, "lv_role":"public", "lv_size":%q, "lv_permissions":"writeable",
			"lv_active":"active", "lv_kernel_major":"253", "lv_kernel_minor":"1", %s}`, name, name, attr, layout, size, more)
	}
	segment := func(lv, kind, stripes string) string {
		return fmt.Sprintf(`{"lv_uuid":"uuid-%s", "segtype":%q, "data_stripes":%q}`, lv, kind, stripes)
	}
	const none = `"pool_lv":"", "origin":"", "data_percent":""`
	return `{"report":[{
		"vg":[{"vg_name":"vg0", "vg_uuid":"vg0-uuid", "vg_extent_size":"4194304", "vg_size":"1073741824", "vg_free":"0", "vg_missing_pv_count":"1", "vg_exported":"", "vg_shared":"", "lv_count":"9"}],
		"lv":[` + strings.Join([]string{
		row("ca", "Cwi-a-C---", "cache", "67108864", `"pool_lv":"[cav_cvol]", "origin":"[ca_corig]", "data_percent":"12.50", "metadata_percent":"0.59", "lv_parent":""`),
		row("wc", "Cwi-a-C---", "writecache", "67108864", `"pool_lv":"[wcv_cvol]", "origin":"[wc_wcorig]", "data_percent":"0.00"`),
		row("mi", "mwi-a-m-p-", "mirror", "67108864", none+`, "lv_health_status":"partial"`),
		row("r1", "rwi-a-r-p-", "raid,raid1", "67108864", none+`, "lv_health_status":"partial"`),
		row("r0", "rwi-a-r-p-", "raid,raid0", "67108864", none+`, "lv_health_status":"partial"`),
		row("r5", "rwi-a-r---", "raid,raid5,raid5_ls", "75497472", none),
		row("r10", "rwi-a-r---", "raid,raid10", "67108864", none),
		row("st", "-wi-a-----", "striped", "209715200", none),
		row("ro", "-Ri-a----k", "linear", "4194304", none+`, "lv_permissions":"read-only-override", "lv_skip_activation":"skip activation"`),
	}, ",") + `],
		"seg":[` + strings.Join([]string{
		segment("ca", "cache", "1"), segment("mi", "mirror", "2"), segment("r1", "raid1", "2"), segment("r5", "raid5", "3"),
		segment("r10", "raid10", "2"), segment("r0", "raid0", "2"), segment("st", "striped", "1"), segment("st", "striped", "2"), segment("ro", "linear", "1"),
	}, ",") + `]}]}`
}

var _ = Describe("reading logical volumes that are not plain", func() {
	It("tells what they are", func() {
		groups, left, err := parseReport([]byte(kindsReport()))
		Expect(err).NotTo(HaveOccurred())
		Expect(left).NotTo(HaveOccurred())
		lv := groups["vg0"].LogicalVolumes
		Expect(lv["ca"]).To(And(HaveField("Type", OtherLV), HaveField("Kind()", KindCached), HaveField("IsServable()", true)))
		Expect(lv["ca"]).To(And(HaveField("Origin", ""), HaveField("Pool", ""), HaveField("DataPercent", 0.0)), "these are its cache's")
		Expect(lv["ca"].TakesAlong).NotTo(BeEmpty())
		Expect(lv["wc"].Kind()).To(Equal(KindWriteCached))
		Expect(lv["st"].Kind()).To(Equal("a striped volume"))
		Expect(lv["r5"].Kind()).To(Equal("a raid5 volume"))
		Expect(lv["ro"]).To(And(HaveField("Kind()", ""), HaveField("Layout", ""), HaveField("ReadOnlyByList", true), HaveField("SkipActivation", true)))
		Expect(lv["ro"].HowToMakeWritable()).To(ContainSubstring("read_only_volume_list"))
		for name, stripes := range map[string]int{"st": 2, "r5": 3, "r10": 2, "r0": 2, "r1": 0, "mi": 0, "ca": 0, "ro": 0} {
			Expect(lv[name].Stripes).To(Equal(stripes), name)
		}
		for name, redundant := range map[string]bool{"r1": true, "r5": true, "r10": true, "mi": true, "r0": false, "st": false, "ca": false} {
			Expect(lv[name].Redundant()).To(Equal(redundant), name)
		}
		for name, degraded := range map[string]bool{"r1": true, "r5": false, "mi": false, "r0": false} {
			Expect(lv[name].Degraded()).To(Equal(degraded), name)
		}
	})
	It("takes a pool of LVM's for no volume", func() {
		Expect(LogicalVolume{Type: OtherLV, Layout: "vdo,pool"}.IsServable()).To(BeFalse())
		Expect(LogicalVolume{Type: OtherLV, Layout: "cache,pool"}.IsServable()).To(BeFalse())
		Expect(LogicalVolume{Type: OtherLV}.IsServable()).To(BeTrue())
	})
})

var _ = Describe("volume groups that cannot be used", func() {
	const others = "lvm_fullreport.json"
	observed := func(ctx SpecContext, stdout []byte, stderr string) State {
		GinkgoHelper()
		report := readLVM(ctx, &warning{&recording{stdout: stdout}, stderr})
		Expect(report.err).NotTo(HaveOccurred())
		Expect(report.unknown).NotTo(HaveOccurred())
		Expect(report.groups).To(HaveKey("missing"), "others are as they were")
		return State{VolumeGroups: report.groups, UnusableGroups: report.unusable, UnknownGroups: report.unknown}
	}
	says := func(s State, name string, is bool, words ...string) {
		GinkgoHelper()
		_, there, err := s.Group(name)
		Expect(there).To(BeFalse())
		Expect(err).To(BeAssignableToTypeOf(&GroupError{}))
		Expect(err.(*GroupError).Refused).To(Equal(is)) //nolint:errorlint,forcetypeassert // it was looked at
		for _, w := range words {
			Expect(err).To(MatchError(ContainSubstring(w)))
		}
		Expect(s.Err()).NotTo(HaveOccurred())
		Expect(s.Doubtful() == nil).To(Equal(is))
		_, _, err = s.Group("absent")
		Expect(err).NotTo(HaveOccurred(), "the report is complete")
	}
	It("are those of another system", func(ctx SpecContext) {
		s := observed(ctx, testdata(others), "  Cannot access VG f with system ID other with unknown local system ID.\n")
		says(s, "f", true, `system "other"`, "vg_systemid", "is none", "lvmsystemid(7)", `vgchange --config 'global/system_id_source="lvmlocal" local/system_id="other"' --systemid "" f`)
		s = observed(ctx, testdata(others), "  Cannot access VG f with system ID other with local system ID me.\n")
		says(s, "f", true, "is me", `vgchange --config 'local/extra_system_ids=["other"]' --systemid "me" f`)
	})
	It("are those that need locks", func(ctx SpecContext) {
		s := observed(ctx, testdata(others), "  Cannot access VG t with lock type dlm that requires lvmlockd.\n")
		says(s, "t", true, ") and needs lvmlockd: set global/use_lvmlockd in lvm.conf and run vgchange --lock-start", "use_lvmlockd", "--lock-start t")
	})
	It("are those that LVM does not access for a reason of a later version", func(ctx SpecContext) {
		says(observed(ctx, testdata(others), "  Cannot access VG t due to failed magic.\n"), "t", true, "due to failed magic")
	})
	It("are exported ones", func(ctx SpecContext) {
		report := strings.Replace(string(testdata(others)), `"vg_name":"empty"`, `"vg_name":"empty", "vg_exported":"exported"`, 1)
		says(observed(ctx, []byte(report), ""), "empty", true, "vgimport empty")
	})
	It("are two of one name, which nobody can tell apart", func(ctx SpecContext) {
		report := strings.Replace(string(testdata(others)), `"vg_name":"empty"`, `"vg_name":"vg0"`, 1)
		says(observed(ctx, []byte(report), ""), "vg0", false, "W7pXt4-EOX8-uYnE-JNKF-R624-CEV5-U0B7ey", "vgrename UUID", "vgimportclone")
	})
	It("are those of which a disk was copied", func(ctx SpecContext) {
		report := strings.Replace(string(testdata(others)), `"pv": [`, `"pv": [ {"pv_uuid":"gIN0QQ-MGzI-pXdD-mRxc-QLd0-coQO-YyHl3K"}, `, 1)
		Expect(report).NotTo(Equal(string(testdata(others))))
		s := observed(ctx, []byte(report), `  WARNING: Not using device /dev/vdb for PV gIN0QQ-MGzI-pXdD-mRxc-QLd0-coQO-YyHl3K.
  WARNING: PV gIN0QQ-MGzI-pXdD-mRxc-QLd0-coQO-YyHl3K prefers device /dev/vda because device is used by LV.
`)
		Expect(s.UnusableGroups).To(HaveLen(1))
		for name := range s.UnusableGroups {
			says(s, name, false, "vgimportclone /dev/vdb", "physical volume ")
		}
	})
	It("are those that are not understood", func(ctx SpecContext) {
		report := strings.Replace(string(testdata(others)), `"vg_free":"58720256"`, `"vg_free":"-1"`, 1)
		says(observed(ctx, []byte(report), ""), "empty", false, "vg_free")
	})
	It("are told of by the fake machine as by LVM", func(ctx SpecContext) {
		m, err := fakehost.New(fakehost.Node{VolumeGroups: []fakehost.VolumeGroup{
			{Name: "f", ExtentSize: 4 * mib, Extents: 9, SystemID: "other"}, {Name: "e", ExtentSize: 4 * mib, Extents: 9, Exported: true}, {Name: "missing", ExtentSize: 4 * mib, Extents: 9},
		}})
		Expect(err).NotTo(HaveOccurred())
		s := New(m).Observe(ctx)
		says(s, "f", true, "vg_systemid")
		says(s, "e", true, "vgimport e")
		Expect(s.VolumeGroups).To(HaveLen(1))
	})
})
