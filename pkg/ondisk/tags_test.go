package ondisk

import (
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

const (
	uuid      = "v6uDCZ-MqeH-Tgyg-EKDa-knId-XTCS-ilWqSX"
	otherUUID = "aaaaaa-bbbb-cccc-dddd-eeee-ffff-gggggg"
)

var (
	pool     = spec.ID{Kind: spec.KindPool, Name: "fast"}
	volume   = spec.ID{Kind: spec.KindVolume, Name: "db"}
	snapshot = spec.ID{Kind: spec.KindSnapshot, Name: "db-1"}
	image    = spec.ID{Kind: spec.KindImage, Name: "golden"}
	nobody   spec.ID
)

// written are tags as they are on disk, each beside the call that writes it.
var _ = DescribeTable("Tags are written in the form that is on disk already",
	func(written []string, ondisk ...string) { Expect(written).To(Equal(ondisk)) },
	Entry("the owner: a pool", OwnerTags(pool), "volreconciler/kind=pool", "volreconciler/name=fast"),
	Entry("the owner: a volume", OwnerTags(volume), "volreconciler/kind=volume", "volreconciler/name=db"),
	Entry("the owner: a snapshot", OwnerTags(snapshot), "volreconciler/kind=snapshot", "volreconciler/name=db-1"),
	Entry("a source of a volume", SourceTags(volume), "volreconciler/kind=source", "volreconciler/name=db"),
	Entry("a source of an image", SourceTags(image), "volreconciler/kind=source", "volreconciler/name=golden", "volreconciler/for=image"),
	Entry("a source of a move", MoveTags("db"), "volreconciler/kind=source", "volreconciler/name=db", "volreconciler/for=move"),
	Entry("a deletion policy", []string{DeletionTag(spec.Delete), DeletionTag(spec.Retain)},
		"volreconciler/deletion=delete", "volreconciler/deletion=retain"),
	Entry("the trash, in UTC", []string{DeletedTag(time.Date(2026, 3, 1, 1, 2, 3, 4, time.FixedZone("", 7200)))},
		"volreconciler/deleted=20260228T230203Z"),
	Entry("the phases", []string{PhaseTag(Populating), PhaseTag(Reverting), PhaseTag(Clearing), PhaseTag(Staged)},
		"volreconciler/phase=populating", "volreconciler/phase=reverting", "volreconciler/phase=clearing", "volreconciler/phase=staged"),
	Entry("what it is filled from", []string{TagSource + spec.VolumeSource{Volume: "db"}.Tag(), TagSource + spec.VolumeSource{Snapshot: "db-1"}.Tag()},
		"volreconciler/source=volume:db", "volreconciler/source=snapshot:db-1"),
	Entry("a checkpoint", []string{CheckpointTag(uuid, 0), CheckpointTag("a2af9d137b84ab82", 1<<63)},
		"volreconciler/checkpoint="+uuid+":0", "volreconciler/checkpoint=a2af9d137b84ab82:9223372036854775808"),
	Entry("a checkpoint of clearing", []string{CheckpointTag(CheckpointOfClearing, 5), CheckpointTag(CheckpointOfDiscarding, 5)},
		"volreconciler/checkpoint=clear:5", "volreconciler/checkpoint=clear:discard:5"),
	Entry("a revert", []string{TagRevert + "1", TagReverted + "1"}, "volreconciler/revert=1", "volreconciler/reverted=1"),
	Entry("what a staged one holds", []string{SyncedTag(uuid, 7), SyncedTag(uuid, Interrupted)},
		"volreconciler/synced="+uuid+":7", "volreconciler/synced="+uuid+":9223372036854775807"),
	Entry("a cutover", []string{TagIdentity + uuid, TagSince + uuid, TagReplacedBy + uuid},
		"volreconciler/identity="+uuid, "volreconciler/since="+uuid, "volreconciler/replaced-by="+uuid),
)

var _ = Describe("Tags are read as they were written", func() {
	DescribeTable("whose a logical volume is",
		func(tags Tags, owner, sourceOf, moveOf spec.ID) {
			for _, of := range []struct {
				what string
				read func() (spec.ID, bool)
				want spec.ID
			}{{"Owner", tags.Owner, owner}, {"SourceOf", tags.SourceOf, sourceOf}, {"MoveOf", tags.MoveOf, moveOf}} {
				id, ok := of.read()
				Expect(ok).To(Equal(of.want != nobody), of.what)
				if ok {
					Expect(id).To(Equal(of.want), of.what)
				}
			}
			Expect(tags.Marked()).To(BeTrue())
		},
		Entry("a pool's", Tags(OwnerTags(pool)), pool, nobody, nobody),
		Entry("a volume's", Tags(OwnerTags(volume)), volume, nobody, nobody),
		Entry("a snapshot's", Tags(OwnerTags(snapshot)), snapshot, nobody, nobody),
		Entry("a volume's, among tags of others", slices.Concat(Tags{"backup", "kind=x"}, Tags(OwnerTags(volume))), volume, nobody, nobody),
		Entry("a source of a volume", Tags(SourceTags(volume)), nobody, volume, nobody),
		Entry("a source of an image", Tags(SourceTags(image)), nobody, image, nobody),
		Entry("a source of a move", Tags(MoveTags("db")), nobody, nobody, volume),
		Entry("a source for what a later version knows", Tags{TagKind + KindSource, TagName + "db", TagFor + "mirror"}, nobody, nobody, nobody),
		Entry("a kind that a later version knows", Tags{TagKind + "mirror", TagName + "db"}, nobody, nobody, nobody),
		Entry("without a name", Tags{TagKind + "volume"}, nobody, nobody, nobody),
		Entry("without a kind", Tags{TagName + "db"}, nobody, nobody, nobody),
		Entry("what is being wiped", append(Tags(OwnerTags(volume)), PhaseTag(Clearing)), nobody, nobody, nobody),
	)

	It("and nothing of it where none is ours", func() {
		tags := Tags{"backup", "other/kind=volume", "other/name=db"}
		Expect(tags.Marked()).To(BeFalse())
		_, owned := tags.LastOwner()
		Expect(owned).To(BeFalse())
		Expect(tags.Phase()).To(BeEmpty())
	})

	It("whose a logical volume was that is being wiped", func() {
		id, ok := append(Tags(OwnerTags(volume)), PhaseTag(Clearing)).LastOwner()
		Expect(ok).To(BeTrue())
		Expect(id).To(Equal(volume))
	})

	It("when it went into the trash", func() {
		at := time.Date(2026, 3, 1, 1, 2, 3, 0, time.UTC)
		tags := append(Tags(OwnerTags(volume)), DeletedTag(at))
		Expect(tags.DeletedTags()).To(Equal([]string{DeletedTag(at)}))
		Expect(time.Parse(TimeOfTag, tags.Tag(TagDeleted))).To(Equal(at))
	})

	DescribeTable("when the first logical volume was made",
		func(want time.Time, tagged bool, tags ...string) {
			at, there := Tags(tags).FirstCreated()
			Expect(at).To(Equal(want))
			Expect(there).To(Equal(tagged))
		},
		Entry("not said", time.Time{}, false, DeletedTag(time.Now())),
		Entry("said", time.Date(2026, 3, 1, 1, 2, 3, 0, time.UTC), true, CreatedTag(time.Date(2026, 3, 1, 2, 2, 3, 4, time.FixedZone("", 3600)))),
		Entry("no time", time.Time{}, true, TagCreated+"yesterday"),
	)
	DescribeTable("the phase",
		func(want DataPhase, tags ...string) { Expect(Tags(tags).Phase()).To(Equal(want)) },
		Entry("none", DataPhase("")),
		Entry("none, of tags of others", DataPhase(""), "phase=populating"),
		Entry("none, of what was done", DataPhase(""), TagSource+"volume:db", TagReverted+"1", TagIdentity+uuid, TagSince),
		Entry("populating", Populating, PhaseTag(Populating)),
		Entry("populating, with a checkpoint", Populating, PhaseTag(Populating), CheckpointTag(uuid, 5)),
		Entry("populating, with the tag of the phase taken away", Populating, CheckpointTag(uuid, 5)),
		Entry("reverting", Reverting, PhaseTag(Reverting), TagRevert+"1"),
		Entry("reverting, with a checkpoint", Reverting, PhaseTag(Reverting), TagRevert+"1", CheckpointTag(uuid, 5)),
		Entry("reverting, with the tag of the phase taken away", Reverting, TagRevert+"1"),
		Entry("staged", Staged, PhaseTag(Staged)),
		Entry("staged, and being copied to", Staged, PhaseTag(Staged), CheckpointTag(uuid, 5)),
		Entry("staged, with the tag of the phase taken away", Staged, SyncedTag(uuid, 5)),
		Entry("replaced", Superseded, TagReplacedBy+uuid),
		Entry("replaced, and staged before", Superseded, PhaseTag(Staged), TagReplacedBy+uuid),
		Entry("clearing", Clearing, PhaseTag(Clearing)),
		Entry("clearing, with the tag of the phase taken away", Clearing, CheckpointTag(CheckpointOfClearing, 5)),
		Entry("clearing by discards, with the tag of the phase taken away", Clearing, CheckpointTag(CheckpointOfDiscarding, 5)),
		Entry("clearing before all", Clearing, PhaseTag(Populating), PhaseTag(Staged), TagReplacedBy+uuid, PhaseTag(Clearing)),
		Entry("clearing, whatever else was copied to it", Clearing, CheckpointTag(uuid, 5), CheckpointTag(CheckpointOfClearing, 5)),
		Entry("one that is not known to this version", Unknown, TagPhase+"mirroring"),
		Entry("one that is known before one that is not", Reverting, TagPhase+"mirroring", PhaseTag(Reverting)),
	)

	DescribeTable("a checkpoint",
		func(of string, want uint64, tags ...string) { Expect(Tags(tags).Checkpoint(of)).To(Equal(want)) },
		Entry("none", uuid, uint64(0)),
		Entry("the start", uuid, uint64(0), CheckpointTag(uuid, 0)),
		Entry("one", uuid, uint64(5), CheckpointTag(uuid, 5)),
		Entry("the largest", uuid, uint64(1<<64-1), CheckpointTag(uuid, 1<<64-1)),
		Entry("beside that of another source", uuid, uint64(5), CheckpointTag(otherUUID, 7), CheckpointTag(uuid, 5)),
		Entry("of another source alone", uuid, uint64(0), CheckpointTag(otherUUID, 7)),
		Entry("of zeroes, not of discards", CheckpointOfClearing, uint64(0), CheckpointTag(CheckpointOfDiscarding, 7)),
		Entry("of discards", CheckpointOfDiscarding, uint64(7), CheckpointTag(CheckpointOfDiscarding, 7)),
		Entry("unreadable", uuid, uint64(0), TagCheckpoint+uuid+":many"),
	)

	DescribeTable("what a staged one holds",
		func(snapshot string, bytes uint64, ok bool, tags ...string) {
			gotSnapshot, gotBytes, gotOK := Tags(tags).Synced()
			Expect(gotOK).To(Equal(ok))
			if ok {
				Expect(gotSnapshot).To(Equal(snapshot))
				Expect(gotBytes).To(Equal(bytes))
			}
		},
		Entry("nothing", "", uint64(0), false),
		Entry("a snapshot", uuid, uint64(7), true, SyncedTag(uuid, 7)),
		Entry("a snapshot and some of its origin", uuid, uint64(Interrupted), true, SyncedTag(uuid, Interrupted)),
		Entry("two at once", "", uint64(0), false, SyncedTag(uuid, 7), SyncedTag(otherUUID, 7)),
		Entry("no snapshot", "", uint64(0), false, SyncedTag("", 7)),
		Entry("unreadable", "", uint64(0), false, TagSynced+uuid),
	)

	DescribeTable("the identity",
		func(want string, tags ...string) { Expect(Tags(tags).Identity(uuid)).To(Equal(want)) },
		Entry("its own", uuid, TagKind+"volume", TagName+"db"),
		Entry("that of the first one that the data was in", otherUUID, TagIdentity+otherUUID),
		Entry("none of these, once replaced", "replaced:"+uuid, TagIdentity+otherUUID, TagReplacedBy+otherUUID),
	)
})

var _ = Describe("Names that no spec names", func() {
	It("are those that are on disk already", func() {
		Expect(SourceName(volume)).To(Equal("volreconciler-source-db"))
		Expect(SourceName(image)).To(Equal("volreconciler-image-golden"))
		Expect(MoveNames(volume)).To(Equal([]string{"volreconciler-move-a-db", "volreconciler-move-b-db", "volreconciler-move-c-db"}))
		Expect(StagedName(volume)).To(Equal("volreconciler-moved-db"))
		Expect(SupersededName(volume)).To(Equal("volreconciler-old-db"))
	})
})

var _ = DescribeTable("Backstores have their owner in their name",
	func(name string, owner spec.ID) {
		id, ok := BackstoreOwner(name)
		Expect(ok).To(Equal(owner != nobody))
		if ok {
			Expect(id).To(Equal(owner))
			Expect(BackstoreName(id)).To(Equal(name))
		}
	},
	Entry("a volume's", "volreconciler:volume:db", volume),
	Entry("a snapshot's", "volreconciler:snapshot:db-1", snapshot),
	Entry("of a kind that a later version knows", "volreconciler:mirror:db", nobody),
	Entry("without a name", "volreconciler:volume:", nobody),
	Entry("without a kind", "volreconciler:db", nobody),
	Entry("somebody else's", "db", nobody),
)
