package spec_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// repository, schedule and backup are documents with only the interesting lines left to write.
func repository(name, restic, more string) string {
	return header + "Repository\nmetadata: {name: " + name + "}\nspec: {restic: {" + restic + "}" + more + "}\n---\n"
}

func schedule(name, fields string) string {
	return header + "SnapshotSchedule\nmetadata: {name: " + name + "}\nspec: {" + fields + "}\n---\n"
}

func backup(name, fields string) string {
	return header + "Backup\nmetadata: {name: " + name + "}\nspec: {" + fields + "}\n---\n"
}

const (
	aPassword   = "passwordFrom: {file: /secret}"
	aRepository = header + "Repository\nmetadata: {name: offsite}\nspec: {restic: {url: /srv/b, " + aPassword + "}}\n---\n"
	hourly      = `at: "@hourly", keep: {last: 1}`
	nightly     = `repository: offsite, at: "@daily", keep: {daily: 7}`
)

var _ = Describe("A Repository", func() {
	DescribeTable("has a URL that restic takes",
		func(url string) {
			set := loadText(repository("r", "url: '"+url+"', "+aPassword, ""))
			Expect(errorsOf(set.Findings)).To(BeEmpty())
			Expect(set.Repositories["r"].Spec.Restic.URL).To(Equal(url))
		},
		Entry("directory", "/srv/backups/node7"),
		Entry("directory with a colon and an at sign", "/srv/a:b@c"),
		Entry("directory, by its scheme", "local:/srv/a"),
		Entry("sftp as scp has it", "sftp:backup@host:/srv/a"),
		Entry("sftp of a directory in the home", "sftp:backup@host:a"),
		Entry("sftp as a URL", "sftp://backup@[::1]:2222//srv/a"),
		Entry("sftp with an at sign in the path", "sftp:host:/srv/a@b:c"),
		Entry("rest", "rest:https://host:8000/node7/"),
		Entry("rest, with a user", "rest:https://node7@host:8000/"),
		Entry("s3", "s3:s3.amazonaws.com/bucket"),
		Entry("s3 of another server", "s3:https://s3.example.org/backups/node7"),
		Entry("swift", "swift:container:/path"),
		Entry("b2", "b2:bucket:path"),
		Entry("azure", "azure:container:/"),
		Entry("gs", "gs:bucket:/"),
		Entry("rclone", "rclone:remote:path"),
	)

	DescribeTable("has a URL that cannot be, and that is not repeated",
		func(marked, message string) {
			text := repository("r", "url: "+marked+", "+aPassword, "")
			expectOneFinding(text, "spec.restic.url", message)
			text, _, _ = place(text)
			Expect(errorsOf(loadText(text).Findings)[0]).NotTo(ContainSubstring("hunter2"))
		},
		Entry("relative", mark+"srv/a", "must be an absolute path, or a URL as restic takes it"),
		Entry("path with dots", mark+"/srv/../a", "without ., .. or double slashes"),
		Entry("path with a colon and dots", mark+"/srv/./a:b", "without ., .. or double slashes"),
		Entry("local and relative", mark+"'local:srv'", "must be an absolute path"),
		Entry("option", mark+"'-o'", "must be an absolute path, or a URL"),
		Entry("no backend", mark+"'https://host/a'", "(allowed beginnings: local:, sftp:, rest:, s3:, swift:, b2:, azure:, gs:, rclone:)"),
		Entry("in capitals", mark+"'S3:host/a'", "allowed beginnings"),
		Entry("nothing behind the backend", mark+"'s3:'", "allowed beginnings"),
		Entry("space", mark+"'/srv/a b'", "printable ASCII characters without spaces"),
		Entry("another script", mark+"/srv/ä", "printable ASCII characters without spaces"),
		Entry("password", mark+"'rest:https://node7:hunter2@host/'", "must not contain a password (before @)"),
		Entry("password with a slash", mark+"'rest:https://node7:hun/hunter2@host/'", "must not contain a password (before @)"),
		Entry("password with a percent sign", mark+"'rest:https://node7:hunter2%@host/'", "must not contain a password (before @)"),
		Entry("key of an object store", mark+"'s3:https://id:hunter2@host/b'", "must not contain a password (before @)"),
		Entry("password for sftp", mark+"'sftp://u:hunter2@host/a'", "must not contain a password (before @)"),
		Entry("password for sftp as scp would have it", mark+"'sftp:u:hunter2@host:/a'", "must not contain a password (before @)"),
		Entry("empty", mark+"''", "is empty"),
	)

	DescribeTable("cannot be",
		func(marked, path, message string) { expectOneFinding(marked, path, message) },
		Entry("no place", header+"Repository\nmetadata: {name: r}\nspec: {"+mark+"restic: {"+aPassword+"}}\n", "spec.restic.url", "is missing"),
		Entry("no password", header+"Repository\nmetadata: {name: r}\nspec: {"+mark+"restic: {url: /a/b}}\n", "spec.restic.passwordFrom", "is missing"),
		Entry("relative password file", repository("r", "url: /a/b, passwordFrom: {file: "+mark+"secret}", ""), "spec.restic.passwordFrom.file", "must be an absolute path"),
		Entry("relative file of a variable", repository("r", "url: /a/b, "+aPassword+", environmentFrom: {AWS_ACCESS_KEY_ID: {file: "+mark+"id}}", ""),
			"spec.restic.environmentFrom[AWS_ACCESS_KEY_ID].file", "must be an absolute path"),
		Entry("no file of a variable", repository("r", "url: /a/b, "+aPassword+", environmentFrom: {"+mark+"AWS_ACCESS_KEY_ID: {}}", ""),
			"spec.restic.environmentFrom[AWS_ACCESS_KEY_ID].file", "is missing"),
		Entry("unknown field of a variable", repository("r", "url: /a/b, "+aPassword+", environmentFrom: {A: {file: /a, "+mark+"fil: /b}}", ""),
			"spec.restic.environmentFrom[A].fil", `did you mean "file"?`),
		Entry("text for a variable", repository("r", "url: /a/b, "+aPassword+", environmentFrom: {A: "+mark+"x}", ""),
			"spec.restic.environmentFrom[A]", "must be a mapping, but is a string (allowed fields: file)"),
		Entry("null for a variable", repository("r", "url: /a/b, "+aPassword+", environmentFrom: {A: "+mark+"~}", ""), "spec.restic.environmentFrom[A]", "has no value"),
		Entry("list of variables", repository("r", "url: /a/b, "+aPassword+", environmentFrom: "+mark+"[a]", ""), "spec.restic.environmentFrom", "must be a mapping"),
		Entry("no name of a variable", repository("r", "url: /a/b, "+aPassword+", environmentFrom: {AWS-KEY: "+mark+"{file: /a}}", ""),
			"spec.restic.environmentFrom[AWS-KEY]", `"AWS-KEY" is not the name of a variable; only letters, digits and _ are allowed`),
		Entry("variable of our own", repository("r", "url: /a/b, "+aPassword+", environmentFrom: {RESTIC_PASSWORD: "+mark+"{file: /a}}", ""),
			"spec.restic.environmentFrom[RESTIC_PASSWORD]", "RESTIC_PASSWORD is set by the agent itself; use url and passwordFrom, or remove it"),
		Entry("variable of the loader", repository("r", "url: /a/b, "+aPassword+", environmentFrom: {LD_PRELOAD: "+mark+"{file: /a}}", ""),
			"spec.restic.environmentFrom[LD_PRELOAD]", "LD_PRELOAD is set by the agent itself"),
		Entry("no percentage", repository("r", "url: /a/b, "+aPassword, ", prune: {maxUnused: "+mark+"'10'}"), "spec.prune.maxUnused", `"10" is not a percentage (allowed: 0% to 100%)`),
		Entry("more than all", repository("r", "url: /a/b, "+aPassword, ", prune: {maxUnused: "+mark+"101%}"), "spec.prune.maxUnused", "is not a percentage"),
		Entry("less than nothing", repository("r", "url: /a/b, "+aPassword, ", check: {readData: "+mark+"'-1%'}"), "spec.check.readData", "is not a percentage"),
		Entry("a fraction", repository("r", "url: /a/b, "+aPassword, ", check: {readData: "+mark+"2.5%}"), "spec.check.readData", "is not a percentage"),
		Entry("leading zero", repository("r", "url: /a/b, "+aPassword, ", check: {readData: "+mark+"02%}"), "spec.check.readData", "is not a percentage"),
		Entry("no interval", repository("r", "url: /a/b, "+aPassword, ", prune: {every: "+mark+"weekly}"), "spec.prune.every", "is not a duration"),
		Entry("interval of nothing", repository("r", "url: /a/b, "+aPassword, ", prune: {every: "+mark+"0s}"), "spec.prune.every", "0s is too short; write a longer time, or never"),
		Entry("negative interval", repository("r", "url: /a/b, "+aPassword, ", check: {every: "+mark+"-1h}"), "spec.check.every", "is negative"),
	)

	It("has defaults", func() {
		set := loadText(aRepository + repository("kept", "url: /a/b, "+aPassword, ", prune: {every: never}, check: {every: 1h30m, readData: 0%}"))
		Expect(errorsOf(set.Findings)).To(BeEmpty())
		usual, kept := set.Repositories["offsite"].Spec, set.Repositories["kept"].Spec
		Expect([]string{usual.Prune.Every.String(), usual.Prune.MaxUnused, usual.Check.Every.String(), usual.Check.ReadData}).To(Equal([]string{"168h", "10%", "24h", "2%"}))
		Expect([]string{kept.Prune.Every.String(), kept.Prune.MaxUnused, kept.Check.Every.String(), kept.Check.ReadData}).To(Equal([]string{"never", "10%", "1h30m", "0%"}))
	})
})

