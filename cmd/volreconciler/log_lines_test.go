package main

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
)

// logged returns what is logged, in a format, without the time.
func logged(format string, say func(logr.Logger)) string {
	var out strings.Builder
	log, err := newLogger(&out, "debug", format)
	Expect(err).NotTo(HaveOccurred())
	say(log)
	if format == "json" {
		return out.String()
	}
	at, line, _ := strings.Cut(out.String(), "  ")
	_, err = time.Parse(time.RFC3339, at)
	Expect(err).NotTo(HaveOccurred())
	return line
}

var _ = DescribeTable("A line of the log says what happened", func(say func(logr.Logger), line string) {
	Expect(logged("text", say)).To(Equal(line + "\n"))
},
	Entry("a change", func(l logr.Logger) { step(l).Info("done", "why", "not there") },
		"INFO  Volume/db-data: created thin volume vg0/db-data, 20Gi, in pool0 (not there)"),
	Entry("drift", func(l logr.Logger) { step(l).Info("done", "why", "not there", "event", "DriftCorrected") },
		"INFO  Volume/db-data: created thin volume vg0/db-data, 20Gi, in pool0 (DriftCorrected: not there)"),
	Entry("a failure", func(l logr.Logger) { step(l).Error(errors.New("lvcreate: full\nno space\x1b[2J"), "failed") },
		"ERROR Volume/db-data: cannot create thin volume vg0/db-data, 20Gi, in pool0: lvcreate: full; no space [2J"),
	Entry("what is to be looked at again", func(l logr.Logger) { step(l).Info("stale", "because", "the machine changed") },
		"INFO  Volume/db-data: postponed: create thin volume vg0/db-data, 20Gi, in pool0: the machine changed"),
	Entry("a finding", func(l logr.Logger) {
		l.Error(errors.New("not a size"), "finding", "file", "specs/a.yaml", "line", 3, "column", 9, "field", "spec.size")
	}, "ERROR specs/a.yaml:3:9: spec.size: not a size"),
	Entry("a finding of a file", func(l logr.Logger) {
		l.Error(errors.New("cannot be read"), "finding", "file", "specs", "line", 0, "column", 0, "field", "")
	}, "ERROR specs: cannot be read"),
	Entry("a pass", func(l logr.Logger) {
		l.V(1).Info("pass", "seconds", 0.0123456, "processes", int64(2), "steps", 3, "failed", 1)
	}, "DEBUG pass took 12.346ms: steps 3, failed 1, processes 2"),
	Entry("what became of an object", func(l logr.Logger) {
		l.Info("changed", "object", "Volume/db", "event", "Changed", "phase", "Blocked", "reason", "Vanished",
			"previousPhase", "Ready", "previousReason", "AsDesired", "because", "vg0/db is missing")
	}, "INFO  Volume/db: Blocked (Vanished), was Ready (AsDesired): vg0/db is missing"),
	Entry("a new object", func(l logr.Logger) {
		l.Info("changed", "object", "Volume/db", "event", "Changed", "phase", "Ready", "reason", "AsDesired")
	}, "INFO  Volume/db: Ready (AsDesired)"),
	Entry("an object that is gone", func(l logr.Logger) {
		l.Info("deleted", "object", "Volume/db", "event", "Deleted", "phase", "Deleting", "reason", "Removing", "because", "x")
	}, "INFO  Volume/db: deleted, was Deleting (Removing)"),
	Entry("anything else", func(l logr.Logger) { l.Info("started", "version", "v1", "socket", "/run/agent.sock") },
		"INFO  started (version v1, socket /run/agent.sock)"),
	Entry("an error with fields", func(l logr.Logger) { l.Error(errors.New("gone"), "nobody can ask", "socket", "/run/agent.sock") },
		"ERROR nobody can ask: gone (socket /run/agent.sock)"),
	Entry("a list", func(l logr.Logger) { l.Info("adopted", "installations", []string{"a", "b"}) }, "INFO  adopted (installations a, b)"),
	Entry("no error", func(l logr.Logger) { l.Error(nil, "odd") }, "ERROR odd"),
	Entry("hostile words", func(l logr.Logger) { l.Info("a\nb\u202e", "k\x1b", "v\x9b") }, "INFO  a; b\ufffd (k  v\ufffd)"),
)

