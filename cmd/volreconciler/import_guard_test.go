package main

import (
	"net"
	"net/http"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/statusapi"
)

var _ = Describe("The directory that import writes to", func() {
	var root, watched string
	var s *settings
	BeforeEach(func() {
		root = GinkgoT().TempDir()
		watched = filepath.Join(root, "etc", "specs")
		Expect(os.MkdirAll(filepath.Join(watched, "team"), 0o700)).To(Succeed())
		Expect(os.MkdirAll(filepath.Join(root, "git", "more"), 0o700)).To(Succeed())
		Expect(os.Symlink(filepath.Join(root, "git"), filepath.Join(watched, "linked"))).To(Succeed())
		Expect(os.Symlink(watched, filepath.Join(root, "link"))).To(Succeed())
		Expect(os.Symlink(filepath.Join(watched, "new"), filepath.Join(root, "to-new"))).To(Succeed())
		s = newSettings()
		var err error
		s.runtimeDir, err = os.MkdirTemp("", "") // a socket's path must be short
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(os.RemoveAll, s.runtimeDir)
	})
	answer := func(handler http.Handler) {
		GinkgoHelper()
		listener, err := net.Listen("unix", s.socket())
		Expect(err).NotTo(HaveOccurred())
		server := &http.Server{Handler: handler}
		go func() { _ = server.Serve(listener) }()
		DeferCleanup(server.Close)
	}
	agent := func(ctx SpecContext) {
		GinkgoHelper()
		answer(statusapi.Handler(ctx, statusapi.Source{Status: &status.Board{}, Agent: func() statusapi.Agent {
			return statusapi.Agent{Specs: spec.Dirs(filepath.Join(root, "link"))}
		}}))
	}

	DescribeTable("is refused while an agent reads it",
		func(ctx SpecContext, dir string) {
			agent(ctx)
			dir = filepath.Join(root, dir)
			Expect(s.refuseWatched(ctx, dir)).To(MatchError(And(
				ContainSubstring("the running agent reads "+root), ContainSubstring("what is written to "+dir), ContainSubstring("systemctl stop volreconciler"))))
			Expect(importNode(ctx, s, importOptions{out: dir}, GinkgoWriter)).To(MatchError(ContainSubstring("the running agent reads")))
		},
		Entry("the directory itself", "etc/specs"),
		Entry("by a symbolic link", "link"),
		Entry("below", "etc/specs/imported"),
		Entry("far below what does not exist yet", "etc/specs/a/b/c"),
		Entry("below, by a symbolic link", "link/imported"),
		Entry("by a symbolic link to what does not exist yet", "to-new"),
		Entry("below what the agent reaches by a symbolic link", "git/more/imported"),
		Entry("above", "etc"),
		Entry("above all", "."),
	)
	DescribeTable("is accepted beside it",
		func(ctx SpecContext, dir string) {
			agent(ctx)
			Expect(s.refuseWatched(ctx, filepath.Join(root, dir))).To(Succeed())
		},
		Entry("a new directory", "imported"),
		Entry("one with a longer name", "etc/specs-imported"),
		Entry("one that begins alike", "etc/specs.new/imported"),
	)
	It("is accepted where no agent answers", func(ctx SpecContext) {
		Expect(s.refuseWatched(ctx, watched)).To(Succeed())
		listener, err := net.Listen("unix", s.socket())
		Expect(err).NotTo(HaveOccurred())
		listener.(*net.UnixListener).SetUnlinkOnClose(false)
		Expect(listener.Close()).To(Succeed())
		Expect(s.socket()).To(BeAnExistingFile())
		Expect(s.refuseWatched(ctx, watched)).To(Succeed(), "what an agent left behind answers nobody")
	})
	It("is refused if the agent answers with an error", func(ctx SpecContext) {
		answer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "busy", http.StatusServiceUnavailable) }))
		Expect(s.refuseWatched(ctx, filepath.Join(root, "imported"))).To(MatchError(And(ContainSubstring("busy"), ContainSubstring("stop it"))))
	})
	It("is refused if an older agent does not say what it reads", func(ctx SpecContext) {
		answer(statusapi.Handler(ctx, statusapi.Source{Status: &status.Board{}}))
		Expect(s.refuseWatched(ctx, filepath.Join(root, "imported"))).To(MatchError(And(ContainSubstring("404"), ContainSubstring("stop it"))))
	})
	DescribeTable("is refused if the agent says what nobody understands", func(ctx SpecContext, said string) {
		answer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(said)) }))
		Expect(s.refuseWatched(ctx, filepath.Join(root, "imported"))).To(MatchError(ContainSubstring("stop it")))
	}, Entry("a page", "<html>"), Entry("nothing", "{}"))
})
