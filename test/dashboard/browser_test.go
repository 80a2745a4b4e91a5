package dashboard_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/dashboard"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/statusapi"
	"github.com/volreconciler/volreconciler/test/dashboard/sample"
)

func TestDashboard(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "dashboard")
}

// browser is the one that all specs share; each has a profile of its own in it.
var browser context.Context

var _ = BeforeSuite(func(SpecContext) {
	program, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("BROWSER") == "required" {
			Fail("chromium is missing; hack/install-deps.sh test installs it")
		}
		Skip("chromium is missing; hack/install-deps.sh test installs it")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.UserDataDir(GinkgoT().TempDir()))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // as root it does not start with one
	}
	// Not the spec's context: the browser outlives the setup.
	allocated, stop := chromedp.NewExecAllocator(context.Background(), options...)
	DeferCleanup(stop)
	var quit context.CancelFunc
	browser, quit = chromedp.NewContext(allocated)
	DeferCleanup(quit)
	Expect(chromedp.Do(browser)).To(Succeed())
}, NodeTimeout(30*time.Second))

// serve answers as the agent does, with the made-up node of a board.
func serve(board *status.Board) string {
	GinkgoHelper()
	made := sample.Plan()
	return serveHandler(statusapi.Source{
		Status: board, Plan: func() any { return made },
		Pages: dashboard.New(dashboard.Source{Status: board, Plan: func() *plan.Plan { return made }, Node: "store-7", Version: "volreconciler 1.2.3"}),
	}, nil)
}

// serveHandler counts requests by their paths in count, if that is not nil.
func serveHandler(from statusapi.Source, count func(path string)) string {
	ctx, cancel := context.WithCancel(context.Background())
	handler := statusapi.Handler(ctx, from)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if count != nil {
			count(r.URL.Path)
		}
		handler.ServeHTTP(w, r)
	}))
	DeferCleanup(func() { cancel(); server.Close() })
	return server.URL
}

// serveAndLeave is serve of a server that can be made to drop all connections, and to accept none.
func serveAndLeave(board *status.Board) (url string, away func(bool)) {
	var gone atomic.Bool
	ctx, cancel := context.WithCancel(context.Background())
	handler := statusapi.Handler(ctx, statusapi.Source{Status: board, Pages: dashboard.New(dashboard.Source{Status: board})})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if gone.Load() {
			panic(http.ErrAbortHandler)
		}
		handler.ServeHTTP(w, r)
	}))
	DeferCleanup(func() { cancel(); server.Close() })
	return server.URL, func(now bool) {
		gone.Store(now)
		server.CloseClientConnections()
	}
}

// tab is a page of the browser, and what it complained of.
type tab struct {
	context.Context
	mu         sync.Mutex
	complaints []string
}

// open opens a page of its own profile, and closes it after the spec. Whatever appears in its console as a
// warning or an error fails the spec.
func open(width, height int64) *tab {
	GinkgoHelper()
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	DeferCleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 20*time.Second)
	DeferCleanup(cancel)
	t := &tab{Context: ctx}
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return // the page was closed
			}
			if m.IsException() || m.Type == "error" || m.Type == "warning" || m.Type == "assert" {
				t.mu.Lock()
				t.complaints = append(t.complaints, m.String()+" "+m.URL)
				t.mu.Unlock()
			}
		}
	}()
	t.do(chromedp.EmulateViewport(width, height))
	DeferCleanup(func() { Expect(t.complained()).To(BeEmpty()) })
	return t
}

func (t *tab) complained() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.complaints
}

// excuse forgets what the page has complained of so far.
func (t *tab) excuse() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.complaints = nil
}

func (t *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	GinkgoHelper()
	Expect(chromedp.Do(t, actions...)).To(Succeed())
}

// leave does what makes the browser load another page, and waits for that.
func (t *tab) leave(actions ...chromedp.Action[chromedp.Void]) {
	GinkgoHelper()
	_, err := chromedp.RunResponse(t, actions...)
	Expect(err).NotTo(HaveOccurred())
}

func run[T any](t *tab, action chromedp.Action[T]) T {
	GinkgoHelper()
	result, err := chromedp.Run(t, action)
	Expect(err).NotTo(HaveOccurred())
	return result
}

// ask evaluates an expression in the page.
func ask[T any](t *tab, expression string) T {
	GinkgoHelper()
	return run(t, chromedp.Evaluate[T](expression))
}

// text is what the page shows.
func (t *tab) text() string {
	GinkgoHelper()
	return ask[string](t, "document.body.innerText")
}

// call gives the browser a command of its protocol.
func call[P, R any](t *tab, command cdp.Command[P, R], params P) R {
	GinkgoHelper()
	result, err := chromedp.Call(t, command, params)
	Expect(err).NotTo(HaveOccurred())
	return result
}

// scheme has the page shown as for somebody who prefers light or dark.
func (t *tab) scheme(name string) {
	GinkgoHelper()
	call(t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	})
}
