package statusapi_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"go.uber.org/goleak"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/reconcile/execute"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/statusapi"
)

// emptyNode is a node on which there is nothing, and a source that says of it
// only that something is wrong with a file.
type emptyNode struct{ wrong string }

func (emptyNode) Observe(context.Context, ...string) observe.State { return observe.State{} }

func (n *emptyNode) Load(context.Context) spec.Set {
	return spec.Set{Findings: []spec.Finding{{File: n.wrong, Err: errors.New("no")}}}
}

// newLoop returns a loop whose passes publish a status.
func newLoop(node *emptyNode) *reconcile.Loop {
	memory, err := reconcile.OpenMemory(filepath.Join(GinkgoT().TempDir(), "identities.json"))
	Expect(err).NotTo(HaveOccurred())
	return &reconcile.Loop{
		Source: node, Observer: node, Executor: &execute.Executor{},
		Memory: memory, Status: &status.Board{}, Log: logr.Discard(),
	}
}

var _ = Describe("The agent's answers", func() {
	var (
		node   *emptyNode
		loop   *reconcile.Loop
		client *statusapi.Client
		socket string
		cancel context.CancelFunc
		ended  chan error
	)
	BeforeEach(func() {
		before := goleak.IgnoreCurrent()
		node = &emptyNode{wrong: "a.yaml"}
		loop = newLoop(node)
		socket = filepath.Join(GinkgoT().TempDir(), "agent.sock")
		listener, err := statusapi.Listen(socket)
		Expect(err).NotTo(HaveOccurred())
		var ctx context.Context
		ctx, cancel = context.WithCancel(context.Background())
		ended = make(chan error, 1)
		go func() { ended <- statusapi.Serve(ctx, listener, statusapi.Source{Status: loop.Status}) }()
		client = statusapi.NewClient(socket)
		DeferCleanup(func(ctx SpecContext) {
			cancel()
			Eventually(ctx, ended).Should(Receive(BeNil()))
			Eventually(ctx, func() error { return goleak.Find(before) }).Should(Succeed())
		}, NodeTimeout(limit))
	})

	It("are the report of the last pass", func(ctx SpecContext) {
		loop.Pass(ctx)
		report, err := client.Status(ctx, 0)
		Expect(err).NotTo(HaveOccurred())
		Expect(report.Kind).To(Equal("Status"))
		Expect(report.Generation).To(BeEquivalentTo(1))
		Expect(report.Findings).To(ConsistOf(status.Finding{File: "a.yaml", Message: "no"}))
	}, SpecTimeout(limit))

	It("come as soon as the report is another one", func(ctx SpecContext) {
		loop.Pass(ctx)
		answer := make(chan status.Report, 1)
		go func() {
			defer GinkgoRecover()
			status, err := client.Status(ctx, 1)
			Expect(err).NotTo(HaveOccurred())
			answer <- status
		}()
		Consistently(answer, "100ms").ShouldNot(Receive())
		node.wrong = "b.yaml"
		loop.Pass(ctx)
		Eventually(ctx, answer).Should(Receive(HaveField("Generation", BeEquivalentTo(2))))
	}, SpecTimeout(limit))

	It("do not wait for a generation of an agent that was there before", func(ctx SpecContext) {
		loop.Pass(ctx)
		Expect(client.Status(ctx, 4711)).To(HaveField("Generation", BeEquivalentTo(1)))
	}, SpecTimeout(limit))

	It("do not hold up the end", func(ctx SpecContext) {
		answer := make(chan error, 1)
		go func() {
			_, err := client.Status(ctx, 0)
			answer <- err
		}()
		Consistently(answer, "100ms").ShouldNot(Receive())
		cancel()
		Eventually(ctx, answer).Should(Receive(MatchError(statusapi.ErrNotReady)))
	}, SpecTimeout(limit))

	It("can be had by root and its group alone", func() {
		stat, err := os.Stat(socket)
		Expect(err).NotTo(HaveOccurred())
		Expect(stat.Mode().Perm()).To(BeEquivalentTo(0o660))
	})
})

var _ = DescribeTable("What is asked over HTTP",
	func(ctx SpecContext, path string, passed bool, code int, body string) {
		loop := newLoop(&emptyNode{wrong: "a.yaml"})
		if passed {
			loop.Pass(ctx)
		}
		answer := httptest.NewRecorder()
		statusapi.Handler(ctx, statusapi.Source{Status: loop.Status}).ServeHTTP(answer, httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil))
		Expect(answer.Code).To(Equal(code))
		Expect(answer.Body.String()).To(ContainSubstring(body))
	},
	Entry("health", "/healthz", false, http.StatusOK, "ok\n"),
	Entry("readiness, too early", "/readyz", false, http.StatusServiceUnavailable, "the first pass has not finished yet\n"),
	Entry("readiness", "/readyz", true, http.StatusOK, "ok\n"),
	Entry("status, too early", "/v1/status", false, http.StatusServiceUnavailable, "the first pass has not finished yet\n"),
	Entry("status", "/v1/status", true, http.StatusOK, `{"apiVersion":"volreconciler/v1alpha1","kind":"Status","generation":1,`),
	Entry("status of no generation", "/v1/status?wait=x", true, http.StatusBadRequest, `wait="x" is not a generation`),
	Entry("anything else", "/v1/volumes", true, http.StatusNotFound, ""),
)

var _ = Describe("The socket", func() {
	var path string
	BeforeEach(func() { path = filepath.Join(GinkgoT().TempDir(), "agent.sock") })

	It("replaces one that was left behind, and goes with its listener", func() {
		left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		Expect(err).NotTo(HaveOccurred())
		left.SetUnlinkOnClose(false)
		Expect(left.Close()).To(Succeed())
		listener, err := statusapi.Listen(path)
		Expect(err).NotTo(HaveOccurred())
		Expect(listener.Close()).To(Succeed())
		Expect(path).NotTo(BeAnExistingFile())
	})

	It("does not replace anything else", func() {
		Expect(os.WriteFile(path, []byte("mine"), 0o600)).To(Succeed())
		_, err := statusapi.Listen(path)
		Expect(err).To(MatchError(ContainSubstring("is not a socket; remove it")))
		Expect(os.ReadFile(path)).To(BeEquivalentTo("mine"))
	})

	It("is not made where others could replace it", func() {
		Expect(os.Chmod(filepath.Dir(path), 0o777)).To(Succeed())
		_, err := statusapi.Listen(path)
		Expect(err).To(MatchError(And(ContainSubstring("is writable by anybody"), ContainSubstring("chmod go-w"))))
		Expect(path).NotTo(BeAnExistingFile())
	})

	It("is not made through a symbolic link", func() {
		Expect(os.Symlink(filepath.Join(filepath.Dir(path), "elsewhere"), path)).To(Succeed())
		_, err := statusapi.Listen(path)
		Expect(err).To(MatchError(ContainSubstring("is not a socket; remove it")))
	})

	It("needs a path that the kernel takes", func() {
		_, err := statusapi.Listen("/" + strings.Repeat("x", 107))
		Expect(err).To(MatchError(ContainSubstring("at most 107")))
	})

	It("tells clients that nobody is there", func(ctx SpecContext) {
		_, err := statusapi.NewClient(path).Status(ctx, 0)
		Expect(errors.Is(err, syscall.ENOENT)).To(BeTrue())
	}, SpecTimeout(limit))
})
