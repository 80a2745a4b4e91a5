package lvm

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// script is a machine that answers each command as LVM 2.03.16 did. lvs answers
// with the logical volume that is there, if any.
type script struct {
	host.Files
	answers map[string]answer // by command: lvcreate, lvremove, …
	there   map[string]string // the row of lvs, by vg/lv
	ran     []string
	filters bool // nothing is activated
}

type answer struct {
	code   int
	stderr string
	stdout string
}

func (s *script) Run(_ context.Context, argv ...string) (host.Output, error) {
	line := strings.Join(argv, " ")
	a, scripted := s.answers[argv[0]]
	if argv[0] == "lvs" && !scripted {
		row, ok := s.there[argv[len(argv)-1]]
		if !ok {
			a = answer{code: 5, stderr: `Failed to find logical volume "` + argv[len(argv)-1] + `"`}
		}
		a.stdout = `{"report":[{"lv":[` + row + `]}]}`
	} else {
		s.ran = append(s.ran, line)
	}
	if strings.HasPrefix(line, "lvchange -ay") && !s.filters {
		for name, row := range s.there {
			s.there[name] = strings.Replace(row, `"lv_active":""`, `"lv_active":"active"`, 1)
		}
	}
	out := host.Output{Stdout: []byte(a.stdout), Stderr: a.stderr}
	if a.code != 0 {
		return out, &host.CommandError{Argv: argv, ExitCode: a.code, Stderr: a.stderr}
	}
	return out, nil
}

func (*script) ReadFile(path string) ([]byte, error) {
	if path == "/proc/self/mountinfo" {
		return []byte("74 22 253:4 / /mnt rw - ext4 /dev/mapper/vg0-v rw\n"), nil
	}
	return nil, fs.ErrNotExist
}

func (*script) ReadDir(string) ([]fs.DirEntry, error) { return nil, fs.ErrNotExist }

const (
	mib       = 1 << 20
	uuid      = "bEoYTC-tMDZ-CoaZ-dDFM-hChS-tpB9-ENqeEA"
	otherUUID = "hdgxmh-HqES-WxA5-KHb9-d38T-QjDY-9Iu2MI"
)

// row is a logical volume as lvs shows it.
func row(set map[string]string) string {
	r := map[string]string{
		"lv_name": "v", "lv_uuid": uuid, "lv_layout": "linear", "lv_role": "public", "lv_size": "67108864",
		"lv_tags": "volreconciler/kind=volume,volreconciler/name=v", "lv_active": "active", "lv_device_open": "",
		"lv_permissions": "writeable", "lv_kernel_major": "253", "lv_kernel_minor": "4",
	}
	for k, v := range set {
		r[k] = v
	}
	data, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return string(data)
}

type fields = map[string]string

var (
	v    = change.LV{VolumeGroup: "vg0", Name: "v", UUID: uuid}
	newV = change.LV{VolumeGroup: "vg0", Name: "v"}
	tags = []string{"volreconciler/kind=volume", "volreconciler/name=v"}
	// strange are tags that somebody else may have given.
	strange = []string{"-x", "!a", "#b", "owner=a&&b/c:d+e", strings.Repeat("long", 256)}
)

// clearingV says that what is in v is being destroyed.
var clearingV = fields{"lv_tags": "volreconciler/kind=volume,volreconciler/name=v,volreconciler/phase=clearing"}

const marked = " --addtag volreconciler/kind=volume --addtag volreconciler/name=v"

// nothingWithIt is how LVM is asked, under its lock, whether others would be removed too.
const nothingWithIt = "!(lv_role=thickorigin) && !(lv_role=extthinorigin) && !(lv_layout=pool)" +
	" && !(lv_layout=cache) && !(lv_layout=writecache) && lv_attr!~^O"

