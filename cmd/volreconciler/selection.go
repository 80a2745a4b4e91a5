package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// selection is which objects a command is about. An empty kind means all, an
// empty name all of the kind.
type selection struct {
	kind   spec.Kind
	name   string
	labels selector
}

// selectionOf reads KIND, KIND NAME or KIND/NAME, the form in which messages
// name objects.
func selectionOf(args []string) (selection, error) {
	if len(args) == 1 && strings.Contains(args[0], "/") {
		kind, name, _ := strings.Cut(args[0], "/")
		args = []string{kind, name}
	}
	var s selection
	if len(args) == 0 {
		return s, nil
	}
	var err error
	if s.kind, err = kindOf(args[0]); err != nil {
		return s, err
	}
	if len(args) > 1 {
		s.name = args[1]
		if s.name == "" {
			return s, fmt.Errorf("the name of the %s is empty; write one", s.kind)
		}
	}
	return s, nil
}

// isSingle reports whether a single object is asked for.
func (s selection) isSingle() bool { return s.name != "" }

// objectsOf returns the selected objects of a node. A named object that does not exist is
// an error.
func (s selection) objectsOf(node status.Report) ([]status.Object, error) {
	objects := slices.DeleteFunc(slices.Clone(node.Objects), func(o status.Object) bool {
		return s.kind != "" && o.Kind != s.kind || !s.labels.matches(o.Labels)
	})
	if !s.isSingle() {
		return objects, nil
	}
	for _, o := range objects {
		if o.Name == s.name {
			return []status.Object{o}, nil
		}
	}
	return nil, fmt.Errorf("%s %q does not exist; %s", s.kind, s.name, namesOfObjects(objects))
}

// maxNames is how many names an error lists.
const maxNames = 20

func namesOfObjects(objects []status.Object) string {
	var names []string
	for _, o := range objects {
		names = append(names, o.Name)
	}
	switch {
	case len(names) == 0:
		return "no object of this kind exists"
	case len(names) > maxNames:
		return fmt.Sprintf("existing: %s and %d others", strings.Join(names[:maxNames], ", "), len(names)-maxNames)
	default:
		return "existing: " + strings.Join(names, ", ")
	}
}

// kindWords are the words for a kind, the one to be suggested first.
type kindWords struct {
	kind  spec.Kind
	words []string
}

func allKinds() []kindWords {
	return []kindWords{
		{spec.KindPool, []string{"pools", "pool"}},
		{spec.KindVolume, []string{"volumes", "volume", "vols", "vol"}},
		{spec.KindSnapshot, []string{"snapshots", "snapshot", "snaps", "snap"}},
		{spec.KindExport, []string{"exports", "export", "exps", "exp"}},
		{spec.KindImage, []string{"images", "image", "imgs", "img"}},
		{spec.KindRepository, []string{"repositories", "repository", "repos", "repo"}},
		{spec.KindSnapshotSchedule, []string{"snapshotschedules", "snapshotschedule", "schedules", "schedule", "sched"}},
		{spec.KindBackup, []string{"backups", "backup", "bkps", "bkp"}},
	}
}

func kindOf(word string) (spec.Kind, error) {
	for _, k := range allKinds() {
		if slices.Contains(k.words, strings.ToLower(word)) {
			return k.kind, nil
		}
	}
	return "", fmt.Errorf("unknown kind %q (allowed: %s)", word, strings.Join(kindSuggestions(), ", "))
}

func kindSuggestions() []string {
	var words []string
	for _, k := range allKinds() {
		words = append(words, k.words[0])
	}
	return words
}

// singularKinds are the kinds as they begin a path of a field.
func singularKinds() []string {
	var words []string
	for _, k := range allKinds() {
		words = append(words, strings.ToLower(string(k.kind)))
	}
	return words
}
