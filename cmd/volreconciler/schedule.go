package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/retention"
	"github.com/volreconciler/volreconciler/pkg/schedule"
	"github.com/volreconciler/volreconciler/pkg/schedule/simulation"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

func newScheduleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schedule",
		Short: "Try out schedules of snapshots and backups",
		Long: `Try out schedules of snapshots and backups, without an agent and without data.

Exit status: 1 without a command; see those of the commands.`,
		Example: `  volreconciler schedule simulate schedules.yaml --days 400`,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return fmt.Errorf("write the command and a file, for example: schedule simulate schedules.yaml; see %s --help", cmd.CommandPath())
		},
	}
	cmd.AddCommand(newSimulateCommand())
	return cmd
}

// mostDays is how many days a simulation may have: ten years, so that even a schedule of each minute ends soon.
const mostDays = 3660

func newSimulateCommand() *cobra.Command {
	days, from, format := 400, time.Time{}, "text"
	cmd := &cobra.Command{
		Use:   "simulate PATH...",
		Short: "Show the snapshots and backups that schedules will have left",
		Long: `Show which snapshots and backups each SnapshotSchedule in the files and directories will
have left after some days, and why each is kept. simulate needs no agent, and changes
nothing. It uses the functions with which the agent decides.

The result is that of one volume of the schedule. It assumes that nothing else keeps a
snapshot, such as a clone, and that each run succeeds at once. What the files refer to,
such as Volumes, need not be in them. Times are in UTC.

The fields of -o json are apiVersion, kind, from, until, findings and schedules (name,
volumes, snapshots, backups); of snapshots and backups made, removed, most (the largest
number at any time) and kept (time, reasons), and of backups repository.

Exit status: 0. 1 if the files have findings or no SnapshotSchedule, or the command is
wrong.`,
		Example: `  volreconciler schedule simulate schedules.yaml
  volreconciler schedule simulate schedules.yaml --days 30 --from 2027-03-01T00:00:00Z
  volreconciler schedule simulate specs/ -o json | jq '.schedules[].snapshots.most'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("write the files or directories with SnapshotSchedules; see %s --help", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if from.IsZero() {
				from = time.Now()
			}
			schedules, findings := spec.LoadSchedules(args)
			return simulate(cmd.OutOrStdout(), cmd.ErrOrStderr(), format, schedules, findings, from.UTC().Truncate(time.Second), days)
		},
	}
	cmd.Flags().Var(value[int]{&days, "number", parseDays}, "days", "how many days to simulate, for example 30")
	cmd.Flags().Var(startTime{&from}, "from", "`time` at which the schedules start, for example 2027-03-01T00:00:00Z (default: now)")
	outputFlag(cmd, &format, "text", "json")
	return cmd
}

func parseDays(text string) (int, error) {
	days, err := strconv.Atoi(text)
	if err != nil || days < 1 || days > mostDays {
		return 0, fmt.Errorf("write a whole number from 1 to %d, for example 30", mostDays)
	}
	return days, nil
}

// startTime is a flag for a time; zero is now.
type startTime struct{ target *time.Time }

func (s startTime) Set(text string) error {
	parsed, err := time.Parse(time.RFC3339, text)
	if err != nil {
		parsed, err = time.Parse(time.DateOnly, text)
	}
	if err != nil || parsed.Year() < 1970 || parsed.Year() > 9000 {
		return errors.New("write a time, for example 2027-03-01T00:00:00Z or 2027-03-01")
	}
	*s.target = parsed
	return nil
}

func (s startTime) String() string { return "" }

func (s startTime) Type() string { return "time" }

// simulated is what simulate says with -o json.
type simulated struct {
	APIVersion string              `json:"apiVersion"`
	Kind       string              `json:"kind"`
	From       time.Time           `json:"from"`
	Until      time.Time           `json:"until"`
	Findings   []status.Finding    `json:"findings"`
	Schedules  []simulatedSchedule `json:"schedules"`
}

type simulatedSchedule struct {
	Name      string          `json:"name"`
	Volumes   []string        `json:"volumes,omitempty"` // none: they are selected by labels
	Snapshots simulatedCopies `json:"snapshots"`
	// Backups are nil if the schedule makes none.
	Backups *simulatedCopies `json:"backups,omitempty"`
}

type simulatedCopies struct {
	Repository string          `json:"repository,omitempty"`
	Made       int             `json:"made"`
	Removed    int             `json:"removed"`
	Most       int             `json:"most"`
	Kept       []simulatedCopy `json:"kept"`
}

type simulatedCopy struct {
	Time    time.Time `json:"time"`
	Reasons []string  `json:"reasons"`
}

func simulate(stdout, stderr io.Writer, format string, schedules []spec.SnapshotSchedule, findings []spec.Finding, from time.Time, days int) error {
	result := simulated{
		APIVersion: spec.APIVersion, Kind: "ScheduleSimulation", From: from, Until: from.AddDate(0, 0, days),
		Findings: status.Findings(findings), Schedules: []simulatedSchedule{},
	}
	for _, s := range schedules {
		one, err := simulateSchedule(s, result.From, result.Until)
		if err != nil {
			return err
		}
		result.Schedules = append(result.Schedules, one)
	}
	var err error
	if format == "json" {
		err = writeJSON(stdout, result)
	} else {
		writeFindings(stderr, result.Findings)
		err = result.write(stdout)
	}
	switch {
	case err != nil:
		return err
	case len(findings) > 0:
		return exitFindings
	case len(schedules) == 0:
		return errors.New("there is no SnapshotSchedule in the files; write those that have one")
	default:
		return nil
	}
}

func simulateSchedule(s spec.SnapshotSchedule, from, until time.Time) (simulatedSchedule, error) {
	zone, err := schedule.Zone(s.Spec.TimeZone)
	if err != nil {
		return simulatedSchedule{}, err
	}
	plan := simulation.Plan{Name: s.Metadata.Name, Jitter: time.Duration(s.Spec.Jitter)}
	if plan.Snapshots, err = scheduleLine(s.Spec.At, s.Spec.Keep, zone); err != nil {
		return simulatedSchedule{}, err
	}
	if b := s.Spec.Backup; b != nil {
		backups, err := scheduleLine(b.At, b.Keep, zone)
		if err != nil {
			return simulatedSchedule{}, err
		}
		plan.Backups = &backups
	}
	result := simulation.Run(plan, from, until)
	one := simulatedSchedule{Name: s.Metadata.Name, Volumes: s.Spec.Volumes, Snapshots: copiesOf(result.Snapshots)}
	if result.Backups != nil {
		backups := copiesOf(*result.Backups)
		backups.Repository = s.Spec.Backup.Repository
		one.Backups = &backups
	}
	return one, nil
}

func scheduleLine(at string, keep spec.Keep, zone *time.Location) (simulation.Line, error) {
	parsed, err := schedule.Parse(at, zone)
	return simulation.Line{At: parsed, Keep: retention.Keep(keep)}, err
}

func copiesOf(c simulation.Copies) simulatedCopies {
	copies := simulatedCopies{Made: c.Made, Removed: c.Removed, Most: c.Most, Kept: []simulatedCopy{}}
	for _, k := range c.Kept {
		copies.Kept = append(copies.Kept, simulatedCopy(k))
	}
	return copies
}