var _ = DescribeTable("the command that makes a change",
	func(ctx SpecContext, c change.Change, now map[string]string, want string) {
		m := &script{there: map[string]string{"vg0/v": row(now), "vg0/o": row(fields{"lv_name": "o"})},
			answers: map[string]answer{
				"lvchange":  {stdout: "Logical volume vg0/v changed."},
				"lvconvert": {stdout: "Logical Volume vg0/v split from its origin."},
				"lvremove":  {stdout: `Logical volume "v" successfully removed.`},
			}}
		Expect(New(m, m).Apply(ctx, c)).To(Succeed())
		Expect(m.ran).To(Equal([]string{want}))
	},
	Entry(nil, change.CreateThinPool{LV: newV, Size: 256 * mib, Tags: tags}, nil,
		"lvcreate -n v"+marked+" -y --type thin-pool -Zy -L 268435456b vg0"),
	Entry(nil, change.CreateVolume{LV: newV, Size: 64 * mib, Tags: tags}, nil,
		"lvcreate -n v"+marked+" -y -Wy -Zy -L 67108864b vg0"),
	Entry(nil, change.CreateVolume{LV: newV, ThinPool: "p", Size: 64 * mib, Tags: tags}, nil,
		"lvcreate -n v"+marked+" -y -V 67108864b -T vg0/p"),
	Entry(nil, change.CreateSnapshot{LV: newV, Origin: "o", OriginUUID: uuid, Thin: true, Tags: tags}, nil,
		"lvcreate -n v"+marked+" -y -s vg0/o"),
	Entry(nil, change.CreateSnapshot{LV: newV, Origin: "o", Size: 16 * mib, Tags: tags}, nil,
		"lvcreate -n v"+marked+" -y -s -L 16777216b vg0/o"),
	Entry("a snapshot with room for everything", change.CreateSnapshot{LV: newV, Origin: "o", Tags: tags}, nil,
		"lvcreate -n v"+marked+" -y -s -L 67379200b vg0/o"),
	Entry(nil, change.GrowVolume{LV: v, To: 128 * mib}, nil, "lvextend -y -L 134217728b vg0/v"),
	Entry(nil, change.GrowThinPool{LV: v, To: 128 * mib}, fields{"lv_layout": "thin,pool"}, "lvextend -y -L 134217728b vg0/v"),
	Entry(nil, change.GrowSnapshot{LV: v, To: 32 * mib},
		fields{"lv_role": "public,snapshot,thicksnapshot", "origin_size": "67108864", "lv_size": "16777216"},
		"lvextend -y -L 33554432b vg0/v"),
	Entry(nil, change.SetTags{LV: v, Add: []string{"a"}, Remove: []string{"b"}}, nil,
		"lvchange -S lv_uuid="+uuid+" --addtag a --deltag b vg0/v"),
	Entry("with tags of somebody else", change.CreateVolume{LV: newV, Size: 64 * mib, Tags: slices.Concat(tags, strange)}, nil,
		"lvcreate -n v --addtag volreconciler/kind=volume --addtag volreconciler/name=v --addtag -x --addtag !a --addtag #b --addtag owner=a&&b/c:d+e --addtag "+strange[4]+" -y -Wy -Zy -L 67108864b vg0"),
	Entry("that have tags which join conditions", change.RemoveLV{LV: v, Tags: []string{"a", "b#c", "d&&e", "!f"}}, nil,
		"lvremove -y -S lv_uuid="+uuid+` && lv_tags=a && lv_tags="b#c" && lv_tags="d&&e" && lv_tags="!f"`+" && "+strings.Join(alone, " && ")+" vg0/v"),
	Entry(nil, change.Activate{LV: v}, fields{"lv_active": ""}, "lvchange -ay -K -S lv_uuid="+uuid+" vg0/v"),
	Entry("one that the same plan created", change.Activate{LV: newV}, fields{"lv_active": ""},
		"lvchange -ay -K -S lv_uuid="+uuid+" vg0/v"),
	Entry(nil, change.Deactivate{LV: v}, nil, "lvchange -an -S lv_uuid="+uuid+" vg0/v"),
	Entry(nil, change.Rename{LV: v, To: "w"}, nil, "lvrename vg0 v w"),
	Entry(nil, change.CloneVolume{LV: newV, Origin: "o", OriginUUID: uuid, Tags: tags}, nil,
		"lvcreate -n v"+marked+" -y -s -kn vg0/o"),
	Entry(nil, change.StartClearing{LV: v, Tags: tags},
		fields{"lv_tags": "volreconciler/checkpoint=x:4096,volreconciler/kind=volume,volreconciler/name=v,volreconciler/phase=populating"},
		"lvchange -S lv_uuid="+uuid+" && lv_tags=volreconciler/kind=volume && lv_tags=volreconciler/name=v"+
			" && "+nothingWithIt+" && !(lv_device_open=open) --addtag volreconciler/phase=clearing"+
			" --deltag volreconciler/phase=populating --deltag volreconciler/checkpoint=x:4096 vg0/v"),
	Entry(nil, change.SplitSnapshot{LV: v},
		fields{"lv_role": "public,snapshot,thicksnapshot", "lv_tags": "volreconciler/phase=clearing", "origin_size": "67108864"},
		"lvconvert -y --splitsnapshot vg0/v"),
	Entry("a snapshot to copy from", change.RemoveLV{LV: v, Tags: ondisk.SourceTags(spec.ID{Kind: spec.KindVolume, Name: "v"})}, nil,
		"lvremove -y -S lv_uuid="+uuid+" && lv_tags=volreconciler/kind=source && lv_tags=volreconciler/name=v"+
			" && "+nothingWithIt+" vg0/v"),
	Entry(nil, change.RemoveLV{LV: v, Tags: tags}, nil,
		"lvremove -y -S lv_uuid="+uuid+" && lv_tags=volreconciler/kind=volume && lv_tags=volreconciler/name=v"+
			" && "+nothingWithIt+" vg0/v"),
)

