package reconcile

import (
	"errors"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Diff and an Image", func() {
	var n *node
	golden := spec.ID{Kind: spec.KindImage, Name: "golden"}
	const made = "volreconciler-image-golden"
	ofThick, ofNightly := spec.ImageSpec{Volume: "thick"}, spec.ImageSpec{Snapshot: "nightly"}
	written := observe.ImageFile{Exists: true, Size: 5 * mib, SHA256: "0f0f"}
	BeforeEach(func() { n = converged() })

	DescribeTable("writes it once, of what does not change meanwhile",
		func(of spec.ImageSpec, want ...[]string) {
			n.desireImage(of)
			var passes [][]string
			for range len(want) + 1 {
				p := n.plan()
				if len(p.Steps) > 0 {
					passes = append(passes, kinds(p))
					Expect(p.Steps).To(HaveEach(HaveField("Danger", Harmless)))
					Expect(objectOf(p, golden).Phase).To(BeElementOf(Progressing, Ready))
				}
				n.apply(p)
			}
			Expect(passes).To(Equal(want))
			Expect(n.lvs("vg0")).To(HaveLen(5), "nothing else is left")
			p := n.plan()
			Expect(p.Steps).To(BeEmpty())
			Expect(objectOf(p, golden)).To(beIn(Ready, ReasonAsDesired))
			Expect(objectOf(p, golden).Image).To(HaveValue(Equal(ImageStatus{Path: goldenPath, Format: spec.FormatQCOW2, Size: n.state.ImageFiles[goldenPath].Size, SHA256: "0f0f"})))
		},
		Entry("a thin volume", spec.ImageSpec{Volume: "data"}, []string{"CreateSnapshot"}, []string{"WriteImage"}, []string{"RemoveLV"}),
		Entry("a thick volume", ofThick, []string{"CreateSnapshot"}, []string{"WriteImage"}, []string{"RemoveLV"}),
		Entry("a thin snapshot", ofNightly, []string{"WriteImage"}),
		Entry("a thick snapshot", spec.ImageSpec{Snapshot: "tnightly"}, []string{"WriteImage"}),
	)

	It("hands over what the spec says", func() {
		n.desireImage(ofNightly)
		lv := n.lvs("vg0")["nightly"]
		Expect(n.plan().Steps).To(HaveExactElements(HaveField("Change", change.WriteImage{
			Path: goldenPath, Format: spec.FormatQCOW2, Compress: true,
			Source: change.LV{VolumeGroup: "vg0", Name: "nightly", UUID: lv.UUID}, Size: spec.Size(lv.Size),
		})))
	})

	DescribeTable("plans nothing",
		func(file observe.ImageFile, phase Phase, reason, message string) {
			n.desireImage(ofThick)
			n.state.ImageFiles[goldenPath] = file
			p := n.plan()
			Expect(p.Steps).To(BeEmpty())
			Expect(objectOf(p, golden)).To(beIn(phase, reason))
			Expect(objectOf(p, golden).Message).To(ContainSubstring(message))
			Expect(p.KeepJobs).To(Equal(file.Err != nil))
		},
		Entry("when it is there", written, Ready, ReasonAsDesired, ""),
		Entry("when somebody's file is there", observe.ImageFile{Exists: true}, Blocked, ReasonNotOwned, "no golden.qcow2.sha256 beside it"),
		Entry("when there is no directory", observe.ImageFile{NoDirectory: true}, Blocked, ReasonNotReady, "no directory /srv"),
		Entry("when that cannot be told", observe.ImageFile{Err: errors.New("stale handle")}, Failed, ReasonObservationFailed, "stale handle"),
	)

	It("plans nothing when it was not looked at", func() {
		n.desireImage(ofThick)
		delete(n.state.ImageFiles, goldenPath)
		Expect(n.plan().Steps).To(BeEmpty())
		Expect(objectOf(n.plan(), golden)).To(beIn(Failed, ReasonObservationFailed))
	})

	It("waits for what is not complete itself", func() {
		n.desireCopy("slow", 200*mib, fromImage)
		n.desireImage(spec.ImageSpec{Volume: "copy"})
		Expect(objectOf(n.plan(), golden)).To(beIn(Blocked, ReasonNotReady))
		n.apply(n.plan())
		Expect(kinds(n.plan())).To(Equal([]string{"Populate"}))
		Expect(objectOf(n.plan(), golden)).To(beIn(Blocked, ReasonNotReady))
		n.converge()
		Expect(n.state.ImageFiles[goldenPath].Exists).To(BeTrue())
	})

	It("shares nothing with a copy into a Volume of its name", func() {
		n.desireCopy("slow", 200*mib, fromThick)
		n.desireImage(ofThick)
		i := n.desired.Images["golden"]
		i.Metadata.Name = "copy"
		n.desired.Images = map[string]spec.Image{"copy": i}
		n.apply(n.plan())
		Expect(n.lvs("vg0")).To(And(HaveKey("volreconciler-source-copy"), HaveKey("volreconciler-image-copy")))
		Expect(kinds(n.plan())).To(ConsistOf("Populate", "WriteImage"))
		n.converge()
		Expect(n.lvs("vg0")).To(HaveLen(6))
	})

	It("stays, and what it was written from goes, when no file names the object any more", func() {
		n.desireImage(ofThick)
		n.apply(n.plan())
		n.desired.Images = nil
		p := n.plan()
		Expect(kinds(p)).To(Equal([]string{"RemoveLV"}))
		Expect(objectOf(p, golden)).To(beIn(Deleting, ReasonRemoving))
		n.apply(p)
		Expect(n.plan().Objects).NotTo(ContainElement(HaveField("Kind", spec.KindImage)))
	})

	DescribeTable("keeps what it is written from",
		func(change func()) {
			n.desireImage(ofThick)
			n.apply(n.plan())
			change()
			Expect(n.plan().Steps).NotTo(ContainElement(HaveField("Change", HaveField("Name", made))))
		},
		Entry("while its file cannot be looked for", func() { n.state.ImageFiles[goldenPath] = observe.ImageFile{Err: errors.New("no")} }),
		Entry("while it is invalid", func() {
			n.desired.Images, n.desired.Invalid = nil, map[spec.ID]error{golden: errors.New("no")}
		}),
		Entry("while its spec may not have been read", func() { n.desired.Images, n.desired.Complete = nil, false }),
		Entry("while anything cannot be read", func() { n.desired.Images, n.state.UnknownGroups = nil, ErrNeeds }),
		Entry("while somebody holds it", func() {
			n.desired.Images = nil
			n.edit("vg0/"+made, func(lv *observe.LogicalVolume) { lv.Open = true })
		}),
		Entry("while it is suspended", func() {
			i := n.desired.Images["golden"]
			i.Metadata.Annotations = map[string]string{spec.AnnotationReconcile: "suspended"}
			n.desired.Images["golden"] = i
		}),
	)

	DescribeTable("begins anew",
		func(change func(), again bool) {
			n.desireImage(ofThick)
			n.apply(n.plan())
			change()
			Expect(kinds(n.plan())).To(Equal([]string{"RemoveLV"}))
			Expect(objectOf(n.plan(), golden).Phase).NotTo(Equal(Ready))
			n.apply(n.plan())
			if again {
				Expect(kinds(n.plan())).To(Equal([]string{"CreateSnapshot"}))
			}
			n.converge()
			Expect(n.state.ImageFiles[goldenPath].Exists).To(BeTrue())
		},
		Entry("when what it is written from overflows", func() {
			n.edit("vg0/"+made, func(lv *observe.LogicalVolume) { lv.SnapshotInvalid = true })
		}, true),
		Entry("when another Volume is named", func() { n.desireImage(spec.ImageSpec{Volume: "data"}) }, true),
		Entry("when a Snapshot is named", func() { n.desireImage(ofNightly) }, false),
	)

	It("is written to its end when its Volume is lost", func() {
		n.desireImage(spec.ImageSpec{Volume: "data"})
		n.apply(n.plan())
		delete(n.lvs("vg0"), "data")
		Expect(n.plan().Steps).To(ContainElement(HaveField("Change", HaveField("Source.Name", made))))
	})

	It("makes no snapshot while physical volumes are missing", func() {
		n.desireImage(ofThick)
		vg := n.state.VolumeGroups["vg0"]
		vg.MissingPVs = 1
		n.state.VolumeGroups["vg0"] = vg
		Expect(kinds(n.plan())).NotTo(ContainElement("CreateSnapshot"))
		Expect(objectOf(n.plan(), golden)).To(beIn(Blocked, ReasonNotReady))
	})
	It("is never written from what is left of another volume", func() {
		n.desireImage(spec.ImageSpec{Volume: "data"})
		n.apply(n.plan())
		n.edit("vg0/"+made, func(lv *observe.LogicalVolume) { lv.Origin = "" })
		n.desireImage(ofThick)
		Expect(kinds(n.plan())).To(Equal([]string{"RemoveLV"}))
	})
})
