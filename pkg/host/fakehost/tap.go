package fakehost

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// Call is one call to a host.
type Call struct {
	// Argv is the command, if it is one.
	Argv []string
	// Op is read, readdir, readlink, readinfo, create, write, mkdir, remove or
	// symlink, if it is a file's, and readblocks, readchanged, readclaim or
	// writeblocks, if it is a device's. Target is where a symlink leads, or what is
	// compared with.
	Op, Path, Target string
	Data             []byte
	// From and To are what is read or written of a device.
	From, To uint64
}

// String renders the call on one line, without what is written to the
// attributes of authentication.
func (c Call) String() string {
	switch {
	case c.Argv != nil:
		return strings.Join(c.Argv, " ")
	case c.Op == "symlink":
		return c.Op + " " + c.Path + " -> " + c.Target
	case c.Op == "write" && path.Base(path.Dir(c.Path)) != "auth" && !strings.HasPrefix(path.Base(c.Path), "dhchap"):
		return c.Op + " " + c.Path + " " + string(c.Data)
	case strings.HasSuffix(c.Op, "blocks"):
		return fmt.Sprintf("%s %s %d to %d", c.Op, c.Path, c.From, c.To)
	default:
		return c.Op + " " + c.Path
	}
}

// Changes reports whether the call may change the machine.
func (c Call) Changes() bool {
	if c.Argv != nil {
		return !slices.Contains([]string{"lvm", "lvs", "vgs", "pvs"}, c.Argv[0])
	}
	return !strings.HasPrefix(c.Op, "read")
}

// Tap is a host whose calls are watched and can be made to fail. Functions that
// are nil do nothing; they may be called from several goroutines at once.
type Tap struct {
	Host host.Host
	// Before is called before a call is made. If it returns an error, the call
	// is not made and fails with it.
	Before func(Call) error
	// After is called after a call that was made, with its error, and returns
	// the error that the caller sees.
	After func(Call, error) error
}

var (
	_ host.Host = (*Tap)(nil)
	_ Devices   = (*Tap)(nil)
)

func (t *Tap) before(c Call) error {
	if t.Before == nil {
		return nil
	}
	return t.Before(c)
}

func (t *Tap) after(c Call, err error) error {
	if t.After == nil {
		return err
	}
	return t.After(c, err)
}

// do makes a call that returns something besides its error.
func do[T any](t *Tap, c Call, call func() (T, error)) (T, error) {
	if err := t.before(c); err != nil {
		var none T
		return none, err
	}
	v, err := call()
	return v, t.after(c, err)
}

// change makes a call that returns an error only.
func (t *Tap) change(c Call, call func() error) error {
	if err := t.before(c); err != nil {
		return err
	}
	return t.after(c, call())
}

// Run runs a command, see [host.Runner].
func (t *Tap) Run(ctx context.Context, argv ...string) (host.Output, error) {
	return do(t, Call{Argv: argv}, func() (host.Output, error) { return t.Host.Run(ctx, argv...) })
}

// ReadFile reads a file, see [host.Files].
func (t *Tap) ReadFile(path string) ([]byte, error) {
	return do(t, Call{Op: "read", Path: path}, func() ([]byte, error) { return t.Host.ReadFile(path) })
}

// ReadDir reads a directory, see [host.Files].
func (t *Tap) ReadDir(path string) ([]fs.DirEntry, error) {
	return do(t, Call{Op: "readdir", Path: path}, func() ([]fs.DirEntry, error) { return t.Host.ReadDir(path) })
}

// Readlink reads a symlink, see [host.Files].
func (t *Tap) Readlink(path string) (string, error) {
	return do(t, Call{Op: "readlink", Path: path}, func() (string, error) { return t.Host.Readlink(path) })
}

// Lstat says what is at a path, see [host.Files].
func (t *Tap) Lstat(path string) (fs.FileInfo, error) {
	return do(t, Call{Op: "readinfo", Path: path}, func() (fs.FileInfo, error) { return t.Host.Lstat(path) })
}

// WriteFile writes an attribute, see [host.Files].
func (t *Tap) WriteFile(path string, data []byte) error {
	return t.change(Call{Op: "write", Path: path, Data: data}, func() error { return t.Host.WriteFile(path, data) })
}

// Mkdir makes a directory, see [host.Files].
func (t *Tap) Mkdir(path string) error {
	return t.change(Call{Op: "mkdir", Path: path}, func() error { return t.Host.Mkdir(path) })
}

// Remove removes a symlink or an empty directory, see [host.Files].
func (t *Tap) Remove(path string) error {
	return t.change(Call{Op: "remove", Path: path}, func() error { return t.Host.Remove(path) })
}

// Symlink makes a symlink, see [host.Files].
func (t *Tap) Symlink(target, link string) error {
	return t.change(Call{Op: "symlink", Path: link, Target: target}, func() error { return t.Host.Symlink(target, link) })
}

// errNoDevices is what a host says that has none.
var errNoDevices = errors.New("there are no devices behind this host")

// ReadBlocks reads from a device, see [Devices].
func (t *Tap) ReadBlocks(path string, from, to uint64) ([]Span, error) {
	devices, ok := t.Host.(Devices)
	if !ok {
		return nil, errNoDevices
	}
	return do(t, Call{Op: "readblocks", Path: path, From: from, To: to}, func() ([]Span, error) { return devices.ReadBlocks(path, from, to) })
}

// WriteBlocks writes to a device, see [Devices].
func (t *Tap) WriteBlocks(path string, from, to uint64, data []Span) error {
	devices, ok := t.Host.(Devices)
	if !ok {
		return errNoDevices
	}
	return t.change(Call{Op: "writeblocks", Path: path, From: from, To: to}, func() error { return devices.WriteBlocks(path, from, to, data) })
}

// ChangedBlocks compares, see [Devices].
func (t *Tap) ChangedBlocks(since, now string) ([]Span, error) {
	devices, ok := t.Host.(Devices)
	if !ok {
		return nil, errNoDevices
	}
	return do(t, Call{Op: "readchanged", Path: now, Target: since}, func() ([]Span, error) { return devices.ChangedBlocks(since, now) })
}

// BlockSize returns the size of a device's blocks, see [Devices].
func (t *Tap) BlockSize(path string) (int64, error) {
	devices, ok := t.Host.(Devices)
	if !ok {
		return 0, errNoDevices
	}
	return do(t, Call{Op: "readblocksize", Path: path}, func() (int64, error) { return devices.BlockSize(path) })
}

// ClaimBlocks opens a device for the caller alone, see [Devices].
func (t *Tap) ClaimBlocks(path string) (release func(), err error) {
	devices, ok := t.Host.(Devices)
	if !ok {
		return nil, errNoDevices
	}
	release, err = do(t, Call{Op: "readclaim", Path: path}, func() (func(), error) { return devices.ClaimBlocks(path) })
	if err != nil && release != nil {
		release() // whoever dies holds nothing open any more
	}
	return release, err
}

// CreateFile makes a file, see [Devices].
func (t *Tap) CreateFile(f File, replace bool) error {
	devices, ok := t.Host.(Devices)
	if !ok {
		return errNoDevices
	}
	return t.change(Call{Op: "create", Path: f.Path}, func() error { return devices.CreateFile(f, replace) })
}
