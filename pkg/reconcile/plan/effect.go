package plan

import (
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Effect is what a step or a plan does to an object or thing, as the character by which plans show
// it.
type Effect string

// The effects.
const (
	Creates Effect = "+"
	Changes Effect = "~"
	Removes Effect = "-"
)

// EffectOf returns what steps do to their object: the first one that creates or removes it
// decides.
func EffectOf(steps []Step) Effect {
	for _, s := range steps {
		if e := s.OnObject(); e != Changes {
			return e
		}
	}
	return Changes
}

// OnObject returns what the step does to its object.
func (s Step) OnObject() Effect {
	switch c := s.Change.(type) {
	case change.CreateThinPool, change.CreateTarget, change.WriteImage, change.InitRepository:
		return Creates
	case change.BackUp:
		if s.Object.Kind == spec.KindBackup {
			return Creates
		}
	case change.ForgetBackups:
		if s.Object.Kind == spec.KindBackup {
			return Removes
		}
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

// unlessHelper returns the effect on the object of a change to a logical volume with these tags.
// One that is staged, superseded, or removed after it was copied from, is not the object itself:
// it only changes. A snapshot that is created to be copied from is the beginning of the object.
func unlessHelper(tags []string, e Effect) Effect {
	lv := observe.LogicalVolume{Tags: tags}
	_, moves := lv.MoveOf()
	if moves || lv.Phase() == ondisk.Staged || lv.Phase() == ondisk.Superseded || e == Removes && lv.Tag(ondisk.TagKind) == ondisk.KindSource {
		return Changes
	}
	return e
}

// OnThing returns what the step does to the thing that it changes: a LUN, a portal, a logical
// volume.
func (s Step) OnThing() Effect {
	switch c := s.Change.(type) {
	case change.CreateThinPool, change.CreateVolume, change.CloneVolume, change.CreateSnapshot, change.WriteImage, change.CreateBackstore, change.CreateTarget,
		change.InitRepository, change.BackUp, change.AddPortal, change.AddLUN, change.AddInitiator, change.MapLUN:
		return Creates
	case change.RemoveLV, change.StartClearing, change.Clear, change.RemoveBackstore, change.RemoveTarget,
		change.ForgetBackups, change.RemovePortal, change.RemoveLUN, change.RemoveInitiator, change.UnmapLUN:
		return Removes
	case change.SetTags: // a new deletion tag: into the trash
		if slices.ContainsFunc(c.Add, func(t string) bool { return strings.HasPrefix(t, ondisk.TagDeleted) }) {
			return Removes
		}
	}
	return Changes
}
