package fakehost_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	lvmactuator "github.com/volreconciler/volreconciler/pkg/actuators/lvm"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const mib = 1 << 20

// machine is one with a volume group of 1 GiB, vg0, that holds a thick volume, a
// thin pool and a thin volume in it, all of 64 MiB and active.
func machine() *fakehost.Host {
	GinkgoHelper()
	h, err := fakehost.New(fakehost.Node{VolumeGroups: []fakehost.VolumeGroup{{Name: "vg0", ExtentSize: 4 * mib, Extents: 256}}})
	Expect(err).NotTo(HaveOccurred())
	sh(h, "lvcreate -y -n thick -L 64m --addtag b --addtag a vg0")
	sh(h, "lvcreate -y --type thin-pool -Zy -L 64m -n pool vg0")
	sh(h, "lvcreate -y -V 64m -T vg0/pool -n thin")
	Expect(h.Edit(func(n *fakehost.Node) { lv(n, "thick").Content, lv(n, "thin").Content = "A", "B" })).To(Succeed())
	return h
}

// run runs a command line of words without spaces and returns what it printed,
// its exit status and what it said on stderr.
func run(h host.Runner, line string) (stdout string, code int, stderr string) {
	GinkgoHelper()
	return runWords(h, strings.Fields(line)...)
}

func runWords(h host.Runner, argv ...string) (stdout string, code int, stderr string) {
	GinkgoHelper()
	out, err := h.Run(context.Background(), argv...)
	var cmd *host.CommandError
	if err != nil {
		Expect(errors.As(err, &cmd)).To(BeTrue())
		Expect(cmd.Stderr).To(Equal(out.Stderr))
		code = cmd.ExitCode
	}
	return string(out.Stdout), code, out.Stderr
}

// sh runs a command line that succeeds.
func sh(h host.Runner, line string) string {
	GinkgoHelper()
	stdout, code, stderr := run(h, line)
	Expect(code).To(BeZero(), "%s: %s", line, stderr)
	return stdout
}

// state is the machine as the product sees it.
func state(h host.Host) map[string]observe.LogicalVolume {
	GinkgoHelper()
	s := observe.New(h).Observe(context.Background())
	Expect(s.Unknown).NotTo(HaveKey(observe.LVM))
	all := map[string]observe.LogicalVolume{}
	for _, vg := range s.VolumeGroups {
		for _, lv := range vg.LogicalVolumes {
			all[lv.FullName()] = lv
			one, found, err := observe.ReadLV(context.Background(), h, vg.Name, lv.Name)
			Expect(found, err).To(BeTrue())
			one.HeldBy, one.ChunkSize = lv.HeldBy, lv.ChunkSize
			Expect(one).To(Equal(lv), "lvs and fullreport differ")
		}
	}
	return all
}

// free is how many extents are free in vg0.
func free(h host.Host) string {
	return strings.TrimSpace(sh(h, "vgs --noheadings -o vg_free_count vg0"))
}

// names are those of vg0's logical volumes, hidden ones too.
func names(h host.Host) []string { return strings.Fields(sh(h, "lvs -a --noheadings -o lv_name vg0")) }

