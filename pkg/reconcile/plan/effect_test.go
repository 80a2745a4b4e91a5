package plan

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
)

var _ = Describe("The effect of a change", func() {
	const onThing, onObject = "creates, removes or changes what it is made to", "creates, removes or changes what its object stands for"
	effects := map[string][2]Effect{
		"CreateThinPool": {Creates, Creates}, "GrowThinPool": {Changes, Changes}, "CreateVolume": {Creates, Creates}, "GrowVolume": {Changes, Changes},
		"CreateSnapshot": {Creates, Creates}, "GrowSnapshot": {Changes, Changes},
		"SetTags": {Changes, Changes}, "Rename": {Changes, Changes}, "Activate": {Changes, Changes}, "Deactivate": {Changes, Changes}, "RemoveLV": {Removes, Removes},
		"CloneVolume": {Creates, Creates}, "Populate": {Changes, Changes}, "Restore": {Changes, Changes}, "StartClearing": {Removes, Removes},
		"SplitSnapshot": {Changes, Changes}, "Clear": {Removes, Changes}, "WriteImage": {Creates, Creates}, "Stage": {Changes, Changes}, "Cutover": {Changes, Changes},
		"InitRepository": {Creates, Creates}, "BackUp": {Creates, Changes}, "ForgetBackups": {Removes, Changes}, "PruneRepository": {Changes, Changes}, "CheckRepository": {Changes, Changes},
		"CreateBackstore": {Creates, Changes}, "SetUnmap": {Changes, Changes}, "SetBackstoreAttribute": {Changes, Changes}, "RemoveBackstore": {Removes, Changes},
		"SetDiscoveryAuth": {Changes, Changes}, "SetParameter": {Changes, Changes},
		"CreateTarget": {Creates, Creates}, "AdoptTarget": {Changes, Changes}, "AdoptBackstore": {Changes, Changes}, "MoveMark": {Changes, Changes}, "SetAttributes": {Changes, Changes},
		"AddPortal": {Creates, Changes}, "RemovePortal": {Removes, Changes}, "AddLUN": {Creates, Changes}, "RemoveLUN": {Removes, Changes}, "ResizeLUN": {Changes, Changes},
		"AddInitiator": {Creates, Changes}, "SetAuth": {Changes, Changes}, "RemoveInitiator": {Removes, Changes},
		"MapLUN": {Creates, Changes}, "UnmapLUN": {Removes, Changes}, "SetWriteProtect": {Changes, Changes}, "SetAccounts": {Changes, Changes},
		"EnableTarget": {Changes, Changes}, "DisableTarget": {Changes, Changes}, "RemoveTarget": {Removes, Removes},
	}

	// Plans would show a kind that is not decided on as a harmless change, a removal too.
	It("is decided on for every kind", func() {
		for _, c := range change.Kinds() {
			Expect(effects).To(HaveKey(change.Name(c)), "say here whether it "+onThing+", and whether it "+onObject)
			s := Step{Change: c}
			Expect([2]Effect{s.OnThing(), s.OnObject()}).To(Equal(effects[change.Name(c)]), change.Name(c))
		}
		Expect(effects).To(HaveLen(len(change.Kinds())))
	})
})
