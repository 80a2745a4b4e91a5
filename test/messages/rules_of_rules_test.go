package messages

import (
	"go/parser"
	"go/token"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/test/prose/retired"
)

var _ = Describe("Collecting messages", func() {
	in := func(body string, whole bool) []message {
		GinkgoHelper()
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nfunc f() {"+body+"}", 0)
		Expect(err).NotTo(HaveOccurred())
		return messagesIn(file, whole)
	}

	It("finds what makers are given, also in parts", func() {
		Expect(in(`d.setBlocked(id, Reason, "no "+what+" is "+"there; add %s", x)`, false)).To(Equal([]message{{text: "no %s is there; add %s", kind: kindStatus}}))
		Expect(in("return fmt.Errorf(`reading %s: %w`, p, err)", false)).To(Equal([]message{{text: "reading %s: %w", kind: kindError}}))
		Expect(in(`s := Step{Why: "not there"}`, false)).To(Equal([]message{{text: "not there", kind: kindWhy}}))
	})

	It("finds what functions return that tell something", func() {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nfunc whyUnsupported() string { return fmt.Sprintf(`no %s here`, x) }", 0)
		Expect(err).NotTo(HaveOccurred())
		Expect(messagesIn(file, false)).To(Equal([]message{{text: "no %s here", kind: kindStatus}}))
	})

	It("finds what is composed elsewhere where all texts are messages", func() {
		Expect(in(`why := "not there"; panic("no such " + x)`, true)).To(Equal([]message{{text: "not there", kind: kindPart}}))
		Expect(in(`why := "not there"`, false)).To(BeEmpty())
		Expect(in(`return fmt.Errorf("%s: %w", path, err)`, true)).To(BeEmpty(), "it only wraps")
		Expect(in(`d.setBlocked(id, Reason, "%s", quote("no " + x + " here"))`, false)).To(Equal([]message{{text: "no %s here", kind: kindPart}}))
		Expect(in(`d.setBlocked(id, Reason, fmt.Sprintf("no %s here", x))`, false)).To(Equal([]message{{text: "no %s here", kind: kindStatus}}))
	})
})

func made(of kind, text, eg, none string) entry {
	return entry{message: message{text: text, kind: of}, eg: eg, none: none}
}

var _ = DescribeTable("The form of messages",
	func(e entry, complaint string) {
		words, err := retired.Parse("stays -> is kept")
		Expect(err).NotTo(HaveOccurred())
		if complaint == "" {
			Expect(complaints(e, words)).To(BeEmpty())
			return
		}
		Expect(complaints(e, words)).To(ContainElement(ContainSubstring(complaint)))
	},
	Entry("good", made(kindStatus, "%s is missing; create it", "/srv is missing; create it", ""), ""),
	Entry("nothing to do", made(kindStatus, "%s is missing", "/srv is missing", ""), "neither"),
	Entry("nothing to do, on purpose", made(kindStatus, "%s is missing", "/srv is missing", "it comes by itself"), ""),
	Entry("no example", made(kindError, "%s is missing", "", ""), "no example"),
	Entry("another example", made(kindError, "%d are missing", "two are missing", ""), "not what it renders"),
	Entry("an example with a verb", made(kindError, "%s is missing", "%s is missing", ""), "has verbs"),
	Entry("a per cent sign is no verb", made(kindError, "%s is %d%% full", "vg0/tp is 80% full", ""), ""),
	Entry("too long", made(kindError, "%s is missing", strings.Repeat("a", tooLong)+" is missing", ""), "is too long"),
	Entry("two blanks", made(kindError, "%s is missing", "a  is missing", ""), "two blanks"),
	Entry("retired word", made(kindError, "the file stays", "the file stays", ""), "write: is kept"),
	Entry("full stop", made(kindError, "no file.", "no file.", ""), "full stop"),
	Entry("one of many", made(kindError, "%d files are missing", "1 files are missing", ""), `says "1 files"`),
	Entry("a risk that is not named", made(kindStatus, "its disk is gone; run vgreduce %s", "its disk is gone; run vgreduce vg0", ""), "advises vgreduce without"),
	Entry("upper case", made(kindError, "No file", "No file", ""), "upper case"),
	Entry("a kind in upper case", made(kindError, "Pool/%s is full", "Pool/a is full", ""), ""),
	Entry("a part may begin as it likes", made(kindPart, ". It is full", ". It is full", ""), ""),
)

var _ = It("holds messages to the words of all prose and to their own", func() {
	words, err := readRetired()
	Expect(err).NotTo(HaveOccurred())
	for _, text := range []string{"the desired size", "promised space", "the image file stays", "the pool arrives", "it is put back", "nobody knows"} {
		Expect(words.In(text)).NotTo(BeEmpty(), text)
	}
})
