package wire_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"go.uber.org/goleak"

	"github.com/volreconciler/volreconciler/test/guest/internal/wire"
)

func TestWire(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreAnyFunction(
		"github.com/onsi/ginkgo/v2/internal/interrupt_handler.(*InterruptHandler).registerForInterrupts.func2"))
	RegisterFailHandler(Fail)
	RunSpecs(t, "wire")
}

var _ = Describe("the conversation", func() {
	// talk connects a client to a server that runs commands with run.
	talk := func(run wire.Runner) *wire.Client {
		here, there := net.Pipe()
		served := make(chan error, 1)
		go func() { served <- wire.Serve(context.Background(), there, run) }()
		client := wire.NewClient(here)
		DeferCleanup(func(ctx SpecContext) {
			Expect(here.Close()).To(Succeed())
			Eventually(ctx, served).Should(Receive(BeNil()))
			Expect(there.Close()).To(Succeed())
			Eventually(ctx, client.Done()).Should(BeClosed())
		})
		return client
	}

	It("says when the server is ready", func(ctx SpecContext) {
		client := talk(nil)
		Eventually(ctx, client.Ready()).Should(BeClosed())
	})

	It("has no more on its way than a serial line holds", func(ctx SpecContext) {
		here, there := net.Pipe()
		client := wire.NewClient(here)
		served, line := make(chan error, 1), &line{conn: there}
		go func() {
			served <- wire.Serve(context.Background(), line, func(_ context.Context, c wire.Command) (int, error) {
				return len(c.Stdin), nil
			})
		}()
		for _, n := range []int{0, 1, 2048, 100_000} {
			Expect(client.Exec(ctx, wire.Command{Argv: []string{"x"}, Stdin: make([]byte, n)})).To(Equal(n))
		}
		Expect(line.most).To(And(BeNumerically(">", 0), BeNumerically("<", 4096)))
		Expect(here.Close()).To(Succeed())
		Eventually(ctx, served).Should(Receive(BeNil()))
		Expect(there.Close()).To(Succeed())
	})

	It("carries a command there and its output and end back", func(ctx SpecContext) {
		client := talk(func(_ context.Context, c wire.Command) (int, error) {
			_, err := fmt.Fprintf(c.Stdout, "%q %q %s %s", c.Argv, c.Env, c.Dir, c.Stdin)
			if err == nil {
				_, err = io.WriteString(c.Stderr, "\xff\x00 any byte")
			}
			return 3, err
		})
		var stdout, stderr strings.Builder
		Expect(client.Exec(ctx, wire.Command{
			Argv: []string{"a", "b c"}, Env: []string{"X=1"}, Dir: "/d", Stdin: []byte("in"),
			Stdout: &stdout, Stderr: &stderr,
		})).To(Equal(3))
		Expect(stdout.String()).To(Equal(`["a" "b c"] ["X=1"] /d in`))
		Expect(stderr.String()).To(Equal("\xff\x00 any byte"))
	})

	It("carries the reason why a command did not start", func(ctx SpecContext) {
		client := talk(func(context.Context, wire.Command) (int, error) { return 0, errors.New("no such file") })
		_, err := client.Exec(ctx, wire.Command{})
		Expect(err).To(MatchError("no such file"))
	})

	It("keeps commands apart that run at the same time", func(ctx SpecContext) {
		release := make(chan struct{})
		client := talk(func(_ context.Context, c wire.Command) (int, error) {
			if c.Argv[0] == "first" {
				<-release
				return 1, nil
			}
			return 2, nil
		})
		first := make(chan int, 1)
		go func() {
			status, _ := client.Exec(ctx, wire.Command{Argv: []string{"first"}})
			first <- status
		}()
		Expect(client.Exec(ctx, wire.Command{Argv: []string{"second"}})).To(Equal(2))
		close(release)
		Eventually(ctx, first).Should(Receive(Equal(1)))
	})

	It("cancels a command with its context", func(ctx SpecContext) {
		started := make(chan struct{})
		client := talk(func(ctx context.Context, _ wire.Command) (int, error) {
			close(started)
			<-ctx.Done()
			return 137, nil
		})
		limited, cancel := context.WithCancel(ctx)
		go func() {
			<-started
			cancel()
		}()
		_, err := client.Exec(limited, wire.Command{})
		Expect(err).To(MatchError(context.Canceled))
	})

	It("gives up with the context when nobody reads", func(ctx SpecContext) {
		here, there := net.Pipe()
		client := wire.NewClient(here)
		limited, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		defer cancel()
		_, err := client.Exec(limited, wire.Command{})
		Expect(err).To(MatchError(context.DeadlineExceeded))
		Expect(there.Close()).To(Succeed())
		Eventually(ctx, client.Done()).Should(BeClosed())
	}, SpecTimeout(time.Minute))

	It("ends every command when the connection ends", func(ctx SpecContext) {
		here, there := net.Pipe()
		client := wire.NewClient(here)
		failed := make(chan error, 1)
		go func() {
			_, err := client.Exec(ctx, wire.Command{})
			failed <- err
		}()
		_, err := there.Read(make([]byte, 1))
		Expect(err).NotTo(HaveOccurred())
		Expect(there.Close()).To(Succeed())
		Eventually(ctx, failed).Should(Receive(MatchError(wire.ErrGone)))
		Eventually(ctx, client.Done()).Should(BeClosed())
		_, err = client.Exec(ctx, wire.Command{})
		Expect(err).To(MatchError(wire.ErrGone))
	})

	It("cancels what still runs when the client goes", func(ctx SpecContext) {
		here, there := net.Pipe()
		client := wire.NewClient(here)
		started, cancelled, served := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			served <- wire.Serve(ctx, there, func(ctx context.Context, _ wire.Command) (int, error) {
				close(started)
				<-ctx.Done()
				close(cancelled)
				return 0, nil
			})
		}()
		go func() { _, _ = client.Exec(ctx, wire.Command{}) }()
		Eventually(ctx, started).Should(BeClosed())
		Expect(here.Close()).To(Succeed())
		Eventually(ctx, cancelled).Should(BeClosed())
		Eventually(ctx, served).Should(Receive(BeNil()))
	})
})

// line reads as much as comes before it hands anything on, and remembers the most
// that it held.
type line struct {
	conn net.Conn
	held []byte
	most int
}

func (l *line) Write(p []byte) (int, error) { return l.conn.Write(p) }

func (l *line) Read(p []byte) (int, error) {
	for {
		buffer := make([]byte, 1<<16)
		if len(l.held) > 0 {
			_ = l.conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
		}
		n, err := l.conn.Read(buffer)
		_ = l.conn.SetReadDeadline(time.Time{})
		l.held = append(l.held, buffer[:n]...)
		l.most = max(l.most, len(l.held))
		if err != nil {
			if len(l.held) == 0 {
				return 0, err
			}
			n = copy(p, l.held)
			l.held = l.held[n:]
			return n, nil
		}
	}
}
