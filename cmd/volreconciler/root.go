package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/volreconciler/volreconciler/pkg/publicurl"
)

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "volreconciler",
		Short: "Keep the block storage of this node as declared in YAML files",
		Long: `volreconciler keeps the block storage of this node as declared in YAML files: volumes
and snapshots in LVM, exports in the kernel's targets for iSCSI, NVMe and Fibre Channel.

Each setting can be a flag (--state-dir), an environment variable (VOLRECONCILER_STATE_DIR)
or a line in ` + defaultConfig + ` (state-dir: DIR). A flag overrides a variable, a
variable overrides the file. --config or VOLRECONCILER_CONFIG sets another file.`,
		Example: `  # Check the files, show the changes, and apply them once.
  volreconciler validate specs/
  volreconciler plan --specs specs/
  volreconciler apply --specs specs/

  # Keep the node as declared, and show the status.
  volreconciler run --specs specs/
  volreconciler get`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", publicurl.Error(err), cmd.CommandPath()) // it repeats what was given
	})
	root.AddCommand(
		newRunCommand(), newPlanCommand(), newApplyCommand(), newValidateCommand(), newCaptureCommand(),
		newConnectCommand(), newGetCommand(), newDescribeCommand(), newEventsCommand(), newWaitCommand(), newAdoptNodeCommand(), newImportCommand(),
		newBackupsCommand(), newRestoreCommand(), newSupportBundleCommand(), newDoctorCommand(), newVersionCommand(), newSchemaCommand(), newExplainCommand(), newScheduleCommand(),
	)
	root.AddCommand(manCommands()...)
	return root
}

// noArguments is for commands that take flags only.
func noArguments(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) > 0 && cmd.Flags().Lookup("specs") != nil:
		return fmt.Errorf("%s accepts no arguments, but got %q; set the directory of the spec files with --specs; see %s --help", cmd.Name(), args[0], cmd.CommandPath())
	case len(args) > 0:
		return fmt.Errorf("%s accepts no arguments, but got %q; see %s --help", cmd.Name(), args[0], cmd.CommandPath())
	}
	return nil
}
