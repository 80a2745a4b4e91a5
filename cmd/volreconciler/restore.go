package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/pkg/actuators/jobs"
	"github.com/volreconciler/volreconciler/pkg/backup"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/restic"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// restoreOptions are the flags of restore alone.
type restoreOptions struct {
	volume, to, at string
	force          bool
}

func newRestoreCommand() *cobra.Command {
	s, p, o := newSettings(), &place{}, restoreOptions{}
	cmd := &cobra.Command{
		Use:   "restore VOLUME --to FILE|DEVICE",
		Short: "Restore a backup of a volume to a file or a block device",
		Long: `Restore a backup of a volume to a file or a block device, and compare what was written with
the digests that were recorded when it was backed up. It needs no agent, and runs on any
machine that has restic and can reach the repository. On a node, use spec.source.backup or
spec.revert.backup of a Volume instead.

A file that does not exist is created, sparse, with the size of the volume. --force
overwrites a file that exists, or a block device of at least that size. What is mounted or
otherwise in use is refused.

--at is latest, a time (the last backup that is not later) or the beginning of an ID as
volreconciler backups prints it.

A restore that was interrupted begins again from the start. Exit status: 0 when everything
was restored and compared; 1 otherwise.`,
		Example: `  volreconciler restore db-data --to db.raw
  volreconciler restore db-data --at 2026-11-29T01:35:00Z --to /dev/vg1/db --force
  volreconciler restore db-data --to db.raw --repository /srv/backups --password-file restic.secret`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("name one volume, for example: restore db-data --to db.raw; see %s --help", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.volume = args[0]
			return restoreBackup(cmd.Context(), s, p, o, cmd.OutOrStdout())
		},
	}
	s.forCommand(cmd, "specs", "copy-rate")
	p.addFlags(cmd)
	cmd.Flags().Var(text(&o.to, "path", absolute), "to", "file or block device to write to, for example db.raw (required)")
	cmd.Flags().StringVar(&o.at, "at", spec.LatestBackup, "`backup` to restore: latest, a time like 2026-11-29T01:35:00Z, or the beginning of an ID")
	cmd.Flags().BoolVar(&o.force, "force", false, "overwrite a file or a block device that exists; the data on it is lost")
	return cmd
}

func restoreBackup(ctx context.Context, s *settings, p *place, o restoreOptions, out io.Writer) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	if o.to == "" {
		return errors.New("name the file or device to write to, for example: restore db-data --to db.raw")
	}
	if err := checkTarget(o.to, o.force); err != nil {
		return err
	}
	r, b, err := findBackup(ctx, s, p, o)
	if err != nil {
		return err
	}
	d, err := backup.Inspect(ctx, r, b.ID)
	if errors.Is(err, restic.ErrReadOnly) {
		r.NoLock = true // nobody can prune it either
		d, err = backup.Inspect(ctx, r, b.ID)
	}
	if err != nil {
		return interrupted(ctx, err)
	}
	target, err := openRestoreTarget(o.to, o.force, d.Index.Size)
	if err != nil {
		return err
	}
	done, err := restoreTo(ctx, r, b, target, newRestoreProgress(out), s)
	if err = errors.Join(err, target.close(err == nil)); err != nil {
		return interrupted(ctx, err)
	}
	_, err = fmt.Fprintf(out, "Restored backup %s of %s (%s, %s) to %s: %s written, all data verified.\n",
		b.ID[:shownID], b.Volume, b.Time.Format(time.RFC3339), bytes(uint64(done.Size)), o.to, bytes(uint64(done.Written)))
	return err
}

// interrupted replaces an error that is only the consequence of a signal.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted; what was written is incomplete, run restore again")
	}
	return err
}

// findBackup finds the backup to restore. With several repositories it is the only one that has backups of the volume.
func findBackup(ctx context.Context, s *settings, p *place, o restoreOptions) (restic.Repository, observe.Backup, error) {
	repositories, err := p.open(ctx, s)
	if err != nil {
		return restic.Repository{}, observe.Backup{}, err
	}
	var in []namedRepository
	var found []observe.Backup
	for _, r := range repositories {
		listed := r.Repository
		listed.NoLock = true
		backups, err := readBackups(ctx, listed, o.volume)
		if err != nil {
			return r.Repository, observe.Backup{}, err
		}
		if len(backups) > 0 {
			in, found = append(in, r), backups
		}
	}
	if len(in) > 1 {
		return in[0].Repository, observe.Backup{}, fmt.Errorf("%s and %s have backups of %s; choose one with --repository NAME", in[0].name, in[1].name, o.volume)
	}
	b, err := chooseBackup(found, o.volume, o.at)
	if err != nil {
		return restic.Repository{}, b, err
	}
	return in[0].Repository, b, nil
}

