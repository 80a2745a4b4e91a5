package device

import (
	"strings"
	"testing"
)

// FuzzMapperUUID feeds the reader of device-mapper's UUIDs with anything.
func FuzzMapperUUID(f *testing.F) {
	f.Add("LVM-0123456789abcdefghijklmnopqrstuvNgKyJa8gzQlUek5xemjYFoJLBcOE6weK")
	f.Add("LVM-")
	f.Fuzz(func(t *testing.T, text string) {
		if uuid, err := parseMapperUUID(text); err == nil && (len(uuid) != 32 || !strings.HasSuffix(text, uuid)) {
			t.Errorf("%q is read from %q", uuid, text)
		}
	})
}
