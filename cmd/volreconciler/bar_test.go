package main

import (
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// aCopy is a volume that is being filled.
func aCopy() status.Object {
	return status.Object{
		Kind: spec.KindVolume, Name: "db", Phase: status.Progressing, Reason: status.ReasonConverging,
		Message: "fill vg0/db from vg0/old: 42%, 1.2GiB/s, 3m left",
		Progress: &status.Progress{
			Type: "Populate", Summary: "fill vg0/db from vg0/old", Done: 42 * gib, Total: 100 * gib, Rate: 1288490188, LeftSeconds: 180,
		},
	}
}

var _ = Describe("The progress of a job", func() {
	DescribeTable("is a bar", func(done, total uint64, drawn string) {
		Expect(bar(&status.Progress{Done: done, Total: total})).To(Equal(drawn))
	},
		Entry("that is empty", uint64(0), uint64(9), "[--------------------]"),
		Entry("that grows", uint64(42), uint64(100), "[########------------]"),
		Entry("that is full only at the end", uint64(999), uint64(1000), "[###################-]"),
		Entry("that never overflows", uint64(12), uint64(10), "[####################]"),
		Entry("or none", uint64(12), uint64(0), ""),
	)

	It("is in the table's message, and a field of its own in the description", func() {
		var out strings.Builder
		Expect(writeObjects(&out, screen{width: 160}, []status.Object{aCopy()}, false, time.Time{})).To(Succeed())
		Expect(out.String()).To(ContainSubstring("  [########------------] fill vg0/db from vg0/old: 42%, 1.2GiB/s, 3m left\n"))
		out.Reset()
		Expect(describe(&out, screen{width: 120}, aCopy(), time.Time{})).To(Succeed())
		Expect(out.String()).To(MatchRegexp(`(?m)^Progress: +\[########------------\] 42%, 1.2GiB/s, 3m left, 42Gi of 100Gi$`))
	})

	It("is drawn anew in its place while apply runs, and never wraps", func() {
		var out strings.Builder
		p := newProgress(&out)
		waiting := aCopy()
		waiting.Name, waiting.Progress = "web", &status.Progress{Summary: "fill vg0/web from vg0/old", Waiting: true}
		lines := jobLines([]status.Object{aCopy(), waiting}, 60)
		Expect(lines).To(Equal([]string{
			"runs   Volume/db: [########------------] 42%, 1.2GiB/s, 3m ",
			"runs   Volume/web: waiting for other jobs to end, fill vg0/",
		}))
		waiting.Progress.Summary = "fill vg0/web from image /srv/" + strings.Repeat("\u5f71", 30) // two columns each
		Expect(widthOf(jobLines([]status.Object{waiting}, 100)[0])).To(BeNumerically("<", 100))
		p.redraw(lines)
		p.redraw(lines[:1])
		p.redraw(nil)
		Expect(out.String()).To(Equal(lines[0] + "\n" + lines[1] + "\n" + "\x1b[2A\x1b[J" + lines[0] + "\n" + "\x1b[1A\x1b[J"))
	})

	It("is a line now and then where there is no terminal", func() {
		var out strings.Builder
		p := newProgress(&out)
		now := time.Now()
		for range 3 {
			p.printLines([]status.Object{aCopy()}, now)
			now = now.Add(tellEvery / 2)
		}
		line := "runs   Volume/db: fill vg0/db from vg0/old: 42%, 1.2GiB/s, 3m left\n"
		Expect(out.String()).To(Equal(line + line))
	})
})
