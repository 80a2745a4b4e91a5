package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/volreconciler/volreconciler/test/guest"
)

// shutdownTimeout limits an orderly end; then the power is cut.
const shutdownTimeout = 30 * time.Second

// machineFlags are the flags of commands that boot a guest.
type machineFlags struct {
	disks  []string
	share  string
	kernel string
	memory int
	cpus   int
}

func (f *machineFlags) register(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.disks, "disk", nil, "add a disk of this size (500M, 1G); repeat for more")
	flags.StringVar(&f.share, "share", "", "directory that the guest has at /host, to read and write")
	registerKernel(flags, &f.kernel)
	flags.IntVar(&f.memory, "memory", 0, "memory in MiB (default 2048)")
	flags.IntVar(&f.cpus, "cpus", 0, "number of processors (default 2 with KVM, 1 without)")
}

func registerKernel(flags *pflag.FlagSet, kernel *string) {
	flags.StringVar(kernel, "kernel", "released", "the kernel of the host's Debian release (released), or the newer one of its backports (backported)")
}

// config puts the disks into dir.
func (f *machineFlags) config(dir string) (guest.Config, error) {
	config := guest.Config{MemoryMiB: f.memory, CPUs: f.cpus}
	var err error
	if config.Kernel, err = guest.ParseKernel(f.kernel); err != nil {
		return config, err
	}
	if f.share != "" {
		share, err := filepath.Abs(f.share)
		if err != nil {
			return config, err
		}
		config.Share = share
	}
	for i, text := range f.disks {
		size, err := parseSize(text)
		if err != nil {
			return config, err
		}
		config.Disks = append(config.Disks, guest.Disk{Path: filepath.Join(dir, fmt.Sprintf("disk%d.raw", i)), Size: size})
	}
	return config, nil
}

// parseSize reads a number of bytes with an optional K, M, G or T.
func parseSize(text string) (int64, error) {
	number := strings.TrimRight(text, "KMGT")
	n, err := strconv.ParseInt(number, 10, 32)
	if err != nil || n <= 0 || len(text)-len(number) > 1 {
		return 0, fmt.Errorf("size %q: want a number with K, M, G or T", text)
	}
	if number == text {
		return n, nil
	}
	return n << (10 * (1 + strings.IndexByte("KMGT", text[len(text)-1]))), nil
}

func runCommand() *cobra.Command {
	var flags machineFlags
	command := &cobra.Command{
		Use:   "run [flags] -- COMMAND [ARGUMENT]...",
		Short: "Boot a guest, run one command, and end with its exit status",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			dir, err := os.MkdirTemp("", "guest-run-")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
			config, err := flags.config(dir)
			if err != nil {
				return err
			}
			machine, err := guest.Start(cmd.Context(), config)
			if err != nil {
				return err
			}
			// Nothing of this guest is used again, so that nobody has to wait
			// for an orderly end.
			defer machine.PowerCut()
			return passThrough(cmd, machine.Exec, args)
		},
	}
	flags.register(command.Flags())
	return command
}

func pathCommand() *cobra.Command {
	var name string
	command := &cobra.Command{
		Use:   "root",
		Short: "Print the directory of the guest's root file system; make it if need be",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			kernel, err := guest.ParseKernel(name)
			if err != nil {
				return err
			}
			dir, err := guest.Root(cmd.Context(), kernel)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), dir)
			return err
		},
	}
	registerKernel(command.Flags(), &name)
	return command
}

// passThrough runs argv with our own output and makes its exit status ours.
func passThrough(cmd *cobra.Command, exec func(context.Context, guest.Command) (int, error), argv []string) error {
	command := guest.Command{Argv: argv, Stdout: cmd.OutOrStdout(), Stderr: cmd.ErrOrStderr()}
	if interactive, err := cmd.Flags().GetBool("stdin"); err == nil && interactive {
		if command.Stdin, err = io.ReadAll(cmd.InOrStdin()); err != nil {
			return err
		}
	}
	status, err := exec(cmd.Context(), command)
	if err != nil {
		return err
	}
	if status != 0 {
		return exitStatus(status)
	}
	return nil
}