var _ = Describe("what the product reads", func() {
	It("is what is there", func(ctx SpecContext) {
		h := machine()
		s := observe.New(h).Observe(ctx)
		Expect(s.Unknown).To(BeEmpty())
		vg := s.VolumeGroups["vg0"]
		Expect(vg.ExtentSize).To(BeEquivalentTo(4 * mib))
		Expect(vg.Size).To(BeEquivalentTo(1024 * mib))
		Expect(vg.Free).To(BeEquivalentTo((1024 - 64 - 64 - 4 - 4) * mib))
		Expect(vg.LogicalVolumes).To(HaveLen(3))
		lvs := state(h)
		Expect(lvs["vg0/thick"]).To(And(HaveField("Type", observe.Thick), HaveField("Active", true), HaveField("Open", false),
			HaveField("Tags", BeEquivalentTo([]string{"a", "b"})), HaveField("Major", 253), HaveField("Minor", 0)))
		Expect(lvs["vg0/pool"]).To(And(HaveField("Type", observe.ThinPool), HaveField("Size", BeEquivalentTo(64*mib)),
			HaveField("Open", true), HaveField("Minor", 1)))
		Expect(lvs["vg0/thin"]).To(And(HaveField("Type", observe.Thin), HaveField("Pool", "pool"), HaveField("Minor", 2)))
	})

	It("has the form of the recorded report", func() {
		recorded, err := os.ReadFile("../../observe/testdata/lvm_fullreport.json")
		Expect(err).NotTo(HaveOccurred())
		var want, got struct {
			Report []struct{ VG, LV []map[string]string }
		}
		Expect(json.Unmarshal(recorded, &want)).To(Succeed())

		// The volume group vg0 of the record, made by hand.
		h, err := fakehost.New(recordedNode())
		Expect(err).NotTo(HaveOccurred())
		vgFields := "vg_name,vg_uuid,vg_extent_size,vg_size,vg_free,vg_missing_pv_count,lv_count"
		lvFields := "lv_name,lv_uuid,lv_layout,lv_role,lv_size,origin_size,origin,pool_lv,lv_tags,lv_active,lv_device_open,lv_permissions," +
			"lv_snapshot_invalid,data_percent,metadata_percent,lv_health_status,lv_kernel_major,lv_kernel_minor"
		text := sh(h, "lvm fullreport --reportformat json --units b --nosuffix --configreport vg -o "+vgFields+
			" --configreport lv -o "+lvFields+" --configreport pv -o-all --configreport pvseg -o-all --configreport seg -o-all")
		Expect(json.Unmarshal([]byte(text), &got)).To(Succeed())
		Expect(got.Report).To(HaveLen(1))
		Expect(got.Report[0].VG).To(Equal(want.Report[2].VG))
		Expect(got.Report[0].LV).To(Equal(want.Report[2].LV))
		Expect(strings.Split(text, "\n")[:6]).To(HaveExactElements("  {", `      "report": [`, "          {", `              "vg": [`,
			HavePrefix(`                  {"vg_name":"vg0", "vg_uuid":"g1uMej-`), "              ]"))
	})

	It("is empty of a machine without volume groups", func(ctx SpecContext) {
		h, err := fakehost.New(fakehost.Node{})
		Expect(err).NotTo(HaveOccurred())
		Expect(observe.New(h).Observe(ctx)).To(And(HaveField("VolumeGroups", BeEmpty()), HaveField("Unknown", BeEmpty())))
		recorded, err := os.ReadFile("../../observe/testdata/lvm_none.json")
		Expect(err).NotTo(HaveOccurred())
		Expect(sh(h, "lvm fullreport --reportformat json")).To(Equal(string(recorded)))
	})

	It("is unknown if a volume group cannot be read, and the others are printed", func(ctx SpecContext) {
		h := machine()
		Expect(h.Edit(func(n *fakehost.Node) {
			n.VolumeGroups = append(n.VolumeGroups, fakehost.VolumeGroup{Name: "bad", ExtentSize: 4 * mib, Unusable: "VG bad is foreign."})
		})).To(Succeed())
		s := observe.New(h).Observe(ctx)
		Expect(s.UnknownGroups).To(MatchError(ContainSubstring("VG bad is foreign.")))
		stdout, code, _ := run(h, "lvm fullreport --reportformat json")
		Expect(code).To(Equal(5))
		Expect(stdout).To(And(ContainSubstring(`"lv_name":"thick"`), Not(ContainSubstring(`"bad"`))))
		_, code, stderr := run(h, "lvcreate -n x -L 4m bad")
		Expect(code).To(Equal(5))
		Expect(stderr).To(ContainSubstring("VG bad is foreign."))
	})

	It("finds out that a logical volume is gone", func(ctx SpecContext) {
		h := machine()
		_, found, err := observe.ReadLV(ctx, h, "vg0", "x")
		Expect(found, err).To(BeFalse())
		_, _, err = observe.ReadLV(ctx, h, "vg1", "x")
		Expect(err).To(HaveOccurred())
	})
})

