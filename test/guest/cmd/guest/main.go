// Command guest is package guest for a terminal: a throw-away virtual machine with a
// real kernel, LVM and storage targets.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// exitStatus is the exit status of a command in the guest, to be passed on.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := rootCommand().ExecuteContext(ctx)
	stop()
	var status exitStatus
	switch {
	case errors.As(err, &status):
		os.Exit(int(status))
	case err != nil:
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(125)
	}
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "guest",
		Short:         "Boot a throw-away guest and run commands in it",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(runCommand(), upCommand(), execCommand(), prepareCommand(), kernelCommand(), whichCommand(), shellCommand())
	return root
}
