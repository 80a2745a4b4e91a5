package fakehost_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

var _ = DescribeTable("commands that are refused", func(line string, code int, says string) {
	h := machine()
	sh(h, "lvcreate -y -s -n cow -L 8m vg0/thick")
	before := h.Node()
	_, got, stderr := run(h, line)
	Expect(got).To(Equal(code), stderr)
	Expect(stderr).To(ContainSubstring(says))
	Expect(stderr).To(HavePrefix("  "))
	Expect(h.Node()).To(Equal(before))
},
	Entry(nil, "frobnicate", 2, "No such command.  Try 'lvm help'."),
	Entry(nil, "lvm frobnicate", 2, "No such command."),
	Entry(nil, "lvcreate --zorp -L 4m vg0", 3, "lvcreate: unrecognized option '--zorp'"),
	Entry(nil, "lvs -X", 3, "lvs: invalid option -- 'X'"),
	Entry(nil, "lvcreate -n x -L", 3, "lvcreate: option requires an argument -- 'L'"),
	Entry(nil, "lvcreate -n x -L 10x vg0", 3, "Invalid argument for --size: 10x"),
	Entry(nil, "lvcreate -n x -L 1000b vg0", 3, "Invalid argument for --size: 1000b"),
	Entry(nil, "lvcreate -n x -l 0 vg0", 3, "Invalid argument for --extents: 0"),
	Entry(nil, "lvcreate -n x -Wx -L 4m vg0", 3, "Invalid argument for --wipesignatures: x"),
	Entry(nil, "lvchange -ay -an vg0/thick", 3, "may not be repeated"),
	Entry(nil, "lvcreate -n x vg0", 3, "No command with matching syntax recognised.  Run 'lvcreate --help' for more information."),
	Entry(nil, "lvcreate -n x -L 4m", 3, "No command with matching syntax recognised."),
	Entry(nil, "lvchange vg0/thick", 3, "No command with matching syntax recognised."),
	Entry(nil, "lvremove -y", 3, "No command with matching syntax recognised."),
	Entry(nil, "lvrename vg0/thick", 3, "No command with matching syntax recognised."),
	Entry(nil, "lvcreate -n x --addtag a,b -L 4m vg0", 3, "Invalid argument for --addtag: a,b"),
	Entry(nil, "lvchange --addtag @ vg0/thick", 3, "Invalid argument for --addtag: @"),
	Entry(nil, "lvcreate -n -x -L 4m vg0", 3, `Logical volume name "-x" is invalid.`),
	Entry(nil, "lvcreate -n a:b -L 4m vg0", 3, `Logical volume name "a:b" is invalid.`),
	Entry(nil, "lvcreate -n "+strings.Repeat("a", 128)+" -L 4m vg0", 3, "is invalid."),
	Entry(nil, "lvcreate -n "+strings.Repeat("a-", 58)+" -L 4m vg0", 5, "is too long."),
	Entry(nil, "lvcreate -n snapshot1 -L 4m vg0", 3, `Names starting "snapshot" are reserved. Please choose a different LV name.`),
	Entry(nil, "lvcreate -n x_tdata1 -L 4m vg0", 3, `Names including "_tdata" are reserved. Please choose a different LV name.`),
	Entry(nil, "lvcreate -n x_mlog -L 4m vg0", 3, `Names including "_mlog" are reserved.`),
	Entry(nil, "lvrename vg0 thick x_mlog", 3, `Names including "_mlog" are reserved.`),
	Entry(nil, "lvrename vg0 thick a:b", 3, `New logical volume name "a:b" is invalid`),
	Entry(nil, "lvrename vg0 thick thick", 3, "Old and new logical volume names must differ"),
	Entry(nil, "lvrename vg0 x y", 5, `Existing logical volume "x" not found in volume group "vg0"`),
	Entry(nil, "lvrename vg0 thick thin", 5, `Logical Volume "thin" already exists in volume group "vg0"`),
	Entry(nil, "lvcreate -n thick -L 4m vg0", 5, `Logical Volume "thick" already exists in volume group "vg0"`),
	Entry(nil, "lvcreate --type thin-pool -n pool -L 4m vg0", 5, "Logical volume pool already exists in Volume group vg0."),
	Entry(nil, "lvcreate -n x -L 1t vg0", 5, `Volume group "vg0" has insufficient free space (220 extents): 262144 required.`),
	Entry(nil, "lvextend -L 1t vg0/pool", 5, "Insufficient free space: 262128 extents needed, but only 220 available"),
	Entry(nil, "lvextend -L 64m vg0/thin", 5, "New size (16 extents) matches existing size (16 extents)."),
	Entry(nil, "lvextend -L 60m vg0/thin", 5, "New size given (15 extents) not larger than existing size (16 extents)"),
	Entry(nil, "lvextend -L 1g vg0/x", 5, "Logical volume x not found in volume group vg0."),
	Entry(nil, "lvextend -L 1g vg1/x", 5, "Cannot process volume group vg1"),
	Entry(nil, "lvextend -L 128m vg0/thick", 5, "Snapshot origin volumes can be resized only while inactive: try lvchange -an."),
	Entry(nil, "lvcreate -n x -s -L 4m vg0/cow", 5, "Snapshots of snapshots are not supported."),
	Entry(nil, "lvcreate -n x -s vg0/thick", 3, "Please specify either size or extents with snapshots."),
	Entry(nil, "lvcreate -n x -s vg0/none", 5, "Snapshot origin LV none not found in Volume group vg0."),
	Entry(nil, "lvcreate -n x -V 1g -T vg0/none", 5, "Pool none not found in Volume group vg0."),
	Entry(nil, "lvcreate -n x -V 1g -T vg0/thick", 5, "Logical volume vg0/thick is not a thin pool."),
	Entry(nil, "lvchange -an vg0/cow", 5, "Change of snapshot vg0/cow will also change its origin vg0/thick. Proceed? [y/n]: [n]"),
	Entry(nil, "lvchange -prw vg0/thick", 5, "Logical volume vg0/thick is already writable."),
	Entry(nil, "lvchange -pr vg0/pool", 5, "Operation not permitted on LV vg0/pool"),
	Entry(nil, "lvremove vg0/thin", 5, "Logical volume vg0/thin not removed."),
	Entry(nil, "lvremove -y vg0/x", 5, `Failed to find logical volume "vg0/x"`),
	Entry(nil, "lvremove -y vg1/x", 5, `Volume group "vg1" not found`),
	Entry(nil, "lvs vg0/x", 5, `Failed to find logical volume "vg0/x"`),
	Entry(nil, "lvs -o color", 5, "Unrecognised field: color"),
	Entry(nil, "lvremove -y -S color=red vg0/thick", 5, "Unrecognised selection field: color"),
	Entry(nil, "lvremove -y -S lv_name=thick&&", 5, "Selection syntax error"),
	Entry(nil, "lvremove -y -S lv_name vg0/thick", 5, "Selection syntax error"),
	Entry(nil, "lvremove -y -S !lv_name=x vg0/thick", 5, "Selection syntax error"),
)