// chooseBackup returns the backup that --at means, of those of one volume, the oldest first.
func chooseBackup(backups []observe.Backup, volume, at string) (observe.Backup, error) {
	if len(backups) == 0 {
		return observe.Backup{}, fmt.Errorf("there is no backup of %s; see volreconciler backups", volume)
	}
	b, found := observe.ChooseBackup(backups, at)
	switch {
	case !found:
		return b, fmt.Errorf("%s has no backup %q; write latest, a time like 2026-11-29T01:35:00Z, or at least 8 digits of an ID; see volreconciler backups", volume, at)
	case b.Unreadable:
		return b, fmt.Errorf("backup %s was made by another version of volreconciler; use that version, or choose another backup with --at", b.ID[:shownID])
	}
	return b, nil
}

// checkTarget checks what can be checked of the target before a repository is read.
func checkTarget(path string, force bool) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return checkNotInMemory(path)
	case err != nil:
		return fmt.Errorf("cannot use the target: %w", err)
	case !info.Mode().IsRegular() && info.Mode().Type() != fs.ModeDevice:
		return fmt.Errorf("%s is neither a file nor a block device", path)
	case !force:
		return fmt.Errorf("%s exists, and restore overwrites it only with --force; the data on it is lost then", path)
	}
	return nil
}

// checkNotInMemory refuses to create a file where only devices are: the name of one was meant, and what is restored
// there would fill the memory and be gone after a restart.
func checkNotInMemory(path string) error {
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("cannot use the target: %w", err)
	}
	if below := dir + "/"; strings.HasPrefix(below, "/dev/") && !strings.HasPrefix(below, "/dev/shm/") {
		return fmt.Errorf("there is no device %s, and no file is created in /dev; correct the name", path)
	}
	return nil
}

// restoreTarget is what is restored to.
type restoreTarget struct {
	path string
	// zero is true if it reads as zeroes: it is a file that was empty.
	zero bool
	// created is true if it was not there.
	created bool
	file    *os.File // keeps others from using a file; nil: it is a device
}

// openRestoreTarget makes a file of the right size, or empties one. Devices are checked by the restore itself.
func openRestoreTarget(path string, force bool, size int64) (*restoreTarget, error) {
	t := &restoreTarget{path: path, zero: true}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	t.created = err == nil
	if errors.Is(err, fs.ErrExist) && force {
		if info, err := os.Stat(path); err == nil && info.Mode().Type() == fs.ModeDevice {
			return &restoreTarget{path: path}, nil
		}
		f, err = os.OpenFile(path, os.O_RDWR, 0)
		if err == nil {
			err = checkUnused(f)
		}
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		err = f.Truncate(size)
	}
	if t.file = f; err == nil {
		return t, nil
	}
	err = fmt.Errorf("cannot use the target: %w", err)
	if f != nil {
		err = errors.Join(err, t.close(false))
	}
	return nil, err
}

// checkUnused reports that somebody else has a file open, such as a loop device or a virtual machine. Some file systems
// cannot tell.
func checkUnused(f *os.File) error {
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK)
	if errors.Is(err, unix.EAGAIN) {
		return fmt.Errorf("%s is in use (see lsof %s)", f.Name(), f.Name())
	}
	_, _ = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	return nil
}

// close ends the use of a target. A file that was created is removed if it is not complete.
func (t *restoreTarget) close(complete bool) error {
	var err error
	if t.file != nil {
		err = t.file.Close()
	}
	if t.created && !complete {
		err = errors.Join(err, os.Remove(t.path))
	}
	return err
}

func restoreTo(ctx context.Context, r restic.Repository, b observe.Backup, t *restoreTarget, p *restoreProgress, s *settings) (backup.Restored, error) {
	defer p.clear()
	return backup.Restore{
		Repository: r, Snapshot: b.ID, Device: t.path, TargetIsZero: t.zero, Limiter: s.copyLimit(), Progress: p.show,
	}.Run(ctx)
}

// restoreProgress shows how far a restore is: a bar on a terminal, otherwise a line now and then.
type restoreProgress struct {
	out      io.Writer
	terminal bool
	began    time.Time
	told     time.Time
	drawn    bool
}

func newRestoreProgress(out io.Writer) *restoreProgress {
	now := time.Now()
	return &restoreProgress{out: out, terminal: terminal(out), began: now, told: now}
}

func (p *restoreProgress) show(now backup.Progress) {
	word, done := "restoring", now.Done
	if now.Verifying {
		word, done = "verifying", done+now.Total
	}
	pace := jobs.Pace(done, 2*now.Total, time.Since(p.began))
	shown := &status.Progress{Done: pace.Done, Total: pace.Total, Rate: pace.Rate, LeftSeconds: int64(pace.Left.Seconds())}
	switch {
	case p.terminal:
		p.clear()
		_, _ = fmt.Fprint(p.out, cut(withBar(true, shown, word+": "+shown.String()), columns(p.out)-1))
		p.drawn = true
	case time.Since(p.told) >= tellEvery:
		p.told = time.Now()
		_, _ = fmt.Fprintf(p.out, "%s: %s\n", word, shown)
	}
}

// clear takes the bar away.
func (p *restoreProgress) clear() {
	if p.drawn {
		_, _ = fmt.Fprint(p.out, "\r\x1b[K")
		p.drawn = false
	}
}
