package main

import (
	"context"
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
		Short: "Print the state of this node as a file for plan --node",
		Long: `Print the state of this node as a YAML file for plan --node: LVM's volume groups and
the exports in LIO. capture changes nothing, takes no locks and can run beside the agent.

The file does not contain passwords, only where one is set. It does contain the names of
volumes, targets, initiators, users and mount points.

Exit status: 0, or 1 if anything cannot be read; then nothing is printed.`,
		Example: `  # On the node. Then, wherever its specs are:
  volreconciler capture > node.yaml
  volreconciler plan --node node.yaml --specs specs/`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			data, warnings, err := captureNode(ctx)
			for _, w := range warnings {
				_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "warning: "+oneLine(w))
			}
			if ctx.Err() != nil {
				return errors.New("interrupted")
			}
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(data)
			return err
		},
	}
}

// captureNode returns the state of this node as a file for plan --node, and what is not in it.
func captureNode(ctx context.Context) (data []byte, warnings []string, err error) {
	machine := host.New()
	devices := pvscan.New(machine)
	machine.LimitLVM(devices)
	data, err = captureFrom(ctx, machine)
	for _, silent := range devices.Silent() {
		// As a rule somebody else's: what is on it is no part of what is captured.
		warnings = append(warnings, silent.String()+"; its content is not in the capture")
	}
	return data, warnings, err
}

// captureFrom is captureNode of any machine.
func captureFrom(ctx context.Context, machine host.Host) ([]byte, error) {
	node, err := capture.Capture(ctx, machine)
	if err != nil {
		return nil, fmt.Errorf("cannot capture the node, because a part cannot be read: %w%s", err, needsRoot(err))
	}
	return node.Marshal()
}
