package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/volreconciler/volreconciler/test/guest"
)

const agentPackage = "github.com/volreconciler/volreconciler/cmd/volreconciler"

func shellCommand() *cobra.Command {
	var suite string
	command := &cobra.Command{
		Use:   "shell",
		Short: "Give a prompt in a fresh guest with the agent and an empty disk; nothing of it stays",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := kind(string(guest.UserMode), suite)
			if err != nil {
				return err
			}
			return shell(cmd.Context(), config)
		},
	}
	command.Flags().StringVar(&suite, "suite", "", "Debian release of the user space: bookworm, trixie or testing (default: variable GUEST_SUITE, or the host's)")
	return command
}

func shell(ctx context.Context, config guest.Config) (err error) {
	dir, err := os.MkdirTemp("", "guest-shell-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	config.Share = filepath.Join(dir, "share")
	config.Disks = []guest.Disk{{Path: filepath.Join(dir, "vda"), Size: 8 << 30}}
	config.Terminal = true
	build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(config.Share, "volreconciler"), agentPackage)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the agent: %w\n%s", err, out)
	}
	machine, err := guest.Start(ctx, config)
	if err != nil {
		return err
	}
	defer machine.PowerCut()
	return serveTerminal(ctx, machine)
}

const prompt = "guest# "

// login is what the shell of the guest begins with.
const login = `mkdir -p /usr/local/bin /mnt /etc/volreconciler/specs /etc/volreconciler/secrets
cp /host/volreconciler /usr/local/bin/
cat >"$HOME/.bash_profile" <<'.'
PS1='` + prompt + `'
echo "An empty disk: /dev/vda. The agent: volreconciler run --specs /etc/volreconciler/specs. Ctrl-D ends the guest."
.
cd
export TERM=%s
exec setsid -c -w sh -c 'stty rows %d columns %d; exec bash -l' <>%s >&0 2>&0`

// serveTerminal runs a shell in the guest on our own terminal until it ends.
func serveTerminal(ctx context.Context, machine *guest.Machine) error {
	rows, columns := 24, 80
	if in := int(os.Stdin.Fd()); term.IsTerminal(in) {
		if c, r, err := term.GetSize(in); err == nil {
			rows, columns = r, c
		}
		state, err := term.MakeRaw(in)
		if err != nil {
			return err
		}
		defer func() { _ = term.Restore(in, state) }()
	}
	line := machine.Terminal()
	shown := newWatched(os.Stdout, prompt)
	go func() {
		// What was typed before would be shown twice, in the middle of what the guest
		// prints, and of much of it some would be lost.
		<-shown.seen
		_, _ = io.Copy(line, os.Stdin)
		_, _ = io.WriteString(line, "\x04") // the end of a file, typed
	}()
	go func() { _, _ = io.Copy(shown, line) }()
	name := os.Getenv("TERM")
	if name == "" || strings.ContainsAny(name, " ;'\"$`\\\n") {
		name = "dumb"
	}
	var stderr strings.Builder
	status, err := machine.Exec(ctx, guest.Command{
		Argv:   []string{"sh", "-c", fmt.Sprintf(login, name, rows, columns, guest.TerminalDevice)},
		Stderr: &stderr,
	})
	if err == nil && status != 0 && stderr.Len() > 0 {
		err = fmt.Errorf("%s: %w", strings.TrimSpace(stderr.String()), exitStatus(status))
	}
	return err
}
