package restic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"time"
)

// Snapshot is a snapshot of a repository.
type Snapshot struct {
	ID    string    `json:"id"`
	Time  time.Time `json:"time"` // in UTC
	Tags  []string  `json:"tags"`
	Host  string    `json:"hostname"`
	Paths []string  `json:"paths"` // absolute, and not the paths inside of the snapshot
	Tree  string    `json:"tree"`  // equal for equal content
}

// Snapshots returns the snapshots that have all of the tags, in the order in which restic prints them.
func (r Repository) Snapshots(ctx context.Context, tags ...string) ([]Snapshot, error) {
	args := []string{"snapshots", "--json"}
	if len(tags) > 0 {
		joined := tags[0]
		for _, t := range tags[1:] {
			joined += "," + t // with a comma: all of them; several --tag: any
		}
		args = append(args, "--tag", joined)
	}
	var out bytes.Buffer
	if err := r.run(ctx, invocation{args: args, stdout: &out, reads: true, soon: true}); err != nil {
		return nil, err
	}
	var snapshots []Snapshot
	if err := json.Unmarshal(out.Bytes(), &snapshots); err != nil {
		return nil, fmt.Errorf("cannot parse the output of restic snapshots: %w", err)
	}
	for i := range snapshots {
		snapshots[i].Time = snapshots[i].Time.UTC()
	}
	return snapshots, nil
}

// Dump writes what lies at a path of a snapshot: a file as it is, a directory as a tar
// stream of what is in it, in the order of names. The error may come when most has been written.
func (r Repository) Dump(ctx context.Context, id, name string, to io.Writer) error {
	if err := checkID(id); err != nil {
		return err
	}
	if !path.IsAbs(name) || path.Clean(name) != name {
		return fmt.Errorf("%q is not an absolute path", name)
	}
	return r.run(ctx, invocation{args: []string{"dump", id, name}, stdout: to, reads: true})
}

// Size is how big a repository is.
type Size struct {
	Bytes int64 `json:"total_size"`       // of all data in it, compressed
	Blobs int64 `json:"total_blob_count"` // pieces of data
}

// Stats returns the size of a repository. It reads all trees of all snapshots.
func (r Repository) Stats(ctx context.Context) (Size, error) {
	var out bytes.Buffer
	var size Size
	if err := r.run(ctx, invocation{args: []string{"stats", "--json", "--mode", "raw-data"}, stdout: &out, reads: true}); err != nil {
		return size, err
	}
	if err := json.Unmarshal(out.Bytes(), &size); err != nil {
		return size, fmt.Errorf("cannot parse the output of restic stats: %w", err)
	}
	return size, nil
}

// IsIncomplete reports whether an error of [Repository.Backup] left a snapshot.
func IsIncomplete(err error) bool { return errors.Is(err, ErrIncomplete) }
