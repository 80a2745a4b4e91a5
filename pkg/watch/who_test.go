package watch

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("Who did it", func() {
	It("is told of this process", func() {
		p := newAsker("/proc").ask(os.Getpid())
		exe, err := os.Executable()
		Expect(err).NotTo(HaveOccurred())
		Expect(p).To(And(
			HaveField("PID", os.Getpid()),
			HaveField("Command", filepath.Base(exe)[:min(15, len(filepath.Base(exe)))]),
			HaveField("Executable", exe),
			HaveField("UID", os.Geteuid()),
			HaveField("Own", true),
		))
		Expect(p.Parents).NotTo(BeEmpty())
	})

	It("is told of children, which are own, and of others, which are not", func() {
		child := exec.Command("sleep", "60")
		Expect(child.Start()).To(Succeed())
		a := newAsker("/proc")
		Eventually(func() string { return a.ask(child.Process.Pid).Command }).Should(Equal("sleep"))
		p := a.ask(child.Process.Pid)
		Expect(p.Own).To(BeTrue())
		Expect(p.Parents[0]).To(Equal(a.ask(os.Getpid()).Command))
		Expect(a.ask(os.Getppid()).Own).To(BeFalse())

		By("also for a moment after it is gone")
		Expect(child.Process.Kill()).To(Succeed())
		Expect(child.Wait()).NotTo(Succeed())
		Expect(a.ask(child.Process.Pid)).To(BeIdenticalTo(p))
		Expect(newAsker("/proc").ask(child.Process.Pid)).To(Equal(&Process{PID: child.Process.Pid, UID: -1, LoginUID: -1}))
	})

	It("is not told of no process", func() {
		Expect(newAsker("/proc").ask(0)).To(BeNil())
	})

	It("is read once for many writes, and again for another program", func() {
		proc := GinkgoT().TempDir()
		write := func(name, content string) {
			GinkgoHelper()
			Expect(os.WriteFile(filepath.Join(proc, "7", name), []byte(content), 0o644)).To(Succeed())
		}
		process := func(command string) {
			GinkgoHelper()
			write("stat", "7 ("+command+") S 1 7 7 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 12345 1 1")
		}
		Expect(os.Mkdir(filepath.Join(proc, "7"), 0o755)).To(Succeed())
		process("a) (b")
		write("status", "Name:\ta\nUid:\t1000\t0\t0\t0\nGid:\t1\n")
		write("loginuid", "4294967295")
		a := newAsker(proc)
		first := a.ask(7)
		Expect(*first).To(Equal(Process{PID: 7, Command: "a) (b", UID: 0, User: "root", LoginUID: -1}))
		write("loginuid", "0")
		Expect(a.ask(7)).To(BeIdenticalTo(first))
		process("targetcli")
		Expect(*a.ask(7)).To(Equal(Process{PID: 7, Command: "targetcli", UID: 0, User: "root", LoginUID: 0, LoginUser: "root"}))
		for i := range 2 * askerLimit {
			a.ask(100 + i)
			a.known[100+i] = answer{}
		}
		a.ask(7)
		process("other")
		a.ask(7)
		Expect(len(a.known)).To(BeNumerically("<=", 1+askerLimit), strconv.Itoa(len(a.known)))
	})
})
