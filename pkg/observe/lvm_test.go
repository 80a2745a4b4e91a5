package observe

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// recording is a machine that says what was recorded.
type recording struct {
	host.Files
	stdout []byte
	err    error
	files  map[string]string
	dirs   map[string][]string
	ran    []string
}

func (r *recording) Run(_ context.Context, argv ...string) (host.Output, error) {
	r.ran = append(r.ran, strings.Join(argv, " "))
	return host.Output{Stdout: r.stdout}, r.err
}

func (r *recording) ReadFile(path string) ([]byte, error) {
	if text, ok := r.files[path]; ok {
		return []byte(text), nil
	}
	return nil, fs.ErrNotExist
}

func (r *recording) ReadDir(path string) ([]fs.DirEntry, error) {
	names, ok := r.dirs[path]
	if !ok {
		return nil, fs.ErrNotExist
	}
	var entries []fs.DirEntry
	for _, name := range names {
		entries = append(entries, entry{name: name})
	}
	return entries, nil
}

type entry struct {
	fs.DirEntry
	name string
}

func (e entry) Name() string { return e.name }

func testdata(name string) []byte {
	GinkgoHelper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	Expect(err).NotTo(HaveOccurred())
	return data
}

const mib = 1 << 20

func readLVM(ctx context.Context, h host.Host) lvmReport {
	r := lvmReader{host: h, patience: defaultPatience}
	return r.read(ctx)
}

