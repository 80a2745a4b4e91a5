package status

import (
	"testing"
	"time"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

func TestSinceIsKeptByEachObjectWhileOthersComeAndGo(t *testing.T) {
	minute := func(n int) time.Time { return time.Unix(0, 0).Add(time.Duration(n) * time.Minute) }
	object := func(name string, phase Phase) Object {
		return Object{Kind: spec.KindVolume, Name: name, Phase: phase}
	}
	var b Board
	for _, pass := range []struct {
		objects []Object
		since   []int // in minutes
	}{
		{[]Object{object("b", Ready), object("d", Failed)}, []int{0, 0}},
		{[]Object{object("b", Ready), object("d", Ready)}, []int{0, 1}},
		{[]Object{object("a", Ready), object("b", Ready), object("c", Failed), object("d", Ready)}, []int{2, 0, 2, 1}},
		{[]Object{object("c", Failed), object("d", Failed)}, []int{2, 3}},
		{nil, nil},
		{[]Object{object("d", Failed)}, []int{5}},
	} {
		generation := b.report.Generation
		b.Publish(pass.objects, nil, PassCost{}, minute(int(generation)))
		report, _ := b.Report()
		if len(report.Objects) != len(pass.since) || report.Generation != generation+1 {
			t.Fatalf("%+v", report)
		}
		for i, o := range report.Objects {
			if !o.Since.Equal(minute(pass.since[i])) {
				t.Errorf("%s is so since %s, not since minute %d, in generation %d", o.Name, o.Since, pass.since[i], report.Generation)
			}
		}
		// The same once more is no news.
		b.Publish(pass.objects, nil, PassCost{}, minute(100))
		if again, _ := b.Report(); again.Generation != report.Generation {
			t.Errorf("the same is generation %d", again.Generation)
		}
	}
}
