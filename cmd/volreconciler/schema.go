package main

import (
	"github.com/spf13/cobra"

	"github.com/volreconciler/volreconciler/pkg/specdoc"
)

func newSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of spec files, for editors",
		Long: `Print the JSON Schema (draft 2020-12) of one document of a spec file. Editors use it to
complete and explain fields, and to mark unknown fields, wrong types and values that are
not allowed. A file may hold several documents: each is checked by itself.

"volreconciler validate" checks more: references between objects, and rules between fields.

Exit status: 0.`,
		Example: `  volreconciler schema > volreconciler.schema.json

  # The first line of a spec file then is
  #   # yaml-language-server: $schema=volreconciler.schema.json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := specdoc.Schema()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
}
