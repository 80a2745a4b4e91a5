package scenario_test

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/test/scenario"
)

// hostile are texts that mean something to a shell, to LVM, to configfs, to YAML
// or to a terminal, and such as are at the limits of what a name may be.
func hostile() []string {
	texts := []string{
		"-", "--", "-x", "-an", "--config", "--config=global/wait_for_locks=0", "-S", "--select", "@", "@tag", "a@tag",
		".", "..", "...", "../x", "x/..", "../../core", "a/b", "a//b", "/abs", "/", "//", "/etc/../etc/passwd", "a/", "",
		"a b", " a", "a ", "a\tb", "a\nb", "a\r\nb", "\n", "a\x00b", "\x00", "a\x1b[31mb", "a\x7fb", "a\u0085b",
		`'`, `"`, `'a'`, `"a"`, `a'b`, `a"b`, `\`, `a\b`, `a\`, `a\nb`, "$(x)", "`x`", "${x}", "a;b", ";", "a|b", "a&b", "&&", "a && b", "|| lv_name=x", ">x", "<x",
		"*", "a*", "?", "[", "[a-z]", "{", "{a,b}", "!", "!x", "%s", "%n", "a%sb", "~", "^", "#", "a#b", ",", "a,b", "=", "a=b", ":", "a:b",
		"😀", "a😀", "a\u202eb", "\u200f", "\ufeffa", "é", "e\u0301", "ａ", "ı",
		"lun_0", "tpgt_1", "discovery_auth", "np", "acls", "snapshot0", "snapshot", "pvmove0", "lvol0_pmspare", "lvol0", "x_tdata", "x_tmeta", "a_mimage_0", "nul", "NULL", "NULLx", "null",
		"volreconciler:volume:x", "volreconciler:x", "kind=volume", "volreconciler/kind=volume", "volreconciler/deletion=delete", "lv_uuid=", "lv_uuid=x || lv_name=y", "vg0/x", "vg1", "a-b", "a--b", "a.b", "a_b", "a+b", "A", "0", "00", "1e3", "0x10", "true", "~null", "a",
		"iqn.2026-11.org.example:a/b", "iqn.2026-11.org.example:..", "iqn.2026-11.org.example:a b", "iqn.2026-11.org.example:a,t,0x1", "iqn.2026-11.org/../x:a", "iqn.2026-11.org.example:", "iqn.2026-11.org.example:x", "iqn.2026-11...:x",
		"eui.0123456789abcdef", "eui.../../../../x", "naa.5123456789abcdef", "0x41", "0b41",
		"127.0.0.1:3260", "[::1]:3260", "[fe80::1%../x]:3260", "127.0.0.1:+3260", "127.0.0.1:03260", "127.1:3260", "[::ffff:127.0.0.1]:3260", "127.0.0.1:3260/..", "localhost:3260",
		"1Gi", "-1", "+1", "1 Gi", "100%", "80%", "%", "1Gi;x", "99999999999999999999", "1h", "1h;x",
		"Retain", "Delete", "delete", "Wait", "Force", "0123456789abcdef", "/etc/volreconciler/secrets/-x", "/etc/volreconciler/secrets/a b",
	}
	for _, n := range []int{63, 64, 115, 116, 127, 128, 223, 224, 256, 4096, 70_000} {
		texts = append(texts, strings.Repeat("a", n), strings.Repeat("-", n))
		if n > 30 {
			texts = append(texts, "iqn.2026-11.org.example:"+strings.Repeat("b", n-24))
		}
	}
	return texts
}

// below returns the names in a directory of configfs.
func below(n fakehost.Node, dir string) []string {
	names := []string{}
	for _, e := range n.ConfigFS {
		if path.Dir("/sys/kernel/config/target/"+e.Path) == dir && path.Base(e.Path) != "discovery_auth" && path.Base(e.Path) != "lio_version" {
			names = append(names, path.Base(e.Path))
		}
	}
	return names
}

var total struct{ fields, values, refused, accepted, calls int }

var _ = AfterSuite(func() {
	GinkgoWriter.Printf("hostile texts: %+v\n", total)
})

var _ = DescribeTable("Hostile texts are refused, or do no harm, in",
	func(ctx SpecContext, f field) {
		total.fields++
		var accepted []string
		file := filepath.Join(GinkgoT().TempDir(), "specs", "x.yaml")
		for _, value := range hostile() {
			total.values++
			text := documents(f, value)
			write(file, text)
			desired := spec.LoadPaths([]string{file}, "")
			what := fmt.Sprintf("%.120q in\n%.3000s", value, text)
			if len(desired.Findings) > 0 {
				total.refused++
				expectNamed(desired.Findings, file, f, what)
				continue
			}
			total.accepted++
			accepted = append(accepted, value)
			if annotation := strings.HasPrefix(f.path, "metadata.annotations"); !f.free() && (!annotation || f.kind == "Volume") {
				expectHarmless(ctx, desired, file, what, !f.absent() && !f.tooLong(value))
			}
		}
		if f.free() && f.kind == "Volume" {
			write(file, documents(f, accepted...))
			desired := spec.LoadPaths([]string{file}, "")
			Expect(desired.Findings).To(BeEmpty())
			expectHarmless(ctx, desired, file, "all that is accepted", true)
		}
	},
	func() []TableEntry {
		var entries []TableEntry
		for _, f := range textFields() {
			entries = append(entries, Entry(f.kind+" "+f.path, f))
		}
		return entries
	}(),
)

func write(file string, text []byte) {
	GinkgoHelper()
	Expect(os.MkdirAll(filepath.Dir(file), 0o700)).To(Succeed())
	Expect(os.WriteFile(file, text, 0o600)).To(Succeed())
}

// expectNamed expects findings that say where a text stands, in a form that can
// be printed.
func expectNamed(findings []spec.Finding, file string, f field, what string) {
	GinkgoHelper()
	at := strings.NewReplacer("[key]", "[", ".free", "[free]", "."+"volreconciler/", "[volreconciler/").Replace(f.path)
	named := false
	for _, finding := range findings {
		Expect(finding.File).To(Equal(file), what)
		Expect(finding.Line).To(BeNumerically(">", 0), "%s: %s", finding, what)
		Expect(finding.Column).To(BeNumerically(">", 0), "%s: %s", finding, what)
		named = named || strings.HasPrefix(finding.Path, at) || finding.Path != "" && strings.HasPrefix(at, finding.Path) ||
			slices.Contains(derived[f.path], finding.Path)
		Expect(len(finding.Error())).To(BeNumerically("<", 1500), what)
		Expect(strings.ContainsFunc(finding.Error(), func(r rune) bool { return !unicode.IsPrint(r) })).To(BeFalse(), "%q: %s", finding.Error(), what)
	}
	Expect(named).To(BeTrue(), "%v does not name %s: %s", findings, at, what)
}

// expectHarmless applies the specs of a file to a machine, and looks at every call and, if it
// converges, at what is there afterwards.
func expectHarmless(ctx SpecContext, desired spec.Set, file, what string, converges bool) {
	GinkgoHelper()
	dir := filepath.Dir(filepath.Dir(file))
	Expect(os.RemoveAll(filepath.Join(dir, "state"))).To(Succeed()) // what another machine had
	node := scenario.Empty()
	for _, p := range desired.Pools {
		node.VolumeGroups[0].Name = p.Spec.VolumeGroup
	}
	fake, err := scenario.NewFake(node, dir)
	Expect(err).NotTo(HaveOccurred(), what)
	watched := &door{}
	for _, i := range desired.Images {
		watched.images = append(watched.images, i.Spec.Path, i.Spec.Path+spec.ChecksumSuffix)
	}
	agent := fake.Start(&fakehost.Tap{Host: fake.Host, Before: watched.before})
	status, err := agent.Apply(ctx)
	Expect(err).NotTo(HaveOccurred(), what)
	total.calls += watched.calls
	Expect(watched.wrong).To(BeEmpty(), what)
	if converges {
		Expect(scenario.Stand(status)).To(BeEmpty(), "%s\n%s", messages(status), what)
		expectExactly(fake.Node(), desired, what)
		files := []string{}
		for _, f := range fake.Node().Files {
			if !strings.HasPrefix(f.Path, "/etc/target/") { // the directories of the kernel's
				files = append(files, f.Path)
			}
		}
		Expect(files).To(ConsistOf(watched.images), what)
	}
}

// expectExactly expects what the specs say and nothing else.
func expectExactly(n fakehost.Node, desired spec.Set, what string) {
	GinkgoHelper()
	want, have := map[string][]string{}, map[string][]string{}
	backstores := []string{}
	mark := func(lv string, kind, name string, p spec.DeletionPolicy) {
		want[lv] = []string{"volreconciler/by=5ce0a51000000001:scenario", "volreconciler/deletion=" + strings.ToLower(string(p)), "volreconciler/kind=" + kind, "volreconciler/name=" + name,
			ondisk.TagProduct + ondisk.ProductName(name)}
		backstores = append(backstores, "volreconciler:"+kind+":"+name)
	}
	for name, v := range desired.Volumes {
		mark(v.Spec.LVName, "volume", name, v.Spec.DeletionPolicy)
		if serial := v.Spec.Serial; serial != "" {
			want[v.Spec.LVName] = append(want[v.Spec.LVName], ondisk.TagSerial+serial)
		}
		if r := v.Spec.Revert; r != nil {
			want[v.Spec.LVName] = append(want[v.Spec.LVName], "volreconciler/reverted="+r.Request)
		}
	}
	for name, s := range desired.Snapshots {
		mark(name, "snapshot", name, s.Spec.DeletionPolicy)
	}
	for _, lv := range n.VolumeGroups[0].LogicalVolumes {
		if lv.Type != "thinPool" {
			// A clone has come in the place of one that was put back.
			tags := slices.DeleteFunc(slices.Clone(lv.Tags), func(t string) bool { return strings.HasPrefix(t, ondisk.TagIdentity) })
			have[lv.Name] = slices.Sorted(slices.Values(tags))
		}
	}
	Expect(have).To(Equal(want), what)

	const core, iscsi = "/sys/kernel/config/target/core", "/sys/kernel/config/target/iscsi"
	var found []string
	for _, hba := range below(n, core) {
		for _, name := range below(n, path.Join(core, hba)) {
			if strings.Contains(name, ":") { // no attribute of the HBA
				found = append(found, name)
			}
		}
	}
	for _, e := range desired.Exports {
		Expect(below(n, iscsi)).To(ConsistOf(e.Spec.Target), what)
		group := path.Join(iscsi, e.Spec.Target, "tpgt_1")
		Expect(below(n, group+"/np")).To(ConsistOf(e.Spec.Portals), what)
		Expect(below(n, group+"/acls")).To(ConsistOf(e.Spec.Initiators[0].Name), what)
	}
	slices.Sort(found)
	Expect(slices.Compact(found)).To(ConsistOf(backstores), what)
}
