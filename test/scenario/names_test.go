package scenario_test

import (
	"encoding"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"gopkg.in/yaml.v3"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
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

// objectsOfAllKinds use every field that takes a text, by the mechanism below.
const objectsOfAllKinds = `
apiVersion: volreconciler/v1alpha1
kind: Pool
metadata: {name: fast}
spec: {volumeGroup: vg0, thinPool: {name: pool0, size: 1Gi}}
---
apiVersion: volreconciler/v1alpha1
kind: Volume
metadata: {name: data}
spec: {pool: fast, size: 64Mi}
---
apiVersion: volreconciler/v1alpha1
kind: Snapshot
metadata: {name: snap}
spec: {volume: data}
---
apiVersion: volreconciler/v1alpha1
kind: Export
metadata: {name: out}
spec:
  protocol: iscsi
  luns: [{volume: data}, {snapshot: snap}]
  initiators:
    - name: iqn.1993-08.org.debian:01:a
      auth:
        chap: {username: u, passwordFrom: {file: /etc/volreconciler/secrets/one}}
        mutual: {username: t, passwordFrom: {file: /etc/volreconciler/secrets/two}}
`

// references are the fields in which objects name others, by the kind named.
var references = map[string][]field{
	"Pool":     {{"Volume", "spec.pool"}},
	"Volume":   {{"Snapshot", "spec.volume"}, {"Export", "spec.luns[0].volume"}},
	"Snapshot": {{"Export", "spec.luns[1].snapshot"}},
}

// derived are the fields that have their value, or its limits, from another one:
// what is wrong may be found there.
var derived = map[string][]string{
	"metadata.name":    {"spec.lvName", "spec.thinPool.name", "spec.target"},
	"spec.volumeGroup": {"spec.lvName", "spec.thinPool.name", "metadata.name"},
}

// beside are fields that do not stand alone, with what stands beside them.
var beside = map[string][2]string{
	"spec.revert.request":      {"spec.revert.snapshot", "snap"},
	"spec.revert.snapshot":     {"spec.revert.request", "once"},
	"spec.source.image.sha256": {"spec.source.image.path", "/srv/none"},
	"spec.source.image.format": {"spec.source.image.path", "/srv/none"},
}

// field is one that takes a text. Of a map of texts, [key] stands for the keys.
type field struct{ kind, path string }

// textFields are all fields of all kinds that take a text, as the types say: a
// new one is tried as well.
func textFields() []field {
	fields := []field{}
	for _, object := range []any{spec.Pool{}, spec.Volume{}, spec.Snapshot{}, spec.Export{}} {
		t := reflect.TypeOf(object)
		fields = append(fields, field{t.Name(), "apiVersion"}, field{t.Name(), "kind"})
		fields = append(fields, fieldsBelow(t.Name(), "", t)...)
	}
	return fields
}

func fieldsBelow(kind, at string, t reflect.Type) []field {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return []field{{kind, at}}
	}
	var fields []field
	switch t.Kind() {
	case reflect.Pointer:
		return fieldsBelow(kind, at, t.Elem())
	case reflect.String:
		return []field{{kind, at}}
	case reflect.Slice:
		// A LUN is a volume or a snapshot: the second item of the list.
		if t == reflect.TypeFor[[]spec.LUN]() {
			return []field{{kind, at + "[0].volume"}, {kind, at + "[1].snapshot"}}
		}
		return fieldsBelow(kind, at+"[0]", t.Elem())
	case reflect.Map:
		fields = []field{{kind, at + "[key]"}, {kind, at + ".free"}}
		if strings.HasSuffix(at, "annotations") {
			for _, key := range []string{spec.AnnotationReconcile, spec.AnnotationRecreate, spec.AnnotationAllowDeletions} {
				fields = append(fields, field{kind, at + "." + key})
			}
		}
		return fields
	case reflect.Struct:
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
			if name != "-" {
				fields = append(fields, fieldsBelow(kind, strings.TrimPrefix(at+"."+name, "."), t.Field(i).Type)...)
			}
		}
	default: // numbers and the like take no text
	}
	return fields
}

// absent reports whether what a field names is never there, so that its object
// waits.
func (f field) absent() bool { return strings.HasPrefix(f.path, "spec.source.") }

// free reports whether a field's texts mean nothing to the agent, so that they
// are tried together, and once for all kinds.
func (f field) free() bool {
	return strings.HasSuffix(f.path, "[key]") || strings.HasSuffix(f.path, ".free")
}

