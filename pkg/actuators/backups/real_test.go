package backups_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/actuators/backups"
	"github.com/volreconciler/volreconciler/pkg/actuators/jobs"
	"github.com/volreconciler/volreconciler/pkg/actuators/lvm"
	"github.com/volreconciler/volreconciler/pkg/backup"
	"github.com/volreconciler/volreconciler/pkg/backup/catalog"
	"github.com/volreconciler/volreconciler/pkg/backup/slicefs"
	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/restic"
)

// files stands for the content of logical volumes with files: what changed, and what is mapped, is what differs.
type files struct{ dir string }

func (f files) path(lv string) string { return filepath.Join(f.dir, filepath.Base(lv)) }

func (f files) Mapped(_ context.Context, lv string) ([]blockcopy.Extent, error) {
	return f.differing(nil, f.path(lv))
}

func (f files) Changed(_ context.Context, since, now string) ([]blockcopy.Extent, error) {
	before, err := os.ReadFile(f.path(since))
	if err != nil {
		return nil, err
	}
	return f.differing(before, f.path(now))
}

// differing returns the chunks in which a file is not the same as before, or not zero.
func (files) differing(before []byte, path string) ([]blockcopy.Extent, error) {
	const chunk = 64 << 10
	data, err := os.ReadFile(path)
	if before == nil {
		before = make([]byte, len(data))
	}
	var extents []blockcopy.Extent
	for at := 0; at < len(data); at += chunk {
		if !bytes.Equal(data[at:at+chunk], before[at:at+chunk]) {
			extents = append(extents, blockcopy.Extent{Offset: int64(at), Length: chunk})
		}
	}
	return extents, err
}

var _ = Describe("with a real restic, through a mount,", func() {
	var (
		m    *machine
		data files
		// results are what backups have read.
		results []backup.Result
		with    restic.Repository
	)
	BeforeEach(func(ctx SpecContext) {
		if _, err := exec.LookPath("restic"); err != nil {
			Skip("there is no restic")
		}
		if f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0); err != nil || os.Geteuid() != 0 {
			Skip("this user cannot mount with FUSE")
		} else {
			_ = f.Close()
		}
		m, results = newMachine(ctx), nil
		data = files{GinkgoT().TempDir()}
		url := filepath.Join(GinkgoT().TempDir(), "repository")
		before := offsite
		offsite.URL = url
		DeferCleanup(func() { offsite = before })
		with = restic.Repository{CacheDir: GinkgoT().TempDir(), Host: "node1"}
		var err error
		m.catalog, err = catalog.Open(filepath.Join(GinkgoT().TempDir(), "repositories.json"), catalog.Options{With: with, Log: GinkgoLogr})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(m.catalog.Close)
		m.actuator = backups.New(backups.Options{
			Run: m, Sources: jobs.New(m, lvm.New(m, m), fakehost.Engine{Devices: m}, nil, nil), Changes: data, Catalog: m.catalog,
			With: with, MountDir: GinkgoT().TempDir(), Log: GinkgoLogr,
			BackUp: func(ctx context.Context, j backup.Job) (backup.Result, error) {
				j.Device, j.UUID = data.path(j.Device), ""
				r, err := j.Run(ctx)
				results = append(results, r)
				return r, err
			},
		})
		Expect(m.actuator.Apply(ctx, change.InitRepository{OnRepository: change.OnRepository{Repository: offsite}})).To(Succeed())
	})
	content := make([]byte, 16*mib)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(content[:9*mib])

	// snapshot takes a snapshot with a content.
	snapshot := func(ctx context.Context, name string, number int, content []byte) change.BackUp {
		GinkgoHelper()
		Expect(os.WriteFile(data.path(name), content, 0o600)).To(Succeed())
		return m.snapshot(ctx, name, number)
	}
	restored := func(ctx context.Context, id string) []byte {
		GinkgoHelper()
		file := filepath.Join(GinkgoT().TempDir(), "restored")
		Expect(os.WriteFile(file, nil, 0o600)).To(Succeed())
		Expect(os.Truncate(file, 16*mib)).To(Succeed())
		x := &backups.Restorer{With: with}
		Expect(x.Restore(ctx, change.Backup{Repository: offsite, ID: id, Size: 16 * mib}, jobs.Target{
			Path: file, Size: 16 * mib, ReadsZero: true, Progress: func(change.Progress) {}, Checkpoint: func(uint64) error { return nil },
		})).To(Succeed())
		got, err := os.ReadFile(file)
		Expect(err).NotTo(HaveOccurred())
		return got
	}

	It("what changed is read, and all is restored", func(ctx SpecContext) {
		first := snapshot(ctx, "s1", 0, content)
		b := m.backUp(ctx, first)
		Expect(results[0].Read).To(BeNumerically("==", 12*mib), "three slices of 4 MiB")
		later := slices.Clone(content)
		copy(later[5*mib:], "later")
		c := snapshot(ctx, "s2", 1, later)
		c.Parent, c.Base = b.ID, first.LV
		second := m.backUp(ctx, c)
		Expect(results[1].Read).To(BeNumerically("==", 4*mib))
		Expect(bytes.Equal(restored(ctx, b.ID), content)).To(BeTrue())
		Expect(bytes.Equal(restored(ctx, second.ID), later)).To(BeTrue())
		Expect(m.actuator.Apply(ctx, c)).To(Succeed())
		Expect(results).To(HaveLen(2))
		on := change.OnRepository{Repository: offsite}
		Expect(m.actuator.Apply(ctx, change.ForgetBackups{OnRepository: on, Volume: "db", IDs: []string{b.ID}})).To(Succeed())
		Expect(m.actuator.Apply(ctx, change.PruneRepository{OnRepository: on, MaxUnused: "0"})).To(Succeed())
		Expect(m.actuator.Apply(ctx, change.CheckRepository{OnRepository: on, ReadData: "100%"})).To(Succeed())
		Expect(bytes.Equal(restored(ctx, second.ID), later)).To(BeTrue())
	})

	It("data that changed where nothing was written is noticed, and both contents are kept", func(ctx SpecContext) {
		first := snapshot(ctx, "s1", 0, content)
		b := m.backUp(ctx, first)
		rotten := slices.Clone(content)
		rotten[6*mib] ^= 1
		c := snapshot(ctx, "s2", 1, content)
		c.Parent, c.Base, c.Reread = b.ID, first.LV, true
		// Of what changes after this, nobody knows.
		unknown := &hidden{files: data, mapped: []blockcopy.Extent{{Offset: 0, Length: 9 * mib}}}
		m.actuator.Changes = unknown
		Expect(os.WriteFile(data.path("s2"), rotten, 0o600)).To(Succeed())
		Expect(m.actuator.Apply(ctx, c)).To(MatchError(slicefs.ErrDigest))
		Expect(m.observe().Backups).To(HaveLen(1))
		second := m.backUp(ctx, c)
		Expect(bytes.Equal(restored(ctx, b.ID), content)).To(BeTrue())
		Expect(bytes.Equal(restored(ctx, second.ID), rotten)).To(BeTrue())
	})
})

// hidden does not know what changed.
type hidden struct {
	files
	mapped []blockcopy.Extent
}

func (h *hidden) Mapped(context.Context, string) ([]blockcopy.Extent, error) { return h.mapped, nil }

func (*hidden) Changed(context.Context, string, string) ([]blockcopy.Extent, error) {
	return []blockcopy.Extent{}, nil
}
