package dashboard

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Source is what the pages are made from.
type Source struct {
	Status *status.Board
	// Plan returns the last plan; nil: there is none yet.
	Plan func() *plan.Plan
	// Node is the name of the machine, and Version that of the agent; both are only shown.
	Node, Version string
}

// policy forbids a browser whatever the pages do not need: names and messages that somebody else has
// chosen run nothing, even if they were not escaped.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// New returns what answers the following paths, to GET and HEAD alone:
//
//   - /: what needs somebody, worst first;
//   - /objects?kind=&phase=&reason=&pool=&q=&sort=&page=: the objects;
//   - /objects/KIND/NAME: one object, 404 if there is none;
//   - /pools: how full they are;
//   - /events?kind=&q=&before=ID: what became of objects, the newest first;
//   - /assets/: style, script and icon.
//
// Before the first pass has ended pages have the status 503.
func New(from Source) http.Handler {
	d := &dashboard{from}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", d.page("overview", overviewPage))
	mux.HandleFunc("GET /objects", d.page("objects", objectsPage))
	mux.HandleFunc("GET /objects/{kind}/{name}", d.page("object", objectPage))
	mux.HandleFunc("GET /pools", d.page("pools", poolsPage))
	mux.HandleFunc("GET /events", d.page("events", eventsPage))
	mux.HandleFunc("GET /assets/{name}", serveAsset)
	mux.HandleFunc("GET /", d.page("missing", missingPage))
	mux.HandleFunc("GET /v1/", http.NotFound) // is for programs
	return withHeaders(mux)
}

func withHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

type dashboard struct{ from Source }

// known is what all views are made of.
type known struct {
	report status.Report
	// plan is the last one; empty if there is none yet.
	plan   plan.Plan
	events []status.Event // the oldest first
	now    time.Time
}

// view is what a template shows of known.
type view struct {
	title string
	// code is the status of the response.
	code    int
	content any
}

// page returns what answers with a view.
func (d *dashboard) page(template string, viewOf func(known, *http.Request) view) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		freshen(d.from.Status)
		k := d.known()
		name, v := template, viewOf(k, r)
		if k.report.Generation == 0 {
			name, v = "waiting", view{title: "Starting", code: http.StatusServiceUnavailable}
		}
		var out bytes.Buffer
		if err := templates[name].ExecuteTemplate(&out, "layout", d.frame(name, k, v)); err != nil {
			http.Error(w, "cannot make this page: "+err.Error(), http.StatusInternalServerError)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Length", strconv.Itoa(out.Len()))
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(v.code)
		_, _ = w.Write(out.Bytes()) // an error means that the client has gone
	}
}

func (d *dashboard) known() known {
	k := known{now: time.Now()}
	// Events first: what happens in between is in the report, and the script shows it once more.
	k.events, _ = d.from.Status.Events(0)
	k.report, _ = d.from.Status.Report()
	if d.from.Plan != nil {
		if p := d.from.Plan(); p != nil {
			k.plan = *p
		}
	}
	return k
}

// freshen asks for a newer report if the last one is old, and does not wait: the page shows what there
// is at once, and the script that renews it shows the newer one.
func freshen(board *status.Board) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	board.Freshen(ctx)
}

func missingPage(known, *http.Request) view {
	return view{title: "Not found", code: http.StatusNotFound}
}

// kinds are in the order in which they depend on each other.
var kinds = spec.Kinds()

// phases are sorted by how much they need somebody, the worst first.
var phases = []status.Phase{
	status.Failed, status.Blocked, status.Deleting, status.Progressing, status.Foreign, status.Orphaned, status.Suspended, status.Ready,
}
