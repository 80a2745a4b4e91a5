package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"

	"github.com/volreconciler/volreconciler/pkg/doctor"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/lastgood"
	"github.com/volreconciler/volreconciler/pkg/watch"
)

// trashSettle is the time that a node has to correct its clock after a boot,
// before that clock empties the trash.
const trashSettle = 10 * time.Minute

func newRunCommand() *cobra.Command {
	s := newSettings()
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Keep this node as declared in the spec files (the agent)",
		Long: `Keep this node as declared in the spec files: read the files, observe LVM and the kernel's
targets, and correct each difference. The agent runs a pass when a file changes, or when the
kernel announces a change of LVM, of a block device or of a target. It reads everything again
once per --audit; and once per --resync while something is pending, or where the kernel
announces nothing.

Only one agent or apply works on a node at a time. "volreconciler get" shows the status. It
uses the socket agent.sock in --runtime-dir, which serves GET /healthz, /readyz, /metrics,
/v1/status, /v1/objects/KIND/NAME, /v1/plan, /v1/node, /v1/agent and /v1/events, and a
dashboard for browsers at /. --listen serves the same on a TCP address.

The log has what becomes of each object. The list notify in the configuration file sends it
to webhooks, an Alertmanager or commands as well; see docs/notifications.md.

With --backend fake the agent works on a captured node, as apply does, and logs each call
that would change a node.

Under systemd with Type=notify the agent is ready after the first pass, shows the number of
objects by phase in "systemctl status", and feeds the watchdog while its loop runs.

On SIGTERM or SIGINT the agent exits once running commands have ended, on the second one at
once. Copies are interrupted and continue after the next start. Exports remain available. On
SIGHUP it reads everything again at once.

Exit status: 0 after SIGTERM or SIGINT; 1 if it cannot start.`,
		Example: `  volreconciler run --specs /srv/storage/specs
  VOLRECONCILER_LOG_FORMAT=json volreconciler run`,
		SuggestFor: []string{"start", "agent", "daemon"},
		Args:       noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := newLogger(cmd.ErrOrStderr(), s.logLevel, s.logFormat)
			if err != nil {
				return err
			}
			return runAgent(cmd.Context(), s, log)
		},
	}
	s.forCommand(cmd, slices.Concat([]string{"specs", "target-prefix", "state-dir", "runtime-dir", "listen", "web-config", "deletion-grace", "max-deletions", "resync", "audit", "log-level", "log-format", "backend", "tgt-socket", "node"}, discoverySettings, dataSettingNames)...)
	return cmd
}

func runAgent(ctx context.Context, s *settings, log logr.Logger) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP) // first of all: its usual effect is to end the process
	defer signal.Stop(hangup)
	held, err := s.lockNode()
	if err != nil {
		return err
	}
	defer held.release()

	source := s.source(log, lastgood.New(s.lastGood()))
	b, err := s.openBackend(func(c fakehost.Call) { log.Info("faked", "call", c.String()) })
	if err != nil {
		return err
	}
	if s.backend != backendFake {
		b.remember()
	}
	loop, repositories, err := newLoop(s, source, b, log)
	if err != nil {
		return err
	}
	defer repositories.Close()
	if s.backend != backendFake {
		watching := watch.Start(ctx, watch.Options{Log: log})
		loop.Events, loop.Audit = watching, s.audit
	}
	loop.Grace, loop.Resync, loop.TrashSettle = s.deletionGrace, s.resync, trashSettle
	loop.Executor.Patience = changePatience

	answers := answersFrom(loop, b, s.specs)
	if s.backend == backendFake { // the captured node, and not the machine that has its file
		answers.Node = func(ctx context.Context) ([]byte, error) { return captureFrom(ctx, b) }
	}
	stopServing, warnings, err := serve(s, answers, log)
	if err != nil {
		return err
	}
	defer stopServing()
	stopNotifying, unnotified := notifyFrom(s, loop.Status, log)
	defer stopNotifying()
	warnings = append(warnings, unnotified...)

	if s.backend != backendFake {
		warnings = append(warnings, warn(ctx, s, b, log)...)
	}
	loop.Status.SetNodeWarnings(warnings)
	log.Info("started", "version", strings.TrimPrefix(describeBuild(), "volreconciler "), "specs", s.specs, "socket", s.socket())
	manager := supervise(loop, log)
	context.AfterFunc(ctx, func() {
		manager.Stopping()
		log.Info("stopping once running commands have ended")
	})
	loop.Hangup = hangup
	loop.Run(ctx, either(ctx, source.Watch(ctx), repositories.Changed()))
	log.Info("stopped")
	return nil
}

// warn logs what about this node endangers what it exports, and returns it.
func warn(ctx context.Context, s *settings, b *backend, log logr.Logger) []string {
	warnings, notes, err := doctor.AtStart(ctx, b, s.source(logr.Discard(), nil).Load(ctx))
	if err != nil {
		log.Error(err, "cannot check the tools of the node")
	}
	for _, n := range notes {
		log.V(1).Info(n)
	}
	for _, w := range warnings {
		log.Info("warning: " + w)
	}
	return warnings
}

// warnOfTools writes what may not work with the tools of this machine.
func warnOfTools(ctx context.Context, s *settings, b *backend, stderr io.Writer) {
	if s.backend == backendFake {
		return
	}
	for _, r := range doctor.CheckTools(ctx, b, s.source(logr.Discard(), nil).Load(ctx)) {
		if r.Warning {
			_, _ = fmt.Fprintln(stderr, "warning: "+oneLine(r.Sentence())) // the command itself says what goes wrong with its output
		}
	}
}

// changePatience is how long a pass waits for its changes before the next one
// begins without those that hang.
const changePatience = 30 * time.Second
