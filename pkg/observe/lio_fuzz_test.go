package observe

import (
	"context"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// FuzzConfigFS feeds every reader of LIO's attributes, names and symlinks with
// anything, by itself and in a tree in which all attributes read the same: none
// may panic, and what is read must be in what was there.
func FuzzConfigFS(f *testing.F) {
	for _, seed := range []string{
		"Status: ACTIVATED  SectorSize: 512\n        iBlock device: dm-6  UDEV PATH: /dev/vg0/t2  readonly: 1\n", "  readonly: \n",
		"[::0]:3260", "0.0.0.0:3260", "iqn.a:b\n\x00iqn.c:d\n\x00", "lun_0", "lun_0x10", "volreconciler:db", "NULL", "1\n",
		"T10 VPD Unit Serial Number: 1-2", "No active iSCSI Session for Initiator Endpoint: iqn.a:b\n", "../../../../core/iblock_0/x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if b, err := parseBackstoreInfo(text); err == nil && (!strings.Contains(text, b.blockDevice) || !strings.Contains(text, b.path)) {
			t.Errorf("%q holds no %+v", text, b)
		}
		if once := ParsePortal(text); ParsePortal(once) != once {
			t.Errorf("%q becomes %q, and that %q", text, once, ParsePortal(once))
		}
		for _, name := range parseDynamicSessions(text) {
			if name == "" || strings.ContainsAny(name, "\n\x00") {
				t.Errorf("%q is no name, in %q", name, text)
			}
		}
		if n, err := parseLUNName(text); err == nil {
			if again, err := parseLUNName(lunName(n)); err != nil || again != n {
				t.Errorf("%q is %d, which is written %q and read as %d, %v", text, n, lunName(n), again, err)
			}
		}
		targets, err := readLIO(everywhere{text: text})
		if err != nil {
			return
		}
		for iqn, target := range targets.ISCSI {
			if id, ours := target.Owner(); ours && target.Mark != ondisk.TargetMark(id.Name) {
				t.Errorf("%s with alias %q is taken for that of %s", iqn, target.Mark, id)
			}
		}
		for _, b := range targets.Backstores {
			if b.Enabled != (b.BlockDevice != "") {
				t.Errorf("%+v", b)
			}
		}
	})
}

// everywhere is a machine with one backstore and one target, in which every
// attribute reads the same and every symlink leads there.
type everywhere struct {
	host.Host
	text string
}

func (e everywhere) ReadFile(string) ([]byte, error) { return []byte(e.text), nil }
func (e everywhere) Readlink(string) (string, error) { return e.text, nil }

func (everywhere) Run(context.Context, ...string) (host.Output, error) {
	return host.Output{}, fs.ErrNotExist
}

func (e everywhere) ReadDir(dir string) ([]fs.DirEntry, error) {
	name := map[string]string{
		BackstoresDir: "iblock_0", HBADir("iblock_0"): "volreconciler:volume:x", ISCSIDir: "iqn.a:b", ISCSITarget("iqn.a:b").Path: tpgName,
		ISCSITarget("iqn.a:b").LUNs(): "lun_0", ISCSITarget("iqn.a:b").ACLs(): "iqn.c:d", ISCSITarget("iqn.a:b").ACL("iqn.c:d"): "lun_0",
	}[dir]
	switch {
	case name != "":
	case path.Base(dir) == "np":
		name = strings.ReplaceAll(e.text, "/", "")
	case strings.HasPrefix(path.Base(dir), lunPrefix):
		return []fs.DirEntry{symlinkEntry{entry{name: "x"}}}, nil
	default:
		return nil, fs.ErrNotExist
	}
	return []fs.DirEntry{entry{name: name}}, nil
}

func (e entry) IsDir() bool       { return true }
func (e entry) Type() fs.FileMode { return fs.ModeDir }

type symlinkEntry struct{ entry }

func (symlinkEntry) IsDir() bool       { return false }
func (symlinkEntry) Type() fs.FileMode { return fs.ModeSymlink }
