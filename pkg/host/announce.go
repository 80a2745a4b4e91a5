package host

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
)

// Announced is a machine that says what is changed through it, after each change and before the
// caller learns that it was made.
type Announced struct {
	Host
	// Changed is called with the path of each file, directory or symlink that was changed, made or
	// removed, even if that failed: it may have been done in part.
	Changed func(path string)
	// Ran is called when a command was run that may have changed LVM.
	Ran func()
}

// Run runs a command, see [Runner].
func (a *Announced) Run(ctx context.Context, argv ...string) (Output, error) {
	r := AnnouncedRunner{Runner: a.Host, Ran: a.Ran}
	return r.Run(ctx, argv...)
}

// WriteFile writes a file, see [Files].
func (a *Announced) WriteFile(path string, data []byte) error {
	defer a.Changed(path)
	return a.Host.WriteFile(path, data)
}

// Mkdir makes a directory, see [Files]. One that is there already was not changed; many objects may lie
// below it.
func (a *Announced) Mkdir(path string) error {
	err := a.Host.Mkdir(path)
	if !errors.Is(err, fs.ErrExist) {
		a.Changed(path)
	}
	return err
}

// Remove removes a symlink or a directory, see [Files].
func (a *Announced) Remove(path string) error {
	defer a.Changed(path)
	return a.Host.Remove(path)
}

// Symlink makes a symlink, see [Files].
func (a *Announced) Symlink(target, link string) error {
	defer a.Changed(link)
	return a.Host.Symlink(target, link)
}

// AnnouncedRunner is a Runner that says when it has run a command that may have changed LVM.
type AnnouncedRunner struct {
	Runner
	Ran func()
}

// Run runs a command, see [Runner].
func (a *AnnouncedRunner) Run(ctx context.Context, argv ...string) (Output, error) {
	if !onlyReads(argv) {
		defer a.Ran()
	}
	return a.Runner.Run(ctx, argv...)
}

// onlyReads reports whether a command changes nothing of LVM.
func onlyReads(argv []string) bool {
	if len(argv) > 1 && filepath.Base(argv[0]) == "lvm" {
		argv = argv[1:]
	}
	name := filepath.Base(argv[0])
	return slices.Contains(lvmReports, name) || name == "lvmconfig" || name == "version"
}
