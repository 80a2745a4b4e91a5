package observe

import (
	"os"
	"testing"
)

// FuzzParseReport feeds the reader of LVM's report with anything: it must not
// panic, and what it accepts must be whole.
func FuzzParseReport(f *testing.F) {
	for _, name := range []string{"lvm_fullreport.json", "lvm_none.json", "lvm_lvs.json"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"report":[{"vg":[{}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		groups, _, err := parseReport(data)
		if err != nil {
			if groups != nil {
				t.Fatal("an error, and something else")
			}
			return
		}
		for name, vg := range groups {
			if vg.Name != name || vg.UUID == "" {
				t.Fatalf("accepted %+v", vg)
			}
			for name, lv := range vg.LogicalVolumes {
				if lv.Name != name || lv.UUID == "" || lv.VolumeGroup != vg.Name || lv.Type == "" {
					t.Fatalf("accepted %+v", lv)
				}
			}
		}
	})
}
