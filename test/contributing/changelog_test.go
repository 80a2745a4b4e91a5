package contributing

import (
	"os"
	"os/exec"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("Assembling the changelog", func() {
	var dir string
	write := func(name, text string) {
		GinkgoHelper()
		Expect(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700)).To(Succeed()) //nolint:gosec // one is a script
	}
	read := func(name string) string {
		GinkgoHelper()
		text, err := os.ReadFile(filepath.Join(dir, name))
		Expect(err).NotTo(HaveOccurred())
		return string(text)
	}
	changelog := func(args ...string) (string, error) {
		out, err := exec.Command(filepath.Join(dir, "hack/changelog.sh"), args...).CombinedOutput() //nolint:gosec // of the test
		return string(out), err
	}
	const before = "# Changelog\n\nAll changes.\n\n## Unreleased\n\nAn introduction.\n\n### Added\n\n- Old.\n\n## 0.1.0 - 2026-01-01\n\n### Fixed\n\n- First.\n"

	BeforeEach(func() {
		dir = GinkgoT().TempDir()
		script, err := os.ReadFile(filepath.Join(root, "hack/changelog.sh"))
		Expect(err).NotTo(HaveOccurred())
		write("hack/changelog.sh", string(script))
		write("CHANGELOG.md", before)
		write("changes/README.md", "How.\n")
		write("changes/template.md", "What.\n")
	})

	It("moves fragments and unreleased changes into a new section, once", func() {
		write("changes/a-thing.added.md", "A [thing](docs/a.md),\nin two lines.\n\nMore of it.\n")
		write("changes/b.fixed.md", "\nA fault.\n\n")
		out, err := changelog("0.2.0", "2026-02-02")
		Expect(err).NotTo(HaveOccurred(), out)
		Expect(read("CHANGELOG.md")).To(Equal("# Changelog\n\nAll changes.\n\n## Unreleased\n\n## 0.2.0 - 2026-02-02\n\nAn introduction.\n\n" +
			"### Added\n\n- Old.\n- A [thing](docs/a.md),\n  in two lines.\n\n  More of it.\n\n### Fixed\n\n- A fault.\n\n" +
			"## 0.1.0 - 2026-01-01\n\n### Fixed\n\n- First.\n"))
		left, err := filepath.Glob(filepath.Join(dir, "changes/*"))
		Expect(err).NotTo(HaveOccurred())
		Expect(left).To(HaveLen(2))

		after := read("CHANGELOG.md")
		out, err = changelog("0.2.0")
		Expect(err).To(HaveOccurred())
		Expect(out).To(Equal("CHANGELOG.md has 0.2.0 already\n"))
		Expect(read("CHANGELOG.md")).To(Equal(after))
	})
	DescribeTable("refuses what is wrong, and changes nothing",
		func(name, text, message string, args ...string) {
			write(name, text)
			write("changes/good.added.md", "Good.\n")
			out, err := changelog(args...)
			Expect(err).To(HaveOccurred())
			Expect(out).To(ContainSubstring(message))
			Expect(filepath.Join(dir, "changes/good.added.md")).To(BeAnExistingFile())
			if name != "CHANGELOG.md" {
				Expect(read("CHANGELOG.md")).To(Equal(before))
			}
		},
		Entry("a fragment of no kind", "changes/a.md", "A.\n", "changes/a.md: name it NAME.KIND.md", "0.2.0"),
		Entry("a fragment of another kind", "changes/a.new.md", "A.\n", "KIND is one of: added changed", "0.2.0"),
		Entry("a fragment whose name has other letters", "changes/My_fix.added.md", "A.\n", "NAME is of a-z, 0-9 and -", "--check"),
		Entry("a fragment without a name", "changes/added.md", "A.\n", "name it NAME.KIND.md", "--check"),
		Entry("an empty fragment", "changes/a.added.md", "\n \n", "it is empty", "0.2.0"),
		Entry("a fragment with a dash", "changes/a.added.md", "- A.\n", "neither a dash", "--check"),
		Entry("another file", "changes/notes.txt", "A.\n", "name it", "--check"),
		Entry("a version that is none", "x", "", "usage", "next"),
		Entry("no version", "x", "", "usage"),
		Entry("no place for it", "CHANGELOG.md", "# Changelog\n", `no line "## Unreleased"`, "0.2.0"),
		Entry("an unreleased change of another kind", "CHANGELOG.md", "## Unreleased\n\n### News\n\n- A.\n", "none of", "0.2.0"),
		Entry("the same, before a commit", "CHANGELOG.md", "## Unreleased\n\n### Added things\n\n- A.\n", "none of", "--check"),
	)
	It("keeps what is not done yet, as the last of a section", func() {
		write("CHANGELOG.md", "## Unreleased\n\n### Not yet\n\n- Much.\n\n### Fixed\n\n- A.\n")
		out, err := changelog("0.2.0", "2026-02-02")
		Expect(err).NotTo(HaveOccurred(), out)
		Expect(read("CHANGELOG.md")).To(Equal("## Unreleased\n\n## 0.2.0 - 2026-02-02\n\n### Fixed\n\n- A.\n\n### Not yet\n\n- Much.\n"))
	})
	It("can make a release of this tree", func() {
		out, err := exec.Command(filepath.Join(root, "hack/changelog.sh"), "--check").CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), "%s", out)
		text, err := os.ReadFile(filepath.Join(root, "CHANGELOG.md"))
		Expect(err).NotTo(HaveOccurred())
		write("CHANGELOG.md", string(text))
		said, err := changelog("99.0.0")
		Expect(err).NotTo(HaveOccurred(), said)
	})
})
