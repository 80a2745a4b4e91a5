package statusapi

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"sync"
	"time"
)

func servePlan(w http.ResponseWriter, plan any) {
	if plan == nil {
		answer(w, http.StatusServiceUnavailable, notReady)
		return
	}
	answerJSON(w, plan)
}

func serveIdentities(w http.ResponseWriter, read func() ([]byte, error)) {
	switch data, err := read(); {
	case errors.Is(err, fs.ErrNotExist):
		w.WriteHeader(http.StatusNoContent)
	case err != nil:
		answer(w, http.StatusServiceUnavailable, err.Error())
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(data) // an error here means that the client has gone
	}
}

const (
	// nodeLimit is how long reading the machine may take, and nodeAge is how old an answer may be: whoever
	// asks without end costs the node no more than that.
	nodeLimit = time.Minute
	nodeAge   = 5 * time.Second
)

// nodeHandler answers with the machine as it is. Several who ask at once share one reading.
type nodeHandler struct {
	read func(context.Context) ([]byte, error)

	mu   sync.Mutex
	data []byte
	err  error
	at   time.Time
}

func (h *nodeHandler) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	data, err := h.answer()
	if err != nil {
		answer(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(data)
}

func (h *nodeHandler) answer() ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at.IsZero() || time.Since(h.at) > nodeAge {
		// It is not ended with the request: others wait for it as well.
		ctx, cancel := context.WithTimeout(context.Background(), nodeLimit)
		defer cancel()
		h.data, h.err = h.read(ctx)
		h.at = time.Now()
	}
	return h.data, h.err
}
