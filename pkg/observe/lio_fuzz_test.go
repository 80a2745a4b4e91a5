package observe

import (
	"strings"
	"testing"
)

func FuzzParseBackstoreInfo(f *testing.F) {
	f.Add("Status: ACTIVATED  SectorSize: 512\n        iBlock device: dm-6  UDEV PATH: /dev/vg0/t2  readonly: 1\n")
	f.Add("  readonly: \n")
	f.Fuzz(func(t *testing.T, text string) {
		b, err := parseBackstoreInfo(text)
		if err == nil && (!strings.Contains(text, b.blockDevice) || !strings.Contains(text, b.path)) {
			t.Errorf("%q holds no %+v", text, b)
		}
	})
}

func FuzzParsePortal(f *testing.F) {
	f.Add("[::0]:3260")
	f.Add("0.0.0.0:3260")
	f.Fuzz(func(t *testing.T, name string) {
		once := ParsePortal(name)
		if again := ParsePortal(once); again != once {
			t.Errorf("%q becomes %q, and that %q", name, once, again)
		}
	})
}

func FuzzParseDynamicSessions(f *testing.F) {
	f.Add("iqn.a:b\n\x00iqn.c:d\n\x00")
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range parseDynamicSessions(text) {
			if name == "" || strings.ContainsAny(name, "\n\x00") {
				t.Errorf("%q is no name, in %q", name, text)
			}
		}
	})
}

func FuzzParseLUNName(f *testing.F) {
	f.Add("lun_0")
	f.Add("lun_0x10")
	f.Fuzz(func(t *testing.T, name string) {
		n, err := parseLUNName(name)
		if err != nil {
			return
		}
		if again, err := parseLUNName(lunName(n)); err != nil || again != n {
			t.Errorf("%q is %d, which is written %q and read as %d, %v", name, n, lunName(n), again, err)
		}
	})
}
