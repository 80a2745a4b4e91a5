package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// exitFindings is validate's exit status when something is wrong.
const exitFindings exitStatus = 1

func newValidateCommand() *cobra.Command {
	s := newSettings()
	format := "text"
	cmd := &cobra.Command{
		Use:   "validate PATH...",
		Short: "Check YAML files without looking at a node",
		Long: `Check YAML files, and directories with all below them, without looking at a
node: for a pre-commit hook, CI, or an editor. Give all files that belong
together, because they name each other's objects. Password files are not read.

What is wrong is printed one finding per line, as file:line:column: field: what.
With -o json: apiVersion, kind, valid, objects (how many are valid) and findings
(file, line, column, path, message).

Exit status: 0 if all is well, 1 if there are findings or the command is wrong.`,
		Example: `  volreconciler validate specs/
  volreconciler validate -o json pool.yaml volumes.yaml`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("name the files or directories to validate; see %s --help", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return validate(cmd.OutOrStdout(), format, spec.LoadPaths(args, s.targetPrefix))
		},
	}
	s.forCommand(cmd, "target-prefix")
	outputFlag(cmd, &format, "text", "json")
	return cmd
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
