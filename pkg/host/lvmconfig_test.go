package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// settingKeys are the keys that are overridden.
func settingKeys() []string {
	var keys []string
	for _, s := range lvmSettings {
		keys = append(keys, s.key)
	}
	return keys
}

var _ = Describe("the settings of LVM that change reports", func() {
	It("are all those that the LVM of this machine has", func(ctx SpecContext) {
		lvmconfig, err := exec.LookPath("lvmconfig")
		if err != nil {
			Skip("lvmconfig does not exist here")
		}
		list := func(args ...string) []string {
			GinkgoHelper()
			out, err := exec.CommandContext(ctx, lvmconfig, append([]string{"--typeconfig", "list"}, args...)...).Output()
			Expect(err).NotTo(HaveOccurred())
			return strings.Fields(string(out))
		}
		there := list("log", "report")
		Expect(len(there)).To(BeNumerically(">", 50))
		for _, key := range there {
			Expect(slices.Concat(settingKeys(), lvmIrrelevant)).To(ContainElement(key),
				"does %s change what a report prints? It belongs into lvmSettings then, else into lvmIrrelevant (lvmconfig --withcomments --typeconfig default %s)", key, key)
		}
		for _, key := range settingKeys() {
			Expect(slices.Concat(there, list("global"))).To(ContainElement(key), "this LVM does not know it")
		}
	})

	It("are judged once", func() {
		all := slices.Sorted(slices.Values(slices.Concat(settingKeys(), lvmIrrelevant)))
		Expect(all).To(Equal(slices.Compact(slices.Clone(all))))
	})

	DescribeTable("are overridden on the command line of each process",
		func(argv, args []string, report bool) {
			got, is := lvmProcess(argv)
			Expect(got).To(Equal(args))
			Expect(is).To(Equal(report))
		},
		Entry("a report", []string{"lvs", "vg0"}, []string{"lvs", "--config", lvmReportConfig, "vg0"}, true),
		Entry("another", []string{"lvm", "fullreport", "vg0"}, []string{"lvm", "fullreport", "--config", lvmReportConfig, "vg0"}, true),
		Entry("a report with a setting of its own", []string{"lvs", "--config", "global/wait_for_locks=0"},
			[]string{"lvs", "--config", lvmReportConfig + " global/wait_for_locks=0"}, true),
		Entry("a change, whose error texts must not be in a log instead", []string{"lvremove", "vg0/a"},
			[]string{"lvremove", "--config", `log/report_command_log=0 log/command_names=0 log/prefix="  " report/output_format="basic"`, "vg0/a"}, false),
		Entry("a setting", []string{"lvm", "lvmconfig", "devices/scan_lvs"}, []string{"lvm", "lvmconfig", "--config", lvmOtherConfig, "devices/scan_lvs"}, false),
		Entry("what takes no options", []string{"lvm", "version"}, []string{"lvm", "version"}, false),
		Entry("the shell", []string{"lvm"}, []string{"lvm"}, false),
		Entry("what is not LVM's", []string{"thin_delta", "lvs"}, []string{"thin_delta", "lvs"}, false),
	)

	DescribeTable("are not on the lines of the shell, which has them in its lvm.conf",
		func(argv, line []string) { Expect(InLVMShell(argv)).To(Equal(line)) },
		Entry("a report", []string{"lvs", "--reportformat", "json", "-o", "lv_name", "vg0"}, []string{"lvs", "-o", "lv_name", "vg0"}),
		Entry("what is no report", []string{"lvcreate", "vg0"}, []string{"lvcreate", "vg0"}),
	)
})

var _ = Describe("the error of a command of LVM that is verbose", func() {
	noise := strings.Repeat("    devices/dir not found in config: defaulting\n", 50)
	It("is what it failed for", func() {
		err := &CommandError{Argv: []string{"lvs"}, ExitCode: LVMFailed, Stderr: noise + "  Failed to find logical volume \"vg0/a\"\n" + noise}
		Expect(err).To(MatchError(`lvs: exit status 5: Failed to find logical volume "vg0/a"`))
	})
	It("is all that there is if it does not say that", func() {
		err := &CommandError{Argv: []string{"lvs"}, ExitCode: LVMFailed, Stderr: noise}
		Expect(err).To(MatchError(ContainSubstring("devices/dir not found")))
	})
})

var _ = Describe("a report of LVM", func() {
	It("is not mixed with what else LVM has to say, nor changed by the environment", func(ctx SpecContext) {
		GinkgoT().Setenv("LVM_COMMAND_PROFILE", "theirs")
		GinkgoT().Setenv("LVM_SYSTEM_DIR", "/theirs")
		GinkgoT().Setenv("LVM_LOG_FILE_EPOCH", "theirs")
		lvs, err := filepath.Abs("testdata/lvs")
		Expect(err).NotTo(HaveOccurred())
		out, err := New().Run(ctx, lvs, "--reportformat", "json")
		Expect(err).NotTo(HaveOccurred())
		Expect(string(out.Stdout)).To(Equal("{\n}\n"))
		Expect(out.Stderr).To(Equal("Retrying metadata scan.\n"))
		_, err = New().Run(ctx, lvs, "fail")
		Expect(err).To(MatchError(HaveSuffix("lvs fail: exit status 5")), "what the agent asked for")
	})
})

