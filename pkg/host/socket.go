package host

import (
	"context"
	"net"
)

// Dialer connects to services of the machine.
type Dialer interface {
	// DialUnix connects to the Unix stream socket at path. A service that is
	// not there is fs.ErrNotExist, one that does not listen any more
	// syscall.ECONNREFUSED, by errors.Is.
	DialUnix(ctx context.Context, path string) (net.Conn, error)
}

var _ Dialer = (*OS)(nil)

// DialUnix connects to a socket, see [Dialer].
func (*OS) DialUnix(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", path)
}
