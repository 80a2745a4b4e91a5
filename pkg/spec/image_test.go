package spec_test

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

func image(name, fields string) string {
	return header + "Image\nmetadata: {name: " + name + "}\nspec: {" + fields + "}\n---\n"
}

var _ = Describe("An Image", func() {
	aSnapshot := snapshot("nightly", "volume: db")

	It("is of a Volume or a Snapshot", func() {
		set := loadText(aPool + aVolume + aSnapshot +
			image("golden", "snapshot: nightly, path: /srv/golden.qcow2, format: qcow2, compress: true") +
			image("db", "volume: db, path: /srv/db.raw, format: raw"))
		Expect(errorsOf(set.Findings)).To(BeEmpty())
		golden := set.Images["golden"]
		Expect(golden.Spec).To(Equal(spec.ImageSpec{Snapshot: "nightly", Path: "/srv/golden.qcow2", Format: spec.FormatQCOW2, Compress: true}))
		Expect(golden.Spec.Object()).To(Equal(spec.ID{Kind: spec.KindSnapshot, Name: "nightly"}))
		Expect(set.Images["db"].Spec.Object()).To(Equal(spec.ID{Kind: spec.KindVolume, Name: "db"}))
		id := spec.ID{Kind: spec.KindImage, Name: "golden"}
		Expect(set.Object(id)).To(Equal(golden))
		Expect(set.IDs()).To(ContainElement(id))
	})

	DescribeTable("cannot be",
		func(marked, path, message string) {
			expectOneFinding(aPool+aVolume+image("golden", marked), path, message)
		},
		Entry("of two", "volume: db, snapshot: "+mark+"nightly, path: /a.raw, format: raw", "spec.snapshot", "keep one of them"),
		Entry("of what no file names", "volume: "+mark+"bd, path: /a.raw, format: raw", "spec.volume", `did you mean "db"?`),
		Entry("of a Volume that is called a Snapshot", "snapshot: "+mark+"db, path: /a.raw, format: raw", "spec.snapshot", "a Volume with this name is declared"),
		Entry("of another format", "volume: db, path: /a.vmdk, format: "+mark+"vmdk", "spec.format", "(allowed: qcow2, raw)"),
		Entry("raw and compressed", "volume: db, path: /a.raw, format: raw, compress: "+mark+"true", "spec.compress", "is only possible with qcow2; remove it, or write format: qcow2"),
		Entry("at a relative path", "volume: db, format: raw, path: "+mark+"a.raw", "spec.path", "must be an absolute path"),
		Entry("at the root", "volume: db, format: raw, path: "+mark+"/", "spec.path", "is a directory"),
		Entry("a spec", "volume: db, format: raw, path: "+mark+"/srv/a.yaml", "spec.path", "ends in .yaml, which is reserved for specs"),
		Entry("a checksum", "volume: db, format: raw, path: "+mark+"/srv/a.raw.sha256", "spec.path", "which is reserved for checksum files; choose another name"),
		Entry("hidden", "volume: db, format: raw, path: "+mark+"/srv/.a", "spec.path", "begins with a dot"),
		Entry("a device", "volume: db, format: raw, path: "+mark+"/dev/vg0/db", "spec.path", "where images cannot be written; choose another directory"),
		Entry("of a long name", "volume: db, format: raw, path: "+mark+"/srv/"+strings.Repeat("a", 201), "spec.path", "at most 200"),
		Entry("of a name that sha256sum escapes", `volume: db, format: raw, path: `+mark+`'/srv/a\b'`, "spec.path", "which checksum files cannot represent"),
	)

	It("has no defaults for what it is of, where it is, and its format", func() {
		for _, fields := range []string{"path: /a.raw, format: raw", "volume: db, path: /a.raw", "volume: db, format: raw"} {
			set := loadText(aPool + aVolume + image("golden", fields))
			Expect(errorsOf(set.Findings)).To(HaveExactElements(Or(ContainSubstring("is missing"), ContainSubstring("has neither volume nor snapshot; set one of them"))))
			Expect(set.Images).To(BeEmpty())
		}
	})

	It("has a file of its own", func() {
		text, line, column := place(aPool + aVolume + image("a", "volume: db, path: /a.raw, format: raw") + image("b", "volume: db, path: "+mark+"/a.raw, format: raw"))
		set := loadText(text)
		Expect(errorsOf(set.Findings)).To(HaveExactElements(HavePrefix(fmt.Sprintf(
			`x.yaml:%d:%d: spec.path: file "/a.raw" is also declared by Image/a`, line, column))))
		Expect(set.Images).To(BeEmpty())
		Expect(set.Volumes).To(HaveKey("db"))
	})

	It("stays when what it is of is invalid, because it may have been written", func() {
		set := loadText(aPool + volume("db", "pool: fast, size: 0") + image("a", "volume: db, path: /a.raw, format: raw"))
		Expect(set.Findings).To(HaveLen(1))
		Expect(set.Images).To(HaveKey("a"))
	})
})