var (
	taken     = map[string]answer{"lvcreate": {code: 5, stderr: `Logical Volume "v" already exists in volume group "vg0"`}}
	takenPool = map[string]answer{"lvcreate": {code: 5, stderr: `Logical volume v already exists in Volume group vg0.`}}
)

var _ = DescribeTable("a change that is true already",
	func(ctx SpecContext, c change.Change, now string, answers map[string]answer) {
		m := &script{answers: answers, there: map[string]string{"vg0/o": row(fields{"lv_name": "o"})}}
		if now != "" {
			m.there["vg0/v"] = now
		}
		Expect(New(m, m).Apply(ctx, c)).To(Succeed())
	},
	Entry(nil, change.CreateVolume{LV: newV, Size: 64 * mib, Tags: tags}, row(nil), taken),
	Entry(nil, change.CreateVolume{LV: newV, ThinPool: "p", Size: 64 * mib, Tags: tags},
		row(fields{"lv_layout": "thin,sparse", "pool_lv": "p"}), taken),
	Entry(nil, change.CreateThinPool{LV: newV, Size: 64 * mib, Tags: tags}, row(fields{"lv_layout": "thin,pool"}), takenPool),
	Entry(nil, change.CreateSnapshot{LV: newV, Origin: "o", Thin: true, Tags: tags},
		row(fields{"lv_layout": "thin,sparse", "origin": "o", "lv_active": ""}), taken),
	Entry(nil, change.CreateSnapshot{LV: newV, Origin: "o", Size: 64 * mib, Tags: tags},
		row(fields{"lv_role": "public,snapshot,thicksnapshot", "origin": "o", "origin_size": "67108864", "lv_size": "4194304"}), taken),
	Entry(nil, change.GrowVolume{LV: v, To: 64 * mib}, row(nil), nil),
	Entry("grown meanwhile", change.GrowVolume{LV: v, To: 128 * mib}, row(nil),
		map[string]answer{"lvextend": {code: 5, stderr: "New size (32 extents) matches existing size (32 extents)."}}),
	Entry("as large as LVM makes it", change.GrowSnapshot{LV: v, To: 1024 * mib},
		row(fields{"lv_role": "public,snapshot,thicksnapshot", "origin_size": "67108864", "lv_size": "71303168"}), nil),
	Entry("LVM says nothing", change.SetTags{LV: v, Add: tags, Remove: []string{"x"}}, row(nil), nil),
	Entry(nil, change.Activate{LV: v}, row(nil), nil),
	Entry("LVM is not asked", change.Deactivate{LV: v}, row(fields{"lv_active": ""}), map[string]answer{"lvchange": {code: 5}}),
	Entry(nil, change.CloneVolume{LV: newV, Origin: "o", OriginUUID: uuid, Tags: tags},
		row(fields{"lv_layout": "thin,sparse", "origin": "o"}), taken),
	Entry("LVM is not asked", change.Rename{LV: change.LV{VolumeGroup: "vg0", Name: "old", UUID: uuid}, To: "v"}, row(nil), map[string]answer{"lvrename": {code: 5}}),
	Entry("its old name was given away", change.Rename{LV: change.LV{VolumeGroup: "vg0", Name: "o", UUID: otherUUID}, To: "v"},
		row(fields{"lv_uuid": otherUUID}), map[string]answer{"lvrename": {code: 5}}),
	Entry("LVM is not asked", change.StartClearing{LV: v, Tags: tags}, row(clearingV), map[string]answer{"lvchange": {code: 5}}),
	Entry("split off", change.SplitSnapshot{LV: v}, row(clearingV), map[string]answer{"lvconvert": {code: 5}}),
	Entry("gone", change.RemoveLV{LV: v, Tags: tags}, "",
		map[string]answer{"lvremove": {code: 5, stderr: `Failed to find logical volume "vg0/v"`}}),
	Entry("gone, and LVM says nothing", change.RemoveLV{LV: v, Tags: tags}, "", nil),
)

