package main

import "testing"

// TestEveryMeasurementWorksOnceOnAFewVolumes keeps the benchmark from measuring
// something that has failed. It times nothing.
func TestEveryMeasurementWorksOnceOnAFewVolumes(t *testing.T) {
	const n = 3
	dir := t.TempDir()
	if err := writeSpecs(specsDir(dir, n), n); err != nil {
		t.Fatal(err)
	}
	if err := build(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for _, m := range measurements() {
		t.Run(m.name, func(t *testing.T) {
			do, err := m.prepare(t.Context(), n, dir)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := once(do); err != nil {
				t.Fatal(err)
			}
		})
	}
}
