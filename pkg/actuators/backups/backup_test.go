package backups_test

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/backup"
	"github.com/volreconciler/volreconciler/pkg/backup/slicefs"
	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/restic"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("a backup", func() {
	var m *machine
	BeforeEach(func(ctx SpecContext) { m = newMachine(ctx) })
	write := func(from, to uint64, text string) {
		GinkgoHelper()
		Expect(m.Fill("vg0/db", from*mib, to*mib, text)).To(Succeed())
	}
	// incremental makes a first backup, and returns the change for a second one that is based on it.
	incremental := func(ctx context.Context) change.BackUp {
		GinkgoHelper()
		write(0, 8, "first")
		first := m.snapshot(ctx, "s1", 0)
		b := m.backUp(ctx, first)
		write(4, 6, "second")
		second := m.snapshot(ctx, "s2", 1)
		second.Parent, second.Base = b.ID, first.LV
		return second
	}

	It("has the tags that the catalog shows, and is known when it is done", func(ctx SpecContext) {
		write(0, 8, "first")
		c := m.snapshot(ctx, "s1", 0)
		m.observe()
		Expect(m.actuator.Apply(ctx, c)).To(Succeed())
		found := m.observe().Backups
		Expect(found).To(HaveLen(1))
		Expect(found[0]).To(Equal(observe.Backup{
			ID: found[0].ID, Time: c.Time, Host: "node1", Volume: "db", Schedule: "nightly", LV: c.UUID, Identity: "identity", Size: 16 * mib, Reread: true,
		}))
		Expect(m.made[0].UUID).To(Equal(c.UUID))
		Expect(m.isActive("s1")).To(BeFalse(), "it was not active before")
		Expect(m.isActive("db")).To(BeTrue())
	})

	It("reads what changed since the base", func(ctx SpecContext) {
		c := incremental(ctx)
		b := m.backUp(ctx, c)
		job := m.made[1]
		Expect(job.ChangedKnown).To(BeTrue())
		Expect(job.Parent).To(Equal(c.Parent))
		Expect(blockcopy.Total(job.Changed)).To(BeNumerically("<", 8*mib))
		Expect(job.Changed).NotTo(BeEmpty())
		Expect(b.Reread).To(BeFalse())
	})

	DescribeTable("reads everything if it cannot know what changed",
		func(ctx SpecContext, change func(context.Context, *change.BackUp)) {
			c := incremental(ctx)
			change(ctx, &c)
			b := m.backUp(ctx, c)
			Expect(m.made[1].ChangedKnown).To(BeFalse())
			Expect(m.made[1].Parent).To(BeEmpty())
			Expect(b.Reread).To(BeTrue())
		},
		Entry("without a base", func(_ context.Context, c *change.BackUp) { c.Base = change.LV{} }),
		Entry("without a parent", func(_ context.Context, c *change.BackUp) { c.Parent = "" }),
		Entry("the base is gone", func(ctx context.Context, _ *change.BackUp) { m.do(ctx, "lvremove -y vg0/s1") }),
		Entry("the base is another one of that name", func(ctx context.Context, _ *change.BackUp) {
			m.do(ctx, "lvremove -y vg0/s1", "lvcreate -y -s -n s1 vg0/db")
		}),
		Entry("the base is not what the parent was made of", func(ctx context.Context, c *change.BackUp) {
			m.do(ctx, "lvcreate -y -s -n s3 vg0/db")
			c.Base = m.lv("s3")
		}),
		Entry("the base is in another pool", func(ctx context.Context, c *change.BackUp) {
			m.do(ctx, "lvcreate -y --type thin-pool -Zy -L 64m -n q vg0", "lvcreate -y -V 16m -T vg0/q -n s3")
			c.Base = m.lv("s3")
		}),
		Entry("the parent is gone", func(ctx context.Context, c *change.BackUp) {
			Expect(m.repository().Forget(ctx, c.Parent)).To(Succeed())
			m.catalog.Refresh(ctx, offsite.Name) // until then the engine finds it out
		}),
		Entry("the parent is doubted", func(_ context.Context, c *change.BackUp) {
			Expect(m.catalog.NoteDoubted(offsite.URL, c.Parent)).To(Succeed())
		}),
	)

	It("of a thick volume is of all of it", func(ctx SpecContext) {
		m.do(ctx, "lvcreate -y -L 16m -n db2 vg0", "lvcreate -y -s -L 8m -n s9 vg0/db2")
		c := change.BackUp{LV: m.lv("s9"), Repository: offsite, Size: 16 * mib, Volume: "db2", Object: "by-hand", Delete: true, Time: when}
		b := m.backUp(ctx, c)
		Expect(m.made[0].Mapped).To(BeNil())
		Expect([]any{b.Object, b.Schedule, b.Delete, b.Reread}).To(Equal([]any{"by-hand", "", true, true}))
		Expect(m.isActive("s9")).To(BeTrue(), "as its origin is")
	})

	It("is made once, whatever the agent did before", func(ctx SpecContext) {
		c := m.snapshot(ctx, "s1", 0)
		m.backUp(ctx, c)
		Expect(m.actuator.Apply(ctx, c)).To(Succeed())
		Expect(m.made).To(HaveLen(1))
		other := c
		other.Schedule = "weekly"
		Expect(m.actuator.Apply(ctx, other)).To(Succeed())
		Expect(m.made).To(HaveLen(2), "each schedule has its own")
	})

	It("takes the place of an incomplete one that a crash has left", func(ctx SpecContext) {
		c := m.snapshot(ctx, "s1", 0)
		left := m.backUp(ctx, c)
		m.restic.Drop(offsite.URL, left.ID, "/volume/digests")
		made := m.backUp(ctx, c)
		Expect(made.ID).NotTo(Equal(left.ID))
		Expect(m.observe().Backups).To(HaveLen(1))
		Expect(m.made).To(HaveLen(2))
	})

	It("does not count while it may be incomplete, until it is found to be complete", func(ctx SpecContext) {
		c := m.snapshot(ctx, "s1", 0)
		left := m.backUp(ctx, c)
		begun := observe.Backup{LV: c.UUID, Schedule: c.Schedule}
		Expect(m.catalog.NoteBegun(offsite.URL, begun)).To(Succeed())
		m.restic.Drop(offsite.URL, left.ID, "/volume/digests")
		m.catalog.Refresh(ctx, offsite.Name)
		Expect(m.observe().Backups).To(BeEmpty())
		made := m.backUp(ctx, c)
		Expect(m.catalog.NoteBegun(offsite.URL, begun)).To(Succeed())
		m.catalog.Refresh(ctx, offsite.Name)
		Expect(m.observe().Backups).To(HaveExactElements(made))
		m.restic.Drop(offsite.URL, made.ID, "/volume/digests")
		m.catalog.Refresh(ctx, offsite.Name)
		Expect(m.observe().Backups).To(HaveLen(1), "it was found to be complete once")
	})

	DescribeTable("is not made of something else than the plan saw",
		func(ctx SpecContext, alter func(context.Context, *change.BackUp), want error) {
			c := m.snapshot(ctx, "s1", 0)
			alter(ctx, &c)
			Expect(m.actuator.Apply(ctx, c)).To(MatchError(want))
			Expect(m.made).To(BeEmpty())
		},
		Entry("gone", func(ctx context.Context, _ *change.BackUp) { m.do(ctx, "lvremove -y vg0/s1") }, change.ErrStale),
		Entry("another", func(ctx context.Context, _ *change.BackUp) {
			m.do(ctx, "lvremove -y vg0/s1", "lvcreate -y -s -n s1 vg0/db")
		}, change.ErrStale),
		Entry("smaller", func(_ context.Context, c *change.BackUp) { c.Size = 32 * mib }, change.ErrStale),
		Entry("overflowed", func(ctx context.Context, c *change.BackUp) {
			m.do(ctx, "lvcreate -y -L 16m -n o vg0", "lvcreate -y -s -L 4m -n cow vg0/o")
			c.LV = m.lv("cow")
			Expect(m.Edit(func(n *fakehost.Node) {
				for i, lv := range n.VolumeGroups[0].LogicalVolumes {
					n.VolumeGroups[0].LogicalVolumes[i].Invalid = lv.Name == "cow"
				}
			})).To(Succeed())
		}, change.ErrSource),
	)

	It("that finds other data where nothing was written fails loudly, and then reads everything without comparing", func(ctx SpecContext) {
		c := incremental(ctx)
		m.before = func(backup.Job) error { return fmt.Errorf("slice at offset 0: %w", slicefs.ErrDigest) }
		err := m.actuator.Apply(ctx, c)
		Expect(err).To(MatchError(ContainSubstring("data of Volume/db changed where nothing was written since backup " + c.Parent[:8])))
		m.before = nil
		m.made = nil
		Expect(m.backUp(ctx, c).Reread).To(BeTrue())
		Expect([]any{m.made[0].Parent, m.made[0].ChangedKnown}).To(Equal([]any{"", false}))
		Expect(m.observe().Backups).To(HaveLen(2), "both contents are kept")
	})

	It("removes the stale lock of a run that was killed, and no lock of others", func(ctx SpecContext) {
		c := m.snapshot(ctx, "s1", 0)
		m.restic.Lock(offsite.URL, true, true)
		Expect(m.actuator.Apply(ctx, c)).To(Succeed())
		m.restic.Lock(offsite.URL, true, false)
		err := m.actuator.Apply(ctx, m.snapshot(ctx, "s2", 1))
		Expect(err).To(MatchError(restic.ErrLocked))
		Expect(m.restic.Locks(offsite.URL)).To(Equal(1))
		Expect(m.made).To(HaveLen(1))
	})

	DescribeTable("says why it cannot be made, and what to do",
		func(ctx SpecContext, wrong func(*change.BackUp), is error, advice string) {
			c := m.snapshot(ctx, "s1", 0)
			wrong(&c)
			err := m.actuator.Apply(ctx, c)
			Expect(err).To(And(MatchError(is), MatchError(ContainSubstring(advice))))
			Expect(err).NotTo(MatchError(ContainSubstring("the-password")))
			Expect(m.isActive("s1")).To(BeFalse())
		},
		Entry("another password", func(c *change.BackUp) { c.Repository.Password = spec.NewSecret("another-password") }, restic.ErrPassword, "spec.restic.passwordFrom of Repository/offsite"),
		Entry("no repository", func(c *change.BackUp) { c.Repository.URL = "/elsewhere" }, restic.ErrMissing, "spec.restic.url"),
		Entry("no space", func(*change.BackUp) { m.restic.SetFull(offsite.URL, true) }, change.ErrNoSpace, "keep fewer backups"),
		Entry("read-only", func(*change.BackUp) { m.restic.SetReadOnly(offsite.URL, true) }, restic.ErrReadOnly, "permissions"),
		Entry("no restic", func(*change.BackUp) { m.before = func(backup.Job) error { return restic.ErrNoProgram } }, change.ErrUnsupported, "install the package restic"),
	)

	DescribeTable("is restored into a volume by the job of that",
		func(ctx SpecContext, happens func()) {
			write(0, 8, "first")
			b := m.backUp(ctx, m.snapshot(ctx, "s1", 0))
			write(0, 16, "later")
			happens()
			m.do(ctx, "lvcreate -y -V 16m -T vg0/p -n new --addtag volreconciler/phase=populating")
			Expect(m.jobs.Apply(ctx, change.Populate{LV: m.lv("new"), Backup: &change.Backup{Repository: offsite, ID: b.ID, Size: spec.Size(b.Size)}, Size: 16 * mib, ReadsZero: true})).To(Succeed())
			Expect(m.Content("vg0/new")).To(HaveLen(1))
			Expect(m.Content("vg0/new")[0].Text).To(Equal("first"))
		},
		Entry("as it is", func() {}),
		Entry("from a repository that cannot be written to, not even a lock", func() { m.restic.SetReadOnly(offsite.URL, true) }),
		Entry("whatever lock a dead restic has left", func() { m.restic.Lock(offsite.URL, true, true) }),
	)
})
