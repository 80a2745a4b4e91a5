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
		Short: "Check YAML files without looking at a node",
		Long: `Check YAML files, and directories with all below them, without looking at a
node: for a pre-commit hook, CI, or an editor. Give all files that belong
together, because they name each other's objects. Password files are not read.

With --with DIR, FILE is checked as a part of that directory, to which it is about
to be copied: it may name objects of the other files there. It takes the place of
DIR/FILE's name, or of the file that --as names, if there is one. What is wrong
with the other files anyway is not reported.

What is wrong is printed one finding per line, as file:line:column: field: what.
With -o json: apiVersion, kind, valid, objects (how many are valid) and findings
(file, line, column, path, message).

Exit status: 0 if all is well, 1 if there are findings or the command is wrong.`,
		Example: `  volreconciler validate specs/
  volreconciler validate -o json pool.yaml volumes.yaml

  # In an Ansible task that copies volumes.yaml to /etc/volreconciler/specs:
  #   validate: volreconciler validate --with /etc/volreconciler/specs --as volumes.yaml %s`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("name the files or directories to validate; see %s --help", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if with == "" && as == "" {
				return validate(cmd.OutOrStdout(), format, spec.LoadPaths(args, s.targetPrefix))
			}
			file, name, err := fileIn(with, as, args)
			if err != nil {
				return err
			}
			return validate(cmd.OutOrStdout(), format, spec.LoadFileIn(filepath.Clean(with), file, name, s.targetPrefix))
		},
	}
	s.forCommand(cmd, "target-prefix")
	cmd.Flags().StringVar(&with, "with", "", "`directory` of specs to check one file as a part of")
	cmd.Flags().StringVar(&as, "as", "", "`name` that the file is to have there, a path from the directory (default: its own)")
	outputFlag(cmd, &format, "text", "json")
	return cmd
}

// fileIn returns the file to check as a part of a directory, and its name there.
func fileIn(with, as string, args []string) (file, name string, err error) {
	if with == "" {
		return "", "", errors.New("--as is for --with: it names the file that is checked as a part of a directory")
	}
	if len(args) != 1 {
		return "", "", fmt.Errorf("--with is for one file, but there are %d", len(args))
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
		return "", "", fmt.Errorf("--with %s: is no directory", with)
	case one.IsDir():
		return "", "", fmt.Errorf("%s is a directory; --with is for one file", args[0])
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
}

func validate(w io.Writer, format string, set spec.Set) error {
	v := validation{
		APIVersion: spec.APIVersion, Kind: "Validation", Valid: len(set.Findings) == 0,
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
