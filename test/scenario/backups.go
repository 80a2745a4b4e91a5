package scenario

import (
	"context"
	"fmt"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/restic/fakerestic"
)

// backupsAndRestores are the histories of backups.
func backupsAndRestores() []Scenario {
	return []Scenario{
		backedUpHourly(), thickBackups(), askedBackup(), drills(), restores(), interruptedRestore(), revertsToBackups(),
		lostBases(), grownBetween(), incompleteBackup(), staleLock(),
		olderRepository(), readOnlyRepository(), fullRepository(), goneRepository(), wrongPassword(),
	}
}

// place is where the repository is.
const place = "/backups"

// offsite is the repository, opened by the password of that name.
func offsite(secret, prune string) string {
	return object("Repository", "offsite", []string{
		fmt.Sprintf("restic: {url: %s, passwordFrom: {file: %s}}", place, SecretPath(secret)), "prune: {every: " + prune + "}", "check: {every: 24h}",
	})
}

// saving are volumes, one exported, and a repository.
func saving() map[string]string {
	return with(sources(), map[string]string{
		"repository.yaml": file(offsite("restic", "24h")), "export.yaml": file(export("src", luns("volume: thin", "volume: thick"), open(hostA))),
	})
}

// backedUp is a schedule that takes a snapshot of the thin volume in each hour and backs up another one.
func backedUp(keep, keepBackups string, more ...string) string {
	return every("hourly", "5 * * * *", "volumes: [thin]", fmt.Sprintf("keep: {%s}", keep), backingUp(keepBackups, more...))
}

func backingUp(keep string, more ...string) string {
	fields := ""
	for _, m := range more {
		fields += ", " + m
	}
	return fmt.Sprintf(`backup: {repository: offsite, at: "35 * * * *", keep: {%s}%s}`, keep, fields)
}

func scheduled(schedule string) map[string]string {
	return map[string]string{"schedules.yaml": file(schedule)}
}

// backedUpHourly has the first one, later ones that only read what changed, the removal of old ones, and what the repository needs.
func backedUpHourly() Scenario {
	return Scenario{Name: "backups", FakeOnly: onlyClock, Telling: saves, Steps: []Step{
		{Name: "a new repository", At: clock("12:00"), Files: with(saving(), scheduled(backedUp("last: 2", "last: 2")))},
		{Name: "the first one, and the repository is pruned and checked", At: clock("12:36"), ByHand: used("vg0/thin"), Saved: []string{usedLV("vg0/thin")}},
		{Name: "only a snapshot is due", At: clock("13:06")},
		{Name: "the second one", At: clock("13:36"), ByHand: changed("vg0/thin"), Saved: []string{usedLV("vg0/thin"), changedLV("vg0/thin")}},
		{
			Name: "the third one, and the first is removed", At: clock("14:36"), ByHand: fill("vg0/thin", 15, 16, "last"),
			Saved: []string{changedLV("vg0/thin"), changedLV("vg0/thin") + ", 15-16 last"},
		},
		{Name: "a day later", At: "2026-03-03T14:36:00Z"},
		{Name: "nothing is due", At: "2026-03-03T14:50:00Z"},
		{Name: "everything is undeclared, and kept", At: "2026-03-03T15:50:00Z", Files: map[string]string{"schedules.yaml": "", "repository.yaml": ""}, Stand: map[string]string{
			"Snapshot/hourly-20260303t140500z": "Orphaned: Retained", "Snapshot/hourly-20260303t143500z": "Orphaned: Retained",
		}},
	}}
}

// thickBackups are backups of all that is in a thick volume, and of a thin one beside it.
func thickBackups() Scenario {
	both := every("both", "5 * * * *", "volumes: [thin, thick]", "keep: {last: 1}", backingUp("last: 1"))
	return Scenario{Name: "backups of two volumes", FakeOnly: onlyClock, Telling: saves, Steps: []Step{
		{Name: "declared", At: clock("12:00"), Files: with(saving(), scheduled(both))},
		{Name: "the first ones", At: clock("12:36"), ByHand: used("vg0/thin", "vg0/thick"), Saved: []string{usedLV("vg0/thick"), usedLV("vg0/thin")}},
		{Name: "the second ones", At: clock("13:36"), ByHand: changed("vg0/thin", "vg0/thick"), Saved: []string{changedLV("vg0/thick"), changedLV("vg0/thin")}},
	}}
}

