package scenario_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/test/scenario"
)

// example is a set of files that is planned alone.
type example struct {
	name  string
	files []string
}

const examplesDir = "../../examples/"

// examples are the directory of specs as a whole, and each file of the protocols that a
// node serves one of, together with what it exports.
func examples() []example {
	all, err := filepath.Glob(examplesDir + "specs/*.yaml")
	Expect(err).NotTo(HaveOccurred())
	images, err := filepath.Glob(examplesDir + "specs/images/*.yaml")
	Expect(err).NotTo(HaveOccurred())
	protocols, err := filepath.Glob(examplesDir + "specs/protocols/*.yaml")
	Expect(err).NotTo(HaveOccurred())
	list := []example{{"example of all", append(all, images...)}}
	for _, file := range protocols {
		list = append(list, example{"example of " + strings.TrimSuffix(filepath.Base(file), ".yaml"), append(all[:len(all):len(all)], file)})
	}
	return list
}

var _ = Describe("The golden plans of the examples", func() {
	It("are as they were", func(ctx SpecContext) {
		text, err := os.ReadFile(examplesDir + "nodes/node1.yaml")
		Expect(err).NotTo(HaveOccurred())
		captured, err := fakehost.Parse(text)
		Expect(err).NotTo(HaveOccurred())
		for _, e := range examples() {
			desired := spec.LoadPaths(e.files, "")
			record := newGolden(examplesDir)
			for _, node := range []fakehost.Node{scenario.Empty(), captured} {
				h, err := fakehost.New(node)
				Expect(err).NotTo(HaveOccurred())
				now := time.Now()
				record.begin(fmt.Sprintf("on a node with %d volume groups", len(node.VolumeGroups)))
				record.plan(plan.Make(plan.Input{
					Declared: desired, Observed: observe.New(h).Observe(ctx, desired.ImagePaths()...),
					Started: now, Now: now, MaxDeletions: 10, TGT: strings.HasSuffix(e.name, "tgt"),
				}))
			}
			record.compare(e.name)
		}
	})
})
