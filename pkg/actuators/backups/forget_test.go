package backups_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/restic"
)

var _ = Describe("a repository", func() {
	var m *machine
	BeforeEach(func(ctx SpecContext) { m = newMachine(ctx) })
	on := change.OnRepository{Repository: offsite}
	// made makes so many backups and returns their IDs.
	made := func(ctx context.Context, count int) (ids []string) {
		GinkgoHelper()
		for n := range count {
			ids = append(ids, m.backUp(ctx, m.snapshot(ctx, fmt.Sprint("s", n), n)).ID)
		}
		return ids
	}
	left := func() (ids []string) {
		for _, b := range m.observe().Backups {
			ids = append(ids, b.ID)
		}
		return ids
	}

	It("loses the backups that are named, once", func(ctx SpecContext) {
		ids := made(ctx, 3)
		c := change.ForgetBackups{OnRepository: on, Volume: "db", IDs: ids[:2]}
		Expect(m.actuator.Apply(ctx, c)).To(Succeed())
		Expect(left()).To(Equal(ids[2:]))
		Expect(m.observe().Forgotten).To(Equal(map[string]int{"db": 2}))
		Expect(m.actuator.Apply(ctx, c)).To(Succeed())
		Expect(m.observe().Forgotten).To(Equal(map[string]int{"db": 2}))
	})

	It("keeps the last complete backup of a Volume, whatever the plan says", func(ctx SpecContext) {
		ids := made(ctx, 2)
		Expect(m.actuator.Apply(ctx, change.ForgetBackups{OnRepository: on, Volume: "db", IDs: ids})).To(MatchError(ContainSubstring("no complete backup of Volume/db would be left")))
		Expect(left()).To(Equal(ids))
		m.restic.Drop(offsite.URL, ids[1], "/volume/digests")
		Expect(m.actuator.Apply(ctx, change.ForgetBackups{OnRepository: on, Volume: "db", IDs: ids[:1]})).To(MatchError(ContainSubstring("no complete backup of Volume/db would be left")))
		Expect(m.actuator.Apply(ctx, change.ForgetBackups{OnRepository: on, Volume: "db", IDs: ids[1:]})).To(Succeed(), "the incomplete one")
		Expect(left()).To(Equal(ids[:1]))
	})

	It("does not count those of another version as complete", func(ctx SpecContext) {
		ids := made(ctx, 1)
		dir := GinkgoT().TempDir()
		Expect(os.WriteFile(filepath.Join(dir, "f"), nil, 0o600)).To(Succeed())
		_, err := m.repository().Backup(ctx, restic.Backup{Dir: dir, Time: when, Tags: []string{"volreconciler", "volume=db", "format=2", "size=1"}})
		Expect(err).NotTo(HaveOccurred())
		Expect(m.actuator.Apply(ctx, change.ForgetBackups{OnRepository: on, Volume: "db", IDs: ids})).To(MatchError(ContainSubstring("no complete backup of Volume/db would be left")))
	})

	It("keeps what is not of the Volume", func(ctx SpecContext) {
		ids := made(ctx, 2)
		dir := GinkgoT().TempDir()
		Expect(os.WriteFile(filepath.Join(dir, "f"), nil, 0o600)).To(Succeed())
		for _, tags := range [][]string{nil, {"volreconciler", "volume=mail", "format=1", "size=1"}} {
			summary, err := m.repository().Backup(ctx, restic.Backup{Dir: dir, Time: when, Tags: tags})
			Expect(err).NotTo(HaveOccurred())
			c := change.ForgetBackups{OnRepository: on, Volume: "db", IDs: []string{ids[0], summary.ID}}
			Expect(m.actuator.Apply(ctx, c)).To(MatchError(change.ErrNotOwned))
			all, err := m.repository().Snapshots(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(all).To(ContainElement(HaveField("ID", HavePrefix(summary.ID))))
		}
		Expect(left()).To(ContainElements(ids))
	})

	It("loses nothing while removals cannot be recorded", func(ctx SpecContext) {
		ids := made(ctx, 2)
		m.catalog.Close()
		// The directory of its file is gone.
		m.breakState()
		Expect(m.actuator.Apply(ctx, change.ForgetBackups{OnRepository: on, Volume: "db", IDs: ids[:1]})).To(MatchError(ContainSubstring("cannot be recorded")))
		all, err := m.repository().Snapshots(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(all).To(HaveLen(2))
	})

	It("is made if there is none, and left alone if it opens", func(ctx SpecContext) {
		c := change.InitRepository{OnRepository: on}
		Expect(m.actuator.Apply(ctx, c)).To(Succeed())
		Expect(m.observe().Seen).To(BeTrue())
		ids := made(ctx, 1)
		Expect(m.actuator.Apply(ctx, c)).To(Succeed())
		Expect(left()).To(Equal(ids))
		c.Repository.URL = "/srv/new"
		Expect(m.actuator.Apply(ctx, c)).To(Succeed())
		r := m.repository()
		r.URL = "/srv/new"
		Expect(r.Snapshots(ctx)).To(BeEmpty())
		c.Repository.URL, c.Repository.Password = offsite.URL, m.otherPassword()
		Expect(m.actuator.Apply(ctx, c)).To(MatchError(restic.ErrPassword))
	})

	It("is pruned and checked, which the catalog knows then", func(ctx SpecContext) {
		ids := made(ctx, 1)
		Expect(m.actuator.Apply(ctx, change.PruneRepository{OnRepository: on, MaxUnused: "10%"})).To(Succeed())
		Expect(m.actuator.Apply(ctx, change.CheckRepository{OnRepository: on, ReadData: "2%"})).To(Succeed())
		r := m.observe()
		Expect(r.Pruned).NotTo(BeZero())
		Expect(r.Checked).NotTo(BeZero())
		Expect(left()).To(Equal(ids))
		Expect(m.restic.Commands()).To(ContainElements(HavePrefix("prune --max-unused=10%"), HavePrefix("check --read-data-subset=2%")))
		m.restic.SetDamaged(offsite.URL, true)
		Expect(m.actuator.Apply(ctx, change.CheckRepository{OnRepository: on, ReadData: "2%"})).NotTo(Succeed())
		Expect(m.observe().Checked).To(Equal(r.Checked))
	})

	It("refuses changes of others", func(ctx SpecContext) {
		Expect(m.actuator.Apply(ctx, change.Activate{})).To(MatchError(ContainSubstring("unknown change of a repository: Activate")))
	})
})
