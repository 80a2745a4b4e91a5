package contributing

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// largest is more than any text needs that a person maintains, in bytes.
const largest = 512 << 10

// largestPicture is more than a picture of the documentation needs, in bytes.
const largestPicture = 100_000

// built returns the files of a checkout that nobody wrote by hand, programs, archives and output, but for the
// pictures of the documentation.
func built(dir string) []string {
	GinkgoHelper()
	tracked, err := exec.Command("git", "-C", dir, "ls-files", "-z").Output()
	if err != nil {
		Skip("no git checkout: " + err.Error())
	}
	var found []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(tracked), "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if os.IsNotExist(err) {
			continue // removed, and not committed yet
		}
		Expect(err).NotTo(HaveOccurred())
		picture := filepath.Dir(name) == "docs/img" && filepath.Ext(name) == ".png" && len(content) < largestPicture
		if len(content) > largest || bytes.IndexByte(content, 0) >= 0 && !picture {
			found = append(found, name)
		}
	}
	return found
}

var _ = Describe("The repository", func() {
	It("holds no built files", func() {
		Expect(built(root)).To(BeEmpty())
	})
	It("is found out when it holds one", func() {
		dir := GinkgoT().TempDir()
		Expect(os.WriteFile(filepath.Join(dir, "program"), []byte("\x7fELF\x00"), 0o600)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(dir, "dump.txt"), bytes.Repeat([]byte("x"), largest+1), 0o600)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(dir, "text.txt"), []byte("text\n"), 0o600)).To(Succeed())
		for _, args := range [][]string{{"init", "-q"}, {"add", "."}} {
			Expect(exec.Command("git", append([]string{"-C", dir}, args...)...).Run()).To(Succeed())
		}
		Expect(built(dir)).To(ConsistOf("program", "dump.txt"))
	})
})
