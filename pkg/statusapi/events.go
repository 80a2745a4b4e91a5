package statusapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

// Events are the last events, the oldest first, as GET /v1/events answers. A client asks again with the
// ID of the last one as since.
//
// A client that accepts text/event-stream receives each event as it happens, until it disconnects: its
// ID is the event's, and its data is the event as JSON. Last-Event-ID is the same as since. Without
// either, the stream begins with what happens next.
type Events struct {
	Events []status.Event `json:"events"`
}

// eventStream is the type of server-sent events.
const eventStream = "text/event-stream"

const (
	// maxStreams is how many clients receive events as they happen.
	maxStreams = 64
	// aliveEvery is how often a stream says something, so that a client that has gone is noticed.
	aliveEvery = 15 * time.Second
)

func serveEvents(ctx context.Context, board *status.Board, streams chan struct{}, w http.ResponseWriter, r *http.Request) {
	streaming := strings.Contains(r.Header.Get("Accept"), eventStream)
	text := r.URL.Query().Get("since")
	if last := r.Header.Get("Last-Event-ID"); streaming && last != "" {
		text = last
	}
	var since int64
	if text != "" {
		var err error
		if since, err = strconv.ParseInt(text, 10, 64); err != nil || since < 0 {
			answer(w, http.StatusBadRequest, fmt.Sprintf("since=%q is not the ID of an event; write a whole number, or leave it out", text))
			return
		}
	}
	if !streaming {
		events, _ := board.Events(since)
		answerJSON(w, Events{notNil(events)})
		return
	}
	select {
	case streams <- struct{}{}:
		defer func() { <-streams }()
	default:
		answer(w, http.StatusServiceUnavailable, fmt.Sprintf("there are %d clients already; ask for events without text/event-stream", maxStreams))
		return
	}
	if text == "" {
		if events, _ := board.Events(0); len(events) > 0 {
			since = events[len(events)-1].ID
		}
	}
	stream(ctx, board, since, w, r)
}

// stream tells a client events until it, or ctx, has gone.
func stream(ctx context.Context, board *status.Board, since int64, w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", eventStream)
	w.Header().Set("Cache-Control", "no-store")
	controller := http.NewResponseController(w)
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	said := ":\n\n" // the headers are to arrive at once
	for {
		// As long as it reads, a stream has no end.
		_ = controller.SetWriteDeadline(time.Now().Add(writeLimit)) // tests write to memory, which has none
		if _, err := w.Write([]byte(said)); err != nil || controller.Flush() != nil {
			return
		}
		events, more := board.Events(since)
		if len(events) == 0 {
			select {
			case <-more:
			case <-alive.C:
			case <-r.Context().Done():
				return
			case <-ctx.Done():
				return
			}
			said = ":\n\n"
			continue
		}
		var b strings.Builder
		for _, e := range events {
			data, err := json.Marshal(e)
			if err != nil {
				return
			}
			_, _ = fmt.Fprintf(&b, "id: %d\ndata: %s\n\n", e.ID, data) // never fails
		}
		said, since = b.String(), events[len(events)-1].ID
	}
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
