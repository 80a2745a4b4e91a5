package observe

import (
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func listening(text string) ([]netip.AddrPort, error) {
	sockets, err := ParseSockets(text, SocketListening)
	var all []netip.AddrPort
	for _, s := range sockets {
		all = append(all, s.Local)
	}
	return all, err
}

var _ = Describe("listening sockets", func() {
	It("are found in /proc/net/tcp", func() {
		Expect(listening(`  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0708090A:0CBC 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 224009 1 00000000f0caa569 100 0 0 10 0
   1: 00000000:0CEF 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 15777 1 000000000cad8a23 100 0 0 10 0
   2: 0100007F:0CBC 0100007F:A2B4 01 00000000:00000000 00:00000000 00000000     0        0 225123 1 000000000cad8a23 20 4 24 10 -1
`)).To(HaveExactElements(
			netip.MustParseAddrPort("10.9.8.7:3260"),
			netip.MustParseAddrPort("0.0.0.0:3311"),
		))
	})

	It("are found in /proc/net/tcp6", func() {
		Expect(listening(`  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000001000000:0CBC 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 224005 1 000000003faad5ae 100 0 0 10 0
   1: B80D0120000000000000000001000000:0CBC 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 224005 1 000000003faad5ae 100 0 0 10 0
`)).To(HaveExactElements(
			netip.MustParseAddrPort("[::1]:3260"),
			netip.MustParseAddrPort("[2001:db8::1]:3260"),
		))
	})
})
