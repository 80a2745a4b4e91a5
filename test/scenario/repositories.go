package scenario

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/actuators/backups/fakebackups"
	"github.com/volreconciler/volreconciler/pkg/backup/format"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/restic"
	"github.com/volreconciler/volreconciler/pkg/restic/fakerestic"
)

// readRestic is the operation of a start of restic that changes nothing.
const readRestic = "readrestic"

// tappedRestic is a restic whose starts are calls of a tap. It dies with the agent: before it has had an effect, or
// when it was about to end; either way it leaves its lock.
type tappedRestic struct {
	*fakerestic.Restic
	tap *fakehost.Tap
}

// Run runs restic, see [restic.Runner].
func (t tappedRestic) Run(ctx context.Context, c restic.Command) (int, error) {
	call := fakehost.Call{Argv: append([]string{"restic"}, c.Args...)}
	if slices.Contains([]string{"snapshots", "dump", "stats", "version"}, c.Args[0]) {
		call = fakehost.Call{Op: readRestic, Path: strings.Join(c.Args, " ")}
	}
	if t.tap.Before != nil {
		if err := t.tap.Before(call); err != nil {
			if err == errKilled { //nolint:errorlint // it is never wrapped
				t.Die(c)
			}
			return -1, err
		}
	}
	code, err := t.Restic.Run(ctx, c)
	if t.tap.After != nil {
		if failed := t.tap.After(call, err); failed != nil {
			if failed == errKilled { //nolint:errorlint // it is never wrapped
				t.Die(c)
			}
			return -1, failed
		}
	}
	return code, err
}

// saved is a backup in a repository.
type saved struct {
	fakerestic.Kept
	// what says which one it is, whatever its ID is.
	what string
	tags map[string]string
}

// savedIn returns the backups in repositories.
func savedIn(repositories *fakerestic.Restic) (all []saved) {
	if repositories == nil {
		return nil
	}
	count := map[string]int{}
	kept := repositories.Kept()
	for _, url := range slices.Sorted(maps.Keys(kept)) {
		for _, k := range kept[url] {
			s := saved{Kept: k, tags: map[string]string{}}
			for _, tag := range k.Tags {
				name, value, _ := strings.Cut(tag, "=")
				s.tags[name] = value
			}
			s.what = fmt.Sprintf("backup of %s in %s of %s by %s%s", s.tags["volume"], url, s.Time.Format(time.RFC3339), s.tags["schedule"], s.tags["backup"])
			if count[s.what]++; count[s.what] > 1 {
				s.what += fmt.Sprint(", number ", count[s.what])
			}
			all = append(all, s)
		}
	}
	return all
}

func (s saved) isComplete() bool {
	for _, name := range []string{fakebackups.File, "/" + format.Dir + "/" + format.Digests, "/" + format.Dir + "/" + format.Times} {
		if s.Files[name] == nil {
			return false
		}
	}
	return true
}

// content is what is in it, as by [Data].
func (s saved) content() string {
	data, err := fakebackups.Content(s.Files[fakebackups.File])
	if err != nil {
		return err.Error()
	}
	return spans(data)
}

// Restorable returns the volumes of which a repository has a complete backup.
func Restorable(f *Fake) []string {
	var found []string
	for _, s := range savedIn(f.repositories) {
		if s.isComplete() {
			found = append(found, s.tags["volume"])
		}
	}
	return found
}

// Saved returns what is in the backups of a repository, the oldest first.
func Saved(f *Fake, url string) []string {
	contents := []string{}
	for _, k := range f.repositories.Kept()[url] {
		content := saved{Kept: k}.content()
		if !(saved{Kept: k}).isComplete() {
			content += ", incomplete"
		}
		contents = append(contents, content)
	}
	return contents
}

// Mismatches returns the backups that have not what is in the snapshots that they were made of, and the snapshots that
// say to be the base of another backup than the one that was made of them.
func Mismatches(f *Fake) []string {
	return image{node: f.Node(), data: Data(f), repositories: f.repositories}.mismatches()
}

func (i image) mismatches() (found []string) {
	all := savedIn(i.repositories)
	for _, vg := range i.node.VolumeGroups {
		for _, lv := range vg.LogicalVolumes {
			name := vg.Name + "/" + lv.Name
			for _, s := range all {
				if s.tags["lv"] == lv.UUID && s.isComplete() && s.content() != i.data[name] {
					found = append(found, fmt.Sprintf("%s has %s, but its snapshot %s has %s", s.what, s.content(), name, i.data[name]))
				}
				if s.tags["lv"] != lv.UUID && slices.ContainsFunc(lv.Tags, func(t string) bool { return strings.HasPrefix(t, ondisk.TagBase) && strings.HasSuffix(t, "/"+s.ID) }) {
					found = append(found, fmt.Sprintf("%s was not made of its base %s", s.what, name))
				}
			}
		}
	}
	return found
}

// uuids are UUIDs of logical volumes.
var uuids = regexp.MustCompile(`\b[a-zA-Z0-9]{6}(-[a-zA-Z0-9]{4}){5}-[a-zA-Z0-9]{6}\b`)

// withBackups adds to lines what is in repositories, and names backups in them by what they are, and not by their IDs.
func (i image) withBackups(lines []string) []string {
	var names []string
	for _, vg := range i.node.VolumeGroups {
		for _, lv := range vg.LogicalVolumes {
			names = append(names, lv.UUID, "<UUID of "+vg.Name+"/"+lv.Name+">")
		}
	}
	all := savedIn(i.repositories)
	for _, s := range all {
		names = append(names, s.ID, "<"+s.what+">")
	}
	replace := strings.NewReplacer(names...)
	for n := range lines {
		lines[n] = replace.Replace(lines[n])
	}
	for _, s := range all {
		tags := uuids.ReplaceAllString(replace.Replace(fmt.Sprint(slices.Sorted(slices.Values(s.Tags)))), "<UUID>")
		lines = append(lines, fmt.Sprintf("%s: complete=%t tags=%s content=%q", s.what, s.isComplete(), tags, s.content()))
	}
	for _, o := range i.status.Objects {
		if r := o.Repository; r != nil {
			lines = append(lines, fmt.Sprintf("%s has %d backups, pruned %s, checked %s", o.ID(), r.Backups, r.Pruned.Format(time.RFC3339), r.Checked.Format(time.RFC3339)))
		}
		if s := o.Schedule; s != nil {
			shown := *s
			lines = append(lines, fmt.Sprintf("%s has %+v", o.ID(), shown))
		}
	}
	return append(lines, i.mismatches()...)
}

// repository does something to the repositories, as people do who have access to them.
func repository(do func(r *fakerestic.Restic)) func(context.Context, Machine) error {
	return func(_ context.Context, m Machine) error {
		f, ok := m.(*Fake)
		if !ok {
			return fmt.Errorf("repositories are in memory only")
		}
		do(f.repositories)
		return nil
	}
}