// askedBackup are Backups that people ask for, one of which is removed with its object.
func askedBackup() Scenario {
	asked := func(name, volume, deletion string) string {
		return object("Backup", name, []string{"volume: " + volume, "repository: offsite", "deletionPolicy: " + deletion})
	}
	return Scenario{Name: "backups by hand", FakeOnly: onlyClock, Telling: saves, Steps: []Step{
		{Name: "a repository", At: clock("12:00"), Files: saving()},
		{
			Name: "one of each", At: clock("12:10"), ByHand: used("vg0/thin", "vg0/thick"),
			Files: map[string]string{"kept.yaml": file(asked("kept", "thin", "Retain"), asked("only", "thick", "Delete"))},
			Saved: []string{usedLV("vg0/thin"), usedLV("vg0/thick")},
		},
		{
			Name: "another", At: clock("12:20"), ByHand: changed("vg0/thin"), Files: map[string]string{"before.yaml": file(asked("before", "thin", "Delete"))},
			Saved: []string{usedLV("vg0/thin"), usedLV("vg0/thick"), changedLV("vg0/thin")},
		},
		{
			Name: "all are undeclared", At: clock("12:30"), Files: map[string]string{"kept.yaml": "", "before.yaml": ""},
			Saved: []string{usedLV("vg0/thin"), usedLV("vg0/thick")},
		},
	}}
}

// drills restore the last backup into a scratch volume.
func drills() Scenario {
	return Scenario{Name: "drills", FakeOnly: onlyClock, Telling: saves, Steps: []Step{
		{Name: "declared", At: clock("12:00"), Files: with(saving(), scheduled(backedUp("last: 1", "last: 1", "drill: {every: 24h, pool: slow}")))},
		{Name: "a backup, and the first drill", At: clock("12:36"), ByHand: used("vg0/thin")},
		{Name: "none is due", At: clock("13:36")},
		{Name: "the next one", At: "2026-03-03T13:36:00Z", ByHand: changed("vg0/thin")},
	}}
}

// savedTwice are two backups of the thin volume, of used and of changed data.
func savedTwice() []Step {
	return []Step{
		{Name: "declared", At: clock("12:00"), Files: with(saving(), scheduled(backedUp("last: 1", "last: 5"))), Repeated: true},
		{Name: "a backup", At: clock("12:36"), ByHand: used("vg0/thin"), Repeated: true},
		{Name: "another", At: clock("13:36"), ByHand: changed("vg0/thin"), Repeated: true},
	}
}

func fromBackup(at string) string {
	return fmt.Sprintf("backup: {repository: offsite, volume: thin, at: %q}", at)
}

// restores are volumes made of backups, and one that is lost and restored.
func restores() Scenario {
	return Scenario{Name: "volumes from backups", FakeOnly: onlyClock, Telling: saves, Steps: append(savedTwice(),
		Step{
			Name: "one of each", At: clock("13:40"), Files: map[string]string{"restored.yaml": file(
				volume("latest", "fast", "16Mi", "source: {"+fromBackup("latest")+"}"), volume("older", "slow", "24Mi", "source: {"+fromBackup("2026-03-02T13:00:00Z")+"}"),
				export("restored", luns("volume: latest", "volume: older"), open(hostB)),
			)},
			Data: map[string]string{"vg0/latest": changedLV("vg0/thin"), "vg0/older": usedLV("vg0/thin")},
		},
		Step{Name: "later backups change nothing in them", At: clock("14:36"), ByHand: fill("vg0/thin", 0, 16, ""), Data: map[string]string{"vg0/latest": changedLV("vg0/thin")}},
	)}
}