var _ = DescribeTable("no snapshot is taken of what is incomplete",
	func(ctx SpecContext, c change.Change, phase ondisk.DataPhase) {
		m := &script{there: map[string]string{"vg0/o": row(fields{"lv_name": "o", "lv_tags": ondisk.PhaseTag(phase)})}}
		Expect(New(m, m).Apply(ctx, c)).To(MatchError(change.ErrStale))
	},
	Entry("thin, while it is put back", change.CreateSnapshot{LV: newV, Origin: "o", OriginUUID: uuid, Thin: true, Tags: tags}, ondisk.Reverting),
	Entry("thick, while it is put back", change.CreateSnapshot{LV: newV, Origin: "o", OriginUUID: uuid, Size: 16 * mib, Tags: tags}, ondisk.Reverting),
	Entry("a clone, while it is put back", change.CloneVolume{LV: newV, Origin: "o", OriginUUID: uuid, Tags: tags}, ondisk.Reverting),
	Entry("a clone, while it is filled", change.CloneVolume{LV: newV, Origin: "o", OriginUUID: uuid, Tags: tags}, ondisk.Populating),
)

var _ = DescribeTable("a machine that is not what the plan saw",
	func(ctx SpecContext, c change.Change, now string, answers map[string]answer) {
		m := &script{answers: answers, there: map[string]string{"vg0/o": row(fields{"lv_name": "o"})}}
		if now != "" {
			m.there["vg0/v"] = now
		}
		Expect(New(m, m).Apply(ctx, c)).To(MatchError(change.ErrStale))
	},
	Entry("another type", change.CreateVolume{LV: newV, ThinPool: "p", Size: 64 * mib, Tags: tags}, row(nil), taken),
	Entry("another pool", change.CreateVolume{LV: newV, ThinPool: "p", Size: 64 * mib, Tags: tags},
		row(fields{"lv_layout": "thin,sparse", "pool_lv": "q"}), taken),
	Entry("a snapshot", change.CreateVolume{LV: newV, ThinPool: "p", Size: 64 * mib, Tags: tags},
		row(fields{"lv_layout": "thin,sparse", "pool_lv": "p", "origin": "o"}), taken),
	Entry("a smaller one", change.CreateVolume{LV: newV, Size: 128 * mib, Tags: tags}, row(nil), taken),
	Entry("an inactive one", change.CreateVolume{LV: newV, Size: 64 * mib, Tags: tags}, row(fields{"lv_active": ""}), taken),
	Entry("not ours", change.CreateVolume{LV: newV, Size: 64 * mib, Tags: tags}, row(fields{"lv_tags": ""}), taken),
	Entry("another object's", change.CreateVolume{LV: newV, Size: 64 * mib, Tags: tags}, row(fields{"lv_tags": "volreconciler/name=w"}), taken),
	Entry("another origin", change.CreateSnapshot{LV: newV, Origin: "o", Thin: true, Tags: tags},
		row(fields{"lv_layout": "thin,sparse", "origin": "x"}), taken),
	Entry("another origin of that name", change.CreateSnapshot{LV: newV, Origin: "o", OriginUUID: otherUUID, Thin: true, Tags: tags}, "", nil),
	Entry("another thick origin of that name", change.CreateSnapshot{LV: newV, Origin: "o", OriginUUID: otherUUID, Size: 16 * mib, Tags: tags}, "", nil),
	Entry("a thin snapshot's origin gone", change.CreateSnapshot{LV: newV, Origin: "none", OriginUUID: uuid, Thin: true, Tags: tags}, "", nil),
	Entry("no origin", change.CreateSnapshot{LV: newV, Origin: "none", Tags: tags}, "", nil),
	Entry("grow: gone", change.GrowVolume{LV: v, To: 128 * mib}, "", nil),
	Entry("grow: another one", change.GrowVolume{LV: v, To: 128 * mib}, row(fields{"lv_uuid": otherUUID}), nil),
	Entry("grow: another type", change.GrowThinPool{LV: v, To: 128 * mib}, row(nil), nil),
	Entry("tags: another one", change.SetTags{LV: v, Add: tags}, row(fields{"lv_uuid": otherUUID}), nil),
	Entry("tags: not taken", change.SetTags{LV: v, Add: []string{"a"}}, row(nil), nil),
	Entry("tags: not dropped", change.SetTags{LV: v, Remove: tags}, row(nil), nil),
	Entry("activate: gone", change.Activate{LV: v}, "", nil),
	Entry("activate: another one", change.Activate{LV: v}, row(fields{"lv_uuid": otherUUID}), nil),
	Entry("activate: not ours", change.Activate{LV: newV}, row(fields{"lv_tags": ""}), nil),
	Entry("deactivate: gone", change.Deactivate{LV: v}, "", nil),
	Entry("deactivate: another one", change.Deactivate{LV: v}, row(fields{"lv_uuid": otherUUID}), nil),
	Entry("rename: gone", change.Rename{LV: v, To: "w"}, "", nil),
	Entry("rename: another one", change.Rename{LV: v, To: "w"}, row(fields{"lv_uuid": otherUUID}), nil),
	Entry("rename: the name is taken", change.Rename{LV: v, To: "o"}, row(nil),
		map[string]answer{"lvrename": {code: 5, stderr: `Logical Volume "o" already exists in volume group "vg0"`}}),
	Entry("rename: gone at the last moment", change.Rename{LV: v, To: "w"}, row(nil),
		map[string]answer{"lvrename": {code: 5, stderr: `Existing logical volume "v" not found in volume group "vg0"`}}),
	Entry("clone: another origin of that name", change.CloneVolume{LV: newV, Origin: "o", OriginUUID: otherUUID, Tags: tags}, "", nil),
	Entry("clone: its origin no longer exists", change.CloneVolume{LV: newV, Origin: "none", OriginUUID: uuid, Tags: tags}, "", nil),
	Entry("clone: an inactive one", change.CloneVolume{LV: newV, Origin: "o", OriginUUID: uuid, Tags: tags},
		row(fields{"lv_layout": "thin,sparse", "origin": "o", "lv_active": ""}), taken),
	Entry("clone: of something else", change.CloneVolume{LV: newV, Origin: "o", OriginUUID: uuid, Tags: tags},
		row(fields{"lv_layout": "thin,sparse", "origin": "x"}), taken),
	Entry("clear: gone", change.StartClearing{LV: v, Tags: tags}, "", nil),
	Entry("clear: another one", change.StartClearing{LV: v, Tags: tags}, row(fields{"lv_uuid": otherUUID}), nil),
	Entry("clear: nothing selected", change.StartClearing{LV: v, Tags: tags}, row(fields{"lv_tags": "volreconciler/kind=volume"}), nil),
	Entry("split: gone", change.SplitSnapshot{LV: v}, "", nil),
	Entry("split: another one", change.SplitSnapshot{LV: v}, row(fields{"lv_uuid": otherUUID, "lv_tags": "volreconciler/phase=clearing"}), nil),
	Entry("split: not to be cleared", change.SplitSnapshot{LV: v},
		row(fields{"lv_role": "public,snapshot,thicksnapshot", "origin_size": "67108864"}), nil),
	Entry("split: a thin snapshot", change.SplitSnapshot{LV: v},
		row(fields{"lv_layout": "thin,sparse", "origin": "o", "lv_tags": "volreconciler/phase=clearing"}), nil),
	Entry("remove: another one", change.RemoveLV{LV: v, Tags: tags}, row(fields{"lv_uuid": otherUUID}), nil),
	Entry("remove: nothing selected", change.RemoveLV{LV: v, Tags: tags}, row(fields{"lv_tags": ""}), nil),
)

