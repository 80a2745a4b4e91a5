package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/safepath"
)

func newAdoptNodeCommand() *cobra.Command {
	s := newSettings()
	dryRun := false
	cmd := &cobra.Command{
		Use:   "adopt-node ID",
		Short: "Take over what another installation made on the disks of this node",
		Long: `Take over what another installation of volreconciler made on the disks of this
node: after its state directory was lost, or its disks were moved here.

An installation is a node with its state directory. It writes its identifier into
the tags of all that it makes, and what another one made is shown as Foreign, and
left alone. ID is that of the other one, as "volreconciler plan" and "get" say it;
"unmarked" is that of logical volumes whose tags do not say who made them.

All in the volume groups that a Pool names becomes this installation's own, once: in the
next pass of the agent, which comes at once after SIGHUP, or of "volreconciler
apply". "volreconciler plan" shows before what will be done. Nothing that no file
names is deleted by it. The other installation must not be at work on the same
disks any more.

Exit status: 0 if it will be taken over; 1 if nothing here is of that installation.`,
		Example: `  volreconciler adopt-node 4f2a9c1be07d63a8 --dry-run
  volreconciler adopt-node 4f2a9c1be07d63a8`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("name one installation, as in adopt-node 4f2a9c1be07d63a8; see %s --help", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return adoptNode(cmd.Context(), s, args[0], dryRun, cmd.OutOrStdout())
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	s.forCommand(cmd, "state-dir")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only show what would be taken over")
	return cmd
}

func adoptNode(ctx context.Context, s *settings, id string, dryRun bool, out io.Writer) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	b, err := s.openBackend(nil)
	if err != nil {
		return err
	}
	ours, err := s.installation()
	if err != nil {
		return err
	}
	if ours == nil {
		return errors.New("on a captured node nothing tells installations apart: all that was captured is treated as its own")
	}
	if id == ours.ID {
		return fmt.Errorf("%s is this installation; what it made is its own already", id)
	}
	observed := b.observer().Observe(ctx)
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if err := observed.Unknown[observe.LVM]; err != nil {
		return fmt.Errorf("LVM cannot be read: %w", err)
	}
	made := madeBy(observed)
	if len(made[id]) == 0 {
		return fmt.Errorf("no logical volume on this node was made by %s. %s", id, installations(made, ours.Maker))
	}
	for _, line := range made[id] {
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	if dryRun {
		return nil
	}
	if err := takeOver(s, ours, id); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s taken over in the next pass, where a Pool names the volume group; see volreconciler plan\n", count(len(made[id]), "logical volume"))
	return err
}

func takeOver(s *settings, ours *reconcile.Installation, id string) error {
	if err := safepath.MakeDir(s.stateDir); err != nil {
		return fmt.Errorf("the state directory cannot be used: %w", err)
	}
	return ours.TakeOver(id)
}

// madeBy returns what each installation made, a line for each logical volume.
func madeBy(observed observe.State) map[string][]string {
	made := map[string][]string{}
	for _, vg := range observed.VolumeGroups {
		for _, lv := range vg.LogicalVolumes {
			of, named := lv.BelongsTo()
			if !named {
				continue
			}
			makers := lv.Makers()
			if len(makers) == 0 {
				makers = []ondisk.Maker{{ID: plan.Unmarked}}
			}
			for _, maker := range makers {
				made[maker.ID] = append(made[maker.ID], fmt.Sprintf("%s (%s) %s", of, lv.FullName(), maker.Name))
			}
		}
	}
	for id, lines := range made {
		for i := range lines {
			lines[i] = strings.TrimSpace(lines[i])
		}
		slices.Sort(made[id])
	}
	return made
}

// installations says of which installations there is something.
func installations(made map[string][]string, ours ondisk.Maker) string {
	var others []string
	for id, lines := range made {
		if id != ours.ID {
			others = append(others, fmt.Sprintf("%s by %s", count(len(lines), "logical volume"), id))
		}
	}
	if len(others) == 0 {
		return "Nothing here was made by another installation"
	}
	slices.Sort(others)
	return "There are " + strings.Join(others, ", ")
}
