// Package host is the agent's only access to the machine: whatever it runs, reads or
// changes outside its own files passes through it.
//
// It never decides anything, and knows nothing of volumes or targets. Start reading at
// [Host]; os.go implements it for the real machine, package fakehost in memory, and
// lvmshell.go makes a series of LVM commands cheap.
package host

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
)

// Runner runs commands.
type Runner interface {
	// Run runs a command to its end and returns what it printed. A command
	// that ends with another exit status than 0 returns its Output and a
	// [CommandError]. Arguments are never seen by a shell. The environment is
	// minimal, with LC_ALL=C, so that error texts can be told apart. What LVM
	// prints is the same whatever the node's lvm.conf(5) says: sizes are bytes,
	// lists have commas, lines no other prefix than two spaces.
	//
	// ctx stops a command from being started. One that runs is not killed when
	// ctx ends, because LVM must not die between writing and committing
	// metadata; it is killed only after the host's own long time limit.
	Run(ctx context.Context, argv ...string) (Output, error)
}

// Output is what a command printed.
type Output struct {
	Stdout []byte
	Stderr string
}

// Files reads and changes files. Paths are absolute.
//
// Errors are those of package os, so that errors.Is(err, fs.ErrNotExist),
// fs.ErrExist and the syscall.Errno values can be told apart.
type Files interface {
	ReadFile(path string) ([]byte, error)
	ReadDir(path string) ([]fs.DirEntry, error)
	Readlink(path string) (string, error)
	// Lstat says what is at a path, of a symlink the symlink itself.
	Lstat(path string) (fs.FileInfo, error)
	// WriteFile writes data to an existing file with one write(2), as
	// attributes in configfs ask for. It does not create files.
	WriteFile(path string, data []byte) error
	Mkdir(path string) error
	// Remove removes a symlink or an empty directory.
	Remove(path string) error
	Symlink(target, link string) error
}

// Host is the machine.
type Host interface {
	Runner
	Files
}

// CommandError is a command that could not be run or failed.
type CommandError struct {
	Argv []string
	// ExitCode is the exit status; -1 if the command did not run or was killed.
	ExitCode int
	// Stderr is what the command had to say.
	Stderr string
	// Err is why it did not run; nil if it ran and failed.
	Err error
}

// Error renders the command line, how it ended and what it said.
func (e *CommandError) Error() string {
	s := strings.Join(e.Argv, " ")
	if e.Err != nil {
		s += ": " + e.Err.Error()
	} else {
		s += fmt.Sprintf(": exit status %d", e.ExitCode)
	}
	if msg := summary(e.Stderr); msg != "" {
		s += ": " + msg
	}
	return s
}

// summary puts a command's stderr on one line, without warnings if there is anything
// else: LVM prints many that have nothing to do with the error.
func summary(stderr string) string {
	var all, errs []string
	for line := range strings.Lines(withoutVerbose(stderr)) {
		line = strings.Join(strings.Fields(line), " ")
		if line == "" {
			continue
		}
		all = append(all, line)
		if !strings.HasPrefix(line, "WARNING:") {
			errs = append(errs, line)
		}
	}
	if len(errs) == 0 {
		errs = all
	}
	return strings.Join(errs, " ")
}

// withoutVerbose removes the hundreds of lines that LVM prints of its own start and end where
// lvm.conf has log/verbose, for which --config comes too late. An error begins with
// the prefix that was asked for, and is not indented.
func withoutVerbose(stderr string) string {
	if strings.Count(stderr, "\n") <= 20 {
		return stderr
	}
	var lines []string
	for line := range strings.Lines(stderr) {
		if text, ok := strings.CutPrefix(line, "  "); ok && !strings.HasPrefix(text, " ") {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return stderr
	}
	return strings.Join(lines[max(0, len(lines)-20):], "")
}

// Unwrap returns why the command did not run.
func (e *CommandError) Unwrap() error { return e.Err }
