package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// selector is a label selector as in kubectl: all requirements must be met.
type selector []requirement

// requirement is the condition on one label.
type requirement struct {
	key, value string
	// exists asks for a label of any value; not turns it round.
	exists, not bool
}

// selectorOf reads KEY=VALUE, KEY==VALUE, KEY!=VALUE, KEY and !KEY, with commas between.
func selectorOf(text string) (selector, error) {
	if text == "" {
		return nil, nil
	}
	var s selector
	for _, part := range strings.Split(text, ",") {
		part = strings.TrimSpace(part)
		var r requirement
		key, value, equal := strings.Cut(part, "=")
		switch {
		case equal && strings.HasSuffix(key, "!"):
			r = requirement{key: strings.TrimSuffix(key, "!"), value: value, not: true}
		case equal:
			r = requirement{key: key, value: strings.TrimPrefix(value, "=")}
		default:
			r = requirement{key: strings.TrimPrefix(part, "!"), exists: true, not: strings.HasPrefix(part, "!")}
		}
		r.key, r.value = strings.TrimSpace(r.key), strings.TrimSpace(r.value)
		if r.key == "" || strings.ContainsAny(r.key+r.value, " ()!=") {
			return nil, fmt.Errorf("--selector: %q: write KEY=VALUE, KEY!=VALUE, KEY or !KEY, with commas between", part)
		}
		s = append(s, r)
	}
	return s, nil
}

func (s selector) matches(labels map[string]string) bool {
	for _, r := range s {
		value, there := labels[r.key]
		if r.not == (there && (r.exists || value == r.value)) {
			return false
		}
	}
	return true
}

// orderOf returns how objects of a kind are sorted; nil: as they are.
func orderOf(order string) func(a, b status.Object) int {
	switch order {
	case "name":
		return func(a, b status.Object) int { return strings.Compare(a.Name, b.Name) }
	case "phase":
		return func(a, b status.Object) int { return urgency(a.Phase) - urgency(b.Phase) }
	case "reason":
		return func(a, b status.Object) int { return strings.Compare(a.Reason, b.Reason) }
	case "age":
		return func(a, b status.Object) int { return b.Since.Compare(a.Since) }
	case "size":
		return largestFirst(sizeOf)
	case "used":
		return largestFirst(usedBy)
	case "connected":
		return largestFirst(connectedOf)
	}
	return nil
}

func orderFlag(cmd *cobra.Command, target *string) {
	allowed := []string{"name", "phase", "reason", "age", "size", "used", "connected"}
	cmd.Flags().Var(text(target, "column", oneOf(allowed...)), "sort", "sort the objects of each kind by "+alternatives(allowed)+"; phase: the worst first, age: the latest change first, numbers: the largest first (default: kind, then name)")
	// It fails only for a flag that is not there.
	_ = cmd.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions(allowed, cobra.ShellCompDirectiveNoFileComp))
}

// sortBy sorts objects; those that are equal stay as they are.
func sortBy(objects []status.Object, order string) {
	compare := orderOf(order)
	if compare == nil {
		return
	}
	kind := func(o status.Object) spec.ID { return spec.ID{Kind: o.Kind} }
	slices.SortStableFunc(objects, func(a, b status.Object) int {
		return cmp.Or(spec.CompareIDs(kind(a), kind(b)), compare(a, b))
	})
}

func largestFirst(of func(status.Object) uint64) func(a, b status.Object) int {
	return func(a, b status.Object) int { return cmp.Compare(of(b), of(a)) }
}

func sizeOf(o status.Object) uint64 {
	switch {
	case o.Pool != nil:
		return o.Pool.Size
	case o.Image != nil:
		return o.Image.Size
	case volumeOf(o) != nil:
		return volumeOf(o).Size
	}
	return 0
}

func usedBy(o status.Object) uint64 {
	switch {
	case o.Pool != nil:
		return o.Pool.Size - min(o.Pool.Free, o.Pool.Size)
	case volumeOf(o) != nil:
		return volumeOf(o).Allocated
	}
	return 0
}

func connectedOf(o status.Object) uint64 {
	switch {
	case o.Export != nil:
		return uint64(connectedWith(*o.Export))
	case volumeOf(o) != nil:
		return uint64(connectedTo(*volumeOf(o)))
	}
	return 0
}

// byUrgency are the phases, those first that call most for somebody.
var byUrgency = []status.Phase{
	status.Failed, status.Blocked, status.Foreign, status.Progressing, status.Deleting, status.Orphaned, status.Suspended, status.Ready,
}

// urgency is a phase's place among them.
func urgency(p status.Phase) int { return slices.Index(byUrgency, p) }
