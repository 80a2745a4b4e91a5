package statusapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
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
