package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"
)

func TestCommand(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "command guest")
}

var _ = DescribeTable("a size", func(text string, want int64) {
	size, err := parseSize(text)
	if want == 0 {
		Expect(err).To(MatchError(ContainSubstring("size")))
		return
	}
	Expect(err).NotTo(HaveOccurred())
	Expect(size).To(Equal(want))
},
	Entry(nil, "4096", int64(4096)),
	Entry(nil, "512K", int64(512<<10)),
	Entry(nil, "3G", int64(3<<30)),
	Entry(nil, "", int64(0)),
	Entry(nil, "G", int64(0)),
	Entry(nil, "0G", int64(0)),
	Entry(nil, "-1G", int64(0)),
	Entry(nil, "1KG", int64(0)),
	Entry(nil, "1.5G", int64(0)),
)

var _ = Describe("a guest that is up", Ordered, func() {
	var (
		program, dir string
		up           *gexec.Session
	)

	guest := func(args ...string) *exec.Cmd { return exec.Command(program, args...) }

	BeforeAll(func() {
		if os.Getenv("VOLRECONCILER_GUEST") == "" {
			Skip("boots a virtual machine: set VOLRECONCILER_GUEST=1 to run it")
		}
		var err error
		program, err = gexec.Build("github.com/volreconciler/volreconciler/test/guest/cmd/guest")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(gexec.CleanupBuildArtifacts)
		dir = GinkgoT().TempDir()
		up, err = gexec.Start(guest("up", "--dir", dir, "--disk", "64M"), GinkgoWriter, GinkgoWriter)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { up.Kill().Wait(time.Minute) })
	})

	It("takes commands and passes on what comes of them", func(ctx SpecContext) {
		Eventually(ctx, func() error { return guest("exec", "--dir", dir, "--", "true").Run() }).
			WithPolling(time.Second).Should(Succeed())
		command := guest("exec", "--dir", dir, "-i", "--", "sh", "-c", "cat; echo err >&2; exit 7")
		command.Stdin = strings.NewReader("from the terminal")
		session, err := gexec.Start(command, nil, nil)
		Expect(err).NotTo(HaveOccurred())
		Eventually(ctx, session).Should(gexec.Exit(7))
		Expect(string(session.Out.Contents())).To(Equal("from the terminal"))
		Expect(string(session.Err.Contents())).To(Equal("err\n"))
	}, SpecTimeout(20*time.Minute))

	It("is the only one of its directory", func(ctx SpecContext) {
		session, err := gexec.Start(guest("up", "--dir", dir), nil, nil)
		Expect(err).NotTo(HaveOccurred())
		Eventually(ctx, session).Should(gexec.Exit(125))
		Expect(string(session.Err.Contents())).To(ContainSubstring("up already"))
	}, SpecTimeout(time.Minute))

	It("dies with its process, even with one that is killed", func(ctx SpecContext) {
		disk := filepath.Join(dir, "disk0.raw")
		Expect(emulators(disk)).To(HaveLen(1))
		Expect(syscall.Kill(up.Command.Process.Pid, syscall.SIGKILL)).To(Succeed())
		Eventually(ctx, func() ([]string, error) { return emulators(disk) }).Should(BeEmpty())
	}, SpecTimeout(time.Minute))
})

// emulators returns the processes, other than our own, that name a disk.
func emulators(disk string) ([]string, error) {
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var running []string
	for _, path := range found {
		if path == fmt.Sprintf("/proc/%d/cmdline", os.Getpid()) {
			continue
		}
		// A process may end while we look.
		if line, err := os.ReadFile(path); err == nil && bytes.Contains(line, []byte(disk)) {
			running = append(running, path)
		}
	}
	return running, nil
}
