package plan_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// What fails is to become a plain spec, so no files are left behind, unless a flag
// on the command line asks for them.
var _ = flag.Set("rapid.nofailfile", "true")

// The cases are the same every time, so that a change is judged by itself. Search
// for new ones with -rapid.seed=0, which is random.
var _ = flag.Set("rapid.seed", "1")

// scenario is a node with a past: it was brought to an earlier spec, then things
// happened to it by hand and by accident, then the spec was edited.
type scenario struct {
	*Model
	input Input
	// documents are the objects of the present spec, as JSON, and broken is
	// text that cannot be read beside them; empty: none.
	documents []document
	broken    string
}

// pick draws one of several, of which the first is the simplest. Naming one more
// than once makes it more likely.
func pick[T any](t *rapid.T, what string, choices ...T) T {
	return rapid.SampledFrom(choices).Draw(t, what)
}

// oneIn draws true once in n times.
func oneIn(t *rapid.T, n int, what string) bool {
	return rapid.IntRange(0, n-1).Draw(t, what) == n-1
}

var (
	poolNames     = []string{"p0", "p1", "p2", "p3"}
	volumeNames   = []string{"a", "b", "c", "d"}
	snapshotNames = []string{"s", "t", "u"}
	exportNames   = []string{"e", "f"}
	imageNames    = []string{"g", "h"}
	groupNames    = []string{"vg0", "vg1", "vg2"}
	policies      = []string{"Delete", "Delete", "Delete", "Retain"}
	noon          = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
)

// here is the installation that plans, and elsewhere another one.
var (
	here      = Installation{Maker: ondisk.Maker{ID: "00000000deadbeef", Name: "here"}}
	elsewhere = ondisk.Maker{ID: "00000000cafecafe", Name: "elsewhere"}
)

func universe() []spec.ID {
	var ids []spec.ID
	for kind, names := range map[spec.Kind][]string{
		spec.KindPool: poolNames, spec.KindVolume: volumeNames, spec.KindSnapshot: snapshotNames, spec.KindExport: exportNames,
		spec.KindImage: imageNames,
	} {
		for _, name := range names {
			ids = append(ids, spec.ID{Kind: kind, Name: name})
		}
	}
	slices.SortFunc(ids, spec.CompareIDs)
	return ids
}

// properties runs a property on scenarios.
func properties(t *testing.T, property func(t *rapid.T, s scenario)) {
	t.Helper()
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) { property(t, genScenario(t, dir)) })
}

func genScenario(t *rapid.T, dir string) scenario {
	past := genDocuments(t, nil)
	s := scenario{Model: NewModel(), input: Input{Known: map[spec.ID]Identity{}, Started: noon.Add(-time.Hour), Now: noon, Elapsed: time.Hour, MaxDeletions: 100, Installation: here}}
	for _, name := range groupNames[1:] {
		s.State.VolumeGroups[name] = observe.VolumeGroup{
			Name: name, UUID: name + "-uuid", ExtentSize: 4 * MiB, Size: 10240 * MiB, Free: 10240 * MiB,
			LogicalVolumes: map[string]observe.LogicalVolume{},
		}
	}
	for _, name := range imageNames {
		s.State.ImageFiles[imagePath(name)] = observe.ImageFile{}
	}
	// A node that tgtd serves by now may have been served by the kernel. The other way round
	// nobody looks at what tgtd has left.
	tgt := oneIn(t, 5, "by tgtd")
	s.input.TGT = tgt && !oneIn(t, 4, "by the kernel before")
	if !oneIn(t, 6, "no past") {
		s.input.Declared = load(dir, [][]document{inOrder(past)}, "")
		s.input.Declared.Complete = true
		converge(t, s.Model, s.input)
		s.input.Known = Learned(map[spec.ID]Identity{}, s.input.Declared, s.Copy())
	}
	s.input.TGT = tgt
	if oneIn(t, 3, "something was under way") {
		past = genDocuments(t, past)
		s.interrupted(t, load(dir, [][]document{inOrder(past)}, ""))
	}
	for range rapid.IntRange(0, 6).Draw(t, "mutations") {
		s.mutate(t)
		s.MakeConsistent()
	}
	docs := genDocuments(t, past)
	if oneIn(t, 12, "an object is invalid") && len(docs) > 0 {
		id := pick(t, "which", slices.SortedFunc(maps.Keys(docs), spec.CompareIDs)...)
		d := docs[id]
		d.fields = maps.Clone(d.fields)
		d.fields["bogus"] = 1
		docs[id] = d
	}
	if oneIn(t, 12, "a file is broken") {
		s.broken = "apiVersion: [\n"
	}
	s.documents = inOrder(docs)
	s.input.Declared = load(dir, [][]document{s.documents}, s.broken)
	s.genTimes(t)
	s.genMemory(t)
	s.input.Installation.Adopts = pick(t, "takes over", nil, nil, nil, nil, []string{elsewhere.ID}, []string{Unmarked})
	s.genUnknown(t)
	s.input.Observed = s.Copy()
	return s
}

