package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"

	"github.com/volreconciler/volreconciler/pkg/publicurl"
)

const environmentPrefix = "VOLRECONCILER_"

// complete adds to the flags, which have been parsed, what the environment and
// the configuration file say. All of the file is checked, also what is
// overridden and what is of another command: a mistake in it is better found
// now than when it starts to matter.
func (s *settings) complete() error {
	flags := map[string]string{}
	s.all.VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			flags[f.Name] = f.Value.String()
		}
	})
	// All that is right takes effect, whatever is wrong elsewhere: support-bundle runs with mistakes.
	errs := []error{s.readFile(), s.readEnvironment()}
	for name, text := range flags {
		if err := setting(s.all.Lookup(name), text); err != nil {
			errs = append(errs, fmt.Errorf("--%s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// setting sets a flag to the value of a source, instead of the values of earlier sources, also
// for a flag that can be repeated.
func setting(f *pflag.Flag, text string) error {
	if list, ok := f.Value.(*addresses); ok {
		*list = nil
	}
	return f.Value.Set(text)
}

// variable returns the environment variable of a setting.
func variable(name string) string {
	return environmentPrefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// readEnvironment takes in the variables. An empty one counts as not set.
func (s *settings) readEnvironment() error {
	var errs []error
	s.all.VisitAll(func(f *pflag.Flag) {
		text := os.Getenv(variable(f.Name))
		if text == "" {
			return
		}
		if err := setting(f, text); err != nil {
			errs = append(errs, fmt.Errorf("environment variable %s: %q: %w", variable(f.Name), publicurl.InValue(text), err))
		}
	})
	return errors.Join(errs...)
}

// configFile is the path of the configuration file. It reports whether that is only the default.
func (s *settings) configFile() (path string, byDefault bool) {
	path = s.config
	if path == "" {
		path = os.Getenv(variable("config"))
	}
	if path == "" {
		return defaultConfig, true
	}
	return path, false
}

// readFile takes in the configuration file.
func (s *settings) readFile() error { return s.readFileAt(s.configFile()) }

// readFileAt takes in a configuration file. Only the default one may be missing, or closed to this user: it may have
// secrets, and any user may validate specs.
func (s *settings) readFileAt(path string, byDefault bool) error {
	data, err := os.ReadFile(path)
	switch {
	case byDefault && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)):
		return nil
	case err != nil:
		return fmt.Errorf("cannot read the configuration file: %w", err)
	}
	return s.parseFile(path, data)
}

// secrets names the settings that hold secrets themselves, and not the paths of their files. The other URLs may not have
// a user, a password or a query.
func (s *settings) secrets() []string {
	var names []string
	for _, t := range s.notify {
		if t.Webhook != "" {
			names = append(names, "the URL of "+t.String())
		}
	}
	return names
}

func (s *settings) parseFile(path string, data []byte) error {
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if document.IsZero() {
		return nil
	}
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil // nothing but comments
	}
	if root.Kind != yaml.MappingNode {
		return fmt.Errorf("%s:%d:%d: write one setting per line, for example resync: 1m", path, root.Line, root.Column)
	}
	var errs []error
	seen := map[string]bool{}
	for i := 0; i < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if key.Value == notifySetting && !seen[key.Value] {
			targets, err := notifyTargets(path, value)
			s.notify = targets
			errs = append(errs, err)
			seen[key.Value] = true
			continue
		}
		if err := s.setFromFile(key, value, seen[key.Value]); err != nil {
			errs = append(errs, fmt.Errorf("%s:%d:%d: %w", path, key.Line, key.Column, err))
		}
		seen[key.Value] = true
	}
	return errors.Join(errs...)
}

func (s *settings) setFromFile(key, value *yaml.Node, again bool) error {
	f := s.all.Lookup(key.Value)
	switch {
	case again:
		return fmt.Errorf("%s is set twice", key.Value)
	case f == nil:
		return fmt.Errorf("unknown setting %q (allowed: %s)", key.Value, strings.Join(s.names(), ", "))
	case value.Kind != yaml.ScalarNode:
		return fmt.Errorf("%s: write a single value", key.Value)
	}
	if err := setting(f, value.Value); err != nil {
		return fmt.Errorf("%s: %q: %w", key.Value, publicurl.InValue(value.Value), err)
	}
	return nil
}

// names are those that the file may have.
func (s *settings) names() []string {
	names := []string{notifySetting}
	s.all.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	slices.Sort(names)
	return names
}
