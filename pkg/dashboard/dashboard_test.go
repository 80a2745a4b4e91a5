package dashboard_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/dashboard"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/test/dashboard/sample"
)

func TestDashboard(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "dashboard")
}

// paths are those of all views, with objects of the sample.
var paths = []string{
	"/", "/objects", "/objects?sort=worst", "/objects?q=a&kind=Volume", "/objects/Volume/db-data", "/objects/Export/web", "/objects/Pool/fast",
	"/objects/Volume/scratch", "/objects/SnapshotSchedule/nightly", "/objects/Repository/offsite", "/objects/Backup/before-upgrade", "/pools", "/events", "/nowhere",
}

func handlerOf(board *status.Board) http.Handler {
	return dashboard.New(dashboard.Source{Status: board, Plan: sample.Plan, Node: sample.Hostile, Version: sample.Hostile})
}

func get(h http.Handler, method, path string) *httptest.ResponseRecorder {
	r := httptest.NewRecorder()
	h.ServeHTTP(r, httptest.NewRequest(method, path, nil))
	return r
}

var _ = Describe("The pages", func() {
	var h http.Handler
	BeforeEach(func() { h = handlerOf(sample.Board(time.Now())) })
	body := func(path string) string { return get(h, http.MethodGet, path).Body.String() }

	It("say that the first pass has not finished", func() {
		var p *plan.Plan
		r := get(dashboard.New(dashboard.Source{Status: &status.Board{}, Plan: func() *plan.Plan { return p }}), http.MethodGet, "/objects")
		Expect(r.Code).To(Equal(http.StatusServiceUnavailable))
		Expect(r.Body.String()).To(ContainSubstring("The first pass has not finished"))
		Expect(r.Body.String()).To(ContainSubstring("data-busy"), "the page is renewed soon")
	})

	It("forbid the browser whatever they do not need", func() {
		for _, path := range append(paths, "/assets/live.js", "/assets/none") {
			header := get(h, http.MethodGet, path).Header()
			Expect(header.Get("Content-Security-Policy")).To(HavePrefix("default-src 'none'; script-src 'self';"), path)
			Expect(header.Get("Content-Security-Policy")).NotTo(ContainSubstring("unsafe"), path)
			Expect(header.Get("X-Content-Type-Options")).To(Equal("nosniff"))
		}
	})

	It("obey nothing that is in names, messages, labels or questions", func() {
		// Quotes and signs in every place that a page has, and a name that would end a path or a query.
		odd := `a"b<i>'&/../?x=#%zz`
		board := sample.Board(time.Now())
		board.Publish(sample.With(board, spec.ID{Kind: spec.KindVolume, Name: "media"}, func(o *status.Object) {
			o.Name, o.Reason, o.Phase, o.Message = odd, "Why"+sample.Hostile, status.Phase(sample.Hostile), "\x1b[2J\u202e"+sample.Hostile
			o.Labels = map[string]string{sample.Hostile: sample.Hostile}
			o.Volume.Pool, o.Volume.ExportedBy = sample.Hostile, []string{sample.Hostile}
		}), []status.Finding{{File: sample.Hostile, Path: sample.Hostile, Message: sample.Hostile}}, status.PassCost{}, time.Now())
		h = handlerOf(board)
		asked := strings.NewReplacer(`"`, "%22", "<", "%3C", ">", "%3E", " ", "%20").Replace(sample.Hostile)
		for _, path := range append(paths, "/objects?q="+asked+"&reason="+asked+"&pool="+asked+"&kind="+asked, "/events?q="+asked+"&kind="+asked,
			"/objects/"+asked+"/"+asked, "/objects/Volume/a%22b%3Ci%3E%27&%2F..%2F%3Fx=%23%25zz") {
			text := get(h, http.MethodGet, path).Body.String()
			Expect(strings.Count(text, "<script")).To(Equal(1), "%s: only the script of the layout", path)
			Expect(text).NotTo(ContainSubstring("<img"), path)
			Expect(text).NotTo(ContainSubstring("<i>'"), path)
			Expect(text).NotTo(MatchRegexp(`\son\w+="|style="|javascript:|[\x00-\x08\x1b\x{202e}]`), path)
			Expect(regexp.MustCompile(`(?:href|src|action)="([^"]*)"`).FindAllStringSubmatch(text, -1)).To(HaveEach(
				HaveExactElements(Not(BeEmpty()), Or(HavePrefix("/"), Equal("#main")))), path)
		}
		text := body("/objects")
		link := regexp.MustCompile(`href="(/objects/Volume/a[^"]*)"`).FindStringSubmatch(text)
		Expect(link).NotTo(BeNil())
		r := get(h, http.MethodGet, strings.ReplaceAll(link[1], "&amp;", "&"))
		Expect(r.Code).To(Equal(http.StatusOK), "%s", link[1])
		Expect(r.Body.String()).To(ContainSubstring("a&#34;b&lt;i&gt;&#39;&amp;/../?x=#%zz"))
	})

	It("answer to GET and HEAD alone, and leave paths of programs to programs", func() {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch} {
			Expect(get(h, method, "/objects").Code).To(Equal(http.StatusMethodNotAllowed), method)
		}
		Expect(get(h, http.MethodHead, "/").Code).To(Equal(http.StatusOK))
		Expect(get(h, http.MethodGet, "/v1/none").Body.String()).NotTo(ContainSubstring("<"))
		Expect(get(h, http.MethodGet, "/objects/Volume/none").Code).To(Equal(http.StatusNotFound))
		Expect(get(h, http.MethodGet, "/nowhere").Code).To(Equal(http.StatusNotFound))
	})

	It("load their style and script once for all", func() {
		for _, match := range regexp.MustCompile(`/assets/[^"]+`).FindAllString(body("/"), -1) {
			r := get(h, http.MethodGet, match)
			Expect(r.Code).To(Equal(http.StatusOK), match)
			Expect(r.Body.Len()).To(BeNumerically(">", 100), match)
			Expect(r.Header().Get("Cache-Control")).To(ContainSubstring("immutable"), match)
			Expect(get(h, http.MethodGet, strings.Split(match, "?")[0]).Header().Get("Cache-Control")).To(Equal("no-cache"))
		}
		Expect(get(h, http.MethodGet, "/assets/style.css").Header().Get("Content-Type")).To(HavePrefix("text/css"))
	})

	It("say what has happened to an object that does not exist any more", func() {
		board := sample.Board(time.Now())
		objects := sample.With(board, spec.ID{}, nil)
		board.Publish(objects[:len(objects)-1], nil, status.PassCost{}, time.Now())
		gone := objects[len(objects)-1]
		r := get(handlerOf(board), http.MethodGet, "/objects/"+string(gone.Kind)+"/"+gone.Name)
		Expect(r.Code).To(Equal(http.StatusNotFound))
		Expect(r.Body.String()).To(And(ContainSubstring("There is no such object"), ContainSubstring("Deleted")))
	})
})

