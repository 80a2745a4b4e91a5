package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/volreconciler/volreconciler/pkg/capture"
	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/pvscan"
)

func newCaptureCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "capture",
		Short: "Print what this node holds, for plans elsewhere",
		Long: `Print what this node holds, as far as the agent looks at it, as a YAML file for
plan --node: LVM's volume groups and what LIO serves. Nothing is changed, and
nothing is locked: capture can run beside the agent.

Where a password is set the file says so, but not which. It does hold the names
of volumes, targets, initiators and users, and of mount points.

Exit status: 0, or 1 if anything could not be read: then nothing is printed.`,
		Example: `  # On the node. Then, wherever its specs are:
  volreconciler capture > node.yaml
  volreconciler plan --node node.yaml --specs specs/`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			machine := host.New()
			devices := pvscan.New(machine)
			machine.LimitLVM(devices)
			node, err := capture.Capture(ctx, machine)
			for _, silent := range devices.Silent() {
				// As a rule somebody else's: what is on it is no part of what is captured.
				_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s; what it holds is not in the capture\n", silent)
			}
			switch {
			case ctx.Err() != nil:
				return errors.New("interrupted")
			case err != nil:
				return fmt.Errorf("not everything can be read, and part of a node would be no use: %w", err)
			}
			data, err := node.Marshal()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(data)
			return err
		},
	}
}
