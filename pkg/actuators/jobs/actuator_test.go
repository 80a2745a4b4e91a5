package jobs_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/actuators/jobs"
	"github.com/volreconciler/volreconciler/pkg/actuators/lvm"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const otherUUID = "hdgxmh-HqES-WxA5-KHb9-d38T-QjDY-9Iu2MI"

// prepared returns a machine on which a job of crash_test.go can be done.
func prepared(ctx context.Context, name string) (machine, change.Change) {
	GinkgoHelper()
	m := newMachine(ctx)
	Expect(allJobs).To(HaveKey(name))
	return m, allJobs[name].prepare(ctx, m)
}

const (
	fillThick = "fill a thick volume from a thin snapshot"
	fillThin  = "fill an inactive thin volume from a thin snapshot"
	fillImage = "fill a thick volume from an image"
	putBack   = "put a thick volume back"
	clearV    = "clear a thick volume"
)

var _ = DescribeTable("a machine that is not what the plan saw is left alone",
	func(ctx SpecContext, name string, meanwhile func(ctx context.Context, m machine, c change.Change) change.Change, want error) {
		m, c := prepared(ctx, name)
		c = meanwhile(ctx, m, c)
		before, tags := m.content("v"), m.tags("v")
		Expect(m.apply(ctx, c)).To(MatchError(want))
		Expect(m.content("v")).To(Equal(before))
		// That something was to be written may be marked by then.
		begun := func(tag string) bool { return strings.HasPrefix(tag, "checkpoint=") && strings.HasSuffix(tag, ":0") }
		Expect(slices.DeleteFunc(m.tags("v"), begun)).To(Equal(tags))
	},
	Entry("the volume no longer exists", fillThick, run("lvremove -y vg0/v"), change.ErrStale),
	Entry("the volume is another one", fillThick, another, change.ErrStale),
	Entry("the volume is to be cleared", fillThick, run("lvchange --addtag volreconciler/phase=clearing vg0/v"), change.ErrStale),
	Entry("the volume is smaller", fillThick, func(_ context.Context, _ machine, c change.Change) change.Change {
		p := c.(change.Populate)
		p.Size *= 2
		return p
	}, change.ErrStale),
	Entry("the source vanished", fillThick, run("lvremove -y vg0/s"), change.ErrStale),
	Entry("the source is another one", fillThick, func(_ context.Context, _ machine, c change.Change) change.Change {
		p := c.(change.Populate)
		p.Volume.UUID = otherUUID
		return p
	}, change.ErrStale),
	Entry("the source is a thin pool", fillThick, func(_ context.Context, m machine, c change.Change) change.Change {
		p := c.(change.Populate)
		p.Volume = m.named("p")
		return p
	}, change.ErrSource),
	Entry("the image is not there", fillImage, func(_ context.Context, _ machine, c change.Change) change.Change {
		p := c.(change.Populate)
		p.Image = &change.Image{Key: "none", Path: "/none"}
		return p
	}, change.ErrSource),
	Entry("the snapshot overflowed", putBack, func(_ context.Context, m machine, c change.Change) change.Change {
		edit(m, "s", func(lv *fakehost.LogicalVolume) { lv.Invalid = true })
		return c
	}, change.ErrSource),
	Entry("another revert was asked for", putBack, func(_ context.Context, _ machine, c change.Change) change.Change {
		r := c.(change.Restore)
		r.Request = "r3"
		return r
	}, change.ErrStale),
	Entry("nothing is reverted", putBack, run("lvchange --deltag volreconciler/phase=reverting --deltag volreconciler/revert=r2 vg0/v"), change.ErrStale),
	Entry("the volume is mounted", putBack, mount, change.ErrInUse),
	Entry("what is to be cleared is mounted", clearV, func(ctx context.Context, m machine, c change.Change) change.Change {
		m.do(ctx, "lvchange -ay vg0/v")
		return mount(ctx, m, c)
	}, change.ErrInUse),
	Entry("it is not marked for wiping", clearV, run("lvchange --deltag volreconciler/phase=clearing vg0/v"), change.ErrStale),
	Entry("what is to be cleared is another one", clearV, another, change.ErrStale),
	Entry("what is to be cleared is still a snapshot", clearV, func(ctx context.Context, m machine, _ change.Change) change.Change {
		m.do(ctx, "lvcreate -y -L 16m -n o vg0", "lvcreate -y -s -L 8m -n snap"+toClear+" vg0/o")
		return change.Clear{LV: m.named("snap"), Method: spec.ClearZero}
	}, change.ErrStale),
)

