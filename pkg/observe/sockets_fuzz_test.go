package observe

import "testing"

// FuzzSockets feeds the reader of the kernel's list of sockets with anything.
func FuzzSockets(f *testing.F) {
	f.Add("0100007F:0CBC")
	f.Add("B80D0120000000000000000001000000:0CBC")
	f.Add("  sl  local_address\n   0: 00000000:0CBC 00000000:0000 0A\n")
	f.Fuzz(func(t *testing.T, text string) {
		if address, err := parseSocketAddress(text); err == nil && !address.IsValid() {
			t.Errorf("%q is read as the address is missing", text)
		}
		sockets, err := ParseSockets(text, SocketListening)
		for _, s := range sockets {
			if err == nil && (!s.Local.IsValid() || !s.Remote.IsValid()) {
				t.Errorf("%q has a socket without an address", text)
			}
		}
	})
}