var _ = Describe("reading LVM", func() {
	var (
		m      *recording
		groups map[string]VolumeGroup
		lv     = func(name string) LogicalVolume {
			GinkgoHelper()
			Expect(groups["vg0"].LogicalVolumes).To(HaveKey(name))
			return groups["vg0"].LogicalVolumes[name]
		}
	)
	BeforeEach(func(ctx SpecContext) {
		m = &recording{
			stdout: testdata("lvm_fullreport.json"),
			files: map[string]string{
				"/proc/self/mountinfo":    "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n74 22 253:7 / /run/m\\040nt rw,relatime - ext4 /dev/mapper/vg0-thin1 rw\n",
				"/sys/block/dm-8/dm/name": "over\n",
			},
			dirs: map[string][]string{"/sys/dev/block/253:9/holders": {"dm-8", "md0"}},
		}
		report := readLVM(ctx, m)
		Expect(errors.Join(report.err, report.unread)).NotTo(HaveOccurred())
		groups = report.groups
	})

	It("takes one process", func() { Expect(m.ran).To(HaveLen(1)) })

	It("reads volume groups, those without logical volumes and with missing devices too", func() {
		Expect(groups).To(HaveLen(4))
		Expect(groups["empty"]).To(Equal(VolumeGroup{
			Name: "empty", UUID: "W7pXt4-EOX8-uYnE-JNKF-R624-CEV5-U0B7ey", ExtentSize: 4 * mib,
			Size: 56 * mib, Free: 56 * mib, LogicalVolumes: map[string]LogicalVolume{},
		}))
		Expect(groups["missing"].MissingPVs).To(Equal(1))
		Expect(groups["missing"].LogicalVolumes["span"].Health).To(Equal("partial"))
	})

	It("reads a thick volume", func() {
		Expect(lv("thick1")).To(Equal(LogicalVolume{
			VolumeGroup: "vg0", Name: "thick1", UUID: "GKgr7M-XjMX-B0Oq-k9wZ-aAdN-0AUl-Daz23Y",
			Type: Thick, Size: 64 * mib, Active: true, Major: 253, Minor: 0,
			Tags: []string{"volreconciler/kind=volume", "volreconciler/name=thick1"},
		}))
	})

	It("reads thick snapshots, with the size that their users see", func() {
		Expect(lv("cow1")).To(And(
			HaveField("Type", ThickSnapshot), HaveField("Origin", "thick1"),
			HaveField("Size", uint64(64*mib)), HaveField("COWSize", uint64(16*mib)), HaveField("SnapshotInvalid", false)))
		Expect(lv("over")).To(And(
			HaveField("SnapshotInvalid", true), HaveField("DataPercent", 100.0)))
	})

	It("reads thin pools", func() {
		Expect(lv("full")).To(And(
			HaveField("Type", ThinPool), HaveField("Health", "out_of_data"), HaveField("Size", uint64(32*mib)),
			HaveField("DataPercent", 100.0), HaveField("MetadataPercent", 11.23)))
	})

	It("reads thin volumes and snapshots", func() {
		Expect(lv("thin1")).To(And(
			HaveField("Type", Thin), HaveField("Pool", "pool0"), HaveField("Origin", ""),
			HaveField("Size", uint64(1024*mib)), HaveField("DataPercent", 4.78), HaveField("Active", true)))
		Expect(lv("thin1s")).To(And(
			HaveField("Type", Thin), HaveField("Pool", "pool0"), HaveField("Origin", "thin1"),
			HaveField("Active", false), HaveField("Open", false), HaveField("Major", -1), HaveField("Minor", -1)))
	})

	It("reads who holds a device", func() {
		Expect(lv("thin1")).To(And(HaveField("Open", true), HaveField("HeldBy", []string{"mounted on /run/m nt"})))
		Expect(lv("ro")).To(And(
			HaveField("Open", true), HaveField("ReadOnly", true), HaveField("HeldBy", []string{"dm-8 (over)", "md0"})))
	})

	It("keeps private logical volumes out", func(ctx SpecContext) {
		m.stdout = []byte(strings.ReplaceAll(string(m.stdout), `"lv_name":"off"`, `"lv_name":"[off]"`))
		m.stdout = []byte(strings.ReplaceAll(string(m.stdout), `"lv_count":"11"`, `"lv_count":"10"`))
		report := readLVM(ctx, m)
		Expect(errors.Join(report.err, report.unread)).NotTo(HaveOccurred())
		Expect(report.groups["vg0"].LogicalVolumes).NotTo(HaveKey("[off]"))
	})

	It("reads a node without volume groups", func(ctx SpecContext) {
		m.stdout = testdata("lvm_none.json")
		Expect(readLVM(ctx, m)).To(Equal(lvmReport{groups: map[string]VolumeGroup{}}))
	})

	It("does not take what a failed report lacks for absent", func(ctx SpecContext) {
		m.err = &host.CommandError{Argv: []string{"lvm", "fullreport", "--many", "options"}, ExitCode: host.LVMFailed, Stderr: "VG bad metadata"}
		report := readLVM(ctx, m)
		Expect(report.err).NotTo(HaveOccurred())
		Expect(report.groups).To(HaveKey("vg0"))
		Expect(report.unread).To(MatchError("lvm fullreport: exit status 5: VG bad metadata"))

		m.stdout = nil
		Expect(readLVM(ctx, m).err).To(MatchError(ContainSubstring("VG bad metadata")))
	})

	It("takes nothing from a report that was cut off", func(ctx SpecContext) {
		m.err = &host.CommandError{Argv: []string{"lvm", "fullreport"}, ExitCode: -1, Err: errors.New("signal: segmentation fault")}
		Expect(readLVM(ctx, m)).To(Equal(lvmReport{err: m.err}))
	})

	DescribeTable("leaves out a volume group that it does not understand, and names the field",
		func(ctx SpecContext, before, after, out, message string) {
			Expect(string(m.stdout)).To(ContainSubstring(before))
			m.stdout = []byte(strings.ReplaceAll(string(m.stdout), before, after))
			report := readLVM(ctx, m)
			if out == "" {
				Expect(report.err).To(MatchError(ContainSubstring(message)))
				Expect(report.groups).To(BeNil())
				return
			}
			Expect(report.err).NotTo(HaveOccurred())
			Expect(report.unread).To(MatchError(ContainSubstring(message)))
			for name := range groups {
				if strings.Contains(out, name) {
					Expect(report.groups).NotTo(HaveKey(name))
				} else {
					Expect(report.groups).To(HaveKeyWithValue(name, groups[name]))
				}
			}
		},
		Entry("a size with a unit", `"lv_size":"4194304"`, `"lv_size":"4.00m"`, "vg0 vg1", "logical volume vg1/killed: lv_size: "),
		Entry("a negative size", `"vg_free":"58720256"`, `"vg_free":"-1"`, "empty", "volume group empty: vg_free: "),
		Entry("no UUID", `"lv_uuid":"Iwek3I-5QJ3-lXlD-Q2K7-Hif4-FwPi-hxMKLS", `, "", "vg0", "vg0/full: lv_uuid: missing"),
		Entry("unknown activity", `"lv_active":"active"`, `"lv_active":"unknown"`, "vg0 vg1", `lv_active: "unknown"`),
		Entry("new permissions", `"lv_permissions":"read-only"`, `"lv_permissions":"odd"`, "vg0", `lv_permissions: "odd"`),
		Entry("no snapshot size", `"origin_size":"67108864"`, `"origin_size":""`, "vg0", "vg0/cow1: origin_size: "),
		Entry("a name twice", `"vg_name":"empty"`, `"vg_name":"vg0"`, "vg0 empty", "two volume groups are named vg0"),
		Entry("no volume group", `"vg_name"`, `"xx_name"`, "vg0 vg1 empty missing", "vg_name: missing"),
		Entry("a logical volume too few", `"lv_count":"11"`, `"lv_count":"12"`, "vg0", "volume group vg0: the report has 11 of 12 logical volumes"),
		Entry("no report", `"report"`, `"log"`, "", "the report is missing"),
		Entry("no JSON", `"report"`, `report`, "", "invalid character"),
	)
})

