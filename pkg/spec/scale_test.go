package spec_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// allocations returns how often memory is allocated meanwhile. Time says less: the
// machine may be busy.
func allocations(work func()) float64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	work()
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs - before.Mallocs)
}

var _ = Describe("Many objects", Serial, func() {
	var dir string
	BeforeEach(func() { dir = GinkgoT().TempDir() })

	// fill writes n Volumes, ten in each file.
	fill := func(n int) string {
		GinkgoHelper()
		dir := filepath.Join(dir, fmt.Sprint(n))
		write(filepath.Join(dir, "pool.yaml"), aPool)
		for i := range n / 10 {
			var text strings.Builder
			for k := range 10 {
				text.WriteString(volume(fmt.Sprintf("v%d-%d", i, k), "pool: fast, size: 1Gi"))
			}
			write(filepath.Join(dir, fmt.Sprintf("f%d.yaml", i)), text.String())
		}
		return dir
	}
	source := func(dir string) *spec.Source { return spec.NewSource(dir, spec.Options{Settle: time.Nanosecond}) }

	It("cost as much each as a few to be read", func(ctx SpecContext) {
		few, many := source(fill(500)), source(fill(2000))
		first := allocations(func() { few.Load(ctx) })
		Expect(allocations(func() { many.Load(ctx) })).To(BeNumerically("<", 4.5*first))
	})

	It("cost next to nothing each if none has changed", func(ctx SpecContext) {
		many := source(fill(2000))
		first := allocations(func() { many.Load(ctx) })
		time.Sleep(2100 * time.Millisecond) // files that changed just now are read again
		many.Load(ctx)
		Expect(allocations(func() { many.Load(ctx) })).To(BeNumerically("<", first/50))
	})

	It("leave each caller maps of its own", func(ctx SpecContext) {
		s := source(fill(20))
		for range 2 {
			set := s.Load(ctx)
			Expect(set.Volumes).To(HaveLen(20))
			clear(set.Volumes)
			delete(set.Pools, "fast")
		}
		Expect(s.Load(ctx).Pools).To(HaveLen(1))
	})

	It("cost as much each as a few when they go", func(ctx SpecContext) {
		forget := func(n int) float64 {
			dir := fill(n)
			s := source(dir)
			s.Load(ctx)
			for i := range n / 10 {
				Expect(os.Remove(filepath.Join(dir, fmt.Sprintf("f%d.yaml", i)))).To(Succeed())
			}
			return allocations(func() { Expect(s.Load(ctx).Volumes).To(BeEmpty()) })
		}
		few := forget(500)
		Expect(forget(2000)).To(BeNumerically("<", 6*few))
	})

	It("hold as the last file said that named them if several go at once", func(ctx SpecContext) {
		write(filepath.Join(dir, "pool.yaml"), aPool)
		write(filepath.Join(dir, "a.yaml"), volume("a", "pool: fast, size: 1Gi"))
		write(filepath.Join(dir, "b.yaml"), volume("b", "pool: fast, size: 1Gi"))
		s := source(dir)
		s.Load(ctx)
		// Moved to another file, which goes together with the one that it was in.
		write(filepath.Join(dir, "c.yaml"), volume("a", "pool: fast, size: 2Gi"))
		Expect(os.Remove(filepath.Join(dir, "a.yaml"))).To(Succeed())
		s.Load(ctx)
		for _, name := range []string{"b.yaml", "c.yaml", "pool.yaml"} {
			Expect(os.Remove(filepath.Join(dir, name))).To(Succeed())
		}
		set := s.Load(ctx)
		Expect(set.Complete).To(BeFalse())
		Expect(set.Pools).To(HaveLen(1))
		Expect(set.Volumes).To(HaveLen(2))
		Expect(set.Volumes["a"].Spec.Size.String()).To(Equal("2Gi"))
	})
})
