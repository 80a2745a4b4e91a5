package statusapi

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/volreconciler/volreconciler/pkg/safepath"
)

// maxSocketPath is what fits into the kernel's struct sockaddr_un. Beyond it,
// bind(2) says no more than "invalid argument".
const maxSocketPath = 107

// Listen opens the socket on which an agent answers. Closing the listener
// removes it. Its directory must be there, where nobody else can make files, and the
// caller must have made sure that no other agent uses it: a socket that lies there is
// taken for one that an agent left behind.
func Listen(path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("the path of socket %s has %d bytes; the kernel accepts at most %d. Choose a shorter --runtime-dir", path, len(path), maxSocketPath)
	}
	if err := safepath.CheckDir(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("cannot create the socket: %w", err)
	}
	if err := removeLeftover(path); err != nil {
		return nil, err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	// The group may ask too, if the administrator opens the directory to it.
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

// removeLeftover removes the socket of an agent that did not end by itself, and
// nothing that is not a socket.
func removeLeftover(path string) error {
	stat, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case stat.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is not a socket; remove it", path)
	}
	return os.Remove(path)
}
