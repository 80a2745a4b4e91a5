package host

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

var _ = Describe("running commands", func() {
	var o *OS
	BeforeEach(func() { o = New() })

	It("returns what a command printed", func(ctx SpecContext) {
		out, err := o.Run(ctx, "sh", "-c", "echo out; echo err >&2")
		Expect(err).NotTo(HaveOccurred())
		Expect(string(out.Stdout)).To(Equal("out\n"))
		Expect(out.Stderr).To(Equal("err\n"))
		Expect(o.Processes()).To(Equal(int64(1)))
	})

	It("knows how many commands run", func(ctx SpecContext) {
		fifo := filepath.Join(GinkgoT().TempDir(), "fifo")
		Expect(unix.Mkfifo(fifo, 0o600)).To(Succeed())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = o.Run(ctx, "cat", fifo)
		}()
		Eventually(ctx, o.Running).Should(Equal(int64(1)))
		Expect(os.WriteFile(fifo, nil, 0)).To(Succeed())
		Eventually(ctx, ended).Should(BeClosed())
		Expect(o.Running()).To(BeZero())
	}, NodeTimeout(10*time.Second))

	It("returns the exit status, and what was printed all the same", func(ctx SpecContext) {
		out, err := o.Run(ctx, "sh", "-c", "echo out; echo 'WARNING: never mind' >&2; echo '  no such' >&2; exit 5")
		var cmd *CommandError
		Expect(errors.As(err, &cmd)).To(BeTrue())
		Expect(cmd.ExitCode).To(Equal(5))
		Expect(err.Error()).To(HaveSuffix(": exit status 5: no such"))
		Expect(string(out.Stdout)).To(Equal("out\n"))
	})

	It("says when a command is not there", func(ctx SpecContext) {
		_, err := o.Run(ctx, "no-such-command")
		Expect(err).To(MatchError(exec.ErrNotFound))
		Expect(o.Processes()).To(BeZero())
	})

	It("starts nothing when the context has ended", func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := o.Run(ctx, "true")
		Expect(err).To(MatchError(context.Canceled))
		Expect(o.Processes()).To(BeZero())
	})

	It("lets a command end when the context ends meanwhile", func() {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		out, err := o.Run(ctx, "sh", "-c", "sleep 0.2; echo done")
		Expect(err).NotTo(HaveOccurred())
		Expect(string(out.Stdout)).To(Equal("done\n"))
	})

	It("gives commands a minimal environment and a process group", func(ctx SpecContext) {
		GinkgoT().Setenv("SECRET", "x")
		out, err := o.Run(ctx, "env")
		Expect(err).NotTo(HaveOccurred())
		Expect(strings.Fields(string(out.Stdout))).To(ConsistOf(
			"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LVM_SUPPRESS_FD_WARNINGS=1"))
		out, err = o.Run(ctx, "sh", "-c", "echo $$; cut -d' ' -f5 /proc/$$/stat")
		Expect(err).NotTo(HaveOccurred())
		ids := strings.Fields(string(out.Stdout))
		Expect(ids[0]).To(Equal(ids[1]))
	})

	It("does not wait for a daemon that a command leaves behind", func(ctx SpecContext) {
		out, err := o.Run(ctx, "sh", "-c", "sleep 60 & echo $!")
		Expect(err).NotTo(HaveOccurred())
		pid, err := strconv.Atoi(strings.TrimSpace(string(out.Stdout)))
		Expect(err).NotTo(HaveOccurred())
		Expect(unix.Kill(pid, unix.SIGTERM)).To(Succeed())
	}, SpecTimeout(30*time.Second))

	It("stops a command that exceeds the time limit", func(ctx SpecContext) {
		o.limit = 100 * time.Millisecond
		_, err := o.Run(ctx, "sleep", "60")
		Expect(err).To(MatchError(ContainSubstring("stopped after 100ms")))
	}, SpecTimeout(30*time.Second))

	It("leaves a command behind that does not let itself be stopped, alive", func(ctx SpecContext) {
		o.limit, o.grace = 100*time.Millisecond, 100*time.Millisecond
		dir := GinkgoT().TempDir()
		_, err := o.Run(ctx, "sh", "-c", "trap '' TERM; sleep 1; touch "+dir+"/done")
		Expect(err).To(MatchError(ContainSubstring("still running after")))
		Eventually(ctx, func() string { return filepath.Join(dir, "done") }).Should(BeAnExistingFile())
	}, SpecTimeout(30*time.Second))
})

var _ = Describe("files", func() {
	var (
		o   *OS
		dir string
	)
	BeforeEach(func() { o, dir = New(), GinkgoT().TempDir() })

	It("writes into what is there, and creates nothing", func() {
		file := filepath.Join(dir, "attribute")
		Expect(o.WriteFile(file, []byte("1"))).To(MatchError(fs.ErrNotExist))
		Expect(os.WriteFile(file, []byte("abc"), 0o600)).To(Succeed())
		Expect(o.WriteFile(file, []byte("x"))).To(Succeed())
		Expect(o.ReadFile(file)).To(Equal([]byte("xbc")))
	})

	It("names the file and the reason when a write fails", func() {
		err := o.WriteFile("/dev/full", []byte("1"))
		Expect(err).To(MatchError(unix.ENOSPC))
		Expect(err).To(MatchError(ContainSubstring("/dev/full")))
	})

	It("makes and removes directories and symlinks", func() {
		d, link := filepath.Join(dir, "d"), filepath.Join(dir, "d", "link")
		Expect(o.Mkdir(d)).To(Succeed())
		Expect(o.Mkdir(d)).To(MatchError(fs.ErrExist))
		Expect(o.Symlink("/target", link)).To(Succeed())
		Expect(o.Readlink(link)).To(Equal("/target"))
		Expect(o.Remove(d)).To(MatchError(unix.ENOTEMPTY))
		Expect(o.Remove(link)).To(Succeed())
		Expect(o.Remove(d)).To(Succeed())
		Expect(o.ReadDir(dir)).To(BeEmpty())
	})
})