// step is the log of a step.
func step(l logr.Logger) logr.Logger {
	c := change.CreateVolume{LV: change.LV{VolumeGroup: "vg0", Name: "db-data"}, ThinPool: "pool0", Size: 20 * gib}
	return l.WithValues("object", "Volume/db-data", "change", change.Name(c), "what", c.String())
}

var _ = It("has all fields in JSON", func() {
	text := logged("json", func(l logr.Logger) {
		step(l).Error(errors.New("full"), "failed", "why", "not there", "event", "DriftCorrected", "seconds", 0.5)
	})
	var fields map[string]any
	Expect(json.Unmarshal([]byte(text), &fields)).To(Succeed())
	Expect(fields).To(And(
		HaveKeyWithValue("level", "error"), HaveKeyWithValue("msg", "failed"), HaveKeyWithValue("error", "full"),
		HaveKeyWithValue("object", "Volume/db-data"), HaveKeyWithValue("change", "CreateVolume"), HaveKeyWithValue("what", HavePrefix("create thin volume")),
		HaveKeyWithValue("why", "not there"), HaveKeyWithValue("event", "DriftCorrected"), HaveKeyWithValue("seconds", 0.5), HaveKey("ts")))
})

var _ = It("logs nothing below the level", func() {
	var out strings.Builder
	log, err := newLogger(&out, "warn", "text")
	Expect(err).NotTo(HaveOccurred())
	log.Info("pass")
	log.V(1).Info("pass")
	Expect(out.String()).To(BeEmpty())
	log.Error(errors.New("gone"), "pass it on")
	Expect(out.String()).To(HaveSuffix("ERROR pass it on: gone\n"))
})

var _ = DescribeTable("What was done is told of what was to be done",
	func(what, done string) { Expect(pastTense(what)).To(Equal(done)) },
	Entry(nil, "create target x", "created target x"),
	Entry(nil, "grow volume vg0/a from 1Gi to 2Gi", "grew volume vg0/a from 1Gi to 2Gi"),
	Entry(nil, "set tags", "set tags"),
	Entry(nil, "map LUN 0", "mapped LUN 0"),
	Entry(nil, "admit initiator x", "admitted initiator x"),
	Entry(nil, "copy to a", "copied to a"),
	Entry(nil, "ask initiators", "asked initiators"),
	Entry(nil, "tell initiators", "told initiators"),
	Entry(nil, "wipe", "wiped"),
	Entry(nil, "overwrite the data in vg0/a, then remove it, continuing after 5Gi", "overwrote the data in vg0/a, then removed it, continuing after 5Gi"),
	Entry(nil, "discard the data in vg0/a, then remove it", "discarded the data in vg0/a, then removed it"),
)

// done are the verbs that changes begin with, as the log has them.
var done = map[string]string{
	"activate": "activated", "add": "added", "admit": "admitted", "adopt": "adopted", "ask": "asked", "check": "checked", "copy": "copied", "create": "created", "cut": "cut",
	"deactivate": "deactivated", "disable": "disabled", "discard": "discarded", "enable": "enabled", "fill": "filled", "grow": "grew",
	"map": "mapped", "move": "moved", "overwrite": "overwrote", "prune": "pruned", "remove": "removed", "rename": "renamed", "revert": "reverted", "save": "saved",
	"set": "set", "split": "split", "tell": "told", "unmap": "unmapped", "write": "wrote",
}

// fragments are words that only parts of a change begin with; "%s" is overwrite or discard.
var fragments = []string{"%s", ",", "␣over", "image", "no", "mutual", "any", "listed", "backup", "repository"}

var _ = It("knows the verb of every change, and of every text of one", func() {
	used := map[string]bool{"discard": true, "overwrite": true}
	for _, c := range change.Kinds() {
		used[strings.Fields(c.String())[0]] = true
	}
	table, err := os.ReadFile("../../test/messages/table/change.txt")
	Expect(err).NotTo(HaveOccurred())
	for line := range strings.Lines(string(table)) {
		text, isPart := strings.CutPrefix(line, "  part: ")
		if verb, _, _ := strings.Cut(text, " "); isPart && !slices.Contains(fragments, verb) {
			used[verb] = true
		}
	}
	Expect(slices.Sorted(maps.Keys(used))).To(Equal(slices.Sorted(maps.Keys(done))))
	for verb, past := range done {
		Expect(pastTense(verb + " x")).To(Equal(past + " x"))
	}
})
