package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/doctor"
)

var _ = Describe("A diagnosis", func() {
	d := diagnosis{APIVersion: "v", Kind: "Diagnosis", Checks: 2, Findings: []doctor.Finding{
		{ID: "port-taken", Severity: doctor.Error, Subject: "0.0.0.0:3260", Text: "tgtd listens\x1b[2J", Consequence: "no portal", Command: "stop tgtd"},
		{ID: "agent", Severity: doctor.Note, Subject: "/run/agent.sock", Text: "no agent", Consequence: "nothing is kept"},
	}}

	It("is written for people", func() {
		var out strings.Builder
		Expect(d.write(&out, "text", "never")).To(Succeed())
		Expect(out.String()).NotTo(ContainSubstring("\x1b"))
		Expect(out.String()).To(HavePrefix("error port-taken: 0.0.0.0:3260\n    tgtd listens"))
		Expect(out.String()).To(HaveSuffix("    then: no portal\n    fix:  stop tgtd\n\n" +
			"note agent: /run/agent.sock\n    no agent\n    then: nothing is kept\n\n2 checks: 1 error, 0 warnings, 1 note\n"))
	})

	It("is written for scripts, with the fields that the help and docs/doctor.md name", func() {
		var out strings.Builder
		Expect(d.write(&out, "json", "never")).To(Succeed())
		var fields map[string]any
		Expect(json.Unmarshal([]byte(out.String()), &fields)).To(Succeed())
		page, err := os.ReadFile("../../docs/doctor.md")
		Expect(err).NotTo(HaveOccurred())
		named := newDoctorCommand().Long
		for field := range fields {
			Expect(named).To(ContainSubstring(field))
		}
		for field := range fields["findings"].([]any)[0].(map[string]any) {
			Expect(named).To(ContainSubstring(field))
			Expect(string(page)).To(ContainSubstring("| `" + field + "` |"))
		}
	})
})

var _ = Describe("The paths of a node", func() {
	It("are safe or not, and have space where nothing is yet", func() {
		top := GinkgoT().TempDir()
		s := newSettings()
		s.specs, s.stateDir, s.data.imageCache = filepath.Join(top, "specs"), filepath.Join(top, "state", "deep"), filepath.Join(top, "cache")
		Expect(os.Mkdir(s.specs, 0o755)).To(Succeed())
		Expect(os.Mkdir(s.data.imageCache, 0o755)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(s.data.imageCache, "image"), make([]byte, 4096), 0o600)).To(Succeed())
		for name, mode := range map[string]os.FileMode{"good.yaml": 0o644, "bad.yaml": 0o666} {
			Expect(os.WriteFile(filepath.Join(s.specs, name), nil, 0o600)).To(Succeed())
			Expect(os.Chmod(filepath.Join(s.specs, name), mode)).To(Succeed())
		}
		p := s.paths()
		Expect(p.Unsafe).To(HaveLen(1))
		Expect(p.Unsafe).To(HaveKeyWithValue(filepath.Join(s.specs, "bad.yaml"), ContainSubstring("writable by anybody (mode 0666)")))
		Expect(p.CacheUsed).To(BeEquivalentTo(4096))
		Expect(p.Space[s.stateDir].Size).To(BeNumerically(">", 0))
		Expect(p.Space[s.stateDir].Free).To(BeNumerically("<=", p.Space[s.stateDir].Size))
		Expect(s.stateDir).NotTo(BeADirectory(), "nothing is made")

		Expect(os.Chmod(s.specs, 0o777)).To(Succeed())
		Expect(s.paths().Unsafe).To(HaveKeyWithValue(s.specs, ContainSubstring("writable by anybody")))
	})
})