var _ = DescribeTable("what LVM's errors mean",
	func(code int, stderr string, want error) {
		err := classify(&host.CommandError{ExitCode: code, Stderr: stderr})
		for _, class := range []error{change.ErrNoSpace, change.ErrInUse, change.ErrStale} {
			Expect(errors.Is(err, class)).To(Equal(errors.Is(want, class)), "%v", class)
		}
		var cmd *host.CommandError
		Expect(errors.As(err, &cmd)).To(BeTrue(), "the cause is kept")
	},
	Entry(nil, 5, `Volume group "vg1" has insufficient free space (146 extents): 16384 required.`, change.ErrNoSpace),
	Entry(nil, 5, "Insufficient free space: 16352 extents needed, but only 146 available", change.ErrNoSpace),
	Entry(nil, 5, "Insufficient suitable allocatable extents for logical volume r1: 6 more required", change.ErrNoSpace),
	Entry(nil, 5, "Cannot create new thin volume, free space in thin pool vg0/full reached threshold.", change.ErrNoSpace),
	Entry(nil, 5, "VG vg0 1300 metadata on /dev/vda (262600 bytes) too large for circular buffer (520192 bytes with 262300 used)", change.ErrNoSpace),
	Entry(nil, 5, "Logical volume vg1/t1 in use.", change.ErrInUse),
	Entry(nil, 5, "Logical volume vg1/t1 contains a filesystem in use.", change.ErrInUse),
	Entry(nil, 5, "Logical volume vg1/t1 is used by another device.", change.ErrInUse),
	Entry(nil, 5, "LV vg1/o has open 1 snapshot(s), not deactivating.", change.ErrInUse),
	Entry(nil, 5, `Failed to find logical volume "vg1/gone"`, change.ErrStale),
	Entry(nil, 5, "Snapshot origin LV no not found in Volume group vg1.", change.ErrStale),
	Entry(nil, 5, "Pool nopool not found in Volume group vg1.", change.ErrStale),
	Entry(nil, 5, "Logical volume x not found in volume group vg1.", change.ErrStale),
	Entry(nil, 5, "Volume group \"novg\" not found\nCannot process volume group novg", change.ErrStale),
	Entry(nil, 5, "Snapshot origin volumes can be resized only while inactive: try lvchange -an.", nil),
	Entry("bad arguments", 3, "Insufficient free space", nil),
	Entry("not run", -1, "Logical volume vg1/t1 in use.", nil),
)