var _ = DescribeTable("sizes", func(options, want string) {
	h := machine()
	sh(h, "lvcreate -n x "+options+" vg0")
	Expect(strings.Fields(sh(h, "lvs --noheadings --units b --nosuffix -o lv_size vg0/x"))).To(Equal([]string{want}))
},
	Entry(nil, "-L 67108864b", "67108864"),
	Entry(nil, "-L 64m", "67108864"),
	Entry(nil, "-L64M", "67108864"),
	Entry(nil, "--size 64", "67108864"),
	Entry(nil, "--size=0.25g", "268435456"),
	Entry(nil, "-L 512b", "4194304"),
	Entry(nil, "-l 3", "12582912"),
	Entry(nil, "-l 100%FREE", "931135488"),
	Entry(nil, "--extents 50%VG", "536870912"),
)

var _ = Describe("commands by hand", func() {
	var h *fakehost.Host
	BeforeEach(func() { h = machine() })

	It("say what they did", func() {
		Expect(sh(h, "lvcreate -n x -L 4m vg0")).To(Equal("  Logical volume \"x\" created.\n"))
		Expect(sh(h, "lvchange --addtag a vg0/x")).To(Equal("  Logical volume vg0/x changed.\n"))
		Expect(sh(h, "lvchange -an vg0/x")).To(BeEmpty())
		Expect(sh(h, "lvextend -L 8m vg0/x")).To(Equal("  Size of logical volume vg0/x changed from 4.00 MiB (1 extents) to 8.00 MiB (2 extents).\n" +
			"  Logical volume vg0/x successfully resized.\n"))
		Expect(sh(h, "lvrename vg0/x vg0/y")).To(Equal("  Renamed \"x\" to \"y\" in volume group \"vg0\"\n"))
		Expect(sh(h, "lvremove -qq -y vg0/y")).To(BeEmpty())
		Expect(sh(h, "lvremove -y vg0/thin")).To(Equal("  Logical volume \"thin\" successfully removed.\n"))
	})

	It("take options in any order, and a prefix", func() {
		sh(h, "lvm lvcreate vg0 -Wy -L 4m -qq -Zn --addtag=@x --name x -y --config global/wait_for_locks=0 --type linear")
		Expect(state(h)["vg0/x"].Tags).To(HaveExactElements("x"))
		sh(h, "lvcreate --thinpool vg0/pool --virtualsize 1g -nt")
		Expect(state(h)["vg0/t"].Pool).To(Equal("pool"))
		sh(h, "lvcreate -L 8m -T vg0/pool2")
		Expect(state(h)["vg0/pool2"].Type).To(Equal(observe.ThinPool))
		sh(h, "lvcreate -L 4m vg0")
		Expect(state(h)).To(HaveKey("vg0/lvol0"))
	})

	It("remove the snapshots with an origin", func() {
		sh(h, "lvcreate -y -s -n s1 -L 8m vg0/thick")
		sh(h, "lvcreate -y -s -n s2 -L 8m vg0/thick")
		sh(h, "lvremove -y vg0/thick")
		Expect(names(h)).To(Equal([]string{"[lvol0_pmspare]", "pool", "[pool_tdata]", "[pool_tmeta]", "thin"}))
		Expect(free(h)).To(Equal("238"))
	})

	It("remove nothing of an origin with a snapshot that is open", func() {
		sh(h, "lvcreate -y -s -n s -L 8m vg0/thick")
		Expect(h.Edit(func(n *fakehost.Node) { n.Mounts = []fakehost.Mount{{LV: "vg0/s", Dir: "/mnt"}} })).To(Succeed())
		before := h.Node()
		_, code, stderr := run(h, "lvremove -y vg0/thick")
		Expect(code).To(Equal(5))
		Expect(stderr).To(ContainSubstring("LV vg0/thick has open 1 snapshot(s), not deactivating."))
		Expect(h.Node()).To(Equal(before))
	})

	It("remove all that is in a thin pool", func() {
		sh(h, "lvcreate -y -s -n s vg0/thin")
		sh(h, "lvremove -y vg0/pool")
		Expect(names(h)).To(Equal([]string{"thick"}))
		Expect(free(h)).To(Equal("240"))
	})

	It("leave a thin snapshot without its origin", func() {
		sh(h, "lvcreate -y -s -n s vg0/thin")
		Expect(state(h)["vg0/s"].Origin).To(Equal("thin"))
		sh(h, "lvremove -y vg0/thin")
		Expect(state(h)["vg0/s"]).To(And(HaveField("Origin", ""), HaveField("Type", observe.Thin)))
	})

	It("skip a thin snapshot at activation unless told not to", func() {
		sh(h, "lvcreate -y -s -n s vg0/thin")
		sh(h, "lvchange -ay vg0/s")
		Expect(state(h)["vg0/s"].Active).To(BeFalse())
		sh(h, "lvchange -ay -K vg0/s")
		Expect(state(h)["vg0/s"].Active).To(BeTrue())
		sh(h, "lvcreate -y -s -kn -n c vg0/thin")
		Expect(state(h)["vg0/c"].Active).To(BeTrue())
	})

	It("activate an origin and its snapshots together", func() {
		sh(h, "lvchange -an vg0/thick")
		sh(h, "lvcreate -y -s -n s -L 8m vg0/thick")
		Expect(state(h)["vg0/s"].Active).To(BeFalse())
		sh(h, "lvchange -ay vg0/s")
		Expect(state(h)["vg0/thick"].Active).To(BeTrue())
		Expect(state(h)["vg0/s"].Active).To(BeTrue())
		sh(h, "lvchange -an vg0/thick")
		Expect(state(h)["vg0/s"].Active).To(BeFalse())
		sh(h, "lvchange -ay vg0")
		sh(h, "lvchange -y -an vg0/s")
		Expect(state(h)["vg0/thick"].Active).To(BeFalse())
	})

	It("give out the smallest minor number that is free", func() {
		sh(h, "lvchange -an vg0/thick vg0/pool")
		Expect(state(h)["vg0/thick"].Minor).To(Equal(-1))
		sh(h, "lvcreate -n x -L 4m vg0")
		sh(h, "lvchange -ay vg0/thick")
		Expect(state(h)["vg0/x"].Minor).To(Equal(0))
		Expect(state(h)["vg0/thick"].Minor).To(Equal(1))
	})

	It("make it read-only", func() {
		sh(h, "lvchange -pr vg0/thick")
		Expect(state(h)["vg0/thick"].ReadOnly).To(BeTrue())
		sh(h, "lvchange -prw vg0/thick")
		Expect(state(h)["vg0/thick"].ReadOnly).To(BeFalse())
	})

	It("rename what others depend on, and what is mounted", func() {
		sh(h, "lvcreate -y -s -n s -L 8m vg0/thick")
		Expect(h.Edit(func(n *fakehost.Node) { n.Mounts = []fakehost.Mount{{LV: "vg0/thick", Dir: "/mnt"}} })).To(Succeed())
		before := state(h)["vg0/thick"]
		sh(h, "lvrename vg0 thick thick2")
		sh(h, "lvrename vg0/pool vg0/pool2")
		after := state(h)
		Expect(after["vg0/s"].Origin).To(Equal("thick2"))
		Expect(after["vg0/thin"].Pool).To(Equal("pool2"))
		Expect(after["vg0/thick2"]).To(And(HaveField("UUID", before.UUID), HaveField("Open", true), HaveField("Minor", before.Minor)))
	})

	It("do the rest when one of several fails", func() {
		stdout, code, stderr := run(h, "lvremove -y vg0/none vg0/thin")
		Expect(code).To(Equal(5))
		Expect(stderr).To(ContainSubstring("none"))
		Expect(stdout).To(ContainSubstring(`"thin" successfully removed`))
		Expect(state(h)).NotTo(HaveKey("vg0/thin"))
	})

	It("refuse to change a volume group that misses a device", func() {
		Expect(h.Edit(func(n *fakehost.Node) { n.VolumeGroups[0].MissingPVs = 1; lv(n, "thick").Health = "partial" })).To(Succeed())
		for _, line := range []string{"lvcreate -n x -L 4m vg0", "lvremove -y vg0/thin", "lvchange --addtag a vg0/thin", "lvextend -L 1g vg0/thin"} {
			_, code, stderr := run(h, line)
			Expect(code).To(Equal(5), line)
			Expect(stderr).To(ContainSubstring("Cannot change VG vg0 while PVs are missing."))
		}
		sh(h, "lvchange -an vg0/thick")
		_, code, stderr := run(h, "lvchange -ay vg0/thick")
		Expect(code).To(Equal(5))
		Expect(stderr).To(ContainSubstring("Refusing activation of partial LV vg0/thick."))
		Expect(strings.TrimSpace(sh(h, "vgs --noheadings -o vg_missing_pv_count"))).To(Equal("1"))
	})

	It("share one spare for the metadata of all thin pools", func() {
		sh(h, "lvcreate --type thin-pool -n p2 -L 4m --poolmetadatasize 12m vg0")
		// 1 for the data, 3 for its metadata, and 2 more for the spare
		Expect(free(h)).To(Equal(fmt.Sprint(222 - 6)))
		Expect(names(h)).To(ContainElements("[p2_tdata]", "[p2_tmeta]", "[lvol0_pmspare]"))
		sh(h, "lvremove -y vg0/p2")
		Expect(free(h)).To(Equal("222"))
	})

	It("count the changes of the metadata", func() {
		seqno := func() string { return strings.TrimSpace(sh(h, "vgs --noheadings -o vg_seqno vg0")) }
		before := seqno()
		sh(h, "lvchange -an vg0/thick")
		sh(h, "lvs")
		Expect(seqno()).To(Equal(before))
		sh(h, "lvchange --addtag a vg0/thick")
		Expect(seqno()).NotTo(Equal(before))
	})

	It("print tables", func() {
		Expect(sh(h, "lvs -o lv_name,lv_attr,size,tags")).To(Equal("" +
			"  LV    Attr       LSize  LV Tags\n" +
			"  pool  twi-aotz-- 64.00m\n" +
			"  thick -wi-a----- 64.00m a,b\n" +
			"  thin  Vwi-a-tz-- 64.00m\n"))
		Expect(sh(h, "vgs")).To(Equal("" +
			"  VG  #PV #LV #SN Attr   VSize VFree\n" +
			"  vg0 1   3   0   wz--n- 1.00g 888.00m\n"))
		Expect(sh(h, "lvs --noheadings --separator : --units b -o lv_name,lv_size vg0/thick")).To(Equal("  thick:67108864B\n"))
	})

	It("print JSON even if they fail", func() {
		stdout, code, _ := run(h, "lvs --reportformat json vg0/x")
		Expect(code).To(Equal(5))
		Expect(stdout).To(Equal("  {\n      \"report\": [\n          {\n              \"lv\": [\n              ]\n          }\n      ]\n  }\n"))
	})
})

