package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

var _ = Describe("The configuration file", func() {
	var file string
	BeforeEach(func() {
		dir, err := os.MkdirTemp("", "") // which others can enter
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(os.RemoveAll, dir)
		Expect(os.Chmod(dir, 0o755)).To(Succeed())
		file = filepath.Join(dir, "config.yaml")
		Expect(os.WriteFile(file, []byte("target-prefix: iqn.2026-11.org.example\n"), 0o640)).To(Succeed())
	})

	It("may be closed to other users, who get the defaults", func() {
		if os.Geteuid() != 0 {
			Skip("needs root, to be another user")
		}
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		Expect(unix.Setfsuid(65534)).To(Succeed())
		Expect(unix.Setfsgid(65534)).To(Succeed())
		s := newSettings()
		Expect(s.readFileAt(file, true)).To(Succeed())
		Expect(s.targetPrefix).To(Equal(newSettings().targetPrefix))
		Expect(s.readFileAt(file, false)).To(MatchError(ContainSubstring("permission denied")), "somebody has named it")
	})
	It("may be missing, unless somebody names it", func() {
		s := newSettings()
		Expect(s.readFileAt(file+".not", true)).To(Succeed())
		Expect(s.readFileAt(file+".not", false)).To(MatchError(ContainSubstring("no such file")))
		Expect(s.readFileAt(file, true)).To(Succeed())
		Expect(s.targetPrefix).To(Equal("iqn.2026-11.org.example"))
	})

	DescribeTable("is said to be readable by everybody", func(text string, mode os.FileMode, exposed string) {
		Expect(os.WriteFile(file, []byte(text), 0o600)).To(Succeed())
		Expect(os.Chmod(file, mode)).To(Succeed())
		s := newSettings()
		s.config = file
		Expect(s.readFile()).To(Succeed())
		p := s.paths()
		Expect(p.Config).To(Equal(file))
		Expect(strings.Join(p.Exposed, ", ")).To(Equal(exposed))
	},
		Entry("with a webhook", "notify: [{webhook: \"https://hooks.example.org/T0/secret\"}]\n", os.FileMode(0o644), "the URL of webhook hooks.example.org"),
		Entry("not without secrets", "image-proxy: http://proxy.example.org:3128\nnotify: [{alertmanager: \"http://alerts.example.org:9093\"}]\n", os.FileMode(0o644), ""),
		Entry("not if it is closed", "notify: [{webhook: \"https://hooks.example.org/T0/secret\"}]\n", os.FileMode(0o640), ""),
	)
})