var _ = Describe("A SnapshotSchedule", func() {
	around := aPool + aVolume + aRepository
	with := func(fields string) string { return around + schedule("s", "volumes: [db], "+fields) }
	backedUp := func(fields string) string { return with(hourly + ", backup: {" + fields + "}") }

	DescribeTable("cannot be",
		func(marked, path, message string) { expectOneFinding(marked, path, message) },
		Entry("of nothing", around+header+"SnapshotSchedule\nmetadata: {name: s}\nspec: "+mark+"{"+hourly+"}\n", "spec", "has neither volumes nor selector; set one of them"),
		Entry("of both", around+schedule("s", "volumes: [db], selector: "+mark+"{matchLabels: {a: b}}, "+hourly), "spec.selector", "cannot be combined with volumes; keep one of them"),
		Entry("of no Volume", around+schedule("s", "volumes: "+mark+"[], "+hourly), "spec.volumes", "is empty; name at least one Volume"),
		Entry("of a Volume twice", around+schedule("s", "volumes: [db, "+mark+"db], "+hourly), "spec.volumes[1]", `"db" is there twice; remove one`),
		Entry("of a Volume with a bad name", around+schedule("s", "volumes: ["+mark+"DB], "+hourly), "spec.volumes[0]", "only lower-case letters"),
		Entry("of every Volume", around+schedule("s", "selector: {matchLabels: "+mark+"{}}, "+hourly), "spec.selector.matchLabels", "is empty, which would select every Volume; name at least one label"),
		Entry("of no labels", around+schedule("s", mark+"selector: {}, "+hourly), "spec.selector.matchLabels", "is missing"),
		Entry("bad label key", around+schedule("s", "selector: {matchLabels: {a b: "+mark+"x}}, "+hourly), `spec.selector.matchLabels["a b"]`, "contains ' '"),
		Entry("bad label value", around+schedule("s", "selector: {matchLabels: {a: "+mark+"'-x'}}, "+hourly), "spec.selector.matchLabels[a]", "begin and end with a letter or digit"),
		Entry("a name of LVM's", around+header+"SnapshotSchedule\nmetadata: {name: "+mark+"snapshot-hourly}\nspec: {volumes: [db], "+hourly+"}\n", "metadata.name",
			`begins with "snapshot", which is reserved by LVM; choose another name (the names of the logical volumes of its snapshots begin with it)`),
		Entry("a bad name", around+header+"SnapshotSchedule\nmetadata: {name: "+mark+"snapshot_hourly}\nspec: {volumes: [db], "+hourly+"}\n", "metadata.name", "contains '_'"),
		Entry("never", around+header+"SnapshotSchedule\nmetadata: {name: s}\n"+mark+"spec: {volumes: [db], keep: {last: 1}}\n", "spec.at", "is missing"),
		Entry("at no time", with("at: "+mark+`"61 * * * *", keep: {last: 1}`), "spec.at", `"61" is not a minute`),
		Entry("at a time of too few fields", with("at: "+mark+`"5 *", keep: {last: 1}`), "spec.at", "has 2 fields"),
		Entry("at a day that never comes", with("at: "+mark+`"0 0 30 2 *", keep: {last: 1}`), "spec.at", "is never due"),
		Entry("at a time with a zone", with("at: "+mark+`"TZ=Asia/Tokyo 0 1 * * *", keep: {last: 1}`), "spec.at", "set timeZone instead"),
		Entry("in no zone", with(hourly+", timeZone: "+mark+"CEST"), "spec.timeZone", `"CEST" is not a time zone; write its name in the IANA database, like Europe/Berlin`),
		Entry("in the zone of whoever reads it", with(hourly+", timeZone: "+mark+"Local"), "spec.timeZone", `"Local" is not a time zone`),
		Entry("in a zone of another file", with(hourly+", timeZone: "+mark+"'../zoneinfo/UTC'"), "spec.timeZone", "is not a time zone"),
		Entry("with a negative jitter", with(hourly+", jitter: "+mark+"-5m"), "spec.jitter", "is negative"),
		Entry("keeping nothing", with(`at: "@hourly", keep: `+mark+"{}"), "spec.keep", "keeps nothing; set at least one of last, hourly, daily, weekly, monthly and yearly"),
		Entry("keeping none", with(`at: "@hourly", keep: `+mark+"{last: 0, daily: 0}"), "spec.keep", "keeps nothing"),
		Entry("keeping fewer than none", with(`at: "@hourly", keep: {last: 1, daily: `+mark+"-1}"), "spec.keep.daily", "-1 is not from 0 to 1000000; write how many to keep, or leave the field out"),
		Entry("keeping more than there can be", with(`at: "@hourly", keep: {yearly: `+mark+"1000001}"), "spec.keep.yearly", "1000001 is not from 0 to 1000000"),
		Entry("keeping a text", with(`at: "@hourly", keep: {last: `+mark+"'1'}"), "spec.keep.last", "must be a whole decimal number"),
		Entry("keeping what is unknown", with(`at: "@hourly", keep: {`+mark+"minutely: 1}"), "spec.keep.minutely", "(allowed: daily, hourly, last, monthly, weekly, yearly)"),
		Entry("backed up to a bad name", backedUp("repository: "+mark+"Off, at: '@daily', keep: {last: 1}"), "spec.backup.repository", "only lower-case letters"),
		Entry("backed up at no time", backedUp("repository: offsite, at: "+mark+"'@nightly', keep: {last: 1}"), "spec.backup.at", `"@nightly" is not known`),
		Entry("backed up, keeping nothing", backedUp("repository: offsite, at: '@daily', keep: "+mark+"{}"), "spec.backup.keep", "keeps nothing"),
		Entry("backed up, keeping fewer than none", backedUp("repository: offsite, at: '@daily', keep: {weekly: "+mark+"-2}"), "spec.backup.keep.weekly", "-2 is not from 0"),
		Entry("backed up, with a mistyped age", backedUp(nightly+", maxAge: "+mark+"30"), "spec.backup.maxAge", "has no unit"),
		Entry("drilled too often", backedUp(nightly+", drill: {pool: fast, every: "+mark+"59m}"), "spec.backup.drill.every", "59m is less than 1h, and a drill reads the whole backup; write a longer time"),
		Entry("drilled never", backedUp(nightly+", "+mark+"drill: {pool: fast}"), "spec.backup.drill.every", "is missing"),
		Entry("drilled in a bad name", backedUp(nightly+", drill: {every: 24h, pool: "+mark+"Fast}"), "spec.backup.drill.pool", "only lower-case letters"),
	)

	It("is in UTC unless it says otherwise, and may have all fields", func() {
		set := loadText(with(hourly) + schedule("full", "selector: {matchLabels: {a: b, c/d: ''}}, at: '5 4 * * MON-FRI', timeZone: Europe/Berlin, jitter: 5m, "+
			"keep: {last: 1, hourly: 2, daily: 3, weekly: 4, monthly: 5, yearly: 1000000}, backup: {"+nightly+", maxAge: 30h, reread: 720h, drill: {every: 1h, pool: fast}}"))
		Expect(errorsOf(set.Findings)).To(BeEmpty())
		Expect(set.Schedules["s"].Spec.TimeZone).To(Equal("UTC"))
		full := set.Schedules["full"].Spec
		Expect(full.Keep).To(Equal(spec.Keep{Last: 1, Hourly: 2, Daily: 3, Weekly: 4, Monthly: 5, Yearly: spec.MaxKeep}))
		Expect(*full.Backup.Drill).To(Equal(spec.Drill{Every: *duration(hour), Pool: "fast"}))
		Expect(full.Backup.MaxAge).To(Equal(*duration(30 * hour)))
	})

	It("selects Volumes by name, or by all of its labels", func() {
		labelled := func(name, labels string) string {
			return header + "Volume\nmetadata: {name: " + name + ", labels: {" + labels + "}}\nspec: {pool: fast, size: 1Gi}\n---\n"
		}
		set := loadText(around + labelled("b", "a: b, c: ''") + labelled("a", "a: b, c: '', e: f") + labelled("c", "a: b") + labelled("d", "a: x, c: ''") + labelled("e", "a: b, c: d") +
			schedule("named", "volumes: [db, a], "+hourly) + schedule("selected", "selector: {matchLabels: {a: b, c: ''}}, "+hourly))
		Expect(errorsOf(set.Findings)).To(BeEmpty())
		Expect(set.Selected(set.Schedules["named"])).To(Equal([]string{"a", "db"}))
		Expect(set.Selected(set.Schedules["selected"])).To(Equal([]string{"a", "b"}))
	})
})

