package spec_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/lastgood"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("A Source that is made anew", func() {
	var dir, state string
	BeforeEach(func() {
		tmp := GinkgoT().TempDir()
		dir, state = filepath.Join(tmp, "specs"), filepath.Join(tmp, "state", "last-good")
		Expect(os.Mkdir(dir, 0o755)).To(Succeed())
	})
	at := func(name string) string { return filepath.Join(dir, name) }
	v := func(name string) string { return volume(name, "pool: fast, size: 1Gi") }
	start := func() *spec.Source {
		return spec.NewSource(dir, spec.Options{Settle: quick, Keeper: lastgood.New(state)})
	}
	names := func(set spec.Set) []string {
		var all []string
		for name := range set.Volumes {
			all = append(all, name)
		}
		slices.Sort(all)
		return all
	}
	kept := func() int {
		GinkgoHelper()
		files, err := os.ReadDir(state)
		Expect(err).NotTo(HaveOccurred())
		return len(files)
	}
	begin := func(ctx SpecContext) *spec.Source {
		GinkgoHelper()
		write(at("pool.yaml"), aPool)
		write(at("a.yaml"), v("a"))
		write(at("b.yaml"), v("b")+"---\n"+v("c"))
		source := start()
		set := source.Load(ctx)
		Expect(set.Complete).To(BeTrue())
		Expect(set.Warnings).To(BeEmpty())
		Expect(kept()).To(Equal(3))
		return source
	}

	DescribeTable("goes on with what a file said that is broken by then", func(ctx SpecContext, spoil func()) {
		begin(ctx)
		spoil()
		for range 3 {
			source := start()
			for range 2 {
				set := source.Load(ctx)
				Expect(names(set)).To(Equal([]string{"a", "b", "c"}))
				Expect(set.Complete).To(BeFalse())
				Expect(set.Findings).NotTo(BeEmpty())
				Expect(set.Warnings).To(ConsistOf(And(ContainSubstring("these files have findings or cannot be read; their last good content, saved earlier, is in effect"), ContainSubstring("b.yaml"))))
			}
		}
		Expect(os.RemoveAll(at("b.yaml"))).To(Succeed())
		write(at("b.yaml"), v("b"))
		source := start()
		Expect(names(source.Load(ctx))).To(Equal([]string{"a", "b"}))
		set := source.Load(ctx)
		Expect(set.Complete).To(BeTrue())
		Expect(set.Warnings).To(BeEmpty())
	},
		Entry("no YAML", func() { write(at("b.yaml"), "apiVersion: [") }),
		Entry("empty", func() { write(at("b.yaml"), "") }),
		Entry("binary", func() { write(at("b.yaml"), "\x00\x01") }),
		Entry("no YAML in the second object", func() { write(at("b.yaml"), v("b")+"---\nkind: {{\n") }),
		Entry("a wrong field", func() { write(at("b.yaml"), v("b")+"---\n"+volume("c", "pool: fast, size: none")) }),
		Entry("a directory", func() {
			Expect(os.Remove(at("b.yaml"))).To(Succeed())
			Expect(os.Mkdir(at("b.yaml"), 0o755)).To(Succeed())
		}),
		Entry("a link to nowhere", func() {
			Expect(os.Remove(at("b.yaml"))).To(Succeed())
			Expect(os.Symlink("/nowhere", at("b.yaml"))).To(Succeed())
		}),
	)
	It("takes the last of several good contents", func(ctx SpecContext) {
		source := begin(ctx)
		write(at("b.yaml"), v("d"))
		source.Load(ctx)
		write(at("b.yaml"), "{")
		source.Load(ctx)
		Expect(names(start().Load(ctx))).To(Equal([]string{"a", "d"}))
	})
	It("holds everything when the directory is empty, or gone, by then", func(ctx SpecContext) {
		begin(ctx)
		for _, name := range []string{"pool.yaml", "a.yaml", "b.yaml"} {
			Expect(os.Remove(at(name))).To(Succeed())
		}
		set := start().Load(ctx)
		Expect(names(set)).To(Equal([]string{"a", "b", "c"}))
		Expect(set.Complete).To(BeFalse())
		Expect(os.Remove(dir)).To(Succeed())
		Expect(names(start().Load(ctx))).To(Equal([]string{"a", "b", "c"}))
		Expect(kept()).To(Equal(3))
	})
	It("holds what a removal of all files was half-way through when it was made", func(ctx SpecContext) {
		begin(ctx)
		Expect(os.Remove(at("a.yaml"))).To(Succeed())
		source := start()
		Expect(names(source.Load(ctx))).To(Equal([]string{"b", "c"}))
		Expect(kept()).To(Equal(3))
		for _, name := range []string{"pool.yaml", "b.yaml"} {
			Expect(os.Remove(at(name))).To(Succeed())
		}
		Expect(names(source.Load(ctx))).To(Equal([]string{"a", "b", "c"}))
	})
	It("forgets a file that has gone, once it is not recalled any more", func(ctx SpecContext) {
		begin(ctx)
		Expect(os.Remove(at("b.yaml"))).To(Succeed())
		source := spec.NewSource(dir, spec.Options{Settle: quick, Recall: 50 * time.Millisecond, Keeper: lastgood.New(state)})
		set := source.Load(ctx)
		Expect(names(set)).To(Equal([]string{"a"}))
		Expect(set.Complete).To(BeTrue())
		Eventually(ctx, func() int { source.Load(ctx); return kept() }).Should(Equal(2))
	})
	It("lets another file have what the broken one said", func(ctx SpecContext) {
		begin(ctx)
		write(at("b.yaml"), "{")
		write(at("new.yaml"), volume("b", "pool: fast, size: 2Gi"))
		set := start().Load(ctx)
		Expect(set.Findings).To(HaveLen(1))
		Expect(set.Volumes["b"].Spec.Size).To(Equal(spec.Size(2 << 30)))
		Expect(names(set)).To(Equal([]string{"a", "b", "c"}))
	})
	It("lets no other object suffer from what the broken file said", func(ctx SpecContext) {
		begin(ctx)
		write(at("b.yaml"), "{")
		write(at("new.yaml"), volume("renamed", "pool: fast, size: 1Gi, lvName: c"))
		set := start().Load(ctx)
		Expect(names(set)).To(Equal([]string{"a", "b", "renamed"}))
		Expect(set.Complete).To(BeFalse())
	})
	It("believes nothing of another directory, and forgets it", func(ctx SpecContext) {
		begin(ctx)
		other := filepath.Join(filepath.Dir(dir), "other")
		Expect(os.Mkdir(other, 0o755)).To(Succeed())
		write(filepath.Join(other, "pool.yaml"), aPool)
		write(filepath.Join(other, "b.yaml"), "{")
		set := spec.NewSource(other, spec.Options{Settle: quick, Keeper: lastgood.New(state)}).Load(ctx)
		Expect(names(set)).To(BeEmpty())
		Expect(kept()).To(Equal(1))
	})
	DescribeTable("does without what is lost or damaged", func(ctx SpecContext, damage func(path string)) {
		begin(ctx)
		files, err := os.ReadDir(state)
		Expect(err).NotTo(HaveOccurred())
		for _, f := range files {
			damage(filepath.Join(state, f.Name()))
		}
		write(at("b.yaml"), "{")
		source := start()
		set := source.Load(ctx)
		Expect(names(set)).To(Equal([]string{"a"}))
		Expect(set.Complete).To(BeFalse())
		Expect(set.Warnings).To(BeEmpty())
		Expect(kept()).To(Equal(2))
	},
		Entry("removed", func(path string) { Expect(os.Remove(path)).To(Succeed()) }),
		Entry("emptied", func(path string) { Expect(os.Truncate(path, 0)).To(Succeed()) }),
		Entry("cut off", func(path string) { Expect(os.Truncate(path, 150)).To(Succeed()) }),
		Entry("changed", func(path string) {
			data, err := os.ReadFile(path)
			Expect(err).NotTo(HaveOccurred())
			data = bytes.ReplaceAll(data, []byte("1Gi"), []byte("9Gi"))
			Expect(os.WriteFile(path, data, 0o600)).To(Succeed())
		}),
		Entry("writable by others", func(path string) { Expect(os.Chmod(path, 0o666)).To(Succeed()) }),
		Entry("under another name", func(path string) { Expect(os.Rename(path, path+".json")).To(Succeed()) }),
	)
	It("lets an Export offer its other LUNs though one may be in what cannot be read, if nothing was kept", func(ctx SpecContext) {
		begin(ctx)
		Expect(os.RemoveAll(state)).To(Succeed())
		write(at("b.yaml"), "{")
		write(at("db.yaml"), "apiVersion: volreconciler/v1alpha1\nkind: Export\nmetadata: {name: db}\nspec: {protocol: iscsi, luns: [{volume: a}, {volume: b}, {snapshot: s}], initiators: [{name: iqn.1993-08.org.debian:01:x}]}\n")
		set := start().Load(ctx)
		Expect(set.Complete).To(BeFalse())
		Expect(set.Exports).To(HaveKey("db"))
		Expect(set.Invalid).To(And(HaveLen(2), HaveKey(spec.ID{Kind: spec.KindVolume, Name: "b"}), HaveKey(spec.ID{Kind: spec.KindSnapshot, Name: "s"})))
		Expect(errorsOf(set.Findings)).To(ContainElement(ContainSubstring("an unreadable file may declare it)")))
		write(at("b.yaml"), v("c"))
		set = start().Load(ctx)
		Expect(set.Exports).NotTo(HaveKey("db"), "nothing but a mistake in it")
	})
	It("says what cannot be kept, and keeps it as soon as it can", func(ctx SpecContext) {
		write(filepath.Dir(state), "in the way")
		write(at("pool.yaml"), aPool)
		source := start()
		for range 2 {
			set := source.Load(ctx)
			Expect(set.Complete).To(BeTrue())
			Expect(set.Warnings).To(ConsistOf(ContainSubstring("cannot save the last good content of the spec files; after a restart a broken file has none")))
		}
		Expect(os.Remove(filepath.Dir(state))).To(Succeed())
		Expect(source.Load(ctx).Warnings).To(BeEmpty())
		Expect(kept()).To(Equal(1))
	})
	It("writes nothing that has not changed, nor where it only reads", func(ctx SpecContext) {
		begin(ctx)
		Expect(os.Chmod(state, 0o500)).To(Succeed())
		times := func() (all []time.Time) {
			files, err := os.ReadDir(state)
			Expect(err).NotTo(HaveOccurred())
			for _, f := range files {
				info, err := f.Info()
				Expect(err).NotTo(HaveOccurred())
				all = append(all, info.ModTime())
			}
			return all
		}
		before := times()
		source := start()
		for range 3 {
			Expect(source.Load(ctx).Warnings).To(BeEmpty())
		}
		Expect(times()).To(Equal(before))
		write(at("b.yaml"), v("d"))
		reads := spec.NewSource(dir, spec.Options{Settle: quick, Keeper: lastgood.ReadOnly(state)})
		Expect(names(reads.Load(ctx))).To(Equal([]string{"a", "d"}))
		Expect(times()).To(Equal(before))
		write(at("b.yaml"), "{")
		reads = spec.NewSource(dir, spec.Options{Settle: quick, Keeper: lastgood.ReadOnly(state)})
		Expect(names(reads.Load(ctx))).To(Equal([]string{"a", "b", "c"}))
	})
})