var _ = DescribeTable("taking away a device that is open says by whom",
	func(ctx SpecContext, c change.Change, command string) {
		m := &script{there: map[string]string{"vg0/v": row(nil)},
			answers: map[string]answer{command: {code: 5, stderr: "Logical volume vg0/v contains a filesystem in use."}}}
		err := New(m, m).Apply(ctx, c)
		Expect(err).To(MatchError(change.ErrInUse))
		Expect(err).To(MatchError(ContainSubstring("(mounted on /mnt)")))
	},
	Entry(nil, change.RemoveLV{LV: v, Tags: tags}, "lvremove"),
	Entry(nil, change.Deactivate{LV: v}, "lvchange"),
)

var _ = It("does not begin to clear what is open", func(ctx SpecContext) {
	m := &script{there: map[string]string{"vg0/v": row(fields{"lv_device_open": "open"})}}
	err := New(m, m).Apply(ctx, change.StartClearing{LV: v, Tags: tags})
	Expect(err).To(MatchError(change.ErrInUse))
	Expect(err).To(MatchError(ContainSubstring("(mounted on /mnt)")))
	Expect(m.ran).To(BeEmpty())
})

var _ = DescribeTable("changes that are refused before anything runs",
	func(ctx SpecContext, c change.Change) {
		m := &script{}
		err := New(m, m).Apply(ctx, c)
		Expect(err).To(HaveOccurred())
		Expect(err).NotTo(MatchError(change.ErrStale), "a new pass would not help")
		Expect(m.ran).To(BeEmpty())
	},
	Entry("a name that is an option", change.CreateVolume{LV: change.LV{VolumeGroup: "vg0", Name: "-v"}, Tags: tags}),
	Entry("a volume group that is an option", change.CreateVolume{LV: change.LV{VolumeGroup: "--vg0", Name: "v"}, Tags: tags}),
	Entry("an origin that is an option", change.CreateSnapshot{LV: newV, Origin: "-o", Tags: tags}),
	Entry("an origin's UUID that is a condition", change.CreateSnapshot{LV: newV, Origin: "o", OriginUUID: "1=1", Tags: tags}),
	Entry("a pool elsewhere", change.CreateVolume{LV: newV, ThinPool: "a/b", Tags: tags}),
	Entry("a tag that is a condition", change.RemoveLV{LV: v, Tags: []string{"a || lv_name=b"}}),
	Entry("a UUID that is a condition", change.RemoveLV{LV: change.LV{VolumeGroup: "vg0", Name: "v", UUID: uuid + "||1=1"}, Tags: tags}),
	Entry("no UUID of what is deactivated", change.Deactivate{LV: newV}),
	Entry("no UUID", change.RemoveLV{LV: newV, Tags: tags}),
	Entry("no tags", change.RemoveLV{LV: v}),
	Entry("no tags of what is cleared", change.StartClearing{LV: v}),
	Entry("no UUID of what is cleared", change.StartClearing{LV: newV, Tags: tags}),
	Entry("no UUID of what is renamed", change.Rename{LV: newV, To: "w"}),
	Entry("a new name that is an option", change.Rename{LV: v, To: "-w"}),
	Entry("a new name elsewhere", change.Rename{LV: v, To: "vg1/w"}),
	Entry("no UUID of what is split off", change.SplitSnapshot{LV: newV}),
	Entry("no UUID of what is cloned", change.CloneVolume{LV: newV, Origin: "o", Tags: tags}),
	Entry("an origin of a clone that is an option", change.CloneVolume{LV: newV, Origin: "-o", OriginUUID: uuid, Tags: tags}),
	Entry("a clone with a tag of somebody else alone", change.CloneVolume{LV: newV, Origin: "o", OriginUUID: uuid, Tags: []string{"-t"}}),
	Entry("a tag that begins another", change.SetTags{LV: v, Add: []string{"a,b"}}),
	Entry("a tag that ends a quoted one", change.RemoveLV{LV: v, Tags: []string{`a#"`}}),
	Entry("no tag", change.SetTags{LV: v, Add: []string{""}}),
	Entry("a change to something else", change.EnableTarget{}),
)

