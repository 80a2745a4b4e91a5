package reconcile

import (
	"errors"
	"path/filepath"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// tally counts what a Meter is called with.
type tally struct {
	mu         sync.Mutex
	steps      map[StepResult]int
	types      map[string]int
	drifts     []spec.Kind
	complete   int
	incomplete int
}

func (t *tally) StepTried(_ spec.ID, change string, result StepResult) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.steps == nil {
		t.steps, t.types = map[StepResult]int{}, map[string]int{}
	}
	t.steps[result]++
	t.types[change]++
}

func (t *tally) DriftCorrected(object spec.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drifts = append(t.drifts, object.Kind)
}

func (t *tally) PassEnded(_ status.PassCost, complete bool) {
	if complete {
		t.complete++
	} else {
		t.incomplete++
	}
}

var _ = Describe("The meter of a loop", func() {
	var (
		m     *machine
		loop  *Loop
		count *tally
	)
	BeforeEach(func() {
		m, count = &machine{node: model.NewNode()}, &tally{}
		loop = newLoop(m, filepath.Join(GinkgoT().TempDir(), "state", "identities.json"))
		loop.Executor.Actuators[observe.Data], loop.Executor.Jobs = m, 1
		loop.Meter = count
	})

	It("counts steps, passes, and what corrected drift", func(ctx SpecContext) {
		for range 3 {
			loop.Pass(ctx)
		}
		Expect(count.types).To(HaveKeyWithValue("CreateTarget", BeNumerically(">=", 1)))
		Expect(count.steps).To(And(HaveKeyWithValue(StepDone, BeNumerically(">", 5)), HaveLen(1)))
		Expect(count.complete).To(Equal(3))
		Expect(count.drifts).To(BeEmpty(), "what is made is no drift")

		drifted := m.node.State.LIO.ISCSI[model.IQN]
		drifted.Enabled = false
		m.node.State.LIO.ISCSI[model.IQN] = drifted
		loop.Pass(ctx)
		Expect(count.drifts).To(Equal([]spec.Kind{spec.KindExport}))
		Expect(count.types).To(HaveKeyWithValue("EnableTarget", 2))
	})
	It("tells failures from steps that were planned for another state", func(ctx SpecContext) {
		m.fail = func(c change.Change) error {
			switch c.(type) {
			case change.CreateThinPool:
				return errors.New("no")
			case change.CreateVolume:
				return change.ErrStale
			}
			return nil
		}
		loop.Pass(ctx)
		Expect(count.steps).To(And(HaveKey(StepFailed), HaveKey(StepStale)))
	})
	DescribeTable("takes for drift", func(c change.Change, want bool) {
		id := spec.ID{Kind: spec.KindSnapshot, Name: "s"}
		report := loop.stepReporter(spec.Set{}, observe.State{}, map[spec.ID]bool{id: true})
		report(plan.Step{Object: id, Change: c}, nil)
		if want {
			Expect(count.drifts).To(HaveLen(1))
		} else {
			Expect(count.drifts).To(BeEmpty())
		}
		Expect(count.types).To(HaveLen(1))
	},
		Entry("a tag that is missing", change.SetTags{Add: []string{ondisk.TagSchedule + "db"}}, true),
		Entry("no backup that is due", change.BackUp{}, false),
		Entry("no prune", change.PruneRepository{}, false),
		Entry("no tag of the last backup's snapshot", change.SetTags{Add: []string{ondisk.BaseTag("r", "1")}, Remove: []string{ondisk.BaseTag("r", "0")}}, false),
		Entry("a tag besides", change.SetTags{Remove: []string{ondisk.BaseTag("r", "0"), ondisk.TagPhase + "x"}}, true),
	)
	It("knows passes that could not read everything", func(ctx SpecContext) {
		m.node.State.Unknown = map[observe.System]error{observe.NVMet: errors.New("no")}
		loop.Pass(ctx)
		Expect(count.complete).To(BeZero())
		Expect(count.incomplete).To(Equal(1))
	})
})
