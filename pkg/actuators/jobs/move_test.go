package jobs_test

import (
	"context"
	"slices"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/actuators/jobs"
	"github.com/volreconciler/volreconciler/pkg/actuators/lvm"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// kind is how logical volumes of a kind are made.
type kind struct {
	create   string // before -n
	in       string // after the name
	snapshot string
	reads    bool // zeroes, where nothing was written
}

var kinds = map[string]kind{
	"thick": {"lvcreate -y -L 16m", " vg0", "lvcreate -y -s -L 20m", false},
	"thin":  {"lvcreate -y -V 16m -T vg0/p", "", "lvcreate -y -s", true},
}

var moveTags = " --addtag " + strings.Join(ondisk.MoveTags("v"), " --addtag ")

// moving makes v, with a snapshot a, and n, which is staged in its place.
func moving(ctx context.Context, m machine, from, to kind) {
	GinkgoHelper()
	m.do(ctx, from.create+" -n v"+ownTags+from.in)
	m.write("v", 0, 16, "")
	m.write("v", 0, 6, "data")
	m.write("v", 9, 10, "data")
	m.do(ctx, from.snapshot+" -n a"+moveTags+" vg0/v")
	m.do(ctx, to.create+" -n n"+ownTags+" --addtag "+ondisk.PhaseTag(ondisk.Staged)+" --addtag "+ondisk.TagIdentity+m.named("v").UUID+to.in)
}

// staged is the change that makes n hold what a snapshot holds.
func staged(m machine, from, since string, to kind) change.Stage {
	GinkgoHelper()
	c := change.Stage{LV: m.named("n"), From: m.named(from), Size: size(16), ReadsZero: to.reads}
	if since != "" {
		c.Since = m.named(since)
	}
	return c
}

func takeOver(m machine, since string) change.Cutover {
	GinkgoHelper()
	return change.Cutover{LV: m.named("v"), Staged: m.named("n"), Since: m.named(since), Size: size(16)}
}

// replaced is the tag that v has when n came in its place.
func replaced(m machine) string {
	return strings.TrimPrefix(ondisk.TagReplacedBy, "volreconciler/") + m.named("n").UUID
}

// syncedWith is the tags of n.
func syncedWith(m machine, snapshot string, bytes uint64) []string {
	GinkgoHelper()
	tag := strings.TrimPrefix(ondisk.SyncedTag(m.named(snapshot).UUID, bytes), "volreconciler/")
	tags := []string{"kind=volume", "name=v", "phase=staged", "identity=" + m.named("v").UUID, tag}
	slices.Sort(tags)
	return tags
}

// do runs commands by hand. @synced is the tag that says what n holds.
func do(lines ...string) func(context.Context, machine) {
	return func(ctx context.Context, m machine) {
		GinkgoHelper()
		for _, t := range m.tags("n") {
			if strings.HasPrefix(t, "synced=") {
				for i := range lines {
					lines[i] = strings.ReplaceAll(lines[i], "@synced", "volreconciler/"+t)
				}
			}
		}
		m.do(ctx, lines...)
	}
}

// fromEachToEach calls a function for each pair of kinds.
func fromEachToEach(spec func(name string, from, to kind)) {
	for from := range kinds {
		for to := range kinds {
			spec(from+" to "+to, kinds[from], kinds[to])
		}
	}
}

var _ = Describe("a move", func() {
	// moved makes it, up to the take-over.
	moved := func(ctx context.Context, from, to kind) machine {
		GinkgoHelper()
		m := newMachine(ctx)
		moving(ctx, m, from, to)
		m.write("v", 4, 8, "later")
		Expect(m.apply(ctx, staged(m, "a", "", to))).To(Succeed())
		Expect(m.content("n")).To(Equal(m.content("a")))
		Expect(m.tags("n")).To(Equal(syncedWith(m, "a", 4*mib)))
		m.do(ctx, from.snapshot+" -n b"+moveTags+" vg0/v")
		Expect(m.apply(ctx, staged(m, "b", "a", to))).To(Succeed())
		Expect(m.content("n")).To(Equal(m.content("b")))
		Expect(m.tags("n")).To(Equal(syncedWith(m, "b", 0)))
		m.do(ctx, "lvremove -y vg0/a")
		m.write("v", 14, 15, "last")
		m.write("v", 9, 10, "")
		return m
	}

	fromEachToEach(func(name string, from, to kind) {
		It("copies all, what changed, and what changed last: "+name, func(ctx SpecContext) {
			m := moved(ctx, from, to)
			last := m.content("v")
			Expect(m.apply(ctx, takeOver(m, "b"))).To(Succeed())
			Expect(m.content("n")).To(Equal(last))
			Expect(m.tags("v")).To(Equal([]string{"kind=volume", "name=v", replaced(m)}))
			for _, done := range []change.Change{takeOver(m, "b"), staged(m, "b", "", to)} {
				calls, err := m.commands(ctx, done)
				if err != nil {
					Expect(err).To(MatchError(change.ErrStale))
				}
				Expect(calls).To(BeEmpty())
			}
			Expect(m.content("n")).To(Equal(last))
		})

		It("writes only what changed: "+name, func(ctx SpecContext) {
			m := moved(ctx, from, to)
			m.write("n", 12, 13, "nobody changed this")
			Expect(m.apply(ctx, takeOver(m, "b"))).To(Succeed())
			Expect(m.content("n")).To(ContainElement("12-13 nobody changed this"))
		})

		It("goes on wherever it was killed: "+name, func(ctx SpecContext) {
			for call := 1; ; call++ {
				for _, after := range []bool{false, true} {
					m := newMachine(ctx)
					moving(ctx, m, from, to)
					c := staged(m, "a", "", to)
					m.write("v", 4, 8, "later")
					if !m.applyUntil(ctx, c, call, after) {
						Expect(call).To(BeNumerically(">", 5))
						return
					}
					Expect(m.tags("n")).To(ContainElement("phase=staged"))
					if synced := syncedWith(m, "a", 4*mib); slices.Equal(m.tags("n"), synced) {
						Expect(m.content("n")).To(Equal(m.content("a")))
					}
					Expect(m.apply(ctx, c)).To(Succeed(), "killed at call %d, after: %t", call, after)
					Expect(m.content("n")).To(Equal(m.content("a")))
					Expect(m.tags("n")).To(Equal(syncedWith(m, "a", 4*mib)))
				}
			}
		})

		It("goes on with what changed wherever it was killed, also with a later snapshot: "+name, func(ctx SpecContext) {
			for call := 1; ; call++ {
				for _, after := range []bool{false, true} {
					m := newMachine(ctx)
					moving(ctx, m, from, to)
					Expect(m.apply(ctx, staged(m, "a", "", to))).To(Succeed())
					m.write("v", 4, 8, "later")
					m.write("v", 12, 13, "discarded after it was copied")
					m.do(ctx, from.snapshot+" -n b"+moveTags+" vg0/v")
					m.write("v", 12, 13, "")
					m.write("v", 1, 2, "more")
					if !m.applyUntil(ctx, staged(m, "b", "a", to), call, after) {
						Expect(call).To(BeNumerically(">", 3))
						return
					}
					for _, later := range []bool{false, true} {
						m := m.copy()
						if later {
							m.do(ctx, "lvremove -y vg0/b", from.snapshot+" -n b"+moveTags+" vg0/v")
						}
						c := staged(m, "b", "a", to)
						if !slices.ContainsFunc(m.tags("n"), func(t string) bool { return strings.Contains(t, m.named("a").UUID) }) {
							c.Since = change.LV{} // killed after it was done; a new b is a later one
							if later {
								continue
							}
						}
						Expect(m.apply(ctx, c)).To(Succeed(), "killed at call %d, after: %t", call, after)
						Expect(m.content("n")).To(Equal(m.content("b")))
						Expect(m.tags("n")).To(HaveLen(5))
					}
				}
			}
		})

		It("leaves one that counts wherever the take-over was killed: "+name, func(ctx SpecContext) {
			for call := 1; ; call++ {
				for _, after := range []bool{false, true} {
					m := moved(ctx, from, to)
					m.write("v", 12, 13, "discarded after it was copied")
					before := m.content("v")
					if !m.applyUntil(ctx, takeOver(m, "b"), call, after) {
						Expect(call).To(BeNumerically(">", 3))
						return
					}
					Expect(m.content("v")).To(Equal(before))
					if slices.Contains(m.tags("v"), replaced(m)) {
						Expect(m.content("n")).To(Equal(before))
						continue
					}
					// Who uses it goes on, and undoes what was copied.
					m.write("v", 12, 13, "")
					m.write("v", 0, 1, "after the attempt")
					if err := m.apply(ctx, takeOver(m, "b")); err != nil {
						Expect(err).To(MatchError(change.ErrStale))
						Expect(m.tags("v")).NotTo(ContainElement(replaced(m)))
						m.do(ctx, from.snapshot+" -n c"+moveTags+" vg0/v")
						m.write("v", 1, 2, "more")
						Expect(m.apply(ctx, staged(m, "c", "b", to))).To(Succeed())
						Expect(m.apply(ctx, takeOver(m, "c"))).To(Succeed())
					}
					Expect(m.content("n")).To(Equal(m.content("v")))
					Expect(m.tags("v")).To(ContainElement(replaced(m)))
					Expect(m.tags("n")).To(HaveLen(5), "no checkpoints")
				}
			}
		})
	})

	It("does not overwrite what came in the place of another", func(ctx SpecContext) {
		m := moved(ctx, kinds["thick"], kinds["thin"])
		m.do(ctx, kinds["thick"].snapshot+" -n c"+moveTags+" vg0/v")
		late := staged(m, "c", "b", kinds["thin"])
		Expect(m.apply(ctx, takeOver(m, "b"))).To(Succeed())
		calls, err := m.commands(ctx, late)
		Expect(err).To(MatchError(change.ErrStale))
		Expect(calls).To(BeEmpty())
	})

	DescribeTable("is not made of what is not as the plan saw it", func(ctx SpecContext, meanwhile func(ctx context.Context, m machine), want error) {
		m := moved(ctx, kinds["thick"], kinds["thin"])
		m.do(ctx, kinds["thick"].snapshot+" -n c"+moveTags+" vg0/v")
		stage, cut := staged(m, "c", "b", kinds["thin"]), takeOver(m, "b")
		meanwhile(ctx, m)
		before, tags := m.content("n"), m.tags("v")
		for _, c := range []change.Change{stage, cut} {
			calls, err := m.commands(ctx, c)
			Expect(err).To(MatchError(want))
			Expect(calls).To(BeEmpty())
		}
		Expect(m.content("n")).To(Equal(before))
		Expect(m.tags("v")).To(Equal(tags))
	},
		Entry("it is not staged", do("lvchange --deltag volreconciler/phase=staged --deltag @synced vg0/n"), change.ErrStale),
		Entry("it is synced with nothing", do("lvchange --deltag @synced vg0/n"), change.ErrStale),
		Entry("it is synced with another one", do("lvchange --deltag @synced --addtag volreconciler/synced="+otherUUID+":5 vg0/n"), change.ErrStale),
		Entry("it is synced with two", do("lvchange --addtag volreconciler/synced="+otherUUID+":5 vg0/n"), change.ErrStale),
		Entry("it is to replace another one", func(_ context.Context, m machine) {
			edit(m, "n", func(lv *fakehost.LogicalVolume) {
				lv.Tags = slices.DeleteFunc(lv.Tags, func(t string) bool { return strings.HasPrefix(t, ondisk.TagIdentity) })
			})
		}, change.ErrStale),
		Entry("the snapshot no longer exists", do("lvremove -y vg0/b"), change.ErrStale),
		Entry("the snapshot is another one", do("lvremove -y vg0/b", "lvcreate -y -s -L 20m -n b vg0/v"), change.ErrStale),
		Entry("the snapshot overflowed", func(_ context.Context, m machine) {
			edit(m, "b", func(lv *fakehost.LogicalVolume) { lv.Invalid = true })
		}, change.ErrStale),
		Entry("it is mounted", func(_ context.Context, m machine) {
			Expect(m.Edit(func(n *fakehost.Node) { n.Mounts = []fakehost.Mount{{LV: "vg0/n", Dir: "/mnt"}} })).To(Succeed())
		}, change.ErrInUse),
		Entry("it has been replaced by another one", do("lvchange --addtag volreconciler/replaced-by="+otherUUID+" vg0/v"), change.ErrStale),
	)

	It("waits for whoever has the volume open", func(ctx SpecContext) {
		m := moved(ctx, kinds["thin"], kinds["thick"])
		Expect(m.Edit(func(n *fakehost.Node) { n.Mounts = []fakehost.Mount{{LV: "vg0/v", Dir: "/mnt"}} })).To(Succeed())
		calls, err := m.commands(ctx, takeOver(m, "b"))
		Expect(err).To(MatchError(change.ErrInUse))
		Expect(calls).To(BeEmpty())
		// It may be a moment only, as of udev.
		looks := 0
		Expect(apply(ctx, &fakehost.Tap{Host: m.Host, Before: func(c fakehost.Call) error {
			if c.Argv != nil && strings.HasSuffix(c.String(), "vg0/v") {
				if looks++; looks == 3 {
					Expect(m.Edit(func(n *fakehost.Node) { n.Mounts = nil })).To(Succeed())
				}
			}
			return nil
		}}, takeOver(m, "b"))).To(Succeed())
	})

	It("holds the volume until it is decided", func(ctx SpecContext) {
		m := moved(ctx, kinds["thin"], kinds["thick"])
		tried := 0
		Expect(apply(ctx, &fakehost.Tap{Host: m.Host, Before: func(c fakehost.Call) error {
			if c.Op == "writeblocks" || strings.Contains(c.String(), ondisk.TagReplacedBy) {
				_, err := m.ClaimBlocks("/dev/vg0/v")
				Expect(err).To(MatchError(syscall.EBUSY))
				tried++
			}
			return nil
		}}, takeOver(m, "b"))).To(Succeed())
		Expect(tried).To(BeNumerically(">", 1))
		release, err := m.ClaimBlocks("/dev/vg0/v")
		Expect(err).NotTo(HaveOccurred())
		release()
	})

	It("does not make anybody wait for long", func(ctx SpecContext) {
		m := moved(ctx, kinds["thick"], kinds["thick"])
		tap := &fakehost.Tap{Host: m.Host}
		engine := &pausing{Engine: fakehost.Engine{Devices: tap}, began: make(chan struct{}), goOn: make(chan struct{})}
		a := jobs.New(tap, lvm.New(tap, tap), engine, nil, nil)
		a.HurryCutover(200 * time.Millisecond)
		ended := make(chan error)
		go func() { ended <- a.Apply(ctx, takeOver(m, "b")) }()
		Eventually(ctx, engine.began).Should(BeClosed())
		time.AfterFunc(300*time.Millisecond, func() { close(engine.goOn) })
		var err error
		Eventually(ctx, ended).Should(Receive(&err))
		Expect(err).To(MatchError(And(ContainSubstring("within 200ms: the cutover took too long"), ContainSubstring("the cutover took too long and was cancelled, because it blocks I/O; another sync round runs before the next attempt"))))
		Expect(m.tags("v")).To(HaveLen(2))
		calls, err := m.commands(ctx, takeOver(m, "b"))
		Expect(err).To(MatchError(change.ErrStale), "there is a round to be made before")
		Expect(calls).To(BeEmpty())
	}, SpecTimeout(10*time.Second))

	It("is not made of a snapshot that overflows meanwhile", func(ctx SpecContext) {
		for _, c := range []func(machine) change.Change{
			func(m machine) change.Change { return takeOver(m, "b") },
			func(m machine) change.Change {
				m.do(ctx, kinds["thick"].snapshot+" -n c"+moveTags+" vg0/v")
				return staged(m, "c", "b", kinds["thick"])
			},
		} {
			m := moved(ctx, kinds["thick"], kinds["thick"])
			before := m.content("n")
			Expect(apply(ctx, &fakehost.Tap{Host: m.Host, After: func(c fakehost.Call, err error) error {
				if c.Op == "readchanged" {
					edit(m, "b", func(lv *fakehost.LogicalVolume) { lv.Invalid = true })
				}
				return err
			}}, c(m))).To(MatchError(change.ErrStale))
			Expect(m.content("n")).To(Equal(before))
		}
	})

	Context("by a clone of a snapshot", func() {
		var m machine
		var swap change.Cutover
		BeforeEach(func(ctx SpecContext) {
			m = newMachine(ctx)
			m.do(ctx, kinds["thin"].create+" -n v"+ownTags)
			m.write("v", 0, 6, "data")
			m.do(ctx, "lvcreate -y -s -n s vg0/v", "lvcreate -y -s -kn -n n"+ownTags+" --addtag "+ondisk.PhaseTag(ondisk.Staged)+
				" --addtag "+ondisk.TagIdentity+m.named("v").UUID+" vg0/s")
			m.write("v", 3, 9, "later")
			swap = change.Cutover{LV: m.named("v"), Staged: m.named("n"), Size: size(16)}
		})
		It("is one tag, and nothing is copied", func(ctx SpecContext) {
			clone := m.content("n")
			Expect(m.apply(ctx, swap)).To(Succeed())
			Expect(m.tags("v")).To(ContainElement(replaced(m)))
			Expect(m.content("n")).To(Equal(clone))
			Expect(m.content("n")).NotTo(Equal(m.content("v")))
			Expect(m.commands(ctx, swap)).To(BeEmpty())
		})
		DescribeTable("is not made of what is none", func(ctx SpecContext, meanwhile string) {
			m.do(ctx, meanwhile)
			Expect(m.apply(ctx, swap)).To(MatchError(change.ErrStale))
			Expect(m.tags("v")).To(HaveLen(2))
		},
			Entry("its snapshot no longer exists", "lvremove -y vg0/s"),
			Entry("it is copied to", "lvchange --addtag "+ondisk.CheckpointTag("x", 5)+" vg0/n"),
			Entry("it is synced with a snapshot", "lvchange --addtag "+ondisk.SyncedTag("x", 5)+" vg0/n"),
			Entry("it is not staged", "lvchange --deltag "+ondisk.PhaseTag(ondisk.Staged)+" vg0/n"),
			Entry("it no longer exists", "lvremove -y vg0/n"),
		)
		It("waits for whoever has the volume open", func(ctx SpecContext) {
			release, err := m.ClaimBlocks("/dev/vg0/v")
			Expect(err).NotTo(HaveOccurred())
			Expect(m.apply(ctx, swap)).To(MatchError(change.ErrInUse))
			Expect(m.tags("v")).To(HaveLen(2))
			release()
			Expect(m.apply(ctx, swap)).To(Succeed())
		})
	})

	It("copies what a volume has grown by", func(ctx SpecContext) {
		m := newMachine(ctx)
		moving(ctx, m, kinds["thin"], kinds["thick"])
		Expect(m.apply(ctx, staged(m, "a", "", kinds["thick"]))).To(Succeed())
		m.do(ctx, "lvextend -y -L 20m vg0/v", "lvextend -y -L 20m vg0/n")
		cut := takeOver(m, "a")
		Expect(m.apply(ctx, cut)).To(MatchError(change.ErrStale))
		cut.Size = size(20)
		m.write("v", 17, 18, "new")
		Expect(m.apply(ctx, cut)).To(Succeed())
		Expect(m.content("n")).To(Equal(m.content("v")))
	})

	It("does not make anybody wait for too much", func(ctx SpecContext) {
		m := newMachine(ctx)
		m.do(ctx, "lvcreate -y -V 300m -T vg0/p -n v"+ownTags, "lvcreate -y -s -n a"+moveTags+" vg0/v")
		m.do(ctx, "lvcreate -y -V 300m -T vg0/p -n n"+ownTags+" --addtag "+ondisk.PhaseTag(ondisk.Staged)+
			" --addtag "+ondisk.TagIdentity+m.named("v").UUID+" --addtag "+ondisk.SyncedTag(m.named("a").UUID, 5))
		m.write("v", 1, 258, "later")
		cut := takeOver(m, "a")
		cut.Size = size(300)
		Expect(m.apply(ctx, cut)).To(MatchError(change.ErrStale))
		Expect(m.content("n")).To(BeEmpty())
		Expect(m.tags("n")).To(Equal(syncedWith(m, "a", 257*mib)))
		Expect(m.tags("v")).To(HaveLen(2))
	})
})
