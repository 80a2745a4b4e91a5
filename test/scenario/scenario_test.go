package scenario_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/test/scenario"
)

func TestScenario(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "test/scenario")
}

// entries are the scenarios as those of a table.
func entries() []TableEntry {
	var entries []TableEntry
	for _, s := range scenario.All() {
		entries = append(entries, Entry(s.Name, s))
	}
	return entries
}

var _ = DescribeTable("On a machine in memory",
	func(ctx SpecContext, s scenario.Scenario) {
		dir := GinkgoT().TempDir()
		f, err := scenario.NewFake(scenario.Used(), dir)
		Expect(err).NotTo(HaveOccurred())
		var status status.Report
		record := newGolden(dir)
		for _, step := range s.Steps {
			By(step.Name)
			record.begin(step.Name)
			Expect(f.Begin(ctx, step, status)).To(Succeed())
			var calls []string
			if step.Dies != nil {
				status = die(ctx, f, record, step.Dies())
				continue
			}
			agent := f.Start(&fakehost.Tap{Host: f.Host, Before: func(c fakehost.Call) error {
				if c.Changes() {
					calls = append(calls, c.String())
				}
				return nil
			}})
			agent.Planned = record.plan
			status, err = agent.Apply(ctx)
			Expect(err).NotTo(HaveOccurred())
			record.status(status)
			Expect(scenario.Stand(status)).To(Equal(step.Expected()), "%s\n%s", messages(status), strings.Join(calls, "\n"))
			for lv, content := range step.Content {
				Expect(scenario.Contents(f.Node())).To(HaveKeyWithValue(lv, content))
			}
			for lv, data := range step.Data {
				Expect(scenario.Data(f)).To(HaveKeyWithValue(lv, data))
			}
			if step.Saved != nil {
				Expect(scenario.Saved(f, "/backups")).To(Equal(step.Saved))
			}
			Expect(scenario.Mismatches(f)).To(BeEmpty())
			if len(step.Stand) == 0 {
				Expect(scenario.Unfinished(f.Node())).To(BeEmpty())
			}
			Expect(scenario.Readable(f.Node())).To(BeEmpty())
			calls = nil
			_, err = agent.Apply(ctx)
			Expect(err).NotTo(HaveOccurred())
			if len(step.Stand) == 0 {
				Expect(calls).To(BeEmpty(), "what is as desired is left alone")
			}
		}
		record.compare(s.Name)
	},
	entries(),
)

// die lets an agent live until a call.
func die(ctx context.Context, f *scenario.Fake, record *golden, at func(fakehost.Call) bool) status.Report {
	GinkgoHelper()
	ctx, kill := context.WithCancel(ctx)
	defer kill()
	var mu sync.Mutex // observing goes on in several goroutines
	dead := false
	agent := f.Start(&fakehost.Tap{Host: f.Host, Before: func(c fakehost.Call) error {
		mu.Lock()
		defer mu.Unlock()
		if dead = dead || c.Changes() && at(c); dead {
			kill()
			return errors.New("killed")
		}
		return nil
	}})
	agent.Planned = record.plan
	_, _ = agent.Apply(ctx)
	Expect(dead).To(BeTrue(), "it did not come to where it dies")
	return status.Report{}
}

// messages are what the objects say that are not Ready.
func messages(report status.Report) string {
	var lines []string
	for _, f := range report.Findings {
		lines = append(lines, f.Message)
	}
	for _, o := range report.Objects {
		if o.Phase != status.Ready {
			lines = append(lines, fmt.Sprintf("%s: %s: %s: %s", o.ID(), o.Phase, o.Reason, o.Message))
		}
	}
	return strings.Join(lines, "\n")
}

// long asks for every crash that can be tried, not just the most telling.
var long = os.Getenv("VOLRECONCILER_CRASH") == "long"

// tried is what all specs together tried.
var tried scenario.Crashes

var _ = ReportAfterSuite("crashes", func(Report) {
	_, _ = fmt.Fprintf(os.Stdout, "\ncrash points=%d scenarios=%d lost=%d leaked=%d exposed=%d\n",
		tried.Points, tried.Scenarios, tried.Lost, tried.Leaked, tried.Exposed)
})

// killing lets an agent be killed at every moment of a scenario.
func killing(ctx SpecContext, k *scenario.Killer, s scenario.Scenario) {
	GinkgoHelper()
	k.Dir, k.Long = GinkgoT().TempDir(), long
	defer func() {
		t := k.Tried()
		tried.Points += t.Points
		tried.Lost += t.Lost
		tried.Leaked += t.Leaked
		tried.Exposed += t.Exposed
	}()
	Expect(k.Run(ctx, s)).To(Succeed())
	Expect(k.Tried().Points).To(BeNumerically(">", 0))
	different := k.Tried().Differences
	Expect(different).To(BeEmpty(), strings.Join(different[:min(len(different), 5)], "\n"))
}

var _ = DescribeTable("An agent that is killed at any moment is followed by one that comes to the same",
	func(ctx SpecContext, s scenario.Scenario) {
		tried.Scenarios++
		killing(ctx, &scenario.Killer{}, s)
	},
	entries(),
)

var _ = DescribeTable("An agent that is killed at any moment, and once more while it recovers, too,",
	func(ctx SpecContext, s scenario.Scenario) {
		if !long && !slices.Contains([]string{"a mounted volume", "vanished"}, s.Name) {
			Skip("make crash")
		}
		killing(ctx, &scenario.Killer{Twice: true}, s)
	},
	entries(),
)

var _ = DescribeTable("An agent that is killed at any moment, while it only looks, too,",
	func(ctx SpecContext, s scenario.Scenario) {
		if !long {
			Skip("make crash")
		}
		killing(ctx, &scenario.Killer{Counted: func(fakehost.Call) bool { return true }}, s)
	},
	entries(),
)

var _ = DescribeTable("An agent that is killed at any moment, and started much later,",
	func(ctx SpecContext, s scenario.Scenario) {
		if !long {
			Skip("make crash")
		}
		killing(ctx, &scenario.Killer{Late: true}, s)
	},
	timedEntries(),
)

// timedEntries are those of scenarios that set the clock.
func timedEntries() []TableEntry {
	var entries []TableEntry
	for _, s := range scenario.All() {
		if s.Steps[0].At != "" {
			entries = append(entries, Entry(s.Name, s))
		}
	}
	return entries
}
