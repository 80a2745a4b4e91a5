package restic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Backup is a snapshot to be made of everything in a directory.
type Backup struct {
	// Dir is the directory. Paths in the snapshot are relative to it: /name.
	Dir string
	// Parent is the ID of the snapshot whose unchanged files are not read again. Empty: all
	// files are read.
	Parent string
	Tags   []string
	// Time is the time of the snapshot, in whole seconds.
	Time time.Time
	// Progress, if set, is called a few times a second.
	Progress func(Progress)
}

// Progress is how far a backup is.
type Progress struct {
	Files, TotalFiles int64
	Bytes, TotalBytes int64 // unchanged files included
}

// Summary is what a backup has made.
type Summary struct {
	// ID is the snapshot's: all of it, or its first 8 digits (restic before 0.17). Compare IDs
	// with [SameID].
	ID string
	// Processed is the size of all files in bytes, read or unchanged.
	Processed int64
	// Added is how many bytes were added to the repository, before compression.
	Added int64
}

// message is a line that restic prints with --json.
type message struct {
	Type       string `json:"message_type"`
	FilesDone  int64  `json:"files_done"`
	TotalFiles int64  `json:"total_files"`
	BytesDone  int64  `json:"bytes_done"`
	TotalBytes int64  `json:"total_bytes"`
	ID         string `json:"snapshot_id"`
	Added      int64  `json:"data_added"`
	Processed  int64  `json:"total_bytes_processed"`
}

// timeLayout is what --time takes, in the zone of the environment, which is UTC.
const timeLayout = "2006-01-02 15:04:05"

// Backup makes a snapshot. With an error that is [ErrIncomplete] there is a snapshot all the same,
// and the summary has its ID.
func (r Repository) Backup(ctx context.Context, b Backup) (Summary, error) {
	args := []string{"backup", "--json", "--time", b.Time.UTC().Format(timeLayout)}
	if r.Host != "" {
		args = append(args, "--host", r.Host)
	}
	if b.Parent != "" {
		args = append(args, "--parent", b.Parent)
	} else {
		args = append(args, "--force") // otherwise restic chooses a parent by itself
	}
	for _, tag := range b.Tags {
		args = append(args, "--tag", tag)
	}
	var summary Summary
	found := false
	out := &lines{each: func(line []byte) {
		var m message
		if json.Unmarshal(line, &m) != nil {
			return
		}
		switch m.Type {
		case "status":
			if b.Progress != nil {
				b.Progress(Progress{Files: m.FilesDone, TotalFiles: m.TotalFiles, Bytes: m.BytesDone, TotalBytes: m.TotalBytes})
			}
		case "summary":
			summary, found = Summary{ID: m.ID, Processed: m.Processed, Added: m.Added}, m.ID != ""
		}
	}}
	err := r.run(ctx, invocation{args: append(args, "."), dir: b.Dir, stdout: out})
	if err == nil && !found {
		err = errors.New("restic backup printed no summary; see what is in the repository with restic snapshots")
	}
	return summary, err
}

// longestLine bounds a line of restic's; the longest, of errors, have a path in them.
const longestLine = 1 << 20

// lines calls a function for each line that is written to it. It drops lines that are too long.
type lines struct {
	each func([]byte)
	rest []byte
}

func (l *lines) Write(b []byte) (int, error) {
	n := len(b)
	for {
		line, after, ok := bytes.Cut(b, []byte("\n"))
		if len(l.rest)+len(line) <= longestLine {
			l.rest = append(l.rest, line...)
		}
		if !ok {
			return n, nil
		}
		l.each(l.rest)
		l.rest, b = l.rest[:0], after
	}
}

// SameID reports whether two IDs are of one snapshot. One may be short.
func SameID(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	return len(a) >= shortID && b[:len(a)] == a
}

const (
	// IDLength is the length of an ID.
	IDLength = 64
	// shortID is that of a short one.
	shortID = 8
)

// checkID keeps a text that is no ID from being taken for an option or a word such as latest.
func checkID(id string) error {
	if len(id) < shortID || len(id) > IDLength {
		return fmt.Errorf("%q is not the ID of a snapshot", id)
	}
	for _, c := range id {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return fmt.Errorf("%q is not the ID of a snapshot", id)
		}
	}
	return nil
}
