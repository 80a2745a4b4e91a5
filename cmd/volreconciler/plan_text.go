package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// effect is what becomes of a thing, as one character.
type effect string

const (
	creates effect = "+"
	changes effect = "~"
	removes effect = "-"
	blocked effect = "!"
)

func (e effect) colour() colour {
	switch e {
	case creates:
		return green
	case changes:
		return yellow
	case removes:
		return red
	default:
		return magenta
	}
}

// planText writes a plan for people: the steps under the object for which they
// are made, then the thin pools that they fill, then the sum.
func planText(plan reconcile.Plan, p painter) string {
	t := &planWriter{painter: p, steps: map[spec.ID][]reconcile.Step{}}
	for _, s := range plan.Steps {
		t.steps[s.Object] = append(t.steps[s.Object], s)
	}
	for _, o := range plan.Objects {
		t.object(o)
	}
	for _, o := range plan.Objects {
		if o.Pool != nil {
			t.thinPool(*o.Pool)
		}
	}
	t.sum(plan)
	return t.text.String()
}

type planWriter struct {
	painter
	text  strings.Builder
	steps map[spec.ID][]reconcile.Step
}

func (t *planWriter) line(indent int, e effect, text string) {
	fmt.Fprintf(&t.text, "%s%s %s\n", strings.Repeat(" ", indent), t.paint(e.colour(), string(e)), text)
}

func (t *planWriter) object(o reconcile.Object) {
	steps := t.steps[o.ID()]
	name := t.paint(bold, o.ID().String())
	obstacle := fmt.Sprintf("%s (%s): %s", o.Phase, o.Reason, oneLine(o.Message))
	switch {
	case len(steps) > 0:
		t.line(0, effectOnObject(steps), name)
		for _, s := range steps {
			t.step(s)
		}
		if stuck(o) {
			t.line(4, blocked, obstacle)
		}
	case stuck(o):
		t.line(0, blocked, name+" "+obstacle)
	default:
		return
	}
	t.text.WriteString("\n")
}

func (t *planWriter) step(s reconcile.Step) {
	text := fmt.Sprintf("%s (%s)", s.Change, s.Why)
	if s.Danger != reconcile.Harmless {
		text += " " + t.paint(red, strings.ToUpper(string(s.Danger)))
	}
	t.line(4, effectOf(s.Change), text)
	for _, who := range s.Affects {
		fmt.Fprintf(&t.text, "      %s %s\n", t.paint(red, "hits"), oneLine(who))
	}
}

// thinPool shows how far a thin pool is promised to volumes, if that changes.
func (t *planWriter) thinPool(p reconcile.PoolStatus) {
	if p.ThinPool == "" || p.Provisioned == p.ProvisionedAfter {
		return
	}
	fmt.Fprintf(&t.text, "Thin pool %s/%s has %s, %s of it free; promised to volumes: %s now, %s after.\n\n",
		p.VolumeGroup, p.ThinPool, bytes(p.Size), bytes(p.Free), share(p.Provisioned, p.Size), share(p.ProvisionedAfter, p.Size))
}

func share(part, whole uint64) string {
	if whole == 0 {
		return bytes(part)
	}
	return fmt.Sprintf("%s (%.0f%%)", bytes(part), 100*float64(part)/float64(whole))
}

func (t *planWriter) sum(plan reconcile.Plan) {
	if len(plan.Objects) == 0 {
		t.text.WriteString("Nothing is desired, and nothing here is ours.\n")
		return
	}
	effects := map[effect]int{}
	phases := map[reconcile.Phase]int{}
	for _, o := range plan.Objects {
		phases[o.Phase]++
		if steps := t.steps[o.ID()]; len(steps) > 0 {
			effects[effectOnObject(steps)]++
		}
	}
	if plan.Empty() {
		t.text.WriteString("Plan: nothing to do")
	} else {
		fmt.Fprintf(&t.text, "Plan: %d to create, %d to change, %d to remove", effects[creates], effects[changes], effects[removes])
	}
	separator := "; "
	if n := inTrash(plan.Objects); n > 0 {
		fmt.Fprintf(&t.text, "; %s in the trash", count(n, "object"))
		separator = ", "
	}
	for _, phase := range []reconcile.Phase{reconcile.Blocked, reconcile.Failed, reconcile.Suspended, reconcile.Orphaned} {
		if n := phases[phase]; n > 0 {
			fmt.Fprintf(&t.text, "%s%s %s", separator, count(n, "object"), isOrAre(n, phase))
			separator = ", "
		}
	}
	t.text.WriteString(".\n")
}

func inTrash(objects []reconcile.Object) int {
	n := 0
	for _, o := range objects {
		if o.Reason == reconcile.ReasonInTrash {
			n++
		}
	}
	return n
}

func isOrAre(n int, phase reconcile.Phase) string {
	verb := "are"
	if n == 1 {
		verb = "is"
	}
	return verb + " " + strings.ToLower(string(phase))
}

// stuck reports whether something stands in an object's way.
func stuck(o reconcile.Object) bool {
	return o.Phase == reconcile.Blocked || o.Phase == reconcile.Failed
}

// effectOnObject is what becomes of an object: it is created or removed by the
// step that creates or removes the thing it stands for.
func effectOnObject(steps []reconcile.Step) effect {
	for _, s := range steps {
		switch c := s.Change.(type) {
		case change.CreateThinPool, change.CreateTarget, change.WriteImage:
			return creates
		case change.CreateVolume, change.CloneVolume, change.CreateSnapshot:
			if !helps(tagsOf(c)) {
				return creates
			}
		case change.RemoveTarget:
			return removes
		case change.RemoveLV:
			if !helps(c.Tags) && !slices.Contains(c.Tags, ondisk.TagKind+ondisk.KindSource) {
				return removes
			}
		case change.SetTags:
			if trashes(s.Change) {
				return removes
			}
		}
	}
	return changes
}

// tagsOf returns the tags of a logical volume that is created.
func tagsOf(c change.Change) []string {
	switch c := c.(type) {
	case change.CreateVolume:
		return c.Tags
	case change.CloneVolume:
		return c.Tags
	case change.CreateSnapshot:
		return c.Tags
	}
	return nil
}

// helps reports whether a logical volume of these tags is not what its object stands for,
// but helps to put another one in its place.
func helps(tags []string) bool {
	lv := observe.LogicalVolume{Tags: tags}
	_, moves := lv.MoveOf()
	return moves || lv.Phase() == ondisk.Staged || lv.Phase() == ondisk.Replaced
}

// trashes reports whether a change puts a logical volume into the trash.
func trashes(c change.Change) bool {
	set, ok := c.(change.SetTags)
	return ok && slices.ContainsFunc(set.Add, func(t string) bool { return strings.HasPrefix(t, ondisk.TagDeleted) })
}

// effectOf is what becomes of the thing that a change is made to.
func effectOf(c change.Change) effect {
	switch c.(type) {
	case change.CreateThinPool, change.CreateVolume, change.CloneVolume, change.CreateSnapshot, change.WriteImage, change.CreateBackstore, change.CreateTarget,
		change.AddPortal, change.AddLUN, change.AddInitiator, change.MapLUN:
		return creates
	case change.RemoveLV, change.RemoveBackstore, change.RemoveTarget,
		change.RemovePortal, change.RemoveLUN, change.RemoveInitiator, change.UnmapLUN:
		return removes
	}
	if trashes(c) {
		return removes
	}
	return changes
}