var _ = Describe("With 1,000 objects", func() {
	views := []string{"/", "/objects", "/objects?sort=worst", "/objects?phase=Failed&page=3", "/objects/Pool/pool-3", "/pools", "/events"}
	for _, path := range views {
		It("stays below 300 kB, and begins within 50 ms: "+path, func() {
			h := handlerOf(sample.Large(1000, time.Now()))
			fastest := time.Hour
			for range 5 { // the machine may be busy
				start := time.Now()
				r := get(h, http.MethodGet, path)
				fastest = min(fastest, time.Since(start))
				Expect(r.Code).To(Equal(http.StatusOK))
				Expect(r.Body.Len()).To(And(BeNumerically(">", 4000), BeNumerically("<", 300_000)))
			}
			Expect(fastest).To(BeNumerically("<", 50*time.Millisecond))
		})
	}
})

func BenchmarkPages(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		h := handlerOf(sample.Large(n, time.Now()))
		for _, path := range []string{"/", "/objects?sort=worst", "/objects?q=04711", "/objects/Pool/pool-3", "/pools", "/events"} {
			b.Run(fmt.Sprintf("%d%s", n, path), func(b *testing.B) {
				b.ReportAllocs()
				size := 0
				for b.Loop() {
					r := get(h, http.MethodGet, path)
					written, err := io.Copy(io.Discard, r.Body)
					if err != nil || r.Code != http.StatusOK {
						b.Fatal(r.Code, err)
					}
					size = int(written)
				}
				b.ReportMetric(float64(size)/1000, "kB/page")
			})
		}
	}
}