var _ = Describe("reading one logical volume", func() {
	It("reads it", func(ctx SpecContext) {
		lv, found, err := ReadLV(ctx, &recording{stdout: testdata("lvm_lvs.json")}, "vg0", "o")
		Expect(err).NotTo(HaveOccurred())
		Expect(found).To(BeTrue())
		Expect(lv).To(And(HaveField("Name", "o"), HaveField("VolumeGroup", "vg0"), HaveField("Size", uint64(32*mib))))
	})

	It("tells that it is not there from that nothing is known", func(ctx SpecContext) {
		_, found, err := ReadLV(ctx, &recording{err: &host.CommandError{ExitCode: 5, Stderr: "  Failed to find logical volume \"vg0/o\"\n"}}, "vg0", "o")
		Expect(err).NotTo(HaveOccurred())
		Expect(found).To(BeFalse())
		for _, failure := range []error{
			&host.CommandError{ExitCode: 5, Stderr: "  Volume group \"vg0\" not found\n"},
			&host.CommandError{ExitCode: -1, Stderr: "Failed to find logical volume"},
			errors.New("no lvm"),
		} {
			_, _, err := ReadLV(ctx, &recording{err: failure}, "vg0", "o")
			Expect(err).To(MatchError(failure))
		}
	})

	It("refuses the answer of another one", func(ctx SpecContext) {
		// A report without an error that lacks what was asked for says nothing.
		_, err := ReadLVs(ctx, &recording{stdout: testdata("lvm_lvs.json")}, "vg0", "o", "q")
		Expect(err).To(MatchError(ContainSubstring("lacks 1 of 2")))
		_, _, err = ReadLV(ctx, &recording{stdout: testdata("lvm_lvs.json")}, "vg0", "p")
		Expect(err).To(HaveOccurred())
	})
})

