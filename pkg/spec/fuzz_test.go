package spec_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// FuzzDecode checks that no input stops the loader, that whatever is accepted
// keeps the promises of a Set, and that everything else is reported.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"",
		aPool + aVolume,
		aPool + aVolume + snapshot("nightly", "volume: db") + export("db", "luns: [{volume: db}, {snapshot: nightly, lun: 7}], initiators: [{name: 'iqn.1993-08.org.debian:a', auth: {chap: {username: u, passwordFrom: {file: /s}}}}]"),
		aPool + aVolume + snapshot("nightly", "volume: db") + volume("a", "pool: fast, size: 1Gi, source: {volume: b}, revert: {snapshot: s, request: r1}") +
			volume("b", "pool: fast, size: 1Gi, source: {snapshot: s}") + snapshot("s", "volume: a"),
		thickPool("p") + volume("a", "pool: p, size: 1Gi, source: {image: {url: 'http://h:80/a?b', format: raw, sha256: "+strings.Repeat("Ab", 32)+"}}"),
		header + "Pool\nmetadata: {name: p}\nspec: {volumeGroup: vg0, clear: none}\n---\n" + volume("a", "pool: p, size: 1Gi, source: {image: {path: /a}}"),
		aPool + aVolume + aRepository + schedule("db-hourly", "volumes: [db], "+hourly+", jitter: 5m, timeZone: Europe/Berlin, backup: {"+nightly+", maxAge: 30h, drill: {every: 24h, pool: fast}}") +
			backup("b", "volume: db, repository: offsite, deletionPolicy: Delete") +
			export("e", "luns: [{snapshot: db-hourly-20261129t013500z}]") +
			volume("a", "pool: fast, size: 1Gi, source: {backup: {repository: offsite, volume: db, at: latest}}, revert: {backup: {repository: offsite, volume: db, at: '2026-11-29T01:35:00Z'}, request: r}") +
			volume("b", "pool: fast, size: 1Gi, source: {snapshot: db-hourly-20261129t013500z}, revert: {snapshot: db-hourly-20261129t013500z, request: r}"),
		aPool + schedule("s", "selector: {matchLabels: {a: b, c/d: ''}}, "+hourly) +
			repository("r", "url: 'rest:https://u@h:1/a', "+aPassword+", environmentFrom: {A_B: {file: /a}, c: {file: /b}}", ", prune: {every: never, maxUnused: 0%}, check: {every: 1h, readData: 100%}"),
		"a: &a [*a]\n",
		"<<: {a: b}\n[c]: d\n",
		"? {a: b}\n: c\n",
		"%YAML 1.1\n--- !!binary aGk=\n...\n",
		"\ufeffkind: Pool\n",
		"a:\n\t- b\n",
		"kind: |\n  Pool\napiVersion: >-\n  volreconciler/v1alpha1\n",
		header + "Volume\nmetadata: {name: db}\nspec: {size: 0x10, pool: ~}\n",
	} {
		f.Add([]byte(seed))
	}
	path := filepath.Join(f.TempDir(), "x.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		set := spec.LoadPaths([]string{path}, "")
		if set.Complete != (len(set.Findings) == 0) {
			t.Errorf("Complete is %v with %d findings", set.Complete, len(set.Findings))
		}
		for _, finding := range set.Findings {
			if finding.Err == nil || finding.Error() == "" || finding.File != path {
				t.Errorf("a finding without a reason or file: %#v", finding)
			}
		}
		for id, reason := range set.Invalid {
			if reason == nil || contains(set, id) {
				t.Errorf("%s is invalid for %v, and in the maps: %v", id, reason, contains(set, id))
			}
		}
		for name, v := range set.Volumes {
			if v.Metadata.Name != name || v.Spec.Size == 0 || v.Spec.LVName == "" || v.Spec.DeletionPolicy == "" {
				t.Errorf("an incomplete Volume: %+v", v)
			}
			if _, ok := set.Pools[v.Spec.Pool]; !ok {
				t.Errorf("a Volume without its Pool: %+v", v)
			}
		}
		for _, p := range set.Pools {
			if p.Spec.Clear == "" || p.Spec.Trash == nil {
				t.Errorf("an incomplete Pool: %+v", p)
			}
		}
		for _, v := range set.Volumes {
			checkContent(t, set, v)
		}
		for _, e := range set.Exports {
			for _, lun := range e.Spec.LUNs {
				// An Export outlives what it exports being named with an error.
				if lun.Number == nil || !contains(set, lun.Backing()) && set.Invalid[lun.Backing()] == nil && !mayBeScheduled(set, lun.Snapshot) {
					t.Errorf("a LUN that leads nowhere: %+v", lun)
				}
			}
		}
		for _, r := range set.Repositories {
			if r.Spec.Restic.URL == "" || r.Spec.Restic.PasswordFrom.File == "" || r.Spec.Prune.MaxUnused == "" || r.Spec.Check.Every.String() == "0s" {
				t.Errorf("an incomplete Repository: %+v", r)
			}
		}
		for _, s := range set.Schedules {
			checkSchedule(t, set, s)
		}
		for _, b := range set.Backups {
			if !isDeclared(set, spec.KindVolume, b.Spec.Volume) || !isDeclared(set, spec.KindRepository, b.Spec.Repository) || b.Spec.DeletionPolicy == "" {
				t.Errorf("a Backup that leads nowhere: %+v", b)
			}
		}
	})
}

