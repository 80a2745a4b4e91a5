package plan_test

import (
	"fmt"
	"testing"
	"time"

	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// many returns a spec of n Volumes, each with an Export, and a machine without any of them.
func many(n int) (*Model, Input) {
	set := spec.Set{
		Complete: true, Pools: map[string]spec.Pool{}, Volumes: map[string]spec.Volume{}, Exports: map[string]spec.Export{},
	}
	pool := spec.Pool{Metadata: spec.Metadata{Name: "fast"}}
	pool.Spec.VolumeGroup = "vg0"
	pool.Spec.ThinPool = &spec.ThinPool{Name: "pool0", Size: spec.SizeOrPercent{Bytes: 1 << 30}}
	set.Pools["fast"] = pool
	for i := range n {
		name := fmt.Sprintf("v%06d", i)
		v := spec.Volume{Metadata: spec.Metadata{Name: name}}
		v.Spec.Pool, v.Spec.LVName, v.Spec.Size, v.Spec.DeletionPolicy = "fast", name, 64<<20, spec.Delete
		set.Volumes[name] = v
		number := 0
		e := spec.Export{Metadata: spec.Metadata{Name: name}}
		e.Spec.Protocol, e.Spec.Target, e.Spec.Portals = spec.ProtocolISCSI, spec.DefaultTargetPrefix+":"+name, []string{"0.0.0.0:3260"}
		e.Spec.LUNs = []spec.LUN{{Volume: name, Number: &number}}
		e.Spec.Initiators = []spec.Initiator{{Name: "iqn.1993-08.org.debian:01:" + name}}
		set.Exports[name] = e
	}
	m := NewModel()
	return m, Input{Declared: set, Observed: m.Copy(), Known: map[spec.ID]Identity{}, Started: noon, Now: noon, MaxDeletions: 10}
}

// manyConverged is many on a machine that has all of it.
func manyConverged(tb testing.TB, n int) Input {
	tb.Helper()
	m, in := many(n)
	m.Apply(pass(m, &in))
	if p := pass(m, &in); !p.Empty() {
		tb.Fatalf("%d steps are left, the first of which is: %s", len(p.Steps), p.Steps[0].Change)
	}
	return in
}

func BenchmarkPlan(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000, 100_000} {
		run := func(name string, input func() Input) {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				in := input()
				b.ReportAllocs()
				for b.Loop() {
					Make(in)
				}
			})
		}
		run("converged", func() Input { return manyConverged(b, n) })
		run("from nothing", func() Input { _, in := many(n); return in })
	}
}

func TestAPlanOfManyObjectsTakesNoQuadraticTime(t *testing.T) {
	in := manyConverged(t, 5_000)
	began := time.Now()
	Make(in)
	// A scan of all objects for each of them takes minutes.
	if took := time.Since(began); took > 30*time.Second {
		t.Fatalf("it took %s", took)
	}
}
