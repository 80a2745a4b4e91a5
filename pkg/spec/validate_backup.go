package spec

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // nodes need not have the database, and validate judges as they do

	"github.com/volreconciler/volreconciler/pkg/schedule"
)

func (v *validation) repository(s RepositorySpec) {
	v.check("spec.restic.url", checkResticURL(s.Restic.URL))
	v.check("spec.restic.passwordFrom.file", checkFilePath(s.Restic.PasswordFrom.File))
	for _, name := range slices.Sorted(maps.Keys(s.Restic.EnvironmentFrom)) {
		path := entryPath("spec.restic.environmentFrom", name)
		v.check(path, checkVariable(name))
		v.check(path+".file", checkFilePath(s.Restic.EnvironmentFrom[name].File))
	}
	v.check("spec.prune.maxUnused", checkPercent(s.Prune.MaxUnused))
	v.check("spec.check.readData", checkPercent(s.Check.ReadData))
}

// ResticBackends are how the URLs of restic's repositories begin, without the colon.
var ResticBackends = []string{"local", "sftp", "rest", "s3", "swift", "b2", "azure", "gs", "rclone"}

// checkResticURL accepts what restic's -r takes, without secrets. Its errors do not repeat it.
func checkResticURL(address string) error {
	backend, rest, _ := strings.Cut(address, ":")
	switch {
	case strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return errors.New("must consist of printable ASCII characters without spaces")
	case strings.HasPrefix(address, "/"):
		return checkFilePath(address)
	case !slices.Contains(ResticBackends, backend) || rest == "":
		return fmt.Errorf("must be an absolute path, or a URL as restic takes it, like s3:https://host/bucket (allowed beginnings: %s)",
			strings.Join(ResticBackends, ":, ")+":")
	case backend == "local":
		return checkFilePath(rest)
	case hasPassword(backend, rest):
		return errors.New("must not contain a password (before @): specs must not contain secrets. " +
			"Use environmentFrom (RESTIC_REST_USERNAME and RESTIC_REST_PASSWORD for rest:)")
	}
	return nil
}

// hasPassword reports whether there is user:password@ before a host. Where an address that has an @ cannot be read,
// a part of a password may be what is wrong with it.
func hasPassword(backend, address string) bool {
	if strings.HasPrefix(address, "//") { // sftp://host/path is a URL by itself
		address = backend + ":" + address
	}
	if strings.Contains(address, "://") {
		parsed, err := url.Parse(address)
		if err != nil {
			return strings.Contains(address, "@")
		}
		_, has := parsed.User.Password()
		return has
	}
	authority, _, _ := strings.Cut(address, "/")
	user, _, is := strings.Cut(authority, "@")
	return is && strings.Contains(user, ":")
}

var variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// checkVariable accepts the names of variables that change nothing of how restic is run.
func checkVariable(name string) error {
	ours := []string{"RESTIC_REPOSITORY", "RESTIC_REPOSITORY_FILE", "RESTIC_PASSWORD", "RESTIC_PASSWORD_FILE", "RESTIC_PASSWORD_COMMAND",
		"RESTIC_CACHE_DIR", "RESTIC_FROM_PASSWORD_COMMAND", "RESTIC_PROGRESS_FPS", "PATH", "HOME", "TMPDIR"}
	switch {
	case !variableForm.MatchString(name):
		return fmt.Errorf("%s is not the name of a variable; only letters, digits and _ are allowed", quote(name))
	case slices.Contains(ours, name), strings.HasPrefix(name, "LD_"):
		return fmt.Errorf("%s is set by the agent itself; use url and passwordFrom, or remove it", name)
	default:
		return nil
	}
}

// checkPercent accepts 0% to 100%.
func checkPercent(text string) error {
	digits, is := strings.CutSuffix(text, "%")
	if n, err := strconv.Atoi(digits); !is || err != nil || n < 0 || n > 100 || strconv.Itoa(n) != digits {
		return fmt.Errorf("%s is not a percentage (allowed: 0%% to 100%%)", quote(text))
	}
	return nil
}

