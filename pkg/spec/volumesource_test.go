package spec_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("The source of a Volume", func() {
	// sourceOf is the source of a Volume in a file.
	sourceOf := func(fields string) spec.VolumeSource {
		GinkgoHelper()
		set := loadText(aPool + volume("db", "pool: fast, size: 1Gi, source: {"+fields+"}"))
		Expect(errorsOf(set.Findings)).To(BeEmpty())
		return *set.Volumes["db"].Spec.Source
	}

	It("is an object, or an image", func() {
		id, isObject := sourceOf("volume: other").Object()
		Expect(isObject).To(BeTrue())
		Expect(id).To(Equal(spec.ID{Kind: spec.KindVolume, Name: "other"}))
		id, isObject = sourceOf("snapshot: nightly").Object()
		Expect(isObject).To(BeTrue())
		Expect(id).To(Equal(spec.ID{Kind: spec.KindSnapshot, Name: "nightly"}))
		_, isObject = sourceOf("image: {path: /a}").Object()
		Expect(isObject).To(BeFalse())
	})

	It("has a tag that stays the same, because volumes carry it", func() {
		Expect(sourceOf("volume: other").Tag()).To(Equal("volume:other"))
		Expect(sourceOf("snapshot: nightly").Tag()).To(Equal("snapshot:nightly"))
		// printf '/srv/a.qcow2\0\0qcow2\0' | sha256sum
		Expect(sourceOf("image: {path: /srv/a.qcow2, format: qcow2}").Tag()).To(Equal("image:a2af9d137b84ab82"))
		// printf '\0https://h.example/a\0\0' | sha256sum
		Expect(sourceOf("image: {url: 'https://h.example/a'}").Image.Key()).To(Equal("967fcb9ed9a8fe50"))
	})

	It("has one tag however the file writes it", func() {
		sum := strings.Repeat("ab", 32)
		Expect(sourceOf("image: {sha256: " + sum + ", format: raw, path: /a}").Tag()).To(
			Equal(sourceOf("image: {path: '/a', format: raw, sha256: " + strings.ToUpper(sum) + "}").Tag()))
	})

	It("has another tag for another image", func() {
		sum := strings.Repeat("ab", 32)
		images := []spec.ImageSource{
			{Path: "/a"}, {Path: "/b"}, {Path: "/a", Format: spec.FormatRaw}, {Path: "/a", Format: spec.FormatQCOW2},
			{Path: "/a", SHA256: sum}, {Path: "/a", Format: spec.FormatRaw, SHA256: sum}, {Path: "/araw"}, {Path: "/a" + sum},
			{URL: "https://h/a"}, {URL: "http://h/a", SHA256: sum}, {URL: "https://h/a", SHA256: sum},
			{URL: "/a"}, {SHA256: "/a"}, {Format: "/a"}, // the place counts, too
		}
		seen := map[string]spec.ImageSource{}
		for _, i := range images {
			Expect(seen).NotTo(HaveKey(i.Key()), "%+v", i)
			seen[i.Key()] = i
		}
	})
})
