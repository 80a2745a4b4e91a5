package plan_test

import (
	"errors"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/execute"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Make and an Image", func() {
	var n *Node
	golden := spec.ID{Kind: spec.KindImage, Name: "golden"}
	const made = "volreconciler-image-golden"
	ofThick, ofNightly := spec.ImageSpec{Volume: "thick"}, spec.ImageSpec{Snapshot: "nightly"}
	written := observe.ImageFile{Exists: true, Size: 5 * MiB, SHA256: "0f0f"}
	BeforeEach(func() { n = Converged() })

	DescribeTable("writes it once, of what does not change meanwhile",
		func(of spec.ImageSpec, want ...[]string) {
			n.DeclareImage(of)
			var passes [][]string
			for range len(want) + 1 {
				p := n.Plan()
				if len(p.Steps) > 0 {
					passes = append(passes, kinds(p))
					Expect(p.Steps).To(HaveEach(HaveField("Danger", Harmless)))
					Expect(ObjectOf(p, golden).Phase).To(BeElementOf(status.Progressing, status.Ready))
				}
				n.Apply(p)
			}
			Expect(passes).To(Equal(want))
			Expect(n.LVs("vg0")).To(HaveLen(5), "nothing else is left")
			p := n.Plan()
			Expect(p.Steps).To(BeEmpty())
			Expect(ObjectOf(p, golden)).To(BeIn(status.Ready, status.ReasonAsDesired))
			Expect(ObjectOf(p, golden).Image).To(HaveValue(Equal(status.Image{Path: GoldenPath, Format: spec.FormatQCOW2, Size: n.State.ImageFiles[GoldenPath].Size, SHA256: "0f0f"})))
		},
		Entry("a thin volume", spec.ImageSpec{Volume: "data"}, []string{"CreateSnapshot"}, []string{"WriteImage"}, []string{"RemoveLV"}),
		Entry("a thick volume", ofThick, []string{"CreateSnapshot"}, []string{"WriteImage"}, []string{"RemoveLV"}),
		Entry("a thin snapshot", ofNightly, []string{"WriteImage"}),
		Entry("a thick snapshot", spec.ImageSpec{Snapshot: "tnightly"}, []string{"WriteImage"}),
	)

	It("hands over what the spec says", func() {
		n.DeclareImage(ofNightly)
		lv := n.LVs("vg0")["nightly"]
		Expect(n.Plan().Steps).To(HaveExactElements(HaveField("Change", change.WriteImage{
			Path: GoldenPath, Format: spec.FormatQCOW2, Compress: true,
			Source: change.LV{VolumeGroup: "vg0", Name: "nightly", UUID: lv.UUID}, Size: spec.Size(lv.Size),
		})))
	})

	DescribeTable("plans nothing",
		func(file observe.ImageFile, phase status.Phase, reason, message string) {
			n.DeclareImage(ofThick)
			n.State.ImageFiles[GoldenPath] = file
			p := n.Plan()
			Expect(p.Steps).To(BeEmpty())
			Expect(ObjectOf(p, golden)).To(BeIn(phase, reason))
			Expect(ObjectOf(p, golden).Message).To(ContainSubstring(message))
			Expect(p.KeepJobs).To(Equal(file.Err != nil))
		},
		Entry("when it is there", written, status.Ready, status.ReasonAsDesired, ""),
		Entry("when somebody's file is there", observe.ImageFile{Exists: true}, status.Blocked, status.ReasonNotOwned, "no golden.qcow2.sha256 beside it"),
		Entry("when there is no directory", observe.ImageFile{NoDirectory: true}, status.Blocked, status.ReasonNotReady, "directory /srv does not exist"),
		Entry("when that cannot be told", observe.ImageFile{Err: errors.New("stale handle")}, status.Failed, status.ReasonObservationFailed, "stale handle"),
	)

	It("plans nothing when it was not looked at", func() {
		n.DeclareImage(ofThick)
		delete(n.State.ImageFiles, GoldenPath)
		Expect(n.Plan().Steps).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), golden)).To(BeIn(status.Failed, status.ReasonObservationFailed))
	})

	It("waits for what is not complete itself", func() {
		n.DeclareCopy("slow", 200*MiB, fromImage)
		n.DeclareImage(spec.ImageSpec{Volume: "copy"})
		Expect(ObjectOf(n.Plan(), golden)).To(BeIn(status.Blocked, status.ReasonNotReady))
		n.Apply(n.Plan())
		Expect(kinds(n.Plan())).To(Equal([]string{"Populate"}))
		Expect(ObjectOf(n.Plan(), golden)).To(BeIn(status.Blocked, status.ReasonNotReady))
		n.Converge()
		Expect(n.State.ImageFiles[GoldenPath].Exists).To(BeTrue())
	})

	It("shares nothing with a copy into a Volume of its name", func() {
		n.DeclareCopy("slow", 200*MiB, fromThick)
		n.DeclareImage(ofThick)
		i := n.Declared.Images["golden"]
		i.Metadata.Name = "copy"
		n.Declared.Images = map[string]spec.Image{"copy": i}
		n.Apply(n.Plan())
		Expect(n.LVs("vg0")).To(And(HaveKey("volreconciler-source-copy"), HaveKey("volreconciler-image-copy")))
		Expect(kinds(n.Plan())).To(ConsistOf("Populate", "WriteImage"))
		n.Converge()
		Expect(n.LVs("vg0")).To(HaveLen(6))
	})

	It("stays, and what it was written from goes, when no file names the object any more", func() {
		n.DeclareImage(ofThick)
		n.Apply(n.Plan())
		n.Declared.Images = nil
		p := n.Plan()
		Expect(kinds(p)).To(Equal([]string{"RemoveLV"}))
		Expect(ObjectOf(p, golden)).To(BeIn(status.Deleting, status.ReasonRemoving))
		n.Apply(p)
		Expect(n.Plan().Objects).NotTo(ContainElement(HaveField("Kind", spec.KindImage)))
	})

	DescribeTable("keeps what it is written from",
		func(change func()) {
			n.DeclareImage(ofThick)
			n.Apply(n.Plan())
			change()
			Expect(n.Plan().Steps).NotTo(ContainElement(HaveField("Change", HaveField("Name", made))))
		},
		Entry("while its file cannot be looked for", func() { n.State.ImageFiles[GoldenPath] = observe.ImageFile{Err: errors.New("no")} }),
		Entry("while it is invalid", func() {
			n.Declared.Images, n.Declared.Invalid = nil, map[spec.ID]error{golden: errors.New("no")}
		}),
		Entry("while its spec may not have been read", func() { n.Declared.Images, n.Declared.Complete = nil, false }),
		Entry("while anything cannot be read", func() { n.Declared.Images, n.State.UnknownGroups = nil, execute.ErrNeeds }),
		Entry("while somebody holds it", func() {
			n.Declared.Images = nil
			n.Edit("vg0/"+made, func(lv *observe.LogicalVolume) { lv.Open = true })
		}),
		Entry("while it is suspended", func() {
			i := n.Declared.Images["golden"]
			i.Metadata.Annotations = map[string]string{spec.AnnotationReconcile: "suspended"}
			n.Declared.Images["golden"] = i
		}),
	)

	DescribeTable("begins anew",
		func(change func(), again bool) {
			n.DeclareImage(ofThick)
			n.Apply(n.Plan())
			change()
			Expect(kinds(n.Plan())).To(Equal([]string{"RemoveLV"}))
			Expect(ObjectOf(n.Plan(), golden).Phase).NotTo(Equal(status.Ready))
			n.Apply(n.Plan())
			if again {
				Expect(kinds(n.Plan())).To(Equal([]string{"CreateSnapshot"}))
			}
			n.Converge()
			Expect(n.State.ImageFiles[GoldenPath].Exists).To(BeTrue())
		},
		Entry("when what it is written from overflows", func() {
			n.Edit("vg0/"+made, func(lv *observe.LogicalVolume) { lv.SnapshotInvalid = true })
		}, true),
		Entry("when another Volume is named", func() { n.DeclareImage(spec.ImageSpec{Volume: "data"}) }, true),
		Entry("when a Snapshot is named", func() { n.DeclareImage(ofNightly) }, false),
	)

	It("is written to its end when its Volume is lost", func() {
		n.DeclareImage(spec.ImageSpec{Volume: "data"})
		n.Apply(n.Plan())
		delete(n.LVs("vg0"), "data")
		Expect(n.Plan().Steps).To(ContainElement(HaveField("Change", HaveField("Source.Name", made))))
	})

	It("makes no snapshot while physical volumes are missing", func() {
		n.DeclareImage(ofThick)
		vg := n.State.VolumeGroups["vg0"]
		vg.MissingPVs = 1
		n.State.VolumeGroups["vg0"] = vg
		Expect(kinds(n.Plan())).NotTo(ContainElement("CreateSnapshot"))
		Expect(ObjectOf(n.Plan(), golden)).To(BeIn(status.Blocked, status.ReasonNotReady))
	})
	It("is never written from what is left of another volume", func() {
		n.DeclareImage(spec.ImageSpec{Volume: "data"})
		n.Apply(n.Plan())
		n.Edit("vg0/"+made, func(lv *observe.LogicalVolume) { lv.Origin = "" })
		n.DeclareImage(ofThick)
		Expect(kinds(n.Plan())).To(Equal([]string{"RemoveLV"}))
	})
})
