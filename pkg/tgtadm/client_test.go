package tgtadm

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// serve answers every connection with handle, and returns how to dial it.
func serve(handle func(conn net.Conn, header, text []byte)) Dial {
	GinkgoHelper()
	l, err := net.Listen("unix", filepath.Join(GinkgoT().TempDir(), "s"))
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(l.Close)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				header := make([]byte, headerSize)
				if _, err := io.ReadFull(conn, header); err != nil {
					return
				}
				text := make([]byte, binary.NativeEndian.Uint32(header[72:])-headerSize)
				if _, err := io.ReadFull(conn, text); err != nil {
					return
				}
				handle(conn, header, text)
			}()
		}
	}()
	return func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", l.Addr().String())
	}
}

func answer(code, size uint32, text string) []byte {
	b := binary.NativeEndian.AppendUint32(nil, code)
	return append(binary.NativeEndian.AppendUint32(b, size), text...)
}

var _ = Describe("A request", func() {
	always := func(b []byte) Dial {
		return serve(func(conn net.Conn, _, _ []byte) { _, _ = conn.Write(b) })
	}

	It("is one structure and one text that ends in a zero byte", func(ctx SpecContext) {
		got := make(chan []byte, 1)
		c := New(serve(func(conn net.Conn, header, text []byte) {
			got <- append(header, text...)
			_, _ = conn.Write(answer(0, 8, ""))
		}))
		Expect(c.NewLUN(ctx, 3, 1<<14-1, BackingStore{Path: "/dev/x", Type: "rdwr", Flags: "direct", BlockSize: 4096})).To(Succeed())
		b := <-got
		order := binary.NativeEndian
		Expect(order.Uint32(b[0:])).To(Equal(modeLUN))
		Expect(order.Uint32(b[4:])).To(Equal(opNew))
		Expect(string(b[8:14])).To(Equal("iscsi\x00"))
		Expect(order.Uint32(b[76:])).To(BeEquivalentTo(3))
		Expect(order.Uint64(b[88:])).To(BeEquivalentTo(1<<14 - 1))
		Expect(string(b[headerSize:])).To(Equal("path=/dev/x,bstype=rdwr,bsoflags=direct,blocksize=4096\x00"))
	})

	DescribeTable("fails",
		func(ctx SpecContext, b []byte, match OmegaMatcher) {
			_, err := New(always(b)).Accounts(ctx)
			Expect(err).To(match)
			var failed *RequestError
			Expect(errors.As(err, &failed)).To(BeTrue())
		},
		Entry("with the daemon's code", answer(4, 8, ""), MatchError(ErrNoTarget)),
		Entry("with a code of the future", answer(99, 8, ""), MatchError(ContainSubstring("error 99"))),
		Entry("without an answer", []byte(nil), MatchError(ErrNoAnswer)),
		Entry("in the middle of the header", []byte{0, 0, 0, 0, 0}, MatchError(io.ErrUnexpectedEOF)),
		Entry("in the middle of the text", answer(0, 20, "Acc"), MatchError(ContainSubstring("ends after 3 of 12 bytes"))),
		Entry("with an impossible size", answer(0, 7, ""), MatchError(ContainSubstring("the answer announces 7 bytes"))),
		Entry("with too much", answer(0, maxAnswer+1, ""), MatchError(ContainSubstring("the answer announces"))),
		Entry("with another text", answer(0, 13, "Hello"), MatchError(ContainSubstring("Hello"))),
	)

	It("fails if nobody listens", func(ctx SpecContext) {
		c := New(func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(GinkgoT().TempDir(), "none"))
		})
		_, err := c.Targets(ctx)
		Expect(err).To(MatchError(ContainSubstring("check that tgtd runs")))
	})

	It("ends with its context", func(ctx SpecContext) {
		c := New(serve(func(conn net.Conn, _, _ []byte) { _, _ = conn.Read(make([]byte, 1)) }))
		short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		err := c.NewAccount(short, "alice", "secretsecret1")
		Expect(err).To(MatchError(context.DeadlineExceeded))
		Expect(err.Error()).NotTo(ContainSubstring("secretsecret1"))
	}, SpecTimeout(10*time.Second))

	It("is not sent if the daemon would take it for something else", func(ctx SpecContext) {
		c := New(func(context.Context) (net.Conn, error) { return nil, errors.New("it was sent") })
		long := strings.Repeat("x", MaxName+1)
		for _, err := range []error{
			c.NewTarget(ctx, 0, "iqn.x:y"), c.NewTarget(ctx, 1, ""), c.NewTarget(ctx, 1, "iqn.x:y_z"), c.NewTarget(ctx, 1, long),
			c.NewLUN(ctx, 1, 1, BackingStore{Path: "/a,b"}), c.NewLUN(ctx, 1, 1, BackingStore{Path: "a"}), c.NewLUN(ctx, 1, 1<<14, BackingStore{Path: "/a"}),
			c.NewLUN(ctx, 1, 1, BackingStore{Path: "/a", Type: "x,y"}), c.Reopen(ctx, 1, 1, "/"+strings.Repeat("x", maxPath)),
			c.UpdateLUN(ctx, 1, 1, Parameter{"scsi_id", "a,path=/etc/shadow"}), c.UpdateTarget(ctx, 1, "a=b", "c"),
			c.AllowInitiator(ctx, 1, "a\nb"), c.AllowAddress(ctx, 1, "x,initiator-name=y"), c.ForbidInitiator(ctx, 1, ""),
			c.NewAccount(ctx, "a,b", "p"), c.NewAccount(ctx, "a", ""), c.NewAccount(ctx, "a", long), c.NewAccount(ctx, "a", "p\x00q"),
			c.DeleteAccount(ctx, ""), c.BindAccount(ctx, 0, "a", Incoming), c.NewPortal(ctx, netip.AddrPort{}),
			c.NewPortal(ctx, netip.MustParseAddrPort("[fe80::1%eth0]:3260")), c.DeletePortal(ctx, netip.MustParseAddrPort("[::1]:0")),
			c.DeleteTarget(ctx, -1, true), c.DeleteLUN(ctx, 0, 1), c.CloseConnection(ctx, 0, 1, 0),
		} {
			Expect(err).To(HaveOccurred())
			Expect(err.Error()).NotTo(ContainSubstring("it was sent"))
		}
	})

	It("has no password in its errors", func(ctx SpecContext) {
		err := New(always(answer(14, 8, ""))).NewAccount(ctx, "alice", "secretsecret1")
		Expect(err).To(MatchError(ErrAccountExists))
		Expect(err.Error()).To(Equal(`tgtd: create account "alice": the account already exists`))
	})
})
