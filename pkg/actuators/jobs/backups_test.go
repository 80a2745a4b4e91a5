package jobs_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/actuators/jobs"
	"github.com/volreconciler/volreconciler/pkg/actuators/lvm"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
)

// asked keeps the target that it was asked to restore to, and the tags of v by then.
type asked struct {
	backups
	m    machine
	to   *jobs.Target
	tags *[]string
}

func (a asked) Restore(ctx context.Context, b change.Backup, to jobs.Target) error {
	*a.to, *a.tags = to, a.m.tags("v")
	return a.backups.Restore(ctx, b, to)
}

var _ = Describe("a backup", func() {
	restore := func(ctx context.Context, m machine, c change.Change) (to jobs.Target, tags []string, err error) {
		engine := fakehost.Engine{Devices: m}
		a := jobs.New(m, lvm.New(m, m), engine, nil, nil)
		a.UseBackups(asked{backupsOn(engine), m, &to, &tags})
		err = a.Apply(ctx, c)
		return to, tags, err
	}
	mark := func(id, bytes string) string { return "checkpoint=" + id + ":" + bytes }

	It("leaves zeroes out only where nothing else was written", func(ctx SpecContext) {
		for _, name := range []string{"fill a thick volume from a backup", "fill a thin volume from a backup, in which there is something of another",
			"revert a thick volume to a backup", "revert a thin volume to a backup"} {
			m, c := prepared(ctx, name)
			to, tags, err := restore(ctx, m, c)
			Expect(err).NotTo(HaveOccurred(), name)
			Expect(to.ReadsZero).To(BeFalse(), name)
			Expect(to.UUID).To(Equal(m.named("v").UUID), name)
			Expect(tags).To(ContainElement(mark(aBackup.ID, "0")), "%s: it is marked before the first byte", name)
		}
		m, c := prepared(ctx, "fill a thin volume from a backup")
		to, _, err := restore(ctx, m, c)
		Expect(err).NotTo(HaveOccurred())
		Expect(to.ReadsZero).To(BeTrue())
	})

	It("continues where it was interrupted, and only where this very backup was", func(ctx SpecContext) {
		m := newMachine(ctx)
		m.do(ctx, "lvcreate -y -V 16m -T vg0/p -n v"+populating+" --addtag volreconciler/"+mark(aBackup.ID, "4194304"))
		m.write("v", 0, 4, "data")
		to, _, err := restore(ctx, m, change.Populate{LV: m.named("v"), Backup: &aBackup, Size: size(16), ReadsZero: true})
		Expect(err).NotTo(HaveOccurred())
		Expect([]any{to.From, to.ReadsZero}).To(Equal([]any{uint64(4 * mib), true}))
		Expect(m.content("v")).To(Equal(filled))

		m, c := prepared(ctx, "fill a thin volume from a backup, in which there is something of another")
		to, _, err = restore(ctx, m, c)
		Expect(err).NotTo(HaveOccurred())
		Expect([]any{to.From, to.ReadsZero}).To(Equal([]any{uint64(0), false}))
	})

	DescribeTable("that is damaged leaves the volume unusable",
		func(ctx SpecContext, mode string, c func(machine) change.Change) {
			m := newMachine(ctx)
			m.do(ctx, "lvcreate -y -L 16m -n v"+mode+" vg0")
			before := m.tags("v")
			Expect(m.apply(ctx, c(m))).To(MatchError(change.ErrSource))
			Expect(m.tags("v")).To(ContainElements(before))
			Expect(m.tags("v")).NotTo(ContainElement("filled"))
			Expect(m.tags("v")).To(ContainElement(mark(theDamaged.ID, "0")), "the next attempt writes everything again")
		},
		Entry("filling", populating, func(m machine) change.Change {
			return change.Populate{LV: m.named("v"), Backup: &theDamaged, Size: size(16)}
		}),
		Entry("reverting", reverting, func(m machine) change.Change {
			return change.Restore{LV: m.named("v"), Backup: &theDamaged, Size: size(16), Request: "r2"}
		}),
	)

	DescribeTable("is not written to a volume",
		func(ctx SpecContext, lvcreate string, c func(machine) change.Change, want error) {
			m := newMachine(ctx)
			m.do(ctx, lvcreate)
			m.write("v", 0, 8, "mine")
			before := m.content("v")
			to, _, err := restore(ctx, m, c(m))
			if want == nil {
				Expect(err).NotTo(HaveOccurred())
			} else {
				Expect(err).To(MatchError(want))
			}
			Expect(to.Path).To(BeEmpty())
			Expect(m.content("v")).To(Equal(before))
		},
		Entry("that is complete", "lvcreate -y -L 16m -n v"+ownTags+" vg0",
			func(m machine) change.Change {
				return change.Populate{LV: m.named("v"), Backup: &aBackup, Size: size(16)}
			}, nil),
		Entry("that is not being reverted", "lvcreate -y -L 16m -n v"+ownTags+" vg0",
			func(m machine) change.Change {
				return change.Restore{LV: m.named("v"), Backup: &aBackup, Size: size(16), Request: "r2"}
			}, change.ErrStale),
		Entry("that is smaller", "lvcreate -y -L 12m -n v"+populating+" vg0",
			func(m machine) change.Change {
				return change.Populate{LV: m.named("v"), Backup: &aBackup, Size: size(12)}
			}, change.ErrStale),
		Entry("that is another", "lvcreate -y -L 16m -n v"+populating+" vg0",
			func(m machine) change.Change {
				lv := m.named("v")
				lv.UUID = "another"
				return change.Populate{LV: lv, Backup: &aBackup, Size: size(16)}
			}, change.ErrStale),
	)
})