var _ = Describe("a logical volume that lvm.conf keeps inactive", func() {
	inactive := func(lvmconfig answer) *script {
		return &script{there: map[string]string{"vg0/v": row(fields{"lv_active": ""})}, filters: true, answers: map[string]answer{"lvm": lvmconfig}}
	}
	It("is reported with the list that does not have it", func(ctx SpecContext) {
		m := inactive(answer{stdout: "volume_list=\"other\"\n"})
		Expect(New(m, m).Apply(ctx, change.Activate{LV: v})).To(And(MatchError(change.ErrUnsupported),
			MatchError(ContainSubstring(`activation/volume_list = "other" does not include it. Add "vg0/v" to the list (lvmconfig activation/volume_list)`))))
	})
	It("is reported with the host's tags where there is no such list", func(ctx SpecContext) {
		m := inactive(answer{})
		Expect(New(m, m).Apply(ctx, change.Activate{LV: v})).To(And(MatchError(change.ErrUnsupported),
			MatchError(ContainSubstring("the host has tags")), MatchError(ContainSubstring("lvmconfig tags"))))
	})
	It("is not created, with the same words", func(ctx SpecContext) {
		m := inactive(answer{stdout: "volume_list=\"other\"\n"})
		m.answers["lvcreate"] = answer{code: 5, stderr: "Volume vg0/v is not active locally (volume_list activation filter?)."}
		Expect(New(m, m).Apply(ctx, change.CreateVolume{LV: newV, Size: 64 * mib, Tags: tags})).To(MatchError(ContainSubstring("Add \"vg0/v\" to the list")))
	})
})

var _ = DescribeTable("a volume group that lacks physical volumes by now is not written to",
	func(ctx SpecContext, c change.Change) {
		m := &script{there: map[string]string{"vg0/v": row(fields{"vg_missing_pv_count": "1"})}}
		Expect(New(m, m).Apply(ctx, c)).To(And(MatchError(change.ErrStale), MatchError(ContainSubstring("lacks 1 physical volume(s)"))))
		Expect(m.ran).To(BeEmpty())
	},
	Entry(nil, change.SetTags{LV: v, Add: []string{"a"}}),
	Entry(nil, change.RemoveLV{LV: v, Tags: tags}),
	Entry(nil, change.StartClearing{LV: v, Tags: tags}),
)
