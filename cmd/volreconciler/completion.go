package main

import (
	"maps"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// suggestExports completes the name of an Export for a command that reads the spec files.
func suggestExports(s *settings) []string {
	if s.complete() != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(spec.LoadPaths([]string{s.specs}, s.targetPrefix).Exports))
}

// suggestInitiators completes the initiators of an Export, or those of all if it is not given yet.
func suggestInitiators(s *settings, args []string) []string {
	if s.complete() != nil {
		return nil
	}
	var names []string
	for name, export := range spec.LoadPaths([]string{s.specs}, s.targetPrefix).Exports {
		if len(args) > 0 && args[0] != name {
			continue
		}
		for _, initiator := range export.Spec.Initiators {
			names = append(names, initiator.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
