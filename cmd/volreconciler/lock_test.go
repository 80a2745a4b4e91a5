package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

var _ = Describe("The node's lock", func() {
	var top string
	BeforeEach(func() {
		top = GinkgoT().TempDir()
		was := nodeLockDir
		nodeLockDir = filepath.Join(top, "node")
		DeferCleanup(func() { nodeLockDir = was })
	})
	agent := func(backend, runtimeDir string) *settings {
		s := newSettings()
		s.backend, s.runtimeDir, s.stateDir = backend, filepath.Join(top, runtimeDir), filepath.Join(top, "state")
		return s
	}
	locked := func(s *settings) lock {
		GinkgoHelper()
		l, err := s.lockNode()
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(l.release)
		return l
	}

	It("is one, whatever the runtime directories", func() {
		first := locked(agent(backendKernel, "a"))
		for _, backend := range []string{backendKernel, backendTGT} {
			_, err := agent(backend, "b").lockNode()
			Expect(err).To(MatchError(And(
				MatchRegexp(`^another volreconciler \(process \d+\) runs on this node`), ContainSubstring(nodeLockDir+"/lock"))))
		}
		_, err := agent(backendKernel, "a").lockNode()
		Expect(err).To(MatchError(ContainSubstring(top + "/a/lock")))
		first.release()
		locked(agent(backendKernel, "b"))
	})

	It("is one if the runtime directory is that of the node's lock, or leads there", func() {
		locked(agent(backendKernel, "node")).release()
		Expect(os.Symlink("node", filepath.Join(top, "link"))).To(Succeed())
		locked(agent(backendKernel, "link"))
	})

	It("does not concern captured nodes", func() {
		locked(agent(backendKernel, "a"))
		locked(agent(backendFake, "b"))
		locked(agent(backendFake, "c"))
	})

	DescribeTable("changes nothing that is not its own", func(backend string, makeLock func(lock, other string) error, why string) {
		s := agent(backend, "run")
		other := filepath.Join(top, "other")
		Expect(os.WriteFile(other, []byte("precious"), 0o600)).To(Succeed())
		Expect(os.Mkdir(s.runtimeDir, 0o700)).To(Succeed())
		Expect(makeLock(filepath.Join(s.runtimeDir, "lock"), other)).To(Succeed())
		_, err := s.lockNode()
		Expect(err).To(MatchError(ContainSubstring(why)))
		Expect(os.ReadFile(other)).To(BeEquivalentTo("precious"))
	},
		Entry("by a symbolic link", backendKernel, func(lock, other string) error { return os.Symlink(other, lock) }, "is a symbolic link"),
		Entry("by a symbolic link, of a captured node", backendFake, func(lock, other string) error { return os.Symlink(other, lock) }, "is a symbolic link"),
		Entry("by a hard link", backendKernel, func(lock, other string) error { return os.Link(other, lock) }, "is a hard link"),
		Entry("with a FIFO in its place", backendKernel, func(lock, _ string) error { return unix.Mkfifo(lock, 0o600) }, "is a FIFO"),
	)

	It("is not taken where others can replace it", func() {
		s := agent(backendKernel, "run")
		Expect(os.Mkdir(s.runtimeDir, 0o700)).To(Succeed())
		Expect(os.Chmod(s.runtimeDir, 0o777)).To(Succeed())
		_, err := s.lockNode()
		Expect(err).To(MatchError(ContainSubstring("is writable by anybody")))
		Expect(filepath.Join(s.runtimeDir, "lock")).NotTo(BeAnExistingFile())
	})
})

var _ = Describe("The state directory", func() {
	It("is not used if others can write to it, or to the memory", func() {
		s := newSettings()
		s.stateDir, s.runtimeDir = filepath.Join(GinkgoT().TempDir(), "state"), filepath.Join(GinkgoT().TempDir(), "run")
		Expect(s.makeDirs()).To(Succeed())
		Expect(os.Chmod(s.lvmDir(), 0o777)).To(Succeed())
		Expect(s.makeDirs()).To(MatchError(HavePrefix("cannot use the directory of LVM's configuration: " + s.lvmDir() + " is writable by anybody")))
		Expect(os.Chmod(s.lvmDir(), 0o700)).To(Succeed())
		Expect(os.Chmod(s.stateDir, 0o777)).To(Succeed())
		Expect(s.makeDirs()).To(MatchError(HavePrefix("cannot use the state directory: " + s.stateDir + " is writable by anybody")))
		Expect(os.Chmod(s.stateDir, 0o700)).To(Succeed())
		Expect(os.WriteFile(s.memory(), []byte("{}"), 0o600)).To(Succeed())
		Expect(os.Chmod(s.memory(), 0o606)).To(Succeed())
		Expect(s.makeDirs()).To(MatchError(ContainSubstring("identities.json is writable by others")))
		Expect(os.Remove(s.memory())).To(Succeed())
		Expect(os.Symlink("/dev/null", s.memory())).To(Succeed())
		Expect(s.makeDirs()).To(MatchError(ContainSubstring("identities.json is a symbolic link")))
	})
})

var _ = DescribeTable("An error of a user who is not root", func(user int, err error, hint string) {
	Expect(needsRootAs(user, err)).To(Equal(hint))
},
	Entry("names root if the kernel refuses", 1000, fmt.Errorf("lock: %w", fs.ErrPermission), "; run the command as root"),
	Entry("names root if LVM is refused", 1000, errors.New("lvm: open failed: Permission denied"), "; run the command as root"),
	Entry("does not, if it is another", 1000, errors.New("lvm: no such device"), ""),
	Entry("does not, if the user is root", 0, fs.ErrPermission, ""),
)
