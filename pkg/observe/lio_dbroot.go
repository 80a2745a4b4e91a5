package observe

import (
	"errors"
	"io/fs"
	"path"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// DBRootFile names the directory in which the kernel keeps what it has to know after a
// reboot: persistent reservations and ALUA states. It cannot be changed while there is a
// backstore. Old kernels do not have it, and keep that in DefaultDBRoot.
const (
	DBRootFile    = LIODir + "/dbroot"
	DefaultDBRoot = "/var/target"
)

// ReadDBRoot returns the directory.
func ReadDBRoot(h host.Files) (string, error) {
	dir, err := readText(h, DBRootFile)
	if errors.Is(err, fs.ErrNotExist) {
		return DefaultDBRoot, nil
	}
	return dir, err
}

// ReservationsDir is the directory in which the kernel keeps persistent reservations across
// a reboot. The kernel does not create it, and refuses such reservations without it.
func ReservationsDir(dbRoot string) string { return path.Join(dbRoot, "pr") }

// ALUADir is the directory for the states of target port groups.
func ALUADir(dbRoot string) string { return path.Join(dbRoot, "alua") }
