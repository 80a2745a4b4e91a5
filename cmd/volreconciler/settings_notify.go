package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/volreconciler/volreconciler/pkg/notify"
)

// notifySetting is the key of whom to notify. It is a list, so neither a flag nor a variable.
const notifySetting = "notify"

// notifyField is a field of a target.
type notifyField struct {
	name string
	set  func(t *notify.Target, value *yaml.Node) error
}

// notifyFields are all fields of a target.
func notifyFields() []notifyField {
	return []notifyField{
		{"webhook", func(t *notify.Target, value *yaml.Node) error {
			return setScalar(value, &t.Webhook, func(text string) error { return notify.CheckURL(text, true) })
		}},
		{"alertmanager", func(t *notify.Target, value *yaml.Node) error {
			return setScalar(value, &t.Alertmanager, func(text string) error { return notify.CheckURL(text, false) })
		}},
		{"command", func(t *notify.Target, value *yaml.Node) error {
			words, err := listOf(value, "[/usr/local/bin/page, --storage]", func(string) error { return nil })
			if err == nil && !strings.HasPrefix(words[0], "/") {
				err = errors.New("must begin with an absolute path, for example [/usr/local/bin/page, --storage]")
			}
			t.Command = words
			return err
		}},
		{"secret-file", func(t *notify.Target, value *yaml.Node) error { return setScalar(value, &t.SecretFile, absolutePath) }},
		{"ca-file", func(t *notify.Target, value *yaml.Node) error { return setScalar(value, &t.CAFile, absolutePath) }},
		{"when", func(t *notify.Target, value *yaml.Node) (err error) {
			t.When, err = listOf(value, "[Failed, Blocked, DriftCorrected]", notify.CheckWhen)
			return err
		}},
		{"settle", func(t *notify.Target, value *yaml.Node) error {
			var text string
			return setScalar(value, &text, func(text string) error {
				if err := duration(&t.Settle, 0).Set(text); err != nil {
					return err
				}
				if t.Settle > notify.MaxSettle {
					return fmt.Errorf("must be at most %s", shortHours(notify.MaxSettle))
				}
				return nil
			})
		}},
	}
}

// shortHours writes whole hours without minutes and seconds.
func shortHours(d time.Duration) string { return fmt.Sprintf("%dh", int(d.Hours())) }

// placedError is an error at a place other than that of the field that it is found in.
type placedError struct {
	error
	at *yaml.Node
}

func (e placedError) Unwrap() error { return e.error }

// notifyTargets returns the targets of a list in the configuration file. The errors have the place in the
// file, and never what is written there: the URL of a webhook may be secret.
func notifyTargets(path string, list *yaml.Node) ([]notify.Target, error) {
	wrong := func(at *yaml.Node, where string, err error) error {
		if placed, is := err.(placedError); is { //nolint:errorlint // it is never wrapped
			at = placed.at
		}
		return fmt.Errorf("%s:%d:%d: %s: %w", path, at.Line, at.Column, where, err)
	}
	if list.Kind != yaml.SequenceNode {
		return nil, wrong(list, notifySetting, errors.New("write a list of targets, each with webhook, alertmanager or command"))
	}
	var targets []notify.Target
	var errs []error
	for i, item := range list.Content {
		where := fmt.Sprintf("%s[%d]", notifySetting, i)
		if item.Kind != yaml.MappingNode {
			errs = append(errs, wrong(item, where, errors.New("write a target with webhook, alertmanager or command")))
			continue
		}
		t := notify.Target{Settle: notify.DefaultSettle}
		before := len(errs)
		seen := map[string]bool{}
		for n := 0; n < len(item.Content); n += 2 {
			key, value := item.Content[n], item.Content[n+1]
			if err := setNotifyField(&t, key.Value, value, seen[key.Value]); err != nil {
				errs = append(errs, wrong(key, where+"."+key.Value, err))
			}
			seen[key.Value] = true
		}
		if len(errs) > before {
			continue
		}
		if err := t.Check(); err != nil {
			errs = append(errs, wrong(item, where, err))
			continue
		}
		targets = append(targets, t)
	}
	return targets, errors.Join(errs...)
}

func setNotifyField(t *notify.Target, name string, value *yaml.Node, again bool) error {
	fields := notifyFields()
	i := slices.IndexFunc(fields, func(f notifyField) bool { return f.name == name })
	switch {
	case i < 0:
		var names []string
		for _, f := range fields {
			names = append(names, f.name)
		}
		return fmt.Errorf("unknown field (allowed: %s)", strings.Join(names, ", "))
	case again:
		return errors.New("is set twice")
	}
	return fields[i].set(t, value)
}

// setScalar sets a field that is a single value, if check accepts it.
func setScalar(value *yaml.Node, target *string, check func(text string) error) error {
	switch {
	case value.Kind != yaml.ScalarNode:
		return errors.New("write a single value")
	case value.Value == "" || value.Tag == "!!null":
		return errors.New("must not be empty")
	}
	if err := check(value.Value); err != nil {
		return err
	}
	*target = value.Value
	return nil
}

// listOf returns the words of a list that is not empty, if check accepts each.
func listOf(list *yaml.Node, example string, check func(word string) error) ([]string, error) {
	if list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
		return nil, fmt.Errorf("write a list, for example %s", example)
	}
	var words []string
	for _, item := range list.Content {
		var word string
		if err := setScalar(item, &word, check); err != nil {
			return nil, placedError{err, item}
		}
		words = append(words, word)
	}
	return words, nil
}

// absolutePath accepts a path that leads to the same file wherever the agent is started.
func absolutePath(text string) error {
	if !strings.HasPrefix(text, "/") {
		return errors.New("must be an absolute path")
	}
	return nil
}
