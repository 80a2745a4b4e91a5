package plan_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Make and since when a content is", func() {
	var n *Node
	var made time.Time
	const day = 24 * time.Hour
	BeforeEach(func() {
		n = Converged()
		made = n.Input.Now
		n.SetTrashPeriod(7 * day)
	})
	// aWeekLater lets files be taken away, and time go by.
	settle := func() { // thin volumes are tidied away after their snapshots
		for range 8 {
			n.Pass(-1)
			n.Wait(time.Minute)
		}
	}
	without := func(change func()) {
		GinkgoHelper()
		before := n.Declared
		n.Declared.Volumes, n.Declared.Snapshots, n.Declared.Exports = maps.Clone(before.Volumes), maps.Clone(before.Snapshots), maps.Clone(before.Exports)
		change()
		settle()
		n.Wait(3 * day)
		n.Restart()
		settle()
		n.Declared = before
	}
	statusOf := func(id spec.ID) status.Object {
		GinkgoHelper()
		return ObjectOf(n.Plan(), id)
	}
	shows := func(id spec.ID) bool {
		index := NewIndex(n.State, Ownership{})
		b, there := index.Backstore(id)
		if !there {
			return false
		}
		for _, t := range n.State.LIO.ISCSI {
			for _, l := range t.LUNs {
				if l.Backstore == b.Path() {
					return true
				}
			}
		}
		return false
	}
	source := func(volume string, source *spec.VolumeSource) {
		v := n.Declared.Volumes[volume]
		v.Spec.Source = source
		n.Declared.Volumes = maps.Clone(n.Declared.Volumes)
		n.Declared.Volumes[volume] = v
	}
	gone := func(kind spec.Kind, name string) func() {
		return func() {
			delete(n.Declared.Exports, "db")
			if kind == spec.KindVolume {
				delete(n.Declared.Volumes, name)
				maps.DeleteFunc(n.Declared.Snapshots, func(_ string, s spec.Snapshot) bool { return s.Spec.Volume == name })
			} else {
				delete(n.Declared.Snapshots, name)
			}
		}
	}
	retain := func() {
		for name, v := range n.Declared.Volumes {
			v.Spec.DeletionPolicy = spec.Retain
			n.Declared.Volumes[name] = v
		}
		for name, s := range n.Declared.Snapshots {
			s.Spec.DeletionPolicy = spec.Retain
			n.Declared.Snapshots[name] = s
		}
		settle()
	}

	It("shows it of every Volume and Snapshot, in UTC", func() {
		Expect(statusOf(VolumeID("data")).Volume).To(And(HaveField("CreatedAt", made), HaveField("TakenAt.IsZero()", true)))
		Expect(statusOf(SnapshotID("nightly")).Snapshot).To(And(HaveField("TakenAt", made), HaveField("CreatedAt.IsZero()", true)))
		data, err := json.Marshal(n.Plan())
		Expect(err).NotTo(HaveOccurred())
		Expect(string(data)).To(And(ContainSubstring(`"createdAt":"2026-11-22T12:00:00Z"`), ContainSubstring(`"takenAt":"2026-11-22T12:00:00Z"`)))
		n.UndeclareAll()
		Expect(statusOf(VolumeID("data")).Volume).To(HaveField("CreatedAt", made))
	})
	It("says nothing where LVM says nothing", func() {
		n.Edit("vg0/data", func(lv *observe.LogicalVolume) { lv.Created = time.Time{} })
		Expect(json.Marshal(statusOf(VolumeID("data")))).NotTo(ContainSubstring("createdAt"))
	})
	DescribeTable("says of what comes back from the trash since when it is, and how to get a new one", func(id spec.ID, since string) {
		without(gone(id.Kind, id.Name))
		steps := n.Plan().Steps
		i := slices.IndexFunc(steps, func(s Step) bool { _, tags := s.Change.(change.SetTags); return tags && s.Object == id })
		Expect(i).To(BeNumerically(">=", 0))
		Expect(steps[i].Why).To(Equal("restored from the trash with its data (" + since + " 2026-11-22T12:00:00Z); choose another name for a new one"))
		settle()
		Expect(statusOf(id)).To(BeIn(status.Ready, status.ReasonAsDesired))
	},
		Entry("thin Volume", VolumeID("data"), "created"), Entry("thick Volume", VolumeID("thick"), "created"),
		Entry("thin Snapshot", SnapshotID("nightly"), "taken"), Entry("thick Snapshot", SnapshotID("tnightly"), "taken"))
	It("says of what is adopted since when it is", func() {
		n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "old", Type: observe.Thick, Size: 64 * MiB, Active: true})
		n.Wait(day)
		n.Declared.Volumes["old"] = spec.Volume{Metadata: Meta("old"), Spec: spec.VolumeSpec{Pool: "slow", Size: 64 * MiB, LVName: "old", Adopt: true, DeletionPolicy: spec.Retain}}
		Expect(n.Plan().Steps).To(ContainElement(HaveField("Why", "adopted with its data (created 2026-11-22T12:00:00Z)")))
		n.Pass(-1)
		Expect(statusOf(VolumeID("old")).Volume).To(HaveField("CreatedAt", made))
	})
	DescribeTable("warns in the plan of what comes back from being orphaned", func(id spec.ID, since string) {
		retain()
		Expect(n.Plan().Warnings).To(BeEmpty())
		without(gone(id.Kind, id.Name))
		name := "vg0/" + id.Name
		Expect(n.Plan().Warnings).To(ContainElement(Warning{id, name + " was orphaned and is declared again, with its data (" + since + " 2026-11-22T12:00:00Z); choose another name for a new one"}))
		settle()
		Expect(n.Plan().Warnings).To(BeEmpty())
	}, Entry("Volume", VolumeID("thick"), "created"), Entry("Snapshot", SnapshotID("nightly"), "taken"))
	It("keeps active what nobody is served, and is to have another source", func() {
		n.EditExport(func(e *spec.ExportSpec) { e.LUNs = e.LUNs[:2:2] })
		settle()
		source("thick", &spec.VolumeSource{Volume: "data"})
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Active = false })
		n.Edit("vg0/tnightly", func(lv *observe.LogicalVolume) { lv.Active = false })
		settle()
		Expect(n.LVs("vg0")["thick"].Active).To(BeTrue())
		Expect(statusOf(VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonImmutableField))
	})
	for _, policy := range []string{"trash", "orphaned"} {
		DescribeTable("neither exports nor uses what comes back and is to have another source: "+policy, func(volume string, memory bool) {
			if policy == "orphaned" {
				retain()
			}
			without(gone(spec.KindVolume, volume))
			if !memory {
				n.Input.Known = map[spec.ID]Identity{}
			}
			other := spec.VolumeSource{Volume: map[string]string{"data": "thick", "thick": "data"}[volume]}
			source(volume, &other)
			before := n.LVs("vg0")[volume]
			for range 3 {
				settle()
				n.Restart()
				Expect(statusOf(VolumeID(volume))).To(And(BeIn(status.Blocked, status.ReasonImmutableField),
					HaveField("Message", And(ContainSubstring("(created 2026-11-22T12:00:00Z) was made from nothing"), ContainSubstring("choose another name for a new volume"))),
					HaveField("Volume.CreatedAt", made)))
				Expect(shows(VolumeID(volume))).To(BeFalse())
				Expect(n.LVs("vg0")[volume].UUID).To(Equal(before.UUID))
			}
			source(volume, nil)
			settle()
			Expect(shows(VolumeID(volume))).To(BeTrue())
			Expect(statusOf(VolumeID(volume))).To(BeIn(status.Ready, status.ReasonAsDesired))
		}, Entry("thin", "data", true), Entry("thick", "thick", true), Entry("thin, without a memory", "data", false), Entry("thick, without a memory", "thick", false))
	}
	It("does not export it from a damaged pool either", func() {
		retain()
		without(gone(spec.KindVolume, "data"))
		n.Edit("vg0/pool0", func(lv *observe.LogicalVolume) { lv.Health = "failed" })
		source("data", &spec.VolumeSource{Volume: "thick"})
		settle()
		Expect(statusOf(VolumeID("data"))).To(BeIn(status.Failed, status.ReasonPoolDamaged))
		Expect(shows(VolumeID("data"))).To(BeFalse())
	})
	It("exports no Volume for the first time that is to have another source", func() {
		n.EditExport(func(e *spec.ExportSpec) { e.LUNs = e.LUNs[:2:2] })
		settle()
		source("thick", &spec.VolumeSource{Volume: "data"})
		settle()
		n.EditExport(func(e *spec.ExportSpec) { e.LUNs = append(e.LUNs, spec.LUN{Volume: "thick", Number: Ptr(1)}) })
		settle()
		Expect(shows(VolumeID("thick"))).To(BeFalse())
	})
	It("adopts nothing that is to have a source", func() {
		n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "old", Type: observe.Thick, Size: 64 * MiB, Active: true})
		n.Declared.Volumes["old"] = spec.Volume{Metadata: Meta("old"), Spec: spec.VolumeSpec{Pool: "slow", Size: 64 * MiB, LVName: "old", Adopt: true, DeletionPolicy: spec.Retain,
			Source: &spec.VolumeSource{Volume: "thick"}}}
		settle()
		Expect(n.LVs("vg0")["old"].Tags).To(BeEmpty())
		Expect(statusOf(VolumeID("old"))).To(BeIn(status.Blocked, status.ReasonImmutableField))
	})
	DescribeTable("goes on serving what is served, whatever source its file says by now", func(volume string) {
		n.LogIn()
		source(volume, &spec.VolumeSource{Snapshot: "other"})
		settle()
		Expect(shows(VolumeID(volume))).To(BeTrue())
		Expect(statusOf(VolumeID(volume))).To(BeIn(status.Blocked, status.ReasonImmutableField))
		// After a reboot nothing of LIO is there, and no device.
		n.State.LIO = observe.Targets{Backstores: map[string]observe.Backstore{}, ISCSI: map[string]observe.Target{}, FC: map[string]observe.Target{}}
		n.State.BootID = "another"
		n.MakeConsistent()
		n.Restart()
		settle()
		Expect(shows(VolumeID(volume))).To(BeTrue())
	}, Entry("thin", "data"), Entry("thick", "thick"))

	DescribeTable("does not export a Snapshot that comes back as one of another Volume", func(policy spec.DeletionPolicy, originGone bool) {
		n.Declared.Volumes["second"] = spec.Volume{Metadata: Meta("second"), Spec: spec.VolumeSpec{Pool: "fast", Size: 100 * MiB, LVName: "second", DeletionPolicy: spec.Delete}}
		if policy == spec.Retain {
			retain()
		}
		settle()
		without(gone(spec.KindSnapshot, "nightly"))
		if originGone {
			delete(n.Declared.Volumes, "data")
			delete(n.Declared.Snapshots, "nightly")
			delete(n.Declared.Exports, "db")
			n.Edit("vg0/nightly", func(lv *observe.LogicalVolume) { lv.Origin = "" })
			delete(n.LVs("vg0"), "data")
			settle()
		}
		n.Declared.Snapshots = map[string]spec.Snapshot{"nightly": {Metadata: Meta("nightly"), Spec: spec.SnapshotSpec{Volume: "second", DeletionPolicy: policy}}}
		n.Declared.Exports = map[string]spec.Export{"db": {Metadata: Meta("db"), Spec: spec.ExportSpec{Protocol: spec.ProtocolISCSI, Target: IQN, Portals: []string{"0.0.0.0:3260"},
			LUNs: []spec.LUN{{Snapshot: "nightly", Number: Ptr(7), ReadOnly: true}}, Initiators: []spec.Initiator{{Name: Initiator}}}}}
		settle()
		Expect(statusOf(SnapshotID("nightly"))).To(And(BeIn(status.Blocked, status.ReasonImmutableField), HaveField("Snapshot.TakenAt", made),
			HaveField("Message", And(ContainSubstring("(taken 2026-11-22T12:00:00Z)"), ContainSubstring("choose another name for a new snapshot")))))
		Expect(shows(SnapshotID("nightly"))).To(BeFalse())
	}, Entry("from the trash", spec.Delete, false), Entry("orphaned", spec.Retain, false),
		Entry("from the trash, and what it was of is gone", spec.Delete, true), Entry("orphaned, and what it was of is gone", spec.Retain, true))

	DescribeTable("does not take a Snapshot for one of a Volume that was made anew since", func(memory bool) {
		without(gone(spec.KindSnapshot, "nightly"))
		declared := n.Declared
		n.Edit("vg0/nightly", func(lv *observe.LogicalVolume) { lv.Origin = "" })
		delete(n.LVs("vg0"), "data")
		known := n.Input.Known[VolumeID("data")]
		n.Declared.Volumes = maps.Clone(declared.Volumes)
		v := n.Declared.Volumes["data"]
		v.Metadata.Annotations = map[string]string{spec.AnnotationRecreate: known.UUID}
		n.Declared.Volumes["data"] = v
		n.Declared.Snapshots = nil
		settle()
		if !memory {
			n.Input.Known = map[spec.ID]Identity{}
		}
		n.Declared.Snapshots = declared.Snapshots
		settle()
		message := statusOf(SnapshotID("nightly"))
		Expect(message).To(And(BeIn(status.Blocked, status.ReasonImmutableField), HaveField("Message", ContainSubstring("is no snapshot of the current Volume/data"))))
		Expect(shows(SnapshotID("nightly"))).To(BeFalse())
		Expect(shows(VolumeID("data"))).To(BeTrue())

		n.DeclareRevert("data", "nightly", "1")
		settle()
		Expect(statusOf(VolumeID("data"))).To(And(BeIn(status.Blocked, status.ReasonImmutableField), HaveField("Message", ContainSubstring("lvchange --addtag volreconciler/origin="))))
		identity := n.LVs("vg0")["data"].Identity()
		n.Edit("vg0/nightly", func(lv *observe.LogicalVolume) { lv.Tags = append(lv.Tags, ondisk.TagOrigin+identity) })
		settle()
		Expect(statusOf(VolumeID("data"))).To(BeIn(status.Ready, status.ReasonAsDesired))
		Expect(statusOf(SnapshotID("nightly")).Phase).To(Equal(status.Ready))
	}, Entry("with a memory", true), Entry("without", false))

	It("activates a Snapshot that is served, after a boot too, and keeps its policy, whatever it was taken of", func() {
		id := SnapshotID("nightly")
		n.Declared.Exports["nights"] = spec.Export{Metadata: Meta("nights"), Spec: spec.ExportSpec{
			Protocol: spec.ProtocolISCSI, LUNs: []spec.LUN{{Snapshot: "nightly", Number: Ptr(7), ReadOnly: true}}, Initiators: []spec.Initiator{{Name: Initiator}}}}
		settle()
		Expect(shows(id)).To(BeTrue())
		n.Edit("vg0/nightly", func(lv *observe.LogicalVolume) {
			lv.Origin, lv.Active = "", false
			lv.Tags = append(slices.DeleteFunc(lv.Tags, func(t string) bool { return strings.HasPrefix(t, ondisk.TagOrigin) }), ondisk.TagOrigin+"another")
		})
		other := n.Declared.Snapshots["nightly"]
		other.Spec.DeletionPolicy = spec.Delete
		n.Declared.Snapshots["nightly"] = other
		settle()
		Expect(statusOf(id)).To(And(BeIn(status.Blocked, status.ReasonImmutableField), HaveField("Message", ContainSubstring("is no snapshot of the current Volume/data"))))
		Expect(n.LVs("vg0")["nightly"].Active).To(BeTrue())
		Expect(n.LVs("vg0")["nightly"].Tags).To(ContainElement(ondisk.DeletionTag(spec.Delete)))
		Expect(shows(id)).To(BeTrue())
	})

	It("keeps the time of the first logical volume when the data moves, twice", func() {
		n = Movable()
		for i, pool := range []string{"far", "farthin"} {
			n.Wait(day)
			n.MoveTo("thick", pool)
			n.Settle()
			lv := n.LVs("vg1")["thick"]
			Expect(lv.Created).NotTo(Equal(made), pool)
			Expect(lv.TagsWith(ondisk.TagCreated)).To(Equal([]string{"volreconciler/created=20261122T120000Z"}), "%d", i)
			Expect(statusOf(VolumeID("thick")).Volume).To(HaveField("CreatedAt", made))
		}
	})
	It("keeps it when a thin volume is put back to a snapshot", func() {
		n.Wait(day)
		n.DeclareRevert("data", "nightly", "1")
		n.Settle()
		Expect(n.LVs("vg0")["data"].Created).NotTo(Equal(made))
		Expect(statusOf(VolumeID("data"))).To(And(BeIn(status.Ready, status.ReasonAsDesired), HaveField("Volume.CreatedAt", made)))
		Expect(statusOf(SnapshotID("nightly"))).To(And(BeIn(status.Ready, status.ReasonAsDesired), HaveField("Snapshot.TakenAt", made)))
	})
	It("does not know it of what an older agent moved", func() {
		n.MarkMoved("vg0/thick", "moved")
		n.Input.Known = nil
		Expect(statusOf(VolumeID("thick")).Volume).To(HaveField("CreatedAt.IsZero()", true))
	})
})
