package tgtadm

import (
	"strings"
	"testing"
)

// FuzzShow feeds the parsers with anything: none may panic, and what is read
// must be in what was there.
func FuzzShow(f *testing.F) {
	f.Add(shown, drivers)
	f.Add("", "LLDs:\n    iscsi: ready\n")
	f.Add(strings.Replace(shown, "alias: none", "alias: x\nTarget 7: iqn.2026-11.lab:t7\n    LUN information:", 1), drivers)
	f.Add("System:\n    State: ready\nLLDs:\n    iscsi: ready\n", "Account list:\n    a\n")
	f.Add("Portal: [::1]:3260,1\n", "tgt lun\n  1 1 1 0 1 0 0 0 0 0 0 0\n")
	f.Fuzz(func(t *testing.T, text, names string) {
		_, _ = parseAccounts(names)
		_, _ = parsePortals(text)
		_, _ = parseSystem(text)
		_, _ = parseInFlight(names)
		headings, err := parseHeadings(names)
		if err != nil {
			return
		}
		targets, err := parseTargets(text, headings)
		if err != nil {
			return
		}
		if len(targets) != len(headings) {
			t.Errorf("%d targets for %d headings", len(targets), len(headings))
		}
		for _, target := range targets {
			for _, s := range append(append(append([]string{target.Name, target.Outgoing}, target.Incoming...), target.Access...), luns(target)...) {
				if !strings.Contains(text, s) || strings.Contains(s, "\n") {
					t.Errorf("%q was read, of %q", s, text)
				}
			}
		}
	})
}

func luns(t Target) (texts []string) {
	for _, l := range t.LUNs {
		texts = append(texts, l.ID, l.Serial, l.Path, l.Store, l.Flags, l.Type)
	}
	return texts
}