// interruptedRestore is one during which another backup becomes the latest one.
func interruptedRestore() Scenario {
	steps := savedTwice()
	steps[2].ByHand = all(steps[2].ByHand, repository(func(r *fakerestic.Restic) { r.Copy(place, "/first") }))
	return Scenario{Name: "an interrupted restore", FakeOnly: onlyClock, Telling: saves, Steps: append(steps,
		Step{
			Name: "begun from the only one", At: clock("13:40"), Dies: killAt(2, "writeblocks /dev/vg0/copy "),
			ByHand: repository(func(r *fakerestic.Restic) { r.Copy(place, "/both"); r.Copy("/first", place) }),
			Files: map[string]string{
				"schedules.yaml": "", "restored.yaml": file(volume("copy", "slow", "16Mi", "source: {"+fromBackup("latest")+"}"), export("restored", luns("volume: copy"), open(hostB))),
			},
		},
		Step{
			Name: "and continued from it, beside a later one", At: clock("13:41"), ByHand: repository(func(r *fakerestic.Restic) { r.Copy("/both", place) }),
			Files: scheduled(backedUp("last: 1", "last: 5")), Data: map[string]string{"vg0/copy": usedLV("vg0/thin")},
		},
	)}
}

// revertsToBackups put the backup of a volume back, in place.
func revertsToBackups() Scenario {
	files := func(request, at string) map[string]string {
		return map[string]string{"sources.yaml": file(volume("thin", "fast", "16Mi", fmt.Sprintf("revert: {%s, request: %q}", fromBackup(at), request)), volume("thick", "slow", "16Mi"))}
	}
	return Scenario{Name: "reverts to backups", FakeOnly: onlyClock, Telling: saves, Steps: append(savedTwice(),
		Step{Name: "put back", At: clock("13:40"), Files: files("1", "2026-03-02T13:00:00Z"), Data: map[string]string{"vg0/thin": usedLV("vg0/thin")}},
		Step{
			Name: "begun once more", At: clock("13:50"), Files: files("2", "latest"), ByHand: fill("vg0/thin", 14, 16, "newer"),
			Dies: killAt(2, "writeblocks /dev/vg0/thin "),
		},
		Step{Name: "and ended", At: clock("13:51"), Data: map[string]string{"vg0/thin": changedLV("vg0/thin")}},
	)}
}

// lostBases is a snapshot that somebody removes of which the next backup would need to know what changed.
func lostBases() Scenario {
	return Scenario{Name: "the base of backups removed by hand", FakeOnly: onlyClock, Telling: saves, Steps: append(savedTwice(),
		Step{
			Name: "removed", At: clock("14:36"), ByHand: all(fill("vg0/thin", 15, 16, "last"), commands([]string{"lvremove", "-f", "vg0/hourly-20260302t133500z"})),
			Saved: []string{usedLV("vg0/thin"), changedLV("vg0/thin"), changedLV("vg0/thin") + ", 15-16 last"},
		},
		Step{
			Name: "its tag removed", At: clock("15:36"), ByHand: all(fill("vg0/thin", 15, 16, "more"), untagBase("vg0/hourly-20260302t143500z")),
			Saved: []string{usedLV("vg0/thin"), changedLV("vg0/thin"), changedLV("vg0/thin") + ", 15-16 last", changedLV("vg0/thin") + ", 15-16 more"},
		},
	)}
}

// untagBase removes the tag of a base.
func untagBase(lv string) func(context.Context, Machine) error {
	return func(ctx context.Context, m Machine) error {
		f, ok := m.(*Fake)
		if !ok {
			return fmt.Errorf("the tags of %s are looked for in memory only", lv)
		}
		for _, vg := range f.Node().VolumeGroups {
			for _, found := range vg.LogicalVolumes {
				for _, tag := range found.Tags {
					if vg.Name+"/"+found.Name == lv && strings.HasPrefix(tag, ondisk.TagBase) {
						_, err := m.Run(ctx, "lvchange", "--deltag", tag, lv)
						return err
					}
				}
			}
		}
		return fmt.Errorf("%s is no base", lv)
	}
}

