package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/lastgood"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// exitChanges is plan's exit status when there is something to do.
const exitChanges exitStatus = 2

// exitStuck is plan's exit status when there is nothing to do, but not all is as declared.
const exitStuck exitStatus = 3

func newPlanCommand() *cobra.Command {
	s := newSettings()
	format := "text"
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show the changes to this node, and who is affected",
		Long: `Show the changes that would make this node match the spec files, with the reason of each
and the initiators affected. plan changes nothing, takes no locks and can run beside the
agent.

Undeclared objects are shown as deleted at once, as apply does, without the agent's
--deletion-grace. Their data is kept in the trash for the time that the Pool sets.

With --node, plan compares the spec files with a node captured by "volreconciler capture",
as any user: it does not read this node or password files, so it does not see changed
passwords. FILE.identities.json has the memory of volumes, if it exists.

The fields of -o json are apiVersion, kind, complete, findings, steps (id, object,
type, change, summary, why, needs, danger, affects), objects and warnings. -o markdown is a
comment for a merge request, of at most 60,000 bytes.

Exit status: 0 if there is nothing to change. 2 if there are changes. 3 if there is nothing
to change, but an object is Blocked or Failed. 1 if the files have findings, a part of the
node cannot be read, or the command is wrong.`,
		Example: `  volreconciler plan --specs /srv/storage/specs
  volreconciler plan --node node.yaml --specs specs/
  volreconciler plan -o json | jq '.steps[] | select(.danger != "none")'`,
		SuggestFor: []string{"diff"},
		Args:       noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s.planNode()
			return showPlan(cmd.Context(), s, format, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	s.forCommand(cmd, append([]string{"specs", "target-prefix", "state-dir", "max-deletions", "backend", "tgt-socket", "node"}, discoverySettings...)...)
	outputFlag(cmd, &format, "text", "json", "markdown")
	return cmd
}

func showPlan(ctx context.Context, s *settings, format string, stdout, stderr io.Writer) error {
	desired, observed, plan, err := s.makePlan(ctx)
	if err != nil {
		return err
	}
	exit := planExit(plan, observed)
	if format == "markdown" {
		_, err = io.WriteString(stdout, planMarkdown(plan, exit))
	} else {
		err = writePlan(stdout, plan, format)
	}
	if err != nil {
		return err
	}
	for _, w := range desired.Warnings {
		_, _ = fmt.Fprintln(stderr, "warning: "+oneLine(w)) // the command itself says what goes wrong with its output
	}
	writeFindings(stderr, status.Findings(plan.Findings))
	return exit
}

// makePlan reads what is declared and what is on the node, and plans.
func (s *settings) makePlan(ctx context.Context) (spec.Set, observe.State, plan.Plan, error) {
	ctx, stop := untilSignal(ctx)
	defer stop()
	b, err := s.openBackend(nil)
	if err != nil {
		return spec.Set{}, observe.State{}, plan.Plan{}, err
	}
	memory, err := reconcile.OpenMemory(s.memory())
	if err != nil {
		return spec.Set{}, observe.State{}, plan.Plan{}, err
	}
	ours, err := s.knownInstallation()
	if err != nil {
		return spec.Set{}, observe.State{}, plan.Plan{}, err
	}
	desired := s.source(logr.Discard(), lastgood.ReadOnly(s.lastGood())).Load(ctx)
	observer := b.observer()
	observer.Adopt(desired.AdoptedTargets()...)
	observed := observer.Observe(ctx, desired.ImagePaths()...)
	if observed.Repositories, err = s.readRepositories(ctx, b, desired.Repositories); err != nil {
		return spec.Set{}, observe.State{}, plan.Plan{}, err
	}
	if ctx.Err() != nil {
		return spec.Set{}, observe.State{}, plan.Plan{}, errors.New("interrupted")
	}
	discovery, unreadable := s.discovery()
	plan := s.planFor(desired, observed, memory, ours, discovery, b.tgt != nil)
	if unreadable != nil {
		plan.AddFinding(unreadable)
	}
	return desired, observed, plan, nil
}

// planFor plans for a node that was observed.
func (s *settings) planFor(desired spec.Set, observed observe.State, memory *reconcile.Memory, ours plan.Installation, discovery *change.Auth, tgt bool) plan.Plan {
	observed.Expect(reconcile.VolumeGroups(desired, memory.Known())...)
	now := time.Now()
	index := plan.NewIndex(observed, plan.Ownership{Installation: ours, Known: memory.Known()})
	return plan.Make(plan.Input{
		Declared: desired, Observed: observed, Index: index, Known: memory.Known(), Started: now, Now: now,
		Exposures:    plan.LearnExposures(memory.Exposures(), observed, index, memory.Rebooted(observed), now),
		Installation: ours,
		MaxDeletions: s.maxDeletions, Discovery: discovery, TGT: tgt,
	})
}

// knownInstallation returns the identity by which the agent recognizes what it made.
func (s *settings) knownInstallation() (plan.Installation, error) {
	i, err := s.installation()
	if err != nil || i == nil {
		return plan.Installation{}, err
	}
	return i.Current()
}

func writePlan(w io.Writer, plan plan.Plan, format string) error {
	if format == "json" {
		return writeJSON(w, plan)
	}
	_, err := io.WriteString(w, planText(plan, painterFor(w, colourAuto)))
	return err
}

// planExit is plan's exit status. What could not be read is worse than a change:
// there may be more to do than the plan shows.
func planExit(plan plan.Plan, observed observe.State) error {
	unread := observed.Err()
	for _, o := range plan.Objects { // a volume group that nobody names is no matter
		if unread == nil && o.Reason == status.ReasonObservationFailed {
			unread = observed.Doubtful()
		}
	}
	switch {
	case unread != nil:
		return fmt.Errorf("cannot read all of the node, so the plan is incomplete: %s%s", fewLines(unread.Error()), needsRoot(unread))
	case len(plan.Findings) > 0:
		return errors.New(findingsSummary(len(plan.Findings)))
	case !plan.Empty():
		return exitChanges
	case slices.ContainsFunc(plan.Objects, func(o status.Object) bool { return o.Phase == status.Blocked || o.Phase == status.Failed }):
		return exitStuck
	default:
		return nil
	}
}
