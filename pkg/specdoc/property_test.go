package specdoc

import (
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// structural are the findings of the parser that the schema must know too: unknown and missing fields, types, and
// values that are not among the allowed.
var structural = regexp.MustCompile(`unknown field|unknown attribute|unknown annotation|is missing; it has no default|is not a known kind|is not a valid ` +
	`|must be (a string|true or false|a list|a mapping|a number or a string|a whole decimal number)|has no value|is empty; set a value|has (both|neither) `)

// unseen are those that it cannot know, because editors read them as something else.
var unseen = regexp.MustCompile(`YAML reads the date`)

// mistakes are values that hardly any field may have.
var mistakes = []any{
	"", " ", "x", "X", "-a", "a b", "é", "a/b", "yes", "null", "~", "1", "010", "1e3", "10Gi", "1.5Gi", "50%", "1h", "24", "2026-11-22", "/", "/a/", "/a/../b",
	"iqn.2000-01.a.b:c", "naa.2100001b32a1b2c3", "0.0.0.0:3260", "[::]:1", "http://h/a", "Retain", "raw", strings.Repeat("a", 64), strings.Repeat("a", 300),
	0, 1, -1, 512, 1 << 40, 1.5, true, false, nil, []any{}, []any{"a"}, []any{1}, []any{document{}}, document{}, document{"a": "b"},
}

// others are values that a field may have beside its example, in all notations, by its name or else its type.
var others = map[string][]any{
	string(Size):          {"1", 4096, "1500M", "1Ki", "1E", "7Ei", 9007199254740993},
	string(SizeOrPercent): {"1%", "95%", "10G", 1 << 30},
	string(Duration):      {"0s", "1h30m", "1.5h", ".5h", "90m", "30m1h", "60000ms", "1000000us", "1000000µs", "1000000000ns"},
	"name":                {"a", "0", "a-b", strings.Repeat("a", 63)},
	"volumeGroup":         {"a.b", "_", "+", strings.Repeat("a", 127)},
	"lvName":              {"A_b.c+d-e", strings.Repeat("a", 115)},
	"serial":              {"SN_1+a.b=c!d:e&f#", strings.Repeat("a", 249)},
	"path":                {"/", "/ä b", "/a/b.c"},
	"file":                {"/", "/ä b", "/a/b.c"},
	"url":                 {"http://h", "https://[2001:db8::1]:8443/a?b=c@d", "https://h/%23"},
	"sha256":              {strings.Repeat("A", 64), strings.Repeat("0", 64)},
	"request":             {"a", "_.-", strings.Repeat("Z", 63), "2026-11-22x"},
	"target":              {"iqn.2000-01.a.b:c", "nqn.2014-08.org.nvmexpress:uuid:01234567-89ab-cdef-0123-456789abcdef", "0x2100001b32a1b2c3", "21:00:00:1b:32:A1:b2:c3", "NAA.2100001b32a1b2c3"},
	"portals":             {[]any{"[::]:1"}, []any{"192.0.2.1:65535"}, []any{"[::ffff:192.0.2.1]:3260"}, []any{"0.0.0.0:03260"}},
	"username":            {"a", "!", "a:b=c", strings.Repeat("a", 255)},
	"lun":                 {0, 255},
	"labels":              {document{"a.b/c": ""}, document{"a": "B_c.d-e"}, document{"0/0": "0"}},
	"annotations":         {document{"a.b/c": ""}, document{"a": "any text: at all\nß"}},
	string(Boolean):       {true, false},
	string(Interval):      {"never", "1h30m", "24h", "90m"},
	"spec.restic.url":     {"/", "/srv/a:b@c", "local:/a", "sftp:u@h:/a", "sftp://u@[::1]:22//a", "rest:https://h:8000/a", "s3:s3.amazonaws.com/b", "b2:b:a", "rclone:r:a"},
	"environmentFrom":     {document{"_": document{"file": "/a/b"}}, document{"a_B9": document{"file": "/a"}}},
	"spec.at":             {"@hourly", "@yearly", "*/5 * * * *", "0 0 1,15 * MON-FRI", "  5\t4 29 FEB *  "},
	"spec.timeZone":       {"UTC", "Etc/GMT+5", "America/Argentina/Buenos_Aires", "America/Port-au-Prince"},
	"maxUnused":           {"0%", "9%", "100%"},
	"last":                {0, 1, spec.MaxKeep},
	"backup.at":           {"latest", "0123abcd", strings.Repeat("f", 64), "2026-11-29T01:35:00Z", "2026-11-29T01:35:00.5+01:00"},
}

// initiators are names that an initiator may have, depending on the protocol.
var initiators = []any{
	"iqn.localhost.hostid.7f000001", "iqn.2000-01.a.b:C_d", "eui.0123456789ABCDEF", "naa.5123456789abcdef", "nqn.2000-01.a.b:c",
	"nqn.2014-08.org.nvmexpress:uuid:01234567-89AB-cdef-0123-456789abcdef", "2100001b32a1b2c3", "0X2100001B32A1B2C3", "21:00:00:1b:32:a1:b2:c3",
}

// drawObject returns a random object, most often a valid one.
func drawObject(t *rapid.T) any {
	kind := rapid.SampledFrom(Kinds()).Draw(t, "kind")
	// Of some documents everything may be wrong, of others nothing.
	wrong := rapid.SampledFrom([]int{0, 0, 1, 4}).Draw(t, "wrong, in 100")
	object := drawValue(t, Of(kind), wrong)
	if d, is := object.(document); is && wrong == 0 {
		d["metadata"].(document)["name"] = "a"
	}
	return object
}

// drawValue returns a random value of a field, or in some of 100 cases one that it may not have.
func drawValue(t *rapid.T, f *Field, wrong int) any {
	happens := func(percent int) bool { return rapid.IntRange(1, 100).Draw(t, "chance") <= percent }
	if happens(wrong) {
		return rapid.SampledFrom(mistakes).Draw(t, f.Path)
	}
	if f.Type == Object {
		object := document{}
		chosen := ""
		if f.OneOf != nil {
			chosen = rapid.SampledFrom(f.OneOf).Draw(t, "one of")
		}
		for _, inner := range f.Fields {
			given := inner.Required || inner.Name == chosen || inner.Among == nil && happens(40)
			if given != happens(wrong) {
				object[inner.Name] = drawValue(t, inner, wrong)
			}
		}
		if happens(wrong) {
			object[rapid.SampledFrom([]string{"fild", "Spec", "pool", "size", "status", "a b"}).Draw(t, "unknown")] = "x"
		}
		if f.List {
			return []any{object}
		}
		return object
	}
	if f.Type == ObjectMap {
		object := document{}
		for _, inner := range f.Fields {
			if inner.Required != happens(wrong) {
				object[inner.Name] = drawValue(t, inner, wrong)
			}
		}
		return document{rapid.SampledFrom([]string{"AWS_ACCESS_KEY_ID", "a"}).Draw(t, "key"): object}
	}
	if f.Type == Map && len(f.Fields) > 0 && happens(50) {
		known := rapid.SampledFrom(f.Fields).Draw(t, "key")
		return document{known.Name: drawValue(t, known, wrong)}
	}
	if f.Values != nil && f.Values.Enum != nil {
		return rapid.SampledFrom(f.Values.Enum).Draw(t, f.Path)
	}
	if more := othersOf(f); more != nil && happens(60) {
		return rapid.SampledFrom(more).Draw(t, f.Path)
	}
	var value any
	if err := yaml.Unmarshal([]byte(f.Example), &value); err != nil {
		panic(err)
	}
	return value
}

// othersOf returns the values that a field may have beside its example.
func othersOf(f *Field) []any {
	switch {
	case strings.HasSuffix(f.Path, "initiators[].name"):
		return initiators
	case strings.HasSuffix(f.Path, ".backup.at") && f.Kind == spec.KindVolume:
		return others["backup.at"]
	case others[f.Path] != nil:
		return others[f.Path]
	case others[f.Name] != nil:
		return others[f.Name]
	default:
		return others[string(f.Type)]
	}
}

// variants are examples of a kind: of an Export one for each protocol.
func variants(kind spec.Kind) (objects []document) {
	GinkgoHelper()
	if kind != spec.KindExport {
		return []document{exampleOf(kind)}
	}
	for _, protocol := range spec.Protocols() {
		object := exampleOf(kind)
		exported := object["spec"].(document)
		exported["protocol"] = string(protocol)
		exported["initiators"] = []any{document{"name": map[bool]string{true: "nqn.2000-01.a.b:c", false: "naa.2100001b32a1b2c3"}[protocol.IsNVMe()]}}
		if protocol == spec.ProtocolFC {
			exported["target"] = "naa.2100001b32a1b2c3"
		}
		objects = append(objects, object)
	}
	return objects
}

var _ = Describe("The schema and the parser", func() {
	It("accept every notation of every field", func() {
		s, notations := compiled(), 0
		for _, f := range everyField() {
			for _, value := range othersOf(f) {
				accepted := false
				for _, object := range variants(f.Kind) {
					set(object, f, value)
					if len(findings(object)) > 0 {
						continue
					}
					accepted = true
					text, err := yaml.Marshal(object)
					Expect(err).NotTo(HaveOccurred())
					documents, err := asJSON(string(text))
					Expect(err).NotTo(HaveOccurred())
					Expect(s.Validate(documents[0])).To(Succeed(), "%s: %v", f.PlainPath(), value)
				}
				if accepted {
					notations++
				}
			}
		}
		Expect(notations).To(BeNumerically(">", 70))
	})
	It("agree on fields, types and values of random documents", func() {
		s := compiled()
		accepted, refused := 0, 0
		rapid.Check(GinkgoT(), func(t *rapid.T) {
			text, err := yaml.Marshal(drawObject(t))
			if err != nil {
				t.Fatal(err)
			}
			documents, err := asJSON(string(text))
			if err != nil {
				t.Fatal(err)
			}
			found, invalid := findingsIn(string(text)), s.Validate(documents[0])
			if len(found) == 0 {
				accepted++
				if invalid != nil {
					t.Fatalf("the parser accepts what the schema refuses: %v\n%s", invalid, text)
				}
			}
			if invalid != nil {
				refused++
				return
			}
			for _, finding := range found {
				if structural.MatchString(finding) && !unseen.MatchString(finding) {
					t.Fatalf("the schema accepts what the parser refuses: %s\n%s", finding, text)
				}
			}
		})
		Expect(accepted).To(BeNumerically(">", 10), "documents that both accept")
		Expect(refused).To(BeNumerically(">", 10), "documents that both refuse")
	})
})
