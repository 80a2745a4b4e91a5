package plan_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// What files declare is compared with what a machine holds: here, one in memory with an
// empty volume group.
func ExampleMake() {
	dir, err := os.MkdirTemp("", "specs")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	specs := `
apiVersion: volreconciler/v1alpha1
kind: Pool
metadata: {name: slow}
spec: {volumeGroup: vg0}
---
apiVersion: volreconciler/v1alpha1
kind: Volume
metadata: {name: backup}
spec: {pool: slow, size: 2Gi}
---
apiVersion: volreconciler/v1alpha1
kind: Volume
metadata: {name: lost}
spec: {pool: fast, size: 2Gi}
`
	if err := os.WriteFile(filepath.Join(dir, "specs.yaml"), []byte(specs), 0o600); err != nil {
		panic(err)
	}
	machine, err := fakehost.New(fakehost.Node{VolumeGroups: []fakehost.VolumeGroup{{Name: "vg0", ExtentSize: 4 << 20, Extents: 1000}}})
	if err != nil {
		panic(err)
	}

	p := plan.Make(plan.Input{
		Declared: spec.LoadPaths([]string{dir}, ""),
		Observed: observe.New(machine).Observe(context.Background()),
		Now:      time.Now(),
	})
	for _, step := range p.Steps {
		fmt.Printf("%s: %s (%s)\n", step.Object, step.Change, step.Why)
	}
	for _, o := range p.Objects {
		fmt.Printf("%s: %s: %s\n", o.ID(), o.Phase, o.Reason)
	}
	// Output:
	// Volume/backup: create thick volume vg0/backup, 2Gi (not there)
	// Pool/slow: Ready: AsDesired
	// Volume/backup: Progressing: Converging
	// Volume/lost: Blocked: Invalid
}
