package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/statusapi"
)

func newEventsCommand() *cobra.Command {
	s := newSettings()
	format, watch := "text", false
	var since time.Duration
	var colours *string
	cmd := &cobra.Command{
		Use:   "events [KIND[/NAME]]",
		Short: "Show what became of objects, from the running agent",
		Long: `Show what became of objects, from the agent that runs on this node. Each change of a phase or
reason is a line, and so is each object that is gone, and each correction of a drift. Of a
drift it shows the program that caused it, as far as the kernel reports that. The agent keeps
the last 1,000 events since it was started; its log has all.

KIND and NAME are as for get. The object need not exist any more.

-o json prints the answer of GET /v1/events, and with --watch one event per line.

Exit status: 0, also if there are no events; 1 if no agent answers, or if it ends during
--watch.`,
		Example: `  volreconciler events --since 1h
  volreconciler events export/db
  volreconciler events volumes --watch -o json`,
		SuggestFor: []string{"history", "logs"},
		Args:       cobra.MatchAll(atMostKindAndName, knownKind),
		RunE: func(cmd *cobra.Command, args []string) error {
			selected, err := selectionOf(args)
			if err != nil {
				return err
			}
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			v := eventsView{
				client: statusapi.NewClient(s.socket()), socket: s.socket(), selected: selected, json: format == "json",
				out: cmd.OutOrStdout(), painter: painterFor(cmd.OutOrStdout(), *colours),
			}
			if since > 0 {
				v.since = time.Now().Add(-since)
			}
			if watch {
				return v.watch(ctx)
			}
			return v.show(ctx)
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			return suggestObjects(cmd.Context(), s, args, toComplete), cobra.ShellCompDirectiveNoFileComp
		},
	}
	s.forCommand(cmd, "runtime-dir")
	outputFlag(cmd, &format, "text", "json")
	colours = colourFlag(cmd)
	cmd.Flags().Var(duration(&since, 0), "since", "show only events of the last `duration`, for example 1h (default 0s: all that the agent keeps)")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "print further events as they happen, until interrupted (default: false)")
	return cmd
}

// eventsView shows some of an agent's events.
type eventsView struct {
	client   *statusapi.Client
	socket   string
	selected selection
	since    time.Time // zero: from the first one
	json     bool
	out      io.Writer
	painter  painter
}

// includes reports whether an event is asked for.
func (v eventsView) includes(e status.Event) bool {
	return (v.selected.kind == "" || e.Kind == v.selected.kind) && (v.selected.name == "" || e.Name == v.selected.name) &&
		!e.Time.Before(v.since)
}

// show shows the events that there are.
func (v eventsView) show(ctx context.Context) error {
	events, err := v.client.Events(ctx, 0)
	if err != nil {
		return agentError(err, v.socket)
	}
	events = slices.DeleteFunc(events, func(e status.Event) bool { return !v.includes(e) })
	if v.json {
		return writeJSON(v.out, statusapi.Events{Events: events})
	}
	if len(events) == 0 {
		_, err := fmt.Fprintln(v.out, "There are no such events.")
		return err
	}
	return v.write(events)
}

// watch shows the events that there are, and then each as it happens, until ctx ends.
func (v eventsView) watch(ctx context.Context) error {
	var unwritten error
	err := v.client.Follow(ctx, 0, func(e status.Event) error {
		switch {
		case !v.includes(e):
		case v.json:
			encoder := json.NewEncoder(v.out)
			encoder.SetEscapeHTML(false)
			unwritten = encoder.Encode(e)
		default:
			unwritten = v.write([]status.Event{e})
		}
		return unwritten
	})
	switch {
	case ctx.Err() != nil:
		return nil //nolint:nilerr // that is how a watch ends
	case unwritten != nil:
		return unwritten
	case errors.Is(err, statusapi.ErrEnded):
		return err
	default:
		return agentError(err, v.socket)
	}
}

func (v eventsView) write(events []status.Event) error {
	for _, e := range events {
		if _, err := fmt.Fprintln(v.out, eventLine(v.painter, e, true)); err != nil {
			return err
		}
	}
	return nil
}

// eventLine returns an event as one line: the time, the object if it is to be named, what became of it.
func eventLine(p painter, e status.Event, named bool) string {
	text := oneLine(eventText(e))
	if e.Type == status.Changed { // it begins with the phase
		text = p.paint(phaseColour(e.Phase), string(e.Phase)) + strings.TrimPrefix(text, string(e.Phase))
	}
	if named {
		text = visible(e.Object().String()) + ": " + text
	}
	return e.Time.Local().Format(time.RFC3339) + "  " + text
}

// eventText says what became of an object: "Blocked (Vanished), was Ready (AsDesired): its logical …".
func eventText(e status.Event) string {
	switch e.Type {
	case status.DriftCorrected:
		by := ""
		if e.By != nil {
			by = e.By.String()
		}
		return "drift corrected: " + e.Change + changedBy(by)
	case status.Deleted:
		return fmt.Sprintf("deleted, was %s (%s)", e.Phase, e.Reason)
	default:
		text := fmt.Sprintf("%s (%s)", e.Phase, e.Reason)
		if e.PreviousPhase != "" {
			text += fmt.Sprintf(", was %s (%s)", e.PreviousPhase, e.PreviousReason)
		}
		if e.Message != "" {
			text += ": " + e.Message
		}
		return text
	}
}

// maxDescribed is how many of an object's events describe shows.
const maxDescribed = 10

// describeEvents writes the last events of an object. An agent of an earlier version has none.
func describeEvents(ctx context.Context, w io.Writer, s screen, client *statusapi.Client, id spec.ID) error {
	events, err := client.Events(ctx, 0)
	if err != nil {
		return nil //nolint:nilerr // the object was described, and this only adds to that
	}
	events = slices.DeleteFunc(events, func(e status.Event) bool { return e.Object() != id })
	if len(events) == 0 {
		return nil
	}
	const indent = "  "
	text := "Events:\n"
	for _, e := range events[max(0, len(events)-maxDescribed):] {
		text += indent + s.wrapped(eventLine(painter{}, e, false), plain, 2*len(indent)) + "\n"
	}
	_, err = io.WriteString(w, text)
	return err
}
