package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"

	"github.com/volreconciler/volreconciler/pkg/nodespec"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// exitOmissions is import's exit status when something on the node is not in what was written.
const exitOmissions exitStatus = 3

// importOptions are the flags of import.
type importOptions struct {
	groups  []string
	exports bool
	out     string
}

func newImportCommand() *cobra.Command {
	s, o := newSettings(), importOptions{}
	cmd := &cobra.Command{
		Use:   "import -o DIR [--vg VG]... [--exports]",
		Short: "Write specs for the volumes and exports that exist on this node",
		Long: `Write specs for the volume groups, logical volumes and iSCSI targets that exist on this
node and that nobody manages: Pools, Volumes with adopt: true and, with --exports, Exports
with adopt: true. import changes nothing on the node, and never writes into a directory
that has files.

import plans with what it wrote. That plan may only set tags and marks: serials, WWNs, LUN
numbers and sessions stay as they are. An object that would change more is written as a
comment with the reason, like everything that no spec can express. What belongs to no
object is in not-imported.txt.

CHAP passwords are written to files of mode 0600 in DIR/secrets; the specs name them by
their absolute paths.

Read docs/adopting.md before you run the agent with these specs: the service that restores
targetcli's configuration at boot must be masked. An agent that runs applies at once what is
in its directory of specs. import asks it by its socket in --runtime-dir, and refuses such a
DIR: stop the agent, or import elsewhere and look at the plan.

Exit status: 0 if everything was written. 3 if something was left out. 1 if the node cannot
be read, DIR is not empty, a running agent reads it, or the command is wrong.`,
		Example: `  volreconciler import -o /etc/volreconciler/specs/imported --exports
  volreconciler import -o /srv/specs/node1 --vg vg0 --vg vg1
  volreconciler plan --specs /etc/volreconciler/specs/imported`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s.planNode()
			return importNode(cmd.Context(), s, o, cmd.OutOrStdout())
		},
	}
	s.forCommand(cmd, "target-prefix", "state-dir", "runtime-dir", "backend", "tgt-socket", "node")
	cmd.Flags().StringVarP(&o.out, "out", "o", "", "`directory` to write to; it must be empty or not exist, for example /etc/volreconciler/specs/imported (required)")
	cmd.Flags().StringArrayVar(&o.groups, "vg", nil, "`volume group` to import, for example vg0; repeat it for several (default: all)")
	cmd.Flags().BoolVar(&o.exports, "exports", false, "import targets as well, with their initiators and passwords (default: only volumes)")
	return cmd
}

func importNode(ctx context.Context, s *settings, o importOptions, out io.Writer) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	if o.out == "" {
		return errors.New("name the directory to write to, for example: import -o /etc/volreconciler/specs/imported")
	}
	dir, err := filepath.Abs(o.out)
	if err != nil {
		return fmt.Errorf("cannot use directory %s: %w", o.out, err)
	}
	if err := s.refuseWatched(ctx, dir); err != nil {
		return err
	}
	b, err := s.openBackend(nil)
	if err != nil {
		return err
	}
	observed, err := observeForImport(ctx, b, o)
	if err != nil {
		return err
	}
	draft := nodespec.Describe(nodespec.Request{State: observed, Groups: o.groups, Exports: o.exports, SecretsDir: filepath.Join(dir, "secrets")})
	if o.exports {
		noteUnloaded(draft, b, observed)
	}
	target, err := newImportDir(dir)
	if err != nil {
		return err
	}
	if err := s.proveImport(ctx, b, draft, target); err != nil {
		return errors.Join(err, target.remove())
	}
	if err := reportImport(out, draft, dir, s.backend == backendFake); err != nil {
		return err
	}
	if len(draft.Omissions()) > 0 {
		return exitOmissions
	}
	return nil
}

// observeForImport reads the node. Targets of others are read in full, passwords included, only if they
// are to be imported.
func observeForImport(ctx context.Context, b *backend, o importOptions) (observe.State, error) {
	observer := b.observer()
	if o.exports {
		observer.AdoptAll()
	}
	observed := observer.Observe(ctx)
	if ctx.Err() != nil {
		return observed, errors.New("interrupted")
	}
	for _, group := range o.groups {
		if _, found, err := observed.Group(group); !found && err == nil {
			return observed, fmt.Errorf("volume group %s does not exist; see vgs", group)
		}
	}
	if err := errors.Join(observed.Err(), observed.Doubtful()); err != nil {
		return observed, fmt.Errorf("cannot read all of the node, so nothing is written: %s%s", fewLines(err.Error()), needsRoot(err))
	}
	return observed, nil
}

// noteUnloaded adds what targetcli has saved and the kernel does not have.
func noteUnloaded(draft *nodespec.Draft, b *backend, observed observe.State) {
	for _, file := range nodespec.SavedConfigs {
		data, err := b.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var unloaded []nodespec.Omission
		if err == nil {
			unloaded, err = nodespec.Unloaded(file, data, observed)
		}
		if err != nil {
			draft.Note("targetcli's configuration", err.Error())
		}
		for _, u := range unloaded {
			draft.Note(u.What, u.Why)
		}
	}
}