var _ = Describe("what the product changes", func() {
	var (
		h    *fakehost.Host
		tags = []string{"volreconciler/kind=volume", "volreconciler/name=v"}
		newV = change.LV{VolumeGroup: "vg0", Name: "v"}
	)
	BeforeEach(func() { h = machine() })

	// the one that is there, with its UUID
	at := func(name string) change.LV {
		return change.LV{VolumeGroup: "vg0", Name: name, UUID: state(h)["vg0/"+name].UUID}
	}
	apply := func(ctx context.Context, c change.Change) error { return lvmactuator.New(h, h).Apply(ctx, c) }
	// what applies twice is applied, and nothing changes the second time
	twice := func(ctx context.Context, c change.Change) observe.LogicalVolume {
		GinkgoHelper()
		Expect(apply(ctx, c)).To(Succeed())
		after := h.Node()
		Expect(apply(ctx, c)).To(Succeed())
		again := h.Node()
		after.VolumeGroups[0].Seqno, again.VolumeGroups[0].Seqno = 0, 0
		Expect(again).To(Equal(after))
		return state(h)["vg0/v"]
	}

	It("creates", func(ctx SpecContext) {
		Expect(twice(ctx, change.CreateVolume{LV: newV, Size: 5 * mib, Tags: tags})).To(And(
			HaveField("Type", observe.Thick), HaveField("Size", BeEquivalentTo(8*mib)), HaveField("Active", true), HaveField("Tags", BeEquivalentTo(tags))))
		Expect(apply(ctx, change.RemoveLV{LV: at("v"), Tags: tags})).To(Succeed())

		Expect(twice(ctx, change.CreateVolume{LV: newV, ThinPool: "pool", Size: 2048 * mib, Tags: tags})).To(And(
			HaveField("Type", observe.Thin), HaveField("Size", BeEquivalentTo(2048*mib)), HaveField("Pool", "pool"), HaveField("Active", true)))
		Expect(apply(ctx, change.RemoveLV{LV: at("v"), Tags: tags})).To(Succeed())

		Expect(twice(ctx, change.CreateThinPool{LV: newV, Size: 64 * mib, Tags: tags})).To(And(
			HaveField("Type", observe.ThinPool), HaveField("Open", false)))
	})

	It("creates snapshots with the origin's content", func(ctx SpecContext) {
		Expect(twice(ctx, change.CreateSnapshot{LV: newV, Origin: "thin", OriginUUID: at("thin").UUID, Thin: true, Tags: tags})).To(And(
			HaveField("Type", observe.Thin), HaveField("Origin", "thin"), HaveField("Active", false), HaveField("Minor", -1)))
		n := h.Node()
		Expect(lv(&n, "v").Content).To(Equal("B"))
		Expect(apply(ctx, change.RemoveLV{LV: at("v"), Tags: tags})).To(Succeed())

		Expect(twice(ctx, change.CreateSnapshot{LV: newV, Origin: "thick", OriginUUID: at("thick").UUID, Size: 8 * mib, Tags: tags})).To(And(
			HaveField("Type", observe.ThickSnapshot), HaveField("Origin", "thick"), HaveField("Active", true),
			HaveField("Size", BeEquivalentTo(64*mib)), HaveField("COWSize", BeEquivalentTo(8*mib))))
		n = h.Node()
		Expect(lv(&n, "v").Content).To(Equal("A"))
		Expect(apply(ctx, change.RemoveLV{LV: at("v"), Tags: tags})).To(Succeed())

		// As much as a complete overwrite needs, and no more on request.
		sh(h, "lvchange --addtag volreconciler/name=o vg0/thick")
		for _, size := range []spec.Size{0, 512 * mib} {
			Expect(twice(ctx, change.CreateSnapshot{LV: newV, Origin: "thick", OriginUUID: at("thick").UUID, Size: size, Tags: tags}).COWSize).
				To(BeEquivalentTo(68 * mib))
			Expect(apply(ctx, change.RemoveLV{LV: at("v"), Tags: tags})).To(Succeed())
		}
		Expect(free(h)).To(Equal("222"))
	})

	It("grows", func(ctx SpecContext) {
		twice(ctx, change.GrowVolume{LV: at("thick"), From: 64 * mib, To: 128 * mib})
		twice(ctx, change.GrowVolume{LV: at("thin"), From: 64 * mib, To: 1 << 30})
		twice(ctx, change.GrowThinPool{LV: at("pool"), From: 64 * mib, To: 72 * mib})
		Expect(apply(ctx, change.CreateSnapshot{LV: newV, Origin: "thick", OriginUUID: at("thick").UUID, Size: 8 * mib, Tags: tags})).To(Succeed())
		twice(ctx, change.GrowSnapshot{LV: at("v"), From: 8 * mib, To: 16 * mib})
		Expect(state(h)["vg0/v"].COWSize).To(BeEquivalentTo(16 * mib))
		twice(ctx, change.GrowSnapshot{LV: at("v"), From: 16 * mib, To: 512 * mib})
		lvs := state(h)
		Expect(lvs["vg0/thick"].Size).To(BeEquivalentTo(128 * mib))
		Expect(lvs["vg0/thin"].Size).To(BeEquivalentTo(1 << 30))
		Expect(lvs["vg0/pool"].Size).To(BeEquivalentTo(72 * mib))
		Expect(lvs["vg0/v"].COWSize).To(BeEquivalentTo(132 * mib))
	})

	It("sets tags and activates", func(ctx SpecContext) {
		twice(ctx, change.SetTags{LV: at("thick"), Add: tags, Remove: []string{"a"}})
		Expect(state(h)["vg0/thick"].Tags).To(HaveExactElements("b", tags[0], tags[1]))
		sh(h, "lvchange -an vg0/thick")
		twice(ctx, change.Activate{LV: at("thick")})
		Expect(apply(ctx, change.CreateSnapshot{LV: newV, Origin: "thin", OriginUUID: at("thin").UUID, Thin: true, Tags: tags})).To(Succeed())
		Expect(twice(ctx, change.Activate{LV: newV}).Active).To(BeTrue())
	})

	DescribeTable("gets the error that it is to get", func(ctx SpecContext, prepare string, c func() change.Change, want error) {
		for line := range strings.SplitSeq(prepare, ";") {
			if line != "" {
				sh(h, line)
			}
		}
		before := h.Node()
		Expect(apply(ctx, c())).To(MatchError(want))
		Expect(h.Node()).To(Equal(before))
	},
		Entry("thick, full", "", func() change.Change { return change.CreateVolume{LV: newV, Size: 1 << 30, Tags: tags} }, change.ErrNoSpace),
		Entry("pool, full", "", func() change.Change { return change.CreateThinPool{LV: newV, Size: 1 << 30, Tags: tags} }, change.ErrNoSpace),
		Entry("pool whose metadata does not fit", "lvcreate -n most -l 206 vg0",
			func() change.Change { return change.CreateThinPool{LV: newV, Size: 64 * mib, Tags: tags} }, change.ErrNoSpace),
		Entry("snapshot, full", "lvcreate -n most -l 220 vg0;lvchange --addtag volreconciler/name=o vg0/thick",
			func() change.Change { return change.CreateSnapshot{LV: newV, Origin: "thick", Tags: tags} }, change.ErrNoSpace),
		Entry("grow, full", "", func() change.Change { return change.GrowVolume{LV: at("thick"), To: 1 << 40} }, change.ErrNoSpace),
		Entry("no such volume group", "", func() change.Change {
			return change.CreateVolume{LV: change.LV{VolumeGroup: "vg1", Name: "v"}, Size: mib, Tags: tags}
		}, change.ErrStale),
		Entry("no such pool", "", func() change.Change {
			return change.CreateVolume{LV: newV, ThinPool: "p", Size: mib, Tags: tags}
		}, change.ErrStale),
		Entry("no such origin", "", func() change.Change { return change.CreateSnapshot{LV: newV, Origin: "x", Thin: true, Tags: tags} }, change.ErrStale),
		Entry("name taken", "", func() change.Change {
			return change.CreateVolume{LV: change.LV{VolumeGroup: "vg0", Name: "thick"}, Size: mib, Tags: tags}
		}, change.ErrStale),
		Entry("name of a pool taken", "", func() change.Change {
			return change.CreateThinPool{LV: change.LV{VolumeGroup: "vg0", Name: "pool"}, Size: mib, Tags: tags}
		}, change.ErrStale),
		Entry("remove: not its tags", "", func() change.Change { return change.RemoveLV{LV: at("thick"), Tags: tags} }, change.ErrStale),
		Entry("remove: has snapshots", "lvcreate -s -n s -L 8m vg0/thick",
			func() change.Change { return change.RemoveLV{LV: at("thick"), Tags: []string{"a"}} }, change.ErrStale),
		Entry("remove: a pool", "lvchange --addtag a vg0/pool",
			func() change.Change { return change.RemoveLV{LV: at("pool"), Tags: []string{"a"}} }, change.ErrStale),
	)

	DescribeTable("does not remove what is in use", func(ctx SpecContext, use func(*fakehost.Node)) {
		Expect(h.Edit(use)).To(Succeed())
		Expect(state(h)["vg0/thick"].Open).To(BeTrue())
		Expect(apply(ctx, change.RemoveLV{LV: at("thick"), Tags: []string{"a"}})).To(MatchError(change.ErrInUse))
		_, code, _ := run(h, "lvchange -an vg0/thick")
		Expect(code).To(Equal(5))
		Expect(state(h)).To(HaveKeyWithValue("vg0/thick", HaveField("Active", true)))
	},
		Entry("a mount", func(n *fakehost.Node) { n.Mounts = []fakehost.Mount{{LV: "vg0/thick", Dir: "/mnt"}} }),
		Entry("a device on top", func(n *fakehost.Node) { lv(n, "thick").HeldBy = []string{"vg1-root"} }),
	)

	DescribeTable("finds a thin pool full", func(ctx SpecContext, fill func(*fakehost.LogicalVolume), c change.Change) {
		Expect(h.Edit(func(n *fakehost.Node) { fill(lv(n, "pool")) })).To(Succeed())
		if s, ok := c.(change.CreateSnapshot); ok {
			s.OriginUUID = at(s.Origin).UUID
			c = s
		}
		Expect(apply(ctx, c)).To(MatchError(change.ErrNoSpace))
		Expect(state(h)).NotTo(HaveKey("vg0/v"))
	},
		Entry("data, volume", func(lv *fakehost.LogicalVolume) { lv.DataPercent = 100 }, change.CreateVolume{LV: newV, ThinPool: "pool", Size: mib, Tags: tags}),
		Entry("metadata, snapshot", func(lv *fakehost.LogicalVolume) { lv.MetaPercent = 100 }, change.CreateSnapshot{LV: newV, Origin: "thin", Thin: true, Tags: tags}),
	)

	It("cannot grow an origin that is active and has snapshots", func(ctx SpecContext) {
		sh(h, "lvcreate -y -s -n s -L 8m vg0/thick")
		err := apply(ctx, change.GrowVolume{LV: at("thick"), To: 128 * mib})
		Expect(err).To(MatchError(ContainSubstring("can be resized only while inactive")))
		sh(h, "lvchange -an vg0/thick")
		Expect(apply(ctx, change.GrowVolume{LV: at("thick"), To: 128 * mib})).To(Succeed())
	})
})

