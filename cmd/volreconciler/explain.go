package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/specdoc"
)

func newExplainCommand() *cobra.Command {
	recursive := false
	cmd := &cobra.Command{
		Use:   "explain [KIND[.FIELD]... | REASON]",
		Short: "Explain a field of a spec, or a reason of a status",
		Long: `Explain a field of a spec: its type, default, allowed values and meaning, with an example,
and the fields in it. It needs no agent and reads no file.

KIND is pool, volume, snapshot, export, image, repository, snapshotschedule or backup, in any
case. Fields are separated by dots, as in volume.spec.source.image; they can also be copied
from a finding, as in export.spec.luns[0].lun. Without an argument the kinds are listed.

REASON is the reason of an object's status, such as SessionsActive: what it means, how to
look, and what to do.

Exit status: 0; 1 if the kind, field or reason does not exist.`,
		Example: `  volreconciler explain
  volreconciler explain volume.spec.source.image
  volreconciler explain export --recursive
  volreconciler explain SessionsActive`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("explain accepts one kind, field or reason, but got %d arguments; see %s --help", len(args), cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			w := cmd.OutOrStdout()
			width := min(columns(w), readable)
			if len(args) == 0 {
				return explainKinds(w, width)
			}
			return explain(w, width, args[0], recursive)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return suggestFields(toComplete)
		},
	}
	cmd.Flags().BoolVarP(&recursive, "recursive", "r", false, "list all fields below the field, with their types (default: false)")
	return cmd
}

// readable is how many columns a paragraph has at most.
const readable = 100

// explainKinds lists the kinds.
func explainKinds(w io.Writer, columns int) error {
	t := &table{}
	t.add("KIND", "MEANING")
	for _, kind := range specdoc.Kinds() {
		t.add(strings.ToLower(string(kind)), specdoc.Of(kind).Meaning)
	}
	if err := t.write(w, screen{width: columns}, func(int, string) colour { return plain }); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, "\nSee also: volreconciler explain KIND, for example: volreconciler explain volume")
	return err
}

// explain writes what is known about a field or a reason.
func explain(w io.Writer, columns int, what string, recursive bool) error {
	word, path, _ := strings.Cut(what, ".")
	kind, err := kindOf(word)
	if err != nil {
		if text, found := explainReason(what); found {
			_, err := io.WriteString(w, text)
			return err
		}
		return fmt.Errorf("unknown kind or reason %q%s (kinds: %s)", word, spec.Suggest(word, append(singularKinds(), reasons()...)), strings.Join(singularKinds(), ", "))
	}
	field, err := specdoc.Find(kind, path)
	if err != nil {
		return err
	}
	text := field.Explain(columns)
	if recursive && len(field.Fields) > 0 {
		text = field.Tree()
	}
	_, err = io.WriteString(w, text)
	return err
}

// suggestFields completes KIND.FIELD one field at a time, and the names of reasons.
func suggestFields(toComplete string) ([]string, cobra.ShellCompDirective) {
	word, path, dotted := strings.Cut(toComplete, ".")
	if !dotted {
		suggestions := append(singularKinds(), reasons()...)
		return suggestions, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	kind, err := kindOf(word)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	in, before := "", word+"."
	if end := strings.LastIndex(path, "."); end >= 0 {
		in, before = path[:end], word+"."+path[:end+1]
	}
	field, err := specdoc.Find(kind, in)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	directive := cobra.ShellCompDirectiveNoFileComp
	var suggestions []string
	for _, inner := range field.Fields {
		if !strings.HasPrefix(before+inner.Name, toComplete) {
			continue
		}
		if len(inner.Fields) > 0 {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		suggestions = append(suggestions, cobra.CompletionWithDesc(before+inner.Name, strings.ReplaceAll(inner.Meaning, "`", "")))
	}
	return suggestions, directive
}
