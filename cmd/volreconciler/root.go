package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/volreconciler/volreconciler/pkg/publicurl"
)

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "volreconciler",
		Short: "Keep the block storage of this node as YAML files say",
		Long: `volreconciler keeps the block storage of this node as YAML files say: volumes
and snapshots in LVM, exports in the kernel's targets for iSCSI, NVMe and Fibre
Channel.

Every setting can be given as a flag, as an environment variable
(VOLRECONCILER_STATE_DIR for --state-dir) and, under the flag's name, in
` + defaultConfig + `. Flags go before variables, variables
before the file. VOLRECONCILER_CONFIG or --config name another file.`,
		Example: `  # What is wrong with these files? What would they change here? Do it once.
  volreconciler validate specs/
  volreconciler plan --specs specs/
  volreconciler apply --specs specs/

  # Keep the node like that, and look at how it stands.
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
		newConnectCommand(), newGetCommand(), newDescribeCommand(), newAdoptNodeCommand(), newVersionCommand(),
	)
	return root
}

// noArguments is for commands that are told everything by flags.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes no arguments, but got %q; see %s --help", cmd.Name(), args[0], cmd.CommandPath())
	}
	return nil
}
