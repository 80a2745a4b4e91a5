package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// objectsPerFile is how many objects a file of the specs has.
const objectsPerFile = 100

const pool = `apiVersion: volreconciler/v1alpha1
kind: Pool
metadata: {name: fast}
spec: {volumeGroup: vg0, thinPool: {name: thin, size: 1Ti}}
`

// volume is a Volume with an Export as people write them.
const volume = `---
apiVersion: volreconciler/v1alpha1
kind: Volume
metadata:
  name: %[1]s
  labels: {team: storage}
spec:
  pool: fast
  size: 1Gi
---
apiVersion: volreconciler/v1alpha1
kind: Export
metadata:
  name: %[1]s
spec:
  protocol: iscsi
  portals: ["192.0.2.1:3260"]
  luns:
    - {lun: 0, volume: %[1]s}
  initiators:
    - name: iqn.1993-08.org.debian:host-%[1]s
`

// nameOf is the name of a volume, and of its export.
func nameOf(i int) string { return fmt.Sprintf("v%06d", i) }

// writeSpecs writes the files of a Pool and n volumes, each with an export, into a new
// directory.
func writeSpecs(dir string, n int) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	put := func(name, text string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600) }
	if err := put("pool.yaml", pool); err != nil {
		return err
	}
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, volume, nameOf(i))
		if (i+1)%(objectsPerFile/2) == 0 || i == n-1 {
			if err := put(nameOf(i)+".yaml", text.String()); err != nil {
				return err
			}
			text.Reset()
		}
	}
	return nil
}
