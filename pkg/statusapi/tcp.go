package statusapi

import (
	"context"
	"log/slog"
	"net"
	"net/http"

	"github.com/go-logr/logr"
	"github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/net/netutil"
)

// CheckWebConfig returns what is wrong with a file in the format of the Prometheus exporters, which sets
// TLS, client certificates and passwords; see
// https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md.
func CheckWebConfig(file string) error { return web.Validate(file) }

// maxConnections is how many clients are connected by TCP at the same time; others wait. Whoever does
// not read is disconnected after a while.
const maxConnections = 256

// ServeTCP is [Serve] on a TCP listener, with the TLS and the passwords that a file asks for. With "" for
// the file everybody who can connect is answered. If the file cannot be read, nobody is.
func ServeTCP(ctx context.Context, listener net.Listener, file string, from Source, log logr.Logger) error {
	flags := &web.FlagConfig{WebConfigFile: &file}
	return serveUntil(ctx, newServer(ctx, from), func(server *http.Server) error {
		return web.Serve(netutil.LimitListener(listener, maxConnections), server, flags, slog.New(logr.ToSlogHandler(log.V(1))))
	})
}