// run runs a command by hand.
func run(line string) func(context.Context, machine, change.Change) change.Change {
	return func(ctx context.Context, m machine, c change.Change) change.Change {
		m.do(ctx, line)
		return c
	}
}

func another(ctx context.Context, m machine, c change.Change) change.Change {
	m.do(ctx, "lvremove -y vg0/v", "lvcreate -y -L 16m -n v"+populating+" --addtag volreconciler/phase=clearing vg0")
	return c
}

func mount(_ context.Context, m machine, c change.Change) change.Change {
	GinkgoHelper()
	Expect(m.Edit(func(n *fakehost.Node) { n.Mounts = []fakehost.Mount{{LV: "vg0/v", Dir: "/mnt"}} })).To(Succeed())
	return c
}

// openToSomebody is a machine on which all that is active is open.
type openToSomebody struct{ *fakehost.Host }

func (o openToSomebody) Run(ctx context.Context, argv ...string) (host.Output, error) {
	out, err := o.Host.Run(ctx, argv...)
	out.Stdout = bytes.ReplaceAll(out.Stdout, []byte(`"lv_device_open":""`), []byte(`"lv_device_open":"open"`))
	return out, err
}

// edit changes a logical volume by hand.
func edit(m machine, name string, change func(*fakehost.LogicalVolume)) {
	GinkgoHelper()
	Expect(m.Edit(func(n *fakehost.Node) {
		lvs := n.VolumeGroups[0].LogicalVolumes
		for i := range lvs {
			if lvs[i].Name == name {
				change(&lvs[i])
			}
		}
	})).To(Succeed())
}

