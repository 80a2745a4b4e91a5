package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/test/prose/retired"
)

func TestProse(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "prose")
}

const root = "../.."

func words(text string) retired.Words {
	GinkgoHelper()
	w, err := retired.Parse(text)
	Expect(err).NotTo(HaveOccurred())
	return w
}

// said are findings as they are printed.
func said(found Findings) []string {
	var lines []string
	for _, f := range found {
		lines = append(lines, f.String())
	}
	return lines
}

var stays = "stays -> remains ! stays up\n(is|are) cleared -> wiped"

var _ = Describe("The prose linter", func() {
	It("finds nothing in this tree beyond what is allowed", func() {
		found, err := check(root, base)
		Expect(err).NotTo(HaveOccurred())
		allowed, err := readAllowed(root)
		Expect(err).NotTo(HaveOccurred())
		Expect(said(found.beyond(allowed, false))).To(BeEmpty())
		for group := range allowed {
			Expect(group).NotTo(HaveSuffix(" documentation"), "what go doc shows has no findings")
		}
	})
	It("compiles every line of the list of words, and retires each example of the house style", func() {
		text, err := os.ReadFile(filepath.Join(root, "test/prose/retired.txt"))
		Expect(err).NotTo(HaveOccurred())
		w := words(string(text))
		for _, bad := range []string{
			"X takes the place of Y when Z is gone", "the blocks are cleared", "they are put back", "it was given up",
			"what no file names", "which of the two counts cannot be told", "the volume goes", "it stays as it is",
			"the desired state", "of that one", "promised space", "What is to be kept is safe.", "it takes over vg0/a",
		} {
			Expect(w.In(bad)).NotTo(BeEmpty(), bad)
		}
		for _, good := range []string{
			"a Volume is pruned", "the deleted volume is wiped", "open-iscsi counts sessions", "the volume is orphaned",
			"cannot move to Pool/far: vg1/db already exists and is not managed by volreconciler",
		} {
			Expect(w.In(good)).To(BeEmpty(), good)
		}
	})
	DescribeTable("refuses a list of words that cannot be read",
		func(text, message string) {
			_, err := retired.Parse(text)
			Expect(err).To(MatchError(ContainSubstring(message)))
		},
		Entry("without an arrow", "# a\nstays", "retired.txt:2: write WORD -> INSTEAD"),
		Entry("with a broken word", "( -> b", "retired.txt:1"),
		Entry("with a broken exception", "a -> b ! (", "retired.txt:1"),
	)
})

var _ = DescribeTable("A document",
	func(text string, want ...string) {
		if len(want) == 0 {
			want = nil
		}
		Expect(said(checkMarkdown(words(stays), "a.md", text))).To(Equal(want))
	},
	Entry("with a retired word", "One.\n\nIt\nstays.", "a.md:4: stays: write remains"),
	Entry("with two words across a line's end", "Blocks are\ncleared.", "a.md:1: are cleared: write wiped"),
	Entry("with a retired word in a heading", "# What stays here", "a.md:1: stays: write remains"),
	Entry("with a name as its heading", "# Stays"),
	Entry("with a retired word in a cell", "| a | it stays |", "a.md:1: stays: write remains"),
	Entry("with a retired word in a link's text", "[stays](x.md)", "a.md:1: stays: write remains"),
	Entry("with an allowed phrase", "It stays up."),
	Entry("with a part of a word", "It outstays."),
	Entry("with a name in backticks", "The tag `stays` and\n`it stays`."),
	Entry("with a quotation", `The message "it stays".`),
	Entry("with a link", "[a](stays.md)"),
	Entry("with code", "```\nit stays\n```\n\n    it stays\n"),
	Entry("with a comment", "<!-- it\nstays -->\nA."),
	Entry("with a long line", strings.Repeat("aaaaa ", 20)+"aa", "a.md:1: a line of 122 columns: break it at 120"),
	Entry("with a long line of code", "```\n"+strings.Repeat("a ", 61)+"\n```"),
	Entry("with a long word", "https://"+strings.Repeat("a", 120)),
	Entry("with a line of 120 characters", strings.Repeat("é", 59)+" "+strings.Repeat("é", 60)),
	Entry("with a long row of short cells", "|"+strings.Repeat(" aaaa |", 60)),
	Entry("with a long cell", "| "+strings.Repeat("a", 201)+" |",
		"a.md:1: a cell of 201 characters: write at most 200, and details below the table"),
	Entry("with a long sentence", "Short.\n"+strings.Repeat("a\n", 46)+".",
		"a.md:2: a sentence of 47 words: write several of at most 45"),
	Entry("with two sentences", strings.Repeat("a\n", 30)+"b.\n"+strings.Repeat("c\n", 30)),
	Entry("with items, each a sentence", "* "+strings.Repeat("a\n", 30)+"* "+strings.Repeat("b\n", 30)),
	Entry("with many names", strings.Repeat("`a`,\n", 60)),
)

