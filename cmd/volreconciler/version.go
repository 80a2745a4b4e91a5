package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/volreconciler/volreconciler/pkg/metrics"
)

// version is set by the linker: -ldflags "-X main.version=v1.2.3".
var version string

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Show the version",
		Long:    "Show the version, the commit it was built from, and the Go version.\n\nExit status: 0.",
		Example: "  volreconciler version",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), describeBuild())
			return err
		},
	}
}

// describeBuild returns version, commit and Go version on one line.
func describeBuild() string {
	build := buildOf()
	return fmt.Sprintf("volreconciler %s (commit %s, %s, %s/%s)", build.Version, build.Commit, build.Go, runtime.GOOS, runtime.GOARCH)
}

// buildOf returns what this program was built from.
func buildOf() metrics.Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{GoVersion: runtime.Version()}
	}
	commit, modified := "unknown", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = ", modified"
		}
	}
	return metrics.Build{Version: versionOf(info), Commit: commit + modified, Go: info.GoVersion}
}

func versionOf(info *debug.BuildInfo) string {
	switch {
	case version != "":
		return version
	case info.Main.Version != "":
		return info.Main.Version
	default:
		return "(devel)"
	}
}
