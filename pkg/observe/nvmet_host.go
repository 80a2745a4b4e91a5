package observe

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// The attributes of a host that hold its keys. A kernel that was built without
// CONFIG_NVME_TARGET_AUTH has none of them.
const (
	HostKey           = "dhchap_key"
	HostControllerKey = "dhchap_ctrl_key"
)

// ReadHostAuth returns what a host has to prove who it is with, and what with the
// subsystem: keys, without user names. There are none where the kernel knows none.
// The error is fs.ErrNotExist if there is no such host.
func ReadHostAuth(h host.Files, name string) (CHAP, error) {
	key, err := readKey(h, path.Join(HostDir(name), HostKey))
	if errors.Is(err, fs.ErrNotExist) {
		_, err := h.ReadDir(HostDir(name))
		return CHAP{}, err
	} else if err != nil {
		return CHAP{}, err
	}
	controller, err := readKey(h, path.Join(HostDir(name), HostControllerKey))
	return CHAP{Password: key, MutualPassword: controller}, err
}

// readKey reads a key. Where there is none older kernels print a null pointer.
func readKey(h host.Files, file string) (spec.Secret, error) {
	text, err := h.ReadFile(file)
	key := strings.TrimSuffix(string(text), "\n")
	if key == "(null)" {
		key = ""
	}
	return spec.NewSecret(key), err
}