var _ = DescribeTable("A Go file",
	func(text string, want ...string) {
		found, err := checkGo(words(stays), "pkg/a/a.go", []byte(text))
		Expect(err).NotTo(HaveOccurred())
		var got []string
		for _, f := range found {
			got = append(got, f.String()+", "+f.Group)
		}
		if len(want) == 0 {
			want = nil
		}
		Expect(got).To(Equal(want))
	},
	Entry("with package documentation", "// Package a stays.\npackage a",
		"pkg/a/a.go:1: stays: write remains, pkg/a documentation"),
	Entry("with a documented function", "package a\n\n// A does.\n//\n// It stays.\nfunc A() {}",
		"pkg/a/a.go:5: stays: write remains, pkg/a documentation"),
	Entry("with a documented type", "package a\n\ntype (\n\t// A stays.\n\tA int\n)",
		"pkg/a/a.go:4: stays: write remains, pkg/a documentation"),
	Entry("with a documented list of constants", "package a\n\n// A and B: it stays.\nconst (\n\tA = 1\n\tb = 2\n)",
		"pkg/a/a.go:3: stays: write remains, pkg/a documentation"),
	Entry("with another comment", "package a\n\n// a stays.\nfunc a() {}",
		"pkg/a/a.go:3: stays: write remains, pkg/a comments"),
	Entry("with a message", "package a\n\nconst a = \"it stays as it is\"",
		"pkg/a/a.go:3: stays: write remains, pkg/a messages"),
	Entry("with a name that is no message", "package a\n\nconst a = \"stays\""),
	Entry("with code in a comment", "package a\n\n// A is this:\n//\n//\tit stays\nfunc A() {}"),
)

var _ = DescribeTable("The subject of a commit",
	func(subject string, want ...string) {
		if len(want) == 0 {
			want = nil
		}
		Expect(said(checkCommits([]commit{{"1", subject}}))).To(Equal(want))
	},
	Entry("in the imperative", "observe: read thin pool health from the report"),
	Entry("of several packages", "plan, nvmet, tgt: keep out whoever is taken out"),
	Entry("of a path", "test/e2e: let links in /dev lead astray"),
	Entry("with a verb that looks inflected", "pkg/spec: need a name"),
	Entry("with a verb in ss", "plan: pass names on"),
	Entry("of a revert", `Revert "what was there"`),
	Entry("without a package", "Fix a thing", "commit 1:1: Fix a thing: write package: verb object"),
	Entry("without an object", "plan: fix", "commit 1:1: plan: fix: write package: verb object"),
	Entry("in the past", "plan: fixed a thing",
		"commit 1:1: fixed: begin with a verb in the imperative, as in observe: read thin pool health from the report"),
	Entry("in the third person", "plan: keeps a thing",
		"commit 1:1: keeps: begin with a verb in the imperative, as in observe: read thin pool health from the report"),
	Entry("with a participle", "plan: keeping a thing",
		"commit 1:1: keeping: begin with a verb in the imperative, as in observe: read thin pool health from the report"),
	Entry("that begins with a clause", "pkg/reconcile: what keeps something is said",
		"commit 1:1: what: begin with a verb in the imperative, as in observe: read thin pool health from the report"),
	Entry("that is too long", "plan: say "+strings.Repeat("a", 63), "commit 1:1: a subject of 73 characters: write at most 72"),
)

