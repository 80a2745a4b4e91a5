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
	for _, c := range []struct {
		name    string
		perFile int
		secrets bool
	}{
		{"1-per-file", 1, false},
		{"100-per-file", 100, false},
		{"100-per-file-with-passwords", 100, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			dir := b.TempDir()
			passwords := ""
			if c.secrets {
				passwords = b.TempDir()
			}
			writeObjects(b, dir, 10_000, c.perFile, passwords)
			source := spec.NewSource(dir, spec.Options{Secrets: c.secrets})
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
	writeObjects(b, dir, 10_000, 10, "")
	for b.Loop() {
		if set := spec.LoadPaths([]string{dir}, ""); !set.Complete {
			b.Fatal(set.Findings[0])
		}
	}
}

// writeObjects writes a Pool, and Volumes and Exports in equal number, which ask for
// passwords in files of their own if there is a directory for these.
func writeObjects(b *testing.B, dir string, objects, perFile int, passwords string) {
	b.Helper()
	put := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	put(filepath.Join(dir, "pool.yaml"), aPool)
	var text strings.Builder
	for i := range objects {
		name := fmt.Sprintf("v%d", i/2)
		if i%2 == 0 {
			text.WriteString(volume(name, "pool: fast, size: 1Gi"))
		} else {
			auth := ""
			if passwords != "" {
				file := filepath.Join(passwords, name)
				put(file, "the password of "+name+"\n")
				auth = ", auth: {chap: {username: u, passwordFrom: {file: " + file + "}}}"
			}
			text.WriteString(export(name, "luns: [{volume: "+name+"}], initiators: [{name: 'iqn.1993-08.org.debian:a'"+auth+"}]"))
		}
		if (i+1)%perFile == 0 {
			put(filepath.Join(dir, fmt.Sprintf("f%d.yaml", i)), text.String())
			text.Reset()
		}
	}
}
