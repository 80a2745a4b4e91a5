package observe

import (
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// FuzzNVMet feeds the reader of nvmet with a machine on which all attributes read
// the same and all symlinks lead there: it may not panic, and takes no subsystem
// for ours that is not marked.
func FuzzNVMet(f *testing.F) {
	for _, seed := range []string{"volreconciler", "1\n", "tcp", "10.0.0.1", "4420", "(null)", "DHHC-1:00:x:", "../../../../nvmet/hosts/second", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		files := nvmetFiles(shared)
		for name, file := range files.tree {
			switch {
			case file.Mode&fs.ModeSymlink != 0 && strings.TrimLeft(path.Clean(text), "./") != "" && !strings.Contains(text, "\x00"):
				file.Data = []byte(text)
			case !file.Mode.IsDir() && file.Mode&fs.ModeSymlink == 0 && !strings.HasSuffix(name, "enable"):
				file.Data = []byte(text)
			}
		}
		all, err := readNVMet(files)
		if err != nil {
			return
		}
		for nqn, target := range all {
			if _, ours := target.Owner(); ours != (strings.TrimSpace(text) == ondisk.SubsystemModel) {
				t.Errorf("%s is ours: %t, where all attributes are %q", nqn, ours, text)
			}
		}
	})
}
