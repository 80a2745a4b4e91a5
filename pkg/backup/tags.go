package backup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/backup/format"
	"github.com/volreconciler/volreconciler/pkg/restic"
)

// Tags of a snapshot in a repository. Others are NAME=VALUE.
const (
	tagOurs   = "volreconciler"
	tagVolume = "volume"
	tagFormat = "format"
)

// Snapshot is a backup in a repository.
type Snapshot struct {
	ID     string    // all of it
	Time   time.Time // in UTC
	Host   string
	Volume string
	// Format is the version of the layout; one that is not [format.Version] cannot be restored by us.
	Format int
	// Tags are the others, by name.
	Tags map[string]string
}

// List returns the backups of a repository, or those of one volume if it is not empty: the oldest first, of one moment by ID.
// Snapshots of others are left out.
func List(ctx context.Context, r restic.Repository, volume string) ([]Snapshot, error) {
	wanted := []string{tagOurs}
	if volume != "" {
		wanted = append(wanted, tagVolume+"="+volume)
	}
	found, err := r.Snapshots(ctx, wanted...)
	if err != nil {
		return nil, fmt.Errorf("cannot list the backups of %s: %w", r, err)
	}
	var ours []Snapshot
	for _, s := range found {
		if b, ok := parseTags(s); ok {
			ours = append(ours, b)
		}
	}
	slices.SortFunc(ours, func(a, b Snapshot) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return ours, nil
}

// parseTags takes a snapshot for one of ours if it says so, and of which volume it is. Of a tag that is there twice
// nobody can tell which one is right: the snapshot is not ours.
func parseTags(s restic.Snapshot) (Snapshot, bool) {
	b := Snapshot{ID: s.ID, Time: s.Time, Host: s.Host, Tags: map[string]string{}}
	for _, tag := range s.Tags {
		name, value, _ := strings.Cut(tag, "=")
		if _, twice := b.Tags[name]; twice {
			return b, false
		}
		b.Tags[name] = value
	}
	_, ours := b.Tags[tagOurs]
	b.Volume = b.Tags[tagVolume]
	version, err := strconv.Atoi(b.Tags[tagFormat])
	b.Format = version
	for _, name := range []string{tagOurs, tagVolume, tagFormat} {
		delete(b.Tags, name)
	}
	return b, ours && b.Volume != "" && err == nil
}

// makeTags returns the tags of a new snapshot.
func makeTags(volume string, more map[string]string) ([]string, error) {
	if volume == "" {
		return nil, errors.New("a backup needs the name of a volume")
	}
	tags := []string{tagOurs, tagVolume + "=" + volume, tagFormat + "=" + strconv.Itoa(format.Version)}
	for _, name := range slices.Sorted(maps.Keys(more)) {
		if name == tagOurs || name == tagVolume || name == tagFormat || name == "" || strings.Contains(name, "=") {
			return nil, fmt.Errorf("%q cannot be the name of a tag", name)
		}
		tags = append(tags, name+"="+more[name])
	}
	for _, tag := range tags {
		if strings.ContainsAny(tag, ",\n\x00") { // restic takes a comma for the end of a tag
			return nil, fmt.Errorf("%q cannot be a tag", tag)
		}
	}
	return tags, nil
}
