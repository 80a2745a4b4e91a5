package host

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("LVM's shell", func() {
	var (
		o *OS
		s *LVMShell
	)
	BeforeEach(func() {
		o = New()
		s = NewLVMShell(o)
		fake, err := filepath.Abs("testdata/lvm")
		Expect(err).NotTo(HaveOccurred())
		s.lvm, s.Dir = fake, filepath.Join(GinkgoT().TempDir(), "lvm")
		DeferCleanup(func() { Expect(s.Close()).To(Succeed()) })
	})
	exitCode := func(err error) int {
		GinkgoHelper()
		var cmd *CommandError
		Expect(errors.As(err, &cmd)).To(BeTrue())
		return cmd.ExitCode
	}

	It("runs a series of commands in one process", func(ctx SpecContext) {
		for range 5 {
			out, err := s.Run(ctx, "lvs", "vg0")
			Expect(err).NotTo(HaveOccurred())
			Expect(json.Valid(out.Stdout)).To(BeTrue())
			Expect(string(out.Stdout)).To(ContainSubstring(`"lv_name":"cow1"`))
		}
		Expect(o.Processes()).To(Equal(int64(1)))
	})

	It("takes a report as it is for a process", func(ctx SpecContext) {
		out, err := s.Run(ctx, "lvs", "--reportformat", "json", "vg0")
		Expect(err).NotTo(HaveOccurred())
		Expect(string(out.Stdout)).To(ContainSubstring(`"lv_name":"cow1"`))
	})

	It("runs each command by itself where its configuration cannot be written", func(ctx SpecContext) {
		s.Dir = "/proc/none"
		out, err := s.Run(ctx, "echo", "by itself")
		Expect(err).NotTo(HaveOccurred())
		Expect(string(out.Stdout)).To(Equal("by itself\n"))
	})

	It("returns what a command without a report printed", func(ctx SpecContext) {
		out, err := s.Run(ctx, "lvcreate", "-n", "new", "vg0")
		Expect(err).NotTo(HaveOccurred())
		Expect(string(out.Stdout)).To(ContainSubstring("Logical volume \"new\" created.\n"))
		Expect(out.Stderr).To(ContainSubstring("WARNING: Logical volume vg0/new not zeroed.\n"))
	})

	It("returns the exit status and the messages of a command that failed", func(ctx SpecContext) {
		_, err := s.Run(ctx, "lvcreate", "-n", "old", "vg0")
		Expect(exitCode(err)).To(Equal(LVMFailed))
		Expect(err).To(MatchError(ContainSubstring(`Logical Volume "old" already exists in volume group "vg0"`)))
	})

	It("skips what is no answer", func(ctx SpecContext) {
		_, err := s.Run(ctx, "lvs", "loud")
		Expect(err).NotTo(HaveOccurred())
	})

	It("quotes arguments with spaces", func(ctx SpecContext) {
		_, err := s.Run(ctx, "lvs", "lv_name=a || lv_name=b")
		Expect(err).NotTo(HaveOccurred())
	})

	DescribeTable("refuses arguments that could be taken for something else",
		func(ctx SpecContext, arg string) {
			_, err := s.Run(ctx, "lvs", arg)
			Expect(exitCode(err)).To(Equal(-1))
			Expect(o.Processes()).To(BeZero())
		},
		Entry("a line of its own", "vg0\nlvremove -y vg0"),
		Entry("a quote", "vg0'"),
		Entry("a double quote", `"vg0`),
		Entry("a backslash", `vg0\`),
		Entry("a tab, which completes names", "vg0\t"),
		Entry("more than ASCII", "vgä"),
	)

	It("runs a command with more words than a line may have by itself", func(ctx SpecContext) {
		argv := append([]string{"echo"}, slices.Repeat([]string{"x"}, shellWords)...)
		out, err := s.Run(ctx, argv...)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(out.Stdout)).To(HavePrefix("x x"))
	})

	It("starts a new shell after one died, and says so of the command that it ran", func(ctx SpecContext) {
		_, err := s.Run(ctx, "lvs", "die")
		Expect(exitCode(err)).To(Equal(-1))
		Expect(err).To(MatchError(ContainSubstring("lvm shell: unexpected EOF")))
		_, err = s.Run(ctx, "lvs", "vg0")
		Expect(err).NotTo(HaveOccurred())
		Expect(o.Processes()).To(Equal(int64(2)))
	})

	It("gives up on a shell that does not answer in time", func(ctx SpecContext) {
		s.limit = 100 * time.Millisecond
		_, err := s.Run(ctx, "lvs", "hang")
		Expect(err).To(MatchError(ContainSubstring("no answer within the time limit")))
		s.limit = time.Minute
		_, err = s.Run(ctx, "lvs", "vg0")
		Expect(err).NotTo(HaveOccurred())
	})

	It("gives up on a shell that is out of step", func(ctx SpecContext) {
		_, err := s.Run(ctx, "lvs", "step")
		Expect(err).To(MatchError(ContainSubstring("out of sync: the log belongs to another command")))
		_, err = s.Run(ctx, "lvs", "vg0")
		Expect(err).NotTo(HaveOccurred())
	})

	It("runs each command by itself where shell does not exist", func(ctx SpecContext) {
		s.lvm = "/bin/false"
		out, err := s.Run(ctx, "echo", "by itself")
		Expect(err).NotTo(HaveOccurred())
		Expect(string(out.Stdout)).To(Equal("by itself\n"))
		_, err = s.Run(ctx, "echo")
		Expect(err).NotTo(HaveOccurred())
		Expect(o.Processes()).To(Equal(int64(3)), "it is tried once")
	})

	It("has as many shells as there are commands at the same time", func(ctx SpecContext) {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				defer GinkgoRecover()
				for range 5 {
					_, err := s.Run(ctx, "lvcreate", "-n", "new", "vg0")
					Expect(err).NotTo(HaveOccurred())
				}
			})
		}
		all.Wait()
		Expect(o.Processes()).To(BeNumerically("<=", 4))
	})

	It("copies the configuration for all that start at the same time", func() {
		for range 50 {
			s.Dir = filepath.Join(GinkgoT().TempDir(), "lvm")
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					defer GinkgoRecover()
					Expect(s.writeDir()).To(Succeed())
				})
			}
			all.Wait()
		}
	})

	It("ends its shells when it is closed, and starts anew after that", func(ctx SpecContext) {
		_, err := s.Run(ctx, "lvs", "vg0")
		Expect(err).NotTo(HaveOccurred())
		ended := s.idle[0].ended
		Expect(s.Close()).To(Succeed())
		Expect(ended).To(BeClosed())
		_, err = s.Run(ctx, "lvs", "vg0")
		Expect(err).NotTo(HaveOccurred())
		Expect(o.Processes()).To(Equal(int64(2)))
	})

	It("does not use a shell for too long", func(ctx SpecContext) {
		s.lifetime = 0
		for range 2 {
			_, err := s.Run(ctx, "lvs", "vg0")
			Expect(err).NotTo(HaveOccurred())
		}
		Expect(o.Processes()).To(Equal(int64(2)))
	})

	It("does not lose a command to a shell that died in the meantime", func(ctx SpecContext) {
		_, err := s.Run(ctx, "lvs", "vg0")
		Expect(err).NotTo(HaveOccurred())
		Expect(s.idle[0].cmd.Process.Kill()).To(Succeed())
		Eventually(ctx, s.idle[0].ended).Should(BeClosed())
		out, err := s.Run(ctx, "echo", "by itself")
		Expect(err).NotTo(HaveOccurred())
		Expect(string(out.Stdout)).To(Equal("by itself\n"))
	})
})

var _ = DescribeTable("the line for a command",
	func(want string, argv ...string) {
		line, err := shellLine(argv)
		Expect(err).NotTo(HaveOccurred())
		Expect(line).To(Equal(want + "\n"))
	},
	Entry("plain", "lvs -o lv_name vg0", "lvs", "-o", "lv_name", "vg0"),
	Entry("spaces", "lvs -S 'a=b && c=d'", "lvs", "-S", "a=b && c=d"),
	Entry("nothing", "lvs ''", "lvs", ""),
	Entry("a comment", "lvs '#x'", "lvs", "#x"),
	Entry("quotes", `lvs -S 'lv_tags="a#b" && lv_tags="c&&d"'`, "lvs", "-S", `lv_tags="a#b" && lv_tags="c&&d"`),
	Entry("tags", "lvchange --addtag -x --addtag !a --addtag a&&b/c:d=e+f vg0/v", "lvchange", "--addtag", "-x", "--addtag", "!a", "--addtag", "a&&b/c:d=e+f", "vg0/v"),
)

var _ = DescribeTable("answers that are none",
	func(text string) {
		_, err := parseAnswer([]byte(text))
		Expect(err).To(HaveOccurred())
	},
	Entry("broken", `{"log":[}`),
	Entry("no status", `{"log":[{"log_type":"print","log_ret_code":"1"}]}`),
	Entry("no code", `{"log":[{"log_type":"status","log_ret_code":""}]}`),
)

var _ = DescribeTable("the exit status in an answer is that of the command, not of a part of it",
	func(log string) {
		a, err := parseAnswer([]byte(`{"log":[` + log + `]}`))
		Expect(err).NotTo(HaveOccurred())
		Expect(a.ret).To(Equal(5))
	},
	Entry("of LVM 2.03.16", `{"log_type":"status","log_context":"processing","log_ret_code":"1"},{"log_type":"status","log_context":"shell","log_ret_code":"5"}`),
	Entry("of LVM 2.03.31 after a selection", `{"log_type":"status","log_context":"processing","log_ret_code":"1"},{"log_type":"status","log_context":"processing","log_ret_code":"5"}`),
	Entry("with messages after it", `{"log_type":"status","log_ret_code":"5"},{"log_type":"print","log_ret_code":"0"}`),
)