var _ = Describe("the configuration of LVM's shell", func() {
	var dir, etc string
	BeforeEach(func() {
		dir, etc = filepath.Join(GinkgoT().TempDir(), "run", "lvm"), GinkgoT().TempDir()
		Expect(os.WriteFile(filepath.Join(etc, "lvm.conf"), []byte("log { prefix = \"x\" }"), 0o600)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(etc, "lvmlocal.conf"), []byte("local { system_id = \"me\" }"), 0o600)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(etc, "lvm_tag.conf"), nil, 0o600)).To(Succeed())
		Expect(writeSystemDir(dir, etc)).To(Succeed())
	})
	read := func(name string) string {
		GinkgoHelper()
		data, err := os.ReadFile(filepath.Join(dir, name))
		Expect(err).NotTo(HaveOccurred())
		return string(data)
	}

	It("is the administrator's, with these settings after it", func() {
		Expect(read("lvm.conf")).To(And(
			HavePrefix("config/profile_dir = \""+etc+"/profile\"\n"),
			ContainSubstring("log { prefix = \"x\" }\nlog/report_command_log = 1\n"),
			ContainSubstring("report/output_format = \"json\"\n")))
		Expect(read("lvmlocal.conf")).To(Equal("local { system_id = \"me\" }\n" + lvmShellConfig))
		Expect(read("lvm_tag.conf")).To(Equal("\n" + lvmShellConfig))
		Expect(os.Readlink(filepath.Join(dir, "devices"))).To(Equal(etc + "/devices"))
	})

	It("is not put where others could change it", func() {
		Expect(os.Chmod(dir, 0o777)).To(Succeed())
		Expect(writeSystemDir(dir, etc)).To(MatchError(And(HavePrefix("cannot copy LVM's configuration: "+dir), ContainSubstring("chmod go-w"))))
	})

	It("replaces a file that is as it should be, but that others can change", func() {
		file := filepath.Join(dir, "lvm.conf")
		want := read("lvm.conf")
		Expect(os.Chmod(file, 0o666)).To(Succeed())
		Expect(writeSystemDir(dir, etc)).To(Succeed())
		st, err := os.Lstat(file)
		Expect(err).NotTo(HaveOccurred())
		Expect(st.Mode()).To(BeEquivalentTo(0o600))
		By("a link to one of theirs")
		theirs := filepath.Join(etc, "theirs")
		Expect(os.WriteFile(theirs, []byte(want), 0o600)).To(Succeed())
		Expect(os.Remove(file)).To(Succeed())
		Expect(os.Symlink(theirs, file)).To(Succeed())
		Expect(writeSystemDir(dir, etc)).To(Succeed())
		st, err = os.Lstat(file)
		Expect(err).NotTo(HaveOccurred())
		Expect(st.Mode().IsRegular()).To(BeTrue())
		Expect(read("lvm.conf")).To(Equal(want))
	})

	It("follows what the administrator changes", func() {
		Expect(os.Remove(filepath.Join(etc, "lvm_tag.conf"))).To(Succeed())
		Expect(os.WriteFile(filepath.Join(etc, "lvm.conf"), []byte("log { prefix = \"y\" }"), 0o600)).To(Succeed())
		Expect(os.Remove(filepath.Join(dir, "devices"))).To(Succeed())
		Expect(os.Symlink("/elsewhere", filepath.Join(dir, "devices"))).To(Succeed())
		Expect(writeSystemDir(dir, etc)).To(Succeed())
		Expect(read("lvm.conf")).To(ContainSubstring("log { prefix = \"y\" }\n"))
		Expect(filepath.Join(dir, "lvm_tag.conf")).NotTo(BeAnExistingFile())
		Expect(os.Readlink(filepath.Join(dir, "devices"))).To(Equal(etc + "/devices"))
	})

	It("is not written if nothing has changed", func() {
		before, err := os.Stat(filepath.Join(dir, "lvm.conf"))
		Expect(err).NotTo(HaveOccurred())
		Expect(writeSystemDir(dir, etc)).To(Succeed())
		after, err := os.Stat(filepath.Join(dir, "lvm.conf"))
		Expect(err).NotTo(HaveOccurred())
		Expect(os.SameFile(before, after)).To(BeTrue())
	})

	It("is only these settings where other does not exist", func() {
		Expect(writeSystemDir(dir, GinkgoT().TempDir())).To(Succeed())
		Expect(read("lvm.conf")).To(HaveSuffix(lvmShellConfig))
	})
})
