package statusapi

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("A server", func() {
	var board *status.Board
	var server *http.Server
	var address string
	closed := make(chan struct{}, 10)

	BeforeEach(func(ctx SpecContext) {
		board = &status.Board{}
		var listener net.ListenConfig
		l, err := listener.Listen(ctx, "tcp", "127.0.0.1:0")
		Expect(err).NotTo(HaveOccurred())
		serving, end := context.WithCancel(context.Background())
		DeferCleanup(end)
		server = newServer(serving, Source{Status: board})
		Expect(server.WriteTimeout).To(BeNumerically(">", waitLimit))
		server.WriteTimeout = 200 * time.Millisecond
		server.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				closed <- struct{}{}
			}
		}
		go func() { _ = server.Serve(l) }() // until the spec closes it
		DeferCleanup(server.Close)
		address = l.Addr().String()
	})
	publish := func(n int) {
		var objects []status.Object
		for i := range n {
			objects = append(objects, status.Object{Kind: spec.KindVolume, Name: fmt.Sprint("v", i), Phase: status.Blocked, Message: strings.Repeat("x", 2000)})
		}
		board.Publish(objects, nil, status.PassCost{}, time.Now())
	}

	It("leaves a client that does not read its answer", func(ctx SpecContext) {
		publish(20_000) // 40 MB, more than sockets hold
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(conn.Close)
		_, err = conn.Write([]byte("GET /v1/status HTTP/1.1\r\nHost: node\r\n\r\n"))
		Expect(err).NotTo(HaveOccurred())
		Eventually(ctx, closed).Should(Receive())
	}, SpecTimeout(30*time.Second))

	It("keeps one that listens for events", func(ctx SpecContext) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/v1/events", nil)
		Expect(err).NotTo(HaveOccurred())
		request.Header.Set("Accept", "text/event-stream")
		response, err := http.DefaultClient.Do(request)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(response.Body.Close)
		Consistently(ctx, closed).WithTimeout(2 * server.WriteTimeout).ShouldNot(Receive())
		publish(1)
		lines := bufio.NewScanner(response.Body)
		for lines.Scan() && !strings.HasPrefix(lines.Text(), "data: ") {
		}
		Expect(lines.Text()).To(ContainSubstring(`"v0"`))
	}, SpecTimeout(30*time.Second))
})

var _ = Describe("By TCP", func() {
	It("only so many are connected at a time, and the next one waits", func(ctx SpecContext) {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		Expect(err).NotTo(HaveOccurred())
		serving, end := context.WithCancel(context.Background())
		DeferCleanup(end)
		go func() { _ = ServeTCP(serving, l, "", Source{Status: &status.Board{}}, logr.Discard()) }() // until the spec ends
		ask := func() (conn net.Conn, answered func() error) {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
			Expect(err).NotTo(HaveOccurred())
			DeferCleanup(func() { _ = conn.Close() }) // some are closed by then
			_, err = conn.Write([]byte("GET /healthz HTTP/1.1\r\nHost: node\r\n\r\n"))
			Expect(err).NotTo(HaveOccurred())
			return conn, func() error {
				Expect(conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))).To(Succeed())
				_, err := conn.Read(make([]byte, 1))
				return err
			}
		}
		var last net.Conn
		for range maxConnections {
			conn, answered := ask()
			Eventually(ctx, answered).Should(Succeed())
			last = conn
		}
		_, answered := ask()
		Expect(answered()).To(MatchError(os.ErrDeadlineExceeded))
		Expect(last.Close()).To(Succeed())
		Eventually(ctx, answered).Should(Succeed())
	}, SpecTimeout(30*time.Second))
})
