package reconcile

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/durable"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
)

// Installation is the installation that a state directory belongs to: its identifier, and which
// others it adopts.
type Installation struct {
	dir string
	ondisk.Maker
	// upgraded is true if it has no identifier yet although an agent has used the directory: that
	// agent's logical volumes do not name their maker.
	upgraded bool
	// stored is true if its identifier is in its file.
	stored bool
}

// InstallationFile is the name of the file with the identifier of an installation.
const InstallationFile = "installation.json"

const (
	installationVersion = 1
	// adoptDir has an empty file for each installation that is adopted.
	adoptDir = "adopt-node"
	// notYet is the identifier of an installation that has none yet. It is never written.
	notYet = "new"
)

// installationJSON is the file.
type installationJSON struct {
	Version int    `json:"version"`
	ID      string `json:"id"`
	Name    string `json:"name"`
}

// idForm is the form of an installation's identifier.
var idForm = regexp.MustCompile(`^[0-9a-f]{16}$`)

// OpenInstallation reads which installation a state directory belongs to. memory is the file of
// [OpenMemory]; node, the name of the node, is used for a new installation. It writes nothing.
func OpenInstallation(dir, memory, node string) (*Installation, error) {
	i := &Installation{dir: dir}
	path := filepath.Join(dir, InstallationFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		i.Maker = ondisk.Maker{ID: notYet, Name: ondisk.MakerName(node)}
		_, err := os.Stat(memory)
		i.upgraded = err == nil
		return i, nil
	}
	if err != nil {
		return nil, err
	}
	var file installationJSON
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, damaged(path, err)
	}
	switch {
	case file.Version > installationVersion:
		return nil, fmt.Errorf("%s has version %d, written by a later volreconciler; this version knows %d. Install the later one", path, file.Version, installationVersion)
	case !idForm.MatchString(file.ID):
		return nil, damaged(path, fmt.Errorf("its id %q is not 16 hexadecimal digits", file.ID))
	case file.Name != ondisk.MakerName(file.Name):
		return nil, damaged(path, fmt.Errorf("its name %q must have letters, digits and ._- only, at most 64", file.Name))
	}
	i.Maker, i.stored = ondisk.Maker{ID: file.ID, Name: file.Name}, true
	return i, nil
}

func damaged(path string, err error) error {
	return fmt.Errorf("%s: %w. Restore it: its id is in the tags volreconciler/by= of all that was made here (lvs -o lv_name,lv_tags). Or remove it for a new installation, and run: volreconciler adopt-node ID", path, err)
}

// Establish creates and stores the identifier of a new installation. If it cannot be stored it
// applies all the same, and a later call tries again. An upgraded installation adopts all logical
// volumes that do not name their maker, because it made them.
func (i *Installation) Establish() error {
	if i.stored {
		return nil
	}
	if i.ID == notYet {
		var id [8]byte
		_, _ = rand.Read(id[:]) // never fails
		i.ID = hex.EncodeToString(id[:])
	}
	if i.upgraded { // before there is an identifier, so that a crash in between loses nothing
		if err := i.Adopt(plan.Unmarked); err != nil {
			return err
		}
	}
	data, err := json.MarshalIndent(installationJSON{Version: installationVersion, ID: i.ID, Name: i.Name}, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.Replace(filepath.Join(i.dir, InstallationFile), append(data, '\n')); err != nil {
		return err
	}
	i.stored, i.upgraded = true, false
	return nil
}

// Adopt requests that everything another installation made becomes this one's; [plan.Unmarked]
// stands for what does not name its maker.
func (i *Installation) Adopt(id string) error {
	if id != plan.Unmarked && !idForm.MatchString(id) {
		return fmt.Errorf("%q is no installation: it must be 16 hexadecimal digits, or %s", id, plan.Unmarked)
	}
	return durable.Replace(filepath.Join(i.dir, adoptDir, id), nil)
}

// Current returns what a plan has to know now.
func (i *Installation) Current() (plan.Installation, error) {
	now := plan.Installation{Maker: i.Maker}
	if i.upgraded {
		now.Adopts = append(now.Adopts, plan.Unmarked)
	}
	entries, err := os.ReadDir(filepath.Join(i.dir, adoptDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return now, err
	}
	for _, entry := range entries {
		if name := entry.Name(); name == plan.Unmarked || idForm.MatchString(name) {
			now.Adopts = append(now.Adopts, name)
		}
	}
	slices.Sort(now.Adopts)
	now.Adopts = slices.Compact(now.Adopts)
	return now, nil
}

// Adopted notes that nothing is left to adopt from other installations.
func (i *Installation) Adopted(ids []string) error {
	var errs []error
	for _, id := range ids {
		if err := os.Remove(filepath.Join(i.dir, adoptDir, id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