func (v *validation) schedule(name string, s SnapshotScheduleSpec) {
	if err := checkLVName(name); err != nil && checkObjectName(name) == nil {
		v.refuse("metadata.name", "%w (the names of the logical volumes of its snapshots begin with it)", err)
	}
	v.selection(s)
	zone, err := schedule.Zone(s.TimeZone)
	if err != nil {
		v.check("spec.timeZone", err)
		zone = time.UTC
	}
	v.at("spec.at", s.At, zone)
	v.keep("spec.keep", s.Keep)
	b := s.Backup
	if b == nil {
		return
	}
	v.check("spec.backup.repository", checkObjectName(b.Repository))
	v.at("spec.backup.at", b.At, zone)
	v.keep("spec.backup.keep", b.Keep)
	if b.Drill != nil {
		v.check("spec.backup.drill.pool", checkObjectName(b.Drill.Pool))
		if b.Drill.Every < minDrill {
			v.refuse("spec.backup.drill.every", "%s is less than %s, and a drill reads the whole backup; write a longer time", b.Drill.Every, minDrill)
		}
	}
}

// minDrill is the shortest time between two drills.
const minDrill = Duration(time.Hour)

func (v *validation) selection(s SnapshotScheduleSpec) {
	switch {
	case s.Volumes == nil && s.Selector == nil:
		v.refuse("spec", "has neither volumes nor selector; set one of them")
	case s.Volumes != nil && s.Selector != nil:
		v.refuse("spec.selector", "cannot be combined with volumes; keep one of them")
	case s.Selector != nil:
		if len(s.Selector.MatchLabels) == 0 {
			v.refuse("spec.selector.matchLabels", "is empty, which would select every Volume; name at least one label")
		}
		for _, key := range slices.Sorted(maps.Keys(s.Selector.MatchLabels)) {
			path := entryPath("spec.selector.matchLabels", key)
			v.check(path, checkLabelKey(key))
			v.check(path, checkLabelName(s.Selector.MatchLabels[key]))
		}
	case len(s.Volumes) == 0:
		v.refuse("spec.volumes", "is empty; name at least one Volume")
	}
	for i, name := range s.Volumes {
		v.check(itemPath("spec.volumes", i), checkObjectName(name))
		if slices.Index(s.Volumes, name) < i {
			v.refuse(itemPath("spec.volumes", i), "%s is there twice; remove one", quote(name))
		}
	}
}

func (v *validation) at(path, expression string, zone *time.Location) {
	_, err := schedule.Parse(expression, zone)
	v.check(path, err)
}

// MaxKeep is the largest number in a [Keep].
const MaxKeep = 1_000_000

func (v *validation) keep(path string, k Keep) {
	for _, f := range k.fields() {
		if f.count < 0 || f.count > MaxKeep {
			v.refuse(joinPath(path, f.name), "%d is not from 0 to %d; write how many to keep, or leave the field out", f.count, MaxKeep)
		}
	}
	if k == (Keep{}) {
		v.refuse(path, "keeps nothing; set at least one of last, hourly, daily, weekly, monthly and yearly")
	}
}

type keepField struct {
	name  string
	count int
}

func (k Keep) fields() []keepField {
	return []keepField{{"last", k.Last}, {"hourly", k.Hourly}, {"daily", k.Daily}, {"weekly", k.Weekly}, {"monthly", k.Monthly}, {"yearly", k.Yearly}}
}

func (v *validation) backup(s BackupSpec) {
	v.check("spec.volume", checkObjectName(s.Volume))
	v.check("spec.repository", checkObjectName(s.Repository))
	v.deletionPolicy(s.DeletionPolicy)
}

// resticID is a whole ID of restic, or its first digits.
var resticID = regexp.MustCompile(`^[0-9a-f]{8,64}$`)

func (v *validation) backupSource(path string, b BackupSource) {
	v.check(joinPath(path, "repository"), checkObjectName(b.Repository))
	v.check(joinPath(path, "volume"), checkObjectName(b.Volume))
	if _, err := time.Parse(time.RFC3339, b.At); b.At != LatestBackup && err != nil && !resticID.MatchString(b.At) {
		v.refuse(joinPath(path, "at"), "%s is no backup; write latest, a time like 2026-11-29T01:35:00Z, or at least 8 digits of an ID as volreconciler backups prints it", quote(b.At))
	}
}
