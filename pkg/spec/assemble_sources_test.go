package spec_test

import (
	"fmt"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// filled is a Volume with a source.
func filled(name, source string) string {
	return volume(name, "pool: fast, size: 1Gi, source: {"+source+"}")
}

var _ = Describe("A source", func() {
	DescribeTable("that is not there, or not valid, takes nothing out: it may have been read, and removed since",
		func(source, others string) {
			set := loadText(aPool + filled("db", source) + others)
			Expect(set.Volumes).To(HaveKey("db"))
			for _, f := range set.Findings {
				Expect(f.Object.Name).To(Equal("other"))
			}
			Expect(set.Complete).To(Equal(others == ""))
		},
		Entry("no such Volume", "volume: other", ""),
		Entry("no such Snapshot", "snapshot: other", ""),
		Entry("no such image", "image: {path: /none}", ""),
		Entry("a broken Volume", "volume: other", volume("other", "pool: fast, size: 0")),
		Entry("a Volume without its Pool", "volume: other", volume("other", "pool: none, size: 1Gi")),
		Entry("a Volume twice", "volume: other", strings.Repeat(volume("other", "pool: fast, size: 1Gi"), 2)),
		Entry("a Snapshot of nothing", "snapshot: other", snapshot("other", "volume: none")),
		Entry("a Volume in a circle", "volume: other", filled("other", "volume: other")),
	)

	It("may be in another Pool, and may itself have a source", func() {
		set := loadText(aPool + thickPool("slow") + aVolume + snapshot("s", "volume: db") + filled("a", "snapshot: s") +
			volume("b", "pool: slow, size: 2Gi, source: {volume: a}") + filled("c", "volume: a") + snapshot("t", "volume: b") + filled("d", "snapshot: t"))
		Expect(errorsOf(set.Findings)).To(BeEmpty())
		Expect(set.Complete).To(BeTrue())
	})

	It("of a Volume may be what becomes a circle only by a name that stands for something else", func() {
		set := loadText(aPool + filled("a", "snapshot: b") + filled("b", "volume: a")) // Snapshot/b is not there
		Expect(errorsOf(set.Findings)).To(BeEmpty())
	})

	It("cannot be the Volume itself", func() {
		text, line, column := place(aPool + filled("db", "volume: "+mark+"db") + snapshot("s", "volume: db"))
		set := loadText(text)
		Expect(errorsOf(set.Findings)).To(HaveExactElements(fmt.Sprintf("x.yaml:%d:%d: spec.source.volume: "+
			"circular source: Volume/db from Volume/db; remove spec.source from a Volume that already exists, or choose another source", line, column)))
		Expect(set.Volumes).To(BeEmpty())
		Expect(set.Snapshots).To(BeEmpty())
	})

	It("cannot come in a circle, which is said of each object in it", func() {
		set := loadText(aPool + filled("before", "volume: a") + filled("a", "volume: b") + filled("b", "snapshot: s") + snapshot("s", "volume: a") + snapshot("t", "volume: before"))
		Expect(errorsOf(set.Findings)).To(HaveExactElements(
			ContainSubstring("spec.source.volume: circular source: Volume/a from Volume/b from Snapshot/s from Volume/a;"),
			ContainSubstring("spec.source.snapshot: circular source: Volume/b from Snapshot/s from Volume/a from Volume/b;"),
			ContainSubstring("spec.volume: circular source: Snapshot/s from Volume/a from Volume/b from Snapshot/s;"),
		))
		Expect(set.Volumes).To(HaveLen(1))
		Expect(set.Volumes).To(HaveKey("before"))
		Expect(set.Snapshots).To(HaveLen(1))
	})

	It("cannot be a snapshot of the Volume itself", func() {
		set := loadText(aPool + filled("db", "snapshot: s") + snapshot("s", "volume: db"))
		Expect(set.Findings).To(HaveLen(2))
	})

	It("may come in two circles, in several files", func() {
		dir := GinkgoT().TempDir()
		write(filepath.Join(dir, "pool.yaml"), aPool)
		write(filepath.Join(dir, "1.yaml"), filled("a", "volume: b")+filled("c", "volume: d"))
		write(filepath.Join(dir, "2.yaml"), filled("b", "volume: a")+filled("d", "volume: c"))
		set := spec.LoadPaths([]string{dir}, "")
		Expect(errorsOf(set.Findings)).To(HaveExactElements(
			ContainSubstring("Volume/a from Volume/b from Volume/a;"), ContainSubstring("Volume/c from Volume/d from Volume/c;"),
			ContainSubstring("Volume/b from Volume/a from Volume/b;"), ContainSubstring("Volume/d from Volume/c from Volume/d;"),
		))
	})

	It("may come from far, and a long circle has short messages", func() {
		const n = 1000
		load := func(first string) spec.Set {
			text := aPool + first
			for i := 1; i < n; i++ {
				text += filled(fmt.Sprintf("v%d", i), fmt.Sprintf("volume: v%d", i-1))
			}
			return loadText(text)
		}
		Expect(load(volume("v0", "pool: fast, size: 1Gi")).Complete).To(BeTrue())
		set := load(filled("v0", fmt.Sprintf("volume: v%d", n-1)))
		Expect(set.Findings).To(HaveLen(n))
		for _, f := range set.Findings {
			Expect(f.Err.Error()).To(ContainSubstring(" from 992 more from "))
			Expect(len(f.Err.Error())).To(BeNumerically("<", 400))
		}
	})
})

var _ = Describe("A revert", func() {
	reverted := func(snapshot string) string {
		return volume("db", "pool: fast, size: 1Gi, revert: {snapshot: "+snapshot+", request: r1}")
	}

	DescribeTable("is to what is no snapshot of the Volume",
		func(marked, message string) {
			text, line, column := place(aPool + marked)
			set := loadText(text)
			Expect(set.Findings).To(HaveLen(1))
			Expect(set.Findings[0].Path).To(Equal("spec.revert.snapshot"))
			Expect(set.Findings[0].Err).To(MatchError(ContainSubstring(message)))
			Expect([]int{set.Findings[0].Line, set.Findings[0].Column}).To(Equal([]int{line, column}))
			Expect(set.Volumes).NotTo(HaveKey("db"))
		},
		Entry("nothing", reverted(mark+"s"), `Snapshot "s" is not declared (after a finished revert, spec.revert can be removed)`),
		Entry("mistyped", reverted(mark+"nihgtly")+snapshot("nightly", "volume: db"), `; did you mean "nightly"?`),
		Entry("a Volume", reverted(mark+"db"), "a Volume with this name is declared"),
		Entry("a snapshot of another", reverted(mark+"s")+volume("web", "pool: fast, size: 1Gi")+snapshot("s", "volume: web"),
			"x.yaml:19:16) is a snapshot of Volume/web; a Volume can only revert to its own snapshots"),
	)

	It("to a snapshot that is invalid stays", func() {
		set := loadText(aPool + reverted("s") + snapshot("s", "volume: db, size: 0x1"))
		Expect(set.Findings).To(HaveLen(1))
		Expect(set.Volumes).To(HaveKey("db"))
	})

	It("is no dependency: a Volume may have a source and a revert to a snapshot of its own", func() {
		set := loadText(aPool + volume("db", "pool: fast, size: 1Gi, source: {image: {path: /a}}, revert: {snapshot: s, request: r1}") + snapshot("s", "volume: db"))
		Expect(errorsOf(set.Findings)).To(BeEmpty())
	})
})
