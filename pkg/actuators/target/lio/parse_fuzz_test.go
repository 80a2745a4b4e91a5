package lio

import (
	"strings"
	"testing"
)

func FuzzParseSocketAddress(f *testing.F) {
	f.Add("0100007F:0CBC")
	f.Add("B80D0120000000000000000001000000:0CBC")
	f.Add(":")
	f.Fuzz(func(t *testing.T, text string) {
		address, err := parseSocketAddress(text)
		if err == nil && !address.IsValid() {
			t.Errorf("%q is read as no address", text)
		}
	})
}

func FuzzParseMapperUUID(f *testing.F) {
	f.Add("LVM-0123456789abcdefghijklmnopqrstuvNgKyJa8gzQlUek5xemjYFoJLBcOE6weK")
	f.Add("LVM-")
	f.Fuzz(func(t *testing.T, text string) {
		uuid, err := parseMapperUUID(text)
		if err == nil && (len(uuid) != 32 || !strings.HasSuffix(text, uuid)) {
			t.Errorf("%q is read from %q", uuid, text)
		}
	})
}
