package main

import (
	"regexp"
	"strings"

	"github.com/volreconciler/volreconciler/test/prose/retired"
)

var (
	newItem = regexp.MustCompile(`^\s*([*+-]|\d+[.)])\s`)
	fence   = regexp.MustCompile("^\\s*(```|~~~)")
)

// checkMarkdown checks a document. Code and HTML are no prose.
func checkMarkdown(words retired.Words, file, text string) Findings {
	var found Findings
	var p passage
	end := func() {
		found = append(found, p.check(words, file, file)...)
		p = passage{}
	}
	inCode, inComment := false, false
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case fence.MatchString(line):
			inCode = !inCode
			end()
			continue
		case inCode:
			continue
		case strings.HasPrefix(trimmed, "<!--") || inComment:
			inComment = !strings.Contains(line, "-->")
			continue
		}
		found = append(found, tooLong(file, i+1, line)...)
		switch {
		case trimmed == "" || strings.HasPrefix(line, "    ") && p.text == "": // a block of code
			end()
		case strings.HasPrefix(trimmed, "|"):
			end()
			for _, cell := range cells(line) {
				p.add(i+1, cell)
				end()
			}
		case strings.HasPrefix(trimmed, "#"):
			end()
			if heading := strings.Fields(line); len(heading) > 2 { // one word is a name
				p.add(i+1, line)
				end()
			}
		case newItem.MatchString(line):
			end()
			p.add(i+1, line)
		default:
			p.add(i+1, line)
		}
	}
	end()
	return found
}
