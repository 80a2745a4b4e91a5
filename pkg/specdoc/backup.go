package specdoc

import (
	"strings"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

const (
	cronText    = "a cron expression of five fields, or `@hourly`, `@daily`, `@weekly`, `@monthly` or `@yearly`"
	cronPattern = `^\s*(@(hourly|daily|weekly|monthly|yearly)|([0-9A-Za-z*/,-]+\s+){4}[0-9A-Za-z*/,-]+)\s*$`
)

var (
	cron     = &Values{Text: cronText, Pattern: cronPattern}
	percent  = &Values{Text: "`0%` to `100%`", Pattern: "^(0|[1-9][0-9]?|100)%$"}
	interval = &Values{Text: "a duration, or `never`", Pattern: "^(never|([0-9.]+(ns|us|µs|μs|ms|s|m|h))+)$"}
	backupAt = &Values{
		Text:    "`latest`, a time in UTC (the last backup that is not later), or at least 8 digits of an ID",
		Pattern: "^(latest|[0-9a-f]{8,64}|[0-9]{4}-[0-9]{2}-[0-9]{2}T.*)$",
	}
)

// resticBackends returns how URLs of restic begin.
func resticBackends() (all []string) {
	for _, backend := range spec.ResticBackends {
		all = append(all, backend+":")
	}
	return all
}

func repositoryDocs() docs {
	return docs{
		"": {
			Meaning: "A restic repository for the backups of this node. Each node has one of its own.",
			Example: `apiVersion: volreconciler/v1alpha1
kind: Repository
metadata: {name: offsite}
spec:
  restic:
    url: s3:https://s3.example.org/backups/node7
    passwordFrom: {file: /etc/volreconciler/secrets/restic}
    environmentFrom:
      AWS_ACCESS_KEY_ID: {file: /etc/volreconciler/secrets/s3-id}
      AWS_SECRET_ACCESS_KEY: {file: /etc/volreconciler/secrets/s3-key}
`,
			See: "Repository",
		},
		"spec": {
			Meaning: "Where the repository is, and how it is looked after.",
			Example: "{restic: {url: /srv/backups/node7, passwordFrom: {file: /etc/volreconciler/secrets/restic}}}",
		},
		"spec.restic": {
			Meaning: "The repository, as restic knows it. It is created if it is not there.",
			Example: "{url: /srv/backups/node7, passwordFrom: {file: /etc/volreconciler/secrets/restic}}",
		},
		"spec.restic.url": {
			Meaning: "Where it is: what restic's `-r` takes, without a password. No two Repositories are in one place.",
			Values: &Values{
				Text:    "an absolute path, or one that begins with " + listed(resticBackends(), "or"),
				Pattern: `^(/[!-~]*|(` + strings.Join(spec.ResticBackends, "|") + `):[!-~]+)$`,
			},
			Example: "s3:https://s3.example.org/backups/node7",
		},
		"spec.restic.passwordFrom": {
			Meaning: "Where the password of the repository is found. Without it the backups cannot be read: keep a copy elsewhere.",
			Example: "{file: /etc/volreconciler/secrets/restic}",
		},
		"spec.restic.passwordFrom.file": {
			Meaning: "A file that holds the password alone, which only root can read.", Values: filePath, Example: "/etc/volreconciler/secrets/restic",
		},
		"spec.restic.environmentFrom": {
			Meaning: "Variables for restic whose values are secret, by name.", Default: "none",
			Keys:    &Values{Text: "the name of a variable that restic's backends know", Pattern: "^[A-Za-z_][A-Za-z0-9_]*$"},
			Example: "{AWS_ACCESS_KEY_ID: {file: /etc/volreconciler/secrets/s3-id}}",
		},
		"spec.restic.environmentFrom.*.file": {
			Meaning: "A file that holds the value alone, which only root can read.", Values: filePath, Example: "/etc/volreconciler/secrets/s3-id",
		},
		"spec.prune": {
			Meaning: "When restic frees the space of backups that are gone.", Default: "`{every: 168h, maxUnused: 10%}`", Example: "{every: 168h, maxUnused: 10%}",
		},
		"spec.prune.every": {
			Meaning: "How often. `never` is for repositories that only take additions; backups are not removed from these either.", Default: "`168h`", Values: interval, Example: "168h",
		},
		"spec.prune.maxUnused": {
			Meaning: "How much of the repository may be unused afterwards.", Default: "`10%`", Values: percent, Example: "10%",
		},
		"spec.check": {
			Meaning: "When restic checks the repository.", Default: "`{every: 24h, readData: 2%}`", Example: "{every: 24h, readData: 2%}",
		},
		"spec.check.every": {Meaning: "How often.", Default: "`24h`", Values: interval, Example: "24h"},
		"spec.check.readData": {
			Meaning: "How much of the data is read each time, chosen at random.", Default: "`2%`", Values: percent, Example: "2%",
		},
	}
}

func keepDocs(path, what string) docs {
	d := docs{path: {
		Meaning: "Which " + what + " are kept. It means what restic's `--keep-…` options mean: of each of so many hours, days, weeks, months and years that have one, the last; in UTC.",
		Example: "{last: 3, hourly: 24, daily: 7}", See: "Keep",
	}}
	for _, name := range []string{"last", "hourly", "daily", "weekly", "monthly", "yearly"} {
		meaning := "How many " + what + " are kept as the last of their " + map[string]string{
			"hourly": "hour", "daily": "day", "weekly": "week", "monthly": "month", "yearly": "year"}[name] + "."
		if name == "last" {
			meaning = "How many of the last " + what + " are kept."
		}
		d[path+"."+name] = Doc{Meaning: meaning, Default: "`0`", Values: &Values{Min: 0, Max: spec.MaxKeep}, Example: "7"}
	}
	return d
}

func scheduleDocs() docs {
	d := docs{
		"": {
			Meaning: "Snapshots of Volumes at certain times, and backups of them.",
			Example: `apiVersion: volreconciler/v1alpha1
kind: SnapshotSchedule
metadata: {name: db-hourly}
spec:
  volumes: [db-data]
  at: "5 * * * *"
  keep: {last: 3, hourly: 24, daily: 7}
  backup:
    repository: offsite
    at: "35 1 * * *"
    keep: {daily: 14, weekly: 8, monthly: 12, yearly: 3}
`,
			See: "SnapshotSchedule",
		},
		"spec": {
			Meaning: "Of which Volumes, when, and what is kept.", OneOf: []string{"volumes", "selector"},
			Example: `{volumes: [db-data], at: "@hourly", keep: {hourly: 24}}`,
		},
		"spec.volumes[]": {Meaning: "Volumes by name.", Values: nameOf("a Volume"), Example: "[db-data]"},
		"spec.selector":  {Meaning: "Volumes by their labels: all that have all of these.", Example: "{matchLabels: {backup: nightly}}"},
		"spec.selector.matchLabels": {
			Meaning: "The labels.", Keys: labelKey, Values: labelValue, Example: "{backup: nightly}",
		},
		"spec.at": {
			Meaning: "When snapshots are taken.", Values: cron, Example: `"5 * * * *"`, See: "Times",
		},
		"spec.timeZone": {
			Meaning: "The time zone of `at` and `backup.at`. Names of snapshots and `keep` are in UTC all the same.", Default: "`UTC`",
			Values: &Values{Text: "a name in the IANA time zone database", Pattern: "^[A-Za-z0-9_+/-]+$"}, Example: "Europe/Berlin", See: "Times",
		},
		"spec.jitter": {
			Meaning: "By how much a run may be later, so that not all Volumes begin at once.", Default: "`0s`", Values: duration, Example: "5m",
		},
		"spec.backup": {
			Meaning: "What is backed up.", Default: "nothing",
			Example: `{repository: offsite, at: "35 1 * * *", keep: {daily: 14}}`,
		},
		"spec.backup.repository": {Meaning: "Where to.", Values: nameOf("a Repository"), Example: "offsite"},
		"spec.backup.at": {
			Meaning: "When. A snapshot is taken at that time too.", Values: cron, Example: `"35 1 * * *"`, See: "Times",
		},
		"spec.backup.maxAge": {
			Meaning: "How old the last backup of a Volume may be. If it is older, the schedule is `Failed` with the reason `BackupTooOld`. With `0s` it is not watched.", Default: "`0s`",
			Values: duration, Example: "30h",
		},
		"spec.backup.reread": {
			Meaning: "After which time everything is read again, not only what changed. With `0s` it never is.", Default: "`0s`", Values: duration, Example: "720h",
		},
		"spec.backup.drill": {
			Meaning: "Restore the last backup into a scratch volume, compare it, and remove the volume.", Default: "none", Example: "{every: 720h, pool: slow}", See: "Drills",
		},
		"spec.backup.drill.every": {Meaning: "How often; at least `1h`.", Values: duration, Example: "720h"},
		"spec.backup.drill.pool":  {Meaning: "Where the scratch volume is.", Values: nameOf("a Pool"), Example: "slow"},
	}
	for _, more := range []docs{keepDocs("spec.keep", "snapshots"), keepDocs("spec.backup.keep", "backups")} {
		for path, doc := range more {
			d[path] = doc
		}
	}
	return d
}

func backupDocs() docs {
	return docs{
		"": {
			Meaning: "One backup of a Volume, of the moment at which it was declared.",
			Example: `apiVersion: volreconciler/v1alpha1
kind: Backup
metadata: {name: db-before-migration}
spec: {volume: db-data, repository: offsite}
`,
			See: "Backup",
		},
		"spec":            {Meaning: "Of what, and where to.", Example: "{volume: db-data, repository: offsite}"},
		"spec.volume":     {Meaning: "A Volume, which may be in use: a temporary snapshot of it is read.", Values: nameOf("a Volume"), Example: "db-data"},
		"spec.repository": {Meaning: "Where to.", Values: nameOf("a Repository"), Example: "offsite"},
		"spec.deletionPolicy": {
			Meaning: "What becomes of the backup when the object is removed from the files.", Default: "`Retain`",
			Values: enum(spec.Retain, spec.Delete), Example: "Delete",
		},
	}
}

// backupSourceDocs are the texts of a field that names a backup.
func backupSourceDocs(path, meaning string) docs {
	return docs{
		path:                 {Meaning: meaning, Example: "{repository: offsite, volume: db-data, at: latest}", See: "Restoring"},
		path + ".repository": {Meaning: "The Repository that has it.", Values: nameOf("a Repository"), Example: "offsite"},
		path + ".volume":     {Meaning: "The name that the Volume had.", Values: nameOf("a Volume"), Example: "db-data"},
		path + ".at":         {Meaning: "Which backup.", Values: backupAt, Example: "latest"},
	}
}
