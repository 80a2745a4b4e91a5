package spec_test

import (
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("The revision of a directory", func() {
	It("is the same wherever it is, and another one after any edit", func(ctx SpecContext) {
		here, there := GinkgoT().TempDir(), filepath.Join(GinkgoT().TempDir(), "copy")
		for _, dir := range []string{here, there} {
			Expect(os.MkdirAll(filepath.Join(dir, "pools"), 0o700)).To(Succeed())
			Expect(os.WriteFile(filepath.Join(dir, "pools", "a.yaml"), []byte("# nothing\n"), 0o600)).To(Succeed())
			Expect(os.WriteFile(filepath.Join(dir, "b.yml"), []byte("x: ["), 0o600)).To(Succeed())
		}
		set := spec.NewSource(here, spec.Options{}).Load(ctx)
		Expect(set.Revision).To(HavePrefix("sha256:"))
		Expect(spec.Revision(here)).To(Equal(set.Revision))
		Expect(spec.Revision(there + "/")).To(Equal(set.Revision))

		Expect(os.WriteFile(filepath.Join(there, "b.yml"), []byte("x: [1"), 0o600)).To(Succeed())
		Expect(spec.Revision(there)).NotTo(Equal(set.Revision))
		Expect(os.Rename(filepath.Join(here, "b.yml"), filepath.Join(here, "c.yml"))).To(Succeed())
		Expect(spec.Revision(here)).NotTo(Equal(set.Revision))
	})
})
