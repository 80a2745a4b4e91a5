package backup

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"go.uber.org/goleak"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/restic"
	"github.com/volreconciler/volreconciler/pkg/restic/fakerestic"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

func TestBackup(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "backup")
}

// Every spec unmounts, and gives back its goroutines.
var _ = BeforeEach(func() {
	if os.Geteuid() != 0 {
		Skip("needs root to mount")
	}
	ignore := goleak.IgnoreCurrent()
	DeferCleanup(func() {
		Eventually(func() error { return goleak.Find(ignore) }).WithTimeout(time.Minute).Should(Succeed())
	})
})

const (
	kib = 1 << 10
	mib = 1 << 20
	// small is the size of the slices of most specs.
	small = 64 * kib
)

// volume is a device with what there is to know of it, and a repository.
type volume struct {
	job    Job
	fake   *fakerestic.Restic // nil: a real one
	data   []byte
	random *rand.ChaCha8
}

// newVolume is a thin volume of so many bytes without data, of a spec.
func newVolume(dir string, size int64) *volume {
	DeferCleanup(func() {
		table, err := os.ReadFile("/proc/self/mountinfo")
		Expect(err).NotTo(HaveOccurred())
		Expect(string(table)).NotTo(ContainSubstring(dir))
	})
	v := emptyVolume(dir)
	v.data = make([]byte, size)
	return v
}

func emptyVolume(dir string) *volume {
	v := &volume{fake: fakerestic.NewRestic(), random: rand.NewChaCha8([32]byte{9})}
	v.job = Job{
		Repository: restic.Repository{URL: filepath.Join(dir, "repository"), Password: spec.NewSecret("the password of a test"), Runner: v.fake, CacheDir: filepath.Join(dir, "cache")},
		Volume:     "db", Device: filepath.Join(dir, "device"), Mapped: []blockcopy.Extent{},
		Time: time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC), MountDir: filepath.Join(dir, "mount"),
		VolumeYAML: []byte("volume: db\n"), slice: small,
	}
	return v
}

// write writes random data, and counts it as changed and mapped.
func (v *volume) write(offset, length int64) {
	x := blockcopy.Extent{Offset: offset, Length: min(length, int64(len(v.data))-offset)}
	_, _ = v.random.Read(v.data[x.Offset : x.Offset+x.Length])
	v.job.Changed = append(v.job.Changed, x)
	v.job.Mapped = append(v.job.Mapped, x)
}

// backup makes a backup of what was written, the parent of the next one.
func (v *volume) backup(ctx context.Context) (Result, error) {
	if err := os.WriteFile(v.job.Device, v.data, 0o600); err != nil {
		return Result{}, err
	}
	v.job.Size = int64(len(v.data))
	v.job.Time = v.job.Time.Add(time.Hour)
	result, err := v.job.Run(ctx)
	if err == nil {
		v.job.Parent, v.job.Changed, v.job.ChangedKnown = result.Snapshot, nil, true
	}
	return result, err
}

// target makes a file to restore to: of zeroes, or of something else.
func (v *volume) target(size int64, zero bool) string {
	path := v.job.Device + ".restored"
	content := make([]byte, size)
	if !zero {
		content = bytes.Repeat([]byte{0xa5}, int(size))
	}
	Expect(os.WriteFile(path, content, 0o600)).To(Succeed())
	return path
}

func (v *volume) restore(path string) Restore {
	return Restore{Repository: v.job.Repository, Snapshot: v.job.Parent, Device: path, TargetIsZero: true, Chunk: 4 * kib}
}
