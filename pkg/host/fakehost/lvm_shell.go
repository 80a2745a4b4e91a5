package fakehost

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// Shell is LVM's shell on a machine in memory, as [host.LVMShell] is on a real one: its
// reports are JSON, and it refuses the options that LVM 2.03.31 refuses there, though
// 2.03.16 did not.
type Shell struct{ host.Runner }

// notInShell are the settings of lvm.conf that nobody may give a value once a shell
// runs (CFG_DISALLOW_INTERACTIVE in LVM's lib/config/config_settings.h).
var notInShell = regexp.MustCompile(`\b(log/(report_command_log|command_log_(sort|cols|selection))|report/output_format)\b`)

// Run runs a line.
func (s Shell) Run(ctx context.Context, argv ...string) (host.Output, error) {
	line := host.InLVMShell(argv)
	refused := func(text string) (host.Output, error) {
		out := host.Output{Stderr: text}
		return out, &host.CommandError{Argv: argv, ExitCode: 3, Stderr: text}
	}
	if i := slices.Index(line, "--config"); i >= 0 && i+1 < len(line) {
		if key := notInShell.FindString(line[i+1]); key != "" {
			return refused("Configuration option \"" + key + "\" is not allowed here.\nIgnoring invalid configuration string.\n")
		}
	}
	if slices.ContainsFunc(line, func(arg string) bool { return strings.HasPrefix(arg, "--reportformat") }) {
		return refused("Argument --reportformat cannot be used in interactive mode.\nError during parsing of command line.\n")
	}
	if isReport(line) {
		line = append(slices.Clone(line), "--reportformat", "json")
	}
	return s.Runner.Run(ctx, line...)
}

func isReport(line []string) bool {
	if len(line) > 1 && line[0] == "lvm" {
		line = line[1:]
	}
	return len(line) > 0 && slices.Contains([]string{"lvs", "vgs", "pvs", "fullreport"}, line[0])
}
