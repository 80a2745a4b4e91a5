package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"volreconciler": main})
}

func TestCommand(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "cmd/volreconciler")
}

// TestSessions runs the terminal sessions in testdata. They may run on a node
// that is in use: all agents of theirs work on captured nodes.
func TestSessions(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("VOLRECONCILER_STATE_DIR", env.WorkDir+"/state")
			env.Setenv("VOLRECONCILER_RUNTIME_DIR", env.WorkDir+"/run")
			env.Setenv("VOLRECONCILER_CONFIG", env.WorkDir+"/config.yaml")
			examples, err := filepath.Abs("../../examples")
			if err != nil {
				return err
			}
			env.Setenv("EXAMPLES", examples)
			return os.WriteFile(env.WorkDir+"/config.yaml", nil, 0o600)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"appears": appears, "exits": exits, "makebackup": makeBackup, "expand": expand},
	})
}

// appears waits for a file that a command in the background is to make.
func appears(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.Now().Add(20 * time.Second)
	for _, name := range args {
		for {
			_, err := os.Stat(ts.MkAbs(name))
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				ts.Check(fmt.Errorf("%s does not appear: %w", name, err))
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// exits runs a command, which must end with an exit status: exits 2 COMMAND…
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND...")
	}
	status := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		status = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if want := args[0]; strconv.Itoa(status) != want {
		ts.Fatalf("exit status %d instead of %s", status, want)
	}
}

// expand replaces variables such as $WORK in files.
func expand(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(os.Expand(ts.ReadFile(name), ts.Getenv)), 0o600))
	}
}