var _ = Describe("A Backup", func() {
	DescribeTable("cannot be",
		func(marked, path, message string) { expectOneFinding(aPool+aVolume+aRepository+marked, path, message) },
		Entry("of a bad name", backup("b", "volume: "+mark+"DB, repository: offsite"), "spec.volume", "only lower-case letters"),
		Entry("in a bad name", backup("b", "volume: db, repository: "+mark+"'s3:x'"), "spec.repository", "contains ':'"),
		Entry("of nothing", header+"Backup\nmetadata: {name: b}\n"+mark+"spec: {repository: offsite}\n", "spec.volume", "is missing"),
		Entry("nowhere", header+"Backup\nmetadata: {name: b}\n"+mark+"spec: {volume: db}\n", "spec.repository", "is missing"),
		Entry("kept or not", backup("b", "volume: db, repository: offsite, deletionPolicy: "+mark+"Keep"), "spec.deletionPolicy", "(allowed: Delete, Retain)"),
	)

	It("is kept by default", func() {
		set := loadText(aPool + aVolume + aRepository + backup("b", "volume: db, repository: offsite"))
		Expect(errorsOf(set.Findings)).To(BeEmpty())
		Expect(set.Backups["b"].Spec).To(Equal(spec.BackupSpec{Volume: "db", Repository: "offsite", DeletionPolicy: spec.Retain}))
	})
})

