package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/volreconciler/volreconciler/pkg/backup/format"
	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/restic"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// makeBackup makes a backup as the agent does, without a mount: makebackup REPOSITORY PASSWORDFILE VOLUME TIME FILE [TAG]...
// The repository is made if it is missing.
func makeBackup(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 5 {
		ts.Fatalf("usage: makebackup REPOSITORY PASSWORDFILE VOLUME TIME FILE [TAG]...")
	}
	moment, err := time.Parse(time.RFC3339, args[3])
	ts.Check(err)
	data, err := os.ReadFile(ts.MkAbs(args[4]))
	ts.Check(err)
	dir, err := os.MkdirTemp(ts.Getenv("WORK"), "slices")
	ts.Check(err)
	ts.Check(writeSlices(dir, data, moment))
	ctx := context.Background()
	r := restic.Repository{URL: ts.MkAbs(args[0]), Password: spec.NewSecret(strings.TrimSpace(ts.ReadFile(args[1])))}
	if _, err := r.Snapshots(ctx); err != nil {
		ts.Check(r.Init(ctx))
	}
	_, err = r.Backup(ctx, restic.Backup{Dir: dir, Time: moment, Tags: append([]string{"volreconciler", "volume=" + args[2]}, args[5:]...)})
	ts.Check(err)
}

// writeSlices writes a volume as it is in a backup.
func writeSlices(dir string, data []byte, moment time.Time) error {
	layout, err := format.NewLayout(int64(len(data)))
	if err != nil {
		return err
	}
	files := map[string][]byte{format.Dir + "/" + format.VolumeYAML: []byte("kind: Volume\n")}
	x := &format.Index{Layout: layout, Made: moment.UnixNano()}
	for n := range layout.Slices() {
		slice := data[layout.Offset(n):][:layout.Length(n)]
		if blockcopy.IsZero(slice) {
			continue
		}
		x.Moments = []int64{moment.UnixNano()}
		x.Present, x.When, x.Digests = append(x.Present, uint32(n)), append(x.When, 0), append(x.Digests, xxhash.Sum64(slice))
		files[x.Path(n)] = slice
	}
	digests := make([]byte, x.DigestsSize())
	x.ReadDigests(digests, 0)
	files[format.Dir+"/"+format.Digests], files[format.Dir+"/"+format.Times] = digests, x.EncodeTimes()
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

var _ = Describe("the backup to restore", func() {
	at := func(hour int) time.Time { return time.Date(2026, 3, 1, hour, 0, 0, 0, time.UTC) }
	backups := []observe.Backup{
		{ID: "aaaaaaaa11", Time: at(1)}, {ID: "bbbbbbbb22", Time: at(2)}, {ID: "cccccccc33", Time: at(3)},
	}
	DescribeTable("is what --at says",
		func(value, want string) {
			b, err := chooseBackup(backups, "db", value)
			if want == "" {
				Expect(err).To(MatchError(ContainSubstring("see volreconciler backups")))
				return
			}
			Expect(err).NotTo(HaveOccurred())
			Expect(b.ID).To(HavePrefix(want))
		},
		Entry("latest", "latest", "c"),
		Entry("a time at which there is one", "2026-03-01T02:00:00Z", "b"),
		Entry("a time after one", "2026-03-01T02:59:59Z", "b"),
		Entry("a time in another zone", "2026-03-01T03:30:00+02:00", "a"),
		Entry("a time before all", "2026-03-01T00:59:59Z", ""),
		Entry("an ID", "bbbbbbbb22", "b"),
		Entry("the beginning of an ID", "aaaaaaaa", "a"),
		Entry("too little of an ID", "aaaaaaa", ""),
		Entry("more than an ID", "aaaaaaaa1122", ""),
		Entry("something else", "yesterday", ""),
	)

	It("must be readable", func() {
		newer := append(backups, observe.Backup{ID: "dddddddd44", Time: at(4), Unreadable: true})
		_, err := chooseBackup(newer, "db", "latest")
		Expect(err).To(MatchError(ContainSubstring("another version")))
		Expect(chooseBackup(newer, "db", "2026-03-01T03:00:00Z")).To(HaveField("ID", "cccccccc33"))
	})
})

var _ = Describe("the variables for backends", func() {
	It("are those of the caller that concern them, and no others", func() {
		GinkgoT().Setenv("AWS_ACCESS_KEY_ID", "key")
		GinkgoT().Setenv("RESTIC_REST_PASSWORD", "word")
		GinkgoT().Setenv("RESTIC_PASSWORD", "another")
		GinkgoT().Setenv("RESTIC_REPOSITORY", "elsewhere")
		GinkgoT().Setenv("UNRELATED", "x")
		found := callersEnvironment()
		Expect(found).To(HaveKeyWithValue("AWS_ACCESS_KEY_ID", spec.NewSecret("key")))
		Expect(found).To(HaveKeyWithValue("RESTIC_REST_PASSWORD", spec.NewSecret("word")))
		Expect(found).NotTo(Or(HaveKey("RESTIC_PASSWORD"), HaveKey("RESTIC_REPOSITORY"), HaveKey("UNRELATED")))
	})
})

var _ = Describe("a file to restore to", func() {
	It("is not created among devices, where the name of one was meant", func() {
		for path, refused := range map[string]bool{"/dev/no-such-group/db": true, "/dev/no-such-db": true, "/dev/shm/no-such-db": false} {
			for _, force := range []bool{false, true} {
				err := checkTarget(path, force)
				Expect(err != nil).To(Equal(refused), path)
			}
		}
		link := filepath.Join(GinkgoT().TempDir(), "link")
		Expect(os.Symlink("/dev", link)).To(Succeed())
		Expect(checkTarget(link+"/no-such-db", false)).To(MatchError(ContainSubstring("no file is created in /dev")))
	})

	It("is emptied only if that is asked for, and nobody else has it open", func() {
		path := filepath.Join(GinkgoT().TempDir(), "disk.raw")
		Expect(os.WriteFile(path, []byte("precious"), 0o600)).To(Succeed())
		_, err := openRestoreTarget(path, false, 16)
		Expect(err).To(MatchError(os.ErrExist))
		other, err := os.Open(path)
		Expect(err).NotTo(HaveOccurred())
		_, err = openRestoreTarget(path, true, 16)
		Expect(err).To(MatchError(ContainSubstring("is in use (see lsof " + path + ")")))
		Expect(os.ReadFile(path)).To(BeEquivalentTo("precious"))
		Expect(other.Close()).To(Succeed())
		target, err := openRestoreTarget(path, true, 16)
		Expect(err).NotTo(HaveOccurred())
		Expect(os.ReadFile(path)).To(Equal(make([]byte, 16)))
		Expect(target.close(false)).To(Succeed())
		Expect(path).To(BeAnExistingFile(), "it was there before")
	})

	It("is removed if it was created and is not complete", func() {
		path := filepath.Join(GinkgoT().TempDir(), "disk.raw")
		target, err := openRestoreTarget(path, false, 16)
		Expect(err).NotTo(HaveOccurred())
		Expect(target.close(false)).To(Succeed())
		Expect(path).NotTo(BeAnExistingFile())
	})
})