var _ = DescribeTable("the types of logical volumes",
	func(layout, role string, want LVType) {
		Expect(lvRow{Layout: layout, Role: role}.lvType()).To(Equal(want))
	},
	Entry("linear", "linear", "public", Thick),
	Entry("origin of a snapshot", "linear", "public,origin,thickorigin", Thick),
	Entry("striped", "striped", "public", Thick),
	Entry("mirror", "mirror", "public", Thick),
	Entry("raid1", "raid,raid1", "public", Thick),
	Entry("raid10", "raid,raid10,raid10_near", "public", Thick),
	Entry("snapshot", "linear", "public,snapshot,thicksnapshot", ThickSnapshot),
	Entry("thin", "thin,sparse", "public", Thin),
	Entry("thin snapshot", "thin,sparse", "public,snapshot,thinsnapshot", Thin),
	Entry("thin pool", "thin,pool", "private", ThinPool),
	Entry("cache pool", "cache,pool", "private", OtherLV),
	Entry("cached", "cache", "public", OtherLV),
	Entry("VDO pool", "vdo,pool", "private", OtherLV),
	Entry("VDO", "vdo,sparse", "public", OtherLV),
	Entry("something new", "quantum", "public", OtherLV),
	Entry("nothing said", "", "", OtherLV),
)

// As LVM 2.03.16 makes them, with extents of 4 KiB.
var _ = DescribeTable("the largest copy-on-write space",
	func(origin, want uint64) { Expect(MaxCOWSize(origin)).To(Equal(want)) },
	Entry("4 MiB", uint64(4194304), uint64(4218880)),
	Entry("64 MiB", uint64(67108864), uint64(67379200)),
)

var _ = Describe("the observer", func() {
	It("leaves a system that cannot be read out, and says why", func(ctx SpecContext) {
		failure := &host.CommandError{Argv: []string{"lvm", "fullreport"}, ExitCode: 3}
		s := New(&recording{stdout: testdata("lvm_fullreport.json"), err: failure}).Observe(ctx)
		Expect(s.Unknown).To(HaveKeyWithValue(LVM, failure))
		Expect(s.Unknown).NotTo(HaveKey(LIO))
		Expect(s.VolumeGroups).To(BeNil())
	})

	It("knows everything when all can be read", func(ctx SpecContext) {
		s := New(&recording{stdout: testdata("lvm_fullreport.json")}).Observe(ctx)
		Expect(s.Unknown).To(BeEmpty())
		Expect(s.VolumeGroups).To(HaveKey("vg0"))
	})
})

// stuck is a machine whose complete reports do not end before they are let go.
type stuck struct {
	recording
	letGo chan struct{}
	mu    sync.Mutex
	asked []string
}

func (s *stuck) Run(_ context.Context, argv ...string) (host.Output, error) {
	s.mu.Lock()
	kind := "complete"
	if slices.Contains(argv, "global/wait_for_locks=0") {
		kind = "unlocked"
	}
	s.asked = append(s.asked, kind)
	s.mu.Unlock()
	out := host.Output{Stdout: s.stdout}
	if kind == "complete" {
		<-s.letGo
		return out, nil
	}
	return out, &host.CommandError{Argv: argv, ExitCode: host.LVMFailed, Stderr: "Can't get lock for vg9"}
}

var _ = Describe("a report that does not end", func() {
	It("is left to itself, and the rest is read without it", func(ctx SpecContext) {
		s := &stuck{recording: recording{stdout: testdata("lvm_fullreport.json")}, letGo: make(chan struct{})}
		o := New(s)
		o.lvm.reader.patience = 100 * time.Millisecond
		for range 3 {
			state := o.Observe(ctx)
			Expect(state.Unknown).To(BeEmpty())
			Expect(state.VolumeGroups).To(HaveKey("vg0"))
			_, there, err := state.Group("vg9")
			Expect(there).To(BeFalse())
			Expect(err).To(MatchError(ContainSubstring("Can't get lock for vg9")))
		}
		Expect(s.asked).To(Equal([]string{"complete", "unlocked", "unlocked", "unlocked"}))

		close(s.letGo)
		o.lvm.reader.patience = time.Minute // a busy machine may take longer than a moment
		Eventually(ctx, func() error { return o.Observe(ctx).UnknownGroups }).Should(Succeed())
		_, there, err := o.Observe(ctx).Group("vg9")
		Expect(there).To(BeFalse())
		Expect(err).NotTo(HaveOccurred())
	}, NodeTimeout(time.Minute))
})
