package limited

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// childVariable makes the test binary an agent that runs a child for ever, so that a
// spec can kill it.
const childVariable = "LIMITED_TEST_RUN_FOREVER"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		err := Run(context.Background(), Command{
			Limits: Limits{Memory: 1 << 30, CPU: 10 * time.Second, Files: 50},
			Argv:   []string{"/bin/sh", "-c", "echo $$; exec sleep 1000"}, Stdout: os.Stdout,
		})
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestLimited(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "limited")
}
