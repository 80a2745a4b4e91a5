package docs

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var (
	fence    = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	codeSpan = regexp.MustCompile("`[^`\n]*`")
	target   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	linkText = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

// documents returns the paths of all files of the tree with an extension.
func documents(extension string) (found []string) {
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && path != root && (strings.HasPrefix(name, ".") && name != ".github" || name == "testdata" || name == "bin") {
			return filepath.SkipDir
		}
		if filepath.Ext(name) == extension {
			found = append(found, path[len(root)+1:])
		}
		return nil
	})
	if err != nil {
		panic(err)
	}
	return found
}

// headingAnchors returns the names under which a document's headings are linked to.
func headingAnchors(text string) map[string]bool {
	names := map[string]bool{}
	for _, match := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		name := strings.Map(func(r rune) rune {
			switch {
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			case r == ' ':
				return '-'
			}
			return -1
		}, linkText.ReplaceAllString(match[1], "$1"))
		unique := name
		for i := 1; names[unique]; i++ {
			unique = fmt.Sprintf("%s-%d", name, i)
		}
		names[unique] = true
	}
	return names
}

// broken returns the links of a document that lead nowhere.
func broken(page, text string) (links []string) {
	base := filepath.Dir(page)
	if base == "changes" && filepath.Base(page) != "README.md" {
		base = "." // fragments become a part of CHANGELOG.md
	}
	text = codeSpan.ReplaceAllString(fence.ReplaceAllString(text, ""), "")
	for _, match := range target.FindAllStringSubmatch(text, -1) {
		link := match[1]
		if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
			continue
		}
		file, anchor, _ := strings.Cut(link, "#")
		to := page
		if file != "" {
			to = filepath.Join(base, file)
		}
		if _, err := os.Stat(filepath.Join(root, to)); err != nil {
			links = append(links, link)
			continue
		}
		if anchor != "" && filepath.Ext(to) == ".md" && !headingAnchors(read(to))[anchor] {
			links = append(links, link)
		}
	}
	return links
}

// asText returns the text of a picture's elements of one name, one after the
// other.
func asText(picture, element string) (text string, err error) {
	decoder, depth := xml.NewDecoder(strings.NewReader(picture)), 0
	for {
		token, err := decoder.Token()
		switch token := token.(type) {
		case xml.StartElement:
			if token.Name.Local == element {
				depth++
			}
		case xml.EndElement:
			if token.Name.Local == element {
				depth--
			}
		case xml.CharData:
			if depth > 0 {
				text += string(token)
			}
		}
		if errors.Is(err, io.EOF) {
			return strings.TrimSpace(text), nil
		}
		if err != nil {
			return "", err
		}
	}
}

var _ = Describe("Every document", func() {
	for _, page := range documents(".md") {
		It("links to files and headings that exist: "+page, func() {
			Expect(broken(page, read(page))).To(BeEmpty())
		})
	}
	for _, picture := range documents(".svg") {
		It("has pictures with a title: "+picture, func() {
			title, err := asText(read(picture), "title")
			Expect(err).NotTo(HaveOccurred())
			Expect(title).NotTo(BeEmpty())
		})
	}
	It("has pictures that say in words what they show", func() {
		for _, picture := range documents(".svg") {
			if filepath.Dir(picture) == "docs/img" {
				Expect(asText(read(picture), "desc")).NotTo(BeEmpty(), picture)
				Expect(read(picture)).To(ContainSubstring("prefers-color-scheme"), picture)
			}
		}
	})
	DescribeTable("is checked by rules that find", func(found []string, fault string) {
		Expect(found).To(HaveLen(1), fault)
	},
		Entry(nil, broken("docs/index.md", "a [page](nowhere.md)"), "a page that is not there"),
		Entry(nil, broken("docs/index.md", "![a picture](img/nowhere.svg)"), "a picture that is not there"),
		Entry(nil, broken("docs/index.md", "[a heading](safety.md#nowhere)"), "a heading that is not there"),
	)
	It("is not found wrong for links that lead somewhere", func() {
		Expect(broken("docs/index.md", "[here](safety.md#not-kept-yet), `[x](y)`, [there](https://example.org/a#b)")).To(BeEmpty())
		_, err := asText("<svg><title>open</svg>", "title")
		Expect(err).To(HaveOccurred())
	})
})