// grownBetween is a volume that grows between two backups.
func grownBetween() Scenario {
	grown := map[string]string{"sources.yaml": file(volume("thin", "fast", "24Mi"), volume("thick", "slow", "16Mi"))}
	return Scenario{Name: "a volume grown between backups", FakeOnly: onlyClock, Telling: saves, Steps: append(savedTwice(),
		Step{Name: "grown", At: clock("13:50"), Files: grown},
		Step{
			Name: "used and backed up", At: clock("14:36"), ByHand: fill("vg0/thin", 15, 20, "beyond"),
			Saved: []string{usedLV("vg0/thin"), changedLV("vg0/thin"), changedLV("vg0/thin") + ", 15-20 beyond"},
		},
		Step{
			Name: "restored", At: clock("14:40"), Files: map[string]string{"restored.yaml": file(volume("copy", "fast", "24Mi", "source: {"+fromBackup("latest")+"}"))},
			Data: map[string]string{"vg0/copy": changedLV("vg0/thin") + ", 15-20 beyond"},
		},
	)}
}

// incompleteBackup is one that restic makes although it could not read everything. The agent removes it, and dies before.
func incompleteBackup() Scenario {
	unreadable := repository(func(r *fakerestic.Restic) { r.FailRead("/volume/times") })
	three := []string{usedLV("vg0/thin"), changedLV("vg0/thin"), changedLV("vg0/thin") + ", 15-16 last"}
	return Scenario{Name: "an incomplete backup", FakeOnly: onlyClock, Telling: saves, Steps: append(savedTwice(),
		Step{Name: "made and removed, and made again", At: clock("14:36"), ByHand: all(fill("vg0/thin", 15, 16, "last"), unreadable), Saved: three},
		Step{Name: "made", At: clock("15:36"), ByHand: all(fill("vg0/thin", 15, 16, "more"), unreadable), Dies: killAt(1, "restic forget")},
		Step{Name: "and found", At: clock("15:37"), Saved: append(three, changedLV("vg0/thin")+", 15-16 more")},
	)}
}

// staleLock is what a killed restic leaves, and one of somebody who works.
func staleLock() Scenario {
	locked := func(exclusive, stale bool) func(context.Context, Machine) error {
		return repository(func(r *fakerestic.Restic) { r.Lock(place, exclusive, stale) })
	}
	return Scenario{Name: "locks of restic", FakeOnly: onlyClock, Telling: saves, Steps: append(savedTwice(),
		Step{
			Name: "of a dead run", At: clock("14:36"), ByHand: all(fill("vg0/thin", 15, 16, "last"), locked(true, true)),
			Saved: []string{usedLV("vg0/thin"), changedLV("vg0/thin"), changedLV("vg0/thin") + ", 15-16 last"},
		},
		Step{
			Name: "of somebody who works", At: clock("15:36"), ByHand: locked(true, false), Stand: map[string]string{"Snapshot/hourly-20260302t153500z": "Failed: BackUpFailed"},
			Saved: []string{usedLV("vg0/thin"), changedLV("vg0/thin"), changedLV("vg0/thin") + ", 15-16 last"},
		},
	)}
}

// olderRepository is one that is replaced by a copy that was made earlier.
func olderRepository() Scenario {
	steps := savedTwice()
	steps[2].ByHand = all(steps[2].ByHand, repository(func(r *fakerestic.Restic) { r.Copy(place, "/copy") }))
	return Scenario{Name: "an older copy of a repository", FakeOnly: onlyClock, Telling: saves, Steps: append(steps,
		Step{
			Name: "put in its place", At: clock("14:36"), ByHand: all(fill("vg0/thin", 15, 16, "last"), repository(func(r *fakerestic.Restic) { r.Copy("/copy", place) })),
			Saved: []string{usedLV("vg0/thin"), changedLV("vg0/thin") + ", 15-16 last"},
		},
		Step{
			Name: "and the next one", At: clock("15:36"), ByHand: fill("vg0/thin", 15, 16, "more"),
			Saved: []string{usedLV("vg0/thin"), changedLV("vg0/thin") + ", 15-16 last", changedLV("vg0/thin") + ", 15-16 more"},
		},
	)}
}

