package jobs_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// job is a job on a machine that is made for it, and what must come of it.
type job struct {
	prepare func(context.Context, machine) change.Change
	check   func(machine)
}

// s makes v's source: a thin volume t with a snapshot s, changed since.
func s(ctx context.Context, m machine) {
	m.do(ctx, "lvcreate -y -V 16m -T vg0/p -n t")
	m.write("t", 0, 6, "data")
	m.do(ctx, "lvcreate -y -s -n s vg0/t")
	m.write("t", 0, 12, "later")
}

var filled = []string{"0-6 data"}

func isFilled(tags ...string) func(m machine) {
	return func(m machine) {
		GinkgoHelper()
		Expect(m.content("v")).To(Equal(filled))
		Expect(m.content("s")).To(Equal(filled))
		Expect(m.tags("v")).To(Equal(tags))
		Expect(m.active("v")).To(BeTrue())
	}
}

func isRestored(tags ...string) func(m machine) {
	return func(m machine) {
		GinkgoHelper()
		Expect(m.content("v")).To(Equal(filled))
		Expect(m.tags("v")).To(Equal(tags))
		Expect(m.active("v")).To(BeTrue())
	}
}

// cow makes v a thick volume with a copy-on-write snapshot s, changed since.
func cow(ctx context.Context, m machine, size string) {
	m.do(ctx, "lvcreate -y -L 16m -n v"+reverting+" vg0")
	m.write("v", 0, 16, "")
	m.write("v", 0, 6, "data")
	m.do(ctx, "lvcreate -y -s -L "+size+" -n s vg0/v")
	m.write("v", 1, 12, "mistake")
}

func restored(m machine) {
	GinkgoHelper()
	isFilled("filled", "kind=volume", "name=v", "reverted=r1", "reverted=r2")(m)
}

func cleared(m machine) {
	GinkgoHelper()
	_, there := m.find("v")
	Expect(there).To(BeFalse())
	for _, left := range m.Node().VolumeGroups[0].Leftovers {
		Expect(left.Text).NotTo(ContainSubstring("mine"))
		Expect(left.Text).NotTo(ContainSubstring("what was in"))
	}
}