// documents are the objects with a field set, and what names the object with it.
// Several values are of several keys.
func documents(f field, values ...string) []byte {
	GinkgoHelper()
	decoder := yaml.NewDecoder(strings.NewReader(objectsOfAllKinds))
	var text strings.Builder
	encoder := yaml.NewEncoder(&text)
	for range 4 {
		var d yaml.Node
		Expect(decoder.Decode(&d)).To(Succeed())
		kind := child(d.Content[0], "kind").Value
		for i, value := range values {
			at := f.path
			if i > 0 && strings.HasSuffix(at, ".free") {
				at += string([]rune{rune('a' + i/26), rune('a' + i%26)})
			}
			if kind == f.kind || f.free() && len(values) > 1 {
				set(d.Content[0], at, value)
			}
		}
		if other, needed := beside[f.path]; needed && kind == f.kind {
			set(d.Content[0], other[0], other[1])
		}
		for _, r := range references[f.kind] {
			if f.path == "metadata.name" && r.kind == kind {
				set(d.Content[0], r.path, values[0])
			}
		}
		if kind == "Pool" && f == (field{"Snapshot", "spec.size"}) {
			drop(child(d.Content[0], "spec"), "thinPool")
		}
		Expect(encoder.Encode(&d)).To(Succeed())
	}
	Expect(encoder.Close()).To(Succeed())
	return []byte(text.String())
}

// set sets the field at a path below a node, and makes what is missing on the way.
func set(n *yaml.Node, at, value string) {
	GinkgoHelper()
	for at != "" {
		step := regexp.MustCompile(`^\.?(volreconciler/[a-z-]+|[A-Za-z][A-Za-z0-9]*)|^\[(\d+|key)\]`).FindStringSubmatch(at)
		Expect(step).NotTo(BeNil(), at)
		at = at[len(step[0]):]
		switch name := step[1]; {
		case step[2] == "key":
			n.Kind, n.Tag = yaml.MappingNode, "!!map"
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value, Style: yaml.DoubleQuotedStyle},
				&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "x"})
			return
		case name == "":
			if n.Kind != yaml.SequenceNode {
				n.Kind, n.Tag, n.Content = yaml.SequenceNode, "!!seq", []*yaml.Node{{Kind: yaml.MappingNode}}
			}
			n = n.Content[int(step[2][0]-'0')]
		default:
			if child(n, name) == nil {
				n.Kind, n.Tag = yaml.MappingNode, "!!map"
				n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}, &yaml.Node{Kind: yaml.MappingNode})
			}
			n = child(n, name)
		}
	}
	*n = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value, Style: yaml.DoubleQuotedStyle}
}

func child(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func drop(n *yaml.Node, key string) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			n.Content = slices.Delete(n.Content, i, i+2)
			return
		}
	}
}

// door checks every call of the agent to the machine.
type door struct {
	mu    sync.Mutex
	calls int
	wrong []string
}

// The options that the agent gives to commands, with the form of their values;
// nil: none. Whatever else begins with a hyphen came from somewhere else.
var (
	nameWord = regexp.MustCompile(`^[A-Za-z0-9_+.][A-Za-z0-9_+.-]*(/[A-Za-z0-9_+.][A-Za-z0-9_+.-]*)?$`)
	ownTag   = regexp.MustCompile(`^volreconciler/(kind=(pool|volume|snapshot)|deletion=(retain|delete)|name=[a-z0-9]([a-z0-9-]*[a-z0-9])?|` +
		`phase=(populating|reverting)|source=(volume|snapshot|image):[a-z0-9.-]+|checkpoint=[A-Za-z0-9-]+:[0-9]+|revert(ed)?=[A-Za-z0-9_.-]{1,63})$`)
	bytes   = regexp.MustCompile(`^[0-9]+b?$`)
	columns = regexp.MustCompile(`^[a-z_,]+$`)
	options = map[string]*regexp.Regexp{
		"-y": nil, "-Wy": nil, "-Zy": nil, "-kn": nil, "-s": nil, "-K": nil, "--nosuffix": nil, "-o-all": nil,
		"-n": regexp.MustCompile(`^[A-Za-z0-9_+.][A-Za-z0-9_+.-]*$`), "-T": nameWord, "-ay": nil, "-an": nil,
		"--addtag": ownTag, "--deltag": ownTag, "-L": bytes, "-V": bytes, "-o": columns, "--units": regexp.MustCompile(`^b$`),
		"--type": regexp.MustCompile(`^thin-pool$`), "--reportformat": regexp.MustCompile(`^json$`), "--configreport": regexp.MustCompile(`^(vg|lv|pv|pvseg|seg)$`),
		"-S": regexp.MustCompile(`^(lv_uuid=[A-Za-z0-9-]{38}|vg_name=[A-Za-z0-9_+.-]+ && lv_name=[A-Za-z0-9_+.-]+)$`), "--config": regexp.MustCompile(`^global/wait_for_locks=0$`),
	}
	commands = []string{"lvm", "lvs", "lvcreate", "lvchange", "lvextend", "modprobe"}
	// writable is where configfs is changed, and what names may be there.
	writable = regexp.MustCompile(`^/sys/kernel/config/target/(` +
		`iscsi|iscsi/iqn\.[a-z0-9.:-]{1,219}(/tpgt_1(/(enable|attrib/[a-z_]+|param/[A-Za-z]+|np/[0-9a-f.:\[\]]+|lun/lun_[0-9]+(/[a-z_]+)?|` +
		`acls/(iqn|eui|naa)\.[a-z0-9.:-]{1,219}(/(attrib|auth)/[a-z_]+|/lun_[0-9]+(/[a-z_]+)?)?))?)?|` +
		`core/iblock_[0-9]+(/volreconciler:(volume|snapshot):[a-z0-9-]{1,63}(/(control|enable|udev_path|wwn/vpd_unit_serial|attrib/[a-z_]+))?)?)$`)
	device   = regexp.MustCompile(`^/dev/[A-Za-z0-9_+.-]+/[A-Za-z0-9_+.-]+$`)
	readable = regexp.MustCompile(`^(/sys/kernel/config/target(/.*)?|/sys/(block|dev|module|fs|class|kernel)(/.*)?|/proc(/.*)?|/dev(/.*)?)$`)
)

