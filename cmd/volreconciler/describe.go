package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/statusapi"
)

func newDescribeCommand() *cobra.Command {
	s := newSettings()
	var colours *string
	cmd := &cobra.Command{
		Use:   "describe KIND NAME",
		Short: "Show the details of an object from the running agent",
		Long: `Show the details of one object and its last events, from the running agent on this node.
KIND/NAME is accepted as one argument.

Exit status: 0, whatever the object's phase; 1 if no agent answers, or the object does not
exist.`,
		Example: `  volreconciler describe volume db-data
  volreconciler describe Export/db`,
		Args: cobra.MatchAll(atMostKindAndName, knownKind, func(cmd *cobra.Command, args []string) error {
			if selected, err := selectionOf(args); err != nil || !selected.isSingle() {
				return fmt.Errorf("write a kind and a name, for example: describe volume db-data; see %s --help", cmd.CommandPath())
			}
			return nil
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			selected, err := selectionOf(args)
			if err != nil {
				return err
			}
			v := view{client: statusapi.NewClient(s.socket()), socket: s.socket(), selected: selected}
			node, err := v.ask(cmd.Context(), 0)
			if err != nil {
				return err
			}
			objects, err := v.objects(cmd.Context(), node)
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			screen := screenFor(w, *colours)
			if err := describe(w, screen, objects[0], time.Now()); err != nil {
				return err
			}
			if err := describeEvents(cmd.Context(), w, screen, v.client, objects[0].ID()); err != nil {
				return err
			}
			return writeFindingsOf(w, screen, node)
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			return suggestObjects(cmd.Context(), s, args, toComplete), cobra.ShellCompDirectiveNoFileComp
		},
	}
	s.forCommand(cmd, "runtime-dir")
	colours = colourFlag(cmd)
	return cmd
}

// describe writes one field per line.
func describe(w io.Writer, s screen, o status.Object, now time.Time) error {
	t := &table{}
	field := func(name, value string) {
		if value != "" {
			t.add(name+":", value)
		}
	}
	field("Kind", string(o.Kind))
	field("Name", o.Name)
	field("Phase", string(o.Phase))
	field("Reason", o.Reason)
	field("Message", oneLine(o.Message))
	field("Progress", withBar(s.width > 0, o.Progress, progressText(o.Progress)))
	field("Since", fmt.Sprintf("%s (%s ago)", o.Since.Format(time.RFC3339), age(now.Sub(o.Since))))
	if o.Drift != nil {
		describeDrift(field, *o.Drift, now)
	}
	switch {
	case o.Pool != nil:
		describePool(field, *o.Pool)
	case o.Export != nil:
		describeExport(field, *o.Export)
	case o.Image != nil:
		describeImage(field, *o.Image)
	case o.Schedule != nil:
		describeSchedule(field, *o.Schedule, now)
	case o.Repository != nil:
		describeRepository(field, *o.Repository, now)
	case o.Backup != nil:
		describeBackup(field, *o.Backup, now)
	case volumeOf(o) != nil:
		describeVolume(field, *volumeOf(o), now)
	}
	return t.write(w, s, func(column int, cell string) colour {
		if column == 1 && cell == string(o.Phase) {
			return phaseColour(o.Phase)
		}
		return plain
	})
}

func describeDrift(field func(name, value string), d status.Drift, now time.Time) {
	text := fmt.Sprintf("%s (%s ago): %s", d.Time.Format(time.RFC3339), age(now.Sub(d.Time)), d.Change)
	if d.By != nil {
		text += "; last written by " + d.By.String()
	}
	if d.Corrected > 1 {
		text += fmt.Sprintf("; %d corrections since the agent started", d.Corrected)
	}
	field("Drift corrected", oneLine(text))
}

func describePool(field func(name, value string), p status.Pool) {
	field("Volume group", p.VolumeGroup)
	field("Thin pool", p.ThinPool)
	field("Size", exactBytes(p.Size))
	if p.UsageUnknown {
		field("Provisioned", share(p.Provisioned, p.Size))
		field("Data used", "unknown, because it is inactive")
		return
	}
	field("Free", exactBytes(p.Free))
	if p.ThinPool == "" {
		return
	}
	field("Provisioned", share(p.Provisioned, p.Size))
	field("Data used", percent(p.DataPercent))
	field("Metadata used", percent(p.MetadataPercent))
}

func describeVolume(field func(name, value string), v status.Volume, now time.Time) {
	if !v.DeletedAt.IsZero() {
		field("In the trash since", fmt.Sprintf("%s (%s ago)", v.DeletedAt.Format(time.RFC3339), age(now.Sub(v.DeletedAt))))
	}
	if !v.RemovedAfter.IsZero() {
		field("Removed after", fmt.Sprintf("%s (%s)", v.RemovedAfter.Format(time.RFC3339), timeLeft(v.RemovedAfter.Sub(now))))
	}
	at := func(name string, then time.Time) {
		if !then.IsZero() {
			field(name, fmt.Sprintf("%s (%s ago)", then.UTC().Format(time.RFC3339), age(now.Sub(then))))
		}
	}
	at("Created", v.CreatedAt)
	at("Taken", v.TakenAt)
	field("Volume", v.Volume)
	field("Pool", v.Pool)
	field("Size", exactBytes(v.Size))
	if v.DataPercent > 0 {
		field("Data used", percent(v.DataPercent))
	}
	field("Device", v.DevicePath)
	field("Active", yesOrNo(v.Active))
	field("LV UUID", v.LVUUID)
	field("Unit serial", v.Serial)
	field("WWN", v.WWN)
	field("Exported by", strings.Join(v.ExportedBy, ", "))
	field("Attached", oneLine(strings.Join(attachmentsOf(v), ", ")))
	field("Held by", oneLine(strings.Join(v.HeldBy, ", ")))
}

func describeExport(field func(name, value string), e status.Export) {
	field("Protocol", string(e.Protocol))
	field("Target", e.Target)
	field("Portals", strings.Join(e.Portals, ", "))
	field("LUNs", fmt.Sprint(e.LUNs))
	sessions := "none"
	if who := sessionsOf(e); len(who) > 0 {
		sessions = strings.Join(who, ", ")
	}
	field("Sessions", oneLine(sessions))
}

func describeImage(field func(name, value string), i status.Image) {
	field("File", oneLine(i.Path))
	field("Format", string(i.Format))
	field("Size", exactBytes(i.Size))
	field("SHA-256", i.SHA256)
}

func exactBytes(n uint64) string { return fmt.Sprintf("%s (%d bytes)", bytes(n), n) }

func percent(p float64) string { return fmt.Sprintf("%.1f%%", p) }

func yesOrNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}
