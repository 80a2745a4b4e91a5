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
	suite  string
	memory int
	cpus   int
	// systemd is that of guest.Config.
	systemd bool
}

func (f *machineFlags) register(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.disks, "disk", nil, "add a disk of this size (500M, 1G); repeat for more")
	flags.StringVar(&f.share, "share", "", "directory that the guest has at /host, to read and write")
	registerKind(flags, &f.kernel, &f.suite)
	flags.IntVar(&f.memory, "memory", 0, "memory in MiB (default 2048)")
	flags.BoolVar(&f.systemd, "systemd", false, "boot with systemd as PID 1")
	flags.IntVar(&f.cpus, "cpus", 0, "number of processors (default 2 with KVM, 1 without)")
}

func registerKind(flags *pflag.FlagSet, kernel, suite *string) {
	flags.StringVar(kernel, "kernel", "", fmt.Sprintf("kernel of the guest: one of %v (default: variable GUEST, or uml where it works, or qemu)", guest.Kernels))
	flags.StringVar(suite, "suite", "", "Debian release of the user space: bookworm, trixie or testing (default: variable GUEST_SUITE, or the host's)")
}

// kind reads what registerKind registered.
func kind(kernel, suite string) (guest.Config, error) {
	var config guest.Config
	var err error
	if config.Kernel, err = guest.ParseKernel(kernel); err != nil {
		return config, err
	}
	config.Suite, err = guest.ParseSuite(suite)
	return config, err
}

// config puts the disks into dir.
func (f *machineFlags) config(dir string) (guest.Config, error) {
	config, err := kind(f.kernel, f.suite)
	if err != nil {
		return config, err
	}
	config.MemoryMiB, config.CPUs, config.Systemd = f.memory, f.cpus, f.systemd
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

func prepareCommand() *cobra.Command {
	var kernel, suite string
	command := &cobra.Command{
		Use:   "root",
		Short: "Fetch what guests consist of, and print the directory of the user space",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := kind(kernel, suite)
			if err != nil {
				return err
			}
			dir, err := guest.Prepare(cmd.Context(), config)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), dir)
			return err
		},
	}
	registerKind(command.Flags(), &kernel, &suite)
	return command
}

func whichCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "which",
		Short: "Print the kernel that guests have if nobody says more: uml, or qemu where that does not work",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			kernel, err := guest.Chosen(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), kernel)
			return err
		},
	}
}

func kernelCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "kernel",
		Short: "Build a User-mode Linux with NVMe, which guests have from then on: some minutes",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return guest.BuildKernel(cmd.Context()) },
	}
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