var _ = Describe("filling a volume", func() {
	// killed kills a job after the first piece was written, before any checkpoint.
	killed := func(ctx context.Context, m machine, c change.Change) {
		GinkgoHelper()
		calls, err := m.copy().commands(ctx, c)
		Expect(err).NotTo(HaveOccurred())
		first := 0
		for i, call := range calls {
			if strings.HasPrefix(call, "writeblocks") {
				first = i + 1
				break
			}
		}
		Expect(m.applyUntil(ctx, c, first, true)).To(BeTrue())
	}

	It("leaves nothing of a source that it began with", func(ctx SpecContext) {
		m, c := prepared(ctx, fillThin)
		killed(ctx, m, c)
		m.do(ctx, "lvcreate -y -V 16m -T vg0/p -n other")
		m.write("other", 8, 12, "other")
		p := c.(change.Populate)
		p.Volume = m.named("other")
		killed(ctx, m, p)
		Expect(m.apply(ctx, p)).To(Succeed())
		Expect(m.content("v")).To(Equal([]string{"8-12 other"}))
		Expect(m.tags("v")).To(Equal([]string{"filled", "kind=volume", "name=v", "source=volume:s"}))
	})

	It("leaves nothing of a source that it had begun with when that has its turn again", func(ctx SpecContext) {
		m, c := prepared(ctx, putBack)
		m.do(ctx, "lvcreate -y -s -L 20m -n s2 vg0/v")
		// One that ends after a checkpoint.
		killed := func(c change.Change) {
			GinkgoHelper()
			writes := 0
			Expect(apply(ctx, &fakehost.Tap{Host: m.Host, Before: func(c fakehost.Call) error {
				if c.Op == "writeblocks" {
					if writes++; writes == 2 {
						return syscall.EIO
					}
				}
				return nil
			}}, c)).NotTo(Succeed())
		}
		killed(c)
		Expect(m.content("v")[0]).To(Equal("0-4 data"))
		r := c.(change.Restore)
		r.Snapshot = m.named("s2")
		killed(r)
		Expect(m.content("v")[0]).To(Equal("0-1 data"))
		Expect(m.apply(ctx, c)).To(Succeed())
		restored(m)
	})

	It("copies to no device whose blocks have another size", func(ctx SpecContext) {
		m := newMachine(ctx)
		Expect(m.Edit(func(n *fakehost.Node) {
			n.VolumeGroups = append(n.VolumeGroups, fakehost.VolumeGroup{Name: "vg4k", BlockSize: 4096, ExtentSize: 4 * mib, Extents: 50})
		})).To(Succeed())
		m.do(ctx, "lvcreate -y -L 16m -n source vg0", "lvcreate -y -L 16m -n v"+populating+" vg4k")
		m.write("source", 0, 8, "data")
		var v fakehost.LogicalVolume
		for _, lv := range m.Node().VolumeGroups[1].LogicalVolumes {
			v = lv
		}
		c := change.Populate{LV: change.LV{VolumeGroup: "vg4k", Name: "v", UUID: v.UUID}, Volume: m.named("source"), Size: 16 * mib}
		before := m.Content("vg4k/v")
		Expect(m.apply(ctx, c)).To(And(MatchError(change.ErrUnsupported), MatchError(ContainSubstring("512 and 4096 bytes"))))
		Expect(m.Content("vg4k/v")).To(Equal(before))
	})

	It("does not overwrite what somebody has open without a claim", func(ctx SpecContext) {
		m, c := prepared(ctx, putBack)
		before := m.content("v")
		a := jobs.New(openToSomebody(m), lvm.New(m, m), fakehost.Engine{Devices: m}, nil, nil)
		Expect(a.Apply(ctx, c)).To(MatchError(change.ErrInUse))
		Expect(m.content("v")).To(Equal(before))
	})

	It("does not write twice what has reached the device", func(ctx SpecContext) {
		m, c := prepared(ctx, fillThick)
		m.do(ctx, "lvchange --addtag "+ondisk.CheckpointTag(m.named("s").UUID, 8*mib)+" vg0/v")
		m.write("v", 0, 8, "written before")
		Expect(m.apply(ctx, c)).To(Succeed())
		Expect(m.content("v")).To(Equal([]string{"0-8 written before"}))
	})

	It("ends soon when it is cancelled, and deactivates its source", func(ctx SpecContext) {
		m, c := prepared(ctx, fillThick)
		inner, cancel := context.WithCancel(ctx)
		defer cancel()
		writes := 0
		err := apply(inner, &fakehost.Tap{Host: m.Host, After: func(c fakehost.Call, err error) error {
			if c.Op == "writeblocks" {
				writes++
				cancel()
			}
			return err
		}}, c)
		Expect(err).To(MatchError(context.Canceled))
		Expect(writes).To(Equal(1))
		Expect(m.active("s")).To(BeFalse())
		Expect(m.tags("v")).To(ContainElement("phase=populating"))
		Expect(m.apply(ctx, c)).To(Succeed())
		allJobs[fillThick].check(m)
	})

	It("shares a source that it activated with others", func(ctx SpecContext) {
		m, c := prepared(ctx, fillThick)
		m.do(ctx, "lvcreate -y -L 16m -n w"+populating+" vg0")
		tap := &fakehost.Tap{Host: m.Host}
		engine := &pausing{Engine: fakehost.Engine{Devices: tap}, began: make(chan struct{}), goOn: make(chan struct{})}
		a := jobs.New(tap, lvm.New(tap, tap), engine, nil, nil)
		ended := make(chan error)
		go func() { ended <- a.Apply(ctx, c) }()
		Eventually(ctx, engine.began).Should(BeClosed())
		second := c.(change.Populate)
		second.LV = m.named("w")
		Expect(a.Apply(ctx, second)).To(Succeed())
		Expect(m.active("s")).To(BeTrue(), "the first one still copies")
		close(engine.goOn)
		Eventually(ctx, ended).Should(Receive(BeNil()))
		Expect(m.active("s")).To(BeFalse())
		Expect(m.content("w")).To(Equal(filled))
	}, SpecTimeout(10*time.Second))

	It("says that a snapshot overflowed meanwhile", func(ctx SpecContext) {
		m, c := prepared(ctx, "fill a thin volume from a copy-on-write snapshot")
		err := apply(ctx, &fakehost.Tap{Host: m.Host, After: func(c fakehost.Call, err error) error {
			if c.Op == "writeblocks" {
				edit(m, "s", func(lv *fakehost.LogicalVolume) { lv.Invalid = true })
			}
			return err
		}}, c)
		Expect(err).To(MatchError(change.ErrSource))
		Expect(err).To(MatchError(ContainSubstring("overflowed")))
		Expect(m.tags("v")).To(ContainElement("phase=populating"))
	})

	It("tells how far it has come", func(ctx SpecContext) {
		m, c := prepared(ctx, fillThick)
		var told []uint64
		Expect(m.apply(change.WithProgress(ctx, func(p change.Progress) { told = append(told, p.Done*100/p.Total) }), c)).To(Succeed())
		Expect(told).To(Equal([]uint64{25, 50, 75, 100}))
	})

	It("forgets an image that was refused", func(ctx SpecContext) {
		m, c := prepared(ctx, fillImage)
		p := c.(change.Populate)
		p.Image = &change.Image{Key: "none", Path: "/none"}
		tags := m.tags("v")
		Expect(m.apply(ctx, p)).To(MatchError(change.ErrSource))
		Expect(m.tags("v")).To(Equal(tags), "a thin volume would be filled with zeroes later")
	})

	It("says that images cannot be used where nothing can write them", func(ctx SpecContext) {
		m, c := prepared(ctx, fillImage)
		Expect(jobs.New(m, lvm.New(m, m), fakehost.Engine{Devices: m}, nil, nil).Apply(ctx, c)).To(MatchError(ContainSubstring("images")))
	})
})

