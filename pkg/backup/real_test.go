package backup

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/restic"
)

// These use the restic that is installed.
var _ = Describe("with the real restic", func() {
	var v *volume
	var dir string
	BeforeEach(func() {
		Expect("/usr/bin/restic").To(BeAnExistingFile(), "install it: hack/install-deps.sh test")
		dir = GinkgoT().TempDir()
		v = newVolume(dir, 40*mib+1000)
		v.fake, v.job.slice, v.job.Repository.Runner = nil, 0, nil
		v.write(1*mib, 10*mib)
		v.write(30*mib, 20*mib)
	})
	// check makes two backups and restores both.
	check := func(ctx context.Context) {
		GinkgoHelper()
		Expect(v.job.Repository.Init(ctx)).To(Succeed())
		first, err := v.backup(ctx)
		Expect(err).NotTo(HaveOccurred())
		before := append([]byte(nil), v.data...)
		v.write(2*mib, 100)
		second, err := v.backup(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(second.Read).To(BeEquivalentTo(4 * mib))
		for id, want := range map[string][]byte{first.Snapshot: before, second.Snapshot: v.data} {
			path := v.target(int64(len(v.data)), true)
			r := v.restore(path)
			r.Snapshot = id
			Expect(r.Run(ctx)).Error().NotTo(HaveOccurred())
			got, err := os.ReadFile(path)
			Expect(err).NotTo(HaveOccurred())
			Expect(bytes.Equal(got, want)).To(BeTrue())
		}
	}

	It("restores from a directory, and so do restic, tar and dd alone", func(ctx SpecContext) {
		check(ctx)
		path := v.target(int64(len(v.data)), true)
		script := exec.CommandContext(ctx, "../../examples/restore-with-restic.sh", v.job.Parent, path)
		script.Env = append(os.Environ(), "RESTIC_REPOSITORY="+v.job.Repository.URL, "RESTIC_PASSWORD="+v.job.Repository.Password.Reveal())
		out, err := script.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(out))
		Expect(string(out)).To(ContainSubstring(fmt.Sprintf("size %d\n", len(v.data))))
		got, err := os.ReadFile(path)
		Expect(err).NotTo(HaveOccurred())
		Expect(bytes.Equal(got, v.data)).To(BeTrue())
		script.Env[len(script.Env)-1] += "wrong"
		wrong := exec.CommandContext(ctx, script.Path, script.Args[1:]...)
		wrong.Env = script.Env
		Expect(wrong.Run()).NotTo(Succeed())
	})

	It("restores from an SFTP server", func(ctx SpecContext) {
		key := filepath.Join(dir, "key")
		command(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
		port := freePort(ctx)
		config := fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s\nAuthorizedKeysFile %s.pub\nPidFile none\nStrictModes no\nUsePAM no\n"+
			"PermitRootLogin yes\nSubsystem sftp internal-sftp\n", port, key, key)
		Expect(os.WriteFile(filepath.Join(dir, "sshd_config"), []byte(config), 0o600)).To(Succeed())
		Expect(os.MkdirAll("/run/sshd", 0o755)).To(Succeed())
		serve(ctx, port, "/usr/sbin/sshd", "-D", "-e", "-f", filepath.Join(dir, "sshd_config"))
		v.job.Repository.URL = "sftp:root@127.0.0.1:" + filepath.Join(dir, "repository")
		v.job.Repository.Options = []string{fmt.Sprintf("sftp.command=ssh -p %d -i %s -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "+
			"root@127.0.0.1 -s sftp", port, key)}
		check(ctx)
	})

	It("restores from a REST server, and never shows its password", func(ctx SpecContext) {
		port := freePort(ctx)
		Expect(os.Mkdir(filepath.Join(dir, "served"), 0o700)).To(Succeed())
		serve(ctx, port, "rclone", "serve", "restic", "--addr", fmt.Sprint("127.0.0.1:", port), "--user", "u", "--pass", "hidden-word", filepath.Join(dir, "served"))
		v.job.Repository.URL = fmt.Sprintf("rest:http://u:hidden-word@127.0.0.1:%d/repository", port)
		_, err := v.job.Repository.Snapshots(ctx)
		Expect(err).To(MatchError(restic.ErrMissing))
		Expect(err.Error()).To(And(ContainSubstring(fmt.Sprint(port)), Not(ContainSubstring("hidden-word"))))
		check(ctx)
	})

	It("makes the next backup after one was killed", func(ctx SpecContext) {
		Expect(v.job.Repository.Init(ctx)).To(Succeed())
		Expect(v.backup(ctx)).Error().NotTo(HaveOccurred())
		v.write(0, 40*mib)
		v.job.Limiter = blockcopy.NewLimiter(8 * mib)
		pid := filepath.Join(dir, "pid")
		script := filepath.Join(dir, "restic")
		Expect(os.WriteFile(script, []byte("#!/bin/sh\n[ $1 = backup ] && echo $$ >'"+pid+"'\nexec /usr/bin/restic \"$@\"\n"), 0o755)).To(Succeed())
		v.job.Repository.Program = script
		v.job.Progress = func(p Progress) {
			if p.Done > 8*mib {
				text, err := os.ReadFile(pid)
				n := 0
				if _, scanErr := fmt.Sscan(string(text), &n); err == nil && scanErr == nil {
					_ = unix.Kill(n, unix.SIGKILL)
				}
			}
		}
		_, err := v.backup(ctx)
		Expect(err).To(MatchError(ContainSubstring("signal: killed")))
		Expect(List(ctx, v.job.Repository, "db")).To(HaveLen(1))
		Expect(v.job.Repository.Prune(ctx, "")).To(MatchError(restic.ErrLocked))
		Expect(v.job.Repository.Unlock(ctx)).To(Succeed())
		v.job.Limiter, v.job.Progress, v.job.Repository.Program = nil, nil, ""
		Expect(v.backup(ctx)).Error().NotTo(HaveOccurred())
		path := v.target(int64(len(v.data)), true)
		Expect(v.restore(path).Run(ctx)).Error().NotTo(HaveOccurred())
		got, err := os.ReadFile(path)
		Expect(err).NotTo(HaveOccurred())
		Expect(bytes.Equal(got, v.data)).To(BeTrue())
	})
})

func command(ctx context.Context, name string, args ...string) {
	GinkgoHelper()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(out))
}

func freePort(ctx context.Context) int {
	GinkgoHelper()
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// serve runs a server until the spec ends, and waits until it listens.
func serve(ctx context.Context, port int, name string, args ...string) {
	GinkgoHelper()
	said := &strings.Builder{}
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = said, said
	Expect(cmd.Start()).To(Succeed(), "install it: hack/install-deps.sh test")
	DeferCleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	Eventually(ctx, func() error {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", fmt.Sprint("127.0.0.1:", port))
		if err == nil {
			_ = c.Close()
		}
		return err
	}).WithTimeout(30 * time.Second).Should(Succeed())
}
