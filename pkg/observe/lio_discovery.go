package observe

import (
	"errors"
	"io/fs"
	"path"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// DiscoveryDir holds what initiators need to discover the machine's iSCSI targets.
// It is the same for all of them.
const DiscoveryDir = ISCSIDir + "/" + discoveryAuth

// discoveryAuth is beside the targets of every fabric, but means something to iSCSI
// alone.
const discoveryAuth = "discovery_auth"

// DiscoveryAuth is the authentication that discovery asks for.
type DiscoveryAuth struct {
	// Enforced is enforce_discovery_auth: without it anybody may discover targets.
	Enforced bool
	Auth     CHAP
}

// ReadDiscoveryAuth reads it; the zero value if there is no iSCSI target, and so
// nobody to be asked.
func ReadDiscoveryAuth(h host.Files) (DiscoveryAuth, error) {
	var d DiscoveryAuth
	var err error
	if d.Enforced, err = readFlag(h, path.Join(DiscoveryDir, "enforce_discovery_auth")); err == nil {
		d.Auth, err = readCHAP(h, DiscoveryDir)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return DiscoveryAuth{}, nil
	}
	return d, err
}
