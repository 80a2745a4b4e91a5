package spec_test

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// aPool and aVolume are good documents that a case can follow.
const (
	aPool   = header + "Pool\nmetadata: {name: fast}\nspec: {volumeGroup: vg0, thinPool: {size: 80%}}\n---\n"
	aVolume = header + "Volume\nmetadata: {name: db}\nspec: {pool: fast, size: 1Gi}\n---\n"
)

// expectOneFinding loads a text with a mark and expects one finding there.
func expectOneFinding(marked, path, message string) {
	GinkgoHelper()
	text, line, column := place(marked)
	set := loadText(text)
	Expect(errorsOf(set.Findings)).To(HaveLen(1))
	f := set.Findings[0]
	Expect(f.Err).To(MatchError(ContainSubstring(message)))
	Expect(f.Path).To(Equal(path))
	Expect([]int{f.Line, f.Column}).To(Equal([]int{line, column}), f.Error())
	Expect(set.Complete).To(BeFalse())
}

var _ = Describe("A file", func() {
	It("with every field and every default becomes a Set", func() {
		set := loadText(`
apiVersion: volreconciler/v1alpha1
kind: Pool
metadata:
  name: fast
  labels: {app.example.com/tier: gold, empty: ""}
  annotations: {note: "any text: at all"}
spec:
  volumeGroup: vg0
  thinPool:
    size: 80%
---
apiVersion: volreconciler/v1alpha1
kind: Pool
metadata: {name: slow}
spec: {volumeGroup: vg0, trash: 1h, clear: discard}
---
# only a comment
---
apiVersion: volreconciler/v1alpha1
kind: Volume
metadata:
  name: db-data
  annotations: {volreconciler/reconcile: suspended}
spec: {pool: fast, size: 1073741824, lvName: legacy_Name, adopt: true, deletionPolicy: Delete, revert: {snapshot: nightly, request: "1"}}
---
apiVersion: volreconciler/v1alpha1
kind: Volume
metadata: {name: web}
spec: {pool: fast, size: "1500M"}
---
apiVersion: volreconciler/v1alpha1
kind: Volume
metadata: {name: clone}
spec: {pool: slow, size: 1Gi, source: {volume: web}}
---
apiVersion: volreconciler/v1alpha1
kind: Volume
metadata: {name: copy}
spec: {pool: slow, size: 1Gi, source: {snapshot: nightly}}
---
apiVersion: volreconciler/v1alpha1
kind: Volume
metadata: {name: image}
spec:
  pool: slow
  size: 1Gi
  source:
    image:
      url: http://images.example:8080/debian%2013.qcow2?arch=amd64
      format: qcow2
      sha256: E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855
---
apiVersion: volreconciler/v1alpha1
kind: Snapshot
metadata: {name: nightly}
spec: {volume: db-data}
---
apiVersion: volreconciler/v1alpha1
kind: Export
metadata: {name: db}
spec:
  protocol: iscsi
  portals: ["192.0.2.1:3260", "[2001:DB8:0::1]:3260"]
  luns:
    - volume: db-data
    - {snapshot: nightly, lun: 7, readOnly: true}
    - {volume: web}
  initiators:
    - name: iqn.1993-08.org.debian:01:abc
      readOnly: true
      auth:
        chap: {username: u, passwordFrom: {file: /etc/secrets/db}}
        mutual: {username: t, passwordFrom: {file: /etc/secrets/db-back}}
    - name: eui.0123456789abcdef
    - name: naa.5123456789abcdef
---
apiVersion: volreconciler/v1alpha1
kind: Export
metadata: {name: open}
spec: {protocol: iscsi, target: "iqn.2026-11.com.example:open", portals: ["192.0.2.1:3261"], luns: [{volume: web}], allowAnyInitiator: true}
`)
		Expect(errorsOf(set.Findings)).To(BeEmpty())
		Expect(set.Complete).To(BeTrue())
		Expect(set.Invalid).To(BeEmpty())

		Expect(set.Pools["fast"].Spec).To(Equal(spec.PoolSpec{
			VolumeGroup: "vg0",
			ThinPool:    &spec.ThinPool{Name: "fast", Size: spec.SizeOrPercent{Percent: 80}},
			Trash:       duration(24 * time.Hour),
			Clear:       spec.ClearZero,
		}))
		Expect(set.Pools["slow"].Spec).To(Equal(spec.PoolSpec{VolumeGroup: "vg0", Trash: duration(time.Hour), Clear: spec.ClearDiscard}))
		Expect(set.Pools["fast"].Metadata.Labels).To(HaveKeyWithValue("empty", ""))
		Expect(set.Volumes["db-data"].Spec).To(Equal(spec.VolumeSpec{
			Pool: "fast", Size: 1 << 30, LVName: "legacy_Name", Adopt: true, DeletionPolicy: spec.Delete,
			Revert: &spec.Revert{Snapshot: "nightly", Request: "1"},
		}))
		Expect(set.Volumes["db-data"].Metadata.Suspended()).To(BeTrue())
		Expect(set.Volumes["web"].Spec).To(Equal(spec.VolumeSpec{
			Pool: "fast", Size: 1_500_000_000, LVName: "web", DeletionPolicy: spec.Retain,
		}))
		Expect(set.Volumes["clone"].Spec.Source).To(Equal(&spec.VolumeSource{Volume: "web"}))
		Expect(set.Volumes["copy"].Spec.Source).To(Equal(&spec.VolumeSource{Snapshot: "nightly"}))
		Expect(set.Volumes["image"].Spec.Source).To(Equal(&spec.VolumeSource{Image: &spec.ImageSource{
			URL: "http://images.example:8080/debian%2013.qcow2?arch=amd64", Format: spec.FormatQCOW2,
			SHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		}}))
		Expect(set.Snapshots["nightly"].Spec).To(Equal(spec.SnapshotSpec{Volume: "db-data", DeletionPolicy: spec.Retain}))

		db := set.Exports["db"].Spec
		Expect(db.Target).To(Equal("iqn.2026-11.io.volreconciler:db"))
		Expect(db.Portals).To(Equal([]string{"192.0.2.1:3260", "[2001:db8::1]:3260"}))
		Expect([]int{*db.LUNs[0].Number, *db.LUNs[1].Number, *db.LUNs[2].Number}).To(Equal([]int{0, 7, 2}))
		Expect(db.LUNs[1].Backing()).To(Equal(spec.ID{Kind: spec.KindSnapshot, Name: "nightly"}))
		Expect(db.Initiators[0].Auth.CHAP.Username).To(Equal("u"))
		Expect(set.Exports["open"].Spec.AllowAnyInitiator).To(BeTrue())
	})

	It("gets the default portal", func() {
		set := loadText(aPool + aVolume + export("db", "luns: [{volume: db}]"))
		Expect(errorsOf(set.Findings)).To(BeEmpty())
		Expect(set.Exports["db"].Spec.Portals).To(Equal([]string{"0.0.0.0:3260"}))
	})

	It("may begin with a byte order mark and have Windows line ends", func() {
		set := loadText("\ufeff" + strings.ReplaceAll(aPool+aVolume, "\n", "\r\n"))
		Expect(errorsOf(set.Findings)).To(BeEmpty())
		Expect(set.Volumes).To(HaveKey("db"))
	})

	It("may hold nothing", func() {
		Expect(loadText("# nothing yet").Findings).To(BeEmpty())
		Expect(loadText("# nothing yet\n---\n---\n# nor here\n").Findings).To(BeEmpty())
	})

	It("may not be empty: nobody knows what it said", func() {
		for _, text := range []string{"", "\n", " \n\t\n", "\ufeff"} {
			set := loadText(text)
			Expect(errorsOf(set.Findings)).To(ConsistOf(ContainSubstring("the file is empty")), "%q", text)
			Expect(set.Complete).To(BeFalse())
		}
	})

	It("reports everything that is wrong, in the order of lines", func() {
		set := loadText(`apiVersion: volreconciler/v1alpha1
kind: Volume
metadata: {name: Big}
spec:
  sise: 20Gi
  size: 010
  adopt: yes
  deletionPolicy: Keep
`)
		Expect(errorsOf(set.Findings)).To(Equal([]string{
			`x.yaml:3:18: metadata.name: "Big" contains 'B'; only lower-case letters, digits and - are allowed`,
			`x.yaml:4:1: spec.pool: is missing; it has no default`,
			`x.yaml:5:3: spec.sise: unknown field "sise" of Volume spec; did you mean "size"? (allowed: adopt, deletionPolicy, lvName, pool, revert, serial, size, source)`,
			`x.yaml:6:9: spec.size: "010" has a leading zero, which some programs read as octal; write a whole number with a unit, for example 20Gi or 1500M, or plain bytes (K, M, G, T, P, E are powers of 1000; Ki, Mi, Gi, Ti, Pi, Ei powers of 1024)`,
			`x.yaml:7:10: spec.adopt: must be true or false, but is the string "yes"`,
			`x.yaml:8:19: spec.deletionPolicy: "Keep" is not a valid deletion policy (allowed: Delete, Retain)`,
		}))
		Expect(set.Invalid).To(HaveKey(spec.ID{Kind: spec.KindVolume, Name: "Big"}))
	})

	It("reports a hundred findings at most, but knows all objects that have some", func() {
		var text strings.Builder
		for i := range 150 {
			text.WriteString(volume("v"+strings.Repeat("v", i/26)+string(rune('a'+i%26)), "pool: fast, size: 0"))
		}
		set := loadText(text.String())
		Expect(set.Findings).To(HaveLen(101))
		Expect(errorsOf(set.Findings)).To(ContainElement(ContainSubstring("50 more findings")))
		Expect(set.Invalid).To(HaveLen(150))
	})

	It("shows no control characters in messages", func() {
		set := loadText(header + `Volume
metadata: {name: db}
spec: {pool: fast, size: 1Gi, "\e[31m": 1}
`)
		Expect(set.Findings).To(HaveLen(1))
		Expect(set.Findings[0].Error()).NotTo(ContainSubstring("\x1b"))
	})

	DescribeTable("is no text",
		func(marked, message string) { expectOneFinding(marked, "", message) },
		Entry("NUL", "a: b\nc: "+mark+"\x00", "NUL byte"),
		Entry("an executable", mark+"\x00\x01\x7fELF", "NUL byte"),
		Entry("Latin-1", "# caf"+mark+"\xe9\n", "0xe9 is not valid UTF-8"),
		Entry("UTF-16", mark+"\xff\xfea\x00", "UTF-16"),
		Entry("an escape sequence", "a: "+mark+"\x1b[31m", "control character U+001B"),
		Entry("DEL", "a: "+mark+"\x7f", "control character U+007F"),
		Entry("a byte order mark inside", "é: "+mark+"\ufeff", "U+FEFF"),
	)

	It("that is too large is not read", func() {
		set := loadText("# " + strings.Repeat("x", 1<<20) + "\n")
		Expect(errorsOf(set.Findings)).To(ConsistOf(ContainSubstring("at most 1048576 are allowed")))
	})

	It("with too many documents is refused", func() {
		set := loadText(strings.Repeat("---\n", 10_002))
		Expect(errorsOf(set.Findings)).To(ConsistOf(ContainSubstring("more than 10000 documents")))
	})

	DescribeTable("is no YAML",
		func(text string, line int, message string) {
			set := loadText(text)
			Expect(errorsOf(set.Findings)).To(ContainElement(
				MatchRegexp(`^x.yaml:%d(:\d+)?: .*%s`, line, regexp.QuoteMeta(message))))
		},
		Entry("colon in text", "a: b: c\n", 1, "mapping values are not allowed"),
		Entry("colon without a space", "a:\n  b:c\n  d: e\n", 3, "check the indentation of this line, and that each colon in the line before it is followed by a space"),
		Entry("tab after an entry", "a:\n  b: c\n\td: e\n", 3, "indent YAML with spaces, not with tabs"),
		Entry("colon in text, later", "# one\n\na: b: c\n", 3, "mapping values are not allowed"),
		Entry("tab", "a:\n\tb: c\n", 2, "indent YAML with spaces, not with tabs"),
		Entry("open bracket", "a:\n  b: [1, 2\nc: d\n", 2, "did not find expected"),
		Entry("wrong indentation", "a:\n  b:\n      c: 1\n    d: 2\n", 2, "did not find expected key, here or in the mapping or list that begins here"),
		Entry("open quote", "a: 1\nb: \"x\n", 2, "found unexpected end of stream"),
		Entry("alias to nothing", "a:\n  - *nothing\n", 2, "YAML alias *nothing is not supported here"),
		Entry("text after a scalar document", "# one\n---\n'a' b\n", 3, "the document has ended before this line"),
		Entry("nested deeply", strings.Repeat("[", 20_000), 1, "exceeded max depth"),
	)

	It("keeps what stands before a syntax error", func() {
		set := loadText(aPool + "a: b: c\n")
		Expect(set.Findings).To(HaveLen(1))
		Expect(set.Findings[0].Line).To(Equal(6))
		Expect(set.Pools).To(HaveKey("fast"))
	})

	DescribeTable("uses what is not supported of YAML",
		func(marked, path, message string) { expectOneFinding(aPool+marked, path, message) },
		Entry("anchor", header+"Volume\nmetadata: {name: db}\nspec:\n  pool: "+mark+"&p fast\n  size: 1Gi\n", "spec.pool", "anchor &p is not supported"),
		Entry("tag", header+"Volume\nmetadata: {name: db}\nspec:\n  pool: "+mark+"!!str fast\n  size: 1Gi\n", "spec.pool", `tag "!!str" is not supported`),
		Entry("binary", header+"Volume\nmetadata: {name: db}\nspec:\n  pool: "+mark+"!!binary ZmFzdA==\n  size: 1Gi\n", "spec.pool", `tag "!!binary" is not supported`),
		Entry("tag on a mapping", header+"Volume\nmetadata: {name: db}\nspec: "+mark+"!x\n  pool: fast\n  size: 1Gi\n", "spec", `tag "!x" is not supported`),
		Entry("merge key", header+"Volume\nmetadata: {name: db}\nspec:\n  "+mark+"<<: {pool: fast}\n  pool: fast\n  size: 1Gi\n", `spec["<<"]`, "merge key << is not supported"),
		Entry("a key that is a list", header+"Volume\nmetadata: {name: db}\nspec:\n  ? "+mark+"[a]\n  : 1\n  pool: fast\n  size: 1Gi\n", "spec", "a key must be a plain string, but is a list"),
		Entry("the same key twice", header+"Volume\nmetadata: {name: db}\nspec:\n  pool: fast\n  size: 1Gi\n  "+mark+"size: 2Gi\n", "spec.size", "key \"size\" is duplicate (first in line 11)"),
		Entry("the same kind twice", header+"Volume\n"+mark+"kind: Pool\nmetadata: {name: db}\nspec: {pool: fast, size: 1Gi}\n", "kind", "remove one of them, or separate the objects with a line ---"),
	)

	It("refuses a bomb of aliases at once", func() {
		text := "x0: &x0 [lol, lol, lol, lol]\n"
		for i := range 30 {
			text += fmt.Sprintf("x%[2]d: &x%[2]d [*x%[1]d, *x%[1]d, *x%[1]d, *x%[1]d]\n", i, i+1)
		}
		set := loadText(text)
		Expect(errorsOf(set.Findings)).To(ContainElement(ContainSubstring("is not supported")))
	})

	DescribeTable("has a document that is no object",
		func(marked, path, message string) { expectOneFinding(marked, path, message) },
		Entry("a text", mark+"hello\n", "", `must be an object with apiVersion, kind, metadata and spec, but is a string`),
		Entry("a list", mark+"- a\n", "", "must be an object with apiVersion, kind, metadata and spec, but is a list"),
		Entry("null", mark+"null\n", "", "must be an object with apiVersion, kind, metadata and spec, but is"),
		Entry("no kind", mark+"apiVersion: volreconciler/v1alpha1\n", "kind", "is missing (allowed: Backup, Export, Image, Pool, Repository, Snapshot, SnapshotSchedule, Volume)"),
		Entry("no apiVersion", mark+"kind: Pool\nmetadata: {name: a}\nspec: {volumeGroup: vg0}\n", "apiVersion", "write apiVersion: volreconciler/v1alpha1"),
		Entry("another apiVersion", "apiVersion: "+mark+"volreconciler/v1\nkind: Pool\nspec: {new: field}\n", "apiVersion", `the string "volreconciler/v1" is not supported (allowed: volreconciler/v1alpha1)`),
		Entry("an apiVersion that is a number", "apiVersion: "+mark+"1\nkind: Pool\n", "apiVersion", "the number 1"),
		Entry("kind in lower case", "apiVersion: volreconciler/v1alpha1\nkind: "+mark+"volume\n", "kind", `did you mean "Volume"?`),
		Entry("a kind of a later version", "apiVersion: volreconciler/v1alpha1\nkind: "+mark+"Mirror\nspec: {x: 1}\n", "kind", `"Mirror" is not a known kind (allowed`),
		Entry("a kind of Kubernetes", "apiVersion: volreconciler/v1alpha1\nkind: "+mark+"PersistentVolumeClaim\n", "kind", "is not a known kind (allowed"),
	)

	It("says all at once that is missing in an empty mapping", func() {
		Expect(errorsOf(loadText("{}").Findings)).To(HaveLen(2))
		Expect(errorsOf(loadText(header + "Export\n").Findings)).To(ConsistOf(
			HavePrefix("x.yaml:1:1: metadata: is missing"), HavePrefix("x.yaml:1:1: spec: is missing")))
		Expect(errorsOf(loadText(header + "Export\nmetadata: {}\nspec: {}\n").Findings)).To(ConsistOf(
			HavePrefix("x.yaml:3:1: metadata.name: is missing"),
			HavePrefix("x.yaml:4:1: spec.protocol: is missing"),
			HavePrefix("x.yaml:4:1: spec.luns: is missing")))
	})

	DescribeTable("has a field that cannot be read",
		func(marked, path, message string) { expectOneFinding(aPool+marked, path, message) },
		Entry("unknown at the top", header+"Volume\nmetadata: {name: db}\nspec: {pool: fast, size: 1Gi}\n"+mark+"status: {}\n", "status", `unknown field "status" of Volume (allowed: apiVersion, kind, metadata, spec)`),
		Entry("unknown in metadata", header+"Volume\nmetadata: {name: db, "+mark+"label: {}}\nspec: {pool: fast, size: 1Gi}\n", "metadata.label", `did you mean "labels"?`),
		Entry("unknown with odd characters", header+"Volume\nmetadata: {name: db}\nspec: {pool: fast, size: 1Gi, "+mark+"a b: 1}\n", `spec["a b"]`, `unknown field "a b" of Volume spec (allowed`),
		Entry("in another case", volume("db", "pool: fast, "+mark+"Size: 1Gi, size: 1Gi"), "spec.Size", `did you mean "size"?`),
		Entry("a source of a later version", volume("db", "pool: fast, size: 1Gi, source: {"+mark+"bucket: nightly}"), "spec.source.bucket", `unknown field "bucket" of Volume spec.source (allowed: backup, image, snapshot, volume)`),
		Entry("devices, of a later version", header+"Pool\nmetadata: {name: p}\nspec: {volumeGroup: vg1, "+mark+"devices: [/dev/sdb]}\n", "spec.devices", `unknown field "devices" of Pool spec (allowed: clear, thinPool, trash, volumeGroup)`),
		Entry("autoExtend, of a later version", header+"Pool\nmetadata: {name: p}\nspec: {volumeGroup: vg1, "+mark+"autoExtend: {threshold: 80}}\n", "spec.autoExtend", `unknown field`),
		Entry("a number for a name", header+"Volume\nmetadata: {name: "+mark+"123}\nspec: {pool: fast, size: 1Gi}\n", "metadata.name", `YAML reads the number 123; put it in quotes: "123"`),
		Entry("true for a name", volume("db", "pool: "+mark+"true, size: 1Gi"), "spec.pool", `YAML reads true (true or false); put it in quotes`),
		Entry("a date for a name", header+"Snapshot\nmetadata: {name: "+mark+"2026-11-22}\nspec: {volume: v}\n---\n"+volume("v", "pool: fast, size: 1Gi"), "metadata.name", `the date 2026-11-22; put it in quotes`),
		Entry("null for a name", volume("db", "pool: "+mark+"~, size: 1Gi"), "spec.pool", "has no value; set one, or leave the field out"),
		Entry("nothing for a mapping", header+"Volume\nmetadata: {name: db}\nspec:"+mark+"\n", "spec", "has no value"),
		Entry("nothing for an optional mapping", header+"Pool\nmetadata: {name: p}\nspec:\n  volumeGroup: vg1\n  thinPool:"+mark+"\n", "spec.thinPool", "has no value"),
		Entry("an empty text", volume("db", "pool: fast, size: 1Gi, lvName: "+mark+`""`), "spec.lvName", "is empty; set a value, or leave the field out"),
		Entry("a list for a text", volume("db", "pool: "+mark+"[fast], size: 1Gi"), "spec.pool", "must be a string, but is a list"),
		Entry("a mapping for a text", volume("db", "pool: "+mark+"{name: fast}, size: 1Gi"), "spec.pool", "must be a string, but is a mapping"),
		Entry("a text for a mapping", header+"Volume\nmetadata: "+mark+"db\nspec: {pool: fast, size: 1Gi}\n", "metadata", `must be a mapping, but is the string "db" (allowed fields: annotations, labels, name)`),
		Entry("a list for a mapping", header+"Volume\nmetadata: {name: db}\nspec:\n  "+mark+"- pool: fast\n", "spec", "must be a mapping, but is a list"),
		Entry("a text for a boolean", volume("db", "pool: fast, size: 1Gi, adopt: "+mark+`"true"`), "spec.adopt", `must be true or false, but is the string "true"`),
		Entry("yes for a boolean", volume("db", "pool: fast, size: 1Gi, adopt: "+mark+"yes"), "spec.adopt", "must be true or false"),
		Entry("1 for a boolean", volume("db", "pool: fast, size: 1Gi, adopt: "+mark+"1"), "spec.adopt", "must be true or false, but is the number 1"),
		Entry("a duration without a unit", header+"Pool\nmetadata: {name: p}\nspec: {volumeGroup: vg0, trash: "+mark+"24}\n", "spec.trash", "has no unit"),
		Entry("a negative duration", header+"Pool\nmetadata: {name: p}\nspec: {volumeGroup: vg0, trash: "+mark+"-1h}\n", "spec.trash", "is negative"),
		Entry("a size in octal", volume("db", "pool: fast, size: "+mark+"010"), "spec.size", "leading zero"),
		Entry("a size as a float", volume("db", "pool: fast, size: "+mark+"1e3"), "spec.size", `"1e3" is not a size`),
		Entry("a size with a fraction", volume("db", "pool: fast, size: "+mark+"1.5Gi"), "spec.size", "is a fraction"),
		Entry("a size with separators", volume("db", "pool: fast, size: "+mark+"1_000"), "spec.size", "not a size"),
		Entry("a size of zero", volume("db", "pool: fast, size: "+mark+"0"), "spec.size", "greater than zero"),
		Entry("a negative size", volume("db", "pool: fast, size: "+mark+"-1Gi"), "spec.size", "negative"),
		Entry("a boolean for a size", volume("db", "pool: fast, size: "+mark+"true"), "spec.size", "must be a number or a string, but is"),
		Entry("a list for a size", volume("db", "pool: fast, size: "+mark+"[1Gi]"), "spec.size", "must be a number or a string, but is a list"),
		Entry("too much for a thin pool", header+"Pool\nmetadata: {name: p}\nspec: {volumeGroup: vg1, thinPool: {size: "+mark+"100%}}\n", "spec.thinPool.size", "at most 95%"),
		Entry("a thin pool without a size", header+"Pool\nmetadata: {name: p}\nspec:\n  volumeGroup: vg1\n  "+mark+"thinPool: {name: pool0}\n", "spec.thinPool.size", "is missing"),
		Entry("a text for labels", header+"Volume\nmetadata: {name: db, labels: "+mark+"x}\nspec: {pool: fast, size: 1Gi}\n", "metadata.labels", "must be a mapping"),
		Entry("a number for a label", header+"Volume\nmetadata: {name: db, labels: {a: "+mark+"1}}\nspec: {pool: fast, size: 1Gi}\n", "metadata.labels[a]", "put it in quotes"),
		Entry("null for an annotation", header+"Volume\nmetadata: {name: db, annotations: {a/b: "+mark+"~}}\nspec: {pool: fast, size: 1Gi}\n", "metadata.annotations[a/b]", "YAML reads empty"),
	)

	DescribeTable("has an Export field that cannot be read",
		func(marked, path, message string) {
			expectOneFinding(aPool+aVolume+export("db", marked), path, message)
		},
		Entry("a text for luns", "luns: "+mark+"db", "spec.luns", "must be a list, but is the string"),
		Entry("a text for a LUN", "luns: ["+mark+"db]", "spec.luns[0]", "must be a mapping, but is the string"),
		Entry("null for a LUN", "luns: [{volume: db}, "+mark+"~]", "spec.luns[1]", "has no value"),
		Entry("unknown field of a LUN", "luns: [{volume: db, "+mark+"readonly: true}]", "spec.luns[0].readonly", `unknown field "readonly" of Export spec.luns[0]; did you mean "readOnly"? (allowed: lun, readOnly, snapshot, volume)`),
		Entry("a text for a LUN number", "luns: [{volume: db, lun: "+mark+`"7"}]`, "spec.luns[0].lun", `must be a whole decimal number, but is the string "7"`),
		Entry("a LUN number in octal", "luns: [{volume: db, lun: "+mark+"010}]", "spec.luns[0].lun", "must be a whole decimal number"),
		Entry("a LUN number in hexadecimal", "luns: [{volume: db, lun: "+mark+"0x7}]", "spec.luns[0].lun", "must be a whole decimal number"),
		Entry("a LUN number with a fraction", "luns: [{volume: db, lun: "+mark+"1.5}]", "spec.luns[0].lun", "must be a whole decimal number"),
		Entry("a number for a portal", "luns: [{volume: db}], portals: ["+mark+"3260]", "spec.portals[0]", "put it in quotes"),
		Entry("a text for initiators", "luns: [{volume: db}], initiators: "+mark+"iqn.1993-08.org.debian:a", "spec.initiators", "must be a list"),
		Entry("an initiator without a name", "luns: [{volume: db}], initiators: ["+mark+"{readOnly: true}]", "spec.initiators[0].name", "is missing"),
		Entry("a password in the file", "luns: [{volume: db}], initiators: [{name: iqn.1993-08.org.debian:a, auth: {chap: {username: u, "+mark+"password: s, passwordFrom: {file: /s}}}}]", "spec.initiators[0].auth.chap.password", `unknown field "password"`),
		Entry("no file of a password", "luns: [{volume: db}], initiators: [{name: iqn.1993-08.org.debian:a, auth: {chap: {username: u, "+mark+"passwordFrom: {}}}}]", "spec.initiators[0].auth.chap.passwordFrom.file", "is missing"),
		Entry("a protocol of a later version", "luns: [{volume: db}], "+mark+"protocols: nvme-tcp", "spec.protocols", `did you mean "protocol"?`),
	)

	It("is refused beyond 20 levels and 1000 keys", func() {
		deep := header + "Volume\nmetadata: {name: db}\nspec: {pool: fast, size: 1Gi, x: " + strings.Repeat("[", 30) + strings.Repeat("]", 30) + "}\n"
		Expect(errorsOf(loadText(deep).Findings)).To(ConsistOf(ContainSubstring("nested more than 20 levels deep")))
		wide := header + "Volume\nmetadata:\n  name: db\n  labels:\n" + strings.Repeat("    x: y\n", 1001) + "spec: {pool: fast, size: 1Gi}\n"
		Expect(errorsOf(loadText(wide).Findings)).To(ConsistOf(ContainSubstring("the mapping has 1001 keys")))
	})
})
