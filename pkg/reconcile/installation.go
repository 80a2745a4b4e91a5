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

// Installation is what a state directory says of the installation that it is of: who it is, and
// what it is to adopt from others.
type Installation struct {
	dir string
	ondisk.Maker
	// upgraded is true if it has no identifier yet though an agent has worked with the directory:
	// that one did not write onto logical volumes who made them.
	upgraded bool
	// stored is true if its identifier is in its file.
	stored bool
}

// InstallationFile is the name of the file that says who an installation is.
const InstallationFile = "installation.json"

const (
	installationVersion = 1
	// takeoverDir holds an empty file for each installation that is taken over.
	takeoverDir = "adopt-node"
	// notYet is the identifier of an installation that has none yet, which is then never written.
	notYet = "new"
)

// installationJSON is the file.
type installationJSON struct {
	Version int    `json:"version"`
	ID      string `json:"id"`
	Name    string `json:"name"`
}

// idForm is that of identifiers of installations.
var idForm = regexp.MustCompile(`^[0-9a-f]{16}$`)

// OpenInstallation reads who the installation with a state directory is. memory is the file of
// [OpenMemory]; node, the name of the node, is used for a new one. It writes nothing.
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

// Establish gives an installation that is new its identifier, and stores it. If it cannot be stored
// it applies all the same, and a later call tries again. That of an upgraded one adopts all that
// does not say who made it, because it did.
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

// Adopt asks for all that another installation made to become this one's; [plan.Unmarked] is
// that of what does not say who made it.
func (i *Installation) Adopt(id string) error {
	if id != plan.Unmarked && !idForm.MatchString(id) {
		return fmt.Errorf("%q is no installation: it must be 16 hexadecimal digits, or %s", id, plan.Unmarked)
	}
	return durable.Replace(filepath.Join(i.dir, takeoverDir, id), nil)
}

// Current returns what a plan has to know now.
func (i *Installation) Current() (plan.Installation, error) {
	now := plan.Installation{Maker: i.Maker}
	if i.upgraded {
		now.TakesOver = append(now.TakesOver, plan.Unmarked)
	}
	entries, err := os.ReadDir(filepath.Join(i.dir, takeoverDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return now, err
	}
	for _, entry := range entries {
		if name := entry.Name(); name == plan.Unmarked || idForm.MatchString(name) {
			now.TakesOver = append(now.TakesOver, name)
		}
	}
	slices.Sort(now.TakesOver)
	now.TakesOver = slices.Compact(now.TakesOver)
	return now, nil
}

// Adopted notes that nothing is left of what was to be adopted from other installations.
func (i *Installation) Adopted(ids []string) error {
	var errs []error
	for _, id := range ids {
		if err := os.Remove(filepath.Join(i.dir, takeoverDir, id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
