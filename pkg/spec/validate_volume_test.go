package spec_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("The blocks of a Pool", func() {
	It("are zeroed unless the file says something else", func() {
		for text, clear := range map[string]spec.Clear{
			"": spec.ClearZero, ", clear: zero": spec.ClearZero, ", clear: none": spec.ClearNone, ", clear: discard": spec.ClearDiscard,
		} {
			set := loadText(header + "Pool\nmetadata: {name: p}\nspec: {volumeGroup: vg0" + text + "}\n")
			Expect(errorsOf(set.Findings)).To(BeEmpty())
			Expect(set.Pools["p"].Spec.Clear).To(Equal(clear))
		}
	})

	DescribeTable("are cleared in a way that is not known",
		func(marked, message string) {
			expectOneFinding(header+"Pool\nmetadata: {name: p}\nspec: {volumeGroup: vg0, clear: "+marked+"}\n", "spec.clear", message)
		},
		Entry("mistyped", mark+"zeroes", `"zeroes" is not a valid clear method (allowed: none, zero, discard)`),
		Entry("mistyped, by one letter", mark+"zeros", `did you mean "zero"?`),
		Entry("in upper case", mark+"Discard", `did you mean "discard"?`),
		Entry("false", mark+"false", "put it in quotes"),
		Entry("null", mark+"~", "has no value"),
		Entry("nothing", mark+`""`, "is empty"),
	)
})

