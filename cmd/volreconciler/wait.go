package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/statusapi"
)

// exitUnmet is wait's exit status when what it waited for did not come.
const exitUnmet exitStatus = 3

const (
	defaultWait = 5 * time.Minute
	// askAgain is the time between two attempts to reach an agent that does not answer, as while it
	// is restarted. An agent that answers is not asked again: it holds its answer until there is news.
	askAgain = 500 * time.Millisecond
	// maxUnmet is how many reasons a timeout lists.
	maxUnmet = 20
)

func newWaitCommand() *cobra.Command {
	s := newSettings()
	w := waiter{timeout: defaultWait}
	target := "Ready"
	cmd := &cobra.Command{
		Use:   "wait [KIND/NAME...]",
		Short: "Wait until the running agent reports a state",
		Long: `Wait until the running agent reports a state of objects, for scripts and CI. Without names,
wait until the whole node is as declared: no findings in the spec files, and nothing left to
change; what is Orphaned, Suspended or in the trash may stay so.

States:
  Ready                    as declared
  Deleted                  nothing is left, or only what is in the trash
  phase=PHASE              for example phase=Blocked
  reason=REASON            for example reason=SessionsActive
  condition=TYPE[=STATUS]  Ready, Reconciling, Stalled or BackupTooOld; True, False or Unknown

An object that does not exist yet is waited for. So is an agent that does not answer, as
while it is restarted. A message on stderr says what is missing, and why, at the timeout.

--revision makes sure that the report is about the edited files: it waits until the agent
has read the files of that revision, which validate -o json prints for a directory.

Exit status: 0 if the state is reached. 3 at the timeout, or with --fail-fast when an object is
Blocked or Failed. 1 if no agent answers, or the command is wrong.`,
		Example: `  volreconciler wait --timeout 10m
  volreconciler wait Volume/db Export/db --fail-fast
  volreconciler wait Volume/old --for Deleted
  volreconciler wait --revision "$(volreconciler validate -o json specs/ | jq -r .revision)"`,
		Args: func(_ *cobra.Command, args []string) error {
			var err error
			w.goal.ids, err = idsOf(args)
			return err
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if w.goal.wanted, err = wantedOf(target); err != nil {
				return fmt.Errorf("--for: %w", err)
			}
			if len(w.goal.ids) == 0 && target != "Ready" {
				return fmt.Errorf("--for %s requires the objects to wait for; write for example: wait Volume/db --for %s", target, target)
			}
			w.socket, w.stdout, w.stderr = s.socket(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			return w.wait(ctx)
		},
		ValidArgsFunction: func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			return suggestIDs(cmd.Context(), s), cobra.ShellCompDirectiveNoFileComp
		},
	}
	s.forCommand(cmd, "runtime-dir")
	cmd.Flags().StringVar(&target, "for", target, "`state` to wait for: Ready, Deleted, phase=PHASE, reason=REASON or condition=TYPE")
	cmd.Flags().Var(duration(&w.timeout, time.Second), "timeout", "time to wait, for example 30s or 1h")
	cmd.Flags().StringVar(&w.goal.revision, "revision", "", "revision of the spec files that the agent must have read, for example sha256:4f2a9c1be07d63a8 (default: any)")
	cmd.Flags().BoolVar(&w.failFast, "fail-fast", false, "end as soon as an object is Blocked or Failed, instead of at the timeout (default: false)")
	// It fails only for a flag that is not there.
	_ = cmd.RegisterFlagCompletionFunc("for", cobra.FixedCompletions(stateSuggestions(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// idsOf reads objects, each written as KIND/NAME.
func idsOf(args []string) ([]spec.ID, error) {
	var ids []spec.ID
	for _, arg := range args {
		selected, err := selectionOf([]string{arg})
		if err != nil {
			return nil, err
		}
		if !selected.isSingle() {
			return nil, fmt.Errorf("%q does not name one object; write KIND/NAME, for example Volume/db", arg)
		}
		ids = append(ids, spec.ID{Kind: selected.kind, Name: selected.name})
	}
	return ids, nil
}

func stateSuggestions() []string {
	states := []string{"Ready", "Deleted", "reason=", "condition=Ready", "condition=Reconciling", "condition=Stalled", "condition=BackupTooOld"}
	for _, phase := range allPhases() {
		states = append(states, "phase="+phase)
	}
	return states
}

// waiter waits for a goal.
type waiter struct {
	goal     goal
	timeout  time.Duration
	failFast bool
	socket   string

	stdout, stderr io.Writer
}

// wait waits until the goal is reached, ctx ends, or the time is over.
func (w waiter) wait(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	client, generation := statusapi.NewClient(w.socket), int64(0)
	// Nobody knows more until there is an answer.
	open, away := []unmet{{what: "the first pass of the agent has not finished"}}, error(nil)
	for limited.Err() == nil {
		node, err := client.StatusOf(limited, generation, w.selection())
		switch {
		case err == nil:
			generation, away, open = node.Generation, nil, w.goal.unmet(node)
			if len(open) == 0 {
				_, err := io.WriteString(w.stdout, w.goal.reachedText(node))
				return err
			}
			if w.failFast && slices.ContainsFunc(open, isStalled) {
				return w.giveUp(slices.DeleteFunc(open, func(u unmet) bool { return !u.stalled }), "stalled")
			}
		case limited.Err() != nil: // the answer did not come in time
		case mayReturn(err):
			if away == nil && !errors.Is(err, statusapi.ErrNotReady) {
				_, _ = fmt.Fprintf(w.stderr, "waiting for the agent at %s\n", w.socket) // if nobody reads it, nobody misses it
			}
			// The reports of another agent begin with 1 again.
			generation, away = 0, err
			sleep(limited, askAgain)
		default:
			return agentError(err, w.socket)
		}
	}
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted")
	case away != nil && !errors.Is(away, statusapi.ErrNotReady):
		return agentError(away, w.socket)
	default:
		return w.giveUp(open, fmt.Sprintf("not reached after %s", w.timeout))
	}
}

// selection is what the agent is asked for: all, unless one object is enough.
func (w waiter) selection() spec.ID {
	if len(w.goal.ids) == 1 {
		return w.goal.ids[0]
	}
	return spec.ID{}
}

// giveUp says what is missing.
func (w waiter) giveUp(open []unmet, why string) error {
	for i, u := range open {
		if i == maxUnmet {
			_, _ = fmt.Fprintf(w.stderr, "and %d more\n", len(open)-i)
			break
		}
		_, _ = fmt.Fprintln(w.stderr, oneLine(u.what)) // if nobody reads it, nobody misses it
	}
	what := "the node is as declared"
	if len(w.goal.ids) > 0 {
		what = w.goal.wanted.text + " of " + names(w.goal.ids, fewNames)
	}
	printError(w.stderr, fmt.Errorf("%s: %s", why, what))
	return exitUnmet
}

// mayReturn reports whether an agent that causes an error may answer again by itself: it is being
// started, or has ended while it was asked.
func mayReturn(err error) bool {
	for _, passing := range []error{
		syscall.ENOENT, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF, statusapi.ErrNotReady,
	} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

// unconverged returns the objects that are not as declared.
func unconverged(node status.Report) []status.Object {
	var short []status.Object
	for _, o := range node.Objects {
		if alone := (status.Report{Objects: []status.Object{o}}); !alone.Converged() {
			short = append(short, o)
		}
	}
	return short
}

// suggestIDs completes KIND/NAME, if an agent runs.
func suggestIDs(ctx context.Context, s *settings) []string {
	if s.complete() != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, suggestLimit)
	defer cancel()
	node, err := statusapi.NewClient(s.socket()).Status(ctx, 0)
	if err != nil {
		return nil
	}
	var ids []string
	for _, o := range node.Objects {
		ids = append(ids, o.ID().String())
	}
	return ids
}
