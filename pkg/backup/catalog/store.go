package catalog

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"time"

	"github.com/go-logr/logr"

	"github.com/volreconciler/volreconciler/pkg/durable"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/restic"
)

const (
	// fileVersion is that of the file. Others are not read.
	fileVersion = 1
	// maxFile is how large a file may be that is read: one with 100,000 removals has 10 MB.
	maxFile = 64 << 20
	// brokenSuffix is that of a file that was set aside.
	brokenSuffix = ".broken"
	// removalsCount is for how long a removal is among those of the last day.
	removalsCount = 24 * time.Hour
	// begunCounts is for how long a backup that was begun and did not end is remembered. Its snapshot is gone by then, or it
	// was begun again.
	begunCounts = 30 * 24 * time.Hour
)

// store is the file, and what is in it.
type store struct {
	// path is empty if nothing is kept, or nothing may be written.
	path string
	// byKey are repositories by [key].
	byKey map[string]*kept
	// written is false if the file does not have what is known.
	written bool
	// lost is true while a broken file is set aside: which repositories were seen is in that.
	lost bool
}

// file is the content of the file.
type file struct {
	Version      int              `json:"version"`
	Repositories map[string]*kept `json:"repositories"`
}

// kept is what is kept of a repository.
type kept struct {
	Seen    bool      `json:"seen,omitempty"`
	Pruned  time.Time `json:"pruned,omitzero"`
	Checked time.Time `json:"checked,omitzero"`
	// Removals are when a removal was begun, by Volume and ID. Those that failed are among them: their backups
	// are still there.
	Removals map[string]map[string]time.Time `json:"removals,omitempty"`
	// Begun are the backups that were begun and did not end, by [begunKey].
	Begun map[string]time.Time `json:"begun,omitempty"`
	// Doubted are the backups that do not have the content that their volume had, by ID.
	Doubted map[string]time.Time `json:"doubted,omitempty"`
}

// key names a repository in the file: its public address, and a checksum of all of the URL, which may have
// a password in it.
func key(url string) string {
	sum := sha256.Sum256([]byte(url))
	return restic.Repository{URL: url}.String() + " " + hex.EncodeToString(sum[:8])
}

// openStore reads the file.
func openStore(path string, readOnly bool, log logr.Logger) (*store, error) {
	s := &store{path: path, byKey: map[string]*kept{}, written: true}
	if readOnly {
		s.path = ""
	}
	if path == "" {
		return s, nil
	}
	aside := path + brokenSuffix
	if _, err := os.Stat(aside); err == nil {
		s.lost = true
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the state of repositories: %w", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, fmt.Errorf("cannot read the state of repositories: %w", err)
	}
	if s.byKey, err = decode(data); err == nil {
		return s, nil
	}
	if readOnly {
		return nil, fmt.Errorf("the state of repositories %s cannot be used: %w", path, err)
	}
	if failed := os.Rename(path, aside); failed != nil {
		return nil, fmt.Errorf("cannot set aside the broken state of repositories %s: %w", path, errors.Join(failed, err))
	}
	log.Error(err, "the state of repositories cannot be used: when they were pruned and checked is forgotten, and none is created until the file that was set aside is removed", "file", path, "kept", aside)
	s.byKey, s.lost = map[string]*kept{}, true
	return s, nil
}

// decode reads the content of the file, and nothing that this version would not write.
func decode(data []byte) (map[string]*kept, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var f file
	if err := decoder.Decode(&f); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something behind the end")
	}
	if f.Version != fileVersion {
		return nil, fmt.Errorf("version %d is unknown", f.Version)
	}
	for name, k := range f.Repositories {
		if k == nil {
			return nil, fmt.Errorf("nothing is there for %s", name)
		}
	}
	if f.Repositories == nil {
		f.Repositories = map[string]*kept{}
	}
	return f.Repositories, nil
}

// write writes the file.
func (s *store) write() error {
	if s.path == "" {
		return nil
	}
	data, err := json.MarshalIndent(file{fileVersion, s.byKey}, "", "  ")
	if err == nil {
		err = durable.Replace(s.path, append(data, '\n'))
	}
	s.written = err == nil
	if err != nil {
		return fmt.Errorf("cannot write the state of repositories %s: %w", s.path, err)
	}
	return nil
}

// note changes what is kept of a repository, and writes the file unless it has that already.
func (s *store) note(url string, change func(*kept)) error {
	k := s.of(url)
	before, err := json.Marshal(k)
	if err != nil {
		return err
	}
	change(k)
	if after, err := json.Marshal(k); err != nil || s.written && bytes.Equal(before, after) {
		return err
	}
	return s.write()
}

// of returns what is kept of a repository, which is made if there is none.
func (s *store) of(url string) *kept {
	k := s.byKey[key(url)]
	if k == nil {
		k = &kept{}
		s.byKey[key(url)] = k
	}
	return k
}

// complete adds to what was read of a repository what is kept of it.
func (s *store) complete(url string, r observe.Repository, now time.Time) observe.Repository {
	k := s.byKey[key(url)]
	if k == nil {
		r.Seen = s.lost // it may have been: an empty one in the place of one that is not mounted would hide that it is gone
		return r
	}
	r.Seen, r.Pruned, r.Checked = k.Seen || s.lost, k.Pruned, k.Checked
	there := make(map[string]bool, len(r.Backups))
	for _, b := range r.Backups {
		there[b.ID] = true
	}
	r.Forgotten = map[string]int{}
	for volume, removals := range k.Removals {
		for id, at := range removals {
			if now.Sub(at) < removalsCount && !there[id] {
				r.Forgotten[volume]++
			}
		}
	}
	return r
}

// wasRead takes in that a repository was read.
func (k *kept) wasRead(found []observe.Backup) {
	k.Seen = true
	if len(k.Doubted) == 0 {
		return
	}
	there := make(map[string]bool, len(found))
	for _, b := range found {
		there[b.ID] = true
	}
	maps.DeleteFunc(k.Doubted, func(id string, _ time.Time) bool { return !there[id] })
}

// noteRemovals adds removals, and drops those that no longer count.
func (k *kept) noteRemovals(volume string, ids []string, now time.Time) {
	for v, removals := range k.Removals {
		maps.DeleteFunc(removals, func(_ string, at time.Time) bool { return now.Sub(at) >= removalsCount })
		if len(removals) == 0 {
			delete(k.Removals, v)
		}
	}
	if k.Removals == nil {
		k.Removals = map[string]map[string]time.Time{}
	}
	if k.Removals[volume] == nil {
		k.Removals[volume] = map[string]time.Time{}
	}
	for _, id := range ids {
		k.Removals[volume][id] = now
	}
}