// readOnlyRepository is one that cannot be written to, which then becomes append-only for the agent.
func readOnlyRepository() Scenario {
	return Scenario{Name: "a read-only repository", FakeOnly: onlyClock, Telling: saves, Steps: append(savedTwice(),
		Step{
			Name: "read-only", At: clock("14:36"), ByHand: repository(func(r *fakerestic.Restic) { r.SetReadOnly(place, true) }),
			Stand: map[string]string{"Snapshot/hourly-20260302t143500z": "Failed: BackUpFailed"}, Saved: []string{usedLV("vg0/thin"), changedLV("vg0/thin")},
		},
		Step{
			Name: "it is still read for a restore", At: clock("14:40"), Stand: map[string]string{"Snapshot/hourly-20260302t143500z": "Failed: BackUpFailed"},
			Files: map[string]string{"restored.yaml": file(volume("copy", "fast", "16Mi", "source: {"+fromBackup("latest")+"}"))},
			Data:  map[string]string{"vg0/copy": changedLV("vg0/thin")},
		},
		Step{
			Name: "and can be written to again", At: clock("14:50"), ByHand: repository(func(r *fakerestic.Restic) { r.SetReadOnly(place, false) }),
			Saved: []string{usedLV("vg0/thin"), changedLV("vg0/thin"), changedLV("vg0/thin")},
		},
	)}
}

// fullRepository is one without space.
func fullRepository() Scenario {
	return Scenario{Name: "a full repository", FakeOnly: onlyClock, Telling: saves, Steps: append(savedTwice(),
		Step{
			Name: "full", At: clock("14:36"), ByHand: all(fill("vg0/thin", 15, 16, "last"), repository(func(r *fakerestic.Restic) { r.SetFull(place, true) })),
			Stand: map[string]string{"Snapshot/hourly-20260302t143500z": "Failed: NoSpace"}, Saved: []string{usedLV("vg0/thin"), changedLV("vg0/thin")},
		},
		Step{
			Name: "it has space again, two hours later", At: clock("16:36"), ByHand: repository(func(r *fakerestic.Restic) { r.SetFull(place, false) }),
			Saved: []string{usedLV("vg0/thin"), changedLV("vg0/thin"), changedLV("vg0/thin") + ", 15-16 last"},
		},
	)}
}

// goneRepository is one that is not there for a while. No other one is made in its place.
func goneRepository() Scenario {
	return Scenario{Name: "a repository that is gone", FakeOnly: onlyClock, Telling: saves, Steps: append(savedTwice(),
		Step{
			Name: "gone", At: clock("14:36"), ByHand: repository(func(r *fakerestic.Restic) { r.Copy(place, "/elsewhere"); r.Remove(place) }),
			Stand: map[string]string{"Repository/offsite": "Blocked: Vanished"}, Saved: []string{},
		},
		Step{
			Name: "and back", At: clock("15:36"), ByHand: repository(func(r *fakerestic.Restic) { r.Copy("/elsewhere", place) }),
			Saved: []string{usedLV("vg0/thin"), changedLV("vg0/thin"), changedLV("vg0/thin")},
		},
	)}
}

// wrongPassword is a file with another password, which is corrected.
func wrongPassword() Scenario {
	return Scenario{Name: "a wrong password", FakeOnly: onlyClock, Telling: saves, Steps: append(savedTwice(),
		Step{
			Name: "wrong", At: clock("14:36"), Files: map[string]string{"repository.yaml": file(offsite("other", "24h"))},
			Stand: map[string]string{"Repository/offsite": "Failed: ObservationFailed"}, Saved: []string{usedLV("vg0/thin"), changedLV("vg0/thin")},
		},
		Step{
			Name: "corrected", At: clock("15:36"), Files: map[string]string{"repository.yaml": file(offsite("restic", "24h"))},
			Saved: []string{usedLV("vg0/thin"), changedLV("vg0/thin"), changedLV("vg0/thin")},
		},
	)}
}