var allJobs = map[string]job{
	"fill a thick volume from a thin snapshot": {
		func(ctx context.Context, m machine) change.Change {
			s(ctx, m)
			m.do(ctx, "lvcreate -y -L 16m -n v"+populating+" vg0")
			return change.Populate{LV: m.named("v"), Volume: m.named("s"), Size: size(16)}
		}, isFilled("filled", "kind=volume", "name=v", "source=volume:s"),
	},
	"fill an inactive thin volume from a thin snapshot": {
		func(ctx context.Context, m machine) change.Change {
			s(ctx, m)
			m.do(ctx, "lvcreate -y -V 16m -T vg0/p -n v"+populating, "lvchange -an vg0/v")
			return change.Populate{LV: m.named("v"), Volume: m.named("s"), Size: size(16), ReadsZero: true}
		}, isFilled("filled", "kind=volume", "name=v", "source=volume:s"),
	},
	"fill a thin volume in which there is something of another source": {
		func(ctx context.Context, m machine) change.Change {
			s(ctx, m)
			m.do(ctx, "lvcreate -y -V 16m -T vg0/p -n v"+populating+" --addtag volreconciler/checkpoint=another:8388608")
			m.write("v", 4, 12, "of another source")
			return change.Populate{LV: m.named("v"), Volume: m.named("s"), Size: size(16), ReadsZero: true}
		}, isFilled("filled", "kind=volume", "name=v", "source=volume:s"),
	},
	"fill a thin volume from a copy-on-write snapshot": {
		func(ctx context.Context, m machine) change.Change {
			m.do(ctx, "lvcreate -y -L 16m -n o vg0")
			m.write("o", 0, 16, "")
			m.write("o", 0, 6, "data")
			m.do(ctx, "lvcreate -y -s -L 16m -n s vg0/o", "lvcreate -y -V 32m -T vg0/p -n v"+populating)
			m.write("o", 0, 16, "later")
			return change.Populate{LV: m.named("v"), Volume: m.named("s"), Size: size(16), ReadsZero: true}
		}, func(m machine) {
			isFilled("filled", "kind=volume", "name=v", "source=volume:s")(m)
			Expect(m.active("s")).To(BeTrue(), "as its origin is")
		},
	},
	"fill a thick volume from an image": {
		func(ctx context.Context, m machine) change.Change {
			m.do(ctx, "lvcreate -y -L 16m -n v"+populating+" vg0")
			return change.Populate{LV: m.named("v"), Image: &aDisk}
		}, func(m machine) {
			Expect(m.content("v")).To(Equal([]string{"2-9 disk"}))
			Expect(m.tags("v")).To(Equal([]string{"filled", "kind=volume", "name=v", "source=volume:s"}))
		},
	},
	"fill a thick volume from a backup": {
		func(ctx context.Context, m machine) change.Change {
			m.do(ctx, "lvcreate -y -L 16m -n v"+populating+" vg0")
			return change.Populate{LV: m.named("v"), Backup: &aBackup, Size: size(16)}
		}, isRestored("filled", "kind=volume", "name=v", "source=volume:s"),
	},
	"fill a thin volume from a backup": {
		func(ctx context.Context, m machine) change.Change {
			m.do(ctx, "lvcreate -y -V 16m -T vg0/p -n v"+populating)
			return change.Populate{LV: m.named("v"), Backup: &aBackup, Size: size(16), ReadsZero: true}
		}, isRestored("filled", "kind=volume", "name=v", "source=volume:s"),
	},
	"fill a thin volume from a backup, in which there is something of another": {
		func(ctx context.Context, m machine) change.Change {
			m.do(ctx, "lvcreate -y -V 16m -T vg0/p -n v"+populating+" --addtag volreconciler/checkpoint="+theDamaged.ID+":8388608")
			m.write("v", 4, 12, "of another backup")
			return change.Populate{LV: m.named("v"), Backup: &aBackup, Size: size(16), ReadsZero: true}
		}, isRestored("filled", "kind=volume", "name=v", "source=volume:s"),
	},
	"revert a thick volume to a backup": {
		func(ctx context.Context, m machine) change.Change {
			m.do(ctx, "lvcreate -y -L 16m -n v"+reverting+" vg0")
			m.write("v", 0, 16, "mistake")
			return change.Restore{LV: m.named("v"), Backup: &aBackup, Size: size(16), Request: "r2"}
		}, isRestored("filled", "kind=volume", "name=v", "reverted=r1", "reverted=r2"),
	},
	"revert a thin volume to a backup": {
		func(ctx context.Context, m machine) change.Change {
			m.do(ctx, "lvcreate -y -V 16m -T vg0/p -n v"+reverting)
			m.write("v", 3, 12, "mistake")
			return change.Restore{LV: m.named("v"), Backup: &aBackup, Size: size(16), Request: "r2"}
		}, isRestored("filled", "kind=volume", "name=v", "reverted=r1", "reverted=r2"),
	},
	"put a thick volume back": {
		func(ctx context.Context, m machine) change.Change {
			cow(ctx, m, "20m")
			return change.Restore{LV: m.named("v"), Snapshot: m.named("s"), Size: size(16), Request: "r2"}
		}, restored,
	},
	"put a thin volume back": {
		func(ctx context.Context, m machine) change.Change {
			m.do(ctx, "lvcreate -y -V 16m -T vg0/p -n v"+reverting)
			m.write("v", 0, 6, "data")
			m.do(ctx, "lvcreate -y -s -n s vg0/v")
			m.write("v", 2, 16, "mistake")
			return change.Restore{LV: m.named("v"), Snapshot: m.named("s"), Size: size(16), Request: "r2"}
		}, restored,
	},
	"clear a thick volume": {
		func(ctx context.Context, m machine) change.Change {
			m.do(ctx, "lvcreate -y -L 16m -n v"+toClear+" vg0")
			m.write("v", 0, 16, "mine")
			m.do(ctx, "lvchange -an vg0/v")
			return change.Clear{LV: m.named("v"), Method: spec.ClearZero, Size: size(16)}
		}, cleared,
	},
	"discard what was the space of a snapshot": {
		func(ctx context.Context, m machine) change.Change {
			m.do(ctx, "lvcreate -y -L 16m -n o vg0", "lvcreate -y -s -L 8m -n v"+toClear+" vg0/o", "lvconvert -y --splitsnapshot vg0/v")
			return change.Clear{LV: m.named("v"), Method: spec.ClearDiscard, Size: size(8)}
		}, cleared,
	},
}

var _ = Describe("a job", func() {
	for name, j := range allJobs {
		It("is done, and done once: "+name, func(ctx SpecContext) {
			m := newMachine(ctx)
			c := j.prepare(ctx, m)
			Expect(m.apply(ctx, c)).To(Succeed())
			j.check(m)
			calls, err := m.commands(ctx, c)
			Expect(err).NotTo(HaveOccurred())
			Expect(calls).To(BeEmpty())
		})

		It("goes on wherever it was killed: "+name, func(ctx SpecContext) {
			points := 0
			for call := 1; ; call++ {
				for _, after := range []bool{false, true} {
					m := newMachine(ctx)
					c := j.prepare(ctx, m)
					if !m.applyUntil(ctx, c, call, after) {
						Expect(points).To(BeNumerically(">", 8))
						AddReportEntry("points", points)
						return
					}
					points++
					lv, there := m.find("v")
					if _, isPopulate := c.(change.Populate); isPopulate && len(m.content("v")) > 0 {
						marked := len(lv.Tags) > 3
						if !marked {
							j.check(m) // what looks complete is
						}
					}
					if there {
						Expect(m.apply(ctx, c)).To(Succeed(), "killed at call %d, after: %t", call, after)
					}
					j.check(m)
				}
			}
		})
	}

	It("leaves its source as it was", func(ctx SpecContext) {
		m := newMachine(ctx)
		c := allJobs["fill a thick volume from a thin snapshot"].prepare(ctx, m)
		Expect(m.apply(ctx, c)).To(Succeed())
		Expect(m.active("s")).To(BeFalse())
	})

	It("leaves a source active that was", func(ctx SpecContext) {
		m := newMachine(ctx)
		c := allJobs["fill a thick volume from a thin snapshot"].prepare(ctx, m)
		m.do(ctx, "lvchange -ay -K vg0/s")
		Expect(m.apply(ctx, c)).To(Succeed())
		Expect(m.active("s")).To(BeTrue())
	})
})
