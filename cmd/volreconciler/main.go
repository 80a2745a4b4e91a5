// Command volreconciler keeps the block storage of a Linux node as YAML files
// declare it: volumes and snapshots in LVM, and exports by LIO, nvmet and tgt for
// iSCSI, NVMe and Fibre Channel.
//
// There is one file per command. Start reading at run.go, which is the agent;
// node.go puts its parts together, settings.go says what can be configured.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	_ "time/tzdata" // schedules in a zone; minimal systems have no tzdata
)

func main() {
	if os.Getenv("GOGC") == "" {
		// The memory of a storage node is its page cache: less of it is used, for a
		// few hundredths more time.
		debug.SetGCPercent(40)
	}
	os.Exit(runCommandLine(os.Args[1:], os.Stdout, os.Stderr))
}

// runCommandLine runs a command line and returns its exit status.
func runCommandLine(args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(context.Background())

	var status exitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	default:
		printError(stderr, err)
		return 1
	}
}

// printError writes an error; a joined error has a line for each.
func printError(w io.Writer, err error) {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, each := range several.Unwrap() {
			printError(w, each)
		}
		return
	}
	_, _ = fmt.Fprintf(w, "volreconciler: %s\n", visible(err.Error()))
}

// exitStatus ends a command that has already said why it does.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }
