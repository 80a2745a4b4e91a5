package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// scsiResults are the tests of iscsi-test-cu that passed, or were skipped, and those that failed, as
// SUITE.TEST. The value is the first failed condition.
type scsiResults struct {
	passed int
	failed map[string]string
}

// parseSCSIResults reads the report, of which a line is an element. Its conditions are C, and not
// escaped, so that it is no XML.
func parseSCSIResults(report string) scsiResults {
	r := scsiResults{failed: map[string]string{}}
	element := func(line, name string) (string, bool) {
		text, is := strings.CutPrefix(strings.TrimSpace(line), "<"+name+">")
		return strings.TrimSpace(strings.TrimSuffix(text, "</"+name+">")), is
	}
	suite, failure, test := "", false, ""
	for line := range strings.Lines(report) {
		if text, is := element(line, "SUITE_NAME"); is {
			suite = text
		} else if _, is := element(line, "CUNIT_RUN_TEST_SUCCESS"); is {
			failure = false
			r.passed++
		} else if _, is := element(line, "CUNIT_RUN_TEST_FAILURE"); is {
			failure = true
		} else if text, is := element(line, "TEST_NAME"); is {
			test = suite + "." + text
		} else if text, is := element(line, "FILE_NAME"); is && failure {
			if _, before := r.failed[test]; !before {
				r.failed[test] = text
			}
		} else if text, is := element(line, "LINE_NUMBER"); is && failure && !strings.Contains(r.failed[test], ":") {
			r.failed[test] += ":" + text
		} else if text, is := element(line, "CONDITION"); is && failure && !strings.Contains(r.failed[test], " ") {
			r.failed[test] += " " + text
		}
	}
	return r
}

// scsiSuite runs tests of iscsi-test-cu that match, among them those that destroy data, against LUN 0
// of a target, over two paths.
func scsiSuite(ctx context.Context, target, tests string) scsiResults {
	GinkgoHelper()
	return parseSCSIResults(sh(ctx, fmt.Sprintf(`mkdir -p /tmp/suite && cd /tmp/suite && rm -f *.xml
		timeout -k 10 900 iscsi-test-cu --dataloss --xml --test %[2]s -i %[3]s -I %[4]s iscsi://127.0.0.1:3260/%[1]s/0 iscsi://127.0.0.2:3260/%[1]s/0 >output 2>&1
		cat CUnitAutomated-Results.xml || { tail -n 20 output >&2; exit 1; }`, target, tests, dbHost, mailHost)))
}

// reservationTests are the suites of persistent reservations.
var reservationTests = []string{"Prin", "Prout"}

// Linux itself fails some tests of the suite, on some kernels more. What counts is that no target of
// ours fails one that the same kernel passes when somebody else has made the target.
var _ = DescribeTable("An initiator finds no fault in our target that targetcli's does not have",
	func(ctx SpecContext, pool, create, unmap string) {
		const theirs = "iqn.2003-01.org.example:theirs"
		specs(ctx, "all.yaml", thinPool, thickPool, volume("ours", pool, "64Mi", ""),
			fmt.Sprintf("kind: Export\nmetadata: {name: ours}\nspec: {protocol: iscsi, luns: [{volume: ours}], initiators: [{name: %q}, {name: %q}]}", dbHost, mailHost))
		agent()
		allReady(ctx, 4)

		By("making the same with targetcli")
		backstore := "/sys/kernel/config/target/core/iblock_*/"
		attributes := ""
		if unmap != "" {
			// With some kernels discards need WRITE SAME as well: what the agent found is good for both.
			attributes = "targetcli /backstores/block/theirs set attribute emulate_tpu=1 emulate_tpws=$(cat " + backstore + "volreconciler:*/attrib/emulate_tpws)"
		}
		sh(ctx, `set -e
			`+create+`
			targetcli /backstores/block create theirs /dev/vg0/theirs
			targetcli /iscsi create `+theirs+`
			targetcli /iscsi/`+theirs+`/tpg1/luns create /backstores/block/theirs
			for initiator in `+dbHost+` `+mailHost+`; do targetcli /iscsi/`+theirs+`/tpg1/acls create $initiator; done
			`+attributes)
		DeferCleanup(func(ctx SpecContext) { try(ctx, "targetcli clearconfig confirm=True") }, NodeTimeout(limit))
		passes(ctx, 2)

		By("trying both")
		yours, mine := scsiSuite(ctx, theirs, "ALL"), scsiSuite(ctx, target("ours"), "ALL")
		AddReportEntry(fmt.Sprintf("iscsi-test-cu on %s: of targetcli's target %d passed, %d failed; of ours %d passed, %d failed %q",
			pool, yours.passed, len(yours.failed), mine.passed, len(mine.failed), slices.Sorted(maps.Keys(mine.failed))), ReportEntryVisibilityAlways)
		Expect(yours.passed+len(yours.failed)).To(BeNumerically(">=", 230), "tests")
		Expect(mine.passed + len(mine.failed)).To(Equal(yours.passed + len(yours.failed)))
		Expect(mine.passed).To(BeNumerically(">", 150))
		for test := range mine.failed {
			for _, suite := range reservationTests {
				Expect(test).NotTo(HavePrefix(suite), mine.failed[test])
			}
		}
		extra := maps.Clone(mine.failed)
		maps.DeleteFunc(extra, func(test, _ string) bool { _, too := yours.failed[test]; return too })
		Expect(extra).To(BeEmpty(), "only our target fails")

		By("leaving everything as it was")
		allReady(ctx, 4)
		Expect(sh(ctx, "ls /sys/kernel/config/target/iscsi/"+theirs+"/tpgt_1/lun")).To(Equal("lun_0"))
	},
	Entry("on a thick volume", Label("long"), "slow", "lvcreate -qq -y -Wy -Zy -n theirs -L 64m vg0", "", NodeTimeout(limit*2)),
	Entry("on a thin one", Label("long"), "fast", "lvcreate -qq -y -V 64m -T vg0/pool0 -n theirs", "emulate_tpu", NodeTimeout(limit*2)),
)