var _ = Describe("The content of a backup", func() {
	for _, use := range []struct{ path, around string }{{"spec.source.backup", "source: {backup: {%}}"}, {"spec.revert.backup", "revert: {request: r, backup: {%}}"}} {
		with := func(fields string) string {
			return aPool + aRepository + volume("db", "pool: fast, size: 1Gi, "+strings.Replace(use.around, "%", fields, 1))
		}
		DescribeTable("cannot be in "+use.path,
			func(marked, path, message string) { expectOneFinding(with(marked), use.path+path, message) },
			Entry("from a bad name", "repository: "+mark+"Off, volume: db, at: latest", ".repository", "only lower-case letters"),
			Entry("of a bad name", "repository: offsite, volume: "+mark+"a/b, at: latest", ".volume", "contains '/'"),
			Entry("of no time", "repository: offsite, volume: db, at: "+mark+"yesterday", ".at",
				`"yesterday" is no backup; write latest, a time like 2026-11-29T01:35:00Z, or at least 8 digits of an ID as volreconciler backups prints it`),
			Entry("of a day", "repository: offsite, volume: db, at: "+mark+"'2026-11-29'", ".at", "is no backup"),
			Entry("of a time that YAML reads", "repository: offsite, volume: db, at: "+mark+"2026-11-29T01:35:00Z", ".at", `put it in quotes: "2026-11-29T01:35:00Z"`),
			Entry("of an ID that YAML reads", "repository: offsite, volume: db, at: "+mark+"12345678", ".at", `put it in quotes: "12345678"`),
			Entry("of too short an ID", "repository: offsite, volume: db, at: "+mark+"0123abc", ".at", "is no backup"),
			Entry("of an ID in capitals", "repository: offsite, volume: db, at: "+mark+"0123ABCD", ".at", "is no backup"),
			Entry("of an ID that is too long", "repository: offsite, volume: db, at: "+mark+"a"+strings.Repeat("f", 64), ".at", "is no backup"),
			Entry("unknown", "repository: offsite, volume: db, at: latest, "+mark+"path: /a", ".path", "(allowed: at, repository, volume)"),
		)
		It("may be in "+use.path, func() {
			for _, at := range []string{"latest", "0123abcd", strings.Repeat("f", 64), "2026-11-29T01:35:00Z", "2026-11-29T02:35:00+01:00"} {
				Expect(errorsOf(loadText(with("repository: offsite, volume: gone, at: '"+at+"'")).Findings)).To(BeEmpty(), at)
			}
		})
	}

	It("is one of two things that a Volume reverts to", func() {
		const b = "backup: {repository: offsite, volume: db, at: latest}"
		expectOneFinding(aPool+aRepository+volume("db", "pool: fast, size: 1Gi, revert: {request: r, snapshot: s, backup: "+mark+b[len("backup: "):]+"}")+snapshot("s", "volume: db"),
			"spec.revert.backup", "cannot be combined with snapshot; keep one of them")
		expectOneFinding(aPool+aRepository+volume("db", "pool: fast, size: 1Gi, source: "+mark+"{volume: a, "+b+"}"), "spec.source", "has volume and backup, but a volume has one source")
		expectOneFinding(aPool+aRepository+volume("db", "pool: fast, size: 1Gi, adopt: true, source: "+mark+"{"+b+"}"), "spec.source", "cannot be combined with adopt")
	})

	It("has a key that is stored on logical volumes", func() {
		b := spec.BackupSource{Repository: "offsite", Volume: "db", At: spec.LatestBackup}
		Expect(b.Key()).To(MatchRegexp("^[0-9a-f]{16}$"))
		Expect(spec.VolumeSource{Backup: &b}.Tag()).To(Equal("backup:" + b.Key()))
		for _, other := range []spec.BackupSource{{"offsit", "edb", "latest"}, {"offsite", "db", "0123abcd"}, {"offsite", "dbl", "atest"}, {"db", "offsite", "latest"}} {
			Expect(other.Key()).NotTo(Equal(b.Key()))
		}
		_, isObject := spec.VolumeSource{Backup: &b}.Object()
		Expect(isObject).To(BeFalse())
	})
})
