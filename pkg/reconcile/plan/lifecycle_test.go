package plan

import (
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// lifeTags are all tags that say something of the content of a logical volume, and one that
// does not.
var lifeTags = []string{
	ondisk.PhaseTag(ondisk.Populating), ondisk.PhaseTag(ondisk.Reverting), ondisk.PhaseTag(ondisk.Staged), ondisk.PhaseTag(ondisk.Clearing),
	ondisk.PhaseTag("pickling"), ondisk.TagReplacedBy + "uuid-2", ondisk.TagSynced + "uuid-3:1:2", ondisk.TagRevert + "once",
	ondisk.TagReverted + "once", ondisk.CheckpointTag("uuid-3", 5), ondisk.CheckpointTag(ondisk.CheckpointOfClearing, 5), "backup=nightly",
}

var _ = Describe("The stage of a Volume's life", func() {
	var all []observe.LogicalVolume
	for set := range 1 << len(lifeTags) {
		var tags []string
		for n, tag := range lifeTags {
			if set&(1<<n) != 0 {
				tags = append(tags, tag)
			}
		}
		all = append(all, observe.LogicalVolume{Name: fmt.Sprint(set), Tags: tags})
	}
	has := func(lv observe.LogicalVolume, prefixes ...string) bool {
		return slices.ContainsFunc(lv.Tags, func(tag string) bool {
			return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(tag, p) })
		})
	}

	It("is one for each combination of tags, Pool and request", func() {
		for _, lv := range all {
			for _, elsewhere := range []bool{false, true} {
				for _, asked := range []bool{false, true} {
					about := fmt.Sprintf("%v, elsewhere: %v, asked: %v", lv.Tags, elsewhere, asked)
					incomplete := has(lv, ondisk.TagPhase, ondisk.TagReplacedBy, ondisk.TagSynced, ondisk.TagRevert+"once", ondisk.TagCheckpoint)
					switch stage := stageOf(lv, elsewhere, asked); stage {
					case live:
						Expect(incomplete || elsewhere || asked).To(BeFalse(), about)
					case moving:
						Expect(incomplete || asked).To(BeFalse(), about)
						Expect(elsewhere).To(BeTrue(), about)
					case revertDue:
						Expect(incomplete).To(BeFalse(), about)
						Expect(asked).To(BeTrue(), about)
					case filling, afterCutover, reverting, phaseUnknown:
						Expect(incomplete).To(BeTrue(), about)
					default:
						Fail(fmt.Sprintf("stage %d: %s", stage, about))
					}
				}
			}
		}
	})

	It("does not depend on the order of the tags, nor on those of others", func() {
		for _, lv := range all {
			turned := observe.LogicalVolume{Tags: append([]string{"backup=weekly"}, lv.Tags...)}
			slices.Reverse(turned.Tags)
			for _, asked := range []bool{false, true} {
				Expect(stageOf(turned, true, asked)).To(Equal(stageOf(lv, true, asked)), "%v", lv.Tags)
			}
		}
	})

	It("lets nothing be served of which a tag says that it is incomplete", func() {
		for _, lv := range all {
			incomplete := has(lv, ondisk.PhaseTag(ondisk.Populating), ondisk.PhaseTag(ondisk.Reverting), ondisk.PhaseTag(ondisk.Clearing),
				ondisk.PhaseTag("pickling"), ondisk.TagReplacedBy, ondisk.TagRevert+"once", ondisk.TagCheckpoint)
			arrives := lv.Phase() == ondisk.Staged // what is staged is served only when it counts, and is complete then
			Expect(isComplete(lv)).To(Equal(!incomplete && !has(lv, ondisk.TagSynced) || arrives), "%v", lv.Tags)
		}
	})
})
