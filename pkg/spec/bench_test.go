package spec_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// BenchmarkIdleLoad measures a Load of 10,000 objects of which none has
// changed: what every pass of an idle agent costs.
func BenchmarkIdleLoad(b *testing.B) {
	for _, perFile := range []int{1, 100} {
		b.Run(fmt.Sprintf("%d-per-file", perFile), func(b *testing.B) {
			dir := b.TempDir()
			writeObjects(b, dir, 10_000, perFile)
			source := spec.NewSource(dir, spec.Options{})
			if set := source.Load(b.Context()); !set.Complete || len(set.Volumes) != 5_000 {
				b.Fatal(set.Findings[0])
			}
			// Files that changed a moment ago are read again, to be on the safe
			// side.
			time.Sleep(2100 * time.Millisecond)
			source.Load(b.Context())
			for b.Loop() {
				source.Load(b.Context())
			}
		})
	}
}

// BenchmarkFirstLoad measures reading 10,000 objects anew.
func BenchmarkFirstLoad(b *testing.B) {
	dir := b.TempDir()
	writeObjects(b, dir, 10_000, 10)
	for b.Loop() {
		if set := spec.LoadPaths([]string{dir}, ""); !set.Complete {
			b.Fatal(set.Findings[0])
		}
	}
}

// writeObjects writes a Pool, and Volumes and Exports in equal number.
func writeObjects(b *testing.B, dir string, objects, perFile int) {
	b.Helper()
	put := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	put("pool.yaml", aPool)
	var text strings.Builder
	for i := range objects {
		name := fmt.Sprintf("v%d", i/2)
		if i%2 == 0 {
			text.WriteString(volume(name, "pool: fast, size: 1Gi"))
		} else {
			text.WriteString(export(name, "luns: [{volume: "+name+"}], initiators: [{name: 'iqn.1993-08.org.debian:a'}]"))
		}
		if (i+1)%perFile == 0 {
			put(fmt.Sprintf("f%d.yaml", i), text.String())
			text.Reset()
		}
	}
}
