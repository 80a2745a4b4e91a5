package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/volreconciler/volreconciler/pkg/supportbundle"
)

func newSupportBundleCommand() *cobra.Command {
	s := newSettings()
	output, dryRun := "", false
	cmd := &cobra.Command{
		Use:   "support-bundle",
		Short: "Collect what a support request needs in one file",
		Long: `Collect what a support request needs in one compressed tar file: versions, settings, spec
files, the node as capture prints it, the plan, the agent's status and events, its log, and
the state of LVM, device-mapper and configfs. It changes nothing but that file, takes no locks
and can run beside the agent, also while storage hangs.

The file has no passwords: password files and web-config are not read, and what others wrote
is searched for passwords. It does have the names of volumes, targets, initiators, users, hosts
and mount points. Look through it before you send it.

What cannot be read is listed in errors.txt in the file. An existing file is not overwritten.

Exit status: 0 if the file was written, also if parts of it are missing; 1 if it could not be.`,
		Example: `  volreconciler support-bundle
  volreconciler support-bundle -o /tmp/node1.tar.gz
  volreconciler support-bundle --dry-run`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c := collector{settings: s, problem: s.complete()}
			if dryRun {
				return describeParts(cmd.OutOrStdout(), c.parts())
			}
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			if output == "" {
				output = c.defaultName(time.Now())
			}
			return c.write(ctx, output, cmd.ErrOrStderr())
		},
	}
	s.forCommand(cmd, "specs", "target-prefix", "state-dir", "runtime-dir", "max-deletions")
	// A mistake in the settings is a reason to ask for support, so it does not end the command.
	cmd.PreRunE = nil
	cmd.Flags().StringVarP(&output, "output", "o", "", "`file` to write, for example /tmp/node1.tar.gz (default: volreconciler-support-HOST-TIME.tar.gz)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "list what the file would contain, and write nothing (default: false)")
	return cmd
}

// describeParts lists parts with what each holds.
func describeParts(w io.Writer, parts []supportbundle.Part) error {
	var t table
	for _, p := range parts {
		t.add(p.Name, p.About)
	}
	return t.write(w, screen{}, func(int, string) colour { return plain })
}

func (c collector) defaultName(now time.Time) string {
	name, err := os.Hostname()
	if err != nil {
		name = "node"
	}
	return fmt.Sprintf("volreconciler-support-%s-%s.tar.gz", name, now.UTC().Format("20060102T150405Z"))
}

// write writes the bundle to a new file, and says on stderr what is in it.
func (c collector) write(ctx context.Context, file string, stderr io.Writer) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, os.ErrExist):
		return fmt.Errorf("%s exists and is not overwritten; remove it, or set another file with -o", file)
	case err != nil:
		return fmt.Errorf("cannot create the file: %w", err)
	}
	if machine, err := c.openMachine(); err == nil { // else each part that needs it says why not
		c.machine = machine
	}
	dir := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(file), ".gz"), ".tar")
	parts := c.parts()
	incomplete, err := supportbundle.Write(ctx, f, dir, time.Now(), parts)
	if err := errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(file) // half of it is of no use
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		return fmt.Errorf("cannot write %s: %w", file, err)
	}
	var said strings.Builder
	fmt.Fprintf(&said, "%s contains:\n\n", file)
	if err := describeParts(&said, parts); err != nil {
		return err
	}
	said.WriteString("\nIt has the names of volumes, targets, initiators, users, hosts and mount points. It should have no\n" +
		"passwords, but look through it before you send it.\n")
	if incomplete > 0 {
		fmt.Fprintf(&said, "%s could not be read completely; errors.txt in the file says why.\n", count(incomplete, "part"))
	}
	_, err = io.WriteString(stderr, said.String())
	return err
}
