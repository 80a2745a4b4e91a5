package spec_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Objects of backups", func() {
	const (
		scheduled = "db-hourly-20261129t013500z"
		restic    = "url: /srv/b, " + aPassword
	)
	base := aPool + aVolume
	aSchedule := schedule("db-hourly", "volumes: [db], "+hourly)
	labelled := func(name, labels string) string {
		return header + "Volume\nmetadata: {name: " + name + ", labels: {" + labels + "}}\nspec: {pool: fast, size: 1Gi}\n---\n"
	}
	named := func(kind, name, fields string) string {
		return header + kind + "\nmetadata: {name: " + mark + name + "}\nspec: {" + fields + "}\n---\n"
	}

	DescribeTable("are wrong together",
		func(marked, path, message string, invalid ...string) {
			text, line, column := place(marked)
			set := loadText(text)
			Expect(errorsOf(set.Findings)).To(HaveLen(1))
			f := set.Findings[0]
			Expect(f.Err).To(MatchError(ContainSubstring(message)))
			Expect(f.Path).To(Equal(path))
			Expect([]int{f.Line, f.Column}).To(Equal([]int{line, column}), f.Error())
			Expect(set.Invalid).To(HaveLen(len(invalid)))
			for _, id := range ids(invalid...) {
				Expect(set.Invalid).To(HaveKey(id))
			}
			for id := range set.Invalid {
				Expect(contains(set, id)).To(BeFalse(), id.String())
			}
		},
		Entry("a schedule of no such Volume", base+schedule("s", "volumes: [db, "+mark+"dbb], "+hourly),
			"spec.volumes[1]", `Volume "dbb" is not declared; did you mean "db"?`, "SnapshotSchedule/s"),
		Entry("a schedule to no such Repository", base+aRepository+schedule("s", "volumes: [db], "+hourly+`, backup: {repository: `+mark+`offsit, at: "@daily", keep: {last: 1}}`),
			"spec.backup.repository", `Repository "offsit" is not declared; did you mean "offsite"?`, "SnapshotSchedule/s"),
		Entry("drills in no such Pool", base+aRepository+schedule("s", "volumes: [db], "+hourly+", backup: {"+nightly+", drill: {every: 24h, pool: "+mark+"fsat}}"),
			"spec.backup.drill.pool", `Pool "fsat" is not declared; did you mean "fast"?`, "SnapshotSchedule/s"),
		Entry("a Backup of no such Volume", base+aRepository+backup("b", "volume: "+mark+"web, repository: offsite"), "spec.volume", `Volume "web" is not declared`, "Backup/b"),
		Entry("a Backup in no such Repository", base+backup("b", "volume: db, repository: "+mark+"offsite"), "spec.repository", `Repository "offsite" is not declared`, "Backup/b"),
		Entry("a revert from no such Repository", aPool+volume("db", "pool: fast, size: 1Gi, revert: {request: r, backup: {volume: db, at: latest, repository: "+mark+"offsite}}"),
			"spec.revert.backup.repository", `Repository "offsite" is not declared`, "Volume/db"),
		Entry("two Repositories in one place", aRepository+repository("r", "url: "+mark+"/srv/b, "+aPassword, ""),
			"spec.restic.url", "its repository is also declared by Repository/offsite (", "Repository/offsite", "Repository/r"),
		Entry("two Repositories in one place, by its scheme", aRepository+repository("r", "url: "+mark+"'local:/srv/b', "+aPassword, ""),
			"spec.restic.url", "its repository is also declared by Repository/offsite (", "Repository/offsite", "Repository/r"),
		Entry("two Repositories in one place, with a slash", repository("a", "url: 's3:h/b', "+aPassword, "")+repository("b", "url: "+mark+"'s3:h/b/', "+aPassword, ""),
			"spec.restic.url", "its repository is also declared by Repository/a (", "Repository/a", "Repository/b"),
		Entry("one Repository twice", aRepository+named("Repository", "offsite", "restic: {"+strings.Replace(restic, "/b", "/c", 1)+"}"),
			"metadata.name", "Repository/offsite is already declared at ", "Repository/offsite"),
		Entry("one schedule twice", base+aSchedule+named("SnapshotSchedule", "db-hourly", "volumes: [db], "+hourly),
			"metadata.name", "SnapshotSchedule/db-hourly is already declared at ", "SnapshotSchedule/db-hourly"),
		Entry("one Backup twice", base+aRepository+backup("b", "volume: db, repository: offsite")+named("Backup", "b", "volume: db, repository: offsite"),
			"metadata.name", "Backup/b is already declared at ", "Backup/b"),
		Entry("two schedules whose snapshots have one name", aPool+labelled("b-c", "x: a")+labelled("c", "x: b")+schedule("a", "selector: {matchLabels: {x: a}}, "+hourly)+
			named("SnapshotSchedule", "a-b", "selector: {matchLabels: {x: b}}, "+hourly),
			"metadata.name", "the name of snapshots of Volume/c is also declared by SnapshotSchedule/a (", "SnapshotSchedule/a", "SnapshotSchedule/a-b"),
		Entry("a schedule of one Volume, and one of several", base+labelled("hourly", "x: a")+schedule("db", "selector: {matchLabels: {x: a}}, "+hourly)+
			named("SnapshotSchedule", "db-hourly", "volumes: [db], "+hourly),
			"metadata.name", "the name of snapshots of Volume/db is also declared by SnapshotSchedule/db (", "SnapshotSchedule/db", "SnapshotSchedule/db-hourly"),
		Entry("names too long for the device", header+"Pool\nmetadata: {name: p}\nspec: {volumeGroup: "+strings.Repeat("v", 100)+"}\n---\n"+volume("a", "pool: p, size: 1Gi")+
			named("SnapshotSchedule", "hourly-of-a", "volumes: [a], "+hourly),
			"metadata.name", "snapshots of Volume/a: the device name of", "SnapshotSchedule/hourly-of-a"),
		Entry("a LUN that no schedule has", base+aSchedule+export("e", "luns: [{snapshot: "+mark+"web-hourly-20261129t013500z}]"),
			"spec.luns[0].snapshot", `Snapshot "web-hourly-20261129t013500z" is not declared`, "Export/e"),
		Entry("a LUN of a moment that is none", base+aSchedule+export("e", "luns: [{snapshot: "+mark+"db-hourly-20261329t013500z}]"),
			"spec.luns[0].snapshot", `Snapshot "db-hourly-20261329t013500z" is not declared`, "Export/e"),
		Entry("an Image that no schedule has", base+header+"Image\nmetadata: {name: i}\nspec: {path: /a/b, format: raw, snapshot: "+mark+scheduled+"}\n",
			"spec.snapshot", `Snapshot "`+scheduled+`" is not declared`, "Image/i"),
		Entry("a revert that no schedule has", aPool+volume("db", "pool: fast, size: 1Gi, revert: {request: r, snapshot: "+mark+scheduled+"}"),
			"spec.revert.snapshot", "Snapshot \""+scheduled+"\" is not declared (after a finished revert, spec.revert can be removed)", "Volume/db"),
		Entry("a Volume of a scheduled name", base+aSchedule+export("e", "luns: [{volume: "+mark+scheduled+"}]"),
			"spec.luns[0].volume", `Volume "`+scheduled+`" is not declared`, "Export/e"),
	)

	// references are all that may refer to a scheduled snapshot.
	references := export("e", "luns: [{snapshot: "+scheduled+", readOnly: true}]") +
		header + "Image\nmetadata: {name: i}\nspec: {path: /a/b, format: raw, snapshot: " + scheduled + "}\n---\n" +
		volume("copy", "pool: fast, size: 1Gi, source: {snapshot: "+scheduled+"}") +
		volume("back", "pool: fast, size: 1Gi, revert: {request: r, snapshot: "+scheduled+"}")

	It("may refer to a snapshot of a declared schedule", func() {
		set := loadText(base + aSchedule + references)
		Expect(errorsOf(set.Findings)).To(BeEmpty())
		Expect(set.Exports).To(HaveKey("e"))
		Expect(set.Images).To(HaveKey("i"))
		Expect(set.Volumes).To(And(HaveKey("copy"), HaveKey("back")))
		Expect(set.Snapshots).To(BeEmpty())
	})

	It("may refer to a snapshot of a schedule that is declared with an error", func() {
		set := loadText(base + schedule("db-hourly", "volumes: [db], "+hourly+", timeZone: CEST") + references)
		Expect(errorsOf(set.Findings)).To(HaveExactElements(ContainSubstring("spec.timeZone")))
		Expect(set.Invalid).To(HaveLen(1))
		set = loadText(base + aSchedule + aSchedule + references)
		Expect(errorsOf(set.Findings)).To(HaveExactElements(ContainSubstring("already declared")))
		Expect(set.Invalid).To(HaveLen(1))
	})

	It("hold the name of a scheduled snapshot that is declared to what it declares", func() {
		expectOneFinding(base+aSchedule+snapshot(scheduled, "volume: db")+volume("back", "pool: fast, size: 1Gi, revert: {request: r, snapshot: "+mark+scheduled+"}"),
			"spec.revert.snapshot", "is a snapshot of Volume/db; a Volume can only revert to its own snapshots")
	})

	It("may be filled from what is not declared: it may have been read", func() {
		set := loadText(aPool + volume("db", "pool: fast, size: 1Gi, source: {snapshot: "+scheduled+"}") +
			volume("a", "pool: fast, size: 1Gi, source: {backup: {repository: gone, volume: gone, at: latest}}"))
		Expect(errorsOf(set.Findings)).To(BeEmpty())
	})

	It("are many, and each is there", func() {
		set := loadText(base + aRepository + aSchedule + backup("b", "volume: db, repository: offsite") + labelled("web", "x: a") +
			repository("two", "url: '"+"sftp:h:/srv/b"+"', "+aPassword, "") + schedule("hourly", "selector: {matchLabels: {x: a}}, "+hourly+", backup: {"+nightly+"}"))
		Expect(errorsOf(set.Findings)).To(BeEmpty())
		Expect(set.Len()).To(Equal(8))
		Expect(set.IDs()).To(ConsistOf(ids("Pool/fast", "Volume/db", "Volume/web", "Repository/offsite", "Repository/two",
			"SnapshotSchedule/db-hourly", "SnapshotSchedule/hourly", "Backup/b")...))
		for _, id := range set.IDs() {
			Expect(set.Has(id)).To(BeTrue(), id.String())
			Expect(set.Object(id)).NotTo(BeNil(), id.String())
			Expect(contains(set, id)).To(BeTrue(), id.String())
			Expect(spec.CompareIDs(id, id)).To(BeZero())
		}
	})
})