// proveImport writes the draft, reads it back as the agent would, and plans, until nothing has to be
// left out any more.
func (s *settings) proveImport(ctx context.Context, b *backend, draft *nodespec.Draft, dir *importDir) error {
	installation, err := s.knownInstallation()
	if err != nil {
		return err
	}
	fake := s.backend == backendFake
	if !fake { // no passwords are in its file
		if err := dir.writeSecrets(draft.Passwords()); err != nil {
			return err
		}
	}
	for ctx.Err() == nil {
		files, err := draft.Files()
		if err != nil {
			return err
		}
		if err := dir.writeSpecs(files); err != nil {
			return err
		}
		if len(draft.Written()) == 0 {
			dir.keepSecrets(draft.Passwords())
			return dir.publish()
		}
		source := spec.NewSource(dir.draft(), spec.Options{TargetPrefix: s.targetPrefix, Secrets: !fake, Redact: fake, Settle: time.Millisecond, Log: logr.Discard()})
		proven, err := draft.Prove(source.Load(ctx), nodespec.Input(installation, b.tgt != nil, time.Now()))
		if err != nil {
			return err
		}
		if proven {
			dir.keepSecrets(draft.Passwords())
			return dir.publish()
		}
	}
	return errors.New("interrupted")
}

// importDir is the directory that import writes to.
type importDir struct {
	path    string
	existed bool
	specs   []string
	secrets []string
}

// newImportDir creates the directory, or checks that it is empty.
func newImportDir(dir string) (*importDir, error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = os.MkdirAll(dir, 0o700)
		if err != nil {
			err = fmt.Errorf("cannot create the directory: %w", err)
		}
		return &importDir{path: dir}, err
	case err != nil:
		return nil, fmt.Errorf("cannot read the directory to write to: %w", err)
	case len(entries) > 0:
		return nil, fmt.Errorf("directory %s is not empty, and import overwrites nothing; name another one", dir)
	}
	return &importDir{path: dir, existed: true}, nil
}

// draft is where files are until they are proven. If an agent reads the directory, it does not see
// them: what begins with a dot is no spec.
func (d *importDir) draft() string { return filepath.Join(d.path, ".draft") }

// publish moves what is proven to its place.
func (d *importDir) publish() error {
	for i, file := range d.specs {
		proven := filepath.Join(d.path, filepath.Base(file))
		if err := os.Rename(file, proven); err != nil {
			return fmt.Errorf("cannot move a file to its place: %w", err)
		}
		d.specs[i] = proven
	}
	return os.Remove(d.draft())
}

// writeSpecs writes the files of a draft, in place of those of an earlier round.
func (d *importDir) writeSpecs(files map[string][]byte) error {
	for _, file := range d.specs {
		if err := os.Remove(file); err != nil {
			return fmt.Errorf("cannot replace a file: %w", err)
		}
	}
	d.specs = nil
	if err := os.MkdirAll(d.draft(), 0o700); err != nil {
		return fmt.Errorf("cannot create the directory of drafts: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file := filepath.Join(d.draft(), name)
		if err := writeNew(file, files[name]); err != nil {
			return err
		}
		d.specs = append(d.specs, file)
	}
	return nil
}

func (d *importDir) writeSecrets(passwords map[string]spec.Secret) error {
	for _, file := range slices.Sorted(maps.Keys(passwords)) {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return fmt.Errorf("cannot create the directory of passwords: %w", err)
		}
		if err := writeNew(file, []byte(passwords[file].Reveal()+"\n")); err != nil {
			return err
		}
		d.secrets = append(d.secrets, file)
	}
	return nil
}

// keepSecrets removes the passwords of Exports that were left out.
func (d *importDir) keepSecrets(needed map[string]spec.Secret) {
	d.secrets = slices.DeleteFunc(d.secrets, func(file string) bool {
		_, keep := needed[file]
		return !keep && os.Remove(file) == nil
	})
	if len(d.secrets) == 0 {
		_ = os.Remove(filepath.Join(d.path, "secrets")) // absent, as a rule
	}
}

// remove removes what was written.
func (d *importDir) remove() error {
	var errs []error
	for _, file := range slices.Concat(d.specs, d.secrets) {
		errs = append(errs, os.Remove(file))
	}
	_, _ = os.Remove(filepath.Join(d.path, "secrets")), os.Remove(d.draft()) // if they are there
	if !d.existed {
		errs = append(errs, os.Remove(d.path))
	}
	return errors.Join(errs...)
}

// writeNew writes a file that does not exist, for its owner alone.
func writeNew(file string, data []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("cannot write the file: %w", err)
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("cannot write the file: %w", err)
	}
	return nil
}

// reportImport says what was written, and what was not.
func reportImport(out io.Writer, draft *nodespec.Draft, dir string, captured bool) error {
	var text strings.Builder
	counts := map[spec.Kind]int{}
	for _, id := range draft.Written() {
		counts[id.Kind]++
	}
	fmt.Fprintf(&text, "Wrote %s, %s and %s to %s.\n", count(counts[spec.KindPool], "Pool"), count(counts[spec.KindVolume], "Volume"), count(counts[spec.KindExport], "Export"), dir)
	if passwords := len(draft.Passwords()); passwords > 0 && captured {
		text.WriteString("A captured node has no passwords: write them to " + filepath.Join(dir, "secrets") + ".\n")
	} else if passwords > 0 {
		fmt.Fprintf(&text, "Passwords: %s in %s.\n", count(passwords, "file"), filepath.Join(dir, "secrets"))
	}
	if len(draft.Written()) > 0 {
		text.WriteString("The plan for it sets tags and marks only; serials, WWNs and LUN numbers are those of now.\n")
	}
	if omissions := draft.Omissions(); len(omissions) > 0 {
		text.WriteString("\nNot written:\n")
		for _, o := range omissions {
			fmt.Fprintf(&text, "  %s: %s\n", o.What, oneLine(o.Why))
		}
	}
	text.WriteString("\nNext: read docs/adopting.md, then: volreconciler plan --specs " + dir + "\n")
	_, err := io.WriteString(out, text.String())
	return err
}
