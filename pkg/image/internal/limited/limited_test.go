package limited

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("Run", func() {
	limits := Limits{Memory: 1 << 30, CPU: 10 * time.Second, Files: 50}
	sh := func(ctx context.Context, script string, l Limits) (string, error) {
		var out bytes.Buffer
		err := Run(ctx, Command{Limits: l, Argv: []string{"/bin/sh", "-c", script}, Stdout: &out})
		return out.String(), err
	}

	It("sets the limits, and little of an environment", func(ctx SpecContext) {
		Expect(sh(ctx, "ulimit -v; ulimit -t; ulimit -n; ulimit -c; echo $LC_ALL $HOME", limits)).To(Equal("1048576\n10\n50\n0\nC\n"))
	})

	It("hands over files as descriptors", func(ctx SpecContext) {
		f, err := os.CreateTemp(GinkgoT().TempDir(), "")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(f.Close)
		_, err = f.WriteString("content")
		Expect(err).NotTo(HaveOccurred())
		Expect(os.Remove(f.Name())).To(Succeed())
		var out bytes.Buffer
		Expect(Run(ctx, Command{Limits: limits, Argv: []string{"cat", "/dev/fd/3"}, Files: []*os.File{f}, Stdout: &out})).To(Succeed())
		Expect(out.String()).To(Equal("content"))
	})

	It("says how it ended, in so many words", func(ctx SpecContext) {
		_, err := sh(ctx, "echo beginning >&2; i=0; while [ $i -lt 2000 ]; do echo noise >&2; i=$((i+1)); done; echo end >&2; exit 7", limits)
		Expect(err).To(MatchError(And(ContainSubstring("exit status 7"), ContainSubstring("beginning"), ContainSubstring("end"))))
		Expect(len(err.Error())).To(BeNumerically("<", 5000))
		_, err = sh(ctx, "echo 'write: No space left on device' >&2; exit 1", limits)
		Expect(err).To(MatchError(syscall.ENOSPC))
		err = Run(ctx, Command{Limits: limits, Argv: []string{"/nonexistent/program"}})
		Expect(err).To(MatchError(ContainSubstring("install /nonexistent/program")))
	})

	It("ends what takes too much", func(ctx SpecContext) {
		_, err := sh(ctx, "while :; do :; done", Limits{Memory: 1 << 30, CPU: time.Second, Files: 50})
		Expect(err).To(MatchError(ContainSubstring("processor time")))
	})

	It("does not outlive an agent that is killed", func(ctx SpecContext) {
		agent := exec.CommandContext(ctx, os.Args[0])
		agent.Env = append(os.Environ(), childVariable+"=1")
		out, err := agent.StdoutPipe()
		Expect(err).NotTo(HaveOccurred())
		Expect(agent.Start()).To(Succeed())
		var pid int
		_, err = fmt.Fscan(out, &pid)
		Expect(err).NotTo(HaveOccurred())
		Expect(dead(pid)).To(BeFalse())
		Expect(agent.Process.Kill()).To(Succeed())
		Eventually(ctx, func() bool { return dead(pid) }).WithTimeout(10 * time.Second).Should(BeTrue())
		Expect(agent.Wait()).NotTo(Succeed())
	})

	It("kills the whole group, and says why", func(ctx SpecContext) {
		gone := errors.New("the object no longer exists")
		running, cancel := context.WithCancelCause(ctx)
		pid := make(chan int, 1)
		w := writer(func(b []byte) {
			n, err := strconv.Atoi(strings.TrimSpace(string(b)))
			Expect(err).NotTo(HaveOccurred())
			pid <- n
			cancel(gone)
		})
		err := Run(running, Command{Limits: limits, Argv: []string{"/bin/sh", "-c", "sleep 1000 & echo $!; wait"}, Stdout: w})
		Expect(err).To(MatchError(gone))
		child := <-pid
		Eventually(ctx, func() bool { return dead(child) }).Should(BeTrue())
		_, err = sh(running, "true", limits)
		Expect(err).To(MatchError(gone))
	})
})

// dead tells whether a process no longer exists, or waits for its parent to ask how it ended.
func dead(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}

type writer func(b []byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }
