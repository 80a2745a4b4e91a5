package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/statusapi"
)

func newGetCommand() *cobra.Command {
	s := newSettings()
	format, watch := "table", false
	var selector, order string
	var colours *string
	cmd := &cobra.Command{
		Use:   "get [KIND [NAME]]",
		Short: "Show the status of objects from the running agent",
		Long: `Show the status of objects after the last pass of the agent that runs on this node.

KIND is pools, volumes, snapshots, exports, images, repositories, schedules or backups,
also in the singular and as vol, snap, exp, img, repo, sched or bkp. KIND/NAME is
accepted as one argument.

Phases:
  Ready        as declared
  Progressing  being changed; the message shows the progress of copies
  Blocked      needs an action or waits for something; the message says what
  Failed       a change failed and is retried
  Deleting     undeclared and being removed; with the reason InTrash it is kept in the trash
  Orphaned     undeclared and kept
  Foreign      belongs to another installation and is not changed; see adopt-node
  Suspended    not changed, because of its annotation

The fields of -o json and -o yaml are those of one object if NAME is set, else
apiVersion, kind, generation, time, findings and objects.

Exit status: 0, whatever the phases; 1 if no agent answers, or the object does not exist.`,
		Example: `  volreconciler get
  volreconciler get volumes -o wide
  volreconciler get export/db -o yaml
  volreconciler get volumes -l tier=gold --sort used
  volreconciler get --watch`,
		SuggestFor: []string{"status", "list", "show"},
		Args:       cobra.MatchAll(atMostKindAndName, knownKind),
		RunE: func(cmd *cobra.Command, args []string) error {
			selected, err := selectionOf(args)
			if err != nil {
				return err
			}
			if selected.labels, err = selectorOf(selector); err != nil {
				return err
			}
			if selected.isSingle() && selector != "" {
				return errors.New("give a name or --selector, not both")
			}
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			v := view{
				client: statusapi.NewClient(s.socket()), socket: s.socket(), selected: selected, order: order,
				format: format, colours: *colours, out: cmd.OutOrStdout(),
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
	outputFlag(cmd, &format, "table", "wide", "json", "yaml")
	orderFlag(cmd, &order)
	cmd.Flags().StringVarP(&selector, "selector", "l", "", "show only objects with matching `labels`: KEY=VALUE, KEY!=VALUE, KEY or !KEY, comma-separated, for example app=db,!test (default: all objects)")
	colours = colourFlag(cmd)
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "print the status again after each change, until interrupted (default: false)")
	return cmd
}

func atMostKindAndName(cmd *cobra.Command, args []string) error {
	if len(args) > 2 {
		return fmt.Errorf("%s accepts a kind and a name, but got %d arguments; see %s --help", cmd.Name(), len(args), cmd.CommandPath())
	}
	return nil
}

func knownKind(_ *cobra.Command, args []string) error {
	_, err := selectionOf(args)
	return err
}

// view shows some of an agent's status.
type view struct {
	client   *statusapi.Client
	socket   string
	selected selection
	order    string // what objects are sorted by; empty: kind and name
	format   string
	colours  string // when there are any
	out      io.Writer
}

// show shows the selected objects as they are now.
func (v view) show(ctx context.Context) error {
	node, err := v.ask(ctx, 0)
	if err != nil {
		return err
	}
	if node.Objects, err = v.objects(ctx, node); err != nil {
		return err
	}
	return v.write(node)
}

// watch shows the selected objects again whenever one of them changed, until ctx ends.
func (v view) watch(ctx context.Context) error {
	var shown status.Report
	for {
		node, err := v.ask(ctx, shown.Generation)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // that is how a watch ends
		}
		if err != nil {
			return err
		}
		if node.Objects, err = v.objects(ctx, node); err != nil {
			return err
		}
		if shown.Generation == 0 || isDifferent(shown, node) {
			if err := v.write(node); err != nil {
				return err
			}
		}
		shown = node
	}
}

// objects returns the selected objects of an answer. If the one that is named is not among
// them, all are asked for, to say what there is.
func (v view) objects(ctx context.Context, node status.Report) ([]status.Object, error) {
	objects, missing := v.selected.objectsOf(node)
	if missing == nil {
		sortBy(objects, v.order)
		return objects, nil
	}
	all := v
	all.selected.name = ""
	node, err := all.ask(ctx, 0)
	if err != nil {
		return nil, missing
	}
	return v.selected.objectsOf(node)
}

func isDifferent(a, b status.Report) bool {
	return !reflect.DeepEqual(a.Objects, b.Objects) || !slices.Equal(a.Findings, b.Findings)
}

func (v view) write(node status.Report) error {
	var shown any = node
	if v.selected.isSingle() {
		shown = node.Objects[0]
	}
	switch v.format {
	case "json":
		return writeJSON(v.out, shown)
	case "yaml":
		return writeYAML(v.out, shown)
	default:
		return writeStatus(v.out, screenFor(v.out, v.colours), node, v.format == "wide", time.Now())
	}
}

// ask asks the agent. Its error says what to do if no agent is running.
func (v view) ask(ctx context.Context, generation int64) (status.Report, error) {
	node, err := v.client.StatusOf(ctx, generation, spec.ID{Kind: v.selected.kind, Name: v.selected.name})
	return node, agentError(err, v.socket)
}

// agentError says what to do about an error of a [statusapi.Client]; nil if there is none.
func agentError(err error, socket string) error {
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no agent answers at %s; start it: volreconciler run --specs DIR, "+
			"or set --runtime-dir to the agent's", socket)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("cannot open %s as this user; run the command as root", socket)
	case errors.Is(err, statusapi.ErrNotReady):
		return fmt.Errorf("the agent at %s has just started: %w", socket, err)
	case err != nil:
		return fmt.Errorf("cannot query the agent at %s: %w", socket, err)
	}
	return nil
}

// suggestLimit is how long the shell's completion waits for an agent.
const suggestLimit = time.Second

// suggestObjects completes KIND, and NAME or KIND/NAME if an agent runs.
func suggestObjects(ctx context.Context, s *settings, args []string, toComplete string) []string {
	before := ""
	if word, _, isID := strings.Cut(toComplete, "/"); isID && len(args) == 0 {
		args, before = []string{word}, word+"/"
	}
	if len(args) == 0 {
		return kindSuggestions()
	}
	kind, err := kindOf(args[0])
	if err != nil || len(args) > 1 || s.complete() != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, suggestLimit)
	defer cancel()
	node, err := statusapi.NewClient(s.socket()).StatusOf(ctx, 0, spec.ID{Kind: kind})
	if err != nil {
		return nil
	}
	var names []string
	for _, o := range node.Objects {
		if o.Kind == kind {
			names = append(names, before+o.Name)
		}
	}
	return names
}