var _ = DescribeTable("a device that fails leaves the mark, and what is done",
	func(ctx SpecContext, name string, errno syscall.Errno, want error) {
		m, c := prepared(ctx, name)
		writes := 0
		err := apply(ctx, &fakehost.Tap{Host: m.Host, Before: func(c fakehost.Call) error {
			if c.Op == "writeblocks" {
				if writes++; writes == 2 {
					return errno
				}
			}
			return nil
		}}, c)
		Expect(err).To(MatchError(errno))
		Expect(err).To(MatchError(want))
		Expect(m.tags("v")).To(ContainElements(HavePrefix("phase="), MatchRegexp("checkpoint=.*:4194304")))
		Expect(m.apply(ctx, c)).To(Succeed())
		allJobs[name].check(m)
	},
	Entry(nil, fillThick, syscall.ENOSPC, change.ErrNoSpace),
	Entry(nil, putBack, syscall.EIO, syscall.EIO),
	Entry(nil, clearV, syscall.EIO, syscall.EIO),
	Entry(nil, clearV, syscall.EOPNOTSUPP, change.ErrUnsupported),
)

var _ = It("refuses to clear by no method, and changes to something else", func(ctx SpecContext) {
	m, c := prepared(ctx, clearV)
	none := c.(change.Clear)
	none.Method = spec.ClearNone
	for _, wrong := range []change.Change{none, change.Activate{LV: none.LV}} {
		calls, err := m.commands(ctx, wrong)
		Expect(err).To(HaveOccurred())
		Expect(errors.Is(err, change.ErrStale)).To(BeFalse(), "a new pass would not help")
		Expect(calls).To(BeEmpty())
	}
})

var _ = It("does not remove what others depend on", func(ctx SpecContext) {
	m, c := prepared(ctx, clearV)
	m.do(ctx, "lvcreate -y -s -L 8m -n snap vg0/v")
	Expect(m.apply(ctx, c)).To(MatchError(change.ErrStale))
	_, there := m.find("v")
	Expect(there).To(BeTrue())
	Expect(m.content("snap")).To(Equal([]string{"0-16 mine"}))
})
