package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/volreconciler/volreconciler/test/guest"
	"github.com/volreconciler/volreconciler/test/guest/internal/wire"
)

// socketName is the socket in the state directory that leads to a guest.
const socketName = "guest.sock"

func upCommand() *cobra.Command {
	var flags machineFlags
	var dir string
	command := &cobra.Command{
		Use:   "up --dir DIR [flags]",
		Short: "Boot a guest that stays until Ctrl-C, for guest exec; its disks remain in DIR",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			config, err := flags.config(dir)
			if err != nil {
				return err
			}
			return up(cmd, config, filepath.Join(dir, socketName))
		},
	}
	flags.register(command.Flags())
	command.Flags().StringVar(&dir, "dir", "", "directory for the guest's disks and socket")
	_ = command.MarkFlagRequired("dir")
	return command
}

func up(cmd *cobra.Command, config guest.Config, socket string) error {
	ctx := cmd.Context()
	if conn, err := net.Dial("unix", socket); err == nil {
		_ = conn.Close()
		return fmt.Errorf("a guest is up already: %s", socket)
	}
	machine, err := guest.Start(ctx, config)
	if err != nil {
		return err
	}
	defer machine.PowerCut()
	// What an earlier process that was killed has left.
	_ = os.Remove(socket)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	go accept(ctx, listener, machine)
	_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "guest: up; Ctrl-C ends it")

	select {
	case <-machine.Done():
		_, _ = fmt.Fprint(cmd.ErrOrStderr(), machine.Console())
		return errors.New("the guest went down")
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	return machine.Shutdown(ctx)
}

func accept(ctx context.Context, listener net.Listener, machine *guest.Machine) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = conn.Close() }()
			// An error is the client's, who sees it as well.
			_ = wire.Serve(ctx, conn, machine.Exec)
		}()
	}
}

func execCommand() *cobra.Command {
	var dir string
	command := &cobra.Command{
		Use:   "exec --dir DIR -- COMMAND [ARGUMENT]...",
		Short: "Run a command in a guest that is up, and end with its exit status",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := net.Dial("unix", filepath.Join(dir, socketName))
			if err != nil {
				return fmt.Errorf("no guest is up in %s: %w", dir, err)
			}
			defer func() { _ = conn.Close() }()
			return passThrough(cmd, wire.NewClient(conn).Exec, args)
		},
	}
	command.Flags().StringVar(&dir, "dir", "", "directory given to guest up")
	command.Flags().BoolP("stdin", "i", false, "give the command our standard input, read to its end first")
	_ = command.MarkFlagRequired("dir")
	return command
}
