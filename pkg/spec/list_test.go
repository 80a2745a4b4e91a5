package spec_test

import (
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("The directories that spec files are read from", func() {
	It("are those below, and those that symbolic links lead to", func() {
		root, err := filepath.EvalSymlinks(GinkgoT().TempDir())
		Expect(err).NotTo(HaveOccurred())
		Expect(os.MkdirAll(filepath.Join(root, "specs", "team"), 0o700)).To(Succeed())
		Expect(os.MkdirAll(filepath.Join(root, "specs", ".git"), 0o700)).To(Succeed())
		Expect(os.MkdirAll(filepath.Join(root, "git", "more"), 0o700)).To(Succeed())
		Expect(os.Symlink("../git", filepath.Join(root, "specs", "linked"))).To(Succeed())
		Expect(os.Symlink("specs", filepath.Join(root, "link"))).To(Succeed())
		Expect(spec.Dirs(filepath.Join(root, "link"))).To(ConsistOf(
			filepath.Join(root, "specs"), filepath.Join(root, "specs", "team"), filepath.Join(root, "git"), filepath.Join(root, "git", "more")))
	})
	It("are the given one while it does not exist", func() {
		here, err := os.Getwd()
		Expect(err).NotTo(HaveOccurred())
		Expect(spec.Dirs("not-there")).To(Equal([]string{filepath.Join(here, "not-there")}))
	})
})
