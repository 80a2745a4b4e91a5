//go:build !man

package main

import "github.com/spf13/cobra"

// manCommands returns no command: only the generator has one, see man.go.
func manCommands() []*cobra.Command { return nil }
