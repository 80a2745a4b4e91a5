package catalog_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/backup/catalog"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/restic"
	"github.com/volreconciler/volreconciler/pkg/restic/fakerestic"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// clock is a time that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// gate lets commands through one by one, if it is closed.
type gate struct {
	restic.Runner
	mu   sync.Mutex
	pass chan struct{} // nil: open
	runs int
}

func (g *gate) Run(ctx context.Context, c restic.Command) (int, error) {
	g.mu.Lock()
	g.runs++
	pass, runner := g.pass, g.Runner
	g.mu.Unlock()
	if pass != nil {
		select {
		case <-pass:
		case <-ctx.Done():
			return -1, ctx.Err()
		}
	}
	return runner.Run(ctx, c)
}

// use makes another program run.
func (g *gate) use(r restic.Runner) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.Runner = r
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pass = make(chan struct{})
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.pass)
	g.pass = nil
}

func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.runs
}

const url = "s3:https://key:hush@s3.example.org/backups"

var _ = Describe("the catalog", func() {
	var (
		fake     *fakerestic.Restic
		gated    *gate
		at       *clock
		file     string
		declared map[string]spec.Repository
		c        *catalog.Catalog
	)
	password := spec.NewSecret("the-password")
	open := func(log logr.Logger) *catalog.Catalog {
		GinkgoHelper()
		c, err := catalog.Open(file, catalog.Options{With: restic.Repository{Runner: gated}, Log: log, Clock: at.read})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(c.Close)
		return c
	}
	repository := func() restic.Repository { return restic.Repository{URL: url, Password: password, Runner: fake} }
	backUp := func(ctx context.Context, tags ...string) {
		GinkgoHelper()
		dir := GinkgoT().TempDir()
		Expect(os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o600)).To(Succeed())
		_, err := repository().Backup(ctx, restic.Backup{Dir: dir, Time: at.read(), Tags: tags})
		Expect(err).NotTo(HaveOccurred())
	}
	// read observes until something was read, or could not be.
	read := func(ctx context.Context) observe.Repository {
		GinkgoHelper()
		c.Observe(declared)
		c.Refresh(ctx, "offsite")
		return c.Observe(declared)["offsite"]
	}

	BeforeEach(func() {
		fake, at, file = fakerestic.NewRestic(), &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, filepath.Join(GinkgoT().TempDir(), "repositories.json")
		gated = &gate{Runner: fake}
		declared = map[string]spec.Repository{"offsite": {Spec: spec.RepositorySpec{Restic: spec.ResticRepository{URL: url, Password: password}}}}
		c = open(logr.Discard())
	})

	It("leaves out what was begun and is incomplete, also after a restart", func(ctx SpecContext) {
		Expect(repository().Init(ctx)).To(Succeed())
		begun := observe.Backup{LV: "uuid-1", Schedule: "hourly"}
		Expect(c.NoteBegun(url, begun)).To(Succeed())
		c = open(logr.Discard())
		for _, lv := range []string{"uuid-1", "uuid-2"} {
			backUp(ctx, "volreconciler", "volume=db", "format=1", "size=1", "schedule=hourly", "lv="+lv)
		}
		Expect(read(ctx).Backups).To(ConsistOf(HaveField("LV", "uuid-2")))
		c.NoteEnded(url, begun)
		Expect(read(ctx).Backups).To(HaveLen(2))
	})

	It("tells what the tags of backups say, whatever host made them", func(ctx SpecContext) {
		Expect(repository().Init(ctx)).To(Succeed())
		whole := observe.Backup{Volume: "db", Schedule: "nightly", LV: "Uuid-1", Identity: "id/1", Size: 5 << 30, Reread: true, Time: at.read()}
		tags := []string{"volreconciler", "volume=db", "format=1"}
		for name, value := range catalog.Tags(whole) {
			tags = append(tags, name+"="+value)
		}
		backUp(ctx, tags...)
		at.pass(time.Minute)
		byHand := observe.Backup{Volume: "db", Object: "before", LV: "Uuid-2", Size: 6, Delete: true, Time: at.read()}
		backUp(ctx, "volreconciler", "volume=db", "format=1", "backup=before", "lv=Uuid-2", "size=6", "delete=true")
		at.pass(time.Minute)
		backUp(ctx, "volreconciler", "volume=db", "format=99", "size=6")
		at.pass(time.Minute)
		backUp(ctx, "volreconciler", "volume=db", "format=1")
		backUp(ctx, "somebody's")

		r := read(ctx)
		Expect(r.Err).NotTo(HaveOccurred())
		Expect(r.IsKnown()).To(BeTrue())
		Expect(r.Seen).To(BeTrue())
		Expect(r.Backups).To(HaveLen(4))
		for i := range r.Backups {
			Expect(r.Backups[i].ID).To(HaveLen(64))
		}
		whole.ID, byHand.ID = r.Backups[0].ID, r.Backups[1].ID
		Expect(r.Backups[:2]).To(Equal([]observe.Backup{whole, byHand}))
		Expect(r.Backups[2].Unreadable).To(BeTrue(), "another format")
		Expect(r.Backups[3].Unreadable).To(BeTrue(), "no size")
	})

	It("does not wait for a repository, and starts one reading at a time", func(ctx SpecContext) {
		Expect(repository().Init(ctx)).To(Succeed())
		gated.close()
		for range 5 {
			Expect(c.Observe(declared)["offsite"]).To(Equal(observe.Repository{}))
			at.pass(2 * time.Hour)
		}
		Eventually(ctx, gated.count).Should(Equal(1))
		Consistently(ctx, gated.count, "50ms").Should(Equal(1))
		Expect(c.Changed()).NotTo(Receive())
		gated.open()
		Eventually(ctx, c.Changed()).Should(Receive())
		Expect(c.Observe(declared)["offsite"].IsKnown()).To(BeTrue())
	})

	It("reads again after an hour, and says so only if there is something new", func(ctx SpecContext) {
		Expect(repository().Init(ctx)).To(Succeed())
		read(ctx)
		Eventually(ctx, c.Changed()).Should(Receive())
		before := gated.count()
		at.pass(59 * time.Minute)
		c.Observe(declared)
		Consistently(ctx, gated.count, "50ms").Should(Equal(before))
		at.pass(time.Minute)
		c.Observe(declared)
		c.Await("offsite")
		Expect(c.Observe(declared)["offsite"].Read).To(Equal(at.read()))
		Expect(c.Changed()).NotTo(Receive())

		backUp(ctx, "volreconciler", "volume=db", "format=1", "size=1")
		at.pass(time.Hour)
		c.Observe(declared)
		Eventually(ctx, c.Changed()).Should(Receive())
	})

	It("waits longer after each failure, and keeps what it knows", func(ctx SpecContext) {
		Expect(repository().Init(ctx)).To(Succeed())
		backUp(ctx, "volreconciler", "volume=db", "format=1", "size=1")
		Expect(read(ctx).Backups).To(HaveLen(1))
		gated.use(failing{})
		at.pass(time.Hour)
		for _, wait := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
			before := gated.count()
			c.Observe(declared)
			c.Await("offsite")
			Expect(gated.count()).To(Equal(before + 1))
			Expect(c.Observe(declared)["offsite"].Err).To(MatchError(ContainSubstring("no route to host")))
			at.pass(wait*time.Minute - time.Second)
			c.Observe(declared)
			Consistently(ctx, gated.count, "20ms").Should(Equal(before+1), "after %d minutes", wait)
			at.pass(time.Second)
		}
		r := c.Observe(declared)["offsite"]
		Expect(r.IsKnown()).To(BeTrue())
		Expect(r.Backups).To(HaveLen(1))
		gated.use(fake)
		Expect(read(ctx).Err).NotTo(HaveOccurred())
	})

	It("tells a repository that is missing from one that cannot be read", func(ctx SpecContext) {
		r := read(ctx)
		Expect(r.Err).To(MatchError(restic.ErrMissing))
		Expect([]bool{r.Missing, r.IsKnown(), r.Seen}).To(Equal([]bool{true, false, false}))
		Expect(repository().Init(ctx)).To(Succeed())
		r = read(ctx)
		Expect([]bool{r.Missing, r.IsKnown(), r.Seen}).To(Equal([]bool{false, true, true}))
		other := declared["offsite"]
		other.Spec.Restic.Password = spec.NewSecret("another-password")
		declared["offsite"] = other
		r = read(ctx)
		Expect(r.Err).To(MatchError(restic.ErrPassword))
		Expect([]bool{r.Missing, r.IsKnown(), r.Seen}).To(Equal([]bool{false, false, true}))
	})

	It("lists what is locked, and takes no lock itself", func(ctx SpecContext) {
		Expect(repository().Init(ctx)).To(Succeed())
		fake.Lock(url, true, false)
		Expect(read(ctx).Err).NotTo(HaveOccurred())
		Expect(fake.Locks(url)).To(Equal(1))
	})

	It("shows nothing of the repository that had the name before", func(ctx SpecContext) {
		Expect(repository().Init(ctx)).To(Succeed())
		backUp(ctx, "volreconciler", "volume=db", "format=1", "size=1")
		Expect(read(ctx).Backups).To(HaveLen(1))
		gated.close()
		moved := declared["offsite"]
		moved.Spec.Restic.URL = "/srv/elsewhere"
		Expect(c.Observe(map[string]spec.Repository{"offsite": moved})["offsite"]).To(Equal(observe.Repository{}))
		// Back to the old one, while the other is being read: what comes of that must not be taken for this one.
		Expect(c.Observe(declared)["offsite"].Backups).To(BeEmpty())
		gated.open()
		Eventually(ctx, func() []observe.Backup { return c.Observe(declared)["offsite"].Backups }).Should(HaveLen(1))
		Expect(c.Observe(declared)["offsite"].Missing).To(BeFalse())
	})

	It("reads once more what was changed while it was read", func(ctx SpecContext) {
		Expect(repository().Init(ctx)).To(Succeed())
		gated.use(&late{Runner: fake, then: func() { backUp(ctx, "volreconciler", "volume=db", "format=1", "size=1") }})
		gated.close()
		c.Observe(declared)
		done := make(chan struct{})
		go func() { c.Refresh(ctx, "offsite"); close(done) }()
		Consistently(ctx, done, "50ms").ShouldNot(BeClosed())
		gated.open()
		Eventually(ctx, done).Should(BeClosed())
		Expect(c.Observe(declared)["offsite"].Backups).To(HaveLen(1))
		Expect(gated.count()).To(Equal(2))
	})

	It("remembers across a restart, without secrets", func(ctx SpecContext) {
		Expect(repository().Init(ctx)).To(Succeed())
		read(ctx)
		Expect(c.NotePruned(url)).To(Succeed())
		at.pass(time.Hour)
		Expect(c.NoteChecked(url)).To(Succeed())
		Expect(c.NoteForgotten(url, "db", "a", "b")).To(Succeed())
		Expect(c.NoteForgotten(url, "db", "b", "c")).To(Succeed())
		Expect(c.NoteDoubted(url, "d")).To(Succeed())
		text, err := os.ReadFile(file)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(text)).To(And(ContainSubstring("s3.example.org"), Not(ContainSubstring("hush")), Not(ContainSubstring("the-password"))))
		info, err := os.Stat(file)
		Expect(err).NotTo(HaveOccurred())
		Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o600)))

		c.Close()
		gated.close()
		c = open(logr.Discard())
		r := c.Observe(declared)["offsite"]
		Expect(r.Seen).To(BeTrue())
		Expect(r.IsKnown()).To(BeFalse())
		Expect(r.Checked).To(BeTemporally("==", at.read()))
		Expect(r.Pruned).To(BeTemporally("==", at.read().Add(-time.Hour)))
		Expect(r.Forgotten).To(Equal(map[string]int{"db": 3}))
		Expect([]bool{c.IsDoubted(url, "d"), c.IsDoubted(url, "e"), c.IsDoubted("/other", "d")}).To(Equal([]bool{true, false, false}))
		at.pass(24*time.Hour - time.Second)
		Expect(c.Observe(declared)["offsite"].Forgotten).To(Equal(map[string]int{"db": 3}))
		at.pass(time.Second)
		Expect(c.Observe(declared)["offsite"].Forgotten).To(BeEmpty())
	})

	It("does not count a removal that did not come about, nor one backup twice", func(ctx SpecContext) {
		Expect(repository().Init(ctx)).To(Succeed())
		backUp(ctx, "volreconciler", "volume=db", "format=1", "size=1")
		r := read(ctx)
		Expect(c.NoteForgotten(url, "db", r.Backups[0].ID, "gone")).To(Succeed())
		Expect(c.Observe(declared)["offsite"].Forgotten).To(Equal(map[string]int{"db": 1}))
		Expect(repository().Forget(ctx, r.Backups[0].ID)).To(Succeed())
		Expect(read(ctx).Forgotten).To(Equal(map[string]int{"db": 2}))
	})

	DescribeTable("sets aside a file that it does not understand",
		func(content string) {
			Expect(os.WriteFile(file, []byte(content), 0o600)).To(Succeed())
			var lines []string
			c = open(funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}))
			Expect(lines).To(HaveLen(1))
			Expect(lines[0]).To(ContainSubstring(file + ".broken"))
			kept, err := os.ReadFile(file + ".broken")
			Expect(err).NotTo(HaveOccurred())
			Expect(string(kept)).To(Equal(content))
			for range 2 { // also after another start
				Expect(c.Observe(declared)["offsite"].Seen).To(BeTrue(), "it may have been: it must not be created again")
				Expect(c.NoteChecked(url)).To(Succeed())
				c = open(logr.Discard())
			}
			Expect(c.NotePruned(url)).To(Succeed())
			text, err := os.ReadFile(file)
			Expect(err).NotTo(HaveOccurred())
			Expect(strings.Count(string(text), "pruned")).To(Equal(1))
		},
		Entry("empty", ""),
		Entry("cut off", `{"version": 1, "repositories": {"a": {`),
		Entry("another version", `{"version": 2, "repositories": {}}`),
		Entry("no version", `{"repositories": {}}`),
		Entry("an unknown field", `{"version": 1, "repositories": {"a": {"seen": true, "trusted": true}}}`),
		Entry("null", `{"version": 1, "repositories": {"a": null}}`),
		Entry("something behind it", `{"version": 1, "repositories": {}} {}`),
	)

	It("reports that the file cannot be written, and writes it the next time", func() {
		Expect(os.Mkdir(file, 0o700)).To(Succeed())
		Expect(c.NotePruned(url)).To(MatchError(ContainSubstring("cannot write the state of repositories")))
		Expect(os.Remove(file)).To(Succeed())
		Expect(c.NoteSeen(url)).To(Succeed())
		Expect(c.Observe(declared)["offsite"].Pruned).To(BeTemporally("==", at.read()))
		Expect(file).To(BeAnExistingFile())
	})
})

// failing cannot reach any repository.
type failing struct{}

func (failing) Run(_ context.Context, c restic.Command) (int, error) {
	_, _ = c.Stderr.Write([]byte("Fatal: dial tcp: no route to host"))
	return 1, nil
}

// late does something after the first command.
type late struct {
	restic.Runner
	once sync.Once
	then func()
}

func (l *late) Run(ctx context.Context, c restic.Command) (int, error) {
	code, err := l.Runner.Run(ctx, c)
	l.once.Do(l.then)
	return code, err
}