// recordedNode is the volume group vg0 of the recorded report.
func recordedNode() fakehost.Node {
	lvs := []fakehost.LogicalVolume{
		{Name: "thick1", UUID: "GKgr7M-XjMX-B0Oq-k9wZ-aAdN-0AUl-Daz23Y", Type: "thick", Size: 64 * mib, Active: true,
			Tags: []string{"volreconciler/name=thick1", "volreconciler/kind=volume"}},
		{Name: "cow1", UUID: "hdgxmh-HqES-WxA5-KHb9-d38T-QjDY-9Iu2MI", Type: "thickSnapshot", Size: 64 * mib, COWSize: 16 * mib, Origin: "thick1", Minor: 3},
		{Name: "full", UUID: "Iwek3I-5QJ3-lXlD-Q2K7-Hif4-FwPi-hxMKLS", Type: "thinPool", Size: 32 * mib, Active: true, Minor: 20,
			DataPercent: 100, MetaPercent: 11.23, Health: "out_of_data"},
		{Name: "tf", UUID: "1T9w07-aY4F-Jt1W-W7n2-qqmt-joM0-1seApZ", Type: "thin", Size: 64 * mib, Pool: "full", Active: true, Minor: 22, DataPercent: 50},
		{Name: "o", UUID: "wuBBG0-SDx7-UFHK-bZUk-6g0f-rJDr-gviK4S", Type: "thick", Size: 32 * mib, Active: true, Minor: 8},
		{Name: "over", UUID: "VsOW69-D0hs-IBj0-dFIp-NiIE-HmQY-W5yLud", Type: "thickSnapshot", Size: 32 * mib, COWSize: 4 * mib, Origin: "o", Minor: 17,
			Invalid: true, DataPercent: 100},
		{Name: "off", UUID: "aD1K0J-j0mM-p0Jn-TVen-zM7W-hWkf-BRYUf0", Type: "thick", Size: 4 * mib, Tags: []string{"a", "b"}},
		{Name: "pool0", UUID: "XtP0BS-Q9Gp-Q310-K1oO-LxD1-F9Qt-OcxJd1", Type: "thinPool", Size: 256 * mib, DataPercent: 19.12, MetaPercent: 11.43,
			Tags: []string{"volreconciler/kind=pool"}},
		{Name: "ro", UUID: "cdfhLI-5Cnp-X5yr-y5ul-fwX7-AomS-4lhR3y", Type: "thick", Size: 4 * mib, Active: true, ReadOnly: true, Minor: 9,
			HeldBy: []string{"x"}},
		{Name: "thin1", UUID: "gY7Ht0-Bdpb-Ixgd-UG5j-hzBw-je2m-ZNUTP8", Type: "thin", Size: 1 << 30, Pool: "pool0", Active: true, Minor: 7,
			DataPercent: 4.78, Tags: []string{"x"}, HeldBy: []string{"x"}},
		{Name: "thin1s", UUID: "6qfghe-NOKc-T0LO-stwk-F9ZH-DDsR-h3ffJz", Type: "thin", Size: 1 << 30, Pool: "pool0", Origin: "thin1", SkipActivation: true},
	}
	return fakehost.Node{VolumeGroups: []fakehost.VolumeGroup{{
		Name: "vg0", UUID: "g1uMej-O9mr-6HBh-g8Q3-6Wb9-ZIc4-zzWQBL", ExtentSize: 4 * mib, Extents: 511, LogicalVolumes: lvs,
	}}}
}