var _ = DescribeTable("selections", func(selection string, want ...string) {
	h := machine()
	sh(h, "lvcreate -y -s -n cow -L 8m vg0/thick")
	stdout, code, stderr := runWords(h, "lvs", "--noheadings", "-o", "lv_name", "-S", selection)
	Expect(code).To(BeZero(), stderr)
	Expect(strings.Fields(stdout)).To(Equal(want))

	// A command that names a logical volume which is not selected does nothing.
	sh(h, "lvchange -y -an vg0")
	before := h.Node()
	for _, name := range []string{"cow", "pool", "thick", "thin"} {
		stdout, code, _ := runWords(h, "lvchange", "-S", selection, "--addtag", "selected", "vg0/"+name)
		Expect(code).To(BeZero())
		changed := ""
		if slices.Contains(want, name) {
			changed = "  Logical volume vg0/" + name + " changed.\n"
		}
		Expect(stdout).To(Equal(changed))
	}
	if want == nil {
		Expect(h.Node()).To(Equal(before))
	}
},
	Entry(nil, "lv_name=thin", "thin"),
	Entry(nil, "name=thin", "thin"),
	Entry(nil, "lv_name!=thin", "cow", "pool", "thick"),
	Entry(nil, "lv_tags=a", "thick"),
	Entry(nil, "lv_tags=a && lv_tags=b", "thick"),
	Entry(nil, "lv_tags=a&&lv_tags=c"),
	Entry(nil, "lv_role=thickorigin", "thick"),
	Entry(nil, "!(lv_role=thickorigin) && !(lv_layout=pool)", "cow", "thin"),
	Entry(nil, "lv_layout=thin", "pool", "thin"),
	Entry(nil, "lv_name=thin || (lv_name=cow && origin=thick)", "cow", "thin"),
	Entry(nil, `lv_name="thin"`, "thin"),
	Entry(nil, "lv_uuid=none"),
)

