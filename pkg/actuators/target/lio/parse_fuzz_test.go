package lio

import (
	"strings"
	"testing"
)

// FuzzKernelText feeds the readers of what the kernel says outside configfs with
// anything.
func FuzzKernelText(f *testing.F) {
	f.Add("0100007F:0CBC")
	f.Add("B80D0120000000000000000001000000:0CBC")
	f.Add("  sl  local_address\n   0: 00000000:0CBC 00000000:0000 0A\n")
	f.Add("LVM-0123456789abcdefghijklmnopqrstuvNgKyJa8gzQlUek5xemjYFoJLBcOE6weK")
	f.Add("LVM-")
	f.Fuzz(func(t *testing.T, text string) {
		if address, err := parseSocketAddress(text); err == nil && !address.IsValid() {
			t.Errorf("%q is read as no address", text)
		}
		listeners, err := parseListeners(text)
		for _, l := range listeners {
			if err == nil && !l.IsValid() {
				t.Errorf("%q has a listener without an address", text)
			}
		}
		if uuid, err := parseMapperUUID(text); err == nil && (len(uuid) != 32 || !strings.HasSuffix(text, uuid)) {
			t.Errorf("%q is read from %q", uuid, text)
		}
	})
}
