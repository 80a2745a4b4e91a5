package restic_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/pkg/backup/format"
	"github.com/volreconciler/volreconciler/pkg/backup/slicefs"
	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/restic"
	"github.com/volreconciler/volreconciler/pkg/restic/fakerestic"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/test/guest/program"
)

// subject is a restic under test, real or in memory.
type subject struct {
	name string
	// real returns the path of the program; nil: it is the fake.
	real func(ctx context.Context) (string, error)
	new  bool // of the fake
}

// subjects are the fakes and the installed restic, and that of another suite of Debian if RESTIC_SUITE names one: the
// guests of the end-to-end specs have newer ones anyway.
func subjects() []subject {
	all := []subject{
		{name: "the fake of 0.14"},
		{name: "the fake of newer ones", new: true},
		{name: "the installed restic", real: func(context.Context) (string, error) { return "/usr/bin/restic", nil }},
	}
	if suite := os.Getenv("RESTIC_SUITE"); suite != "" {
		all = append(all, subject{name: "that of Debian " + suite, real: fetch(suite)})
	}
	return all
}

func fetch(suite string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) { return program.Fetch(ctx, suite, "restic") }
}

const mib = 1 << 20

var _ = Describe("restic", func() {
	for _, s := range subjects() {
		Describe("as "+s.name, func() { contract(s) })
	}
})

