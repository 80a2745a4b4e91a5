package dashboard_test

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/dashboard"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/statusapi"
	"github.com/volreconciler/volreconciler/test/dashboard/sample"
)

var dbLog = spec.ID{Kind: spec.KindVolume, Name: "db-log"}

// fail publishes that db-log has failed.
func fail(board *status.Board) {
	board.Publish(sample.With(board, dbLog, func(o *status.Object) {
		o.Phase, o.Reason, o.Message = status.Failed, status.ReasonDeviceMissing, "cannot find the device "+sample.Hostile
	}), nil, status.PassCost{}, time.Now())
}

var _ = Describe("Whoever looks at the dashboard", func() {
	var board *status.Board
	BeforeEach(func() { board = sample.Board(time.Now()) })

	It("sees what happens without loading the page again, and hears of it", func(SpecContext) {
		page := open(1280, 900)
		page.do(chromedp.Navigate(serve(board)))
		Eventually(page.text).Should(ContainSubstring("Live"))
		ask[bool](page, "window.loadedOnce = true")
		fail(board)
		// Sooner than a page with a running job is renewed anyway.
		Eventually(page.text).WithTimeout(3 * time.Second).Should(And(ContainSubstring("10 of 22 objects"), ContainSubstring("cannot find the device")))
		Expect(ask[string](page, "document.getElementById('news').textContent")).To(Equal("Volume/db-log: Failed, DeviceMissing"))
		Expect(ask[string](page, "document.title")).To(HavePrefix("10 of 22 objects need you"))
		Expect(ask[bool](page, "window.loadedOnce")).To(BeTrue())
	})

	It("keeps the focus, and what is typed, when the page is renewed", func(SpecContext) {
		page := open(1280, 900)
		page.do(chromedp.Navigate(serve(board) + "/objects"))
		Eventually(page.text).Should(ContainSubstring("Live"))
		page.do(chromedp.SendKeys(chromedp.CSS("#q"), "half a wo"))
		ask[bool](page, `document.querySelector('a[href="/objects/Volume/media"]').focus() || true`)
		fail(board)
		Eventually(page.text).WithTimeout(5 * time.Second).Should(ContainSubstring("cannot find the device"))
		Expect(ask[string](page, "document.activeElement.getAttribute('href')")).To(Equal("/objects/Volume/media"))
		Expect(ask[string](page, "document.getElementById('q').value")).To(Equal("half a wo"))
	})

	It("is told when the agent has gone, and sees it return", func(SpecContext) {
		page := open(1280, 900)
		board := sample.Large(30, time.Now()) // no job runs
		url, away := serveAndLeave(board)
		page.do(chromedp.Navigate(url))
		Eventually(page.text).Should(ContainSubstring("Live"))
		away(true)
		Eventually(page.text).WithTimeout(5 * time.Second).Should(ContainSubstring("this page is old"))
		board.SetWarnings([]string{"something of which there is no event"})
		away(false)
		Eventually(page.text).WithTimeout(10 * time.Second).Should(And(ContainSubstring("Live"), ContainSubstring("something of which")))
		page.excuse() // the browser reports each attempt
	})

	It("needs no JavaScript, not even for the filter", func(SpecContext) {
		page := open(1280, 900)
		call(page, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		url := serve(board)
		for _, v := range views {
			page.do(chromedp.Navigate(url + v.path))
			shown := run(page, chromedp.Text(chromedp.CSS("body")))
			for _, text := range v.shows {
				if text != "Live" {
					Expect(shown).To(ContainSubstring(text))
				}
			}
			Expect(shown).To(ContainSubstring("Not live: reload for news"))
		}
		page.excuse() // the last view does not exist
		page.do(chromedp.Navigate(url + "/objects"))
		page.leave(chromedp.SendKeys(chromedp.CSS("#q"), "db-host"+kb.Enter))
		Expect(run(page, chromedp.Text(chromedp.CSS("caption")))).To(Equal("1 to 3 of 3 objects; 22 without the filter"))
	})

	It("reaches everything with the keyboard, the content first", func(SpecContext) {
		page := open(1280, 900)
		page.do(chromedp.Navigate(serve(board) + "/objects"))
		var reached []string
		for range 12 {
			page.do(chromedp.KeyEvent(kb.Tab))
			reached = append(reached, ask[string](page, "(e => e.id || e.getAttribute('href') || e.textContent)(document.activeElement)"))
			outline := ask[string](page, "(s => s.outlineStyle + ' ' + parseFloat(s.outlineWidth))(getComputedStyle(document.activeElement))")
			Expect(outline).To(Equal("solid 3"), "of %s", reached[len(reached)-1])
		}
		Expect(reached).To(Equal([]string{"#main", "/", "/", "/objects", "/pools", "/events", "q", "kind", "phase", "pool", "sort", "Show"}))

		page.do(chromedp.Navigate(serve(board)+"/objects"), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter), chromedp.KeyEvent(kb.Tab))
		Expect(ask[string](page, "document.activeElement.id")).To(Equal("q"), "behind the menu")
	})

	It("can read every view, light and dark, also on a narrow phone", func(SpecContext) {
		script, err := os.ReadFile("testdata/accessibility.js")
		Expect(err).NotTo(HaveOccurred())
		url, page := serve(board), open(1280, 900)
		for _, v := range views {
			page.do(chromedp.Navigate(url + v.path))
			for _, width := range []int64{1280, 360} {
				page.do(chromedp.EmulateViewport(width, 740))
				for _, colours := range []string{"light", "dark"} {
					page.scheme(colours)
					// The colours of links change in a tenth of a second.
					Eventually(func() []string { return ask[[]string](page, string(script)) }).Should(BeEmpty(), "%s, %s, %d pixels wide", v.name, colours, width)
				}
				Expect(ask[int64](page, "document.documentElement.scrollWidth")).To(BeNumerically("<=", width), v.name)
			}
		}
		page.excuse()
	})

	It("costs nothing while nothing happens, with 1,000 objects", func(SpecContext) {
		large := sample.Large(1000, time.Now())
		var mu sync.Mutex
		requests := 0
		url := serveHandler(statusapi.Source{Status: large, Pages: dashboard.New(dashboard.Source{Status: large})}, func(string) {
			mu.Lock()
			defer mu.Unlock()
			requests++
		})
		counted := func() int { mu.Lock(); defer mu.Unlock(); return requests }
		page := open(1280, 900)
		page.do(chromedp.Navigate(url + "/objects"))
		Eventually(page.text).Should(ContainSubstring("Live"))
		call(page, performance.Enable, performance.EnableParams{})
		worked := func() float64 {
			for _, m := range call(page, performance.GetMetrics, cdp.Empty{}).Metrics {
				if m.Name == "TaskDuration" {
					return m.Value
				}
			}
			Fail("the browser does not report what it works")
			return 0
		}
		Eventually(func() float64 {
			before := worked()
			page.do(chromedp.Sleep(200 * time.Millisecond))
			return worked() - before
		}).Should(BeNumerically("<", 0.01))
		before, asked := worked(), counted()
		const idle = 4 * time.Second
		page.do(chromedp.Sleep(idle))
		share := (worked() - before) / idle.Seconds()
		AddReportEntry("share of a processor", fmt.Sprintf("%.4f", share))
		Expect(counted()).To(Equal(asked))
		Expect(share).To(BeNumerically("<", 0.01))
	})
})
