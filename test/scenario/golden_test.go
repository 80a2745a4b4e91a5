package scenario_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/test/scenario"
)

// update writes what is planned now instead of comparing it:
//
//	go test ./test/scenario -ginkgo.focus 'in memory|golden' -update
var update = flag.Bool("update", false, "rewrite the plans in testdata/golden")

const goldenDir = "testdata/golden"

// times are the moments in messages and tags, which are others each time.
var times = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|\d{8}T\d{6}Z`)

// measured are figures of a pool for those who watch it. They change with everything.
var measured = regexp.MustCompile(`,"(lvmMetadataFree|allocated|metadataSize|chunkSize|cowSize)":\d+|,"device":"[^"]*"`)

// golden records what is planned, and the status afterwards, and compares it with what
// was recorded before. A step is a line of JSON, as in `plan -o json`; of objects and
// findings only what differs from the line before of the same object is written.
type golden struct {
	// dir is where files lie that are elsewhere each time.
	dir   string
	lines []string
	shown map[spec.ID]string
	// findings are those that were written last.
	findings string
}

func newGolden(dir string) *golden { return &golden{dir: dir, shown: map[spec.ID]string{}} }

func (g *golden) writef(format string, args ...any) {
	line := times.ReplaceAllString(fmt.Sprintf(format, args...), "<time>")
	g.lines = append(g.lines, strings.ReplaceAll(line, g.dir, "<dir>"))
}

// begin begins a part of the record.
func (g *golden) begin(name string) { g.writef("# %s", name) }

// plan records a plan.
func (g *golden) plan(p plan.Plan) {
	GinkgoHelper()
	text, err := json.Marshal(p)
	Expect(err).NotTo(HaveOccurred())
	var parts struct{ Steps []json.RawMessage }
	Expect(json.Unmarshal(text, &parts)).To(Succeed())
	if len(parts.Steps) > 0 {
		g.writef("## plan")
	}
	for i, step := range parts.Steps {
		if p.Steps[i].AtOnce { // no part of the interface, but of what the executor does
			step = append(step[:len(step)-1:len(step)-1], `,"atOnce":true}`...)
		}
		g.writef("%s", step)
	}
	g.objects(status.Findings(p.Findings), p.Objects)
}

// status records what is reported in the end.
func (g *golden) status(s status.Report) {
	GinkgoHelper()
	g.writef("## status")
	g.objects(s.Findings, s.Objects)
}

func (g *golden) objects(findings []status.Finding, objects []status.Object) {
	GinkgoHelper()
	if text := marshal(findings); len(findings) > 0 && text != g.findings {
		g.writef("%s", text)
		g.findings = text
	} else if len(findings) == 0 && g.findings != "" {
		g.writef("no findings")
		g.findings = ""
	}
	there := map[spec.ID]bool{}
	for _, o := range objects {
		there[o.ID()] = true
		if text := measured.ReplaceAllString(marshal(planned(o)), ""); text != g.shown[o.ID()] {
			g.writef("%s", text)
			g.shown[o.ID()] = text
		}
	}
	var gone []string
	for id := range g.shown {
		if !there[id] {
			gone = append(gone, id.String())
			delete(g.shown, id)
		}
	}
	for _, id := range slices.Sorted(slices.Values(gone)) {
		g.writef("no %s", id)
	}
}

// phased is an object without its conditions, which only repeat the phase.
type phased status.Object

// planned returns an object without its time and what `get` shows besides, which says nothing of
// what is planned.
func planned(o status.Object) phased {
	o.Since, o.Labels = time.Time{}, nil
	without := func(v *status.Volume) *status.Volume {
		if v == nil {
			return nil
		}
		shown := *v
		shown.Pool, shown.Volume, shown.Allocated, shown.ExportedBy = "", "", 0, nil
		return &shown
	}
	o.Volume, o.Snapshot = without(o.Volume), without(o.Snapshot)
	if o.Export != nil {
		shown := *o.Export
		shown.Protocol = ""
		o.Export = &shown
	}
	return phased(o)
}

func marshal(v any) string {
	GinkgoHelper()
	text, err := json.Marshal(v)
	Expect(err).NotTo(HaveOccurred())
	return times.ReplaceAllString(string(text), "<time>")
}

// compare compares the record with the one of this name, byte by byte.
func (g *golden) compare(name string) {
	GinkgoHelper()
	path := goldenFile(name)
	have := strings.Join(g.lines, "\n") + "\n"
	if *update {
		Expect(os.MkdirAll(goldenDir, 0o755)).To(Succeed())
		Expect(os.WriteFile(path, []byte(have), 0o644)).To(Succeed())
		return
	}
	text, err := os.ReadFile(path)
	Expect(err).NotTo(HaveOccurred(), "run this with -update")
	if string(text) != have {
		Fail(fmt.Sprintf("%s: what is planned is not what was; if that is meant, run this with -update\n%s", path, firstDifference(string(text), have)))
	}
}

// goldenFile is where the record of that name is.
func goldenFile(name string) string {
	return filepath.Join(goldenDir, strings.Trim(regexp.MustCompile(`[^a-zA-Z0-9]+`).ReplaceAllString(name, "-"), "-")+".jsonl")
}

func firstDifference(want, have string) string {
	wants, haves := strings.Split(want, "\n"), strings.Split(have, "\n")
	for i := 0; i < len(wants) || i < len(haves); i++ {
		var w, h string
		if i < len(wants) {
			w = wants[i]
		}
		if i < len(haves) {
			h = haves[i]
		}
		if w != h {
			return fmt.Sprintf("line %d:\n- %s\n+ %s", i+1, w, h)
		}
	}
	return "the same"
}

var _ = Describe("The golden plans", func() {
	It("are those of a scenario each", func() {
		var known []string
		for _, s := range scenario.All() {
			known = append(known, goldenFile(s.Name))
		}
		for _, e := range examples() {
			known = append(known, goldenFile(e.name))
		}
		files, err := filepath.Glob(filepath.Join(goldenDir, "*"))
		Expect(err).NotTo(HaveOccurred())
		Expect(files).To(ConsistOf(known), "no two scenarios share a name, and none is left")
	})
})
