package reconcile

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"time"

	"github.com/volreconciler/volreconciler/pkg/durable"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Memory remembers across restarts which logical volume each object had, which targets each Export
// had, and what initiators have seen of these. For volumes it only makes the agent more careful:
// without it, a volume that somebody removed would be created again, and empty. For Exports it
// knows the owner of an empty directory that a crash leaves of a target, and whether a removed
// file said disconnect: Force. Without it, the directory is kept, and sessions are waited for.
type Memory struct {
	path string
	remembered
	// stored is false if the file does not hold what is known.
	stored bool
}

// remembered is the content of the file.
type remembered struct {
	known     map[spec.ID]plan.Identity
	exposures plan.Exposures
	// boot is the boot in which it was learned; empty: unknown.
	boot string
}

// memoryVersion is the version of the file. Files without one hold objects alone, which later
// versions have in the field objects.
const memoryVersion = 2

// memoryFile is the file.
type memoryFile struct {
	Version   int                      `json:"version"`
	Boot      string                   `json:"boot,omitempty"`
	Objects   map[string]plan.Identity `json:"objects"`
	Exposures plan.Exposures           `json:"exposures,omitempty"`
}

// OpenMemory reads the memory from a file. A missing file is an empty memory; its directory is
// created when something is first stored.
func OpenMemory(path string) (*Memory, error) {
	m := &Memory{path: path, remembered: remembered{known: map[spec.ID]plan.Identity{}}, stored: true}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return nil, err
	}
	file, err := parseMemory(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w. Restore it, or move it away to start without it: volumes removed by hand are then created again", path, err)
	}
	m.exposures, m.boot = file.Exposures, file.Boot
	for key, identity := range file.Objects {
		m.known[spec.ParseID(key)] = identity
	}
	return m, nil
}

// parseMemory reads a file of this version or an earlier one.
func parseMemory(data []byte) (memoryFile, error) {
	var file memoryFile
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return file, err
	}
	if _, versioned := keys["version"]; !versioned {
		err := json.Unmarshal(data, &file.Objects)
		for key, identity := range file.Objects { // earlier agents only remembered what their files declared
			identity.Declared = true
			file.Objects[key] = identity
		}
		return file, err
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return file, err
	}
	if file.Version > memoryVersion {
		return file, fmt.Errorf("it has version %d, written by a later volreconciler; this version knows %d. Install the later one", file.Version, memoryVersion)
	}
	return file, nil
}

// Known returns what is remembered of objects.
func (m *Memory) Known() map[spec.ID]plan.Identity { return m.known }

// Stored returns the file in which it is kept. It may be called while a pass is made. If nothing was ever kept
// the error is fs.ErrNotExist.
func (m *Memory) Stored() ([]byte, error) { return os.ReadFile(m.path) }

// Exposures returns what is remembered of what initiators have seen.
func (m *Memory) Exposures() plan.Exposures { return m.exposures }

// Rebooted reports whether the node was restarted since anything was learned about it.
func (m *Memory) Rebooted(observed observe.State) bool {
	return observed.BootID != "" && observed.BootID != m.boot
}

// Learn learns from an observation with its index, and stores what is new. What could not be
// stored is known all the same, and a later call stores it. busy are the lanes in which changes
// continued during the observation.
func (m *Memory) Learn(declared spec.Set, observed observe.State, index *plan.Index, busy map[string]bool, now time.Time) error {
	next := remembered{
		known: plan.KeepWhileBusy(plan.Learn(m.known, declared, observed, index, now), m.known, busy),
		boot:  cmp.Or(observed.BootID, m.boot),
	}
	next.exposures = plan.LearnExposures(m.exposures, observed, index, m.Rebooted(observed), now)
	return m.update(next)
}

// Anticipate notes what the steps of a plan are about to take from initiators, and to show them,
// before they do. It stores like Learn.
func (m *Memory) Anticipate(p plan.Plan, declared spec.Set, observed observe.State, index *plan.Index, now time.Time) error {
	next := remembered{
		known:     plan.NoteBeginning(m.known, p, declared, observed, index),
		exposures: plan.Anticipate(m.exposures, p, index, now),
		boot:      m.boot,
	}
	return m.update(next)
}

// NoteFailures notes which steps of a plan failed. It stores like Learn.
func (m *Memory) NoteFailures(p plan.Plan, failed func(plan.StepID) bool, declared spec.Set) error {
	next := m.remembered
	next.known = plan.NoteFailures(m.known, p, failed, declared)
	return m.update(next)
}

func (m *Memory) update(next remembered) error {
	if m.stored && reflect.DeepEqual(next, m.remembered) {
		return nil
	}
	m.remembered = next
	err := m.store()
	m.stored = err == nil
	return err
}

// store writes the file.
func (m *Memory) store() error {
	stored := make(map[string]plan.Identity, len(m.known))
	for id, identity := range m.known {
		stored[id.String()] = identity
	}
	data, err := json.MarshalIndent(memoryFile{Version: memoryVersion, Boot: m.boot, Objects: stored, Exposures: m.exposures}, "", "  ")
	if err != nil {
		return err
	}
	return durable.Replace(m.path, append(data, '\n'))
}
