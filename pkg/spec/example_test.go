package spec_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// A directory of YAML files becomes a set of declared objects, and findings about what is
// wrong with them. While there is any, the set is not complete, and nothing is deleted.
func ExampleLoadPaths() {
	dir, err := os.MkdirTemp("", "specs")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			panic(err)
		}
	}
	write("pool.yaml", "apiVersion: volreconciler/v1alpha1\nkind: Pool\nmetadata: {name: fast}\nspec: {volumeGroup: vg0, thinPool: {name: pool0, size: 50%}}\n")
	write("db.yaml", "apiVersion: volreconciler/v1alpha1\nkind: Volume\nmetadata: {name: db-data}\nspec: {pool: fast, size: 20GB}\n")

	set := spec.LoadPaths([]string{dir}, "")
	fmt.Println("volume group:", set.Pools["fast"].Spec.VolumeGroup)
	fmt.Println("complete:", set.Complete)
	for _, f := range set.Findings {
		fmt.Printf("%s:%d: %s is wrong\n", filepath.Base(f.File), f.Line, f.Path)
	}
	// Output:
	// volume group: vg0
	// complete: false
	// db.yaml:4: spec.size is wrong
}
