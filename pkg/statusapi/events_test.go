package statusapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/statusapi"
)

var _ = Describe("The events", func() {
	var board *status.Board
	var server *httptest.Server
	publish := func(phase status.Phase) {
		board.Publish([]status.Object{{Kind: spec.KindVolume, Name: "a", Phase: phase}}, nil, status.PassCost{}, time.Now())
	}
	BeforeEach(func() {
		board = &status.Board{}
		ctx, cancel := context.WithCancel(context.Background())
		server = httptest.NewServer(statusapi.Handler(ctx, statusapi.Source{Status: board}))
		DeferCleanup(func() { cancel(); server.Close() })
	})
	ask := func(ctx context.Context, query string, header ...string) *http.Response {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/v1/events"+query, nil)
		Expect(err).NotTo(HaveOccurred())
		for i := 0; i < len(header); i += 2 {
			request.Header.Set(header[i], header[i+1])
		}
		response, err := http.DefaultClient.Do(request)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(response.Body.Close)
		return response
	}
	events := func(ctx context.Context, query string) []status.Event {
		var answer statusapi.Events
		Expect(json.NewDecoder(ask(ctx, query).Body).Decode(&answer)).To(Succeed())
		Expect(answer.Events).NotTo(BeNil())
		return answer.Events
	}

	It("are those since an ID", func(ctx SpecContext) {
		Expect(events(ctx, "")).To(BeEmpty())
		publish(status.Failed)
		publish(status.Ready)
		all := events(ctx, "")
		Expect(all).To(HaveLen(2))
		Expect(events(ctx, "?since="+strconv.FormatInt(all[0].ID, 10))).To(Equal(all[1:]))
		Expect(ask(ctx, "?since=yesterday").StatusCode).To(Equal(http.StatusBadRequest))
	})

	It("are told as they happen, from the last one that a client has seen", func(ctx SpecContext) {
		publish(status.Failed)
		publish(status.Ready)
		first := events(ctx, "")[0].ID
		response := ask(ctx, "", "Accept", "text/event-stream", "Last-Event-ID", strconv.FormatInt(first, 10))
		Expect(response.Header.Get("Content-Type")).To(Equal("text/event-stream"))
		lines := bufio.NewScanner(response.Body)
		next := func() (e status.Event) {
			for lines.Scan() {
				if data, is := strings.CutPrefix(lines.Text(), "data: "); is {
					Expect(json.Unmarshal([]byte(data), &e)).To(Succeed())
					return e
				}
			}
			Fail("the stream has ended")
			return e
		}
		Expect(next().Phase).To(Equal(status.Ready))
		publish(status.Blocked)
		Expect(next().Phase).To(Equal(status.Blocked))
	})

	It("are told to so many clients at once, and to the next one when one has gone", func(ctx SpecContext) {
		var leave []context.CancelFunc
		code := func() int {
			clientCtx, cancel := context.WithCancel(ctx)
			DeferCleanup(cancel)
			leave = append(leave, cancel)
			return ask(clientCtx, "", "Accept", "text/event-stream").StatusCode
		}
		for range 64 {
			Expect(code()).To(Equal(http.StatusOK))
		}
		Expect(code()).To(Equal(http.StatusServiceUnavailable))
		leave[0]()
		Eventually(ctx, code).Should(Equal(http.StatusOK))
	})
})

var _ = Describe("A client of the events", func() {
	var board *status.Board
	var client *statusapi.Client
	var stop context.CancelFunc
	publish := func(phase status.Phase) {
		board.Publish([]status.Object{{Kind: spec.KindVolume, Name: "a", Phase: phase}}, nil, status.PassCost{}, time.Now())
	}
	BeforeEach(func() {
		board = &status.Board{}
		socket := filepath.Join(GinkgoT().TempDir(), "s")
		listener, err := statusapi.Listen(socket)
		Expect(err).NotTo(HaveOccurred())
		var ctx context.Context
		ctx, stop = context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = statusapi.Serve(ctx, listener, statusapi.Source{Status: board}) // it ends when the spec does
		}()
		DeferCleanup(func() { stop(); <-ended })
		client = statusapi.NewClient(socket)
	})

	It("is given those since an ID", func(ctx SpecContext) {
		publish(status.Failed)
		publish(status.Ready)
		all, err := client.Events(ctx, 0)
		Expect(err).NotTo(HaveOccurred())
		Expect(all).To(HaveLen(2))
		Expect(client.Events(ctx, all[0].ID)).To(Equal(all[1:]))
		_, err = client.Events(ctx, -1)
		Expect(err).To(MatchError(ContainSubstring(`400 Bad Request: since="-1"`)))
	})

	It("follows them until the agent ends, or it has enough", func(ctx SpecContext) {
		publish(status.Failed)
		var seen []status.Phase
		each := func(e status.Event) error {
			switch seen = append(seen, e.Phase); len(seen) {
			case 1:
				publish(status.Ready)
			case 2:
				stop()
			}
			return nil
		}
		Expect(client.Follow(ctx, 0, each)).To(MatchError(statusapi.ErrEnded))
		Expect(seen).To(Equal([]status.Phase{status.Failed, status.Ready}))
	})

	It("returns the error of whoever is told, and that of the context", func(ctx SpecContext) {
		publish(status.Failed)
		full := errors.New("the disk is full")
		Expect(client.Follow(ctx, 0, func(status.Event) error { return full })).To(MatchError(full))
		limited, cancel := context.WithCancel(ctx)
		Expect(client.Follow(limited, 0, func(status.Event) error { cancel(); return nil })).To(MatchError(context.Canceled))
	})
})

var _ = Describe("What else is answered", func() {
	It("is what there is", func(ctx SpecContext) {
		var reads atomic.Int32
		var plan any
		fails, kept := errors.New("no LVM"), error(nil)
		handler := statusapi.Handler(ctx, statusapi.Source{
			Status: &status.Board{}, Plan: func() any { return plan },
			Node: func(context.Context) ([]byte, error) {
				reads.Add(1)
				return []byte("node"), fails
			},
			Identities: func() ([]byte, error) { return []byte("{}"), kept },
		})
		ask := func(path string) *httptest.ResponseRecorder {
			r := httptest.NewRecorder()
			handler.ServeHTTP(r, httptest.NewRequest(http.MethodGet, path, nil))
			return r
		}
		Expect(ask("/v1/plan").Code).To(Equal(http.StatusServiceUnavailable))
		plan = map[string]int{"steps": 1}
		Expect(ask("/v1/plan").Body.String()).To(MatchJSON(`{"steps": 1}`))
		Expect(ask("/v1/node").Body.String()).To(Equal("no LVM\n"))
		Expect(ask("/v1/node").Code).To(Equal(http.StatusServiceUnavailable))
		Expect(reads.Load()).To(BeEquivalentTo(1), "whoever asks again and again costs the node nothing")
		kept = fs.ErrNotExist
		Expect(ask("/v1/identities").Code).To(Equal(http.StatusNoContent))
		kept = fails
		Expect(ask("/v1/identities").Code).To(Equal(http.StatusServiceUnavailable))
		kept = nil
		Expect(ask("/v1/identities").Body.String()).To(Equal("{}"))
		Expect(ask("/metrics").Code).To(Equal(http.StatusNotFound))
		Expect(ask("/").Code).To(Equal(http.StatusNotFound))
	})
})