func (s *scenario) genTimes(t *rapid.T) {
	in := &s.input
	in.Started = noon.Add(-pick(t, "uptime", time.Hour, 0, time.Minute, 48*time.Hour))
	in.Elapsed = max(0, in.Now.Sub(in.Started)+pick(t, "clock set by", 0, 0, -26*time.Hour, 26*time.Hour))
	in.Grace = pick(t, "grace", 0, 30*time.Second, 30*time.Second, 90*time.Minute)
	in.TrashSettle = pick(t, "settle", 0, 10*time.Minute, 2*time.Hour)
	in.MaxDeletions = pick(t, "max deletions", 100, 100, 10, 3, 1, 0)
	in.SteadySince = in.Now.Add(-pick(t, "steady for", 25*time.Hour, 25*time.Hour, 10*time.Second, 10*time.Minute))
	in.LastDeclared = map[spec.ID]time.Time{}
	for _, id := range universe() {
		if age := pick(t, "last named", -1, -1, 0, 10*time.Minute, 25*time.Hour); age >= 0 {
			in.LastDeclared[id] = in.Now.Add(-age)
		}
	}
}

// interrupted lets the agent begin with what another spec asks for, and stops it in the midst
// of that.
func (s *scenario) interrupted(t *rapid.T, declared spec.Set) {
	s.input.Declared = declared
	for range pick(t, "passes", 1, 2, 3, 4, 6, 8) {
		p := pass(s.Model, &s.input)
		left := rapid.IntRange(0, len(p.Steps)).Draw(t, "steps")
		if !oneIn(t, 3, "not all of them") {
			left = len(p.Steps)
		}
		carryOut(t, s.Model, p, func(int) int { left--; return min(left, 0) }, never, func() {})
	}
}

// genMemory spoils what is remembered.
func (s *scenario) genMemory(t *rapid.T) {
	known := map[spec.ID]Identity{}
	maps.Copy(known, s.input.Known)
	switch pick(t, "memory", "right", "right", "right", "lost", "wrong") {
	case "lost":
		known = map[spec.ID]Identity{}
	case "wrong":
		for _, id := range universe() {
			if id.Kind == spec.KindImage {
				continue // nothing is remembered of one
			}
			switch pick(t, "identity", "", "", "gone", "other", "retain") {
			case "gone":
				delete(known, id)
			case "other":
				if id.Kind == spec.KindExport {
					known[id] = Identity{Targets: []string{pick(t, "remembered target", slices.Concat(iscsiNames.targets, nvmeNames.targets[:1], fcNames.targets[:1])...)}, Force: oneIn(t, 2, "force")}
				} else {
					known[id] = Identity{UUID: fmt.Sprintf("uuid-%d", rapid.IntRange(1, 9).Draw(t, "uuid")), VolumeGroup: pick(t, "remembered group", groupNames...)}
				}
			case "retain":
				if k, ok := known[id]; ok && id.Kind != spec.KindExport {
					k.Retain = true
					known[id] = k
				}
			}
		}
	}
	s.input.Known = known
}

// genUnknown hides parts of the machine.
func (s *scenario) genUnknown(t *rapid.T) {
	switch rapid.IntRange(0, 31).Draw(t, "hidden") {
	case 24:
		s.State.Unknown = map[observe.System]error{observe.LVM: errors.New("hidden")}
		s.State.VolumeGroups = map[string]observe.VolumeGroup{}
	case 25:
		s.State.Unknown = map[observe.System]error{observe.LIO: errors.New("hidden")}
		s.State.LIO = observe.Targets{}
	case 26:
		s.State.UnknownGroups = errors.New("hidden")
		delete(s.State.VolumeGroups, pick(t, "group", groupNames...))
	case 27:
		delete(s.State.VolumeGroups, pick(t, "group", groupNames...))
	case 28, 29:
		s.missing(pick(t, "group", groupNames...), oneIn(t, 2, "partial"))
	case 30:
		s.State.Unknown = map[observe.System]error{observe.NVMet: errors.New("hidden")}
		s.State.NVMe = nil
	case 31:
		if s.input.TGT {
			s.State.Unknown = map[observe.System]error{observe.TGT: errors.New("hidden")}
			s.State.TGT = nil
		}
	}
}
