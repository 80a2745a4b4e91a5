package docs

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
)

var update = flag.Bool("update", false, "write what the commands print into the documents")

// specsDir is where documents keep their specs.
const specsDir = "/etc/volreconciler/specs"

var (
	block     = regexp.MustCompile("(?ms)^```(yaml|sh|console)\n(.*?)^```$")
	namedFile = regexp.MustCompile(`^# ` + specsDir + `/([a-z-]+\.yaml)\n`)
	varying   = []struct{ pattern, name string }{
		{`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|\d{8}T\d{6}Z`, "TIME"},
		{`\b\d+(?:s|m|h|d)(?:\d+(?:s|m))?\b`, "AGE"},
		{`\b[0-9A-Za-z]{6}(?:-[0-9A-Za-z]{4}){5}-[0-9A-Za-z]{6}\b`, "UUID"},
		{`\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`, "SERIAL"},
		{`\bnaa\.[0-9a-f]{32}\b`, "WWN"},
		{` {2,}`, " "},
		{` +\n`, "\n"},
	}
)

// steady returns text without what differs from one run to the next.
func steady(text string) string {
	for _, v := range varying {
		text = regexp.MustCompile(v.pattern).ReplaceAllString(text, v.name)
	}
	return text
}

// walk is a reader who does what a document says, on a node in memory.
type walk struct {
	dir, specs string
	env        []string
	agent      *exec.Cmd
}

func newWalk(volumeGroup fakehost.VolumeGroup) *walk {
	GinkgoHelper()
	w := &walk{dir: GinkgoT().TempDir()}
	w.specs = filepath.Join(w.dir, "specs")
	Expect(os.Mkdir(w.specs, 0o700)).To(Succeed())
	node := fakehost.Node{APIVersion: fakehost.APIVersion, Kind: "Node", VolumeGroups: []fakehost.VolumeGroup{volumeGroup}}
	captured, err := node.Marshal()
	Expect(err).NotTo(HaveOccurred())
	Expect(os.WriteFile(filepath.Join(w.dir, "node.yaml"), captured, 0o600)).To(Succeed())
	w.env = append(os.Environ(),
		"VOLRECONCILER_SPECS="+w.specs, "VOLRECONCILER_NODE="+filepath.Join(w.dir, "node.yaml"),
		"VOLRECONCILER_BACKEND=fake", "VOLRECONCILER_RUNTIME_DIR="+filepath.Join(w.dir, "run"),
		"VOLRECONCILER_STATE_DIR="+filepath.Join(w.dir, "state"),
		"VOLRECONCILER_RESYNC=1s", "VOLRECONCILER_DELETION_GRACE=1s")
	return w
}

// write puts a block into the file that it names. One that names none has a
// file of its own.
func (w *walk) write(text string) {
	GinkgoHelper()
	name := "objects.yaml"
	if match := namedFile.FindStringSubmatch(text); match != nil {
		name = match[1]
	}
	Expect(os.WriteFile(filepath.Join(w.specs, name), []byte(text), 0o600)).To(Succeed())
}

// here replaces the paths of a document by those of the walk.
func (w *walk) here(line string) string {
	return strings.NewReplacer(specsDir, w.specs, "/srv/removed", w.dir+"/removed", "$ volreconciler ", volreconciler+" ").Replace(line)
}

// shell does what a block for the node's shell says about the specs.
func (w *walk) shell(ctx context.Context, text string) {
	GinkgoHelper()
	for line := range strings.Lines(text) {
		switch {
		case strings.TrimSpace(line) == "volreconciler run":
			w.agent = exec.Command(volreconciler, "run")
			w.agent.Env = w.env
			Expect(w.agent.Start()).To(Succeed())
			DeferCleanup(func() {
				Expect(w.agent.Process.Signal(syscall.SIGTERM)).To(Succeed())
				Expect(w.agent.Wait()).To(Succeed())
			})
		case strings.HasPrefix(line, "mkdir -p /srv/"), strings.HasPrefix(line, "mv "):
			out, err := exec.CommandContext(ctx, "sh", "-c", w.here(line)).CombinedOutput()
			Expect(err).NotTo(HaveOccurred(), "%s", out)
		}
	}
}

// console returns a block of commands with what they print by now.
func (w *walk) console(ctx context.Context, text string) string {
	var out bytes.Buffer
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "$ volreconciler ") {
			continue
		}
		if out.Len() > 0 {
			out.WriteString("\n")
		}
		out.WriteString(line)
		command := exec.CommandContext(ctx, "sh", "-c", w.here(line))
		command.Env = w.env
		printed, _ := command.CombinedOutput()
		out.Write(bytes.ReplaceAll(printed, []byte(w.specs), []byte(specsDir)))
	}
	return out.String()
}

// follow does what the blocks of a document say, one after the other, and
// returns the document with what its commands print.
func (w *walk) follow(ctx context.Context, page string) string {
	GinkgoHelper()
	Expect(os.Mkdir(filepath.Join(w.dir, "root"), 0o700)).To(Succeed())
	compared := 0
	page = block.ReplaceAllStringFunc(page, func(whole string) string {
		match := block.FindStringSubmatch(whole)
		switch kind, text := match[1], match[2]; kind {
		case "yaml":
			w.write(text)
		case "sh":
			w.shell(ctx, text)
		case "console":
			if !strings.HasPrefix(text, "$ volreconciler ") {
				break
			}
			compared++
			printed := w.settled(ctx, text)
			if steady(printed) == steady(text) {
				break
			}
			if *update {
				return "```console\n" + printed + "```"
			}
			Expect(steady(printed)).To(Equal(steady(text)), "go test ./test/docs -update writes it anew")
		}
		return whole
	})
	Expect(compared).To(BeNumerically(">", 0))
	return page
}

// settled returns what the commands of a block print: what is in the document
// if they do so within some seconds, else what they print then.
func (w *walk) settled(ctx context.Context, text string) (printed string) {
	for deadline := time.Now().Add(8 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		printed = w.console(ctx, text)
		if steady(printed) == steady(text) || time.Now().After(deadline) {
			return printed
		}
	}
}

var _ = Describe("What a document shows", func() {
	It("is what validate prints of the tutorial's mistake", func(ctx SpecContext) {
		w := newWalk(fakehost.VolumeGroup{Name: "vg0", ExtentSize: 4 << 20, Extents: 2559})
		page := read("docs/tutorial.md")
		before, after, found := strings.Cut(page, "If `size` were `sise`:\n\n```text\n")
		Expect(found).To(BeTrue())
		for _, match := range block.FindAllStringSubmatch(before, -1) {
			if match[1] == "yaml" {
				w.write(strings.Replace(match[2], "  size: 1Gi", "  sise: 1Gi", 1))
			}
		}
		shown, _, _ := strings.Cut(after, "```")
		Expect(w.console(ctx, "$ volreconciler validate "+specsDir+"\n")).To(HaveSuffix(specsDir + "\n" + shown))
	})
	DescribeTable("is what the commands print", func(ctx SpecContext, path string, extents uint64) {
		w := newWalk(fakehost.VolumeGroup{Name: "vg0", ExtentSize: 4 << 20, Extents: extents})
		page := read(path)
		if followed := w.follow(ctx, page); *update && followed != page {
			Expect(os.WriteFile(filepath.Join(root, path), []byte(followed), 0o600)).To(Succeed())
		}
	},
		Entry("in the tutorial, on a disk of 10 GiB", "docs/tutorial.md", uint64(2559)),
		Entry("in the README, on a disk of 100 GiB", "README.md", uint64(25599)),
	)
})
