package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// exitFindings is validate's exit status when something is wrong.
const exitFindings exitStatus = 1

func newValidateCommand() *cobra.Command {
	s := newSettings()
	format, with, as := "text", "", ""
	cmd := &cobra.Command{
		Use:   "validate PATH... | --with DIR FILE",
		Short: "Check YAML files without reading a node",
		Long: `Check YAML files, and directories with their subdirectories, without reading a node: for a
pre-commit hook, CI or an editor. Write all files that refer to each other. Password files
are not read.

With --with DIR, one FILE is checked together with the files in DIR, to which it will be
copied. It replaces DIR/FILE, or DIR/NAME with --as NAME, if that exists. Findings that the
other files have anyway are not reported.

Findings are printed one per line, as file:line:column: field: message. The fields of
-o json are apiVersion, kind, valid, objects (number of valid objects), findings
(file, line, column, path, message) and, of one directory, revision (see wait --revision).

Exit status: 0 if there are no findings, 1 if there are findings or the command is wrong.`,
		Example: `  volreconciler validate specs/
  volreconciler validate -o json pool.yaml volumes.yaml

  # In an Ansible task that copies volumes.yaml to /etc/volreconciler/specs:
  #   validate: volreconciler validate --with /etc/volreconciler/specs --as volumes.yaml %s`,
		SuggestFor: []string{"check", "lint"},
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("write the files or directories to validate; see %s --help", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if with == "" && as == "" {
				return validate(cmd.OutOrStdout(), format, spec.LoadPaths(args, s.targetPrefix), revisionOf(args))
			}
			file, name, err := fileIn(with, as, args)
			if err != nil {
				return err
			}
			return validate(cmd.OutOrStdout(), format, spec.LoadFileIn(filepath.Clean(with), file, name, s.targetPrefix), "")
		},
	}
	s.forCommand(cmd, "target-prefix")
	cmd.Flags().StringVar(&with, "with", "", "`directory` of spec files to check one file with, for example /etc/volreconciler/specs (default: only the given files)")
	cmd.Flags().StringVar(&as, "as", "", "`name` of the checked file relative to --with, for example pools/fast.yaml (default: its base name)")
	outputFlag(cmd, &format, "text", "json")
	return cmd
}

// fileIn returns the file to check as a part of a directory, and its name there.
func fileIn(with, as string, args []string) (file, name string, err error) {
	if with == "" {
		return "", "", errors.New("--as requires --with DIR; add it, or remove --as")
	}
	if len(args) != 1 {
		return "", "", fmt.Errorf("--with checks one file, but got %d; write one file", len(args))
	}
	dir, err := os.Stat(with)
	if err != nil {
		return "", "", err
	}
	one, err := os.Stat(args[0])
	switch {
	case err != nil:
		return "", "", err
	case !dir.IsDir():
		return "", "", fmt.Errorf("--with %s: not a directory", with)
	case one.IsDir():
		return "", "", fmt.Errorf("%s is a directory; --with checks one file", args[0])
	}
	if as == "" {
		as = filepath.Base(args[0])
	}
	if !filepath.IsLocal(as) {
		return "", "", fmt.Errorf("--as %s: must be the name of a file in %s", as, with)
	}
	return args[0], as, nil
}

// validation is what validate says with -o json.
type validation struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Valid      bool             `json:"valid"`
	Objects    int              `json:"objects"`
	Findings   []status.Finding `json:"findings"`
	// Revision is the agent's observedRevision once it has read these files; empty unless they are
	// one directory.
	Revision string `json:"revision,omitempty"`
}

// revisionOf returns the revision of the spec files if the arguments are one directory.
func revisionOf(paths []string) string {
	if len(paths) != 1 {
		return ""
	}
	if stat, err := os.Stat(paths[0]); err != nil || !stat.IsDir() {
		return ""
	}
	return spec.Revision(paths[0])
}

func validate(w io.Writer, format string, set spec.Set, revision string) error {
	v := validation{
		Revision: revision, APIVersion: spec.APIVersion, Kind: "Validation", Valid: len(set.Findings) == 0,
		Objects: len(set.IDs()), Findings: status.Findings(set.Findings),
	}
	if err := v.write(w, format); err != nil {
		return err
	}
	if !v.Valid {
		return exitFindings
	}
	return nil
}

func (v validation) write(w io.Writer, format string) error {
	if format == "json" {
		return writeJSON(w, v)
	}
	writeFindings(w, v.Findings)
	sum := "no findings"
	if !v.Valid {
		sum = count(len(v.Findings), "finding")
	}
	_, err := fmt.Fprintf(w, "%s, %s\n", count(v.Objects, "valid object"), sum)
	return err
}
