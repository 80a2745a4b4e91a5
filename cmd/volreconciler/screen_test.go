package main

import (
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// aScreen is what a terminal of that width shows of a node.
func aScreen(width int, wide bool, node status.Report, now time.Time) string {
	var out strings.Builder
	Expect(writeStatus(&out, screen{width: width}, node, wide, now)).To(Succeed())
	return out.String()
}

// aBusyNode is aNode with what makes lines long, and with letters that are two columns wide.
func aBusyNode() (status.Report, time.Time) {
	node, noon := aNode()
	node.Warnings = []string{"lvm2 2.03.11 is older than what was tested: reading volume groups may fail; install 2.03.16 or later, and restart the agent"}
	node.Objects[1].Message = "spec.size: 10Gi is less than the 20Gi that vg0/db has, and a volume is never made smaller. Write at least 20Gi, or make a new Volume and copy the data"
	for _, name := range []string{"データ", "ordinary"} {
		node.Objects = append(node.Objects, status.Object{
			Kind: spec.KindImage, Name: name, Phase: status.Ready, Reason: status.ReasonAsDesired, Since: noon.Add(-time.Hour),
			Message: "written 2026-11-20", Image: &status.Image{Path: "/srv/" + name, Format: "qcow2", Size: gib},
		})
	}
	return node, noon
}

var _ = DescribeTable("A status fits on the screen", func(width int, wide bool, name string) {
	node, noon := aBusyNode()
	text := aScreen(width, wide, node, noon)
	path := filepath.Join("testdata", "get", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		Expect(os.WriteFile(path, []byte(text), 0o644)).To(Succeed())
	}
	golden, err := os.ReadFile(path)
	Expect(err).NotTo(HaveOccurred(), "run this with UPDATE_GOLDEN=1")
	Expect(text).To(Equal(string(golden)))
	if width == 0 || wide {
		return
	}
	for line := range strings.Lines(text) {
		Expect(widthOf(strings.TrimSuffix(line, "\n"))).To(BeNumerically("<=", width), line)
	}
},
	Entry("of 80 columns", 80, false, "80.txt"),
	Entry("of 120 columns", 120, false, "120.txt"),
	Entry("or is as wide as it is asked for", 80, true, "wide.txt"),
	Entry("or has a line for each object where there is none", 0, false, "pipe.txt"),
)

var _ = Describe("Many objects with one reason", func() {
	It("are one row on a terminal, and a row each in a pipe or a wide status", func() {
		objects := append(many(42, status.Blocked, "NotOwned", "vg0/NAME is not managed by volreconciler, and another volume has its name: adopt it"),
			status.Object{Kind: spec.KindVolume, Name: "well", Phase: status.Ready, Reason: status.ReasonAsDesired})
		for i := range objects {
			objects[i].Volume = &status.Volume{Size: gib, Active: true, ExportedBy: []string{"web", "backup"}}
		}
		node := status.Report{Objects: objects}
		Expect(aScreen(80, false, node, time.Time{})).To(Equal(`NAME             PHASE    REASON     SIZE  POOL  USED  EXPORTED BY  CONNECTED
v00 and 41 more  Blocked  NotOwned   -     -     -     -            -
    42 objects: vg0/v00 is not managed by volreconciler, and another volume has
    its name: adopt it
well             Ready    AsDesired  1Gi   -     0B    web,+1       0
`))
		for _, text := range []string{aScreen(0, false, node, time.Time{}), aScreen(80, true, node, time.Time{})} {
			Expect(strings.Count(text, "Blocked")).To(Equal(42))
			Expect(text).To(ContainSubstring("  web,backup  "))
			Expect(strings.Count(text, "not managed")).To(Equal(1))
		}
	})
})

var _ = Describe("A line for the terminal", func() {
	hostile := "a\x1b]0;title\x07b\x9b31mc\u202ed\u2028e\x00f\u009bg\r\nh"

	It("has nothing that the terminal obeys, wherever it comes from", func() {
		node, noon := aNode()
		node.Findings[0].Message, node.Findings[0].File, node.Warnings = hostile, hostile, []string{hostile}
		for i := range node.Objects {
			node.Objects[i].Name, node.Objects[i].Message, node.Objects[i].Reason = hostile, hostile, hostile
		}
		node.Objects[1].Volume.DevicePath, node.Objects[1].Volume.WWN, node.Objects[1].Volume.ExportedBy = hostile, hostile, []string{hostile}
		node.Objects[3].Export.Target, node.Objects[3].Export.Sessions = hostile, []string{hostile}
		for _, width := range []int{0, 80} {
			text := aScreen(width, true, node, noon)
			for _, o := range node.Objects {
				var out strings.Builder
				Expect(describe(&out, screen{width: width}, o, noon)).To(Succeed())
				text += out.String()
			}
			Expect(text).NotTo(obeyed())
			Expect(strings.Count(text, "]0;title")).To(BeNumerically(">", 10), "it is there, but harmless")
		}
		var out strings.Builder
		printError(&out, errorText(hostile))
		Expect(out.String()).NotTo(obeyed())
	})

	It("has nothing of that in a plan either", func() {
		id := spec.ID{Kind: spec.KindExport, Name: hostile}
		made := plan.Plan{
			Steps: []plan.Step{{
				Object: id, Change: change.RemoveTarget{Target: change.Target{Name: hostile}}, Why: hostile, Danger: "outage", Affects: []string{hostile},
			}},
			Objects: []status.Object{
				{Kind: spec.KindExport, Name: hostile, Phase: status.Blocked, Reason: hostile, Message: hostile},
				{Kind: spec.KindVolume, Name: hostile, Phase: status.Failed, Reason: hostile, Message: hostile},
				{Kind: spec.KindPool, Name: "a", Pool: &status.Pool{VolumeGroup: hostile, ThinPool: hostile, ProvisionedAfter: gib}},
			},
			Warnings: []plan.Warning{{Object: id, Message: hostile}},
		}
		for _, name := range []string{"a", "b", "c", "d"} { // a group, of which one is named
			made.Objects = append(made.Objects, status.Object{
				Kind: spec.KindPool, Name: hostile + name, Phase: status.Blocked, Reason: hostile, Message: name + " " + strings.Repeat(hostile, 9),
			})
		}
		Expect(planText(made, painter{})).NotTo(obeyed())
	})

	It("breaks between words, and never within one", func() {
		Expect(wrap("one two three", 7)).To(Equal([]string{"one two", "three"}))
		Expect(wrap("/a/very/long/path is it", 6)).To(Equal([]string{"/a/very/long/path", "is it"}))
		Expect(wrap("データ データ", 8)).To(Equal([]string{"データ", "データ"}), "each letter is two columns wide")
		Expect(wrap("", 8)).To(Equal([]string{""}))
	})
})

type errorText string

func (e errorText) Error() string { return string(e) }

// obeyed matches a text with characters that a terminal obeys.
func obeyed() types.GomegaMatcher {
	return WithTransform(func(text string) bool {
		return strings.ContainsAny(text, "\x1b\x07\u202e\u2028\x00\u009b\r") || !utf8.ValidString(text)
	}, BeTrue())
}

var _ = Describe("Colours", func() {
	It("are for terminals, unless somebody says otherwise", func() {
		file, err := os.Create(filepath.Join(GinkgoT().TempDir(), "out"))
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(file.Close)
		Expect(painterFor(file, colourAuto).colours).To(BeFalse(), "it is no terminal")
		Expect(painterFor(file, colourNever).colours).To(BeFalse())
		Expect(painterFor(file, colourAlways).colours).To(BeTrue())
		Expect(screenFor(file, colourAlways).width).To(BeZero(), "and it has no edge")
	})
})

var _ = DescribeTable("Selecting by labels",
	func(text string, selected bool) {
		s, err := selectorOf(text)
		Expect(err).NotTo(HaveOccurred())
		Expect(s.matches(map[string]string{"tier": "gold", "app.org/name": "db", "empty": ""})).To(Equal(selected))
	},
	Entry(nil, "", true),
	Entry(nil, "tier=gold", true),
	Entry(nil, "tier==gold", true),
	Entry(nil, "tier=silver", false),
	Entry(nil, "tier!=silver", true),
	Entry(nil, "tier!=gold", false),
	Entry(nil, "other!=gold", true),
	Entry(nil, "tier", true),
	Entry(nil, "other", false),
	Entry(nil, "!other", true),
	Entry(nil, "!tier", false),
	Entry(nil, "empty=", true),
	Entry(nil, "tier=", false),
	Entry(nil, "tier=gold, app.org/name=db", true),
	Entry(nil, "tier=gold,app.org/name=web", false),
)

var _ = DescribeTable("A selector that is none is refused", func(text string) {
	_, err := selectorOf(text)
	Expect(err).To(MatchError(ContainSubstring("write KEY=VALUE")))
}, Entry(nil, "="), Entry(nil, ","), Entry(nil, "a in (b)"), Entry(nil, "a=b=c"), Entry(nil, "a="+"b,,"), Entry(nil, "!"), Entry(nil, "!!a"))

var _ = DescribeTable("Sorting objects", func(order string, expected ...string) {
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	of := func(name string, phase status.Phase, reason string, minutes time.Duration, size uint64, sessions ...string) status.Object {
		v := &status.Volume{Size: size, Allocated: 10 - size}
		for _, who := range sessions {
			v.Attachments = append(v.Attachments, status.Attachment{Export: "x", Initiator: who})
		}
		return status.Object{Kind: spec.KindVolume, Name: name, Phase: phase, Reason: reason, Since: noon.Add(-minutes * time.Minute), Volume: v}
	}
	objects := []status.Object{
		{Kind: spec.KindPool, Name: "p", Phase: status.Ready, Reason: "Z", Since: noon.Add(-time.Hour)},
		of("c", status.Ready, "C", 3, 3, "i", "i"),
		of("a", status.Blocked, "B", 1, 1),
		of("b", status.Failed, "A", 2, 2, "i", "j"),
	}
	sortBy(objects, order)
	var names []string
	for _, o := range objects {
		names = append(names, o.Name)
	}
	Expect(names).To(Equal(append([]string{"p"}, expected...)))
},
	Entry(nil, "", "c", "a", "b"),
	Entry(nil, "name", "a", "b", "c"),
	Entry(nil, "phase", "b", "a", "c"),
	Entry(nil, "reason", "b", "a", "c"),
	Entry(nil, "age", "a", "b", "c"),
	Entry(nil, "size", "c", "b", "a"),
	Entry(nil, "used", "a", "b", "c"),
	Entry(nil, "connected", "b", "c", "a"),
)
