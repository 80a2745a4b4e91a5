package plan

import (
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// Effect is what becomes of a thing, as the character by which plans show it.
type Effect string

// The effects.
const (
	Creates Effect = "+"
	Changes Effect = "~"
	Removes Effect = "-"
)

// EffectOf returns what becomes of an object by its steps: the first one that creates or
// removes what the object stands for says so.
func EffectOf(steps []Step) Effect {
	for _, s := range steps {
		if e := s.OnObject(); e != Changes {
			return e
		}
	}
	return Changes
}

// OnObject returns what becomes of the step's object.
func (s Step) OnObject() Effect {
	switch c := s.Change.(type) {
	case change.CreateThinPool, change.CreateTarget, change.WriteImage:
		return Creates
	case change.CreateVolume:
		return unlessHelper(c.Tags, Creates)
	case change.CloneVolume:
		return unlessHelper(c.Tags, Creates)
	case change.CreateSnapshot:
		return unlessHelper(c.Tags, Creates)
	case change.RemoveTarget:
		return Removes
	case change.RemoveLV:
		return unlessHelper(c.Tags, Removes)
	case change.StartClearing:
		return unlessHelper(c.Tags, Removes)
	case change.SetTags:
		return s.OnThing()
	}
	return Changes
}

// unlessHelper returns an effect on a logical volume of these tags, unless it is not what its
// object stands for, but comes in the place of another one, or did so, or was copied from.
// One that is to be copied from is the beginning of what the object stands for.
func unlessHelper(tags []string, e Effect) Effect {
	lv := observe.LogicalVolume{Tags: tags}
	_, moves := lv.MoveOf()
	if moves || lv.Phase() == ondisk.Staged || lv.Phase() == ondisk.Replaced || e == Removes && lv.Tag(ondisk.TagKind) == ondisk.KindSource {
		return Changes
	}
	return e
}

// OnThing returns what becomes of the thing that the step's change is made to.
func (s Step) OnThing() Effect {
	switch c := s.Change.(type) {
	case change.CreateThinPool, change.CreateVolume, change.CloneVolume, change.CreateSnapshot, change.WriteImage, change.CreateBackstore, change.CreateTarget,
		change.AddPortal, change.AddLUN, change.AddInitiator, change.MapLUN:
		return Creates
	case change.RemoveLV, change.StartClearing, change.Clear, change.RemoveBackstore, change.RemoveTarget,
		change.RemovePortal, change.RemoveLUN, change.RemoveInitiator, change.UnmapLUN:
		return Removes
	case change.SetTags: // into the trash
		if slices.ContainsFunc(c.Add, func(t string) bool { return strings.HasPrefix(t, ondisk.TagDeleted) }) {
			return Removes
		}
	}
	return Changes
}