// contract is what the package relies on.
func contract(s subject) {
	var dir, data string
	var fake *fakerestic.Restic
	var r restic.Repository
	at := time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC)

	BeforeEach(func(ctx SpecContext) {
		dir = GinkgoT().TempDir()
		data = filepath.Join(dir, "data")
		Expect(os.MkdirAll(filepath.Join(data, "a"), 0o755)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(data, "a", "one"), noise(1, 3*mib), 0o644)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(data, "two"), []byte("2"), 0o644)).To(Succeed())
		Expect(os.Mkdir(filepath.Join(dir, "repository"), 0o755)).To(Succeed())
		r = restic.Repository{
			URL: filepath.Join(dir, "repository"), Password: spec.NewSecret("the password of a test"),
			CacheDir: filepath.Join(dir, "cache"), Host: "node7",
		}
		if s.real == nil {
			fake = fakerestic.NewRestic()
			fake.New = s.new
			r.Runner = fake
			return
		}
		path, err := s.real(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(path).To(BeAnExistingFile(), "install it: hack/install-deps.sh test")
		r.Program = path
	})
	backup := func(ctx context.Context, parent string) restic.Summary {
		GinkgoHelper()
		summary, err := r.Backup(ctx, restic.Backup{Dir: data, Time: at, Tags: []string{"x=1", "y"}, Parent: parent})
		Expect(err).NotTo(HaveOccurred())
		return summary
	}
	dump := func(ctx context.Context, id, path string) (string, error) {
		var out bytes.Buffer
		err := r.Dump(ctx, id, path, &out)
		return out.String(), err
	}

	It("makes, lists, reads and removes snapshots", func(ctx SpecContext) {
		Expect(r.Init(ctx)).To(Succeed())
		Expect(r.Snapshots(ctx)).To(BeEmpty())
		first := backup(ctx, "")
		Expect(first.Added).To(BeNumerically(">=", 3*mib))
		Expect(os.WriteFile(filepath.Join(data, "two"), []byte("22"), 0o644)).To(Succeed())
		at = at.Add(time.Hour)
		second := backup(ctx, first.ID)
		at = at.Add(-time.Hour)
		Expect(second.Added).To(BeNumerically("<", mib))
		Expect(second.Processed).To(BeEquivalentTo(3*mib + 2))

		all, err := r.Snapshots(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(all).To(HaveLen(2))
		Expect(restic.SameID(all[0].ID, first.ID)).To(BeTrue())
		Expect(all[0].Time).To(Equal(at))
		Expect(all[0].Host).To(Equal("node7"))
		Expect(all[0].Tags).To(ConsistOf("x=1", "y"))
		Expect(r.Snapshots(ctx, "x=1", "y")).To(HaveLen(2))
		Expect(r.Snapshots(ctx, "x=1", "z")).To(BeEmpty())

		Expect(dump(ctx, first.ID, "/two")).To(Equal("2"))
		Expect(dump(ctx, all[1].ID, "/two")).To(Equal("22"))
		stream, err := dump(ctx, first.ID, "/")
		Expect(err).NotTo(HaveOccurred())
		Expect(entries(stream)).To(Equal([]string{"a/", "a/one 3145728", "two 1"}))
		stream, err = dump(ctx, first.ID, "/a")
		Expect(err).NotTo(HaveOccurred())
		Expect(entries(stream)).To(HaveExactElements("a/one 3145728"))

		Expect(r.Stats(ctx)).To(HaveField("Bytes", BeNumerically(">", mib)))
		Expect(r.Check(ctx, "10%")).To(Succeed())
		Expect(r.Forget(ctx, first.ID)).To(Succeed())
		Expect(r.Prune(ctx, "10%")).To(Succeed())
		left, err := r.Snapshots(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(left).To(HaveLen(1))
		Expect(restic.SameID(left[0].ID, second.ID)).To(BeTrue())
	})

	It("does not take a server that fails for one without a repository", func(ctx SpecContext) {
		if s.real == nil {
			Skip("the one in memory has no server")
		}
		server := httptest.NewServer(http.NotFoundHandler())
		DeferCleanup(server.Close)
		away := r
		away.URL = "rest:" + server.URL + "/"
		_, err := away.Snapshots(ctx)
		Expect(err).To(MatchError(restic.ErrMissing))
		server.Close()
		soon, stop := context.WithTimeout(ctx, 3*time.Second) // newer ones try for minutes
		defer stop()
		_, err = away.Snapshots(soon)
		Expect(err).To(HaveOccurred())
		Expect(err).NotTo(MatchError(restic.ErrMissing))
	})

	It("says what is wrong", func(ctx SpecContext) {
		_, err := r.Snapshots(ctx)
		Expect(err).To(MatchError(restic.ErrMissing))
		Expect(r.Init(ctx)).To(Succeed())
		Expect(r.Init(ctx)).To(MatchError(ContainSubstring("config file already exists")))
		wrong := r
		wrong.Password = spec.NewSecret("another password")
		_, err = wrong.Snapshots(ctx)
		Expect(err).To(MatchError(restic.ErrPassword))
		Expect(err.Error()).NotTo(ContainSubstring("another"))

		id := backup(ctx, "").ID
		_, err = dump(ctx, id, "/three")
		Expect(err).To(MatchError(restic.ErrNoPath))
		_, err = dump(ctx, "0123456789", "/")
		Expect(err).To(MatchError(restic.ErrNoSnapshot))
		_, err = r.Backup(ctx, restic.Backup{Dir: data, Time: at, Parent: "0123456789"})
		Expect(err).To(MatchError(restic.ErrNoSnapshot))
		Expect(r.Forget(ctx, "0123456789")).To(Succeed())
		Expect(r.Forget(ctx, "latest")).NotTo(Succeed())
		Expect(r.Forget(ctx)).To(Succeed())
		Expect(r.Snapshots(ctx)).To(HaveLen(1))
	})

	Describe("with a file system that fails or waits", func() {
		BeforeEach(func() {
			if os.Geteuid() != 0 {
				Skip("needs root to mount")
			}
		})

		It("reads only what has changed, and says when something could not be read", func(ctx SpecContext) {
			Expect(r.Init(ctx)).To(Succeed())
			m, _ := slices(dir, nil)
			first, err := r.Backup(ctx, restic.Backup{Dir: filepath.Join(dir, "mount"), Time: at})
			Expect(err).NotTo(HaveOccurred())
			Expect(m.Read()).To(BeEquivalentTo(24 * mib))
			Expect(m.Close()).To(Succeed())

			m, _ = slices(dir, nil)
			_, err = r.Backup(ctx, restic.Backup{Dir: filepath.Join(dir, "mount"), Time: at, Parent: first.ID})
			Expect(err).NotTo(HaveOccurred())
			Expect(m.Read()).To(BeZero())
			Expect(m.Close()).To(Succeed())

			m, file := slices(dir, nil)
			Expect(os.Truncate(file, 10*mib)).To(Succeed())
			last, err := r.Backup(ctx, restic.Backup{Dir: filepath.Join(dir, "mount"), Time: at})
			Expect(err).To(MatchError(restic.ErrIncomplete))
			Expect(m.Close()).To(Succeed())
			Expect(last.ID).NotTo(BeEmpty())
			Expect(r.Snapshots(ctx)).To(HaveLen(3))
		})

		It("leaves neither snapshot nor lock when it is interrupted", func(ctx SpecContext) {
			Expect(r.Init(ctx)).To(Succeed())
			m, _ := slices(dir, blockcopy.NewLimiter(4*mib))
			running, stop := context.WithTimeout(ctx, 2500*time.Millisecond)
			defer stop()
			_, err := r.Backup(running, restic.Backup{Dir: filepath.Join(dir, "mount"), Time: at})
			Expect(err).To(MatchError(context.DeadlineExceeded))
			Expect(m.Close()).To(Succeed())
			Expect(r.Prune(ctx, "")).To(Succeed())
			Expect(r.Snapshots(ctx)).To(BeEmpty())
		})

		It("leaves a lock but no snapshot when it is killed, and unlock removes the lock", func(ctx SpecContext) {
			Expect(r.Init(ctx)).To(Succeed())
			m, _ := slices(dir, blockcopy.NewLimiter(4*mib))
			_, err := killed(ctx, dir, r, fake).Backup(ctx, restic.Backup{Dir: filepath.Join(dir, "mount"), Time: at})
			Expect(err).To(HaveOccurred())
			Expect(m.Close()).To(Succeed())
			Expect(r.Snapshots(ctx)).To(BeEmpty())
			Expect(r.Prune(ctx, "")).To(MatchError(restic.ErrLocked))
			Expect(r.Unlock(ctx)).To(Succeed())
			Expect(r.Prune(ctx, "")).To(Succeed())

			Expect(r.Forget(ctx, backup(ctx, "").ID)).To(Succeed())
			Expect(killed(ctx, dir, r, fake).Prune(ctx, "")).NotTo(Succeed())
			_, err = r.Backup(ctx, restic.Backup{Dir: data, Time: at})
			Expect(err).To(MatchError(restic.ErrLocked))
			Expect(r.Unlock(ctx)).To(Succeed())
			backup(ctx, "")
		})

		It("says that a repository is read-only, which NoLock can read", func(ctx SpecContext) {
			Expect(r.Init(ctx)).To(Succeed())
			id := backup(ctx, "").ID
			if fake != nil {
				fake.SetReadOnly(r.URL, true)
			} else {
				Expect(unix.Mount(r.URL, r.URL, "", unix.MS_BIND, "")).To(Succeed())
				DeferCleanup(func() { Expect(unix.Unmount(r.URL, 0)).To(Succeed()) })
				Expect(unix.Mount("", r.URL, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")).To(Succeed())
			}
			_, err := r.Backup(ctx, restic.Backup{Dir: data, Time: at})
			Expect(err).To(MatchError(restic.ErrReadOnly))
			Expect(r.Forget(ctx, id)).To(MatchError(restic.ErrReadOnly))
			r.NoLock = true
			Expect(r.Snapshots(ctx)).To(HaveLen(1))
			Expect(dump(ctx, id, "/two")).To(Equal("2"))
		})

		It("says that a repository is full", func(ctx SpecContext) {
			if fake == nil {
				Expect(unix.Mount("tmpfs", r.URL, "tmpfs", 0, "size=8m")).To(Succeed())
				DeferCleanup(func() { Expect(unix.Unmount(r.URL, 0)).To(Succeed()) })
			}
			Expect(r.Init(ctx)).To(Succeed())
			if fake != nil {
				fake.SetFull(r.URL, true)
			}
			Expect(os.WriteFile(filepath.Join(data, "three"), noise(3, 32*mib), 0o644)).To(Succeed())
			_, err := r.Backup(ctx, restic.Backup{Dir: data, Time: at})
			Expect(err).To(MatchError(restic.ErrFull))
			Expect(r.Snapshots(ctx)).To(BeEmpty())
		})
	})
}

// killed is a repository whose restic is killed when it has its lock.
func killed(ctx context.Context, dir string, r restic.Repository, fake *fakerestic.Restic) restic.Repository {
	if fake != nil {
		fake.KillAt(1)
		return r
	}
	pid := filepath.Join(dir, "pid")
	Expect(os.RemoveAll(pid)).To(Succeed())
	go func() {
		for ctx.Err() == nil {
			locks, _ := os.ReadDir(filepath.Join(r.URL, "locks"))
			text, _ := os.ReadFile(pid)
			n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
			// A file that is being written has another name.
			if n > 0 && len(locks) > 0 && !strings.Contains(locks[0].Name(), "-tmp-") {
				_ = unix.Kill(n, unix.SIGKILL)
				return
			}
		}
	}()
	script := filepath.Join(dir, "killed")
	Expect(os.WriteFile(script, []byte(fmt.Sprintf("#!/bin/sh\necho $$ >'%s'\nexec '%s' \"$@\"\n", pid, r.Program)), 0o755)).To(Succeed())
	r.Program = script
	return r
}

// slices mounts 24 MiB of data as slices, and returns the file that they are read from.
func slices(dir string, limiter *blockcopy.Limiter) (*slicefs.Mounted, string) {
	GinkgoHelper()
	file := filepath.Join(dir, "device")
	content := noise(2, 24*mib)
	Expect(os.WriteFile(file, content, 0o600)).To(Succeed())
	device, err := blockcopy.OpenSource(file, "", 24*mib)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(device.Close)
	layout, err := format.NewLayout(24 * mib)
	Expect(err).NotTo(HaveOccurred())
	x := &format.Index{Layout: layout, Present: layout.All(), When: make([]uint32, 6), Digests: make([]uint64, 6), Moments: []int64{1}, Made: 2}
	m, err := slicefs.Mount(filepath.Join(dir, "mount"), slicefs.Volume{
		Device: device, Index: x, VolumeYAML: []byte("a: b\n"), Limiter: limiter, Changed: []int{0, 1, 2, 3, 4, 5},
	})
	Expect(err).NotTo(HaveOccurred())
	return m, file
}

// entries are the names and sizes in a tar stream.
func entries(stream string) []string {
	var names []string
	archive := tar.NewReader(strings.NewReader(stream))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		Expect(err).NotTo(HaveOccurred())
		name := strings.TrimPrefix(header.Name, "/")
		if header.Typeflag == tar.TypeReg {
			name += fmt.Sprintf(" %d", header.Size)
		}
		names = append(names, name)
	}
}

func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}
