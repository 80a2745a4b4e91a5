package contributing

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestContributing(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "contributing")
}

const root = "../.."

// recipe are the files and folders that the table below a heading of CONTRIBUTING.md names.
func recipe(document, heading string) []string {
	GinkgoHelper()
	_, section, found := strings.Cut(document, "\n### "+heading+"\n")
	Expect(found).To(BeTrue(), heading)
	section, _, _ = strings.Cut(section, "\n#")
	var entries []string
	for _, row := range regexp.MustCompile(`(?m)^\| ([^|]*\x60[^|]*) \|`).FindAllStringSubmatch(section, -1) {
		names := inBackticks.FindAllStringSubmatch(row[1], -1)
		folder := ""
		if _, last, several := strings.Cut(row[1], " in "); several { // `a.go`, `b.go` in `folder/`
			folder = inBackticks.FindStringSubmatch(last)[1]
			names = names[:len(names)-1]
		}
		for _, name := range names {
			if !strings.HasPrefix(name[1], folder) {
				name[1] = folder + name[1]
			}
			entries = append(entries, name[1])
		}
	}
	return entries
}

var inBackticks = regexp.MustCompile("`([^`]+)`")

// covers says whether an entry names a file: it is that file, or a folder that the file is in.
func covers(entry, file string) bool {
	return entry == file || strings.HasSuffix(entry, "/") && strings.HasPrefix(file, entry)
}

// missing are the files for which there is no entry.
func missing(entries, files []string) []string {
	var none []string
	for _, file := range files {
		if !slices.ContainsFunc(entries, func(entry string) bool { return covers(entry, file) }) {
			none = append(none, file)
		}
	}
	return none
}

// source are the files that a change of the program touches, with their text: no tests, no examples of theirs, no documents.
func source() map[string]string {
	GinkgoHelper()
	texts := map[string]string{}
	Expect(filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(root, file)
		switch name = filepath.ToSlash(name); {
		case err != nil:
			return err
		case d.IsDir() && (name == ".git" || name == "bin" || name == "docs" || path.Base(name) == "testdata" || name == "test/contributing" || name == "test/dashboard/sample"):
			return fs.SkipDir
		case d.IsDir() || strings.HasSuffix(name, "_test.go") || !slices.Contains([]string{".go", ".yaml", ".sh"}, path.Ext(name)):
			return nil
		}
		text, err := os.ReadFile(file)
		texts[name] = string(text)
		return err
	})).To(Succeed())
	return texts
}

var _ = Describe("CONTRIBUTING.md", func() {
	var document string
	var texts map[string]string
	BeforeEach(func() {
		text, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
		Expect(err).NotTo(HaveOccurred())
		document, texts = string(text), source()
	})

	DescribeTable("names every file that an addition touches",
		func(heading string, examples ...string) {
			entries := recipe(document, heading)
			Expect(len(entries)).To(BeNumerically(">", 4))
			for _, entry := range entries {
				Expect(filepath.Join(root, entry)).To(BeAnExistingFile(), "a recipe names it")
			}
			for _, example := range examples {
				pattern := regexp.MustCompile(example)
				var files []string
				for file, text := range texts {
					if pattern.MatchString(text) {
						files = append(files, file)
					}
				}
				Expect(files).NotTo(BeEmpty(), example)
				Expect(missing(entries, files)).To(BeEmpty(), "the recipe for %q lacks what has %s", heading, example)
			}
		},
		Entry("of a change", "A change", `\bGrowVolume\b`, `\bAddPortal\b`, `\bWriteImage\b`, `\bStartClearing\b`, `\bMoveMark\b`, `\bSetDiscoveryAuth\b`),
		Entry("of a protocol", "A protocol", `ProtocolNVMe|NVMeTCP|"nvme-tcp"|target/nvmet"|protocol: nvme-tcp`, `"iser"|ProtocolISER|protocol: iser`, `target/tgt"`,
			`ProtocolFC\b|\.Protocol\b.*\.IsNVMe\(|\bobserve\.TGTISCSI\b`, `(?m)^\tcase observe\.(FC|NVMe):|\bSpec\.Protocol == spec\.|\bSpec\.Protocol != spec\.`),
		Entry("of a field", "A field", `Spec\.Clear\b|ClearZero|yaml:"clear|"spec\.clear"`, `Spec\.Revert\b|yaml:"revert|"spec\.revert`,
			`Spec\.Attributes|"spec\.attributes`, `Spec\.Trash\b|yaml:"trash|"spec\.trash"`),
		Entry("of a reason", "A reason", `ReasonNotOwned|"NotOwned"`, `ReasonReservationsActive|"ReservationsActive"`, `ReasonContradiction|"Contradiction"`),
	)
})

var _ = Describe("A recipe", func() {
	const document = "\n### A thing\n\n| file | what |\n|---|---|\n| `a.go`, `b.go` in `pkg/` | a `c.go` |\n| `test/x/` | b |\n\n### Another\n| `d.go` | |\n"

	It("is read from its table", func() {
		Expect(recipe(document, "A thing")).To(Equal([]string{"pkg/a.go", "pkg/b.go", "test/x/"}))
	})
	It("lacks what it does not name", func() {
		Expect(missing(recipe(document, "A thing"), []string{"pkg/a.go", "pkg/c.go", "test/x/y/z.go", "test/xx"})).
			To(Equal([]string{"pkg/c.go", "test/xx"}))
	})
})
