package host

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/volreconciler/volreconciler/pkg/safepath"
)

// lvmEtc is where LVM's configuration is.
const lvmEtc = "/etc/lvm"

// writeSystemDir makes dir a directory that LVM takes for its own (LVM_SYSTEM_DIR): the
// configuration in etc, with what [lvmSettings] say at the end of each file.
//
// A shell can be configured in no other way. LVM asks for an option or a profile only once it
// runs a command, and some of these settings are in force before and after that.
//
// It is kept: dmeventd has the environment of whoever starts it, and where that is a
// shell of ours, it looks for its own settings here.
func writeSystemDir(dir, etc string) error {
	if err := safepath.MakeDir(dir); err != nil {
		return fmt.Errorf("cannot copy LVM's configuration: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(etc, "lvm*.conf")) // also lvmlocal.conf and those of host tags
	if err != nil {
		return err
	}
	texts := map[string][]byte{"lvm.conf": nil}
	for _, file := range files {
		if texts[filepath.Base(file)], err = os.ReadFile(file); err != nil {
			return err
		}
	}
	for name, text := range texts {
		if name == "lvm.conf" {
			text = append([]byte(pathsIn(etc)), text...)
		}
		if err := replaceFile(filepath.Join(dir, name), append(append(text, '\n'), lvmShellConfig...)); err != nil {
			return err
		}
	}
	old, err := filepath.Glob(filepath.Join(dir, "lvm*.conf"))
	for _, file := range old {
		if _, there := texts[filepath.Base(file)]; !there {
			err = errors.Join(err, os.Remove(file))
		}
	}
	// No setting says where the devices files are.
	link := filepath.Join(dir, "devices")
	if was, readErr := os.Readlink(link); readErr != nil || was != filepath.Join(etc, "devices") {
		_ = os.Remove(link) // if it cannot be removed, the link cannot be made
		err = errors.Join(err, os.Symlink(filepath.Join(etc, "devices"), link))
	}
	return err
}

// pathsIn are the settings whose defaults are paths in LVM's own directory. They come
// before those of the administrator: of two values LVM uses the last.
func pathsIn(etc string) string {
	return `config/profile_dir = "` + etc + `/profile"
backup/backup_dir = "` + etc + `/backup"
backup/archive_dir = "` + etc + `/archive"
`
}

// replaceFile gives a file a content in one step, unless it has it.
func replaceFile(file string, data []byte) error {
	// One that somebody else can write to is replaced, whatever is in it now.
	if was, err := readOwn(file); err == nil && bytes.Equal(was, data) {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".new")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		if gone := os.Remove(f.Name()); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}

func readOwn(file string) ([]byte, error) {
	f, err := safepath.OpenFile(file, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	return data, errors.Join(err, f.Close())
}
