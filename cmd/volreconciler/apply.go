package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"

	"github.com/volreconciler/volreconciler/pkg/lastgood"
	"github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

func newApplyCommand() *cobra.Command {
	s := newSettings()
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Make this node match the spec files, once",
		Long: `Make this node match the spec files, once: apply repeats passes until all objects are
as declared, or nothing more can be done. It retries failed changes until --timeout
has passed, does not wait for Blocked objects, and waits for copies without a limit.

Undeclared objects are deleted at once, without --deletion-grace; their data is kept in
the trash for the time that the Pool sets. The agent must not run on the node.

With --backend fake, apply works on the captured node in the --node file: it shows each
call that would change a node, and saves the result in the file, without comments. Such
a node has no passwords; its memory of volumes is in FILE.identities.json.

On SIGTERM or SIGINT apply exits once running commands have ended, on the second one at
once. Finished changes are kept; run apply again to continue.

Exit status: 0 if all objects are Ready, Orphaned, Suspended, in the trash, or Foreign
and undeclared; else 1.`,
		Example: `  volreconciler plan --specs specs/
  volreconciler apply --specs specs/ --timeout 1m
  volreconciler apply --backend fake --node node.yaml --specs specs/ --runtime-dir /tmp/run`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return applySpecs(cmd.Context(), s, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	s.forCommand(cmd, slices.Concat([]string{"specs", "target-prefix", "state-dir", "runtime-dir", "max-deletions", "timeout", "backend", "tgt-socket", "node"}, discoverySettings, dataSettingNames)...)
	return cmd
}

func applySpecs(ctx context.Context, s *settings, stdout, stderr io.Writer) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	held, err := s.lockNode()
	if err != nil {
		return err
	}
	defer held.release()

	progress := newProgress(stdout)
	b, err := s.openBackend(progress.faked)
	if err != nil {
		return err
	}
	// The loop's log says what the progress says.
	loop, repositories, err := newLoop(s, s.source(logr.Discard(), lastgood.New(s.lastGood())), b, logr.Discard())
	if err != nil {
		return err
	}
	defer repositories.Close()
	loop.Repositories = patient(ctx, repositories)
	warnOfTools(ctx, s, b, stderr)
	loop.Resync = s.timeout // what fails is tried again earlier than that
	loop.OnStep = progress.done

	node := converge(ctx, loop, progress, time.Now().Add(s.timeout))
	loop.Executor.Wait()
	if ctx.Err() != nil {
		return errors.New("interrupted; finished changes are kept, run apply again to continue")
	}
	if err := writeOutcome(stdout, stderr, node); err != nil {
		return err
	}
	return errors.Join(notReadyError(node), b.endPass())
}

// converge makes passes until the node is as declared, nothing more can be done, or the
// deadline leaves no time for another pass. Time in which data is moved is not limited by
// the deadline.
func converge(ctx context.Context, loop *reconcile.Loop, progress *progress, deadline time.Time) status.Report {
	for {
		progress.begin()
		wait := loop.Pass(ctx)
		node, _ := loop.Status.Report()
		if ctx.Err() == nil && loop.Executor.JobsUnderWay() > 0 {
			began := time.Now()
			progress.follow(ctx, loop, wait)
			deadline = deadline.Add(time.Since(began))
			continue
		}
		if ctx.Err() != nil || !progress.mayContinue(node) || time.Now().Add(wait).After(deadline) {
			return node
		}
		progress.announceWait(wait)
		sleep(ctx, wait)
	}
}

func writeOutcome(stdout, stderr io.Writer, node status.Report) error {
	if len(node.Objects) > 0 {
		if err := writeObjects(stdout, screenFor(stdout, colourAuto), node.Objects, false, time.Now()); err != nil {
			return err
		}
	}
	writeFindings(stderr, node.Findings)
	return nil
}

// notReadyError is an error that sums up what is not as declared; nil if all is.
func notReadyError(node status.Report) error {
	if node.Converged() {
		return nil
	}
	var errs []error
	if n := len(node.Findings); n > 0 {
		errs = append(errs, errors.New(findingsSummary(n)))
	}
	if short := unconverged(node); len(short) > 0 {
		errs = append(errs, errors.New(summarizeNotReady(short)))
	}
	return errors.Join(errs...)
}
