package lvm

import (
	"context"
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// machine is a machine in memory with a thin pool. It records what changes it.
type machine struct {
	*fakehost.Tap
	fake *fakehost.Host
	ran  []string
	// pool is the lv_attr of thin pools; empty: as it is.
	pool string
}

func newMachine() *machine {
	GinkgoHelper()
	fake, err := fakehost.New(fakehost.Node{VolumeGroups: []fakehost.VolumeGroup{{Name: "vg0", ExtentSize: 4 * mib, Extents: 1000}}})
	Expect(err).NotTo(HaveOccurred())
	m := &machine{fake: fake, Tap: &fakehost.Tap{Host: fake}}
	m.by("lvcreate", "-y", "--type", "thin-pool", "-L", "512m", "-n", "p", "vg0")
	m.Before = func(c fakehost.Call) error {
		if c.Changes() {
			m.ran = append(m.ran, c.String())
		}
		return nil
	}
	return m
}

func (m *machine) Run(ctx context.Context, argv ...string) (host.Output, error) {
	out, err := m.Tap.Run(ctx, argv...)
	if m.pool != "" {
		out.Stdout = []byte(strings.ReplaceAll(string(out.Stdout), `"twi-aotz--"`, `"`+m.pool+`"`))
		out.Stdout = []byte(strings.ReplaceAll(string(out.Stdout), `"twi-a-tz--"`, `"`+m.pool+`"`))
	}
	return out, err
}

// by is somebody else's command.
func (m *machine) by(argv ...string) {
	GinkgoHelper()
	_, err := m.fake.Run(context.Background(), argv...)
	Expect(err).NotTo(HaveOccurred())
}

func (m *machine) uuid(name string) string {
	for _, lv := range m.fake.Node().VolumeGroups[0].LogicalVolumes {
		if lv.Name == name {
			return lv.UUID
		}
	}
	return ""
}

func (m *machine) active() []string {
	var names []string
	for _, lv := range m.fake.Node().VolumeGroups[0].LogicalVolumes {
		if lv.Active && lv.Name != "p" {
			names = append(names, lv.Name)
		}
	}
	slices.Sort(names)
	return names
}

func tagsOf(name string) []string {
	return []string{ondisk.TagPrefix + "kind=volume", ondisk.TagPrefix + "name=" + name}
}

func thinVolume(name string) change.Change {
	return change.CreateVolume{LV: change.LV{VolumeGroup: "vg0", Name: name}, ThinPool: "p", Size: 16 * mib, Tags: tagsOf(name)}
}

func thinVolumes(names ...string) []change.Change {
	var changes []change.Change
	for _, name := range names {
		changes = append(changes, thinVolume(name))
	}
	return changes
}

var _ = Describe("changes that are made together", func() {
	var m *machine
	BeforeEach(func() { m = newMachine() })
	apply := func(ctx context.Context, changes ...change.Change) []error {
		GinkgoHelper()
		a := New(fakehost.Shell{Runner: m}, m)
		Expect(a.Batch(changes)).To(Equal(len(changes)))
		return a.ApplyAll(ctx, changes)
	}
	activate := func(name string) change.Change {
		return change.Activate{LV: change.LV{VolumeGroup: "vg0", Name: name, UUID: m.uuid(name)}}
	}
	all := func(is ...any) OmegaMatcher { return HaveExactElements(is...) }

	It("creates thin volumes inactive, and activates them with one command", func(ctx SpecContext) {
		Expect(apply(ctx, thinVolumes("a", "b")...)).To(all(BeNil(), BeNil()))
		Expect(m.ran).To(Equal([]string{
			"lvcreate -n a --addtag volreconciler/kind=volume --addtag volreconciler/name=a -y -V 16777216b -T vg0/p -an",
			"lvcreate -n b --addtag volreconciler/kind=volume --addtag volreconciler/name=b -y -V 16777216b -T vg0/p -an",
			"lvchange -ay -K -S (lv_tags=volreconciler/kind=volume) vg0/a vg0/b",
		}))
		Expect(m.active()).To(Equal([]string{"a", "b"}))
		Expect(apply(ctx, thinVolumes("a", "b")...)).To(all(BeNil(), BeNil()), "they are there already")
	})
	It("continues with those that a crash left inactive", func(ctx SpecContext) {
		m.by("lvcreate", "-y", "-an", "-V", "16m", "-T", "vg0/p", "-n", "a", "--addtag", tagsOf("a")[0], "--addtag", tagsOf("a")[1])
		Expect(apply(ctx, thinVolumes("a", "b")...)).To(all(BeNil(), BeNil()))
		Expect(m.active()).To(Equal([]string{"a", "b"}))
	})
	It("leaves alone what has the name of one and is not ours", func(ctx SpecContext) {
		m.by("lvcreate", "-y", "-an", "-V", "16m", "-T", "vg0/p", "-n", "b")
		m.by("lvcreate", "-y", "-an", "-V", "16m", "-T", "vg0/p", "-n", "c", "--addtag", tagsOf("x")[0], "--addtag", tagsOf("x")[1])
		Expect(apply(ctx, thinVolumes("a", "b", "c", "d")...)).To(all(BeNil(), MatchError(change.ErrStale), MatchError(change.ErrStale), BeNil()))
		Expect(m.active()).To(Equal([]string{"a", "d"}))
	})
	It("creates those together that have no tags in common", func(ctx SpecContext) {
		b := change.CreateVolume{LV: change.LV{VolumeGroup: "vg0", Name: "b"}, ThinPool: "p", Size: mib, Tags: []string{ondisk.TagPrefix + "kind=source"}}
		Expect(apply(ctx, thinVolume("a"), b)).To(all(BeNil(), BeNil()))
		Expect(m.active()).To(Equal([]string{"a", "b"}))
	})
	It("activates nothing that took the place of what it created", func(ctx SpecContext) {
		m.After = func(c fakehost.Call, err error) error {
			if strings.HasPrefix(c.String(), "lvcreate -n b ") {
				m.by("lvrename", "vg0/a", "vg0/old")
				m.by("lvcreate", "-y", "-an", "-V", "16m", "-T", "vg0/p", "-n", "a")
			}
			return err
		}
		Expect(apply(ctx, thinVolumes("a", "b")...)).To(all(MatchError(change.ErrStale), BeNil()))
		Expect(m.active()).To(Equal([]string{"b"}))
	})
	It("creates active ones in a thin pool that does not clear new blocks, because LVM clears their start then", func(ctx SpecContext) {
		m.pool = "twi-a-t---"
		Expect(apply(ctx, thinVolumes("a", "b")...)).To(all(BeNil(), BeNil()))
		Expect(m.ran[:2]).To(HaveEach(HaveSuffix("-T vg0/p")))
	})
	It("creates copies of volumes, but none of what is incomplete", func(ctx SpecContext) {
		Expect(apply(ctx, thinVolumes("o", "half")...)).To(all(BeNil(), BeNil()))
		m.by("lvchange", "--addtag", ondisk.PhaseTag(ondisk.Reverting), "vg0/half")
		copyOf := func(name, origin string) change.Change {
			return change.CloneVolume{LV: change.LV{VolumeGroup: "vg0", Name: name}, Origin: origin, OriginUUID: m.uuid(origin), Tags: tagsOf(name)}
		}
		Expect(apply(ctx, copyOf("a", "o"), copyOf("b", "half"), copyOf("c", "o"))).To(all(BeNil(), MatchError(change.ErrStale), BeNil()))
		Expect(m.active()).To(Equal([]string{"a", "c", "half", "o"}))
	})
	It("activates what there is, and says of each what is wrong with it", func(ctx SpecContext) {
		for _, name := range []string{"a", "b", "c", "d"} {
			m.by("lvcreate", "-y", "-an", "-V", "16m", "-T", "vg0/p", "-n", name)
		}
		a, b, c, d := activate("a"), activate("b"), activate("c"), activate("d")
		m.by("lvremove", "-y", "vg0/b")
		m.by("lvremove", "-y", "vg0/c")
		m.by("lvcreate", "-y", "-an", "-V", "16m", "-T", "vg0/p", "-n", "c")
		Expect(apply(ctx, a, b, c, d)).To(all(BeNil(), MatchError(change.ErrStale), MatchError(ContainSubstring("has been replaced")), BeNil()))
		Expect(m.active()).To(Equal([]string{"a", "d"}))
		Expect(m.ran).To(HaveExactElements(HavePrefix("lvchange -ay -K -S lv_uuid=")))
	})
	It("tries those alone that LVM does not activate, for the error of each", func(ctx SpecContext) {
		for _, name := range []string{"a", "b", "c"} {
			m.by("lvcreate", "-y", "-an", "-V", "16m", "-T", "vg0/p", "-n", name)
		}
		Expect(m.fake.Edit(func(n *fakehost.Node) {
			for i, lv := range n.VolumeGroups[0].LogicalVolumes {
				if lv.Name == "b" {
					n.VolumeGroups[0].LogicalVolumes[i].Damage = "it is broken"
				}
			}
		})).To(Succeed())
		Expect(apply(ctx, activate("a"), activate("b"), activate("c"))).To(all(BeNil(), MatchError(ContainSubstring("it is broken")), BeNil()))
		Expect(m.active()).To(Equal([]string{"a", "c"}))
	})
	It("activates nothing whose UUID the plan does not know and that nobody marked as ours", func(ctx SpecContext) {
		m.by("lvcreate", "-y", "-an", "-V", "16m", "-T", "vg0/p", "-n", "a")
		m.by("lvcreate", "-y", "-an", "-V", "16m", "-T", "vg0/p", "-n", "b", "--addtag", tagsOf("b")[0], "--addtag", tagsOf("b")[1])
		one := func(name string) change.Change { return change.Activate{LV: change.LV{VolumeGroup: "vg0", Name: name}} }
		Expect(apply(ctx, one("a"), one("b"))).To(all(MatchError(change.ErrStale), BeNil()))
		Expect(m.active()).To(Equal([]string{"b"}))
	})
	It("ends between two commands", func() {
		ctx, cancel := context.WithCancel(context.Background())
		m.After = func(c fakehost.Call, err error) error {
			if c.Changes() {
				cancel()
			}
			return err
		}
		Expect(apply(ctx, thinVolumes("a", "b", "c")...)).To(all(MatchError(context.Canceled), MatchError(context.Canceled), MatchError(context.Canceled)))
		Expect(m.ran).To(HaveLen(1))
	})
	It("has an error for each that does not fit", func(ctx SpecContext) {
		Expect(m.fake.Edit(func(n *fakehost.Node) { n.VolumeGroups[0].LogicalVolumes[0].DataPercent = 100 })).To(Succeed())
		Expect(apply(ctx, thinVolumes("a", "b")...)).To(all(MatchError(change.ErrNoSpace), MatchError(change.ErrNoSpace)))
	})
	It("refuses what LVM could take for something else, and makes the others", func(ctx SpecContext) {
		bad := change.CreateVolume{LV: change.LV{VolumeGroup: "vg0", Name: "b"}, ThinPool: "p", Size: mib, Tags: []string{"a,b"}}
		Expect(apply(ctx, thinVolume("a"), bad, thinVolume("c"))).To(all(BeNil(), MatchError(ContainSubstring("not a tag accepted by LVM")), BeNil()))
		Expect(m.active()).To(Equal([]string{"a", "c"}))
	})
})

var _ = Describe("removals that are made together", func() {
	var (
		m       *machine
		removal = func(name string) change.Change {
			return change.RemoveLV{LV: change.LV{VolumeGroup: "vg0", Name: name, UUID: m.uuid(name)}, Tags: tagsOf(name)}
		}
		removals = func(names ...string) (all []change.Change) {
			for _, name := range names {
				all = append(all, removal(name))
			}
			return all
		}
		apply = func(ctx context.Context, changes ...change.Change) []error {
			GinkgoHelper()
			a := New(fakehost.Shell{Runner: m}, m)
			Expect(a.Batch(changes)).To(Equal(len(changes)))
			return a.ApplyAll(ctx, changes)
		}
		left = func() (names []string) {
			for _, lv := range m.fake.Node().VolumeGroups[0].LogicalVolumes {
				names = append(names, lv.Name)
			}
			slices.Sort(names)
			return names
		}
	)
	BeforeEach(func() {
		m = newMachine()
		for _, name := range []string{"a", "b", "c"} {
			m.by("lvcreate", "-y", "-V", "16m", "-T", "vg0/p", "-n", name, "--addtag", tagsOf(name)[0], "--addtag", tagsOf(name)[1])
		}
	})

	It("are one command with the conditions of each", func(ctx SpecContext) {
		a, b := m.uuid("a"), m.uuid("b")
		Expect(apply(ctx, removals("a", "b")...)).To(HaveExactElements(BeNil(), BeNil()))
		Expect(left()).To(Equal([]string{"c", "p"}))
		Expect(m.ran).To(Equal([]string{"lvremove -y -S ((lv_uuid=" + a + " && lv_tags=volreconciler/kind=volume && lv_tags=volreconciler/name=a)" +
			" || (lv_uuid=" + b + " && lv_tags=volreconciler/kind=volume && lv_tags=volreconciler/name=b)) && " + nothingWithIt + " vg0/a vg0/b"}))
	})
	It("leave what is open, and remove the others", func(ctx SpecContext) {
		Expect(m.fake.Edit(func(n *fakehost.Node) { n.Mounts = []fakehost.Mount{{LV: "vg0/b", Dir: "/mnt"}} })).To(Succeed())
		Expect(apply(ctx, removals("a", "b", "c")...)).To(HaveExactElements(BeNil(), MatchError(change.ErrInUse), BeNil()))
		Expect(left()).To(Equal([]string{"b", "p"}))
	})
	It("leave what lost its tags, and what has the name of one", func(ctx SpecContext) {
		all := removals("a", "b", "c")
		m.by("lvchange", "--deltag", tagsOf("a")[1], "vg0/a")
		m.by("lvrename", "vg0/b", "vg0/old")
		m.by("lvcreate", "-y", "-V", "16m", "-T", "vg0/p", "-n", "b", "--addtag", tagsOf("b")[0], "--addtag", tagsOf("b")[1])
		Expect(apply(ctx, all...)).To(HaveExactElements(MatchError(change.ErrStale), MatchError(ContainSubstring("has been replaced")), BeNil()))
		Expect(left()).To(Equal([]string{"a", "b", "old", "p"}))
	})
	It("remove none that has the UUID of one and the tags of another", func(ctx SpecContext) {
		all := removals("a", "b", "c")
		m.by("lvchange", "--deltag", tagsOf("a")[1], "--addtag", tagsOf("b")[1], "vg0/a")
		Expect(apply(ctx, all...)).To(HaveExactElements(MatchError(change.ErrStale), BeNil(), BeNil()))
		Expect(left()).To(Equal([]string{"a", "p"}))
	})
	It("leave an origin that somebody took a snapshot of meanwhile", func(ctx SpecContext) {
		for _, name := range []string{"x", "y"} {
			m.by("lvcreate", "-y", "-L", "16m", "-n", name, "vg0", "--addtag", tagsOf(name)[0], "--addtag", tagsOf(name)[1])
		}
		all := removals("x", "y")
		m.by("lvcreate", "-y", "-s", "-L", "8m", "-n", "precious", "vg0/x")
		Expect(apply(ctx, all...)).To(HaveExactElements(MatchError(change.ErrStale), BeNil()))
		Expect(left()).To(Equal([]string{"a", "b", "c", "p", "precious", "x"}))
	})
	It("remove an origin after its snapshot, as the plan has them", func(ctx SpecContext) {
		m.by("lvcreate", "-y", "-L", "16m", "-n", "x", "vg0", "--addtag", tagsOf("x")[0], "--addtag", tagsOf("x")[1])
		m.by("lvcreate", "-y", "-s", "-L", "8m", "-n", "s", "vg0/x", "--addtag", tagsOf("s")[0], "--addtag", tagsOf("s")[1])
		Expect(apply(ctx, removals("s", "x")...)).To(HaveExactElements(BeNil(), BeNil()))
		Expect(m.ran).To(HaveLen(2), "LVM had selected before the snapshot was gone")
		Expect(left()).To(Equal([]string{"a", "b", "c", "p"}))
	})
	It("remove nothing where physical volumes are missing", func(ctx SpecContext) {
		all := removals("a", "b")
		Expect(m.fake.Edit(func(n *fakehost.Node) { n.VolumeGroups[0].MissingPVs = 1 })).To(Succeed())
		Expect(apply(ctx, all...)).To(HaveEach(MatchError(change.ErrStale)))
		Expect(m.ran).To(BeEmpty())
	})
	It("are done already if there is nothing any more", func(ctx SpecContext) {
		all := removals("a", "b")
		m.by("lvremove", "-y", "vg0/a", "vg0/b")
		Expect(apply(ctx, all...)).To(HaveExactElements(BeNil(), BeNil()))
		Expect(m.ran).To(BeEmpty())
	})
	It("refuse what LVM could take for something else", func(ctx SpecContext) {
		all := []change.Change{removal("a"), change.RemoveLV{LV: change.LV{VolumeGroup: "vg0", Name: "b", UUID: m.uuid("b") + "||1=1"}, Tags: tagsOf("b")}, change.RemoveLV{LV: v}}
		Expect(apply(ctx, all...)).To(HaveExactElements(BeNil(), HaveOccurred(), HaveOccurred()))
		Expect(left()).To(Equal([]string{"b", "c", "p"}))
	})
})

var _ = DescribeTable("how many changes are made together",
	func(want int, changes []change.Change) {
		Expect(New(nil, nil).Batch(changes)).To(BeNumerically("<=", len(changes)))
		Expect(max(1, New(nil, nil).Batch(changes))).To(Equal(want))
	},
	Entry("thin volumes", 2, thinVolumes("a", "b")),
	Entry("one in another volume group", 1, []change.Change{thinVolume("a"), change.CreateVolume{LV: change.LV{VolumeGroup: "vg1", Name: "b"}, ThinPool: "p"}}),
	Entry("thick volumes, which LVM clears when it activates them", 1, []change.Change{change.CreateVolume{LV: newV}, change.CreateVolume{LV: newV}}),
	Entry("what marks data as being cleared", 1, []change.Change{change.StartClearing{LV: v, Tags: tags}, change.StartClearing{LV: v, Tags: tags}}),
	Entry("different things", 1, []change.Change{change.Activate{LV: v}, thinVolume("a")}),
	Entry("no more than a batch", batchSize, func() (many []change.Change) {
		for i := range 100 {
			many = append(many, thinVolume(fmt.Sprint("v", i)))
		}
		return many
	}()),
)