func isDeclared(set spec.Set, kind spec.Kind, name string) bool {
	id := spec.ID{Kind: kind, Name: name}
	return contains(set, id) || set.Invalid[id] != nil
}

// mayBeScheduled reports whether a declared schedule may have made a snapshot.
func mayBeScheduled(set spec.Set, snapshot string) bool {
	for _, s := range set.Schedules {
		if s.MayHave(snapshot) {
			return true
		}
	}
	for id := range set.Invalid {
		if id.Kind == spec.KindSnapshotSchedule && (spec.SnapshotSchedule{Metadata: spec.Metadata{Name: id.Name}}).MayHave(snapshot) {
			return true
		}
	}
	return false
}

// checkSchedule checks what a SnapshotSchedule of a Set promises.
func checkSchedule(t *testing.T, set spec.Set, s spec.SnapshotSchedule) {
	t.Helper()
	if (len(s.Spec.Volumes) == 0) == (s.Spec.Selector == nil) || s.Spec.TimeZone == "" || s.Spec.Keep == (spec.Keep{}) || s.Spec.Keep.Last < 0 {
		t.Errorf("an incomplete SnapshotSchedule: %+v", s)
	}
	for _, name := range s.Spec.Volumes {
		if !isDeclared(set, spec.KindVolume, name) {
			t.Errorf("a schedule of a Volume that is not there: %+v", s)
		}
	}
	if b := s.Spec.Backup; b != nil && !isDeclared(set, spec.KindRepository, b.Repository) {
		t.Errorf("a schedule without its Repository: %+v", s)
	}
}

// checkContent checks what a Volume of a Set promises about its content.
func checkContent(t *testing.T, set spec.Set, v spec.Volume) {
	t.Helper()
	if s := v.Spec.Source; s != nil {
		_, isObject := s.Object()
		if v.Spec.Adopt || isObject == (s.Image != nil || s.Backup != nil) || s.Image != nil && s.Backup != nil || s.Volume != "" && s.Snapshot != "" || !tagText.MatchString(s.Tag()) {
			t.Errorf("not one source: %+v", s)
		}
		if i := s.Image; i != nil && ((i.Path == "") == (i.URL == "") || !sumText.MatchString(i.SHA256) || strings.HasPrefix(i.URL, "http:") && i.SHA256 == "") {
			t.Errorf("no image: %+v", i)
		}
	}
	if r := v.Spec.Revert; r != nil && r.Backup != nil {
		if r.Snapshot != "" || !isDeclared(set, spec.KindRepository, r.Backup.Repository) || r.Backup.At == "" {
			t.Errorf("a revert to no backup: %+v", r)
		}
	} else if r != nil {
		to := spec.ID{Kind: spec.KindSnapshot, Name: r.Snapshot}
		s, valid := set.Snapshots[r.Snapshot]
		if !tagText.MatchString(r.Request) || valid && s.Spec.Volume != v.Metadata.Name || !valid && set.Invalid[to] == nil && !mayBeScheduled(set, r.Snapshot) {
			t.Errorf("a revert to what is no snapshot of it: %+v", r)
		}
	}
}

// tagText is what LVM takes for the value of a tag.
var (
	tagText = regexp.MustCompile(`^[A-Za-z0-9_.:-]+$`)
	sumText = regexp.MustCompile(`^([0-9a-f]{64})?$`)
)

// FuzzParseSize checks that what is accepted is written back as the same size.
func FuzzParseSize(f *testing.F) {
	for _, seed := range []string{"1", "20Gi", "1500M", "8Ei", "010", "1e3", "1.5Gi", "-1", "", "9223372036854775807", "80%", "7E"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		size, err := spec.ParseSizeOrPercent(text)
		if err != nil {
			return
		}
		if (size.Bytes == 0) == (size.Percent == 0) || size.Percent > 95 || size.Bytes > 1<<63-1 {
			t.Errorf("%q became %+v", text, size)
		}
		if again, err := spec.ParseSizeOrPercent(size.String()); err != nil || again != size {
			t.Errorf("%q became %+v, written %s, read back as %+v (%v)", text, size, size, again, err)
		}
	})
}