func (d *door) before(c fakehost.Call) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	wrong := func(why string) { d.wrong = append(d.wrong, fmt.Sprintf("%s: %q", why, c)) }
	if c.Argv != nil {
		if why := strayWord(c.Argv); why != "" {
			wrong(why)
		}
		return nil
	}
	for _, p := range []string{c.Path, c.Target} {
		if p == "" {
			continue
		}
		if path.Clean(p) != p || slices.Contains(strings.Split(p, "/"), "..") || strings.ContainsFunc(p, func(r rune) bool { return r <= ' ' || r > '~' }) {
			wrong("a path that is not clean")
		}
		if c.Op == "writeblocks" && device.MatchString(p) {
			continue
		}
		if c.Changes() && !writable.MatchString(p) || !c.Changes() && !readable.MatchString(p) {
			wrong("a path that leads elsewhere")
		}
	}
	if strings.ContainsAny(string(c.Data), "\x00\n\r") || len(c.Data) > 255 {
		wrong("a value of more than a line")
	}
	return nil
}

// strayWord says what is in a command line that is not the agent's own.
func strayWord(argv []string) string {
	if !slices.Contains(commands, argv[0]) {
		return "a command"
	}
	for i := 1; i < len(argv); i++ {
		form, known := options[argv[i]]
		switch {
		case known && form == nil:
		case known:
			i++
			if i == len(argv) || !form.MatchString(argv[i]) {
				return "the value of " + argv[i-1]
			}
		case !nameWord.MatchString(argv[i]):
			return "the word " + argv[i]
		}
	}
	return ""
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
				expectHarmless(ctx, desired, file, what, !f.absent())
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
	agent := fake.Start(&fakehost.Tap{Host: fake.Host, Before: watched.before})
	status, err := agent.Apply(ctx)
	Expect(err).NotTo(HaveOccurred(), what)
	total.calls += watched.calls
	Expect(watched.wrong).To(BeEmpty(), what)
	if converges {
		Expect(scenario.Stand(status)).To(BeEmpty(), "%s\n%s", messages(status), what)
		expectExactly(fake.Node(), desired, what)
	}
}

// expectExactly expects what the specs say and nothing else.
func expectExactly(n fakehost.Node, desired spec.Set, what string) {
	GinkgoHelper()
	want, have := map[string][]string{}, map[string][]string{}
	backstores := []string{}
	mark := func(lv string, kind, name string, p spec.DeletionPolicy) {
		want[lv] = []string{"volreconciler/deletion=" + strings.ToLower(string(p)), "volreconciler/kind=" + kind, "volreconciler/name=" + name}
		backstores = append(backstores, "volreconciler:"+kind+":"+name)
	}
	for name, v := range desired.Volumes {
		mark(v.Spec.LVName, "volume", name, v.Spec.DeletionPolicy)
		if r := v.Spec.Revert; r != nil {
			want[v.Spec.LVName] = append(want[v.Spec.LVName], "volreconciler/reverted="+r.Request)
		}
	}
	for name, s := range desired.Snapshots {
		mark(name, "snapshot", name, s.Spec.DeletionPolicy)
	}
	for _, lv := range n.VolumeGroups[0].LogicalVolumes {
		if lv.Type != "thinPool" {
			have[lv.Name] = slices.Sorted(slices.Values(lv.Tags))
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
