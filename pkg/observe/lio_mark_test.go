package observe

import (
	"io/fs"
	"strings"
	"testing/fstest"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("the mark of an iSCSI target's owner", func() {
	const iqn = "iqn.2026-11.io.volreconciler:db"
	var files *recordedFiles

	BeforeEach(func() { files = readRecording("testdata/lio_6.1.txt") })

	DescribeTable("is read from the portal group, or from the alias where older agents put it",
		func(mark, alias, owner string, inAlias bool) {
			dir := ISCSITarget(iqn)
			files.tree[dir.Mark()[1:]] = &fstest.MapFile{Data: []byte(mark)}
			files.tree[dir.Alias()[1:]] = &fstest.MapFile{Data: []byte(alias)}
			t, err := ReadTarget(files, dir)
			Expect(err).NotTo(HaveOccurred())
			id, ours := t.Owner()
			Expect(ours).To(Equal(owner != ""))
			if ours {
				Expect(id).To(Equal(spec.ID{Kind: spec.KindExport, Name: owner}))
			}
			Expect(t.MarkInAlias).To(Equal(inAlias))
			Expect(t.Empty()).To(BeFalse(), "it has LUNs")
		},
		Entry("nobody's", "\n", "LIO Target\n", "", false),
		Entry("ours", "volreconciler:db\n", "LIO Target\n", "db", false),
		Entry("ours, restored by targetcli", "volreconciler:db\n\n", "LIO Target\n", "db", false),
		Entry("ours, with an alias that an administrator gave it", "volreconciler:db\n", "database\n", "db", false),
		Entry("ours, of the longest name", "volreconciler:"+strings.Repeat("n", 63)+"\n", "LIO Target\n", strings.Repeat("n", 63), false),
		Entry("an older agent's", "\n", "volreconciler:db\n", "db", true),
		Entry("an older agent's, with the other one unset", "NULL\n", "volreconciler:db\n", "db", true),
		Entry("an older agent's, with another text in the other one", "somebody\n", "volreconciler:db\n", "db", true),
		Entry("one that is being moved", "volreconciler:db\n", "volreconciler:db\n", "db", true),
		Entry("two that contradict each other", "volreconciler:db\n", "volreconciler:web\n", "", false),
		Entry("somebody else's", "somebody\n", "LIO Target\n", "", false),
	)

	It("stays in the alias on a node that an older version captured", func() {
		dir := ISCSITarget(iqn)
		delete(files.tree, dir.Mark()[1:])
		files.tree[dir.Alias()[1:]] = &fstest.MapFile{Data: []byte("volreconciler:db\n")}
		Expect(ReadTarget(files, dir)).To(And(HaveField("Mark", "volreconciler:db"), HaveField("MarkInAlias", false)))
	})

	DescribeTable("keeps a target from being an empty shell",
		func(mark, alias string, empty bool) {
			dir := ISCSITarget("iqn.2026-11.io.volreconciler:empty")
			files.tree[dir.Mark()[1:]] = &fstest.MapFile{Data: []byte(mark)}
			files.tree[dir.Alias()[1:]] = &fstest.MapFile{Data: []byte(alias)}
			t, err := ReadTarget(files, dir)
			Expect(err).NotTo(HaveOccurred())
			Expect(t.Empty()).To(Equal(empty))
		},
		Entry("of nobody", "\n", "LIO Target\n", true),
		Entry("of nobody, with an alias that was removed", "NULL\n", "\n", true),
		Entry("of ours", "volreconciler:empty\n", "LIO Target\n", false),
		Entry("of an older agent", "\n", "volreconciler:empty\n", false),
		Entry("of two", "volreconciler:a\n", "volreconciler:b\n", false),
		Entry("of somebody", "somebody\n", "LIO Target\n", false),
	)

	It("reports nothing if it cannot be read", func() {
		files.fail(ISCSITarget(iqn).Mark(), fs.ErrPermission, 100)
		_, err := ReadTarget(files, ISCSITarget(iqn))
		Expect(err).To(MatchError(fs.ErrPermission))
	})
})