var _ = Describe("The history", func() {
	var dir string
	git := func(args ...string) string {
		GinkgoHelper()
		args = append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"}, args...)
		out, err := exec.Command("git", args...).CombinedOutput() //nolint:gosec // arguments of the test
		Expect(err).NotTo(HaveOccurred(), "%s", out)
		return strings.TrimSpace(string(out))
	}
	commitEmpty := func(subject string) string {
		GinkgoHelper()
		git("commit", "-q", "--allow-empty", "-m", subject)
		return git("rev-parse", "HEAD")
	}
	subjects := func(base string) (found []string) {
		for _, c := range recentCommits(dir, base) {
			found = append(found, c.subject)
		}
		return found
	}
	BeforeEach(func() {
		if _, err := exec.LookPath("git"); err != nil {
			Skip("there is no git")
		}
		dir = GinkgoT().TempDir()
		git("init", "-q", "-b", "main")
	})

	It("is not needed", func() {
		Expect(recentCommits(GinkgoT().TempDir(), base)).To(BeEmpty())
		Expect(subjects(base)).To(BeEmpty())
	})
	It("may be shallow, without the base", func() {
		commitEmpty("What was there")
		Expect(subjects(base)).To(BeEmpty())
	})
	It("is checked with the tree", func() {
		base := commitEmpty("base")
		commitEmpty("What is new")
		Expect(os.MkdirAll(filepath.Join(dir, "test/prose"), 0o700)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(dir, "test/prose/retired.txt"), []byte(stays), 0o600)).To(Succeed())
		found, err := check(dir, base)
		Expect(err).NotTo(HaveOccurred())
		Expect(said(found)).To(ConsistOf(HaveSuffix("What is new: write package: verb object")))
	})
	It("counts from the base, without merges", func() {
		commitEmpty("What was there")
		base := commitEmpty("base")
		Expect(subjects(base)).To(BeEmpty())
		git("checkout", "-q", "-b", "side")
		commitEmpty("a: add b")
		git("checkout", "-q", "main")
		commitEmpty("a: add c")
		git("merge", "-q", "--no-ff", "-m", "Merge side", "side")
		Expect(subjects(base)).To(ConsistOf("a: add b", "a: add c"))
		for range 25 {
			commitEmpty("a: add d")
		}
		Expect(subjects(base)).To(HaveLen(20))
	})
})

var _ = Describe("Allowed findings", func() {
	found := Findings{{"a.md", 1, "a.md", "x", "write y"}, {"a.md", 2, "a.md", "x", "write y"}, {"b.md", 1, "b.md", "x", "write y"}}

	It("are as many as a group may have", func() {
		Expect(said(found.beyond(Allowed{"a.md": 2, "b.md": 1}, false))).To(BeEmpty())
		Expect(said(found.beyond(Allowed{"a.md": 1, "b.md": 1}, false))).To(Equal([]string{
			"a.md:1: x: write y (a.md: 2 findings, 1 allowed)", "a.md:2: x: write y (a.md: 2 findings, 1 allowed)",
		}))
		Expect(said(found.beyond(Allowed{"a.md": 2}, false))).To(Equal([]string{"b.md:1: x: write y"}))
	})
	It("only fall", func() {
		Expect(Allowed{"a.md": 5, "b.md": 0, "c.md": 1}.lowered(found)).To(Equal(Allowed{"a.md": 2}))
		Expect(Allowed{"a.md": 1}.lowered(found)).To(Equal(Allowed{"a.md": 1}))
	})
	It("are read as they are written", func() {
		dir := GinkgoT().TempDir()
		Expect(os.MkdirAll(filepath.Join(dir, "test/prose"), 0o700)).To(Succeed())
		a := Allowed{"pkg/a comments": 3, "a.md": 1}
		Expect(a.write(dir)).To(Succeed())
		Expect(readAllowed(dir)).To(Equal(a))
		_, err := parseAllowed("x a.md")
		Expect(err).To(MatchError("test/prose/allowed.txt:1: write NUMBER GROUP"))
	})
})

var _ = Describe("A run", func() {
	var dir string
	write := func(name, text string) {
		GinkgoHelper()
		Expect(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)).To(Succeed())
	}
	run := func(tighten bool) (string, bool) {
		GinkgoHelper()
		var out strings.Builder
		failed, err := run(&out, dir, tighten, false)
		Expect(err).NotTo(HaveOccurred())
		return out.String(), failed
	}
	BeforeEach(func() {
		dir = GinkgoT().TempDir()
		write("test/prose/retired.txt", stays)
		write("test/prose/allowed.txt", "2 a.md\n")
		write("testdata/b.md", "It stays.\n")
		write(".hidden/b.md", "It stays.\n")
		write("a.md", "It stays.\n")
		write("a_test.go", "// It stays.\npackage a\n")
	})

	It("passes with what is allowed, lowers the number, and fails with more", func() {
		out, failed := run(false)
		Expect(out).To(BeEmpty())
		Expect(failed).To(BeFalse())
		out, failed = run(true)
		Expect(out).To(BeEmpty())
		Expect(failed).To(BeFalse())
		allowed, err := readAllowed(dir)
		Expect(err).NotTo(HaveOccurred())
		Expect(allowed).To(Equal(Allowed{"a.md": 1}))

		write("a.md", "It stays.\n\nIt stays.\n")
		write(".github/b.md", "It stays.\n")
		out, failed = run(false)
		Expect(failed).To(BeTrue())
		Expect(out).To(Equal(".github/b.md:1: stays: write remains\n" +
			"a.md:1: stays: write remains (a.md: 2 findings, 1 allowed)\na.md:3: stays: write remains (a.md: 2 findings, 1 allowed)\n"))
	})
})
