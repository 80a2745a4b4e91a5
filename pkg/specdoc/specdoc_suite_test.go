package specdoc

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// update rewrites what is made of the documentation of fields: go test ./pkg/specdoc -update.
var update = flag.Bool("update", false, "rewrite docs/schema.json and the tables of docs/reference.md")

const root = "../.."

func TestSpecdoc(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "pkg/specdoc")
}

func read(path string) string {
	GinkgoHelper()
	content, err := os.ReadFile(filepath.Join(root, path))
	Expect(err).NotTo(HaveOccurred())
	return string(content)
}

// expectContent compares a file with what it has to be, or writes it with -update.
func expectContent(path, want string) {
	GinkgoHelper()
	if *update {
		Expect(os.WriteFile(filepath.Join(root, path), []byte(want), 0o644)).To(Succeed())
	}
	Expect(read(path)).To(Equal(want), "%s is not up to date; run go test ./pkg/specdoc -update", path)
}
