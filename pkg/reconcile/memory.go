package reconcile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Memory remembers across restarts which logical volume each object had, and
// which targets. Of volumes it only ever makes the agent more careful: without
// it, an object whose logical volume somebody removed would be created anew, and
// empty. Of Exports it says whose the empty directory is that a crash leaves of a
// target, and what the file that is gone said about live sessions: without it,
// the directory stays and sessions are waited for.
type Memory struct {
	path  string
	known map[spec.ID]plan.Identity
	// stored is false if the file does not hold what is known.
	stored bool
}

// OpenMemory reads the memory kept in a file. A missing file is an empty
// memory; its directory is created when something is first remembered.
func OpenMemory(path string) (*Memory, error) {
	m := &Memory{path: path, known: map[spec.ID]plan.Identity{}, stored: true}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return nil, err
	}
	var stored map[string]plan.Identity
	if err := json.Unmarshal(data, &stored); err != nil {
		return nil, fmt.Errorf("%s: %w; move it away to start without it: volumes removed by hand would then be created anew", path, err)
	}
	for key, identity := range stored {
		m.known[spec.ParseID(key)] = identity
	}
	return m, nil
}

// Known returns what is remembered.
func (m *Memory) Known() map[spec.ID]plan.Identity { return m.known }

// Learn takes in what was observed, of which index is the index, and stores it if it is news.
// What could not be stored is known all the same, and stored by a later call. busy are the
// lanes in which changes went on while it was observed.
func (m *Memory) Learn(desired spec.Set, observed observe.State, index *plan.Index, busy map[string]bool) error {
	return m.replace(plan.KeepWhileBusy(plan.Learn(m.known, desired, observed, index), m.known, busy))
}

// Interrupt takes in what the cutovers of a plan are about to take from targets, before they
// do. It stores it like Learn.
func (m *Memory) Interrupt(p plan.Plan, desired spec.Set, observed observe.State, index *plan.Index) error {
	return m.replace(plan.NoteInterruptions(m.known, p, desired, observed, index))
}

func (m *Memory) replace(next map[spec.ID]plan.Identity) error {
	if m.stored && reflect.DeepEqual(next, m.known) {
		return nil
	}
	m.known = next
	err := m.store()
	m.stored = err == nil
	return err
}

// store replaces the file in one step, so that a crash leaves the old or the
// new content.
func (m *Memory) store() error {
	stored := make(map[string]plan.Identity, len(m.known))
	for id, identity := range m.known {
		stored[id.String()] = identity
	}
	data, err := json.MarshalIndent(stored, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(m.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, filepath.Base(m.path)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(append(data, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), m.path)
}
