package spec_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// quick settles fast enough for tests.
const quick = 5 * time.Millisecond

var _ = Describe("A Source", func() {
	var dir string
	var source *spec.Source

	BeforeEach(func() {
		dir = filepath.Join(GinkgoT().TempDir(), "specs")
		Expect(os.Mkdir(dir, 0o755)).To(Succeed())
		source = spec.NewSource(dir, spec.Options{Settle: quick})
	})
	at := func(names ...string) string { return filepath.Join(append([]string{dir}, names...)...) }
	names := func(set spec.Set) []string {
		var all []string
		for name := range set.Volumes {
			all = append(all, name)
		}
		return all
	}
	v := func(name string) string { return volume(name, "pool: fast, size: 1Gi") }

	It("reads files of all directories", func(ctx SpecContext) {
		write(at("pool.yaml"), aPool)
		write(at("a", "b", "db.yml"), v("db"))
		write(at("README.md"), "not YAML: at: all")
		set := source.Load(ctx)
		Expect(errorsOf(set.Findings)).To(BeEmpty())
		Expect(set.Complete).To(BeTrue())
		Expect(names(set)).To(ConsistOf("db"))
	})

	It("follows changes, additions and removals", func(ctx SpecContext) {
		write(at("pool.yaml"), aPool)
		write(at("a.yaml"), v("a"))
		Expect(names(source.Load(ctx))).To(ConsistOf("a"))
		write(at("b.yaml"), v("b"))
		Expect(names(source.Load(ctx))).To(ConsistOf("a", "b"))
		write(at("a.yaml"), v("c"))
		Expect(names(source.Load(ctx))).To(ConsistOf("b", "c"))
		Expect(os.Remove(at("a.yaml"))).To(Succeed())
		set := source.Load(ctx)
		Expect(names(set)).To(ConsistOf("b"))
		Expect(set.Complete).To(BeTrue())
	})

	Describe("whose files are removed one after the other", func() {
		emptied := func(ctx SpecContext) spec.Set {
			GinkgoHelper()
			write(at("pool.yaml"), aPool)
			write(at("a.yaml"), v("a"))
			write(at("b.yaml"), v("b"))
			Expect(source.Load(ctx).Complete).To(BeTrue())
			Expect(os.Remove(at("a.yaml"))).To(Succeed())
			Expect(source.Load(ctx).Complete).To(BeTrue())
			Expect(os.Remove(at("b.yaml"))).To(Succeed())
			Expect(source.Load(ctx).Complete).To(BeTrue())
			Expect(os.Remove(at("pool.yaml"))).To(Succeed())
			set := source.Load(ctx)
			Expect(set.Complete).To(BeFalse())
			return set
		}
		It("goes on with all that was there, not with what the last read but one left", func(ctx SpecContext) {
			Expect(names(emptied(ctx))).To(ConsistOf("a", "b"))
			Expect(names(source.Load(ctx))).To(ConsistOf("a", "b"))
		})
		It("says what the files say as soon as there is one", func(ctx SpecContext) {
			emptied(ctx)
			write(at("pool.yaml"), aPool)
			set := source.Load(ctx)
			Expect(set.Complete).To(BeTrue())
			Expect(names(set)).To(BeEmpty())
		})
		It("does not go on with what moved to another file", func(ctx SpecContext) {
			write(at("pool.yaml"), aPool)
			write(at("a.yaml"), v("a"))
			source.Load(ctx)
			Expect(os.Rename(at("a.yaml"), at("c.yaml"))).To(Succeed())
			Expect(names(source.Load(ctx))).To(ConsistOf("a"))
			Expect(os.Remove(at("c.yaml"))).To(Succeed())
			source.Load(ctx)
			Expect(os.Remove(at("pool.yaml"))).To(Succeed())
			set := source.Load(ctx)
			Expect(names(set)).To(ConsistOf("a"))
			Expect(set.Findings).To(HaveLen(1))
		})
		It("forgets those that have been gone for longer", func(ctx SpecContext) {
			source = spec.NewSource(dir, spec.Options{Settle: quick, Recall: -1})
			Expect(names(emptied(ctx))).To(BeEmpty())
		})
	})

	It("notices a change that keeps size and times", func(ctx SpecContext) {
		write(at("pool.yaml"), aPool)
		write(at("a.yaml"), v("a"))
		stat, err := os.Stat(at("a.yaml"))
		Expect(err).NotTo(HaveOccurred())
		Expect(names(source.Load(ctx))).To(ConsistOf("a"))
		Expect(os.WriteFile(at("a.yaml"), []byte(v("b")), 0o600)).To(Succeed())
		Expect(os.Chtimes(at("a.yaml"), stat.ModTime(), stat.ModTime())).To(Succeed())
		Expect(names(source.Load(ctx))).To(ConsistOf("b"))
	})

	It("leaves out what editors and git leave behind", func(ctx SpecContext) {
		write(at("pool.yaml"), aPool)
		for _, name := range []string{".a.yaml.swp", ".#a.yaml", "#a.yaml#", "#a.yaml", "a.yaml~", "4913", ".a.yaml", "a.yaml.bak", ".git/x.yaml"} {
			write(at(name), "no: yaml: at all")
		}
		Expect(os.Symlink("user@host.1234", at(".#b.yaml"))).To(Succeed())
		Expect(source.Load(ctx).Findings).To(BeEmpty())
	})

	Describe("keeps the last good content", func() {
		BeforeEach(func(ctx SpecContext) {
			write(at("pool.yaml"), aPool)
			write(at("a.yaml"), v("a")+v("b"))
			write(at("sub", "c.yaml"), v("c"))
			Expect(source.Load(ctx).Complete).To(BeTrue())
		})
		// expectHeld expects everything to hold, and one finding.
		expectHeld := func(ctx context.Context, finding string) {
			GinkgoHelper()
			set := source.Load(ctx)
			Expect(errorsOf(set.Findings)).To(ConsistOf(MatchRegexp(finding)))
			Expect(set.Complete).To(BeFalse())
			Expect(set.Invalid).To(BeEmpty())
			Expect(names(set)).To(ConsistOf("a", "b", "c"))
		}

		It("of a file with a syntax error", func(ctx SpecContext) {
			write(at("a.yaml"), v("a")+"a: b: c")
			expectHeld(ctx, `^a.yaml:6: not valid YAML`)
			expectHeld(ctx, `^a.yaml:6: not valid YAML`)
		})
		It("of a file with an invalid object, the others in it included", func(ctx SpecContext) {
			write(at("a.yaml"), volume("a", "pool: fast, size: 2Gi")+volume("b", "pool: fast, size: 0"))
			expectHeld(ctx, `^a.yaml:9:26: spec.size: "0" is not a size`)
			Expect(source.Load(ctx).Volumes["a"].Spec.Size).To(Equal(spec.Size(1 << 30)))
		})
		It("until the file is right again", func(ctx SpecContext) {
			write(at("a.yaml"), "a: b: c")
			expectHeld(ctx, `not valid YAML`)
			write(at("a.yaml"), v("a"))
			set := source.Load(ctx)
			Expect(set.Complete).To(BeTrue())
			Expect(names(set)).To(ConsistOf("a", "c"))
		})
		It("of a file that is cut to nothing", func(ctx SpecContext) {
			write(at("a.yaml"), "")
			expectHeld(ctx, `^a.yaml: the file is empty`)
			write(at("a.yaml"), "# nothing here any more\n")
			Expect(names(source.Load(ctx))).To(ConsistOf("c"))
		})
		It("of a file that became huge", func(ctx SpecContext) {
			Expect(os.Truncate(at("a.yaml"), 50<<20)).To(Succeed())
			expectHeld(ctx, `^a.yaml: .*the file has 52428800 bytes`)
		})
		It("of a file that became binary", func(ctx SpecContext) {
			write(at("a.yaml"), "\x7fELF\x00\x00")
			expectHeld(ctx, `^a.yaml:1:1: .*control character`)
		})
		It("of a file that became a directory", func(ctx SpecContext) {
			Expect(os.Remove(at("a.yaml"))).To(Succeed())
			Expect(os.Mkdir(at("a.yaml"), 0o755)).To(Succeed())
			expectHeld(ctx, `^a.yaml: cannot read it: a directory`)
		})
		It("of a file that became a FIFO, without waiting for it", func(ctx SpecContext) {
			Expect(os.Remove(at("a.yaml"))).To(Succeed())
			Expect(syscall.Mkfifo(at("a.yaml"), 0o600)).To(Succeed())
			expectHeld(ctx, `^a.yaml: .*not a regular file`)
		}, SpecTimeout(5*time.Second))
		It("of a file that became a link to nowhere", func(ctx SpecContext) {
			Expect(os.Remove(at("a.yaml"))).To(Succeed())
			Expect(os.Symlink("nowhere", at("a.yaml"))).To(Succeed())
			expectHeld(ctx, `^a.yaml: cannot follow the symbolic link: no such file`)
		})
		It("of a directory that became a link to nowhere", func(ctx SpecContext) {
			Expect(os.Rename(at("sub"), at("..away"))).To(Succeed())
			Expect(os.Symlink("nowhere", at("sub"))).To(Succeed())
			expectHeld(ctx, `^sub: cannot follow the symbolic link`)
		})
		It("of a file that cannot be read", func(ctx SpecContext) {
			if os.Geteuid() == 0 {
				Skip("root can read everything")
			}
			Expect(os.Chmod(at("a.yaml"), 0)).To(Succeed())
			expectHeld(ctx, `^a.yaml: the file cannot be read: permission denied`)
		})
		It("of a directory that cannot be read", func(ctx SpecContext) {
			if os.Geteuid() == 0 {
				Skip("root can read everything")
			}
			Expect(os.Chmod(at("sub"), 0)).To(Succeed())
			DeferCleanup(os.Chmod, at("sub"), os.FileMode(0o700))
			expectHeld(ctx, `^sub: cannot read the directory: permission denied`)
		})
		It("of a directory that is deleted, until it is made again", func(ctx SpecContext) {
			Expect(os.RemoveAll(dir)).To(Succeed())
			expectHeld(ctx, `^specs: cannot find the directory: no such file`)
			expectHeld(ctx, `^specs: cannot find the directory: no such file`)
			Expect(os.Mkdir(dir, 0o755)).To(Succeed())
			expectHeld(ctx, `^specs: the directory contains no .*; the last good content remains in effect`)
			write(at("pool.yaml"), aPool)
			write(at("d.yaml"), v("d"))
			set := source.Load(ctx)
			Expect(set.Complete).To(BeTrue())
			Expect(names(set)).To(ConsistOf("d"))
		})
		It("of a directory that became a file", func(ctx SpecContext) {
			Expect(os.RemoveAll(dir)).To(Succeed())
			write(dir, "x")
			expectHeld(ctx, `^specs: cannot read the directory: not a directory`)
		})
		It("of a directory in which everything was commented out", func(ctx SpecContext) {
			for _, name := range []string{"pool.yaml", "a.yaml", "sub/c.yaml"} {
				write(at(name), "# gone\n")
			}
			expectHeld(ctx, `^specs: no file in the directory declares an object; the last good content remains in effect`)
		})
	})

	It("places no finding at a line that the file does not have any more", func(ctx SpecContext) {
		write(at("pool.yaml"), aPool)
		write(at("a.yaml"), "\n\n\n"+v("a"))
		source.Load(ctx)
		write(at("a.yaml"), "a: b: c")
		write(at("b.yaml"), v("a"))
		Expect(errorsOf(source.Load(ctx).Findings)).To(ConsistOf(
			HavePrefix("a.yaml:1: not valid YAML"),
			And(HavePrefix("b.yaml:3:18: metadata.name: Volume/a is already declared at "), ContainSubstring("a.yaml (last good content)"))))
	})

	It("uses what is well in a file that was never right", func(ctx SpecContext) {
		write(at("pool.yaml"), aPool)
		write(at("a.yaml"), v("a")+volume("b", "pool: fast"))
		set := source.Load(ctx)
		Expect(set.Complete).To(BeFalse())
		Expect(names(set)).To(ConsistOf("a"))
		Expect(set.Invalid).To(HaveKey(spec.ID{Kind: spec.KindVolume, Name: "b"}))
	})

	// noWait is a context that has ended: a Load with it reads once.
	noWait := func(ctx context.Context) context.Context {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		return ended
	}

	It("does not believe a file until it has stayed the same", func(ctx SpecContext) {
		write(at("pool.yaml"), aPool)
		write(at("a.yaml"), v("a"))
		Expect(source.Load(ctx).Complete).To(BeTrue())
		for i := range 3 {
			write(at("a.yaml"), fmt.Sprintf("# version %d\n", i)+v("b"))
			set := source.Load(noWait(ctx))
			Expect(errorsOf(set.Findings)).To(ConsistOf(HavePrefix("a.yaml: the file is still being written")))
			Expect(names(set)).To(ConsistOf("a"))
		}
		Expect(names(source.Load(ctx))).To(ConsistOf("b"))
	})

	It("believes nothing at first if it may not wait", func(ctx SpecContext) {
		write(at("a.yaml"), v("a"))
		set := source.Load(noWait(ctx))
		Expect(errorsOf(set.Findings)).To(ConsistOf(ContainSubstring("still being written")))
		Expect(set.Volumes).To(BeEmpty())
	})

	It("waits once for all files that changed, and not at all if none did", func(ctx SpecContext) {
		const settle = 100 * time.Millisecond
		slow := spec.NewSource(dir, spec.Options{Settle: settle})
		write(at("pool.yaml"), aPool)
		for i := range 50 {
			write(at(fmt.Sprintf("v%d.yaml", i)), v(fmt.Sprintf("v%d", i)))
		}
		start := time.Now()
		Expect(slow.Load(ctx).Volumes).To(HaveLen(50))
		Expect(time.Since(start)).To(And(BeNumerically(">=", settle), BeNumerically("<", 50*settle)))
		Expect(slow.Load(noWait(ctx)).Complete).To(BeTrue())
	})

	It("hands out maps that a caller may change", func(ctx SpecContext) {
		write(at("pool.yaml"), aPool)
		delete(source.Load(ctx).Pools, "fast")
		Expect(source.Load(ctx).Pools).To(HaveKey("fast"))
	})

	It("is not shaken by concurrent loads", func(ctx SpecContext) {
		write(at("pool.yaml"), aPool)
		results := make(chan spec.Set)
		for range 4 {
			go func() { results <- source.Load(ctx) }()
		}
		for range 4 {
			Expect((<-results).Complete).To(BeTrue())
		}
	})

	Describe("follows symbolic links", func() {
		It("of a Kubernetes ConfigMap, whose swap is one change", func(ctx SpecContext) {
			write(at("..1", "pool.yaml"), aPool)
			write(at("..1", "a.yaml"), v("a"))
			Expect(os.Symlink("..1", at("..data"))).To(Succeed())
			Expect(os.Symlink("..data/pool.yaml", at("pool.yaml"))).To(Succeed())
			Expect(os.Symlink("..data/a.yaml", at("a.yaml"))).To(Succeed())
			set := source.Load(ctx)
			Expect(errorsOf(set.Findings)).To(BeEmpty())
			Expect(names(set)).To(ConsistOf("a"))

			write(at("..2", "pool.yaml"), aPool)
			write(at("..2", "a.yaml"), v("b"))
			Expect(os.Symlink("..2", at("..data_tmp"))).To(Succeed())
			Expect(os.Rename(at("..data_tmp"), at("..data"))).To(Succeed())
			Expect(os.RemoveAll(at("..1"))).To(Succeed())
			set = source.Load(ctx)
			Expect(errorsOf(set.Findings)).To(BeEmpty())
			Expect(names(set)).To(ConsistOf("b"))
		})

		It("for the directory itself, which is switched", func(ctx SpecContext) {
			base := GinkgoT().TempDir()
			write(base+"/rev1/pool.yaml", aPool)
			write(base+"/rev1/a.yaml", v("a"))
			write(base+"/rev2/pool.yaml", aPool)
			write(base+"/rev2/b.yaml", v("b"))
			Expect(os.Symlink("rev1", base+"/current")).To(Succeed())
			linked := spec.NewSource(base+"/current", spec.Options{Settle: quick})
			Expect(names(linked.Load(ctx))).To(ConsistOf("a"))
			Expect(os.Symlink("rev2", base+"/next")).To(Succeed())
			Expect(os.Rename(base+"/next", base+"/current")).To(Succeed())
			set := linked.Load(ctx)
			Expect(set.Complete).To(BeTrue())
			Expect(names(set)).To(ConsistOf("b"))
		})

		It("and reads once what several lead to", func(ctx SpecContext) {
			write(at("pool.yaml"), aPool)
			write(at("real", "a.yaml"), v("a"))
			Expect(os.Symlink("real", at("alias"))).To(Succeed())
			Expect(os.Symlink("real/a.yaml", at("z.yaml"))).To(Succeed())
			set := source.Load(ctx)
			Expect(errorsOf(set.Findings)).To(BeEmpty())
			Expect(names(set)).To(ConsistOf("a"))
		})

		It("but not round in circles", func(ctx SpecContext) {
			write(at("pool.yaml"), aPool)
			write(at("sub", "a.yaml"), v("a"))
			Expect(os.Symlink("..", at("sub", "up"))).To(Succeed())
			Expect(os.Symlink("self", at("self"))).To(Succeed())
			set := source.Load(ctx)
			Expect(errorsOf(set.Findings)).To(ConsistOf(
				ContainSubstring("self: cannot follow the symbolic link: too many levels"),
				ContainSubstring("up: cannot follow the symbolic link: it leads back to a directory above it")))
			Expect(names(set)).To(ConsistOf("a"))
		})
	})

	It("names files as the user did", func(ctx SpecContext) {
		write(at("sub", "a.yaml"), "a: b: c")
		working, err := os.Getwd()
		Expect(err).NotTo(HaveOccurred())
		relative, err := filepath.Rel(working, dir)
		Expect(err).NotTo(HaveOccurred())
		set := spec.NewSource(relative+"/", spec.Options{Settle: quick}).Load(ctx)
		Expect(set.Findings[0].File).To(Equal(relative + "/sub/a.yaml"))
	})
})
