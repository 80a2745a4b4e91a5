package statusapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const (
	// waitLimit bounds how long a request for a newer report is held, so that a
	// client whose connection has died is noticed.
	waitLimit = 30 * time.Second
	// stopLimit is how long answers that are being written may take once the
	// server is to end.
	stopLimit = time.Second
)

// freshenEvery is how often whoever waits for a newer report has the machine read again, if that
// is not more often than the agent does so for anybody.
const freshenEvery = 5 * time.Second

const notReady = "the first pass has not finished yet"

// Source is what a [Handler] answers from. Only Status is required; what is not there is not found.
type Source struct {
	Status *status.Board
	// Plan returns the last plan; nil: there is none yet.
	Plan func() any
	// Node reads the machine and returns it as a file for plan --node, without passwords.
	Node func(context.Context) ([]byte, error)
	// Identities returns what the agent remembers of the machine's logical volumes, which plan --node takes for
	// FILE.identities.json. The error is fs.ErrNotExist if that is nothing.
	Identities func() ([]byte, error)
	// Agent returns what the agent says of itself.
	Agent func() Agent
	// Metrics answers /metrics, and Pages answers / and all that is below and not listed at [Handler].
	Metrics, Pages http.Handler
}

// Handler answers questions about the status:
//
//   - GET /healthz: 200 as long as the process answers at all;
//   - GET /readyz: 200 once a pass has ended, 503 before;
//   - GET /v1/status: the [status.Report] of the last pass, 503 before there
//     is one; with ?wait=GENERATION as soon as there is one of another
//     generation, or after half a minute the one there is; with ?kind=KIND, and
//     &name=NAME, only these objects of it;
//   - GET /v1/objects/KIND/NAME: one of these objects, 404 if there is none, 503 before
//     there are any;
//   - GET /v1/plan: what the last pass had to do, 503 before there is one;
//   - GET /v1/node: the machine as it is now, as a file for plan --node;
//   - GET /v1/identities: what the agent remembers of it, for the same, 204 if that is nothing;
//   - GET /v1/agent: what the agent says of itself, see [Agent];
//   - GET /v1/events?since=ID: the last events, see [Events];
//   - GET /metrics, and /.
//
// Requests that wait end with ctx.
func Handler(ctx context.Context, from Source) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if report, _ := from.Status.Report(); report.Time.IsZero() {
			answer(w, http.StatusServiceUnavailable, notReady)
			return
		}
		answer(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) {
		serveStatus(ctx, from.Status, w, r)
	})
	mux.HandleFunc("GET /v1/objects/{kind}/{name}", func(w http.ResponseWriter, r *http.Request) {
		from.Status.Freshen(r.Context())
		serveObject(from.Status, w, spec.ID{Kind: kindOf(r.PathValue("kind")), Name: r.PathValue("name")})
	})
	streams := make(chan struct{}, maxStreams)
	mux.HandleFunc("GET /v1/events", func(w http.ResponseWriter, r *http.Request) {
		serveEvents(ctx, from.Status, streams, w, r)
	})
	if from.Plan != nil {
		mux.HandleFunc("GET /v1/plan", func(w http.ResponseWriter, _ *http.Request) { servePlan(w, from.Plan()) })
	}
	if from.Node != nil {
		mux.Handle("GET /v1/node", &nodeHandler{read: from.Node})
	}
	if from.Identities != nil {
		mux.HandleFunc("GET /v1/identities", func(w http.ResponseWriter, _ *http.Request) { serveIdentities(w, from.Identities) })
	}
	if from.Agent != nil {
		mux.HandleFunc("GET /v1/agent", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, from.Agent()) })
	}
	if from.Metrics != nil {
		mux.Handle("GET /metrics", from.Metrics)
	}
	if from.Pages != nil {
		mux.Handle("GET /", from.Pages)
	}
	return mux
}

// kindOf returns the kind of a word; a word that is none as it is.
func kindOf(word string) spec.Kind {
	for _, kind := range spec.Kinds() {
		if strings.EqualFold(word, string(kind)) {
			return kind
		}
	}
	return spec.Kind(word)
}

func serveObject(status *status.Board, w http.ResponseWriter, id spec.ID) {
	report, _ := status.Report()
	object, found := report.Object(id)
	switch {
	case report.Generation == 0:
		answer(w, http.StatusServiceUnavailable, notReady)
	case !found:
		answer(w, http.StatusNotFound, fmt.Sprintf("%s does not exist", id))
	default:
		answerJSON(w, object)
	}
}

// selected returns the objects of a report that a query asks for, which are all if it
// does not say. None is no error.
func selected(report status.Report, query url.Values) []status.Object {
	kind, name := kindOf(query.Get("kind")), query.Get("name")
	switch {
	case kind == "":
		return report.Objects
	case name == "":
		return slices.DeleteFunc(slices.Clone(report.Objects), func(o status.Object) bool { return o.Kind != kind })
	}
	if object, found := report.Object(spec.ID{Kind: kind, Name: name}); found {
		return []status.Object{object}
	}
	return []status.Object{}
}

func serveStatus(ctx context.Context, status *status.Board, w http.ResponseWriter, r *http.Request) {
	status.Freshen(r.Context())
	report, _ := status.Report()
	if text := r.URL.Query().Get("wait"); text != "" {
		generation, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			answer(w, http.StatusBadRequest, fmt.Sprintf("wait=%q is not a generation; write a whole number", text))
			return
		}
		report = waitForOther(ctx, r.Context(), status, generation)
	}
	if report.Generation == 0 {
		answer(w, http.StatusServiceUnavailable, notReady)
		return
	}
	report.Objects = selected(report, r.URL.Query())
	answerJSON(w, report)
}

func answerJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	// An error here means that the client has gone.
	_ = json.NewEncoder(w).Encode(value)
}

// waitForOther returns the first report that is not of the given generation. It
// does not ask for a greater one: generations count from 1 again when the agent
// is restarted.
func waitForOther(server, request context.Context, status *status.Board, than int64) status.Report {
	limit := time.NewTimer(waitLimit)
	defer limit.Stop()
	again := time.NewTicker(freshenEvery)
	defer again.Stop()
	for {
		report, changed := status.Report()
		if report.Generation != than {
			return report
		}
		select {
		case <-changed:
		case <-again.C:
			status.Freshen(request)
		case <-limit.C:
			return report
		case <-request.Done():
			return report
		case <-server.Done():
			return report
		}
	}
}

func answer(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, text+"\n")
}

// Serve answers on a listener until ctx ends, and then closes it.
func Serve(ctx context.Context, listener net.Listener, from Source) error {
	return serveUntil(ctx, newServer(ctx, from), func(server *http.Server) error { return server.Serve(listener) })
}

// writeLimit bounds how long an answer may take to be read, so that clients that do not read it cannot
// hold it in memory.
const writeLimit = 30 * time.Second

func newServer(ctx context.Context, from Source) *http.Server {
	return &http.Server{
		Handler: Handler(ctx, from), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		WriteTimeout: waitLimit + writeLimit, // counts from the request, which may wait
	}
}

// serveUntil runs a server until ctx ends.
func serveUntil(ctx context.Context, server *http.Server, serve func(*http.Server) error) error {
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		limited, cancel := context.WithTimeout(context.Background(), stopLimit)
		defer cancel()
		stopped <- errors.Join(server.Shutdown(limited), server.Close())
	})
	err := serve(server)
	if stop() {
		return err // ctx has not ended: it ended by itself
	}
	return <-stopped
}
