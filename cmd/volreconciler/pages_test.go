package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// browse reads the pages of the dashboard from the socket.
func (a *secretive) browse(ctx context.Context) {
	GinkgoHelper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", a.s.socket())
	}}}
	for _, path := range []string{"/", "/objects", "/objects/Export/data", "/objects/Volume/data", "/pools", "/events"} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent"+path, nil)
		Expect(err).NotTo(HaveOccurred())
		response, err := client.Do(request)
		Expect(err).NotTo(HaveOccurred())
		page, err := io.ReadAll(response.Body)
		Expect(errors.Join(err, response.Body.Close())).To(Succeed())
		Expect(response.StatusCode).To(Equal(http.StatusOK), path)
		Expect(string(page)).To(ContainSubstring("<main"), path)
		a.say("the page "+path, string(page))
	}
}