var _ = Describe("A Volume with content", func() {
	sum := strings.Repeat("0f", 32)

	DescribeTable("has a source that cannot be",
		func(marked, path, message string) {
			expectOneFinding(aPool+volume("db", "pool: fast, size: 1Gi, "+marked), path, message)
		},
		Entry("nothing", "source: "+mark+"{}", "spec.source", "is empty; set one of volume, snapshot, image and backup, or leave the field out"),
		Entry("two", "source: "+mark+"{volume: a, snapshot: s}", "spec.source", "has volume and snapshot, but a volume has one source"),
		Entry("another two", "source: "+mark+"{image: {path: /a}, snapshot: s}", "spec.source", "has snapshot and image"),
		Entry("all", "source: "+mark+"{volume: a, snapshot: s, image: {path: /a}}", "spec.source", "has volume and snapshot and image"),
		Entry("a bad name of a Volume", "source: {volume: "+mark+"A}", "spec.source.volume", "only lower-case letters"),
		Entry("a bad name of a Snapshot", "source: {snapshot: "+mark+"a_b}", "spec.source.snapshot", "contains '_'"),
		Entry("a number for a name", "source: {volume: "+mark+"1}", "spec.source.volume", "put it in quotes"),
		Entry("a text", "source: "+mark+"other", "spec.source", "must be a mapping, but is a string"),
		Entry("null", "source: "+mark+"~", "spec.source", "has no value"),
		Entry("with adopt", "adopt: true, source: "+mark+"{volume: other}", "spec.source", "cannot be combined with adopt"),
		Entry("an unknown one, with adopt", "adopt: true, source: {"+mark+"bakcup: x}", "spec.source.bakcup", "(allowed: backup, image, snapshot, volume)"),
	)

	DescribeTable("has an image that cannot be",
		func(marked, path, message string) {
			expectOneFinding(aPool+volume("db", "pool: fast, size: 1Gi, source: {image: "+marked+"}"), "spec.source.image"+path, message)
		},
		Entry("a text", mark+"/a", "", "must be a mapping, but is a string"),
		Entry("nothing", mark+"{}", "", "has neither path nor url; set one of them"),
		Entry("no file", mark+"{format: raw}", "", "has neither path nor url; set one of them"),
		Entry("path and url", mark+"{path: /a, url: 'https://h/a'}", "", "has both path and url; keep one of them"),
		Entry("unknown field", "{path: /a, "+mark+"checksum: x}", ".checksum", "(allowed: blockSize, format, path, sha256, url)"),
		Entry("path: relative", "{path: "+mark+"a.qcow2}", ".path", "must be an absolute path"),
		Entry("path: ..", "{path: "+mark+"/srv/../a}", ".path", "must be an absolute path"),
		Entry("path: doubled slash", "{path: "+mark+"/srv//a}", ".path", "must be an absolute path without ., .. or double slashes"),
		Entry("path: slash at the end", "{path: "+mark+"/srv/}", ".path", "must be an absolute path"),
		Entry("path: NUL", "{path: "+mark+`"/a\0"}`, ".path", "printable characters"),
		Entry("path: newline", "{path: "+mark+`"/a\nb"}`, ".path", "printable characters"),
		Entry("path: URL", "{path: "+mark+"'https://h/a'}", ".path", "must be an absolute path on this node; write a URL in the field url"),
		Entry("path: URL of a file", "{path: "+mark+"'file:///a'}", ".path", "must be an absolute path on this node"),
		Entry("path: nothing", "{path: "+mark+"''}", ".path", "is empty"),
		Entry("url: path", "{url: "+mark+"/srv/a}", ".url", "must begin with https:// or http:// (in lower case); write a file of this node in the field path"),
		Entry("url: file", "{url: "+mark+"'file:///srv/a'}", ".url", "must begin with https:// or http://"),
		Entry("url: ftp", "{url: "+mark+"'ftp://h/a'}", ".url", "must begin with https:// or http://"),
		Entry("url: upper case", "{url: "+mark+"'HTTPS://h/a'}", ".url", "in lower case"),
		Entry("url: no slashes", "{url: "+mark+"'https:h/a'}", ".url", "must begin with https:// or http://"),
		Entry("url: no host", "{url: "+mark+"'https:///a'}", ".url", "has no host; write https://host/path"),
		Entry("url: port alone", "{url: "+mark+"'https://:443/a'}", ".url", "has no host; write https://host/path"),
		Entry("url: nothing else", "{url: "+mark+"'https://'}", ".url", "has no host; write https://host/path"),
		Entry("url: port", "{url: "+mark+"'https://h:65536/a'}", ".url", "the port must be 1 to 65535"),
		Entry("url: port 0", "{url: "+mark+"'https://h:0/a'}", ".url", "the port must be 1 to 65535"),
		Entry("url: port that is no number", "{url: "+mark+"'https://h:x/a'}", ".url", "is not a URL; write https://host/path or https://host:port/path, and %25 for a percent sign"),
		Entry("url: percent", "{url: "+mark+"'https://h/100%'}", ".url", "is not a URL; write https://host/path or https://host:port/path, and %25 for a percent sign"),
		Entry("url: space", "{url: "+mark+"'https://h/a b'}", ".url", "without spaces"),
		Entry("url: newline", "{url: "+mark+`"https://h/a\nb"}`, ".url", "without spaces"),
		Entry("url: letter of another script", "{url: "+mark+"'https://h/ä'}", ".url", "must consist of printable ASCII characters without spaces; percent-encode other characters"),
		Entry("url: fragment", "{url: "+mark+"'https://h/a#b'}", ".url", "must not have a fragment"),
		Entry("url: empty fragment", "{url: "+mark+"'https://h/a#'}", ".url", "must not have a fragment"),
		Entry("url: user", "{url: "+mark+"'https://me@h/a'}", ".url", "must not contain a user name or password (before @): specs must not contain secrets"),
		Entry("url: http without a checksum", mark+"{url: 'http://h/a'}", ".sha256", "is required with http://, which does not protect the content; set it, or use https://"),
		Entry("format", "{path: /a, format: "+mark+"qcow}", ".format", `"qcow" is not a valid image format; did you mean "qcow2"? (allowed: raw, qcow2, vmdk, vhdx)`),
		Entry("format: vdi", "{path: /a, format: "+mark+"vdi}", ".format", "(allowed: raw, qcow2, vmdk, vhdx)"),
		Entry("sha256: short", "{path: /a, sha256: "+mark+sum[2:]+"}", ".sha256", "is not a SHA-256 checksum of 64 hexadecimal digits; copy it from the output of sha256sum"),
		Entry("blockSize: no disk has it", "{path: /a, blockSize: "+mark+"1024}", ".blockSize", "1024 is not allowed (allowed: 512, 4096)"),
		Entry("sha256: long", "{path: /a, sha256: "+mark+sum+"00}", ".sha256", "is not a SHA-256 checksum of 64 hexadecimal digits; copy it from the output of sha256sum"),
		Entry("sha256: another letter", "{path: /a, sha256: "+mark+sum[1:]+"g}", ".sha256", "is not a SHA-256 checksum of 64 hexadecimal digits; copy it from the output of sha256sum"),
		Entry("sha256: with its name", "{path: /a, sha256: "+mark+"'sha256:"+sum+"'}", ".sha256", "is not a SHA-256 checksum of 64 hexadecimal digits; copy it from the output of sha256sum"),
		Entry("sha256: a number", "{path: /a, sha256: "+mark+strings.Repeat("1", 64)+"}", ".sha256", "put the value in quotes"),
	)

	It("is not told the password in a URL once more", func() {
		for _, source := range []string{
			"image: {url: 'https://me:hunter2@h/a'}", "image: {url: 'https://me:hunter2/@h/a'}", "image: {url: 'https://me:hunter2%@h/a'}",
			"image: {url: 'https://me:#hunter2@h/a'}", "image: {url: 'ftp://me:hunter2@h/a'}", "image: {path: 'https://me:hunter2@h/a'}",
			"image: 'https://me:hunter2@h/a'", "image: ['https://me:hunter2@h/a']", "image: {url: ['https://me:hunter2@h/a']}", "image: {url: !hunter2 x}",
		} {
			for _, text := range []string{"{" + source + "}", strings.TrimPrefix(source, "image: ")} {
				set := loadText(aPool + volume("db", "pool: fast, size: 1Gi, source: "+text))
				Expect(set.Findings).NotTo(BeEmpty(), text)
				for _, f := range errorsOf(set.Findings) {
					Expect(f).NotTo(ContainSubstring("hunter2"), text)
				}
			}
		}
	})

	DescribeTable("may have an image",
		func(image string) {
			set := loadText(aPool + volume("db", "pool: fast, size: 1Gi, source: {image: {"+image+"}}"))
			Expect(errorsOf(set.Findings)).To(BeEmpty())
		},
		Entry("file", "path: /a"),
		Entry("file with odd characters", "path: '/srv/my images/ä,b:c=1%.raw'"),
		Entry("https", "url: 'https://h/a'"),
		Entry("https, no path", "url: 'https://h'"),
		Entry("port", "url: 'https://h.example:8443/a/b.qcow2.xz'"),
		Entry("IPv6", "url: 'https://[2001:db8::1]:8443/a'"),
		Entry("query with @", "url: 'https://h/a?mail=a@b&x=%23'"),
		Entry("http", "url: 'http://h/a', sha256: "+sum),
	)

	DescribeTable("has a revert that cannot be",
		func(marked, path, message string) {
			expectOneFinding(aPool+volume("db", "pool: fast, size: 1Gi, revert: "+marked)+snapshot("s", "volume: db"), "spec.revert"+path, message)
		},
		Entry("bad name", "{snapshot: "+mark+"S, request: a}", ".snapshot", "only lower-case letters"),
		Entry("request: nothing", "{snapshot: s, request: "+mark+"''}", ".request", "is empty"),
		Entry("request: number", "{snapshot: s, request: "+mark+"1}", ".request", `put it in quotes: "1"`),
		Entry("request: date", "{snapshot: s, request: "+mark+"2026-11-22}", ".request", `put it in quotes: "2026-11-22"`),
		Entry("request: length", "{snapshot: s, request: "+mark+strings.Repeat("a", 64)+"}", ".request", "has 64 characters; at most 63 are allowed"),
		Entry("request: space", "{snapshot: s, request: "+mark+"a b}", ".request", "contains ' '; only letters, digits, _, . and - are allowed"),
		Entry("request: hyphen", "{snapshot: s, request: "+mark+"'-a'}", ".request", "begins with -"),
		Entry("request: at", "{snapshot: s, request: "+mark+"'@a'}", ".request", "contains '@'"),
		Entry("request: colon", "{snapshot: s, request: "+mark+"'a:b'}", ".request", "contains ':'"),
	)

	It("is asked to revert to nothing, or by no word", func() {
		expectOneFinding(aPool+volume("db", "pool: fast, size: 1Gi, "+mark+"revert: {snapshot: s}")+snapshot("s", "volume: db"), "spec.revert.request", "is missing")
		expectOneFinding(aPool+volume("db", "pool: fast, size: 1Gi, revert: "+mark+"{request: r1}"), "spec.revert", "has neither snapshot nor backup")
		expectOneFinding(aPool+volume("db", "pool: fast, size: 1Gi, revert: "+mark+"~"), "spec.revert", "has no value")
	})

	It("may be asked to revert with any word", func() {
		for _, request := range []string{"a", `"1"`, `"2026-11-22"`, "_.-", strings.Repeat("Z", 63)} {
			set := loadText(aPool + volume("db", "pool: fast, size: 1Gi, adopt: true, revert: {snapshot: s, request: "+request+"}") + snapshot("s", "volume: db"))
			Expect(errorsOf(set.Findings)).To(BeEmpty(), request)
		}
	})
})
