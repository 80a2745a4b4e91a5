package host

import (
	"io"
	"io/fs"
	"net"
	"path/filepath"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("DialUnix", func() {
	It("connects, and says why not", func(ctx SpecContext) {
		path := filepath.Join(GinkgoT().TempDir(), "s")
		_, err := New().DialUnix(ctx, path)
		Expect(err).To(MatchError(fs.ErrNotExist))

		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		Expect(err).NotTo(HaveOccurred())
		l.SetUnlinkOnClose(false)
		go func() {
			if conn, err := l.Accept(); err == nil {
				_, _ = conn.Write([]byte("hello"))
				_ = conn.Close()
			}
		}()
		conn, err := New().DialUnix(ctx, path)
		Expect(err).NotTo(HaveOccurred())
		Expect(io.ReadAll(conn)).To(BeEquivalentTo("hello"))
		Expect(conn.Close()).To(Succeed())
		Expect(l.Close()).To(Succeed())
		_, err = New().DialUnix(ctx, path)
		Expect(err).To(MatchError(syscall.ECONNREFUSED))
	})
})
