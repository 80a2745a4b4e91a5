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
		Short: "Adopt the logical volumes of another installation on this node's disks",
		Long: `Adopt the logical volumes of another volreconciler installation on the disks of this
node, after its state directory was lost or its disks were moved here.

Each installation tags its logical volumes with its ID. Those of other installations
are Foreign and are not changed. "volreconciler plan" and "get" show the ID;
"unmarked" is the ID for logical volumes without such a tag.

adopt-node marks all of them for one adoption, in the volume groups that a Pool
declares. The next pass does it: send SIGHUP to the agent, or run "volreconciler apply".
"volreconciler plan" shows the changes before. Undeclared volumes are not deleted.
Stop the other installation first if it can reach the same disks.

Exit status: 0 if logical volumes will be adopted; 1 if none belongs to the installation.`,
		Example: `  volreconciler adopt-node 4f2a9c1be07d63a8 --dry-run
  volreconciler adopt-node 4f2a9c1be07d63a8`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("write the ID of one installation, for example: adopt-node 4f2a9c1be07d63a8; see %s --help", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return adoptNode(cmd.Context(), s, args[0], dryRun, cmd.OutOrStdout())
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	s.forCommand(cmd, "state-dir")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "list the logical volumes that would be adopted, and change nothing (default: false)")
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
		return errors.New("cannot adopt on a captured node: it treats all captured objects as its own")
	}
	if id == ours.ID {
		return fmt.Errorf("%s is this installation; its logical volumes need no adoption", id)
	}
	observed := b.observer().Observe(ctx)
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if err := observed.Unknown[observe.LVM]; err != nil {
		return fmt.Errorf("cannot read LVM: %w", err)
	}
	made := madeBy(observed)
	if len(made[id]) == 0 {
		return fmt.Errorf("no logical volume on this node belongs to installation %s. %s", id, installations(made, ours.Maker))
	}
	for _, line := range made[id] {
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	if dryRun {
		return nil
	}
	if err := adoptInstallation(s, ours, id); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "The next pass adopts %s, where a Pool declares the volume group; see volreconciler plan\n", count(len(made[id]), "logical volume"))
	return err
}

func adoptInstallation(s *settings, ours *reconcile.Installation, id string) error {
	if err := safepath.MakeDir(s.stateDir); err != nil {
		return fmt.Errorf("cannot use the state directory: %w", err)
	}
	return ours.Adopt(id)
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

// installations returns the installations that made anything on the node.
func installations(made map[string][]string, ours ondisk.Maker) string {
	var others []string
	for id, lines := range made {
		if id != ours.ID {
			others = append(others, fmt.Sprintf("%s (%s)", count(len(lines), "logical volume"), id))
		}
	}
	if len(others) == 0 {
		return "No logical volume belongs to another installation"
	}
	slices.Sort(others)
	return "Other installations have " + strings.Join(others, ", ")
}