var _ = Describe("UUIDs", func() {
	form := regexp.MustCompile(`^[A-Za-z0-9]{6}(-[A-Za-z0-9]{4}){5}-[A-Za-z0-9]{6}$`)

	It("have LVM's form and are never the same again", func() {
		h := machine()
		seen := map[string]bool{}
		for range 20 {
			sh(h, "lvcreate -n x -L 4m vg0")
			uuid := state(h)["vg0/x"].UUID
			Expect(uuid).To(MatchRegexp(form.String()))
			Expect(seen).NotTo(HaveKey(uuid))
			seen[uuid] = true
			sh(h, "lvremove -y vg0/x")
			next, err := fakehost.New(h.Node())
			Expect(err).NotTo(HaveOccurred())
			h = next
		}
	})

	It("are the same on every machine that went the same way", func() {
		Expect(machine().Node()).To(Equal(machine().Node()))
	})
})

var _ = It("is stored and loaded without a change", func() {
	h := machine()
	sh(h, "lvcreate -y -s -n s -L 8m vg0/thick")
	sh(h, "lvcreate -y -s -n t vg0/thin")
	sh(h, "lvchange -an vg0/thin")
	Expect(h.Edit(func(n *fakehost.Node) { n.Mounts = []fakehost.Mount{{LV: "vg0/thick", Dir: "/mnt"}} })).To(Succeed())
	again, err := fakehost.New(h.Node())
	Expect(err).NotTo(HaveOccurred())
	Expect(again.Node()).To(Equal(h.Node()))

	By("changing the copy")
	n := h.Node()
	n.VolumeGroups[0].LogicalVolumes[0].Tags[0] = "changed"
	Expect(state(h)["vg0/thick"].Tags).To(HaveExactElements("a", "b"))
})
