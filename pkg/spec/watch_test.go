package spec_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"go.uber.org/goleak"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Watching", func() {
	var dir, secret string

	BeforeEach(func() {
		ignored := goleak.IgnoreCurrent()
		DeferCleanup(func() {
			Eventually(func() error { return goleak.Find(ignored) }).WithTimeout(time.Minute).Should(Succeed())
		})
		base := GinkgoT().TempDir()
		dir, secret = filepath.Join(base, "specs"), filepath.Join(base, "secrets", "db")
		write(secret, "a long enough password\n")
		write(dir+"/pool.yaml", aPool)
		write(dir+"/sub/db.yaml", aVolume+export("db",
			"luns: [{volume: db}], initiators: [{name: 'iqn.1993-08.org.debian:a', auth: {chap: {username: u, passwordFrom: {file: "+secret+"}}}}]"))
	})

	// follow loads on every wake, as the agent does, until the last Set
	// satisfies a condition.
	type follower struct {
		source *spec.Source
		wake   <-chan struct{}
		last   spec.Set
	}
	start := func(path string, poll time.Duration) *follower {
		ctx, cancel := context.WithCancel(context.Background())
		DeferCleanup(cancel)
		source := spec.NewSource(path, spec.Options{Settle: quick, Poll: poll, Secrets: true})
		f := &follower{source: source, wake: source.Watch(ctx)}
		return f
	}
	until := func(ctx context.Context, f *follower, satisfied func(spec.Set) bool) {
		GinkgoHelper()
		for !satisfied(f.last) {
			select {
			case <-f.wake:
				f.last = f.source.Load(ctx)
			case <-ctx.Done():
				Fail(fmt.Sprintf("not woken in time; findings of the last Load: %q", errorsOf(f.last.Findings)))
			}
		}
	}
	quiet := func(ctx context.Context, f *follower) {
		GinkgoHelper()
		for {
			select {
			case <-f.wake:
				f.last = f.source.Load(ctx)
			case <-time.After(100 * time.Millisecond):
				return
			}
		}
	}
	has := func(name string) func(spec.Set) bool {
		return func(s spec.Set) bool { return s.Complete && contains(s, spec.ID{Kind: spec.KindVolume, Name: name}) }
	}
	v := func(name string) string { return volume(name, "pool: fast, size: 1Gi") }
	// Polling is far beyond the time limit of the specs that are about inotify.
	const never = time.Hour

	It("wakes for other files that it was given", func(ctx SpecContext) {
		other := filepath.Join(filepath.Dir(dir), "discovery", "password")
		write(other, "one\n")
		running, cancel := context.WithCancel(context.Background())
		DeferCleanup(cancel)
		source := spec.NewSource(dir, spec.Options{Settle: quick, Poll: never, Secrets: true, Also: []string{other}})
		f := &follower{source: source, wake: source.Watch(running)}
		until(ctx, f, has("db"))
		quiet(ctx, f)
		write(other, "two\n")
		Eventually(ctx, f.wake).Should(Receive())
	}, SpecTimeout(time.Minute))

	It("wakes at the start, and then only after a change", func(ctx SpecContext) {
		f := start(dir, never)
		until(ctx, f, has("db"))
		quiet(ctx, f)
		Consistently(f.wake, "200ms").ShouldNot(Receive())
	}, SpecTimeout(5*time.Second))

	It("notices files and directories, new, changed and gone", func(ctx SpecContext) {
		f := start(dir, never)
		until(ctx, f, has("db"))
		write(dir+"/a.yaml", v("a"))
		until(ctx, f, has("a"))
		write(dir+"/new/deeply/b.yaml", v("b"))
		until(ctx, f, has("b"))
		write(dir+"/new/deeply/c.yaml", v("c"))
		until(ctx, f, has("c"))
		Expect(os.RemoveAll(dir + "/new")).To(Succeed())
		until(ctx, f, func(s spec.Set) bool { return s.Complete && !has("b")(s) })
		write(dir+"/new/deeply/c.yaml", v("d"))
		until(ctx, f, has("d"))
		write(dir+"/new/deeply/c.yaml", v("e"))
		until(ctx, f, has("e"))
	}, SpecTimeout(5*time.Second))

	It("notices a directory that is deleted and made again", func(ctx SpecContext) {
		f := start(dir, never)
		until(ctx, f, has("db"))
		for _, name := range []string{"a", "b"} {
			Expect(os.RemoveAll(dir)).To(Succeed())
			until(ctx, f, func(s spec.Set) bool { return !s.Complete })
			write(dir+"/pool.yaml", aPool)
			write(dir+"/x.yaml", v(name))
			until(ctx, f, has(name))
		}
		write(dir+"/x.yaml", v("c"))
		until(ctx, f, has("c"))
	}, SpecTimeout(5*time.Second))

	It("notices a directory that is moved away and replaced", func(ctx SpecContext) {
		f := start(dir, never)
		until(ctx, f, has("db"))
		write(dir+".new/pool.yaml", aPool)
		write(dir+".new/x.yaml", v("x"))
		Expect(os.Rename(dir, dir+".old")).To(Succeed())
		Expect(os.Rename(dir+".new", dir)).To(Succeed())
		until(ctx, f, has("x"))
		write(dir+"/y.yaml", v("y"))
		until(ctx, f, has("y"))
	}, SpecTimeout(5*time.Second))

	It("notices a directory that is missing at first, with those above it", func(ctx SpecContext) {
		late := filepath.Join(filepath.Dir(dir), "not", "yet", "there")
		f := start(late, never)
		until(ctx, f, func(s spec.Set) bool { return len(s.Findings) > 0 })
		write(late+"/x.yaml", aPool+v("x"))
		until(ctx, f, has("x"))
	}, SpecTimeout(5*time.Second))

	It("notices a symbolic link that is switched", func(ctx SpecContext) {
		link := filepath.Join(filepath.Dir(dir), "current")
		write(dir+"2/pool.yaml", aPool)
		write(dir+"2/x.yaml", v("x"))
		Expect(os.Symlink(dir, link)).To(Succeed())
		f := start(link, never)
		until(ctx, f, has("db"))
		Expect(os.Symlink(dir+"2", link+".new")).To(Succeed())
		Expect(os.Rename(link+".new", link)).To(Succeed())
		until(ctx, f, has("x"))
		write(dir+"2/y.yaml", v("y"))
		until(ctx, f, has("y"))
	}, SpecTimeout(5*time.Second))

	It("notices a file that a symbolic link leads to", func(ctx SpecContext) {
		outside := filepath.Join(filepath.Dir(dir), "outside", "x.yaml")
		write(outside, v("x"))
		Expect(os.Symlink(outside, dir+"/x.yaml")).To(Succeed())
		f := start(dir, never)
		until(ctx, f, has("x"))
		write(outside, v("y"))
		until(ctx, f, has("y"))
	}, SpecTimeout(5*time.Second))

	It("notices a ConfigMap swap", func(ctx SpecContext) {
		write(dir+"/..1/x.yaml", v("x"))
		Expect(os.Symlink("..1", dir+"/..data")).To(Succeed())
		Expect(os.Symlink("..data/x.yaml", dir+"/x.yaml")).To(Succeed())
		f := start(dir, never)
		until(ctx, f, has("x"))
		for i, name := range []string{"y", "z"} {
			version := "..v" + string(rune('2'+i))
			write(filepath.Join(dir, version, "x.yaml"), v(name))
			Expect(os.Symlink(version, dir+"/..new")).To(Succeed())
			Expect(os.Rename(dir+"/..new", dir+"/..data")).To(Succeed())
			until(ctx, f, has(name))
		}
	}, SpecTimeout(5*time.Second))

	It("notices a password that is replaced", func(ctx SpecContext) {
		f := start(dir, never)
		until(ctx, f, has("db"))
		write(secret, "another good password\n")
		until(ctx, f, func(s spec.Set) bool {
			return s.Exports["db"].Spec.Initiators[0].Auth.CHAP.Password.Reveal() == "another good password"
		})
	}, SpecTimeout(5*time.Second))

	It("is not woken by other names beside the directory", func(ctx SpecContext) {
		f := start(dir, never)
		until(ctx, f, has("db"))
		quiet(ctx, f)
		write(filepath.Join(filepath.Dir(dir), "unrelated"), "x")
		Consistently(f.wake, "200ms").ShouldNot(Receive())
	}, SpecTimeout(5*time.Second))

	It("polls besides", func(ctx SpecContext) {
		// Until the files are older than the time resolution of file systems, it
		// wakes to be on the safe side.
		f := start(dir, 20*time.Millisecond)
		until(ctx, f, has("db"))
		Eventually(ctx, func(g Gomega) {
			select {
			case <-f.wake:
				f.last = f.source.Load(ctx)
			default:
			}
			g.Consistently(f.wake, "100ms").ShouldNot(Receive())
		}).Should(Succeed())
	}, SpecTimeout(10*time.Second))

	It("ends with its context", func() {
		ctx, cancel := context.WithCancel(context.Background())
		wake := spec.NewSource(dir, spec.Options{Settle: quick}).Watch(ctx)
		Eventually(wake).Should(Receive())
		cancel() // goleak, above, does the rest
	})
})
