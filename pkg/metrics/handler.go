package metrics

import (
	"bytes"
	"net/http"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Handler returns what answers /metrics. It serves few at a time: each scrape of a large node takes memory.
func (c *Collector) Handler() http.Handler {
	format := promhttp.HandlerForTransactional(c, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
	var bodies sync.Pool
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The format is written line by line. Sending it in pieces of 4 KiB takes longer than making it.
		b, reused := bodies.Get().(*buffered)
		if !reused {
			b = &buffered{}
		}
		b.ResponseWriter, b.code = w, http.StatusOK
		b.body.Reset()
		format.ServeHTTP(b, r)
		w.Header().Set("Content-Length", strconv.Itoa(b.body.Len()))
		w.WriteHeader(b.code)
		_, _ = w.Write(b.body.Bytes()) // an error means that the client has gone
		b.ResponseWriter = nil
		bodies.Put(b)
	})
}

// buffered keeps an answer.
type buffered struct {
	http.ResponseWriter
	code int
	body bytes.Buffer
}

// WriteHeader implements [http.ResponseWriter].
func (b *buffered) WriteHeader(code int) { b.code = code }

// Write implements [http.ResponseWriter].
func (b *buffered) Write(p []byte) (int, error) { return b.body.Write(p) }
